"""The report's figures: added up by the database, exact, each currency apart, each day in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import insert

from payhub_core import LedgerError, Money
from payhub_core.ledger import Ledger
from payhub_core.ledger.report import Changed, Pending, Received, Report, Taken, report
from payhub_core.ledger.tables import payments, transitions

NOW = datetime.now(UTC)
MIDNIGHT = datetime.combine(NOW.date(), time(), UTC)
DAY = timedelta(days=1)


@pytest.fixture
def store(ledger: Ledger) -> Callable[..., int]:
    """Stores a payment of 100.00 CNY that was started ``at`` a time, and says its number."""
    numbers = iter(range(1, 1000))

    def store(at: datetime, **changes: Any) -> int:
        number = next(numbers)
        values = {
            "id": number,
            "account": "shop",
            "reference": f"A{number}",
            "provider": "gpu",
            "amount_minor": 10_000,
            "currency": "CNY",
            "order_json": "{}",
            "creation": "created",
            "status": "pending",
            "facts": "{}",
            "attempts": 0,
            "version": 1,
            "created_at": at,
            "updated_at": at,
            **changes,
        }
        ledger.write(lambda c: c.execute(insert(payments), values))
        return number

    return store


@pytest.fixture
def become(ledger: Ledger) -> Callable[..., None]:
    """Writes down that a payment became something."""

    def become(number: int, name: str, at: datetime, anomaly: str | None = None) -> None:
        values = {"payment_id": number, "name": name, "anomaly": anomaly, "at": at, "due_at": at, "attempts": 0}
        ledger.write(lambda c: c.execute(insert(transitions), values))

    return become


def paid(at: datetime, minor: int = 10_000) -> dict[str, Any]:
    return {"status": "paid", "paid_minor": minor, "paid_at": at}


def read(ledger: Ledger) -> Report:
    return ledger.read(report)


def cny(minor: int) -> Money:
    return Money(minor, "CNY")


def test_an_empty_ledger_has_fourteen_days_and_nothing_else(ledger: Ledger) -> None:
    """The last of them is today, in UTC."""
    found = read(ledger)
    assert (len(found.days), found.days[-1]) == (14, found.health.at.date())
    assert (found.odd, found.received, found.pending, found.taken, found.changed) == ((), (), (), (), ())


def test_a_day_begins_at_midnight_in_utc(ledger: Ledger, store: Callable[..., int]) -> None:
    """One microsecond lies between two days, whatever the zone that a time was written in."""
    shanghai = timezone(timedelta(hours=8))
    store(MIDNIGHT - DAY, **paid(MIDNIGHT.astimezone(shanghai)))
    store(MIDNIGHT - DAY, **paid(MIDNIGHT - timedelta(microseconds=1)))
    store(MIDNIGHT - DAY, **paid(MIDNIGHT - DAY), refunded_minor=300)
    today, yesterday = MIDNIGHT.date(), (MIDNIGHT - DAY).date()
    assert sorted(read(ledger).received, key=lambda it: it.day) == [
        Received("shop", yesterday, 2, cny(20_000), cny(300)),
        Received("shop", today, 1, cny(10_000), cny(0)),
    ]


def test_a_sum_is_exact_and_each_currency_and_account_is_apart(ledger: Ledger, store: Callable[..., int]) -> None:
    """Two to the 53rd and one is what no float can hold."""
    at = MIDNIGHT - DAY
    large = 90_071_992_547_409
    for minor in [large] * 10 + [90_071_992_547_409 + 7]:
        store(at, **paid(at, minor))
    store(at, **paid(at, 1), currency="JPY")
    store(at, **paid(at, 2), account="other")
    assert {(it.account, it.paid) for it in read(ledger).received} == {
        ("shop", cny(11 * large + 7)),
        ("shop", Money(1, "JPY")),
        ("other", cny(2)),
    }


def test_where_the_gateway_gives_no_time_it_is_when_payhub_heard(
    ledger: Ledger, store: Callable[..., int], become: Callable[..., None]
) -> None:
    """Even where the payment has changed since, as after a refund."""
    heard = MIDNIGHT - 3 * DAY
    number = store(MIDNIGHT - 5 * DAY, status="refunded", paid_minor=10_000, refunded_minor=10_000, updated_at=MIDNIGHT)
    become(number, "paid", heard)
    become(number, "refunded", MIDNIGHT)
    assert read(ledger).received == (Received("shop", heard.date(), 1, cny(10_000), cny(10_000)),)


def test_what_was_received_before_these_days_is_not_counted(ledger: Ledger, store: Callable[..., int]) -> None:
    """Though it changes today: the first of the days is the thirteenth before today."""
    store(MIDNIGHT - 90 * DAY, **paid(MIDNIGHT - 13 * DAY - timedelta(seconds=1)), updated_at=MIDNIGHT)
    store(MIDNIGHT - 90 * DAY, **paid(MIDNIGHT - 13 * DAY), updated_at=MIDNIGHT)
    assert [it.day for it in read(ledger).received] == [(MIDNIGHT - 13 * DAY).date()]


def test_pending_orders_are_counted_by_age(ledger: Ledger, store: Callable[..., int]) -> None:
    """However old; what never reached the gateway is not pending there."""
    for hours in (0.5, 2, 23, 25, 24 * 6, 24 * 8, 24 * 400):
        store(NOW - timedelta(hours=hours))
    for creation in ("not_sent", "refused"):
        store(NOW - DAY, creation=creation)
    store(NOW - DAY, status="failed")
    assert sorted(read(ledger).pending, key=lambda it: it.age) == [
        Pending("shop", age, count, cny(10_000 * count)) for age, count in enumerate((1, 2, 2, 2))
    ]


def test_what_changed_is_counted_beside_the_day_before(
    ledger: Ledger, store: Callable[..., int], become: Callable[..., None]
) -> None:
    """Orders started, sums received, statuses come to, and oddities; what is older counts for neither."""
    odd = '["overpaid", 10000, 10001, ["P1"]]'
    hour = timedelta(hours=1)
    for started, received in ((hour, hour), (2 * hour, 2 * hour), (30 * hour, 29 * hour), (60 * hour, 50 * hour)):
        number = store(NOW - started, **paid(NOW - received))
        become(number, "paid", NOW - received)
    become(number, "overpaid", NOW - hour, odd)
    found = read(ledger)
    assert found.taken == (Taken("shop", cny(20_000), cny(10_000)),)
    assert sorted(found.changed, key=lambda it: it.what) == [
        Changed("shop", "odd", 1, 0),
        Changed("shop", "paid", 2, 1),
        Changed("shop", "started", 2, 1),
    ]
    assert [it.anomaly.name for it in found.odd] == ["overpaid"]


def test_a_currency_that_payhub_did_not_write_is_an_error(ledger: Ledger, store: Callable[..., int]) -> None:
    """It is no sum of anything."""
    store(NOW - DAY, **paid(NOW - DAY), currency="XXX")
    with pytest.raises(LedgerError, match="a currency that payhub did not write"):
        read(ledger)


def test_a_time_that_payhub_did_not_write_is_an_error(ledger: Ledger, store: Callable[..., int]) -> None:
    """SQLite takes any text for one; PostgreSQL takes none."""
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("the column's type refuses it")
    store(NOW, **paid(NOW))
    ledger.write(lambda c: c.exec_driver_sql("UPDATE payhub_payments SET paid_at = 'yesterday'"))
    with pytest.raises(LedgerError, match="a time that payhub did not write"):
        read(ledger)
