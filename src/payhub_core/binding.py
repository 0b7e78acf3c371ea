"""Binding: what the core checks of every result, so that no provider's author can forget it.

A signed message still has to be about this order, a hint never says paid, and paid means at least the sum due. A result
is completed in place, once, before anyone else sees it: a copy costs as much as reading half a callback. So a provider
makes a new one for every call, and one that comes a second time is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from payhub_core.errors import (
    CallbackError,
    GatewayError,
    MalformedCallback,
    WrongAccount,
    WrongAmount,
    WrongOrder,
    plain,
)
from payhub_core.models import (
    Callback,
    CallbackKind,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
    unprintable,
)
from payhub_core.money import Money

__all__ = ["believe_failed", "bind_notification", "bind_payment", "bind_refund", "check_new"]

# Named once: looking up a member of an enum takes as long as a whole check here.
_NOTIFY = CallbackKind.NOTIFY
_PENDING, _PAID, _PARTIALLY_PAID = PaymentStatus.PENDING, PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID
_LONGEST_ID = 128
_LONGEST_ATTACH = 16 * 1024
_FIRST_YEAR, _LAST_YEAR = 1000, 2999  # in which no conversion to another zone overflows
_FILLED_IN = frozenset({"account", "provider", "amount", "claimed_status", "status"})


def bind_payment(
    payment: Payment,
    account: str,
    provider: str,
    reference: str,
    expect: Order | None,
    hint: bool,
    gateway_id: str | None = None,
    unfit: type[CallbackError | GatewayError] = GatewayError,
) -> Payment:
    """``payment``, found to be of this account and order, with its account, provider and safe status filled in.

    ``expect`` is the order the shop holds, if it is known; ``gateway_id`` the gateway's number that was asked for, if
    any; a ``hint`` proves nothing, so it stays PENDING. Raises ``unfit`` for numbers that nobody could store, show or
    send again and for sums below zero, and WrongAccount, WrongOrder or WrongAmount, the last two with what was
    expected and what came.
    """
    facts = payment.__dict__  # an attribute of a model takes three times as long
    _check_fit(facts, ("reference", "gateway_id"), unfit)
    _check_sums(facts, unfit)
    _check_about(facts, account, provider, reference, gateway_id)
    _keep_fit(facts)
    amount: Money | None = facts["amount"]
    paid: Money | None = facts["paid"]
    refunded: Money | None = facts["refunded"]
    status: PaymentStatus = facts["status"]
    if expect is not None:
        if expect.reference != reference:  # a query for one order with another at hand
            raise WrongOrder(f"expected order {expect.reference!r}, the message is about {plain(reference)!r}")
        due = expect.amount
        if amount is None:
            amount = due
        elif amount.minor != due.minor or amount.currency != due.currency:
            raise WrongAmount(f"order {expect.reference!r} is about {due}, the message about {amount}")
    if amount is not None:
        if paid is not None:
            if paid.currency != amount.currency:
                raise WrongAmount(f"the sum due is in {amount.currency}, the sum received in {paid.currency}")
            if paid.minor < amount.minor and status is _PAID:
                status = _PARTIALLY_PAID
        if refunded is not None and refunded.currency != amount.currency:
            raise WrongAmount(f"the sum due is in {amount.currency}, the sum refunded in {refunded.currency}")
    facts["account"], facts["provider"], facts["amount"] = account, provider, amount
    facts["claimed_status"] = facts["claimed_status"] or status
    facts["status"] = _PENDING if hint else status
    payment.__pydantic_fields_set__.update(_FILLED_IN)
    return payment


def believe_failed(payment: Payment, created_at: datetime | None, after: float) -> None:
    """Lets a claim that an order has failed count, where the order was created more than ``after`` seconds ago.

    Some gateways say "failed" of every order that is not paid yet; of one that is old, it is the truth.
    """
    claims = payment.status is _PENDING and payment.claimed_status is PaymentStatus.FAILED
    if claims and created_at is not None and (datetime.now(UTC) - created_at).total_seconds() > after:
        payment.__dict__["status"] = PaymentStatus.FAILED


def check_new(made: Payment | Refund | None) -> None:
    """Raises GatewayError for a result that the core has completed before: it is another call's."""
    if made is None:
        return
    facts = made.__dict__
    if facts["account"] or facts["provider"]:
        kind = type(made).__name__
        raise GatewayError(
            f"the provider returned a {kind} with an account: one that it returned before, or filled in itself",
            hint=f"a provider makes a new {kind} for every call, and leaves account and provider out",
        )


