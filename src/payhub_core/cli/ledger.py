"""``payhub ledger``: care for the database."""

from __future__ import annotations

import click
from rich.console import Console

from payhub_core.cli.options import config_option, read_config
from payhub_core.ledger import Ledger

__all__ = ["ledger"]


@click.group()
def ledger() -> None:
    """Care for the database that payments are kept in."""


@ledger.command()
@config_option
def upgrade(config: str | None) -> None:
    """Create the tables, or bring them to this version."""
    with Ledger(read_config(config).ledger) as opened:
        opened.upgrade()
    Console().print("The ledger is ready.")
