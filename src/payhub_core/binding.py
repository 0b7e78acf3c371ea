"""Binding: what the core checks of every result, so that no provider's author can forget it.

A signed message still has to be about this order, a hint never says paid, and paid means at least the sum due.
"""

from __future__ import annotations

from payhub_core.errors import WrongAccount, WrongAmount, WrongOrder, plain
from payhub_core.models import Order, Payment, PaymentStatus

__all__ = ["bind_payment"]


def bind_payment(
    payment: Payment, account: str, provider: str, reference: str, expect: Order | None, hint: bool
) -> Payment:
    """``payment``, found to be of this account and order, with its account, provider and safe status filled in.

    ``expect`` is the order the shop holds, if it is known; a ``hint`` proves nothing, so it stays PENDING.
    Raises WrongAccount, WrongOrder or WrongAmount, the last two with what was expected and what came.
    """
    if (payment.account and payment.account != account) or (payment.provider and payment.provider != provider):
        raise WrongAccount(f"expected a payment of account {account!r}, this one is of {plain(payment.account)!r}")
    if payment.reference != reference:
        raise WrongOrder(f"expected order {reference!r}, the message is about {plain(payment.reference)!r}")
    amount, paid, status = payment.amount, payment.paid, payment.status
    if expect is not None:
        if expect.reference != reference:  # a query for one order with another at hand
            raise WrongOrder(f"expected order {expect.reference!r}, the message is about {plain(reference)!r}")
        if amount is None:
            amount = expect.amount
        elif amount != expect.amount:
            raise WrongAmount(f"order {expect.reference!r} is about {expect.amount}, the message about {amount}")
    if amount is not None and paid is not None:
        if paid.currency != amount.currency:
            raise WrongAmount(f"the sum due is in {amount.currency}, the sum received in {paid.currency}")
        if paid.minor < amount.minor and status is PaymentStatus.PAID:
            status = PaymentStatus.PARTIALLY_PAID
    # Written in place, once, before anyone else sees the object: a copy costs as much as reading a whole callback.
    facts = payment.__dict__
    facts["account"], facts["provider"], facts["amount"] = account, provider, amount
    facts["claimed_status"] = payment.claimed_status or status
    facts["status"] = PaymentStatus.PENDING if hint else status
    return payment
