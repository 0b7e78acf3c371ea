"""Both hubs have to end alike: what differs is named, and a lifetime that is counted from now is no difference."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.testing.tea import Tea, TeaContract

from payhub_core import Redirect
from payhub_core.testing.cases import CASES

NAMED = {case.id: case for case in CASES}
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def ended(name: str, **facts: Any) -> str:
    """How a case ends where each payment has another of ``facts``."""
    turns = itertools.count()

    class Changing(Tea):
        def payment(self, fields: Any) -> Any:
            turn = next(turns)
            return super().payment(fields).model_copy(update={key: of(turn) for key, of in facts.items()})

    verdict = type("OfChanging", (TeaContract,), {"provider": Changing})().run(NAMED[name])
    return verdict.text or verdict.outcome


@pytest.mark.parametrize("name", ["create.accepted", "create.repeated", "notify.genuine", "fault.charset"])
def test_a_lifetime_that_is_counted_from_now_is_no_difference(name: str) -> None:
    """The second call comes a moment later."""
    assert ended(name, expires_at=lambda turn: BEGAN + timedelta(milliseconds=10 * turn)) == "passed"


def test_a_lifetime_that_is_another_is_one() -> None:
    """Nothing but the moment of the call may be in it."""
    text = ended("create.accepted", expires_at=lambda turn: BEGAN + timedelta(minutes=turn))
    assert "expires_at 2026-01-02 03:04:05+00:00, and with AsyncHub 2026-01-02 03:05:05+00:00" in text


def test_a_time_of_day_is_named_with_what_to_do() -> None:
    """When something was paid, the gateway says; the provider's clock does not."""
    text = ended("notify.genuine", paid_at=lambda turn: BEGAN + timedelta(milliseconds=10 * turn))
    assert "expected:  Hub and AsyncHub to end alike" in text
    assert "paid_at 2026-01-02 03:04:05+00:00, and with AsyncHub 2026-01-02 03:04:05.010000+00:00" in text
    assert "it differs by the time of day. Report the time that the message gives, or none" in text


def test_another_next_action_is_named_and_never_shown() -> None:
    """It may be a whole page, with a signature."""
    text = ended("create.accepted", next_action=lambda turn: Redirect(url=f"https://tea.example/pay?sign={turn}"))
    assert "another next_action" in text
    assert "whose clock stands still" in text
    assert "sign=" not in text


def test_any_other_difference_is_named() -> None:
    """With both values."""
    assert "attach 'x0', and with AsyncHub 'x1'" in ended("create.accepted", attach=lambda turn: f"x{turn}")
