"""The schedule: when a payment that is not settled is asked about again, and whose turn it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select, update

from payhub_core.ledger.database import clock
from payhub_core.ledger.rows import Row
from payhub_core.ledger.sql import CLAIM
from payhub_core.ledger.tables import payments
from payhub_core.models import PaymentStatus

__all__ = [
    "FIRST_CHECK",
    "SETTLED",
    "backoff",
    "bring_back",
    "claim",
    "due_accounts",
    "is_due",
    "next_check",
    "retire",
    "unsettled",
]

FIRST_CHECK = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(days=1)
PATIENCE = timedelta(days=7)
#: So often an order is asked about in any case: a clock that is wrong, or passes that were missed, make it look old.
_FEWEST_ATTEMPTS = 10
#: How far the clocks of two machines may differ before one of them is taken to be wrong.
_TOLERANCE = timedelta(hours=1)

#: Nobody asks about these any more.
SETTLED = {
    PaymentStatus.PAID,
    PaymentStatus.REFUNDED,
    PaymentStatus.PARTIALLY_REFUNDED,
    PaymentStatus.REFUND_SUM_UNKNOWN,
}


def next_check(row: Row, attempts: int, now: datetime) -> datetime | None:
    """When to ask again: after 30 s, 1 min, 2 min ... a day; None once the order is a week old and was asked often."""
    created = row.time("created_at")
    if attempts >= _FEWEST_ATTEMPTS and (created is None or now - created > PATIENCE):
        return None
    return now + backoff(FIRST_CHECK, attempts, LONGEST_PAUSE)


def is_due(row: Row, now: datetime) -> bool:
    """Whether it is the turn of ``row`` to be asked about, or it has none."""
    time = row.time("next_check_at")
    return time is None or time <= now


def backoff(first: timedelta, attempts: int, longest: timedelta) -> timedelta:
    """The pause after so many attempts: ``first``, twice that, four times that ... ``longest``."""
    doubled: timedelta = first * (1 << min(attempts, 12))
    return min(doubled, longest)


def due_accounts(connection: Connection, older_than: timedelta) -> dict[str, int]:
    """How many payments of each account are to be asked about; costs by what is due, not by what is stored."""
    now = clock(connection)
    due = (payments.c.next_check_at <= now, payments.c.created_at <= now - older_than)
    query = select(payments.c.account, func.count()).where(*due).group_by(payments.c.account)
    return {account: count for account, count in connection.execute(query)}  # noqa: C416  dict() would take its keys()


def bring_back(connection: Connection) -> None:
    """Brings back what a wrong clock has put off for longer than the longest pause, and ends its leases."""
    latest = clock(connection) + LONGEST_PAUSE
    leased = payments.c.lease_until > latest + _TOLERANCE
    connection.execute(update(payments).where(leased).values(lease_until=None, version=payments.c.version + 1))
    late = payments.c.next_check_at > latest + _TOLERANCE
    connection.execute(update(payments).where(late).values(next_check_at=latest, version=payments.c.version + 1))


def claim(
    connection: Connection, account: str, *, lease: str, lease_time: timedelta, older_than: timedelta
) -> Row | None:
    """Leases the payment of ``account`` that has been due the longest; None where nothing is due."""
    now = clock(connection)
    rows = CLAIM(connection, account=account, lease=lease, until=now + lease_time, now=now, older=now - older_than).rows
    return Row._make(rows[0]) if rows else None


def retire(connection: Connection, *, account: str) -> int:
    """Asks about no payment of ``account`` any more; returns how many were still to be asked about."""
    # Whoever has read one of them meanwhile reads it again.
    ended = update(payments).where(*_asked(account)).values(next_check_at=None, version=payments.c.version + 1)
    return connection.execute(ended).rowcount


def unsettled(connection: Connection, account: str) -> int:
    """How many payments of ``account`` are still to be asked about, now or later."""
    return connection.execute(select(func.count()).where(*_asked(account))).scalar_one()


def _asked(account: str) -> tuple[ColumnElement[bool], ...]:
    return payments.c.account == account, payments.c.next_check_at.is_not(None)
