"""The outbox: each thing that became true of a payment, once; what no handler has had waits to be handed out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, exists, or_, select, update
from sqlalchemy import Row as SqlRow

from payhub_core.errors import InvalidOrder
from payhub_core.ledger.arguments import check_limit
from payhub_core.ledger.database import clock
from payhub_core.ledger.facts import Anomaly, AnomalyKind, Facts
from payhub_core.ledger.models import Transition
from payhub_core.ledger.rows import Row, foreign
from payhub_core.ledger.schedule import backoff
from payhub_core.ledger.sql import ADD_TRANSITION
from payhub_core.ledger.tables import payments, transitions
from payhub_core.ledger.times import moment
from payhub_core.models import PaymentStatus
from payhub_core.money import Money

__all__ = [
    "claim",
    "make_due",
    "mark_delivered",
    "mark_handled",
    "parse_anomaly",
    "read",
    "transition",
    "transitions_of",
    "values",
    "waiting",
]

_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(days=1)
_SHOWN = tuple(transitions.c[it] for it in ("name", "anomaly", "at", "attempts", "due_at", "delivered_at"))


def values(row: Row, name: str, anomaly: Anomaly | None, now: datetime, *, handled: bool) -> tuple[Any, ...]:
    """A transition as it is stored; one that is not ``handled`` waits."""
    return ADD_TRANSITION.values(
        payment_id=row.id,
        name=name,
        anomaly=None if anomaly is None else _anomaly_text(anomaly),
        at=now,
        delivered_at=now if handled else None,
    )


def transition(row: Row, facts: Facts, name: str, anomaly: Anomaly | None, at: datetime) -> Transition:
    """The transition ``name`` of the payment in ``row``, of which ``facts`` are stored."""
    status = PaymentStatus(name) if anomaly is None else None
    return Transition(
        f"{row.account}/{row.reference}/{name}",
        row.account,
        row.reference,
        status,
        anomaly,
        row.payment(facts=facts),
        at,
        row.anomalies(facts),
    )


def waiting(connection: Connection, *, limit: int = 100) -> list[Transition]:
    """The transitions that no handler has had, oldest first."""
    check_limit(limit)
    query = _with_payment().where(transitions.c.delivered_at.is_(None)).limit(limit)
    return [_transition(row) for row in connection.execute(query)]


def transitions_of(connection: Connection, account: str, reference: str) -> list[Transition]:
    """All transitions of one payment, waiting or not, oldest first."""
    one = (payments.c.account == account, payments.c.reference == reference)
    return [_transition(row) for row in connection.execute(_with_payment().where(*one))]


def claim(connection: Connection) -> int | None:
    """Takes the waiting transition that has been due the longest; it comes again after 1, 2, 4 minutes ... a day.

    One that was never tried is due, and so is one put off beyond the longest pause: a wrong clock wrote its time.
    Behind an earlier one of its payment each waits: who hears "refunded" first would ship on the "paid" that follows.
    """
    now = clock(connection)
    earlier = transitions.alias()
    is_before = (earlier.c.payment_id == transitions.c.payment_id) & (earlier.c.id < transitions.c.id)
    oldest = (
        select(transitions.c.id, transitions.c.attempts)
        .where(transitions.c.delivered_at.is_(None), ~exists().where(is_before, earlier.c.delivered_at.is_(None)))
        .order_by(transitions.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    put_off = or_(transitions.c.attempts == 0, transitions.c.due_at > now + _LONGEST_PAUSE)
    found = connection.execute(oldest.where(transitions.c.due_at <= now)).one_or_none()
    found = found or connection.execute(oldest.where(put_off)).one_or_none()
    if found is None:
        return None
    again = now + backoff(_FIRST_PAUSE, found.attempts, _LONGEST_PAUSE)
    taken = update(transitions).where(transitions.c.id == found.id).values(due_at=again, attempts=found.attempts + 1)
    connection.execute(taken)
    return int(found.id)


def make_due(connection: Connection) -> None:
    """Ends the pauses of what waits, for a person who has mended the handler; the oldest comes first."""
    now = clock(connection)
    waits = update(transitions).where(transitions.c.delivered_at.is_(None), transitions.c.due_at > now)
    # That of a clock which was ahead is a time to come.
    connection.execute(waits.values(due_at=case((transitions.c.at > now, now), else_=transitions.c.at)))


def read(connection: Connection, number: int) -> Transition:
    """A transition that was claimed; raises LedgerError where payhub did not write it."""
    query = _with_payment().where(transitions.c.id == number, transitions.c.delivered_at.is_(None))
    return _transition(connection.execute(query).one())


def mark_delivered(connection: Connection, number: int, transition: Transition, now: datetime) -> bool:
    """Ends the waiting of ``transition``, which had that number; says whether it still waited.

    Where it was deleted, another may have the number by now.
    """
    about = (payments.c.account == transition.account, payments.c.reference == transition.reference)
    mine = select(payments.c.id).where(*about).scalar_subquery()
    waits = update(transitions).where(
        transitions.c.id == number, transitions.c.payment_id == mine, transitions.c.delivered_at.is_(None)
    )
    return connection.execute(waits.values(delivered_at=now)).rowcount == 1


def mark_handled(connection: Connection, row: Row, name: str, now: datetime) -> None:
    """`mark_delivered`, for a transition of ``row`` that a handler is about to have in this transaction."""
    named = (transitions.c.payment_id == row.id, transitions.c.name == name)
    connection.execute(update(transitions).where(*named).values(delivered_at=now))


def _with_payment() -> Select[Any]:
    return (
        select(*_SHOWN, *payments.c)
        .join(payments, payments.c.id == transitions.c.payment_id)
        .order_by(transitions.c.id)
    )


def _transition(found: SqlRow[Any]) -> Transition:
    name, text, at, attempts, due, taken, *columns = tuple(found)
    row = Row._make(columns)
    try:
        anomaly = None if text is None else parse_anomaly(name, text, row.currency)
        taken_at = None if taken is None else moment(taken)
        told = transition(row, row.known(), name, anomaly, moment(at))
        return replace(told, attempts=attempts, due_at=moment(due), delivered_at=taken_at)
    except (ValueError, TypeError, InvalidOrder):
        raise foreign("a transition", row.account, row.reference) from None


def _anomaly_text(anomaly: Anomaly) -> str:
    return json.dumps([anomaly.kind, anomaly.due.minor, anomaly.received.minor, list(anomaly.gateway_ids)])


def parse_anomaly(name: str, text: str, currency: str) -> Anomaly:
    """An anomaly as it was written down; raises ValueError, TypeError or InvalidOrder for anything else."""
    kind, due, received, gateway_ids = json.loads(text)
    return Anomaly(AnomalyKind(kind), name, Money(due, currency), Money.total(received, currency), tuple(gateway_ids))
