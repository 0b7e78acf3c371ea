"""Who has seen to an anomaly, and heartbeats: when a pass was made, and which account answered it."""

import sqlalchemy as sa
from alembic.operations import Operations

from payhub_core.ledger.times import UtcTime

revision = "0003"

_UNCLEAR = sa.text("creation IN ('starting', 'unknown')")


def upgrade(op: Operations) -> None:
    """Changes the table of transitions, adds a table of heartbeats."""
    op.add_column("payhub_transitions", sa.Column("resolved_at", UtcTime))
    op.add_column("payhub_transitions", sa.Column("resolved_by", sa.Text))
    op.add_column("payhub_transitions", sa.Column("resolution", sa.Text))
    op.create_table(
        "payhub_heartbeats",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account", "kind", name="payhub_heartbeats_pk"),
    )
    op.create_index(
        "payhub_payments_unclear_ix",
        "payhub_payments",
        ["account", "created_at"],
        postgresql_where=_UNCLEAR,
        sqlite_where=_UNCLEAR,
    )
