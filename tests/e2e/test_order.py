"""One order from its creation to the query that agrees, as an application lives it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from payhub_core import BadSignature, CallbackKind, Hub, Money, OutcomeUnknown, PaymentStatus, Redirect

DUE = Money.of("100.00", "CNY")


def test_one_order_over_tls(
    tls_hub: Any,
    tls_sandbox: Any,
    open_shop: Callable[[Any], Any],
    payer: Any,
    asked: Callable[..., int],
) -> None:
    """Created, paid on the gateway's page, notified, acknowledged, returned as a hint, and confirmed by a query."""
    shop = open_shop(tls_hub)
    order = shop.order(attach="table 5")
    created = tls_hub.create_payment("shop", order)
    assert isinstance(created.next_action, Redirect)
    assert (created.status, created.amount, created.paid) == (PaymentStatus.PENDING, DUE, None)

    page = payer.press(created.next_action.url)
    (notify,) = shop.notifies
    assert (notify.kind, notify.bound, notify.reply.body) == (CallbackKind.NOTIFY, True, b"SUCCESS")
    paid = notify.payment
    assert (paid.status, paid.amount, paid.paid, paid.attach) == (PaymentStatus.PAID, DUE, DUE, "table 5")
    assert (paid.account, paid.provider, paid.gateway_id) == ("shop", "gpu", created.gateway_id)
    (delivery,) = tls_sandbox.deliveries(created.gateway_id)
    assert (delivery["acknowledged"], delivery["reply"]) == (True, "SUCCESS")

    assert payer.go_back(page).is_success
    (back,) = shop.returns
    assert (back.kind, back.payment.status) == (CallbackKind.RETURN, PaymentStatus.PENDING)
    assert back.payment.claimed_status is PaymentStatus.PAID

    confirmed = tls_hub.query("shop", "A1001", expect=order)
    assert (confirmed.status, confirmed.paid_at) == (PaymentStatus.PAID, paid.paid_at)
    assert (asked(tls_sandbox, "unified"), asked(tls_sandbox, "check_order")) == (1, 1)


def test_over_plain_http_a_query_is_a_hint(hub: Any, sandbox: Any, shop: Any) -> None:
    """Anyone on the way could have written the answer: the notify settles, the query only claims."""
    order = shop.order()
    created = hub.create_payment("shop", order)
    sandbox.pay(created.gateway_id)
    assert [payment.status for payment in shop.payments] == [PaymentStatus.PAID]
    queried = hub.query("shop", "A1001", expect=order)
    assert (queried.status, queried.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.PAID)


def test_a_client_of_your_own(
    open_hub: Callable[..., Any], tls_sandbox: Any, authority: Any, make_order: Any, accounts: Any
) -> None:
    """An injected client brings its own trust, and stays open when the hub closes."""
    either = open_hub(accounts={})
    kind: Any = type(either.hub)
    client: Any = (httpx.Client if kind is Hub else httpx.AsyncClient)(verify=authority.context())
    mine = type(either)(kind(accounts(tls_sandbox.url), client=client), either.call)
    created = mine.create_payment("shop", make_order())
    tls_sandbox.pay(created.gateway_id, notify=False)
    assert mine.query("shop", "A1001").status is PaymentStatus.PAID
    mine.close()
    assert not client.is_closed
    either.call(client.close if kind is Hub else client.aclose)


@pytest.mark.parametrize(
    "attach", ["", "0", "茶 & 咖啡 = 100%", "شاي/قهوة", "чай+кофе;", "🍵 %2525", "order_no=1&pay_status=1"]
)
@pytest.mark.parametrize("open_hub", ["Hub"], indirect=True)
@pytest.mark.parametrize("account", ["shop", "last"])
def test_attach_comes_back_unchanged(hub: Any, sandbox: Any, shop: Any, account: str, attach: str) -> None:
    """In any script, in both dialects, and whatever it would mean in a form."""
    order = shop.order(account, attach=attach)
    created = hub.create_payment(account, order)
    sandbox.pay(created.gateway_id)
    assert [payment.attach for payment in shop.payments] == [attach]
    assert hub.query(account, "A1001", expect=order).attach == attach


