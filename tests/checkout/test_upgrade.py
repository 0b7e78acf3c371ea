"""Upgrading: what an earlier version has stored is what the new one goes on with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from payhub_core import InvalidOrder, Money, Order, PaymentMethod
from payhub_core.ledger import Ledger
from payhub_core.ledger.database import upgrade

#: Two payments as the code of commit 59588a4 has stored them: a plain order, and one with every field set.
ROWS = json.loads(Path(__file__).with_name("rows_59588a4.json").read_text("utf-8"))
RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "to_postgresql.py"
PLAIN = Order(
    reference="A1001",
    amount=Money.of("100.00", "CNY"),
    description="Tea",
    method=PaymentMethod.ALIPAY_H5,
    notify_url="https://shop.example/pay/shop/notify",
    return_url="https://shop.example/thanks",
)
RICH = Order(
    reference="A1002",
    amount=Money.of("0.01", "CNY"),
    description="茶 & cake",
    method="905",
    notify_url="https://shop.example/pay/{account}/notify?lang=zh",
    return_url="https://shop.example/pay/{account}/return",
    payer="openid-1",
    attach='basket "7" – 中',
    extra={"trade": "h5", "a": "1"},
)


class GrownOrder(Order):
    """An order of a later version, which has one more field."""

    note: str = ""


def first_schema(connection: Connection) -> None:
    upgrade(connection, "0001")
    columns = list(ROWS[0])
    insert = f"INSERT INTO payhub_payments ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"
    connection.execute(text(insert), ROWS)


@pytest.fixture
def upgraded(empty_url: str) -> str:
    """A database with those rows, brought to this version."""
    with Ledger(empty_url) as ledger:
        ledger._connections.upgrade(first_schema)
        ledger.upgrade()
    return empty_url


@pytest.fixture
def till(upgraded: str, open_checkout: Callable[..., Any]) -> Any:
    """A checkout over it, whose gateway is never asked."""
    return open_checkout(database=upgraded)


@pytest.mark.parametrize("order", [PLAIN, RICH])
def test_an_order_in_flight_is_the_same_order_after_an_upgrade(till: Any, order: Order) -> None:
    """Started again, it sends nothing; with another content it is refused."""
    payment = till.start("shop", order)
    assert payment.gateway_id == f"P{order.reference}"
    assert payment.attach == order.attach
    assert payment.next_action.url.endswith(f"/pay/P{order.reference}")
    with pytest.raises(InvalidOrder, match="other content"):
        till.start("shop", order.model_copy(update={"attach": "another"}))


@pytest.mark.parametrize("order", [PLAIN, RICH])
def test_a_field_that_a_later_version_adds_changes_no_order_that_was_stored(till: Any, order: Order) -> None:
    """As long as it is left at its default, spelt out or not."""
    grown = dict(order)
    assert till.start("shop", GrownOrder(**grown)).gateway_id == f"P{order.reference}"
    assert till.start("shop", GrownOrder(**grown, note="")).gateway_id == f"P{order.reference}"
    with pytest.raises(InvalidOrder, match="other content"):
        till.start("shop", GrownOrder(**grown, note="wrapped as a gift"))


def test_leaving_a_field_out_and_passing_its_default_are_the_same_order(
    open_checkout: Callable[..., Any], accept: Any
) -> None:
    """Whichever comes first."""
    checkout = open_checkout(accept)
    spelt_out = Order(**{**dict(PLAIN), "payer": None, "attach": "", "extra": {}})
    checkout.start("shop", spelt_out)
    assert checkout.start("shop", PLAIN).gateway_id == "PA1001"


def second_schema(connection: Connection) -> None:
    upgrade(connection, "0002")
    row = {**ROWS[0], "creation": ROWS[0]["state"]}
    columns = [name for name in row if name not in {"state", "order_hash"}]
    insert = f"INSERT INTO payhub_payments ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"
    connection.execute(text(insert), row)
    odd = {"anomaly": '["overpaid", 10000, 10001, ["P1"]]', "at": ROWS[0]["created_at"]}
    connection.execute(
        text(
            "INSERT INTO payhub_transitions (payment_id, name, anomaly, at, due_at, attempts) "
            "SELECT id, 'overpaid', :anomaly, :at, :at, 0 FROM payhub_payments"
        ),
        odd,
    )


def test_an_anomaly_that_was_stored_before_is_open_after_an_upgrade(empty_url: str) -> None:
    """And can be resolved."""
    with Ledger(empty_url) as ledger:
        ledger._connections.upgrade(second_schema)
        ledger.upgrade()
        (odd,) = ledger.anomalies()
        assert (odd.anomaly.name, odd.anomaly.received.minor, odd.resolved_at) == ("overpaid", 10_001, None)
        assert ledger.resolve("shop", odd.reference, by="Li", reason="the payer was told") == 1
        assert ledger.anomalies() == []


@pytest.mark.postgresql
@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
def test_a_ledger_moves_from_sqlite_to_postgresql(
    sqlite_template: Path, tmp_path: Path, ledger: Ledger, open_checkout: Callable[..., Any], accept: Any, paid: Any
) -> None:
    """By the page's recipe: what was known is known, what was under way goes on, and a new order gets a number."""
    file = tmp_path / "shop.db"
    shutil.copy(sqlite_template, file)
    with Ledger(f"sqlite:///{file}") as old:
        till = open_checkout(accept, database=f"sqlite:///{file}")
        for reference in ("A1001", "A1002"):
            till.start("shop", PLAIN.model_copy(update={"reference": reference}))
        till.receive("shop", paid.notify("A1001"))
        known = [old.payments(), old.history("shop", "A1001"), old.outbox()]
    url = ledger.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    subprocess.run([sys.executable, RECIPE, file, url], check=True)
    assert [ledger.payments(), ledger.history("shop", "A1001"), ledger.outbox()] == known
    till = open_checkout(accept)
    till.start("shop", PLAIN.model_copy(update={"reference": "A1003"}))
    for reference in ("A1002", "A1003"):
        assert till.receive("shop", paid.notify(reference)).body == b"SUCCESS"
    assert till.deliver(lambda _: None) == 3
