"""``payhub payments``: what the ledger knows, as tables or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from payhub_core.cli.ledger import Command, config_option, open_ledger, read_config
from payhub_core.errors import PayhubError, plain
from payhub_core.ledger import Observation, StoredPayment
from payhub_core.models import PaymentStatus
from payhub_core.money import Money

__all__ = ["payments"]


def json_option(command: Command) -> Command:
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def limit_option(command: Command) -> Command:
    """The option ``--limit``."""
    return click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")(
        command
    )


@click.group()
def payments() -> None:
    """Look at stored payments."""


@payments.command("list")
@config_option
@click.option("--account", help="Only those of this account.")
@click.option("--status", type=click.Choice([status.value for status in PaymentStatus]), help="Only those in it.")
@limit_option
@json_option
def list_(*, config: str | None, account: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List the newest payments."""
    with open_ledger(read_config(config)) as ledger:
        found = ledger.payments(account=account, status=PaymentStatus(status) if status else None, limit=limit)
    _show(found, as_json=as_json)


@payments.command()
@config_option
@limit_option
@json_option
def anomalies(*, config: str | None, limit: int, as_json: bool) -> None:
    """List the payments with something odd about them."""
    with open_ledger(read_config(config)) as ledger:
        found = ledger.anomalies(limit=limit)
    _show(found, as_json=as_json)


@payments.command()
@config_option
@click.argument("account")
@click.argument("reference")
@json_option
def show(*, config: str | None, account: str, reference: str, as_json: bool) -> None:
    """Show one payment and what was heard about it."""
    with open_ledger(read_config(config)) as ledger:
        stored = ledger.payment(account, reference)
        if stored is None:
            raise PayhubError("no such order was started here", account=account, reference=reference)
        history = ledger.history(account, reference)
    if as_json:
        _print_json({**_plain(stored), "history": [_observed(item) for item in history]})
        return
    _show([stored], as_json=False)
    due = stored.payment.amount
    rows = []
    for item in history:
        paid = "" if item.paid_minor is None or due is None else str(Money(item.paid_minor, due.currency))
        rows.append((_when(item.at), item.source, _reason(item), item.gateway_id or "", paid))
    _print_table(("When (UTC)", "From", "Said", "Gateway id", "Paid"), rows, title="History")


def _show(found: Sequence[StoredPayment], *, as_json: bool) -> None:
    if as_json:
        _print_json([_plain(stored) for stored in found])
        return
    rows = [
        (
            stored.payment.account,
            stored.payment.reference,
            stored.payment.status.value,
            stored.state.value,
            str(stored.payment.amount),
            str(stored.payment.paid or ""),
            ", ".join(anomaly.name for anomaly in stored.anomalies),
            _when(stored.next_check_at),
        )
        for stored in found
    ]
    _print_table(("Account", "Reference", "Status", "State", "Due", "Paid", "Anomalies", "Asked next (UTC)"), rows)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")  # nothing is left out where it is narrow
    for row in rows:
        # Text, never markup: much of it was written by others.
        table.add_row(*(Text(plain(cell, 2000)) for cell in row))
    Console().print(table)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _plain(stored: StoredPayment) -> dict[str, Any]:
    payment = stored.payment.model_dump(mode="json", exclude={"raw", "claimed_status", "next_action"})
    return {
        **payment,
        "state": stored.state.value,
        "anomalies": [anomaly.name for anomaly in stored.anomalies],
        "attempts": stored.attempts,
        "next_check_at": stored.next_check_at and stored.next_check_at.isoformat(),
    }


def _observed(item: Observation) -> dict[str, Any]:
    return {
        "at": item.at.isoformat(),
        "source": item.source,
        "said": item.said,
        "gateway_id": item.gateway_id,
        "paid_minor": item.paid_minor,
        "raw": item.raw,
    }


def _reason(item: Observation) -> str:
    reason = item.raw.get("reason") if item.source == "create" else None
    return f"{item.said}: {reason}" if reason else item.said


def _when(time: datetime | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S") if time else ""
