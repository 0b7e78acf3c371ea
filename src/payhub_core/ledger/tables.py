"""The tables, all named ``payhub_*``, so that they can live in the application's own database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

from payhub_core.ledger.rows import KEY, Row
from payhub_core.ledger.times import UtcTime

__all__ = ["UNCLEAR", "VERSION_TABLE", "heartbeats", "metadata", "observations", "payments", "transitions"]

VERSION_TABLE = "payhub_alembic_version"

#: Every constraint has a name of its own, so that migrations can speak of it.
metadata: MetaData = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
    }
)


def _columns() -> Iterator[Column[Any]]:
    """The columns of the fields of `Row`."""
    for name, hint in get_type_hints(Row, include_extras=True).items():
        nullable = get_origin(hint) is not Annotated
        annotated = get_args(hint)[0] if nullable else hint
        yield Column(name, get_args(annotated)[1], primary_key=name == "id", nullable=nullable)


#: On SQLite the number of a row that was deleted goes to the next one, unless it counts on: what is still held of the
#: one order, or was left of it, would be the other's.
payments: Table = Table(
    "payhub_payments", metadata, *_columns(), UniqueConstraint("account", "reference"), sqlite_autoincrement=True
)
_due = payments.c.next_check_at.is_not(None)
Index("payhub_payments_due_ix", payments.c.account, payments.c.next_check_at, postgresql_where=_due, sqlite_where=_due)
#: As it is written: a partial index serves only a query with the very same words.
UNCLEAR: TextClause = text("creation IN ('starting', 'unknown')")
Index(
    "payhub_payments_unclear_ix",
    payments.c.account,
    payments.c.created_at,
    postgresql_where=UNCLEAR,
    sqlite_where=UNCLEAR,
)

#: Append-only, but that a failure which comes again is counted: what came, when, from where. One that says nothing new
#: is not kept.
observations: Table = Table(
    "payhub_observations",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("payment_id", KEY, ForeignKey(payments.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    #: create, notify, query, refund, close or handler.
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
    Column("id", KEY, primary_key=True),
    Column("payment_id", KEY, ForeignKey(payments.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", String(48), nullable=False),
    Column("anomaly", Text),
    Column("at", UtcTime, nullable=False),
    Column("delivered_at", UtcTime),
    #: When it may be handed out (again), and how often it has been.
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    #: When, by whom and how an anomaly was seen to.
    Column("resolved_at", UtcTime),
    Column("resolved_by", Text),
    Column("resolution", Text),
    UniqueConstraint("payment_id", "name"),
)
_waiting = transitions.c.delivered_at.is_(None)
Index("payhub_transitions_waiting_ix", transitions.c.due_at, postgresql_where=_waiting, sqlite_where=_waiting)
_odd = transitions.c.anomaly.is_not(None)
Index("payhub_transitions_odd_ix", transitions.c.id, postgresql_where=_odd, sqlite_where=_odd)

#: The last heartbeat of each kind: "pass" for all accounts (""), "answered" and "unanswered" for each.
heartbeats: Table = Table(
    "payhub_heartbeats",
    metadata,
    Column("account", Text, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("text", Text, nullable=False),
)