def test_the_notify_may_come_before_the_create_reply(
    hub: Any, sandbox: Any, shop: Any, eventually: Callable[..., None], asked: Callable[..., int]
) -> None:
    """A fast payer, a slow gateway: the shop hears of the payment before it holds the answer to its create."""
    order = shop.order()
    sandbox.fault("unified", "slow", seconds=1)
    with ThreadPoolExecutor() as threads:
        creating = threads.submit(hub.create_payment, "shop", order)
        eventually(lambda: bool(sandbox.orders("gpu10000000", "A1001")))
        sandbox.pay(sandbox.orders("gpu10000000", "A1001")[0]["platform_order_no"])
        assert not creating.done()
        assert [payment.status for payment in shop.payments] == [PaymentStatus.PAID]
        assert creating.result().gateway_id == shop.payments[0].gateway_id
    assert asked(sandbox, "unified") == 1


def test_a_lost_answer_and_a_paid_order(hub: Any, sandbox: Any, shop: Any, asked: Callable[..., int]) -> None:
    """The create's outcome was unknown, and the payer paid all the same: the notify is about the shop's order."""
    order = shop.order()
    sandbox.fault("unified", "cut")
    with pytest.raises(OutcomeUnknown):
        hub.create_payment("shop", order)
    found = hub.query("shop", "A1001", expect=order)
    sandbox.pay(found.gateway_id)
    assert [payment.gateway_id for payment in shop.payments] == [found.gateway_id]
    assert asked(sandbox, "unified") == 1


def test_many_orders_at_once(hub: Any, sandbox: Any, shop: Any) -> None:
    """One hub serves many threads: each order is sent once and gets its own answers."""
    orders = [shop.order(reference=f"B{number}", amount=Money(number + 1, "CNY")) for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda order: hub.create_payment("shop", order), orders))
        list(threads.map(lambda payment: sandbox.pay(payment.gateway_id), created))
    assert [payment.amount for payment in created] == [order.amount for order in orders]
    heard = {payment.reference: (payment.gateway_id, payment.paid) for payment in shop.payments}
    assert heard == {payment.reference: (payment.gateway_id, payment.amount) for payment in created}
    assert {entry["count"] for entry in sandbox.requests()} == {1}


def test_each_account_hears_its_own_orders(hub: Any, sandbox: Any, shop: Any) -> None:
    """Two accounts of one provider, one order number: neither takes the other's notify."""
    for account in ("shop", "second"):
        shop.order(account)
    created = {account: hub.create_payment(account, shop.orders[account, "A1001"]) for account in ("shop", "second")}
    assert created["shop"].gateway_id != created["second"].gateway_id
    sandbox.pay(created["second"].gateway_id)
    assert [(payment.account, payment.reference) for payment in shop.payments] == [("second", "A1001")]
    with pytest.raises(BadSignature):
        hub.parse_callback("shop", shop.callbacks[0])
    assert hub.query("shop", "A1001").claimed_status is PaymentStatus.FAILED


@pytest.mark.parametrize("account", ["shop", "last"])
def test_both_dialects(hub: Any, sandbox: Any, shop: Any, account: str) -> None:
    """Secret sorted in or last, empty values signed or not: create, notify, return and query all verify."""
    order = shop.order(account, extra={"channel": "a", "trade_type": "b"})
    created = hub.create_payment(account, order)
    sandbox.fault("notify", "extra_fields", fields={"aaa": "", "user_id": "9", "zzz": ""})
    sandbox.pay(created.gateway_id)
    assert [(payment.account, payment.status) for payment in shop.payments] == [(account, PaymentStatus.PAID)]
    assert shop.payments[0].raw["user_id"] == "9"
    assert hub.query(account, "A1001", expect=order).claimed_status is PaymentStatus.PAID
