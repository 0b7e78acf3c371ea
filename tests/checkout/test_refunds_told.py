"""Refunds that only a message ends, from the order to the money that is back: a provider that keeps its contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.checkouts import EitherCheckout, Shop
from tests.testing.flows.test_later import Later
from tests.testing.flows.test_later import TestLater as LaterContract

from payhub_core import InvalidOrder, Money, Payment, PaymentStatus, RefundStatus, Request, Response
from payhub_core.ledger import Ledger

CONTRACT = LaterContract()
ORDER = CONTRACT.order()
SALE = CONTRACT.sale(ORDER, status=PaymentStatus.PAID, paid=ORDER.amount)
FORTY = Money.of("40.00", "EUR")


def answer(request: Request) -> Response:
    """Each refund is taken, and carried out later."""
    body = json.loads(request.content)
    if request.url.path != "/refunds":
        return CONTRACT.answer(request, CONTRACT.sale(ORDER))
    sum_ = Money(body["minor"], body["currency"])
    return CONTRACT.answer(request, SALE.but(refund=sum_, refund_reference=body["refund"]))


def tell(checkout: EitherCheckout, status: RefundStatus, number: str = "R1", refund: Money = FORTY) -> None:
    """The gateway's message about a refund comes, and is acknowledged."""
    sale = SALE.but(refund=refund, refund_reference=number, refund_status=status)
    reply = checkout.receive("shop", CONTRACT.refund_notify(sale))
    assert (reply.status_code, reply.body) == (200, b"received")


def stored(ledger: Ledger) -> Payment:
    found = ledger.payment("shop", "A1001")
    assert found is not None
    return found.payment


@pytest.fixture
def paid(open_checkout: Callable[..., EitherCheckout], shop: Shop) -> EitherCheckout:
    """A shop whose order is paid."""
    accounts: dict[str, Any] = {"shop": {"provider": Later, **CONTRACT.settings}}
    checkout = open_checkout(answer, accounts=accounts, handler=shop.handle)
    checkout.start("shop", ORDER)
    assert checkout.receive("shop", CONTRACT.notify(SALE)).body == b"received"
    return checkout


def test_a_refund_is_done_once_the_message_says_so(paid: EitherCheckout, ledger: Ledger, shop: Shop) -> None:
    """However often it comes, and whatever comes behind it."""
    assert paid.refund("shop", "A1001", FORTY, "R1").status is RefundStatus.PENDING
    tell(paid, RefundStatus.PENDING)
    assert shop.delivered == ["shop/A1001/paid"]
    for status in (RefundStatus.REFUNDED, RefundStatus.REFUNDED, RefundStatus.PENDING):
        tell(paid, status)
    assert paid.refund("shop", "A1001", FORTY, "R1").status is RefundStatus.REFUNDED
    payment = stored(ledger)
    assert (payment.status, payment.refunded) == (PaymentStatus.PARTIALLY_REFUNDED, FORTY)
    assert shop.delivered == ["shop/A1001/paid", "shop/A1001/partially_refunded"]


def test_the_sum_is_free_once_a_message_says_that_its_refund_failed(paid: EitherCheckout, shop: Shop) -> None:
    """And not before."""
    paid.refund("shop", "A1001", ORDER.amount, "R1")
    with pytest.raises(InvalidOrder, match=r"0\.00 EUR of the 100\.00 EUR received are left"):
        paid.refund("shop", "A1001", FORTY, "R2")
    tell(paid, RefundStatus.FAILED, refund=ORDER.amount)
    assert paid.refund("shop", "A1001", ORDER.amount, "R2").status is RefundStatus.PENDING
    tell(paid, RefundStatus.REFUNDED, "R2", refund=ORDER.amount)
    assert shop.delivered == ["shop/A1001/paid", "shop/A1001/refunded"]


def test_a_message_about_another_sum_ends_no_refund(paid: EitherCheckout, ledger: Ledger) -> None:
    """The gateway is not told that it was heard."""
    paid.refund("shop", "A1001", FORTY, "R1")
    sale = SALE.but(refund=ORDER.amount, refund_reference="R1", refund_status=RefundStatus.REFUNDED)
    assert paid.receive("shop", CONTRACT.refund_notify(sale)).status_code == 400
    assert stored(ledger).status is PaymentStatus.PAID


def test_a_refund_of_the_back_office_is_known_to_have_gone_back(paid: EitherCheckout, ledger: Ledger) -> None:
    """All of it: the shop did not ask for it, and its message has no number of the shop's."""
    tell(paid, RefundStatus.REFUNDED, "", refund=ORDER.amount)
    assert stored(ledger).status is PaymentStatus.REFUNDED
