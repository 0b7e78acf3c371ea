"""``payhub outbox``: the transitions that no handler has had."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from inspect import signature

import click
from rich.console import Console
from rich.progress import Progress

from payhub_core.cli.checkouts import open_checkout
from payhub_core.cli.imports import imported
from payhub_core.cli.options import config_option, json_alone, json_option, limit_option, print_json, read_config
from payhub_core.cli.tables import from_now, print_table, remark, transition_json, what
from payhub_core.cli.words import say
from payhub_core.errors import ConfigError
from payhub_core.ledger import Ledger, Transition
from payhub_core.ledger.outbox import make_due
from payhub_core.times import when

__all__ = ["outbox"]


@click.group()
def outbox() -> None:
    """See to the transitions that no handler has had."""


@outbox.command("list")
@config_option
@limit_option
@json_option
def list_(*, config: str | None, limit: int, as_json: bool) -> None:
    """List what waits, the oldest first.

    Exit status 0: nothing waits; 1: something does.
    """
    with Ledger(read_config(config).ledger) as ledger:
        found = ledger.outbox(limit=limit + 1)
    shown, cut = found[:limit], len(found) > limit
    if as_json:
        print_json({"waiting": [transition_json(it) for it in shown], "cut": cut})
    elif shown:
        print_table(say("Since | Account | Order | What | Tried | Tried next"), [_cells(it) for it in shown])
    else:
        remark(say("Nothing waits."))
    if cut and not as_json:
        remark(say(f"There are more: these are the oldest {limit}; see --limit."))
    if shown:
        sys.exit(1)


@outbox.command()
@config_option
@click.option(
    "--handler",
    metavar="MODULE:FUNCTION",
    help="Called with each transition alone, at least once each. The module is looked for in the current directory"
    " first.",
)
@click.option(
    "--checkout",
    metavar="MODULE:NAME",
    help="The application's own Checkout or AsyncCheckout, in place of --config and --handler: its own handler has each"
    " once, in its transaction.",
)
@click.option("--now", is_flag=True, help="Those that failed and are to be tried later, too.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="How many at most.")
@json_option
def deliver(
    *, config: str | None, handler: str | None, checkout: str | None, now: bool, limit: int, as_json: bool
) -> None:
    """Hand out what waits and is due.

    By --handler to a function, or by --checkout to the application's own handler. One that raises is called again
    later. Exit status 0: all were taken; 1: one was not, or still waits since it failed before or by --limit.
    """
    # What no figure holds: the traceback of a handler that failed.
    logging.basicConfig(level=logging.ERROR, format="payhub: %(message)s")
    if handler is None and checkout is None:
        raise click.UsageError("--handler or --checkout is needed: who is to have them.")
    tried = 0
    console = Console(stderr=True)
    called = None if handler is None or checkout else _taking_one(handler)
    with (
        open_checkout(config, handler if checkout else None, checkout) as opened,
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task(say("handing out"), total=None)

        def count(transition: Transition) -> None:
            nonlocal tried
            tried += 1
            bar.update(task, advance=1, description=transition.id)

        if now:
            opened.look("write", make_due)
        with json_alone(as_json):
            delivered = opened.do("deliver", called, limit=limit, progress=count)
        # The oldest. One that was never tried, with all due ones handed out, has come this moment: no matter yet.
        left = any(it.attempts or tried >= limit for it in opened.look("outbox", limit=1))
        now_due = tried >= limit and any(
            it.due_at <= datetime.now(UTC) for it in opened.look("outbox", limit=limit + 1)
        )
    if as_json:
        print_json({"delivered": delivered, "failed": tried - delivered, "waiting": left})
    else:
        click.echo(say(f"delivered {delivered}, failed {tried - delivered}"))
    if now_due and not as_json:
        remark(say("payhub: more transitions are due than --limit takes: run it again; see: payhub outbox list"))
    elif left and not as_json:
        remark(
            say(
                "payhub: transitions wait; those that failed before are due later, or by --now; see: payhub outbox list"
            )
        )
    if left or tried > delivered:
        sys.exit(1)


def _taking_one(name: str) -> Callable[[Transition], object]:
    """The function of that ``name``; raises ConfigError for one that would fail on each transition, putting all off."""
    called: Callable[[Transition], object] = imported("--handler", name)
    try:
        taken = signature(called)
    except ValueError:  # a builtin may have none
        return called
    try:
        taken.bind(None)
    except TypeError:
        reason = f"--handler: expected a function of the transition alone, not {name!r} with {taken}"
        hint = "a checkout's own handler, which takes a connection too, has them by --checkout MODULE:NAME"
        raise ConfigError(reason, hint=hint) from None
    return called


def _cells(transition: Transition) -> tuple[str, ...]:
    tried = str(transition.attempts), from_now(transition.due_at)
    return when(transition.at), transition.account, transition.reference, what(transition), *tried
