"""Cassettes: replayed byte for byte, recorded only when asked, and never with a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.testing.tea import Tea, TeaContract
from vcr.errors import CannotOverwriteExistingCassetteException

from payhub_core import Hub, Money, OutcomeUnknown, load_account
from payhub_core.testing import FakeGateway, cassette

CONTRACT = TeaContract()


@pytest.fixture
def account() -> Any:
    return load_account("shop", {"provider": Tea, **CONTRACT.settings})


@pytest.fixture
def tape(tmp_path: Path, account: Any) -> Path:
    """One create, recorded."""
    order = CONTRACT.order(attach="茶")
    path = tmp_path / "tapes" / "created.yaml"
    sale = CONTRACT.sale(order)
    with (
        FakeGateway(lambda request: CONTRACT.answer(request, sale)) as gateway,
        gateway.hub({"shop": account}) as hub,
        cassette(path, record=True, secrets=[CONTRACT.settings["key"]]),
    ):
        hub.create_payment("shop", order)
    return path


def test_what_was_recorded_is_replayed_without_a_gateway(tape: Path, account: Any) -> None:
    """And the file is readable."""
    with Hub({"shop": account}) as hub, cassette(tape):
        assert hub.create_payment("shop", CONTRACT.order(attach="茶")).attach == "茶"
    assert "茶" in tape.read_text("utf-8")


def test_another_request_is_not_answered(tape: Path, account: Any) -> None:
    """Its body differs, and so does its signature."""
    with (
        Hub({"shop": account}) as hub,
        pytest.raises(AssertionError, match="not everything recorded"),
        cassette(tape),
        pytest.raises(OutcomeUnknown, match=CannotOverwriteExistingCassetteException.__name__),
    ):
        hub.create_payment("shop", CONTRACT.order(amount=Money(1, "CNY")))


def test_what_was_never_asked_for_fails(tape: Path) -> None:
    """The test would show less than it says."""
    with pytest.raises(AssertionError, match="not everything recorded was asked for"), cassette(tape):
        pass


def test_a_missing_cassette_fails(tmp_path: Path) -> None:
    """And nothing is recorded."""
    with pytest.raises(AssertionError, match="nothing in none"), cassette(tmp_path / "none.yaml"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_cassette_with_a_secret_is_not_written(tmp_path: Path, account: Any) -> None:
    """Whatever the request carries it in."""
    order, path = CONTRACT.order(description="my-secret-key"), tmp_path / "secret.yaml"
    sale = CONTRACT.sale(order)
    with (
        FakeGateway(lambda request: CONTRACT.answer(request, sale)) as gateway,
        gateway.hub({"shop": account}) as hub,
        pytest.raises(AssertionError, match="would hold a secret"),
        cassette(path, record=True, secrets=["my-secret-key"]),
    ):
        hub.create_payment("shop", order)
    assert not path.exists()
