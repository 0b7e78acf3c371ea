"""The dummy's callbacks: signed with a key that everyone knows, and made by whoever plays the gateway."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from payhub_core import (
    BadSignature,
    Callback,
    CallbackKind,
    InvalidOrder,
    MalformedCallback,
    Money,
    Order,
    Payment,
    PaymentStatus,
)
from payhub_dummy.outcomes import Outcome, outcome_of

__all__ = ["Message", "notifies", "notify", "number", "read", "said", "write"]

#: Published, so worth nothing: which is why a Dummy starts in development only.
_KEY = b"payhub-dummy-not-for-money"
_unprintable = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
_RECEIVED = {PaymentStatus.PAID, PaymentStatus.REFUNDED}


class Message(BaseModel):
    """What a callback says, in minor units of ``currency``; ``kind`` is the address that it is for."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, strict=True)

    kind: Literal["notify", "return"]
    account: str
    reference: str
    gateway_id: str
    status: PaymentStatus
    currency: str
    due: int
    paid: int | None = None
    attach: str = ""

    def payment(self) -> Payment:
        """The payment that the message speaks of; raises InvalidOrder where its sums are none."""
        paid = None if self.paid is None else Money(self.paid, self.currency)
        return Payment(
            reference=self.reference,
            gateway_id=self.gateway_id,
            status=self.status,
            amount=Money(self.due, self.currency),
            paid=paid,
            refunded=paid if self.status is PaymentStatus.REFUNDED else None,
            attach=self.attach,
            raw=self.model_dump(mode="json"),
        )


def number(reference: str, amount: Money) -> str:
    """The gateway's number of an order: it holds the sum, so that nothing has to be kept."""
    return f"D-{reference}-{amount.minor}-{amount.currency}"


def said(
    account: str,
    reference: str,
    amount: Money,
    status: PaymentStatus,
    attach: str = "",
    kind: Literal["notify", "return"] = "notify",
) -> Message:
    """What the gateway says of an order in ``status``, by the outcome that its sum stands for."""
    outcome = outcome_of(amount)
    return Message(
        kind=kind,
        account=account,
        reference=reference,
        gateway_id=number(reference, amount),
        status=status,
        currency=amount.currency,
        due=amount.minor + outcome.misstated,
        paid=amount.minor + outcome.misstated + outcome.excess if status in _RECEIVED else None,
        attach=attach,
    )


def notify(
    account: str,
    order: Order,
    *,
    status: PaymentStatus = PaymentStatus.PAID,
    paid: Money | None = None,
    gateway_id: str | None = None,
) -> Callback:
    """A genuine notify about ``order``: hand it to `Checkout.receive`, or POST its body to the notify address.

    ``paid`` is the sum received, by default what the order's outcome says; ``gateway_id`` the gateway's number. Raises
    InvalidOrder for a sum in another currency than the order's.
    """
    message = said(account, order.reference, order.amount, status, order.attach)
    if paid is not None and paid.currency != message.currency:
        raise InvalidOrder(f"paid: expected a sum in {message.currency}, not in {paid.currency}")
    changes = {"paid": message.paid if paid is None else paid.minor, "gateway_id": gateway_id or message.gateway_id}
    return _posted(message.model_copy(update=changes))


def notifies(account: str, order: Order) -> tuple[Callback, ...]:
    """The notifies that the gateway sends about ``order``, one after another, by the outcome its sum stands for."""
    outcome: Outcome = outcome_of(order.amount)
    if not outcome.known:
        return ()
    sent = [notify(account, order, status=status) for status in outcome.story if status is not PaymentStatus.PENDING]
    if outcome.repeated:
        sent *= 2
    if outcome.doubled:
        sent.append(notify(account, order, gateway_id=f"{number(order.reference, order.amount)}-2"))
    return tuple(sent)


def write(message: Message) -> bytes:
    """``message`` as the one field of a form: what it says in base64, and the signature of that."""
    content = urlsafe_b64encode(message.model_dump_json().encode())
    return b"dummy=" + content + b"." + _signature(content)


def read(callback: Callback) -> Message:
    """What a callback says; raises BadSignature, MalformedCallback."""
    data = callback.body if callback.method == "POST" else callback.query
    # A return address may have a query of its own, before ours.
    before, field, message = data.rpartition(b"dummy=")
    content, _, signature = message.partition(b".")
    if not field or (before and not before.endswith(b"&")):
        raise MalformedCallback("expected the field dummy")
    if not hmac.compare_digest(_signature(content), signature):
        raise BadSignature("the dummy's key did not make this signature")
    try:
        found = Message.model_validate_json(urlsafe_b64decode(content))
    except (ValidationError, ValueError):
        raise MalformedCallback("expected what payhub_dummy.notify writes") from None
    if found.kind != callback.kind:
        # The payer's browser holds a signed return, which must settle nothing.
        raise MalformedCallback(f"expected a message for the {callback.kind} address, it is for another")
    if _unprintable(found.attach):
        raise MalformedCallback("attach: expected no control characters")
    return found


def _posted(message: Message) -> Callback:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Callback("POST", headers, b"", write(message), CallbackKind.NOTIFY)


def _signature(content: bytes) -> bytes:
    return hmac.digest(_KEY, content, "sha256").hex().encode()
