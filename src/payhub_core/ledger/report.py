"""The report: what a ledger holds, added up in SQL for people who would rather look. Days and ages are in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, and_, case, func, literal, or_, select

from payhub_core.errors import LedgerError
from payhub_core.ledger import anomalies, health
from payhub_core.ledger.database import clock
from payhub_core.ledger.health import Health
from payhub_core.ledger.models import Creation, StoredAnomaly
from payhub_core.ledger.queries import MEND, count_where, money
from payhub_core.ledger.tables import payments, transitions
from payhub_core.models import PaymentStatus
from payhub_core.money import Money

__all__ = ["AGES", "MOST_ODD", "Changed", "Pending", "Received", "Report", "Taken", "report"]

#: So many days are shown, today among them.
_DAYS = 14
_DAY = timedelta(days=1)
#: Where one class of pending orders ends and the next begins; after the last, nobody asks the gateway any more.
AGES: tuple[timedelta, ...] = (timedelta(hours=1), _DAY, timedelta(days=7))
#: So many open anomalies are shown at most.
MOST_ODD = 50
#: What never reached the gateway is not pending there.
_NOT_THERE = (Creation.NOT_SENT.value, Creation.REFUSED.value)


@dataclass(frozen=True, slots=True)
class Received:
    """What ``count`` orders of one account brought on a ``day``, and what of it has gone back by now."""

    account: str
    day: date
    count: int
    paid: Money
    refunded: Money


@dataclass(frozen=True, slots=True)
class Pending:
    """The pending orders of one account and one class of `AGES`, the youngest 0, and the sum due for them."""

    account: str
    age: int
    count: int
    due: Money


@dataclass(frozen=True, slots=True)
class Taken:
    """What one account received in the last 24 hours, and in the 24 before."""

    account: str
    last: Money
    before: Money


@dataclass(frozen=True, slots=True)
class Changed:
    """How often something came to be in the last 24 hours, and in the 24 before.

    ``what`` is "started", "odd" or a status that payments came to.
    """

    account: str
    what: str
    last: int
    before: int


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to look at by now; ``odd`` are the newest of the open anomalies."""

    health: Health
    days: tuple[date, ...]
    odd: tuple[StoredAnomaly, ...]
    received: tuple[Received, ...]
    pending: tuple[Pending, ...]
    taken: tuple[Taken, ...]
    changed: tuple[Changed, ...]


def report(connection: Connection) -> Report:
    """Adds up: one pass over the payments, one over the transitions; raises LedgerError."""
    now = clock(connection)
    today = now.date()
    days = tuple(today - (_DAYS - 1 - number) * _DAY for number in range(_DAYS))
    received: list[Received] = []
    pending: list[Pending] = []
    taken: dict[tuple[str, str], Taken] = {}
    started: dict[str, Changed] = {}
    for account, currency, day, age, count, due, paid, back, last, before, new, older in _payments(
        connection, now, days[0]
    ):
        if day:
            sums = (money(paid, currency), money(back, currency))
            received.append(Received(account, _date(day), count, *sums))
        if age >= 0:
            pending.append(Pending(account, age, count, money(due, currency)))
        if last or before:
            so_far = taken.get((account, currency), Taken(account, Money(0, currency), Money(0, currency)))
            sums = (so_far.last + money(last, currency), so_far.before + money(before, currency))
            taken[account, currency] = Taken(account, *sums)
        if new or older:
            so_many = started.get(account, Changed(account, "started", 0, 0))
            started[account] = Changed(account, "started", so_many.last + new, so_many.before + older)
    odd = tuple(anomalies.anomalies(connection, limit=MOST_ODD))
    return Report(
        health.health(connection),
        days,
        odd,
        tuple(received),
        tuple(pending),
        tuple(taken.values()),
        (*started.values(), *_transitions(connection, now)),
    )


def _payments(connection: Connection, now: datetime, first: date) -> Iterator[Any]:
    """By account, currency, day of receipt and age while pending: how many and which sums."""
    since = datetime.combine(first, time(), UTC)
    it = payments.c
    # Most gateways say when they were paid. Where one did not, it is when payhub heard of it.
    heard = (
        select(func.min(transitions.c.at))
        .where(transitions.c.payment_id == it.id, transitions.c.name.in_(["paid", "partially_paid"]))
        .scalar_subquery()
    )
    at = case((it.paid_minor > 0, func.coalesce(it.paid_at, heard)), else_=None)
    is_pending = and_(it.status == PaymentStatus.PENDING.value, it.creation.not_in(_NOT_THERE))
    younger = [(it.created_at > now - age, literal(number)) for number, age in enumerate(AGES)]
    age = case((is_pending, case(*younger, else_=len(AGES))), else_=-1)
    # What was started or paid since then has changed since then. Materialized, so that `at` is worked out once a row.
    found = (
        select(it.account, it.currency, it.created_at, it.amount_minor, it.paid_minor, it.refunded_minor)
        .add_columns(at.label("at"), age.label("age"))
        .where(or_(it.updated_at >= since, is_pending))
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    yesterday, before = now - _DAY, now - 2 * _DAY
    day = case((found.c.at >= since, _day(connection, found.c.at)), else_=None).label("day")
    by = (found.c.account, found.c.currency, day, found.c.age)

    def between(column: ColumnElement[Any], begin: datetime, end: datetime) -> ColumnElement[bool]:
        return and_(column >= begin, column < end)

    def total(column: ColumnElement[Any], condition: ColumnElement[bool] | None = None) -> ColumnElement[Any]:
        return func.coalesce(func.sum(column if condition is None else case((condition, column))), 0)

    query = select(
        *by,
        func.count(),
        total(found.c.amount_minor),
        total(found.c.paid_minor),
        total(found.c.refunded_minor),
        total(found.c.paid_minor, found.c.at >= yesterday),
        total(found.c.paid_minor, between(found.c.at, before, yesterday)),
        count_where(found.c.created_at >= yesterday),
        count_where(between(found.c.created_at, before, yesterday)),
    )
    yield from connection.execute(query.group_by("account", "currency", "day", "age"))


def _transitions(connection: Connection, now: datetime) -> Iterator[Changed]:
    what = case((transitions.c.anomaly.is_not(None), "odd"), else_=transitions.c.name).label("what")
    last = transitions.c.at >= now - _DAY
    query = (
        select(payments.c.account, what, count_where(last), count_where(~last))
        .join_from(transitions, payments, payments.c.id == transitions.c.payment_id)
        .where(transitions.c.at >= now - 2 * _DAY)
        .group_by(payments.c.account, "what")
    )
    for account, name, new, older in connection.execute(query):
        yield Changed(account, name, new, older)


def _date(day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise LedgerError("the ledger holds a time that payhub did not write", hint=MEND) from None


def _day(connection: Connection, at: ColumnElement[Any]) -> ColumnElement[str]:
    """The day in UTC, as ISO 8601 writes it: so SQLite's text begins."""
    if connection.dialect.name == "sqlite":
        return func.substr(at, 1, 10, type_=String)
    return func.to_char(func.timezone("UTC", at), "YYYY-MM-DD", type_=String)
