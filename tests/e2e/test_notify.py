"""The gateway tells the shop: what it sends, how often, and what the shop makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from payhub_core import BadSignature, Money, PaymentStatus, WrongAmount, WrongOrder
from payhub_sandbox.faults import FAULTS

#: Faults of the notify, and how many copies of the genuine message the shop has heard when it is over.
HEARD = {
    "extra_fields": 1,
    "slow": 1,
    "lost": 1,
    "cut": 2,
    "duplicate": 3,
    "concurrent": 8,
    "forged": 1,
    "other_order": 1,
}
REFUSED = {"forged": BadSignature, "other_order": WrongOrder}
COPIES = {"duplicate": 3, "concurrent": 8}


def test_every_fault_of_the_notify_is_tried() -> None:
    """A fault that the sandbox learns is not forgotten here."""
    assert FAULTS["notify"] == HEARD.keys()


@pytest.mark.parametrize("fault", HEARD)
def test_a_notify_that_goes_wrong(
    hub: Any, sandbox: Any, shop: Any, eventually: Callable[..., None], fault: str
) -> None:
    """Forged, doubled, at once, late, lost: the shop refuses what is not genuine and acknowledges all that is."""
    created = hub.create_payment("shop", shop.order())
    sandbox.fault("notify", fault, count=COPIES.get(fault, 1), seconds=0.1)
    sandbox.pay(created.gateway_id)
    eventually(lambda: any(delivery["acknowledged"] for delivery in sandbox.deliveries(created.gateway_id)))
    assert [type(error) for error in shop.refused] == ([REFUSED[fault]] if fault in REFUSED else [])
    facts = {(payment.reference, payment.gateway_id, payment.status, payment.paid) for payment in shop.payments}
    assert facts == {("A1001", created.gateway_id, PaymentStatus.PAID, Money.of("100.00", "CNY"))}
    assert len(shop.notifies) == HEARD[fault]
    assert {notify.reply.body for notify in shop.notifies} == {b"SUCCESS"}
    genuine = sandbox.deliveries(created.gateway_id)[-1]
    assert (genuine["acknowledged"], genuine["reply"]) == (True, "SUCCESS")


@pytest.mark.parametrize("account", ["shop", "last"])
def test_fields_that_the_protocol_does_not_list(hub: Any, sandbox: Any, shop: Any, account: str) -> None:
    """Signed fields on either side of the secret are verified with the rest and kept in raw only."""
    created = hub.create_payment(account, shop.order(account))
    sandbox.fault("notify", "extra_fields", fields={"aaa": "1", "user_id": "9", "zzz": "茶 + ="})
    sandbox.pay(created.gateway_id)
    (payment,) = shop.payments
    assert payment.status is PaymentStatus.PAID
    assert {name: payment.raw[name] for name in ("aaa", "user_id", "zzz")} == {
        "aaa": "1",
        "user_id": "9",
        "zzz": "茶 + =",
    }
    assert "sign" not in payment.raw


def test_resends_end_with_exactly_success(hub: Any, sandbox: Any, shop: Any, eventually: Callable[..., None]) -> None:
    """Every other answer is no acknowledgement; the first SUCCESS is the last delivery."""
    shop.distracted = [(500, b"SUCCESS"), (200, b""), (200, b"success"), (200, b"SUCCESS\n")]
    created = hub.create_payment("shop", shop.order())
    sandbox.pay(created.gateway_id)
    eventually(lambda: sandbox.deliveries(created.gateway_id)[-1]["acknowledged"])
    deliveries = sandbox.deliveries(created.gateway_id)
    assert [delivery["acknowledged"] for delivery in deliveries] == [False] * 4 + [True]
    assert len(shop.notifies) == 1


def test_a_shop_that_misses_every_resend_asks(
    hub: Any, sandbox: Any, shop: Any, eventually: Callable[..., None]
) -> None:
    """Resends end after five; the query still knows, and a later notify is acknowledged as ever."""
    shop.distracted = [(500, b"")] * 6
    order = shop.order()
    created = hub.create_payment("shop", order)
    sandbox.pay(created.gateway_id)
    eventually(lambda: len(sandbox.deliveries(created.gateway_id)) == 6)
    assert shop.notifies == []
    assert hub.query("shop", "A1001", expect=order).claimed_status is PaymentStatus.PAID
    assert sandbox.notify(created.gateway_id)["acknowledged"]


@pytest.mark.parametrize(
    ("fen", "status"),
    [(1, PaymentStatus.PARTIALLY_PAID), (9999, PaymentStatus.PARTIALLY_PAID), (10001, PaymentStatus.PAID)],
)
def test_another_sum_than_due(hub: Any, sandbox: Any, shop: Any, payer: Any, fen: int, status: PaymentStatus) -> None:
    """A payer who types the sum: too little is not paid, too much is, and both sums reach the application."""
    created = hub.create_payment("shop", shop.order())
    payer.press(created.next_action.url, yuan=f"{fen // 100}.{fen % 100:02}")
    (payment,) = shop.payments
    assert (payment.status, payment.amount, payment.paid) == (status, Money(10000, "CNY"), Money(fen, "CNY"))
    assert sandbox.deliveries(created.gateway_id)[0]["acknowledged"]


def test_failed_then_paid(hub: Any, sandbox: Any, shop: Any) -> None:
    """A failed attempt is acknowledged and is not the last word."""
    created = hub.create_payment("shop", shop.order())
    sandbox.pay(created.gateway_id, action="fail")
    sandbox.pay(created.gateway_id)
    assert [payment.status for payment in shop.payments] == [PaymentStatus.FAILED, PaymentStatus.PAID]
    assert [payment.paid for payment in shop.payments] == [None, Money.of("100.00", "CNY")]
    assert [delivery["acknowledged"] for delivery in sandbox.deliveries(created.gateway_id)] == [True, True]


def test_a_late_failure_after_the_payment(hub: Any, sandbox: Any, shop: Any, eventually: Callable[..., None]) -> None:
    """The resend of an old failure may arrive last: it is genuine and acknowledged, and says only what it says."""
    shop.distracted = [(500, b"")]
    created = hub.create_payment("shop", shop.order())
    sandbox.fault("notify", "duplicate", count=1)
    sandbox.pay(created.gateway_id, action="fail")
    sandbox.pay(created.gateway_id)
    eventually(lambda: len(shop.payments) == 2)
    assert {payment.status for payment in shop.payments} == {PaymentStatus.FAILED, PaymentStatus.PAID}
    assert shop.refused == []


def test_a_notify_address_with_a_query_of_its_own(hub: Any, sandbox: Any, shop: Any) -> None:
    """What the shop put behind its own address is not signed, and does not disturb."""
    order = shop.order(notify_url=f"{shop.url}/notify/shop?order_no=B2&lang=zh&sign=0")
    sandbox.pay(hub.create_payment("shop", order).gateway_id)
    assert [payment.reference for payment in shop.payments] == ["A1001"]


def test_a_notify_is_bound_to_the_order_that_the_shop_holds(hub: Any, sandbox: Any, shop: Any, make_order: Any) -> None:
    """A genuine notify is refused for another order, and for another amount, with both sums."""
    sandbox.pay(hub.create_payment("shop", shop.order()).gateway_id)
    (callback, *_) = shop.callbacks
    with pytest.raises(WrongOrder, match="A1002"):
        hub.parse_callback("shop", callback, expect=make_order(reference="A1002"))
    with pytest.raises(WrongAmount, match=r"1\.00 CNY.*100\.00 CNY"):
        hub.parse_callback("shop", callback, expect=make_order(amount=Money.of("1.00", "CNY")))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"=A1001", b"=A1002"), (b"=10000.00", b"=1.00"), (b"pay_status=1", b"pay_status=0"), (b"sign=", b"sign=0")],
)
def test_a_notify_changed_on_its_way_is_refused(hub: Any, sandbox: Any, shop: Any, old: bytes, new: bytes) -> None:
    """Any other order, sum, status or signature than the gateway sent."""
    sandbox.pay(hub.create_payment("shop", shop.order()).gateway_id)
    (callback, *_) = shop.callbacks
    assert old in callback.body
    forged = type(callback)(callback.method, callback.headers, callback.query, callback.body.replace(old, new))
    with pytest.raises(BadSignature):
        hub.parse_callback("shop", forged)
