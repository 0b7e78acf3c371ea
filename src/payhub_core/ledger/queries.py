"""Queries: lists of stored payments."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from payhub_core.ledger.models import StoredPayment
from payhub_core.ledger.rows import Row
from payhub_core.ledger.tables import payments, transitions
from payhub_core.models import PaymentStatus

__all__ = ["anomalies", "list_payments"]


def list_payments(
    connection: Connection,
    *,
    account: str | None = None,
    status: PaymentStatus | None = None,
    unsettled: bool = False,
    limit: int = 100,
) -> list[StoredPayment]:
    """The newest payments, newest first; those that are still asked about, where only the ``unsettled`` are wanted."""
    query = select(payments).order_by(payments.c.id.desc()).limit(limit)
    if account is not None:
        query = query.where(payments.c.account == account)
    if status is not None:
        query = query.where(payments.c.status == status.value)
    if unsettled:
        query = query.where(payments.c.next_check_at.is_not(None))
    return [Row._make(row).stored() for row in connection.execute(query)]


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
    return [Row._make(row).stored() for row in connection.execute(query)]
