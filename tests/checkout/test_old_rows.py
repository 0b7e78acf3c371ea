"""The statement of docs/production.md that deletes old rows: it leaves what somebody still has to see to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from payhub_core import Hub, Money, Order, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger
from payhub_dummy import notify

PAGE = Path(__file__).parents[2] / "docs" / "production.md"


def an_order(reference: str) -> Order:
    return Order(
        reference=reference,
        amount=Money.of("100.00", "EUR"),
        description="Tea",
        notify_url="https://shop.example/notify",
        return_url="https://shop.example/thanks",
    )


def test_old_rows_go_and_what_is_open_stays(ledger: Ledger) -> None:
    """Handed out and resolved: gone, with its history. Still asked about, waiting, or odd and open: there."""
    (statement,) = re.findall(r'old = text\("""(.*?)"""\)', PAGE.read_text("utf-8"), re.DOTALL)
    hub = Hub(load_accounts({"accounts": {"shop": {"provider": "dummy", "development": True}}}))
    handled, plain = Checkout(hub, ledger, handler=lambda *_: None), Checkout(hub, ledger)
    for reference, checkout in (("DONE", handled), ("WAITS", plain), ("ODD", handled), ("SEEN", handled)):
        checkout.start("shop", order := an_order(reference))
        paid = Money.of("120.00", "EUR") if reference in {"ODD", "SEEN"} else order.amount
        checkout.receive("shop", notify("shop", order, paid=paid))
    handled.start("shop", an_order("OPEN"))
    assert ledger.resolve("shop", "SEEN", by="Li", reason="paid back") == 1
    later = {"t": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    ledger.write(lambda connection: connection.execute(text(statement), later))
    assert {it.payment.reference for it in ledger.payments()} == {"WAITS", "ODD", "OPEN"}
    left = "SELECT count(*) FROM {} WHERE payment_id NOT IN (SELECT id FROM payhub_payments)"
    for table in ("payhub_observations", "payhub_transitions"):
        assert ledger.read(lambda c, table=table: c.execute(text(left.format(table))).scalar_one()) == 0
