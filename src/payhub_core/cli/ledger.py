"""``payhub ledger``, and how every command that needs the ledger opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from payhub_core.config import Config, load_config
from payhub_core.ledger import Ledger

__all__ = ["Command", "config_option", "ledger", "open_ledger", "read_config"]

DEFAULT_CONFIG = "payhub.toml"

Command = TypeVar("Command", bound=Callable[..., Any])


def config_option(command: Command) -> Command:
    """The option ``--config``."""
    option = click.option(
        "--config",
        metavar="FILE",
        help=f"The configuration; {DEFAULT_CONFIG} where there is one, or else the environment alone.",
    )
    return option(command)


def read_config(path: str | None) -> Config:
    """The configuration a command was given."""
    if path is None and Path(DEFAULT_CONFIG).is_file():
        path = DEFAULT_CONFIG
    return load_config(path)


def open_ledger(config: Config) -> Ledger:
    """The configured ledger; raises ConfigError where there is none."""
    return Ledger(config.ledger)


@click.group()
def ledger() -> None:
    """Care for the database that payments are kept in."""


@ledger.command()
@config_option
def upgrade(config: str | None) -> None:
    """Create the tables, or bring them to this version."""
    with open_ledger(read_config(config)) as opened:
        opened.upgrade()
    Console().print("The ledger is ready.")
