"""Tables and JSON: how the commands show times, payments and anomalies."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from payhub_core.cli.words import chinese, named, say
from payhub_core.errors import plain
from payhub_core.money import Money
from payhub_core.times import when

if TYPE_CHECKING:
    from payhub_core.ledger import Creation, StoredAnomaly, StoredPayment, Transition
    from payhub_core.models import Payment, PaymentStatus

__all__ = [
    "anomaly_json",
    "from_now",
    "iso",
    "payment_json",
    "print_payments",
    "print_table",
    "remark",
    "status_of",
    "transition_json",
    "what",
]

_WIDEST = 250
#: Between two columns, before the first line of a row, and before each further one.
_GAP, _MARGIN, _INDENT = "  ", " ", "     "


def print_table(head: str, rows: Iterable[Sequence[str]]) -> None:
    """Prints a table; ``head`` names its columns, with " | " between two.

    On a terminal that is too narrow for it each row has several lines: nothing is cut, and no terminal breaks an id.
    """
    columns = head.split(" | ") if head else []
    cells = [[plain(cell, 2000) for cell in row] for row in rows]
    if columns and sys.stdout.isatty() and len(lines := _folded([columns, *cells], get_terminal_size().columns)) > 1:
        _print_folded(lines, columns, cells)
        return
    table = Table(*columns, box=box.SIMPLE_HEAD if columns else None, show_header=bool(columns), padding=(0, 1, 0, 0))
    for row in cells:
        # Text, never markup: much of it was written by others.
        table.add_row(*map(Text, row))
    # As wide as it is, whatever the terminal: an id broken over two lines can be neither copied nor searched.
    console = Console(width=_WIDEST, color_system=None)
    with console.capture() as drawn:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def _folded(rows: Sequence[Sequence[str]], room: int) -> list[dict[int, int]]:
    """The columns of each line, by number and width, so that no line is wider than ``room`` unless one cell is."""
    lines: list[dict[int, int]] = [{}]
    for column, cells in enumerate(zip(*rows, strict=True)):
        width = max(map(cell_len, cells))
        if lines[-1] and len(_INDENT) + sum(lines[-1].values()) + len(_GAP) * len(lines[-1]) + width > room:
            lines.append({})
        lines[-1][column] = width
    return lines


def _print_folded(lines: list[dict[int, int]], head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    click.echo()
    for row in [head, *rows]:
        for place, columns in enumerate(lines):
            cells = [row[column] + " " * (width - cell_len(row[column])) for column, width in columns.items()]
            line = f"{_INDENT if place else _MARGIN}{_GAP.join(cells)}".rstrip()
            if line.strip():
                click.echo(line)
        if row is head:
            click.echo(_MARGIN + "─" * max(sum(columns.values()) + len(_GAP) * len(columns) for columns in lines))
    click.echo()


def remark(text: str) -> None:
    """Prints a line that is no part of the result, however long it is."""
    click.echo(plain(text, 2000), err=True)


def print_payments(found: Iterable[StoredPayment]) -> None:
    """A table of payments."""
    head = say("Started | Account | Order | Status | Paid / due | Asked | Asked next | Anomaly")
    print_table(head, _payment_rows(found))


def _payment_rows(found: Iterable[StoredPayment]) -> Iterable[Sequence[str]]:
    for stored in found:
        payment = stored.payment
        yield (
            when(payment.created_at),
            payment.account,
            payment.reference,
            status_of(payment.status, stored.creation),
            _paid_of_due(payment),
            str(stored.attempts),
            from_now(stored.next_check_at),
            ", ".join(named(anomaly.name) for anomaly in stored.anomalies),
        )


def _paid_of_due(payment: Payment) -> str:
    """What was paid and what is due, with the same decimals."""
    due = payment.amount
    none = Money(0, due.currency).amount if due else 0
    return f"{payment.paid.amount if payment.paid else none} / {due}"


def status_of(status: PaymentStatus, creation: Creation) -> str:
    """A payment's status, with what became of creating it where that is not certain to have gone well."""
    if creation == "created":
        return named(status.value)
    words = named(status.value), named(creation.value)
    return "，".join(words) if chinese() else "{} ({})".format(*words)


def payment_json(stored: StoredPayment) -> dict[str, Any]:
    """A payment, and what the ledger knows besides."""
    payment = stored.payment.model_dump(mode="json", exclude={"raw", "claimed_status", "next_action"})
    return {
        **payment,
        "created_at": iso(stored.payment.created_at),
        "paid_at": iso(stored.payment.paid_at),
        "expires_at": iso(stored.payment.expires_at),
        "updated_at": iso(stored.updated_at),
        "creation": stored.creation.value,
        "anomalies": [anomaly.name for anomaly in stored.anomalies],
        "attempts": stored.attempts,
        "next_check_at": iso(stored.next_check_at),
    }


def anomaly_json(stored: StoredAnomaly) -> dict[str, Any]:
    """An anomaly, and who has seen to it."""
    anomaly = stored.anomaly
    return {
        "at": iso(stored.at),
        "account": stored.account,
        "reference": stored.reference,
        "kind": anomaly.kind.value,
        "name": anomaly.name,
        "received": {"minor": anomaly.received.minor, "currency": anomaly.received.currency},
        "due": {"minor": anomaly.due.minor, "currency": anomaly.due.currency},
        "gateway_ids": list(anomaly.gateway_ids),
        "resolved_at": iso(stored.resolved_at),
        "resolved_by": stored.resolved_by,
        "resolution": stored.resolution,
    }


def transition_json(transition: Transition) -> dict[str, Any]:
    """A transition, and whether a handler has had it."""
    return {
        "id": transition.id,
        "account": transition.account,
        "reference": transition.reference,
        "at": iso(transition.at),
        "attempts": transition.attempts,
        "due_at": iso(transition.due_at),
        "delivered_at": iso(transition.delivered_at),
    }


def what(transition: Transition) -> str:
    """What became true: the status or the anomaly."""
    status = transition.status or transition.payment.status
    return named(transition.anomaly.name if transition.anomaly else status.value)


def iso(time: datetime | None) -> str | None:
    """A time for programs."""
    return None if time is None else time.isoformat()


def from_now(time: datetime | None) -> str:
    """How far away a time is."""
    if time is None:
        return ""
    seconds = max(int((time - datetime.now(UTC)).total_seconds()), 0)
    if seconds < 1:
        return say("now")
    unit, size = next(it for it in zip(say("h | min | s").split(" | "), (3600, 60, 1), strict=True) if seconds >= it[1])
    return say(f"in {seconds // size} {unit}")
