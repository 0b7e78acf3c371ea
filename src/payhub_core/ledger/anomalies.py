"""Anomalies: what is odd about the payments, since when, and who has seen to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, or_, select, update
from sqlalchemy import Row as SqlRow

from payhub_core.errors import InvalidOrder
from payhub_core.ledger.arguments import check_aware, check_limit, check_word
from payhub_core.ledger.facts import AnomalyKind
from payhub_core.ledger.history import noted
from payhub_core.ledger.models import StoredAnomaly
from payhub_core.ledger.outbox import parse_anomaly
from payhub_core.ledger.rows import foreign
from payhub_core.ledger.tables import payments, transitions
from payhub_core.ledger.times import moment

__all__ = ["anomalies", "anomalies_of", "resolve"]


def anomalies(
    connection: Connection,
    *,
    account: str | None = None,
    kind: AnomalyKind | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    resolved: bool = False,
    limit: int = 100,
) -> list[StoredAnomaly]:
    """The open anomalies, those found out last first; with ``resolved`` the others, too."""
    check_aware(since=since, until=until)
    check_limit(limit)
    check_word(AnomalyKind, kind=kind)
    query = _anomalies().order_by(transitions.c.id.desc()).limit(limit)
    if account is not None:
        query = query.where(payments.c.account == account)
    if kind is not None:
        query = query.where(or_(transitions.c.name == str(kind), transitions.c.name.startswith(f"{kind}:")))
    if since is not None:
        query = query.where(transitions.c.at >= since)
    if until is not None:
        query = query.where(transitions.c.at < until)
    if not resolved:
        query = query.where(transitions.c.resolved_at.is_(None))
    return [_stored(row) for row in connection.execute(query)]


def anomalies_of(connection: Connection, account: str, reference: str) -> list[StoredAnomaly]:
    """All anomalies of one payment, oldest first."""
    one = (payments.c.account == account, payments.c.reference == reference)
    return [_stored(row) for row in connection.execute(_anomalies().where(*one).order_by(transitions.c.id))]


def resolve(connection: Connection, account: str, reference: str, name: str | None, *, by: str, reason: str) -> int:
    """Notes who has seen to a payment's open anomalies, or to the one of that ``name``; returns to how many."""
    by, reason = noted(by), noted(reason)
    if not by or not reason:
        about = {"account": account, "reference": reference}
        raise InvalidOrder("expected who has resolved the anomaly, and why", **about)
    one = select(payments.c.id).where(payments.c.account == account, payments.c.reference == reference)
    odd = (transitions.c.anomaly.is_not(None), transitions.c.resolved_at.is_(None))
    query = update(transitions).where(transitions.c.payment_id.in_(one), *odd)
    if name is not None:
        query = query.where(transitions.c.name == name)
    values = {"resolved_at": datetime.now(UTC), "resolved_by": by, "resolution": reason}
    return connection.execute(query.values(values)).rowcount


def _anomalies() -> Select[Any]:
    return (
        select(
            payments.c.account,
            payments.c.reference,
            payments.c.currency,
            transitions.c.name,
            transitions.c.anomaly,
            transitions.c.at,
            transitions.c.resolved_at,
            transitions.c.resolved_by,
            transitions.c.resolution,
        )
        .join(payments, payments.c.id == transitions.c.payment_id)
        .where(transitions.c.anomaly.is_not(None))
    )


def _stored(row: SqlRow[Any]) -> StoredAnomaly:
    try:
        anomaly = parse_anomaly(row.name, row.anomaly, row.currency)
        resolved_at = None if row.resolved_at is None else moment(row.resolved_at)
        return StoredAnomaly(
            row.account, row.reference, anomaly, moment(row.at), resolved_at, row.resolved_by, row.resolution
        )
    except (ValueError, TypeError, InvalidOrder):
        raise foreign("an anomaly", row.account, row.reference) from None
