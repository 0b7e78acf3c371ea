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


@ledger.command()
@config_option
@click.argument("account")
def retire(config: str | None, account: str) -> None:
    """Stop asking about the orders of ACCOUNT, for one that is gone for good.

    They stay as they are: see payhub payments list --account ACCOUNT.
    """
    with Ledger(read_config(config).ledger) as opened:
        count = opened.retire(account)
    Console().print(f"unsettled orders of {account} that are not asked about any more: {count}", highlight=False)
