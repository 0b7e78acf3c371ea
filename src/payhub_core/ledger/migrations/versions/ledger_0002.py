"""Refunds, and until when a payment can be made; orders are compared by what they say; a plainer name."""

import sqlalchemy as sa
from alembic.operations import Operations

from payhub_core.ledger.times import UtcTime

revision = "0002"


def upgrade(op: Operations) -> None:
    """Changes the table of payments."""
    op.execute("ALTER TABLE payhub_payments RENAME COLUMN state TO creation")
    op.drop_column("payhub_payments", "order_hash")
    op.add_column("payhub_payments", sa.Column("refunded_minor", sa.BigInteger))
    op.add_column("payhub_payments", sa.Column("expires_at", UtcTime))
