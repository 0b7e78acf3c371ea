"""The migrations, oldest first. Listed and not looked for: a zip and a frozen program have no folder to look into."""

from payhub_core.ledger.migrations.versions import ledger_0001, ledger_0002, ledger_0003

__all__ = ["MIGRATIONS"]

MIGRATIONS = (ledger_0001, ledger_0002, ledger_0003)
