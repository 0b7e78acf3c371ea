"""Why a callback of the gateway does not verify: what its brands do otherwise is named, with the setting for it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from payhub_core import CallbackKind

LAST = 'the secret stands last: set secret_placement = "last"'
LEFT_OUT = 'empty values are left out: set callback_empties = "drop"'


def first(provider: Any, callback: Any) -> str | None:
    return next((name for name, matches in provider.signature_candidates(callback) if matches), None)


@pytest.mark.parametrize("placement", ["sorted", "last"])
@pytest.mark.parametrize("empties", ["keep", "drop"])
def test_what_verifies_deviates_in_nothing(make_gpu: Any, platform: Any, placement: str, empties: str) -> None:
    """In every dialect, and of a return as of a notify."""
    gpu = make_gpu(secret_placement=placement, callback_empties=empties)
    notify = platform.callback(platform.notify(unknown="x"), placement=placement, empties=empties)
    gpu.parse_callback(callback=notify, expect=None)
    assert first(gpu, notify) == ""
    fields = {"order_no": "A1001", "pay_status": "1", "zone": ""}
    back = platform.callback(fields, kind=CallbackKind.RETURN, method="GET", placement=placement, empties=empties)
    gpu.parse_callback(callback=back, expect=None)
    assert first(gpu, back) == ""


@pytest.mark.parametrize(
    ("ours", "theirs", "named"),
    [
        ({}, {"placement": "last"}, LAST),
        (
            {"secret_placement": "last"},
            {"placement": "sorted"},
            'the secret stands sorted among the fields: set secret_placement = "sorted"',
        ),
        ({}, {"empties": "drop"}, LEFT_OUT),
        ({"callback_empties": "drop"}, {"empties": "keep"}, 'empty values are signed: set callback_empties = "keep"'),
        (
            {},
            {"placement": "last", "empties": "drop"},
            f"{LAST}, and {LEFT_OUT}",
        ),
        ({}, {"secret": "another-shops-secret-key"}, None),
    ],
)
def test_the_dialect_is_named_with_its_setting(
    make_gpu: Any, platform: Any, ours: dict[str, str], theirs: dict[str, str], named: str | None
) -> None:
    """And with it the callback verifies."""
    assert first(make_gpu(**ours), platform.callback(platform.notify(zone="x"), **theirs)) == named


def test_a_sum_that_was_changed_is_named(gpu: Any, platform: Any) -> None:
    """In one field or in both."""
    genuine = platform.sign(platform.notify(amount="9900.00", actual_amount="9900.00"))
    fields = {**platform.notify(), "sign": genuine}
    changed = platform.callback(urlencode(fields).encode())
    assert first(gpu, changed) == "the sums in 'actual_amount' and 'amount' were changed"
