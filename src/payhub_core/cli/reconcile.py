"""``payhub reconcile``: ask the gateways about what is pending or unknown, once or for as long as it runs."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as ProgressBar

from payhub_core.accounts import load_accounts
from payhub_core.checkout import Checkout, Progress, Summary
from payhub_core.cli.options import config_option, read_config
from payhub_core.errors import ConfigError, LedgerError
from payhub_core.hub import Hub
from payhub_core.ledger import Ledger

__all__ = ["reconcile"]

POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command()
@config_option
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Leave out orders younger than so many seconds.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Ask about so many payments at most in a pass.",
)
@click.option("--rate", type=POSITIVE, default=10.0, show_default=True, help="Queries a second for each account.")
@click.option(
    "--handler",
    metavar="MODULE:FUNCTION",
    help="Called with each transition, in its transaction; without it they wait in the outbox."
    " The module is looked for in the current directory first.",
)
@click.option("--watch", is_flag=True, help="Go on until SIGTERM or Ctrl-C, after a pass that failed too.")
@click.option(
    "--every", type=POSITIVE, default=30.0, show_default=True, help="With --watch: seconds between two passes."
)
def reconcile(
    *, config: str | None, older_than: float, limit: int, rate: float, handler: str | None, watch: bool, every: float
) -> None:
    """Ask the gateways about payments that are pending or unknown.

    Safe to run in several places at once. Exits with status 1 where an account could not be asked, or a handler failed.
    """
    settings = read_config(config)
    # What no summary holds: the traceback of a handler that failed.
    logging.basicConfig(level=logging.ERROR, format="payhub: %(message)s")
    logging.getLogger("stamina").addHandler(logging.NullHandler())  # a retry is no news, what it comes to is
    with Hub(load_accounts(settings)) as hub, Ledger(settings.ledger) as ledger:
        checkout = Checkout(hub, ledger, handler=_imported(handler), routes=settings.routes)
        one_pass = partial(_one_pass, checkout, timedelta(seconds=older_than), limit, rate)
        if watch:
            _watch(one_pass, every)
        elif one_pass().errors:
            raise SystemExit(1)


def _watch(one_pass: Callable[[], Summary], every: float) -> None:
    """Passes until SIGTERM or Ctrl-C: it ends after the payments just asked about, and a second signal at once."""

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with suppress(KeyboardInterrupt):
        while True:
            try:
                one_pass()
            except LedgerError as error:
                _complain(str(error))
            time.sleep(every)


def _one_pass(checkout: Checkout, older_than: timedelta, limit: int, rate: float) -> Summary:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, lock = bar.add_task("asking the gateways", total=None), threading.Lock()

        def advance(progress: Progress) -> None:
            with lock:
                asked = f"{progress.account}: {progress.status}"
                bar.update(task, advance=1, total=min(progress.due, limit), description=asked)

        summary = checkout.reconcile(older_than=older_than, limit=limit, rate=rate, progress=advance)
    Console().print(
        f"asked {summary.asked}, changed {summary.changed}, paid {summary.paid}, unanswered {summary.unanswered}"
    )
    for _, reason in sorted(summary.errors.items()):
        _complain(reason)
    if checkout.ledger.outbox(limit=1):
        _complain("transitions wait in the outbox, no handler has had them: hand them out with Checkout.deliver")
    return summary


def _complain(reason: str) -> None:
    # One line however long, for logs and mails.
    Console(stderr=True).print(f"payhub: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)


def _imported(name: str | None) -> Any:
    if name is None:
        return None
    module, _, function = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # a console script's path begins at the folder it lies in
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"--handler: {name!r} cannot be imported: {error}") from None
    if not callable(found):
        raise ConfigError(f"--handler: {name!r} is no function")
    return found
