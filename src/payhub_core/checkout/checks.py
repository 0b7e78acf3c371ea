"""Settling: hearing callbacks, asking the gateway, and telling the application, each transition once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from payhub_core.checkout.plans import Ask, Find, Plan, Store, Tell
from payhub_core.errors import CallbackError, ConfigError, PayhubError, WrongOrder
from payhub_core.ledger import outbox, records
from payhub_core.ledger.rows import Row, Transition
from payhub_core.models import Callback, CallbackKind, Notification, Payment, Reply
from payhub_core.registry import Accounts

__all__ = ["Settling"]

logger: logging.Logger = logging.getLogger("payhub.checkout")


class Settling:
    """The plans of whatever may change what is known of a payment."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts

    def receive(self, account: str, callback: Callback, handler: object) -> Plan[Reply]:
        info = self.accounts[account].info
        try:
            notification: Notification = yield Ask(account, "parse_callback", (callback,))
            payment = notification.payment
            if payment is None or notification.kind is not CallbackKind.NOTIFY:
                return notification.reply
            row: Row | None = yield Find(account, payment.reference)
            if row is None:
                logger.warning("refused a callback: no such order", extra={"account": account})
                return info.refused
            news = records.heard(row, payment)
            if not records.says_nothing_new(row, news):
                found = row
                yield Store(lambda c, tell: records.record(c, found, payment, news, "notify", _now(), tell), handler)
        except CallbackError as error:
            logger.warning("refused a callback: %s", error, extra={"account": account})
            return info.refused
        except Exception as error:
            cause = error.__cause__ if isinstance(error, records.HandlerFailed) else error
            bug = None if isinstance(cause, PayhubError) else cause  # whose traceback helps
            logger.error("a callback was not settled; the gateway is to resend: %s", cause, exc_info=bug)  # noqa: TRY400
            return info.retry
        return notification.reply

    def view(self, account: str, callback: Callback, reference: str | None) -> Plan[Payment]:
        order = None
        if reference is not None:
            order = (yield from self._stored(account, reference)).order()
        notification: Notification = yield Ask(account, "parse_callback", (callback,), {"expect": order})
        claim = notification.payment
        if claim is None:
            raise WrongOrder("the message is about no payment", account=account)
        row = yield from self._stored(account, claim.reference)
        payment: Payment = row.payment()
        return payment.model_copy(update={"claimed_status": claim.claimed_status or claim.status})

    def _stored(self, account: str, reference: str) -> Plan[Row]:
        row: Row | None = yield Find(account, reference)
        if row is None:
            raise WrongOrder("no such order was started here", account=account, reference=reference)
        return row

    def refresh(self, account: str, reference: str, handler: object) -> Plan[Payment]:
        row = yield from self._stored(account, reference)
        new = yield from self.check(row, "", handler)
        stored: Payment = new.payment()
        return stored

    def check(self, row: Row, lease: str, handler: object) -> Plan[Row]:
        """Asks about one payment and records the answer, or that there was none that could be recorded."""
        try:
            if (name := self.accounts[row.account].info.name) != row.provider:
                raise ConfigError(f"the order was started at provider {row.provider!r}, the account is now {name!r}")
            payment: Payment = yield Ask(
                row.account, "query", (row.reference,), {"gateway_id": row.gateway_id, "expect": row.order()}
            )
            news = records.heard(row, payment)
            new: Row = yield Store(
                lambda c, tell: records.record(
                    c, records.again(c, row), payment, news, "query", _now(), tell, release=lease, checked=True
                ),
                handler,
            )
        except (PayhubError, records.HandlerFailed) as error:
            yield Store(lambda c, _: self._unanswered(c, row, lease))
            if isinstance(error, PayhubError):
                raise
            # The handler's own error, as where the application had called it.
            raise error.__cause__ or error from None
        return new

    def _unanswered(self, connection: Connection, row: Row, lease: str) -> None:
        while True:
            now = _now()
            row = records.again(connection, row)
            mine = bool(lease) and row.lease == lease
            changed = records.change(
                connection,
                row,
                now,
                attempts=row.attempts + 1,
                next_check_at=records.next_check(row, row.attempts + 1, now) if row.next_check_at else None,
                lease=None if mine else row.lease,
                lease_until=None if mine else row.lease_until,
            )
            if changed:
                return

    def deliver(self, handler: object, limit: int) -> Plan[int]:
        delivered = 0
        for _ in range(limit):
            number: int | None = yield Store(lambda c, _: outbox.claim_transition(c))
            if number is None:
                break
            try:
                transition: Transition = yield Store(partial(_transition, number=number))
                yield Tell(handler, transition)
            except Exception:
                # Its turn comes again later and later; the others go on.
                logger.exception("a transition was not delivered", extra={"number": number})
                continue
            yield Store(partial(_mark, number=number))
            delivered += 1
        return delivered


def _transition(connection: Connection, _tell: object, number: int) -> Transition:
    return outbox.transition_of(connection, number)


def _mark(connection: Connection, _tell: object, number: int) -> None:
    outbox.mark_delivered(connection, number, _now())


def _now() -> datetime:
    return datetime.now(UTC)
