"""``payhub payments refresh``: ask the gateway about one order now."""

from __future__ import annotations

import logging

import click

from payhub_core.cli.checkouts import checkout_options, open_checkout
from payhub_core.cli.options import config_option, json_alone, json_option, print_json
from payhub_core.cli.tables import payment_json, remark
from payhub_core.cli.words import named, say
from payhub_core.errors import PayhubError, words_of
from payhub_core.ledger import StoredPayment
from payhub_core.models import Payment, PaymentStatus

__all__ = ["refresh"]


@click.command()
@config_option
@click.argument("account")
@click.argument("reference")
@checkout_options
@json_option
def refresh(
    *, config: str | None, account: str, reference: str, handler: str | None, checkout: str | None, as_json: bool
) -> None:
    """Ask the gateway about one order now, due or not (补单).

    The answer is recorded as any other, and the handler runs. Exit status 0: the gateway has answered; 1: it has not,
    or the handler failed.
    """
    # What no answer holds: the traceback of a handler that failed.
    logging.basicConfig(level=logging.ERROR, format="payhub: %(message)s")
    with open_checkout(config, handler, checkout) as opened:
        opened.check_account(account)
        before: StoredPayment | None = opened.look("payment", account, reference)
        try:
            with json_alone(as_json):
                answered: Payment = opened.do("refresh", account, reference)
        except PayhubError:
            raise
        except Exception as error:
            reason = f"the handler raised {words_of(error)}"
            hint = "nothing was recorded; see its log, and ask again"
            raise PayhubError(reason, hint=hint, account=account, reference=reference) from error
        after: StoredPayment = opened.look("payment", account, reference)
        waiting, hints = opened.look("outbox", limit=1), opened.hints()
    status = before.payment.status.value if before else PaymentStatus.PENDING.value
    claimed = (answered.claimed_status or answered.status).value
    if as_json:
        print_json({"before": status, **payment_json(after), "claimed_status": claimed})
    else:
        changed, now = answered.status != status, answered.status.value
        became = say(f"{named(status)}, now {named(now)}") if changed else say(f"still {named(status)}")
        said = say(f"; the gateway claims that it is {named(claimed)}") if claimed != answered.status else ""
        click.echo(f"{account} {reference}: {became}{said}")
    if account in hints:
        text = (
            "payhub: this account is asked over plain http: what it answers proves nothing, so nothing can settle by it"
        )
        remark(say(text))
    if waiting:
        remark(say("payhub: transitions wait in the outbox, no handler has had them; see: payhub outbox list"))
