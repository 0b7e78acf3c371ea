"""``payhub outbox``: the transitions that no handler has had."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from inspect import signature
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from payhub_core.checkout import Checkout
from payhub_core.cli.imports import imported
from payhub_core.cli.options import config_option, json_alone, json_option, limit_option, print_json, read_config
from payhub_core.cli.tables import from_now, iso, print_table, remark, when
from payhub_core.cli.words import say
from payhub_core.errors import ConfigError
from payhub_core.hub import Hub
from payhub_core.ledger import Ledger, Transition
from payhub_core.ledger.outbox import make_due

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
        print_json({"waiting": [_as_json(it) for it in shown], "cut": cut})
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
    required=True,
    help="Called with each transition, at least once each. The module is looked for in the current directory first.",
)
@click.option("--now", is_flag=True, help="Those that failed and are to be tried later, too.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="How many at most.")
@json_option
def deliver(*, config: str | None, handler: str, now: bool, limit: int, as_json: bool) -> None:
    """Hand out what waits and is due.

    The handler takes the transition alone, and no connection. One that raises is called again later. Exit status 0: all
    that were handed out were taken; 1: one was not.
    """
    # What no figure holds: the traceback of a handler that failed.
    logging.basicConfig(level=logging.ERROR, format="payhub: %(message)s")
    called: Callable[[Transition], object] = imported("--handler", handler)
    _check_takes_one(called, handler)
    tried = 0
    console = Console(stderr=True)
    with (
        Ledger(read_config(config).ledger) as ledger,
        Hub({}) as hub,
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task(say("handing out"), total=None)

        def counted(transition: Transition) -> object:
            nonlocal tried
            tried += 1
            bar.update(task, advance=1, description=transition.id)
            with json_alone(as_json):
                return called(transition)

        if now:
            ledger.write(make_due)
        delivered = Checkout(hub, ledger).deliver(counted, limit=limit)
        left = bool(ledger.outbox(limit=1))
    if as_json:
        print_json({"delivered": delivered, "failed": tried - delivered, "waiting": left})
    else:
        click.echo(say(f"delivered {delivered}, failed {tried - delivered}"))
    if left and not as_json:
        remark(
            say(
                "payhub: transitions wait; those that failed before are due later, or by --now; see: payhub outbox list"
            )
        )
    if tried > delivered:
        sys.exit(1)


def _check_takes_one(called: Callable[..., object], name: str) -> None:
    """Raises ConfigError for a handler that would fail on each transition, and so put all of them off."""
    try:
        taken = signature(called)
    except ValueError:  # a builtin may have none
        return
    try:
        taken.bind(None)
    except TypeError:
        reason = f"--handler: expected a function of the transition alone, not {name!r} with {taken}"
        raise ConfigError(reason, hint="a checkout's own handler runs by payhub reconcile --checkout") from None


def _cells(transition: Transition) -> tuple[str, ...]:
    what = transition.anomaly.name if transition.anomaly else transition.payment.status.value
    if transition.status is not None:
        what = transition.status.value
    tried = str(transition.attempts), from_now(transition.due_at)
    return when(transition.at), transition.account, transition.reference, what, *tried


def _as_json(transition: Transition) -> dict[str, Any]:
    return {
        "id": transition.id,
        "account": transition.account,
        "reference": transition.reference,
        "at": iso(transition.at),
        "attempts": transition.attempts,
        "due_at": iso(transition.due_at),
    }
