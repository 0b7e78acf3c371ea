"""Callbacks: hearing what a gateway says, and showing a payer who returns where things stand."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial

from payhub_core.checkout.checks import check, handlers_own_error, stored
from payhub_core.checkout.steps import AnyHub, Parse, Settle, Steps, Write
from payhub_core.declaration import RETRY
from payhub_core.errors import CallbackError, ConfigError, PayhubError, WrongOrder, reason_of, words_of
from payhub_core.ledger import changes, failures
from payhub_core.ledger.rows import Row
from payhub_core.ledger.schedule import SETTLED
from payhub_core.models import Callback, CallbackKind, Notification, Payment, PaymentStatus, Refund, Reply

__all__ = ["receive", "view"]

logger: logging.Logger = logging.getLogger("payhub.checkout")


def receive(hub: AnyHub, account: str, callback: Callback, handler: object) -> Steps[Reply]:
    """Settles a notify; the gateway's success only after the commit."""
    try:
        info = hub[account].info
    except ConfigError:
        raise
    except PayhubError as error:
        logger.error("a callback was not settled; the gateway is to resend: %s", error)  # noqa: TRY400
        return replace(RETRY, reason=reason_of(error))
    try:
        notification: Notification = yield Parse(account, callback)
        about = notification.payment or notification.refund
        if about is None or notification.kind is not CallbackKind.NOTIFY:
            return notification.reply
        row = yield from stored(account, about.reference)
        news = changes.heard_of_refund(row, about) if isinstance(about, Refund) else changes.heard(row, about, "notify")
        if (claim := _only_claims_paid(row, news.payment)) is not None:
            number = row.gateway_id or claim.gateway_id  # some gateways look up by nothing else
            yield from _asked(hub, row._replace(gateway_id=number), handler)
        elif not changes.says_nothing_new(row, news):
            yield from _settled(row, news, handler)
    except CallbackError as error:
        logger.warning("refused a callback: %s", error, extra={"account": account})
        return replace(info.refusal(error), reason=reason_of(error))
    except changes.HandlerFailed as failed:
        return replace(info.retry, reason=f"the handler raised {reason_of(failed.error)}")
    except Exception as error:
        bug = None if isinstance(error, PayhubError) else error  # whose traceback helps
        logger.error("a callback was not settled; the gateway is to resend: %s", error, exc_info=bug)  # noqa: TRY400
        return replace(info.retry, reason=reason_of(error))
    return notification.reply


def _only_claims_paid(row: Row, payment: Payment | None) -> Payment | None:
    """What claims, and does not prove, that an order was paid which is not known to be: a query tells."""
    if payment is None or row.status in SETTLED:
        return None
    claims = payment.status is PaymentStatus.PENDING and payment.claimed_status is PaymentStatus.PAID
    return payment if claims else None


def _asked(hub: AnyHub, row: Row, handler: object) -> Steps[None]:
    """Asks about a claim, and records the answer; a CallbackError is not about the message, which was genuine.

    An answer that only claims the same, as one over plain http does, leaves the message unsettled; so does one that
    knows of no money yet, since the gateway may tell its own servers later than the shop's.
    """
    try:
        with handlers_own_error():
            new, claimed = yield from check(hub, row, "", handler)
    except CallbackError as error:
        raise PayhubError(error.message, hint=error.hint, account=row.account, reference=row.reference) from error
    if new.status == PaymentStatus.PENDING and not new.known().receipts:
        reason = "the notify claims that it was paid, and the query does not say so yet"
        hint = "the message comes again, and reconciliation asks again"
        if claimed is PaymentStatus.PAID:
            reason, hint = "neither the notify nor the query proves that it was paid", "query the gateway over https"
        raise PayhubError(reason, hint=hint, account=row.account, reference=row.reference)


def _settled(row: Row, news: changes.News | changes.RefundNews, handler: object) -> Steps[None]:
    """Records ``news``; raises HandlerFailed once that is logged, and noted in the payment's history."""
    try:
        yield Settle(row, news, handler)
    except changes.HandlerFailed as failed:
        reason = PayhubError(
            f"the handler failed, the gateway is to resend: {words_of(failed.error)}",
            account=row.account,
            reference=row.reference,
        )
        extra = {"account": row.account, "reference": row.reference}
        logger.error("%s", reason, exc_info=failed.error, extra=extra)  # noqa: TRY400  the traceback is the handler's
        note = partial(failures.note, account=row.account, reference=row.reference)
        with suppress(Exception):  # the gateway is answered all the same
            yield Write(partial(note, source=failures.HANDLER, error=failed.error, of=failed.transition))
        raise


def view(hub: AnyHub, account: str, callback: Callback, reference: str | None) -> Steps[Payment]:
    """The stored payment, with what the return claims where that is proved; else without any claim."""
    _ = hub[account]  # an account that is not configured is none, whatever was stored once
    row = None
    if reference is not None:
        row = yield from stored(account, reference)
    try:
        notification: Notification = yield Parse(account, callback, row and row.order())
        claim = notification.payment
        if claim is None:
            raise WrongOrder("the message is about no payment", account=account)
    except PayhubError as error:
        if row is None or isinstance(error, ConfigError):
            raise
        logger.info("a return proved nothing: %s", type(error).__name__, extra={"account": account})
        return _shown(row, None)
    row = yield from stored(account, claim.reference)  # as it is now: verifying may have taken its time
    return _shown(row, claim.claimed_status or claim.status)


def _shown(row: Row, claimed_status: PaymentStatus | None) -> Payment:
    return row.payment().model_copy(update={"claimed_status": claimed_status})
