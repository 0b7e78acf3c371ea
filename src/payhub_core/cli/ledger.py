"""``payhub ledger``: care for the database."""

from __future__ import annotations

import click

from payhub_core.cli.options import check_account, config_option, json_option, print_json, read_config
from payhub_core.cli.words import say
from payhub_core.errors import ConfigError
from payhub_core.ledger import Ledger
from payhub_core.ledger.database import SCHEMA

__all__ = ["ledger"]


@click.group()
def ledger() -> None:
    """Care for the database that payments are kept in."""


@ledger.command()
@config_option
@json_option
def upgrade(*, config: str | None, as_json: bool) -> None:
    """Create the tables, or bring them to this version."""
    with Ledger(read_config(config).ledger) as opened:
        was = opened.upgrade()
    if as_json:
        print_json({"schema": SCHEMA, "was": was or None})
    elif was == SCHEMA:
        click.echo(say(f"The ledger is ready: schema {SCHEMA}."))
    elif was:
        click.echo(say(f"The ledger is ready: schema {SCHEMA}, it was {was}."))
    else:
        click.echo(say(f"The ledger is ready: schema {SCHEMA}, it is new."))


@ledger.command()
@config_option
@click.argument("account")
@json_option
def retire(*, config: str | None, account: str, as_json: bool) -> None:
    """Stop asking about the orders of ACCOUNT, for one that is gone for good.

    They stay as they are: see payhub payments list --account ACCOUNT.
    """
    settings = read_config(config)
    with Ledger(settings.ledger) as opened:
        check_account(account, settings, opened)
        if account in settings.accounts:
            raise ConfigError(
                f"the account {account!r} is configured, so its orders can still be asked about",
                hint="take it out of the configuration first, where it is gone for good",
            )
        count = opened.retire(account)
    if as_json:
        print_json({"account": account, "unsettled": count})
    else:
        click.echo(say(f"unsettled orders of {account} that are not asked about any more: {count}"))
