"""The tables, all named ``payhub_*``, so that they can live in the application's own database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

__all__ = [
    "VERSION_TABLE",
    "UtcTime",
    "metadata",
    "moment",
    "observations",
    "payments",
    "transitions",
    "utc",
    "utc_text",
]

VERSION_TABLE = "payhub_alembic_version"


class UtcTime(TypeDecorator[datetime]):
    """An aware time: ``timestamptz``, or ISO 8601 text in UTC where the database has no such type."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = String(32) if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        return value if value is None or dialect.name != "sqlite" else utc_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        try:
            return utc(value)
        except ValueError:
            unread: datetime | None = value  # whoever reads the row knows which one it is, and says so
            return unread


def utc_text(time: datetime) -> str:
    """A time as SQLite keeps it: text that sorts as the times do."""
    return (time if time.tzinfo is UTC else time.astimezone(UTC)).isoformat(timespec="microseconds")


def utc(value: object) -> datetime | None:
    """A time of either database, aware and in UTC."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.astimezone(UTC) if isinstance(time, datetime) else None


def moment(value: object) -> datetime:
    """As `utc`, for a time that there is; raises ValueError where there is none."""
    time = utc(value)
    if time is None:
        raise ValueError("expected a time")
    return time


_ID = BigInteger().with_variant(Integer, "sqlite")

#: Every constraint has a name of its own, so that migrations can speak of it.
metadata: MetaData = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
    }
)

payments: Table = Table(
    "payhub_payments",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("account", Text, nullable=False),
    Column("reference", String(64), nullable=False),
    Column("provider", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("order_json", Text, nullable=False),
    Column("order_hash", String(64), nullable=False),
    #: What became of creating it: starting, created, not_sent, refused or unknown.
    Column("state", String(16), nullable=False),
    #: A projection of the facts, as are the three columns after them.
    Column("status", String(32), nullable=False),
    Column("facts", Text, nullable=False),
    Column("gateway_id", Text),
    Column("paid_minor", BigInteger),
    Column("paid_at", UtcTime),
    Column("next_action", Text),
    #: When to ask the gateway next; NULL where there is nothing to ask.
    Column("next_check_at", UtcTime),
    Column("attempts", Integer, nullable=False),
    #: Who is talking to the gateway about it right now, and until when that holds.
    Column("lease", String(32)),
    Column("lease_until", UtcTime),
    #: Counts the changes; every change is conditional on it.
    Column("version", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("account", "reference"),
)
_due = payments.c.next_check_at.is_not(None)
Index("payhub_payments_due_ix", payments.c.account, payments.c.next_check_at, postgresql_where=_due, sqlite_where=_due)

#: Append-only: what came, when, from where. One that says nothing new is not kept.
observations: Table = Table(
    "payhub_observations",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("payment_id", _ID, ForeignKey(payments.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    #: create, notify or query.
    Column("source", String(16), nullable=False),
    Column("said", String(32), nullable=False),
    Column("gateway_id", Text),
    Column("paid_minor", BigInteger),
    Column("raw", Text, nullable=False),
)

#: The outbox: each thing that became true of a payment, once.
transitions: Table = Table(
    "payhub_transitions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("payment_id", _ID, ForeignKey(payments.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", String(48), nullable=False),
    Column("anomaly", Text),
    Column("at", UtcTime, nullable=False),
    Column("delivered_at", UtcTime),
    #: When it may be handed out (again), and how often it has been.
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    UniqueConstraint("payment_id", "name"),
)
_waiting = transitions.c.delivered_at.is_(None)
Index("payhub_transitions_waiting_ix", transitions.c.due_at, postgresql_where=_waiting, sqlite_where=_waiting)
_odd = transitions.c.anomaly.is_not(None)
Index("payhub_transitions_odd_ix", transitions.c.id, postgresql_where=_odd, sqlite_where=_odd)
