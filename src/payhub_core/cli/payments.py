"""``payhub payments``: what the ledger knows, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from payhub_core.cli.options import Command, config_option, json_option, print_json, read_config
from payhub_core.errors import PayhubError, plain
from payhub_core.ledger import Creation, Ledger, Observation, StoredPayment
from payhub_core.models import PaymentStatus
from payhub_core.money import Money

__all__ = ["payments"]

_WIDEST = 250


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
@click.option("--unsettled", is_flag=True, help="Only those that are still asked about.")
@limit_option
@json_option
def list_(
    *, config: str | None, account: str | None, status: str | None, unsettled: bool, limit: int, as_json: bool
) -> None:
    """List the newest payments."""
    with Ledger(read_config(config).ledger) as ledger:
        wanted = PaymentStatus(status) if status else None
        found = ledger.payments(account=account, status=wanted, unsettled=unsettled, limit=limit)
    _print_list(found, as_json=as_json)


@payments.command()
@config_option
@limit_option
@json_option
def anomalies(*, config: str | None, limit: int, as_json: bool) -> None:
    """List the payments with something odd about them."""
    with Ledger(read_config(config).ledger) as ledger:
        found = ledger.anomalies(limit=limit)
    _print_list(found, as_json=as_json)


@payments.command()
@config_option
@click.argument("account")
@click.argument("reference")
@json_option
def show(*, config: str | None, account: str, reference: str, as_json: bool) -> None:
    """Show one payment and what was heard about it."""
    with Ledger(read_config(config).ledger) as ledger:
        stored = ledger.payment(account, reference)
        if stored is None:
            raise PayhubError("no such order was started here", account=account, reference=reference)
        history = ledger.history(account, reference)
    currency = stored.payment.amount.currency if stored.payment.amount else ""
    if as_json:
        print_json({**_as_json(stored), "history": [_observation_as_json(item, currency) for item in history]})
        return
    payment = stored.payment
    facts = {
        "account": payment.account,
        "order": payment.reference,
        "status": payment.status.value,
        "creating it": stored.creation.value,
        "due": str(payment.amount),
        "paid": str(payment.paid or ""),
        "refunded": str(payment.refunded or ""),
        "gateway id": payment.gateway_id or "",
        "paid at": _when(payment.paid_at),
        "odd": ", ".join(str(anomaly) for anomaly in stored.anomalies),
        "asked next": _when(stored.next_check_at),
    }
    _print_table((), [(name, value) for name, value in facts.items() if value])
    rows = [(_when(item.at), item.source, _said(item), _sum(item, currency), item.gateway_id or "") for item in history]
    _print_table(("When", "From", "Said", "Paid", "Gateway id"), rows)


def _print_list(found: Sequence[StoredPayment], *, as_json: bool) -> None:
    if as_json:
        print_json([_as_json(stored) for stored in found])
    elif found:
        _print_table(("Account", "Order", "Status", "Paid / due", "Asked next", "Odd"), map(_cells, found))
    else:
        Console(stderr=True).print("There are no such payments.")


def _cells(stored: StoredPayment) -> Sequence[str]:
    payment = stored.payment
    made = "" if stored.creation is Creation.CREATED else f" ({stored.creation.value})"
    paid = f"{payment.paid.amount if payment.paid else 0} / {payment.amount}"
    odd = ", ".join(anomaly.name for anomaly in stored.anomalies)
    return payment.account, payment.reference, payment.status.value + made, paid, _from_now(stored.next_check_at), odd


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*columns, box=box.SIMPLE_HEAD if columns else None, show_header=bool(columns), padding=(0, 1, 0, 0))
    for row in rows:
        # Text, never markup: much of it was written by others.
        table.add_row(*(Text(plain(cell, 2000)) for cell in row))
    # As wide as it is, whatever the terminal: an id broken over two lines can be neither copied nor searched.
    console = Console(width=_WIDEST, color_system=None)
    with console.capture() as drawn:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def _as_json(stored: StoredPayment) -> dict[str, Any]:
    payment = stored.payment.model_dump(mode="json", exclude={"raw", "claimed_status", "next_action"})
    return {
        **payment,
        "created_at": _iso(stored.payment.created_at),
        "paid_at": _iso(stored.payment.paid_at),
        "expires_at": _iso(stored.payment.expires_at),
        "updated_at": _iso(stored.updated_at),
        "creation": stored.creation.value,
        "anomalies": [anomaly.name for anomaly in stored.anomalies],
        "attempts": stored.attempts,
        "next_check_at": _iso(stored.next_check_at),
    }


def _observation_as_json(item: Observation, currency: str) -> dict[str, Any]:
    return {
        "at": _iso(item.at),
        "source": item.source,
        "said": item.said,
        "gateway_id": item.gateway_id,
        "paid": None if item.paid_minor is None else {"minor": item.paid_minor, "currency": currency},
        "raw": item.raw,
    }


def _said(item: Observation) -> str:
    if item.source not in {"create", "refund", "close"}:
        return item.said
    # What payhub has written beside it.
    details = [str(item.raw[key]) for key in ("refund_reference", "amount", "reason") if key in item.raw]
    return f"{item.said}: {', '.join(details)}" if details else item.said


def _sum(item: Observation, currency: str) -> str:
    return "" if item.paid_minor is None else str(Money(item.paid_minor, currency))


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _when(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _from_now(time: datetime | None) -> str:
    if time is None:
        return ""
    seconds = max(int((time - datetime.now(UTC)).total_seconds()), 0)
    if seconds < 1:
        return "now"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"in {seconds // size} {unit}"
    return f"in {seconds} s"
