"""``payhub reconcile``: ask the gateways about what is pending or unknown, once or for as long as it runs."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as ProgressBar

from payhub_core.checkout import Progress, Summary
from payhub_core.cli.checkouts import OpenCheckout, checkout_options, open_checkout
from payhub_core.cli.options import age, config_option, json_alone
from payhub_core.cli.tables import remark
from payhub_core.cli.words import named, say, tell
from payhub_core.errors import LedgerError
from payhub_core.times import when

__all__ = ["reconcile"]

_TIME = "%Y-%m-%d %H:%M:%S"


def number(value: str) -> float:
    """A number above zero; raises click.BadParameter."""
    with suppress(ValueError):
        found = float(value)
        if 0 < found <= 10**9:
            return found
    raise click.BadParameter(f"expected a number above zero, such as 30, not {value}")


@click.command()
@config_option
@click.option("--older-than", type=age, default="0min", show_default=True, help="Leave out orders younger than this.")
@click.option(
    "--limit",
    type=click.IntRange(0, 10**9),
    default=1000,
    show_default=True,
    help="Ask about so many payments at most in a pass.",
)
@click.option("--rate", type=number, default=10.0, show_default=True, help="Queries a second for each account.")
@click.option("--account", help="Ask about the payments of this account alone.")
@checkout_options
@click.option("--watch", is_flag=True, help="Go on until SIGTERM or Ctrl-C, after a pass that failed too.")
@click.option(
    "--every",
    type=number,
    help="With --watch: seconds between two passes, and for one at most; 30 where nothing is said.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each pass.")
def reconcile(
    *,
    config: str | None,
    older_than: timedelta,
    limit: int,
    rate: float,
    account: str | None,
    handler: str | None,
    checkout: str | None,
    watch: bool,
    every: float | None,
    as_json: bool,
) -> None:
    """Ask the gateways about payments that are pending or unknown.

    Safe to run in several places at once. Exit status 0: all accounts were asked; 1: one could not be, or a handler
    failed.
    """
    if every is not None and not watch:
        raise click.UsageError("--every goes with --watch")
    # What no summary holds: the traceback of a handler that failed.
    _log(stamped=watch)
    with open_checkout(config, handler, checkout) as opened:
        opened.check_account(account)
        for name in opened.hints():
            if account in {None, name}:
                it = (
                    f"account {name} is asked over plain http: "
                    "what it answers proves nothing, so nothing can settle by it"
                )
                remark(f"payhub: {say(it)}")
        pause = (every or 30.0) if watch else None
        # Or one slow gateway would keep the other accounts waiting for the next pass.
        time_limit = None if pause is None else timedelta(seconds=pause)
        asked = partial(
            opened.do, "reconcile", older_than=older_than, rate=rate, account=account, time_limit=time_limit
        )
        one_pass = partial(_one_pass, opened, asked, limit, stamped=watch, as_json=as_json)
        if pause is not None:
            _watch(one_pass, pause)
        elif one_pass().errors:
            raise SystemExit(1)


def _log(*, stamped: bool) -> None:
    formatter = logging.Formatter("payhub: %(asctime)s UTC %(message)s" if stamped else "payhub: %(message)s", _TIME)
    formatter.converter = time.gmtime
    heard = logging.StreamHandler()
    heard.setFormatter(formatter)
    logging.basicConfig(level=logging.ERROR, handlers=[heard])


def _stamp() -> str:
    return f"{when(datetime.now(UTC))} "


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
                _complain(f"{_stamp()}{tell(str(error))}")
            time.sleep(every)


def _one_pass(
    opened: OpenCheckout, reconcile: Callable[..., Summary], limit: int, *, stamped: bool, as_json: bool
) -> Summary:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, lock = bar.add_task(say("asking the gateways"), total=None), threading.Lock()

        def advance(progress: Progress) -> None:
            with lock:
                asked = f"{progress.account}: {named(progress.status)}"
                bar.update(task, advance=1, total=min(progress.due, limit), description=asked)

        with json_alone(as_json):
            summary = reconcile(limit=limit, progress=advance)
    waiting = bool(opened.look("outbox", limit=1))
    if as_json:
        click.echo(json.dumps({"at": datetime.now(UTC).isoformat(), **asdict(summary), "waiting": waiting}))
        return summary
    stamp = _stamp() if stamped else ""
    failed = say(f", handler failed {summary.handler_failed}") if summary.handler_failed else ""
    due = say(f", still due {summary.due}") if summary.due else ""
    figures = f"asked {summary.asked}, changed {summary.changed}, paid {summary.paid}, unanswered {summary.unanswered}"
    click.echo(f"{stamp}{say(figures)}{failed}{due}")
    for _, reason in sorted(summary.errors.items()):
        _complain(stamp + tell(reason))
    if waiting:
        _complain(stamp + say("transitions wait in the outbox, no handler has had them; see: payhub outbox list"))
    return summary


def _complain(reason: str) -> None:
    # One line however long, for logs and mails.
    Console(stderr=True).print(f"payhub: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
