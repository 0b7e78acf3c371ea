"""The first schema: payments, observations, transitions."""

import sqlalchemy as sa
from alembic.operations import Operations

from payhub_core.ledger.times import UtcTime

revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade(op: Operations) -> None:
    """Creates the tables."""
    op.create_table(
        "payhub_payments",
        sa.Column("id", _ID, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("order_json", sa.Text, nullable=False),
        sa.Column("order_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("gateway_id", sa.Text),
        sa.Column("paid_minor", sa.BigInteger),
        sa.Column("paid_at", UtcTime),
        sa.Column("next_action", sa.Text),
        sa.Column("next_check_at", UtcTime),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("lease_until", UtcTime),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="payhub_payments_pk"),
        sa.UniqueConstraint("account", "reference", name="payhub_payments_account_reference_uq"),
        sqlite_autoincrement=True,
    )
    _partial(op, "payhub_payments_due_ix", "payhub_payments", ["account", "next_check_at"], "next_check_at IS NOT NULL")
    op.create_table(
        "payhub_observations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("payment_id", _ID, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("said", sa.String(32), nullable=False),
        sa.Column("gateway_id", sa.Text),
        sa.Column("paid_minor", sa.BigInteger),
        sa.Column("raw", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="payhub_observations_pk"),
        _of_payment("payhub_observations"),
    )
    op.create_index("payhub_observations_payment_id_ix", "payhub_observations", ["payment_id"])
    op.create_table(
        "payhub_transitions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("payment_id", _ID, nullable=False),
        sa.Column("name", sa.String(48), nullable=False),
        sa.Column("anomaly", sa.Text),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("delivered_at", UtcTime),
        sa.Column("due_at", UtcTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="payhub_transitions_pk"),
        sa.UniqueConstraint("payment_id", "name", name="payhub_transitions_payment_id_name_uq"),
        _of_payment("payhub_transitions"),
    )
    _partial(op, "payhub_transitions_waiting_ix", "payhub_transitions", ["due_at"], "delivered_at IS NULL")
    _partial(op, "payhub_transitions_odd_ix", "payhub_transitions", ["id"], "anomaly IS NOT NULL")


def _of_payment(table: str) -> sa.ForeignKeyConstraint:
    name = f"{table}_payment_id_fk"
    return sa.ForeignKeyConstraint(["payment_id"], ["payhub_payments.id"], name=name, ondelete="CASCADE")


def _partial(op: Operations, name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))
