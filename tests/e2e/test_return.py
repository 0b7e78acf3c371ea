"""The payer comes back: whatever the browser brings is a hint at best."""

from __future__ import annotations

from typing import Any

import pytest

from payhub_core import BadSignature, CallbackKind, MalformedCallback, PaymentStatus, WrongOrder
from payhub_sandbox.faults import FAULTS

REFUSED = {"forged": BadSignature, "other_order": WrongOrder}
HINTS = {"get", "extra_fields", "slow"}
NEVER_BACK = {"lost", "cut", "cut_before", "html"}


def test_every_fault_of_the_return_is_tried() -> None:
    """A fault that the sandbox learns is not forgotten here."""
    assert FAULTS["return"] == REFUSED.keys() | HINTS | NEVER_BACK


@pytest.mark.parametrize("fault", sorted(HINTS))
@pytest.mark.parametrize("action", ["pay", "fail"])
def test_a_return_never_settles(hub: Any, sandbox: Any, shop: Any, payer: Any, fault: str, action: str) -> None:
    """By POST or by GET beside a query of the shop's own: what it claims is for the payer's page only."""
    claimed = {"pay": PaymentStatus.PAID, "fail": PaymentStatus.FAILED}[action]
    order = shop.order(return_url=f"{shop.url}/thanks/shop/A1001?lang=zh&from=%26%E8%8C%B6")
    created = hub.create_payment("shop", order)
    sandbox.fault("return", fault, seconds=0.05)
    assert payer.go_back(payer.press(created.next_action.url, action)).is_success
    assert shop.refused == []
    (back,) = shop.returns
    assert (back.kind, back.payment.status, back.payment.claimed_status) == (
        CallbackKind.RETURN,
        PaymentStatus.PENDING,
        claimed,
    )
    assert (back.payment.amount, back.payment.paid) == (order.amount, None)


@pytest.mark.parametrize(("fault", "error"), REFUSED.items())
def test_a_return_that_is_refused(
    hub: Any, sandbox: Any, shop: Any, payer: Any, fault: str, error: type[Exception]
) -> None:
    """A wrong signature, or a right one about another order."""
    created = hub.create_payment("shop", shop.order())
    sandbox.fault("return", fault)
    assert payer.go_back(payer.press(created.next_action.url)).status_code == 400
    assert ([type(refused) for refused in shop.refused], shop.returns) == ([error], [])


@pytest.mark.parametrize("fault", sorted(NEVER_BACK | {"http_502"}))
def test_a_payer_who_never_comes_back(hub: Any, sandbox: Any, shop: Any, payer: Any, fault: str) -> None:
    """The notify settles the payment without the browser."""
    created = hub.create_payment("shop", shop.order())
    sandbox.fault("return", fault)
    try:
        page = payer.press(created.next_action.url).text
    except payer.lost:
        page = ""
    assert 'id="return"' not in page
    assert ([payment.status for payment in shop.payments], shop.returns) == ([PaymentStatus.PAID], [])


def test_a_return_posted_to_the_notify_address_is_refused(hub: Any, sandbox: Any, shop: Any, payer: Any) -> None:
    """The address says what a message is: a genuine return is no notify."""
    created = hub.create_payment("shop", shop.order(return_url=f"{shop.url}/notify/shop"))
    assert payer.go_back(payer.press(created.next_action.url)).status_code == 400
    assert [type(refused) for refused in shop.refused] == [MalformedCallback]
    assert len(shop.notifies) == 1


def test_a_notify_posted_to_the_return_address_is_a_hint(hub: Any, sandbox: Any, shop: Any) -> None:
    """Complete and signed, and still only a hint."""
    order = shop.order(notify_url=f"{shop.url}/thanks/shop/A1001")
    sandbox.pay(hub.create_payment("shop", order).gateway_id)
    assert shop.returns[0].payment.status is PaymentStatus.PENDING
    assert shop.returns[0].payment.claimed_status is PaymentStatus.PAID
    assert shop.notifies == []
