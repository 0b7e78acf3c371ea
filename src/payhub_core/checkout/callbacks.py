"""Callbacks: hearing what a gateway says, and showing a payer who returns where things stand."""

from __future__ import annotations

import logging

from sqlalchemy import Connection

from payhub_core.checkout.checks import stored
from payhub_core.checkout.steps import AnyHub, Find, Parse, Record, Steps
from payhub_core.declaration import RETRY
from payhub_core.errors import CallbackError, ConfigError, PayhubError, WrongOrder
from payhub_core.ledger import changes
from payhub_core.ledger.rows import Row
from payhub_core.models import Callback, CallbackKind, Notification, Payment, PaymentStatus, Reply

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
        return RETRY
    try:
        notification: Notification = yield Parse(account, callback)
        payment = notification.payment
        if payment is None or notification.kind is not CallbackKind.NOTIFY:
            return notification.reply
        row: Row | None = yield Find(account, payment.reference)
        if row is None:
            logger.warning("refused a callback: no such order", extra={"account": account})
            return info.refused
        news = changes.heard(row, payment, "notify")
        if not changes.says_nothing_new(row, news):
            found = row

            def body(connection: Connection, handle: changes.Handle | None) -> Row:
                return changes.record(connection, found, news, handle)

            yield Record(body, handler)
    except CallbackError as error:
        logger.warning("refused a callback: %s", error, extra={"account": account})
        return info.refused
    except Exception as error:
        cause = error.__cause__ if isinstance(error, changes.HandlerFailed) else error
        bug = None if isinstance(cause, PayhubError) else cause  # whose traceback helps
        logger.error("a callback was not settled; the gateway is to resend: %s", cause, exc_info=bug)  # noqa: TRY400
        return info.retry
    return notification.reply


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
