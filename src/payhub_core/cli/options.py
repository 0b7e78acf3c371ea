"""What several commands have in common: options, the configuration, the names of accounts, times."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from payhub_core.accounts import unknown_account
from payhub_core.config import Config, load_config
from payhub_core.errors import ConfigError

if TYPE_CHECKING:
    from payhub_core.ledger import Ledger

__all__ = [
    "Command",
    "age",
    "check_account",
    "config_option",
    "config_path",
    "json_alone",
    "json_option",
    "limit_option",
    "print_json",
    "read_config",
    "time",
]

DEFAULT_CONFIG = "payhub.toml"
_AGE = re.compile(r"([0-9]{1,6})(min|h|d)")

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


def limit_option(command: Command) -> Command:
    """The option ``--limit``."""
    return click.option(
        "--limit", type=click.IntRange(1, 10**9), default=20, show_default=True, help="How many at most."
    )(command)


def age(value: str) -> timedelta:
    """An age such as 30min, 12h or 7d; raises click.BadParameter."""
    found = _AGE.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"expected an age such as 30min, 12h or 7d, not {value!r}")
    return timedelta(**{{"min": "minutes", "h": "hours", "d": "days"}[found[2]]: int(found[1])})


def time(value: str) -> datetime:
    """A time, as ISO 8601 writes it, in UTC unless it says else; or an age such as 30min, 12h or 7d."""
    try:
        if _AGE.fullmatch(value):
            return datetime.now(UTC) - age(value)
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"expected a time such as 2026-01-31, 2026-01-31T12:00 or 7d, not {value!r}") from None


def read_config(path: str | None) -> Config:
    """The configuration a command was given."""
    config = load_config(config_path(path))
    if not config.source and not config.set_by:
        hint = "run it in the application's folder, or name the file with --config"
        raise ConfigError(f"there is no {DEFAULT_CONFIG} in {Path.cwd()}, and no PAYHUB_ variable is set", hint=hint)
    return config


def config_path(path: str | None) -> str | None:
    """The file it is read from, if any."""
    return DEFAULT_CONFIG if path is None and Path(DEFAULT_CONFIG).is_file() else path


def check_account(name: str | None, config: Config, ledger: Ledger) -> None:
    """Raises ConfigError for an account that neither the configuration nor the ledger knows: most often a slip."""
    if name is not None and name not in config.accounts:
        known = {*config.accounts, *ledger.accounts()}
        if name not in known:
            raise unknown_account(name, dict.fromkeys(known))


def json_alone(as_json: bool) -> AbstractContextManager[object]:
    """With JSON on stdout, what an application's handler prints goes to stderr meanwhile."""
    return redirect_stdout(sys.stderr) if as_json else nullcontext()


def print_json(value: object) -> None:
    """Prints JSON that any program reads: ASCII, and nothing that is no JSON."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))
