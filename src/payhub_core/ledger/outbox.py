"""The outbox and the lists: reading what the ledger knows, and handing out transitions that no handler has had."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, func, select, update
from sqlalchemy import Row as SqlRow

from payhub_core.errors import InvalidOrder
from payhub_core.ledger.database import clock
from payhub_core.ledger.records import transition
from payhub_core.ledger.rows import Observation, Row, StoredPayment, Transition, foreign, parse_anomaly
from payhub_core.ledger.tables import moment, observations, payments, transitions
from payhub_core.models import PaymentStatus

__all__ = [
    "anomalies",
    "claim_transition",
    "due_accounts",
    "history",
    "list_payments",
    "mark_delivered",
    "transition_of",
    "waiting",
]

_TURN = timedelta(minutes=1)
_LONGEST_TURN = timedelta(days=1)


def list_payments(
    connection: Connection, *, account: str | None = None, status: PaymentStatus | None = None, limit: int = 100
) -> list[StoredPayment]:
    """The newest payments, newest first."""
    query = select(payments).order_by(payments.c.id.desc()).limit(limit)
    if account is not None:
        query = query.where(payments.c.account == account)
    if status is not None:
        query = query.where(payments.c.status == status.value)
    return [StoredPayment.of(row) for row in connection.execute(query)]


def anomalies(connection: Connection, *, limit: int = 100) -> list[StoredPayment]:
    """The payments with something odd about them, those found out last first."""
    odd = (
        select(transitions.c.payment_id, func.max(transitions.c.id).label("last"))
        .where(transitions.c.anomaly.is_not(None))
        .group_by(transitions.c.payment_id)
        .order_by(func.max(transitions.c.id).desc())
        .limit(limit)
        .subquery()
    )
    query = select(payments).join(odd, odd.c.payment_id == payments.c.id).order_by(odd.c.last.desc())
    return [StoredPayment.of(row) for row in connection.execute(query)]


def history(connection: Connection, account: str, reference: str) -> list[Observation]:
    """What was heard and done about one payment, oldest first."""
    query = (
        select(observations)
        .join(payments, payments.c.id == observations.c.payment_id)
        .where(payments.c.account == account, payments.c.reference == reference)
        .order_by(observations.c.id)
    )
    try:
        return [
            Observation(moment(row.at), row.source, row.said, row.gateway_id, row.paid_minor, _raw(row.raw))
            for row in connection.execute(query)
        ]
    except (ValueError, TypeError):
        raise foreign("an observation", account, reference) from None


def due_accounts(connection: Connection, older_than: timedelta) -> dict[str, int]:
    """How many payments of each account are to be asked about; costs by what is due, not by what is stored."""
    now = clock(connection)
    due = (payments.c.next_check_at <= now, payments.c.created_at <= now - older_than)
    query = select(payments.c.account, func.count()).where(*due).group_by(payments.c.account)
    return {account: count for account, count in connection.execute(query)}  # noqa: C416  dict() would take its keys()


def waiting(connection: Connection, *, limit: int = 100) -> list[Transition]:
    """The transitions that no handler has had, oldest first."""
    return [_transition(row) for row in connection.execute(_with_payment().limit(limit))]


def claim_transition(connection: Connection) -> int | None:
    """Takes the waiting transition that has been due the longest; it comes again after 1, 2, 4 minutes ... a day."""
    now = clock(connection)
    oldest = (
        select(transitions.c.id, transitions.c.attempts)
        .where(transitions.c.delivered_at.is_(None), transitions.c.due_at <= now)
        .order_by(transitions.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(oldest).one_or_none()
    if found is None:
        return None
    again = now + min(_TURN * (1 << min(found.attempts, 12)), _LONGEST_TURN)
    taken = update(transitions).where(transitions.c.id == found.id).values(due_at=again, attempts=found.attempts + 1)
    connection.execute(taken)
    return int(found.id)


def transition_of(connection: Connection, number: int) -> Transition:
    """A transition that was claimed; raises LedgerError where payhub did not write it."""
    return _transition(connection.execute(_with_payment().where(transitions.c.id == number)).one())


def mark_delivered(connection: Connection, number: int, now: datetime) -> None:
    """Ends the waiting of a transition."""
    connection.execute(update(transitions).where(transitions.c.id == number).values(delivered_at=now))


def _raw(text: str) -> dict[str, Any]:
    raw = json.loads(text, parse_constant=str)  # NaN is no JSON, and would be none again
    if not isinstance(raw, dict):
        raise TypeError(f"expected an object, not {type(raw).__name__}")
    return raw


def _with_payment() -> Select[Any]:
    return (
        select(transitions.c.name, transitions.c.anomaly, transitions.c.at, *payments.c)
        .join(payments, payments.c.id == transitions.c.payment_id)
        .where(transitions.c.delivered_at.is_(None))
        .order_by(transitions.c.id)
    )


def _transition(found: SqlRow[Any]) -> Transition:
    name, text, at, *columns = tuple(found)
    row = Row._make(columns)
    try:
        anomaly = None if text is None else parse_anomaly(name, text, row.currency)
        return transition(row, name, anomaly, moment(at))
    except (ValueError, TypeError, InvalidOrder):
        raise foreign("a transition", row.account, row.reference) from None
