"""Closing: letting nobody pay an order any more."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from payhub_core.checkout.checks import recorded
from payhub_core.checkout.outcomes import said_after
from payhub_core.checkout.steps import AnyHub, Close, Steps, Write
from payhub_core.errors import InvalidOrder, LedgerError, OutcomeUnknown, PayhubError, Unsupported
from payhub_core.ledger import changes, history
from payhub_core.ledger.rows import Row
from payhub_core.models import Payment

__all__ = ["close_payment"]

logger: logging.Logger = logging.getLogger("payhub.checkout")


def close_payment(hub: AnyHub, account: str, reference: str, handler: object) -> Steps[Payment]:
    """Closes an order for which nothing was received."""
    bound = hub[account]
    if not bound.supports("close"):
        raise Unsupported(f"the provider {bound.info.name!r} has no close", account=account, reference=reference)
    note = partial(_noted, account=account, reference=reference)
    row: Row = yield Write(partial(note, said="asked", raw={}, provider=bound.info.name))
    try:
        payment: Payment = yield Close(account, row.order(), row.gateway_id, row.time("created_at"))
        news = changes.heard(row, payment, "close")
    except PayhubError as error:
        try:
            yield Write(partial(note, said=said_after(error), raw={"reason": error.message}))
        except LedgerError as failure:  # it says that nothing was changed, which is not true of the gateway
            logger.error("how closing an order failed was not recorded: %s", failure, extra={"account": account})  # noqa: TRY400
        raise

    hint = "refresh the payment: the gateway knows"
    unknown = OutcomeUnknown(
        "what came of closing it could not be recorded", hint=hint, account=account, reference=reference
    )
    new = yield from recorded(row, news, handler, unknown)
    closed: Payment = new.payment(payment.raw)
    return closed


def _noted(
    connection: Connection, account: str, reference: str, said: str, raw: dict[str, str], provider: str | None = None
) -> Row:
    """Writes into the history that it is to be closed at ``provider``, or why it was not."""
    while True:
        row = changes.find(connection, account, reference)
        if row is None:
            raise InvalidOrder("no such order was started here", account=account, reference=reference)
        if provider is not None:
            changes.check_provider(row, provider)
            if row.known().receipts:
                hint = "refund it instead"
                raise InvalidOrder("money was received for this order", hint=hint, account=account, reference=reference)
        now = datetime.now(UTC)
        new = changes.change(connection, row, now)
        if new is not None:
            history.add(connection, history.values(new, "close", said, now, raw))
            return new
