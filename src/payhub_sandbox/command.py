"""``payhub sandbox``: runs the local gateway until it is told to stop."""

from __future__ import annotations

import errno
import os
import sqlite3
from datetime import datetime
from math import isfinite
from ssl import SSLError
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.panel import Panel

from payhub_sandbox.settings import MERCHANTS_VARIABLE, PUBLIC_MERCHANTS, Merchant, Settings

__all__ = ["sandbox"]

_DEFAULT = Settings()
_FILE = click.Path(exists=True, dir_okay=False)


class _Seconds(click.FloatRange):
    """So many seconds; "nan" is in every range, and "inf" never comes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if not isfinite(seconds):
            self.fail(f"expected a number of seconds, not {value!r}", param, ctx)
        return seconds


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} is not a time with an offset, like 2026-01-02T03:04:05+08:00")
    return moment


@click.command(context_settings={"show_default": True})
@click.option("--host", default=_DEFAULT.host, help="Address to listen on.")
@click.option("--port", default=8787, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes any free one.")
@click.option(
    "--base-url",
    default="",
    show_default=False,
    metavar="URL",
    help="Address that replies and pages name, if not the one bound.",
)
@click.option("--database", default=_DEFAULT.database, help="SQLite file that keeps the orders, or :memory: for none.")
@click.option(
    "--resend-interval",
    default=_DEFAULT.resend_interval,
    type=_Seconds(min=0),
    help="Seconds between two attempts at an unanswered notify.",
)
@click.option(
    "--resends",
    default=_DEFAULT.resends,
    type=click.IntRange(min=0),
    help="How often an unanswered notify is sent again.",
)
@click.option(
    "--notify-timeout",
    default=_DEFAULT.notify_timeout,
    type=_Seconds(min=0, min_open=True),
    help="Seconds the shop has to answer a notify.",
)
@click.option(
    "--fixed-clock",
    type=_moment,
    metavar="TIME",
    help="Stop the clock at this time and number orders from 1, for recordings that repeat.",
)
@click.option("--certfile", type=_FILE, help="Serve TLS with this certificate (PEM).")
@click.option("--keyfile", type=_FILE, help="The certificate's private key (PEM).")
@click.option(
    "--allow-remote", is_flag=True, help="Listen on, and send notifies and payers to, addresses beyond this machine."
)
def sandbox(**options: Any) -> None:
    """Run a local payment gateway that speaks the protocol and moves no money.

    Point an account's base_url at it, open the pay pages it hands out, and press a button: the shop gets the same
    signed notifies and returns as from the platform. Two merchants with public keys are ready: gpu10000000 and
    gpu10000001. For others set GPU_SANDBOX_MERCHANTS to JSON such as
    {"gpu10000002": {"secret": "...", "secret_placement": "last", "callback_empties": "drop"}}.

    The first line of output is "payhub sandbox ready on URL". Faults are armed by POST to /_sandbox/faults.
    """
    from payhub_sandbox.server import serve  # noqa: PLC0415  its packages are of no use to `payhub --help`

    try:
        serve(Settings(merchants=_merchants(), **options), _announce)
    except SSLError as error:
        said = "the certificate cannot be used. Hint: --certfile and --keyfile are PEM files that belong together"
        raise click.ClickException(said) from error
    except sqlite3.Error as error:
        said = f"the database {options['database']} cannot be used: {error}"
        raise click.ClickException(f"{said}. Hint: --database is a SQLite file in a folder that is there") from error
    except OSError as error:
        hint = " Hint: --port takes another; 0 is any that is free." if error.errno == errno.EADDRINUSE else ""
        raise click.ClickException(f"{error}.{hint}") from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _merchants() -> dict[str, Merchant]:
    text = os.environ.get(MERCHANTS_VARIABLE)
    if not text:
        return dict(PUBLIC_MERCHANTS)
    try:
        return TypeAdapter(dict[str, Merchant]).validate_json(text)
    except ValidationError as error:
        # The error itself quotes its input, and that holds secrets.
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        at = f" at {where}" if where else ""
        form = '{"gpu10000002": {"secret": "..."}}'
        raise click.ClickException(f"{MERCHANTS_VARIABLE} is malformed{at}. Hint: write JSON such as {form}") from None


def _announce(url: str, settings: Settings) -> None:
    click.echo(f"payhub sandbox ready on {url}")  # first and alone on its line: programs wait for it
    lines = [
        "[bold]SANDBOX[/bold]: a payment gateway that moves no money  沙箱环境",
        f"base_url  {settings.base_url}",
        *(f"appid     {appid}" for appid in settings.merchants),
        f"Orders and pay pages 订单与支付页: {url}/",
    ]
    Console().print(Panel.fit("\n".join(lines), border_style="yellow"))
