"""Queries: what the ledger knows, for lists and for reconciliation."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from payhub_core.ledger.database import clock
from payhub_core.ledger.rows import Observation, StoredPayment, foreign
from payhub_core.ledger.tables import moment, observations, payments, transitions
from payhub_core.models import PaymentStatus

__all__ = ["anomalies", "due_accounts", "history", "list_payments"]


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


def _raw(text: str) -> dict[str, Any]:
    raw = json.loads(text, parse_constant=str)  # NaN is no JSON, and would be none again
    if not isinstance(raw, dict):
        raise TypeError(f"expected an object, not {type(raw).__name__}")
    return raw
