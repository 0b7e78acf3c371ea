"""``payhub payments``: what the ledger knows, as tables or as JSON."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import click

from payhub_core.cli.anomalies import anomalies, print_anomalies
from payhub_core.cli.options import (
    check_account,
    config_option,
    json_option,
    limit_option,
    print_json,
    read_config,
    time,
)
from payhub_core.cli.refresh import refresh
from payhub_core.cli.resolve import resolve
from payhub_core.cli.settle_refund import settle_refund
from payhub_core.cli.tables import (
    anomaly_json,
    iso,
    payment_json,
    print_payments,
    print_table,
    remark,
    status_of,
    transition_json,
    what,
)
from payhub_core.cli.words import named, say, tell
from payhub_core.errors import PayhubError
from payhub_core.ledger import Creation, Ledger, Observation, StoredPayment, Total, Transition
from payhub_core.ledger.queries import Wanted
from payhub_core.models import PaymentStatus
from payhub_core.money import Money
from payhub_core.times import when

__all__ = ["payments"]


@click.group()
def payments() -> None:
    """Look at stored payments, and see to them."""


@payments.command("list")
@config_option
@click.option("--account", help="Only those of this account.")
@click.option("--status", type=click.Choice([status.value for status in PaymentStatus]), help="Only those in it.")
@click.option("--state", type=click.Choice([it.value for it in Creation]), help="Only those whose creation came to it.")
@click.option("--since", type=time, metavar="TIME", help="Only those started since then: 2026-01-31, or 12h.")
@click.option("--until", type=time, metavar="TIME", help="Only those started before then.")
@click.option("--unsettled", is_flag=True, help="Only those that are still asked about.")
@click.option("--stuck", is_flag=True, help="Only those starting or unknown for a quarter of an hour.")
@limit_option
@json_option
def list_(
    *,
    config: str | None,
    account: str | None,
    status: str | None,
    state: str | None,
    since: datetime | None,
    until: datetime | None,
    unsettled: bool,
    stuck: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest payments, and what all of them come to."""
    settings = read_config(config)
    wanted: Wanted = {
        "account": account,
        "status": PaymentStatus(status) if status else None,
        "creation": Creation(state) if state else None,
        "since": since,
        "until": until,
        "unsettled": unsettled,
        "stuck": stuck,
    }
    with Ledger(settings.ledger) as ledger:
        check_account(account, settings, ledger)
        found, totals = ledger.payments(limit=limit, **wanted), ledger.totals(**wanted)
    _print_list(found, totals, as_json=as_json)


@payments.command()
@config_option
@click.argument("text")
@limit_option
@json_option
def find(*, config: str | None, text: str, limit: int, as_json: bool) -> None:
    """Find payments by TEXT, of whichever account.

    It is a part of the shop's order number or of a number that the gateway gave. Exit status 0: there are some; 1:
    there are none.
    """
    with Ledger(read_config(config).ledger) as ledger:
        found, totals = ledger.payments(limit=limit, text=text), ledger.totals(text=text)
    _print_list(found, totals, as_json=as_json)
    if not found:
        sys.exit(1)


