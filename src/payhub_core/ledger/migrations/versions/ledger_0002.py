"""What became of creating a payment is named by its word; two orders are the same by what they say."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes the table of payments."""
    op.execute("ALTER TABLE payhub_payments RENAME COLUMN state TO creation")
    op.drop_column("payhub_payments", "order_hash")
