"""Runs the migrations over the connection that the ledger hands over; they have a version table of their own."""

from alembic import context

from payhub_core.ledger.tables import VERSION_TABLE, metadata

__all__: list[str] = []

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
context.run_migrations()
