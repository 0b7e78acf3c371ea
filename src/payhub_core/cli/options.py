"""What several commands have in common: ``--config`` and ``--json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from payhub_core.config import Config, load_config

__all__ = ["Command", "config_option", "json_option", "print_json", "read_config"]

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


def json_option(command: Command) -> Command:
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def read_config(path: str | None) -> Config:
    """The configuration a command was given."""
    if path is None and Path(DEFAULT_CONFIG).is_file():
        path = DEFAULT_CONFIG
    return load_config(path)


def print_json(value: object) -> None:
    """Prints JSON that any program reads: ASCII, and nothing that is no JSON."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))
