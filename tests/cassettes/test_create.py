"""Creating a payment: every answer of the gateway that can be recorded, and what payhub makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from payhub_core import (
    AccountRefused,
    AppParameters,
    HtmlPage,
    Money,
    OutcomeUnknown,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    Refused,
)

FIRST = "A202601020304050000000001"
ATTACHED = {"chinese": "茶 & 咖啡 = 100%", "arabic": "شاي/قهوة?", "emoji": "🍵+1 %25", "zero": "0"}
PAGE = f"https://gateway.example/pay/{FIRST}"


def test_a_redirect(hub: Any, order: Any) -> None:
    """A phone payer is sent to the gateway's page; the payment is pending until the gateway says otherwise."""
    payment = hub.create_payment("shop", order)
    assert payment.next_action == Redirect(url=PAGE)
    assert (payment.reference, payment.gateway_id, payment.amount) == ("A1001", FIRST, Money.of("100.00", "CNY"))
    assert (payment.status, payment.method) == (PaymentStatus.PENDING, PaymentMethod.ALIPAY_H5)


@pytest.mark.parametrize("method", ["alipay_qr", "wechat_qr", "alipay_personal_qr"])
def test_a_scan_code(hub: Any, make_order: Any, method: str) -> None:
    """For a code to scan, the same address is what the shop draws."""
    payment = hub.create_payment("shop", make_order(method=PaymentMethod(method)))
    assert payment.next_action == QrCode(content=PAGE)


@pytest.mark.parametrize("method", ["wechat_h5", "net_banking"])
def test_another_page(hub: Any, make_order: Any, method: str) -> None:
    """WeChat's page and net banking are pages like any other."""
    payment = hub.create_payment("shop", make_order(method=PaymentMethod(method)))
    assert (payment.next_action, payment.method) == (Redirect(url=PAGE), PaymentMethod(method))


@pytest.mark.parametrize("method", ["alipay_app", "wechat_app"])
def test_app_parameters(hub: Any, make_order: Any, method: str) -> None:
    """A payment inside an app gets what the wallet's SDK wants, and no page."""
    payment = hub.create_payment("shop", make_order(method=PaymentMethod(method)))
    assert payment.next_action == AppParameters(parameters=f"sandbox=1&out_trade_no={FIRST}&total_fee=10000")


def test_an_official_account(hub: Any, make_order: Any) -> None:
    """Inside WeChat the payer's openid goes along, signed."""
    order = make_order(method=PaymentMethod.WECHAT_OFFICIAL_ACCOUNT, payer="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")
    assert hub.create_payment("shop", order).next_action == Redirect(url=PAGE)


def test_a_raw_bank_code(hub: Any, make_order: Any) -> None:
    """A code that payhub has no word for passes through, there and back."""
    payment = hub.create_payment("shop", make_order(method="20009"))
    assert (payment.next_action, payment.method) == (Redirect(url=PAGE), "20009")


@pytest.mark.parametrize("script", ATTACHED)
def test_attach(hub: Any, make_order: Any, script: str) -> None:
    """What the shop attaches comes back unchanged, in any script and whatever it means to a form."""
    attach = ATTACHED[script]
    created = hub.create_payment("shop", make_order(attach=attach))
    assert created.attach == attach
    assert hub.query("shop", "A1001").attach == attach


def test_text_that_means_something_to_a_form(hub: Any, make_order: Any) -> None:
    """A product name with "&", addresses with a query of their own: signed raw, encoded once."""
    order = make_order(
        description="茶 A & B = 50%+",
        notify_url="https://shop.example/notify?shop=1&lang=zh",
        return_url="https://shop.example/thanks?order=A1001&x=%26#top",
    )
    assert hub.create_payment("shop", order).next_action == Redirect(url=PAGE)


@pytest.mark.parametrize("account", ["shop", "last"])
def test_a_field_beyond_the_protocol(hub: Any, make_order: Any, account: str) -> None:
    """Fields on either side of the secret are signed too, wherever the brand puts the secret."""
    order = make_order(extra={"channel": "a", "trade_type": "b", "zone": ""})
    assert hub.create_payment(account, order).next_action == Redirect(url=PAGE)


def test_a_page_in_the_reply(hub: Any, sandbox: Any, order: Any) -> None:
    """`no_redirect` means that the gateway's own HTML is to be shown."""
    sandbox.fault("unified", "no_redirect")
    payment = hub.create_payment("shop", order)
    assert isinstance(payment.next_action, HtmlPage)
    assert payment.next_action.html.startswith(f'<form id="pay" action="{PAGE}" method="get">')


@pytest.mark.parametrize("oddity", ["status_text", "status_int", "bom"])
def test_an_odd_but_clear_reply(hub: Any, sandbox: Any, order: Any, oddity: str) -> None:
    """A status in quotes or not, a byte order mark: the gateway has accepted."""
    sandbox.fault("unified", oddity)
    assert hub.create_payment("shop", order).next_action == Redirect(url=PAGE)


def test_a_wrong_secret(hub: Any, order: Any) -> None:
    """The gateway refuses a signature that is not the account's, in its own words."""
    with pytest.raises(AccountRefused) as refused:
        hub.create_payment("wrong", order)
    assert (refused.value.code, refused.value.reason, refused.value.account) == ("0", "签名错误", "wrong")


def test_a_number_used_twice(hub: Any, order: Any, make_order: Any) -> None:
    """The gateway keeps order numbers unique; a second order under the first one's number is refused."""
    hub.create_payment("shop", order)
    with pytest.raises(Refused) as refused:
        hub.create_payment("shop", make_order(amount=Money.of("0.01", "CNY")))
    assert (refused.value.reason, refused.value.reference) == ("订单号重复", "A1001")


def test_a_refusal(hub: Any, sandbox: Any, order: Any) -> None:
    """A refusal is one line of bounded text, whatever the gateway wrote."""
    sandbox.fault("unified", "refuse", message="通道维护中\r\n" + "x" * 500)
    with pytest.raises(Refused) as refused:
        hub.create_payment("shop", order)
    assert refused.value.reason == "通道维护中  " + "x" * 292 + "…"


@pytest.mark.parametrize(
    "garbage",
    [
        "html",
        "php_warning",
        "truncated",
        "invalid_utf8",
        "other_order",
        "data_list",
        "data_null",
        "data_empty_string",
        "data_absent",
        "status_bool",
        "status_null",
        "redirect",
        "redirect_scheme",
        "http_500",
        "http_502",
    ],
)
def test_an_unreadable_reply(hub: Any, sandbox: Any, order: Any, garbage: str) -> None:
    """Whatever cannot be understood leaves the outcome unknown, never refused; a query then finds the order."""
    sandbox.fault("unified", garbage)
    with pytest.raises(OutcomeUnknown) as unknown:
        hub.create_payment("shop", order)
    assert (unknown.value.account, unknown.value.reference) == ("shop", "A1001")
    assert hub.query("shop", unknown.value.reference, expect=order).gateway_id == FIRST