def bind_refund(
    refund: Refund, account: str, provider: str, asked: Mapping[str, Any], gateway_id: str | None, hint: bool
) -> Refund:
    """``refund``, found to be the one that was ``asked`` for; a ``hint`` never says that money went back.

    ``gateway_id`` is the payment's number that the hook was given, if it takes one. Raises GatewayError, WrongAccount,
    WrongOrder or WrongAmount.
    """
    facts = refund.__dict__
    _check_fit(facts, ("reference", "gateway_id", "refund_reference", "refund_id"), GatewayError)
    _check_about(facts, account, provider, asked["reference"], gateway_id)
    if refund.refund_reference != asked["refund_reference"]:
        found = plain(refund.refund_reference)
        raise WrongOrder(f"expected refund {asked['refund_reference']!r}, the message is about {found!r}")
    if refund.amount is not None and refund.amount != asked["amount"]:
        raise WrongAmount(f"the refund is about {asked['amount']}, the message about {refund.amount}")
    facts["amount"] = asked["amount"]
    return _completed(refund, account, provider, hint=hint)


def _completed(refund: Refund, account: str, provider: str, *, hint: bool) -> Refund:
    facts = refund.__dict__
    if refund.refunded_at is not None and not _FIRST_YEAR <= refund.refunded_at.year <= _LAST_YEAR:
        facts["refunded_at"] = None
    facts["account"], facts["provider"] = account, provider
    facts["status"] = RefundStatus.PENDING if hint else refund.status
    refund.__pydantic_fields_set__.update(_FILLED_IN & facts.keys())
    return refund


def bind_notification(
    notification: Notification, account: str, provider: str, callback: Callback, expect: Order | None, insecure: bool
) -> Notification:
    """``notification``, what it is about bound; only one that came in at the notify address can settle anything.

    What a flow fetched over plain http (``insecure``) is a hint, too. Raises MalformedCallback, WrongAccount,
    WrongOrder or WrongAmount.
    """
    payment, kind = notification.payment, callback.kind
    if notification.refund is not None:
        if payment is not None:
            raise MalformedCallback("the provider told of a payment and of a refund", hint="a message is about one")
        _bind_told(notification.refund, account, provider, expect, hint=insecure or kind is not _NOTIFY)
        notification.kind, notification.bound = kind, expect is not None
        return notification
    if payment is None:
        if notification.kind is CallbackKind.OTHER:
            return notification
        raise MalformedCallback("the message names no payment")
    reference = payment.reference if expect is None else expect.reference
    hint = insecure or kind is not _NOTIFY
    bind_payment(payment, account, provider, reference, expect, hint, None, MalformedCallback)
    notification.kind, notification.bound = kind, expect is not None
    return notification


def _bind_told(refund: Refund, account: str, provider: str, expect: Order | None, *, hint: bool) -> None:
    """Completes a refund that a message is about; which one it is, and of what sum, is for who has asked for it."""
    facts = refund.__dict__
    _check_fit(facts, ("reference", "gateway_id", "refund_reference", "refund_id"), MalformedCallback)
    _check_about(facts, account, provider, refund.reference if expect is None else expect.reference, None)
    if refund.amount is not None and refund.amount.minor <= 0:
        raise MalformedCallback("a sum that was paid back is above zero")
    if refund.amount is not None and expect is not None and refund.amount.currency != expect.amount.currency:
        raise WrongAmount(f"the sum due is in {expect.amount.currency}, the sum refunded in {refund.amount.currency}")
    _completed(refund, account, provider, hint=hint)


def _check_fit(facts: Mapping[str, Any], names: tuple[str, ...], unfit: type[CallbackError | GatewayError]) -> None:
    for name in names:
        text: str | None = facts[name]
        if text and not (len(text) <= _LONGEST_ID and text.isprintable()):
            raise unfit(f"{name}: expected at most {_LONGEST_ID} printable characters")


def _check_sums(facts: Mapping[str, Any], unfit: type[CallbackError | GatewayError]) -> None:
    paid: Money | None = facts["paid"]
    refunded: Money | None = facts["refunded"]
    if (paid is not None and paid.minor < 0) or (refunded is not None and refunded.minor < 0):
        raise unfit("a sum below zero was neither received nor paid back")


def _keep_fit(facts: dict[str, Any]) -> None:
    """Leaves out what decides nothing, where it is not fit to be stored and shown; ``raw`` still has it."""
    for name in ("created_at", "paid_at", "expires_at"):
        time: datetime | None = facts[name]
        if time and not _FIRST_YEAR <= time.year <= _LAST_YEAR:
            facts[name] = None
    attach, method = facts["attach"], facts["method"]
    if attach and ((not attach.isprintable() and unprintable(attach)) or len(attach) > _LONGEST_ATTACH):
        facts["attach"] = ""
    if method and not (method.isprintable() and len(method) <= _LONGEST_ID):
        facts["method"] = None


def _check_about(facts: Mapping[str, Any], account: str, provider: str, reference: str, gateway_id: str | None) -> None:
    if (facts["account"] and facts["account"] != account) or (facts["provider"] and facts["provider"] != provider):
        raise WrongAccount(f"expected a payment of account {account!r}, this one is of {plain(facts['account'])!r}")
    if facts["reference"] != reference:
        raise WrongOrder(f"expected order {reference!r}, the message is about {plain(facts['reference'])!r}")
    if gateway_id and facts["gateway_id"] and facts["gateway_id"] != gateway_id:
        raise WrongOrder(f"expected the gateway's {gateway_id!r}, the message is about {plain(facts['gateway_id'])!r}")
