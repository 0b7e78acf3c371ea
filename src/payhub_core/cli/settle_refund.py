"""``payhub payments settle-refund``: note what a person has found out of a refund."""

from __future__ import annotations

import getpass

import click

from payhub_core.cli.options import check_account, config_option, json_option, print_json, read_config
from payhub_core.cli.tables import payment_json
from payhub_core.cli.words import named, say
from payhub_core.ledger import Ledger
from payhub_core.models import RefundStatus

__all__ = ["settle_refund"]


@click.command("settle-refund")
@config_option
@click.argument("account")
@click.argument("reference")
@click.argument("refund_reference")
@click.argument("end", metavar="END", type=click.Choice([RefundStatus.REFUNDED.value, RefundStatus.FAILED.value]))
@click.option("--by", default=getpass.getuser, help="Who has found it out; the user of this shell if not given.")
@click.option("--why", "reason", required=True, help="Where it was seen, such as the gateway's back office.")
@json_option
def settle_refund(
    *,
    config: str | None,
    account: str,
    reference: str,
    refund_reference: str,
    end: str,
    by: str,
    reason: str,
    as_json: bool,
) -> None:
    """Note what became of a refund whose end the gateway does not tell.

    END is refunded, where it went back, or failed, where it came to nothing. Nothing is sent. What becomes true by it
    waits in the outbox.
    """
    settings = read_config(config)
    with Ledger(settings.ledger) as ledger:
        check_account(account, settings, ledger)
        stored = ledger.settle_refund(account, reference, refund_reference, RefundStatus(end), by=by, reason=reason)
    if as_json:
        print_json(payment_json(stored))
    else:
        status = stored.payment.status.value
        click.echo(say(f"{account} {reference}: refund {refund_reference} is noted; the payment is {named(status)}"))
