"""The dummy's provider: nothing is sent, nothing is kept, and the sum decides."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from payhub_core import (
    Callback,
    InvalidOrder,
    MalformedCallback,
    Money,
    NotFound,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Refund,
    RefundStatus,
    Refused,
    Reply,
    WrongAccount,
    hookimpl,
)
from payhub_core.money import CURRENCIES
from payhub_dummy.messages import number, read, said, write
from payhub_dummy.outcomes import Outcome, outcome_of

__all__ = ["Dummy"]

_ACKNOWLEDGED = Reply(b"OK")
_NUMBER = re.compile(r"D-(?P<reference>.+)-(?P<minor>[0-9]{1,15})-(?P<currency>[A-Z]{3})")
_REFUNDS = {PaymentStatus.PENDING: RefundStatus.PENDING, PaymentStatus.FAILED: RefundStatus.FAILED}


class Dummy(BaseModel):
    """An account at no gateway: the last two digits of each sum say what becomes of it.

    It calls orders paid that nobody paid, so it starts with ``development`` alone. ``delay`` is the seconds that each
    status of an order lasts, where it has several. Nothing is sent, so ``timeout`` means nothing.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="dummy",
        currencies=CURRENCIES,
        identity=(),  # a message names its account
        methods=frozenset(PaymentMethod),
        raw_methods=".+",
        extra_fields=".+",
    )

    development: bool = Field(default=False, validate_default=True)
    delay: float = Field(default=2.0, ge=0)
    timeout: float = Field(default=5.0, gt=0)

    @field_validator("development")
    @classmethod
    def _in_development(cls, development: bool) -> bool:
        if not development:
            raise ValueError("the dummy calls orders paid that nobody paid; true says that nobody buys here")
        return development

    @hookimpl
    def create_payment(self, account: str, order: Order) -> Payment:
        """The payer is sent straight back to the shop, as if the gateway's page had been used."""
        outcome = outcome_of(order.amount)
        if outcome.error is not None:
            raise outcome.error(f"the sum ends in {order.amount.minor % 100:02}")
        back = said(account, order.reference, order.amount, outcome.story[-1], order.attach, "return")
        return Payment(
            reference=order.reference,
            gateway_id=number(order.reference, order.amount),
            status=PaymentStatus.PENDING,
            method=order.method,
            attach=order.attach,
            next_action=Redirect(url=_with_query(order.return_url, write(back).decode())),
        )

    @hookimpl
    def parse_callback(self, account: str, callback: Callback) -> Notification:
        """Notify and return are one signed field."""
        message = read(callback)
        if message.account != account:
            raise WrongAccount(f"expected a message for account {account!r}, it is for another")
        try:
            return Notification(callback.kind, message.payment(), _ACKNOWLEDGED)
        except InvalidOrder as error:
            raise MalformedCallback(error.message) from None

    @hookimpl
    def query(
        self, account: str, reference: str, gateway_id: str | None, expect: Order | None, created_at: datetime | None
    ) -> Payment:
        """What the order's sum stands for, and the time since ``created_at``; without it, the end of the story."""
        amount = _amount(reference, gateway_id) if expect is None or gateway_id else expect.amount
        outcome = _known(amount)
        status = outcome.story[self._chapter(outcome, created_at)]
        return said(account, reference, amount, status, expect.attach if expect else "").payment()

    @hookimpl
    def refund(self, reference: str, gateway_id: str | None, amount: Money, refund_reference: str) -> Refund:
        """A refund goes by its own sum; the same again ends the same, since nothing is kept."""
        outcome = outcome_of(amount)
        if outcome.error is not None:
            raise outcome.error(f"the sum ends in {amount.minor % 100:02}")
        return Refund(
            reference=reference,
            gateway_id=gateway_id,
            refund_reference=refund_reference,
            refund_id=f"R-{refund_reference}",
            status=_REFUNDS.get(outcome.story[0], RefundStatus.REFUNDED),
        )

    @hookimpl
    def close(self, reference: str, gateway_id: str | None) -> Payment:
        """Closes what is not paid at once; the number says what sum it was."""
        if _known(_amount(reference, gateway_id)).story[0] is PaymentStatus.PAID:
            raise Refused("the order is paid")
        return Payment(reference=reference, gateway_id=gateway_id, status=PaymentStatus.CANCELED)

    def _chapter(self, outcome: Outcome, created_at: datetime | None) -> int:
        last = len(outcome.story) - 1
        if created_at is None or self.delay == 0:
            return last
        age = (datetime.now(UTC) - created_at).total_seconds()
        return max(0, min(last, int(age / self.delay)))


def _amount(reference: str, gateway_id: str | None) -> Money:
    """The sum that the gateway's number holds; raises NotFound."""
    found = _NUMBER.fullmatch(gateway_id or "")
    if found is None or found["reference"] != reference:
        raise NotFound("the dummy keeps nothing", hint="pass expect, the order, or gateway_id, the payment's")
    return Money(int(found["minor"]), found["currency"])


def _known(amount: Money) -> Outcome:
    outcome = outcome_of(amount)
    if not outcome.known:
        raise NotFound(f"the sum ends in {amount.minor % 100:02}, so the dummy never took the order")
    return outcome


def _with_query(url: str, query: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))
