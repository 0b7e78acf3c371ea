"""The outbox: transitions that no handler has had, and handing them out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, select, update
from sqlalchemy import Row as SqlRow

from payhub_core.errors import InvalidOrder
from payhub_core.ledger.database import clock
from payhub_core.ledger.records import transition
from payhub_core.ledger.rows import Row, Transition, foreign, parse_anomaly
from payhub_core.ledger.tables import moment, payments, transitions

__all__ = ["claim_transition", "mark_delivered", "transition_of", "waiting"]

_TURN = timedelta(minutes=1)
_LONGEST_TURN = timedelta(days=1)


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
