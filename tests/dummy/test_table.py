"""The table in docs/dummy.md: each row, through the hub and through the checkout."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from payhub_core import Hub, Money, NotFound, Order, PayhubError, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger
from payhub_dummy import OUTCOMES, Dummy, notifies

PAGE = Path(__file__).parents[2] / "docs" / "dummy.md"
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.read_text("utf-8").splitlines()
    if re.match(r"\| (any other|\d\d) \|", line)
]
CURRENCIES = ("CNY", "JPY", "KWD")

rows = pytest.mark.parametrize(
    ("digits", "creating", "notified", "asked", "stored"),
    [(row[0], *row[2:]) for row in ROWS],
    ids=[row[0] for row in ROWS],
)


def word(call: Callable[[], Any]) -> str:
    """What a call ends in, in the words of the table."""
    try:
        made = call()
    except PayhubError as error:
        return type(error).__name__
    return str(getattr(made, "payment", made).status)


@pytest.fixture
def dummy_hub(open_hub: Any) -> Any:
    return open_hub(accounts={"shop": Dummy(development=True)})


def about(make_order: Callable[..., Order], digits: str, currency: str = "CNY") -> Order:
    last = 80 if digits == "any other" else int(digits)
    return make_order(reference="A1001", amount=Money(1200 + last, currency))


def test_the_table_has_every_outcome() -> None:
    """And no row beside them."""
    assert [row[0] for row in ROWS] == ["any other", *(f"{digits:02}" for digits in OUTCOMES)]


@pytest.mark.parametrize("currency", CURRENCIES)
@rows
def test_a_row_holds_through_the_hub(
    dummy_hub: Any, make_order: Any, digits: str, creating: str, notified: str, asked: str, stored: str, currency: str
) -> None:
    """Created, notified and asked about, in currencies of two, no and three decimals."""
    order = about(make_order, digits, currency)
    assert word(lambda: dummy_hub.create_payment("shop", order)) == creating
    callbacks = notifies("shop", order)
    heard = [word(lambda each=each: dummy_hub.parse_callback("shop", each, expect=order)) for each in callbacks]
    assert list(dict.fromkeys(heard)) == list(dict.fromkeys([] if notified == "none" else notified.split(", ")))
    assert len(heard) == (0 if notified == "none" else notified.count(",") + 1)
    now = datetime.now(UTC)
    ages = [now, now - timedelta(seconds=3)]
    said = [word(lambda at=at: dummy_hub.query("shop", order.reference, expect=order, created_at=at)) for at in ages]
    assert list(dict.fromkeys(said)) == asked.split(", ")
    assert said[-1] == word(lambda: dummy_hub.query("shop", order.reference, expect=order))


@rows
def test_a_row_holds_through_the_checkout(
    tmp_path: Path, make_order: Any, digits: str, creating: str, notified: str, asked: str, stored: str
) -> None:
    """What the ledger holds once every notify has come, and again once the gateway was asked."""
    order = about(make_order, digits)
    accounts = load_accounts({"accounts": {"shop": {"provider": "dummy", "development": True, "delay": 0}}})
    with Hub(accounts) as hub, Ledger(f"sqlite:///{tmp_path}/shop.db") as ledger:
        ledger.upgrade()
        checkout = Checkout(hub, ledger)
        assert word(lambda: checkout.start("shop", order)) == creating
        for callback in notifies("shop", order):
            assert checkout.receive("shop", callback).status_code == (400 if notified == "WrongAmount" else 200)
        row = ledger.payment("shop", "A1001")
        assert row is not None
        ends = stored.split(", ")
        if asked == NotFound.__name__:
            assert row.creation.value == stored
            return
        assert [row.payment.status.value, *(anomaly.name for anomaly in row.anomalies)] == ends
        word(lambda: checkout.refresh("shop", "A1001"))
        row = ledger.payment("shop", "A1001")
        assert row is not None
        assert [row.payment.status.value, *(anomaly.name for anomaly in row.anomalies)] == ends