@payments.command()
@config_option
@click.argument("account")
@click.argument("reference")
@json_option
def show(*, config: str | None, account: str, reference: str, as_json: bool) -> None:
    """Show one payment and what was heard about it."""
    settings = read_config(config)
    with Ledger(settings.ledger) as ledger:
        check_account(account, settings, ledger)
        stored = ledger.payment(account, reference)
        if stored is None:
            hint = f"see: payhub payments find {reference}"
            raise PayhubError("no such order was started here", hint=hint, account=account, reference=reference)
        history, odd = ledger.history(account, reference), ledger.anomalies_of(account, reference)
        became = ledger.transitions_of(account, reference)
    currency = stored.payment.amount.currency if stored.payment.amount else ""
    if as_json:
        shown = {
            "anomalies": [anomaly_json(it) for it in odd],
            "transitions": [transition_json(it) for it in became],
            "history": [_heard(item, currency) for item in history],
        }
        print_json({**payment_json(stored), **shown})
        return
    payment = stored.payment
    facts = {
        say("account"): payment.account,
        say("order"): payment.reference,
        say("status"): named(payment.status.value),
        say("creation"): named(stored.creation.value),
        say("due"): str(payment.amount),
        say("paid"): str(payment.paid or ""),
        say("refunded"): str(payment.refunded or ""),
        say("gateway id"): payment.gateway_id or "",
        say("started"): when(payment.created_at),
        say("payable until"): when(payment.expires_at),
        say("paid at"): when(payment.paid_at),
        say("changed"): when(stored.updated_at),
        say("asked"): say("1 time") if stored.attempts == 1 else say(f"{stored.attempts} times"),
        say("asked next"): when(stored.next_check_at) or say("no more"),
    }
    print_table("", [(name, value) for name, value in facts.items() if value])
    if odd:
        print_anomalies(odd)
    if became:
        print_table(say("When | What | Handler"), [(when(it.at), what(it), _had(it)) for it in became])
    rows = [
        (when(item.at), named(item.source), _said(item, payment.status), _sum(item, currency), item.gateway_id or "")
        for item in history
    ]
    print_table(say("When | From | Said | Paid | Gateway id"), rows)


payments.add_command(anomalies)
payments.add_command(refresh)
payments.add_command(resolve)
payments.add_command(settle_refund)


def _print_list(found: list[StoredPayment], totals: list[Total], *, as_json: bool) -> None:
    count = sum(total.count for total in totals)
    if as_json:
        print_json(
            {
                "payments": [payment_json(stored) for stored in found],
                "count": count,
                "cut": count > len(found),
                "totals": [_total(total) for total in totals],
            }
        )
        return
    if not found:
        remark(say("There are no such payments."))
        return
    print_payments(found)
    lines = [(str(it.count), status_of(it.status, it.creation), f"{it.paid.amount} / {it.due}") for it in totals]
    print_table(say("In all | Status | Paid / due"), lines)
    if count > len(found):
        remark(say(f"These are the newest {len(found)} of {count}; see --limit."))


def _total(total: Total) -> dict[str, Any]:
    return {
        "status": total.status.value,
        "creation": total.creation.value,
        "currency": total.due.currency,
        "count": total.count,
        "due_minor": total.due.minor,
        "paid_minor": total.paid.minor,
    }


def _heard(item: Observation, currency: str) -> dict[str, Any]:
    return {
        "at": iso(item.at),
        "source": item.source,
        "said": item.said,
        "gateway_id": item.gateway_id,
        "paid": None if item.paid_minor is None else {"minor": item.paid_minor, "currency": currency},
        "raw": item.raw,
    }


def _had(transition: Transition) -> str:
    """Whether a handler has had it, and how."""
    if transition.delivered_at is None:
        if transition.attempts == 1:
            return say("waits in the outbox, tried once")
        return say(f"waits in the outbox, tried {transition.attempts} times")
    if transition.attempts == 0:
        return say("had it when it was recorded")
    return say(f"had it from the outbox at {when(transition.delivered_at)}")


def _said(item: Observation, status: PaymentStatus) -> str:
    counted = isinstance(item.raw.get("times"), int) and "since" in item.raw
    # The words of a refund are not those of a payment.
    word = item.said if item.source == "refund" else named(item.said)
    if item.source not in {"create", "refund", "close"} and not counted:
        # Said by a query of an order that nobody has paid yet, it is a claim.
        claim = item.source == "query" and item.said == PaymentStatus.FAILED.value and status is PaymentStatus.PENDING
        return say(f"claims: {word}") if claim else word
    # What payhub has written beside it.
    written = ("refund_reference", "amount", "reason") if item.source == "refund" else ("reason",)
    details = [tell(str(item.raw[key])) for key in written if key in item.raw]
    times = item.raw["times"] if counted else 1
    said = say(f"{word} ({times} times since {item.raw['since'][:19]})") if times > 1 else word
    return f"{said}: {', '.join(details)}" if details else said


def _sum(item: Observation, currency: str) -> str:
    return "" if item.paid_minor is None else str(Money(item.paid_minor, currency))
