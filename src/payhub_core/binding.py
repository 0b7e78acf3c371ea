"""Binding: what the core checks of every result, so that no provider's author can forget it.

A signed message still has to be about this order, a hint never says paid, and paid means at least the sum due.
"""

from __future__ import annotations

from payhub_core.errors import MalformedCallback, WrongAccount, WrongAmount, WrongOrder, plain
from payhub_core.models import Callback, CallbackKind, Notification, Order, Payment, PaymentStatus

__all__ = ["bind_notification", "bind_payment"]


def bind_payment(
    payment: Payment, account: str, provider: str, *, reference: str | None, expect: Order | None, hint: bool
) -> Payment:
    """``payment``, found to be of this account and order, with its account, provider and safe status filled in.

    Raises WrongAccount, WrongOrder or WrongAmount, the last two with what was expected and what came.
    """
    if payment.account not in {"", account} or payment.provider not in {"", provider}:
        raise WrongAccount(f"expected a payment of account {account!r}, this one is of {plain(payment.account)!r}")
    if reference is not None and payment.reference != reference:
        raise WrongOrder(f"expected order {reference!r}, the message is about {plain(payment.reference)!r}")
    amount, paid, status = payment.amount, payment.paid, payment.status
    if expect is not None:
        if amount is None:
            amount = expect.amount
        elif amount != expect.amount:
            raise WrongAmount(f"order {expect.reference!r} is about {expect.amount}, the message about {amount}")
    if amount is not None and paid is not None:
        if paid.currency != amount.currency:
            raise WrongAmount(f"the sum due is in {amount.currency}, the sum received in {paid.currency}")
        if status is PaymentStatus.PAID and paid.minor < amount.minor:
            status = PaymentStatus.PARTIALLY_PAID
    # Written in place, once, before anyone else sees the object: a copy costs as much as reading a whole callback.
    payment.__dict__.update(
        account=account,
        provider=provider,
        amount=amount,
        status=PaymentStatus.PENDING if hint else status,
        claimed_status=payment.claimed_status or status,
    )
    return payment


def bind_notification(
    notification: Notification, account: str, provider: str, *, callback: Callback, expect: Order | None
) -> Notification:
    """``notification``, its payment bound by `bind_payment`; ``bound`` says whether there was an order."""
    payment, kind = notification.payment, callback.kind
    if payment is None:
        if notification.kind is not CallbackKind.OTHER:
            raise MalformedCallback("the message names no payment")
        return notification
    reference = None if expect is None else expect.reference
    hint = kind is not CallbackKind.NOTIFY
    bind_payment(payment, account, provider, reference=reference, expect=expect, hint=hint)
    if notification.kind is kind and expect is None:
        return notification
    return Notification(kind, payment, notification.reply, expect is not None)
