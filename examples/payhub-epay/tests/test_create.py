"""Creating a payment: what is sent, what the payer does next, and what a strange answer comes to."""

from __future__ import annotations

from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from payhub_core import (
    AccountRefused,
    ConfigError,
    FormPost,
    GatewayError,
    InvalidOrder,
    NotSent,
    OutcomeUnknown,
    PaymentMethod,
    QrCode,
    Redirect,
    Refused,
    load_accounts,
)
from payhub_epay import EPay

KEY = "simulator-key-not-for-money"
FIELDS = {
    "pid": "1001",
    "type": "alipay",
    "out_trade_no": "A1001",
    "notify_url": "https://shop.example/pay/shop/notify",
    "return_url": "https://shop.example/pay/shop/return",
    "name": "Tea & cups 茶",
    "money": "100.50",
    "clientip": "127.0.0.1",
    "device": "mobile",
}


def signed(fields: dict[str, str]) -> dict[str, str]:
    """``fields`` with the signature that the protocol asks for."""
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    return {**fields, "sign": md5(f"{text}{KEY}".encode()).hexdigest(), "sign_type": "MD5"}


def test_a_flow_can_be_stepped_by_hand(settings: Any, order: Any, answer: Any) -> None:
    """One signed form; its empty fields are neither sent nor signed."""
    account = EPay(**{name: value for name, value in settings.items() if name != "provider"})
    flow = account.create_payment(order)
    request = next(flow)
    assert (request.method, str(request.url)) == ("POST", "https://gateway.example/mapi.php")
    assert dict(parse_qsl(request.content.decode())) == signed(FIELDS)
    with pytest.raises(StopIteration) as end:
        flow.send(answer(code=1, trade_no="T1", payurl="https://gateway.example/pay/T1"))
    assert end.value.value.next_action == Redirect(url="https://gateway.example/pay/T1")


def test_a_form_for_the_browser_sends_nothing(open_hub: Any, order: Any) -> None:
    """The same fields, for submit.php."""
    hub = open_hub(httpx.ConnectError("nothing is to be sent"), create="submit")
    payment = hub.create_payment("shop", order.model_copy(update={"attach": "table 7"}))
    fields = signed({**FIELDS, "param": "table%207"})
    assert payment.next_action == FormPost(url="https://gateway.example/submit.php", fields=fields)
    assert (payment.status, payment.attach, payment.method) == ("pending", "table 7", PaymentMethod.ALIPAY_H5)


@pytest.mark.parametrize(
    ("told", "action"),
    [
        ({"payurl": "https://gateway.example/p"}, Redirect(url="https://gateway.example/p")),
        ({"qrcode": "weixin://wxpay/bizpayurl?pr=1"}, QrCode(content="weixin://wxpay/bizpayurl?pr=1")),
        ({"payurl": "", "qrcode": None, "urlscheme": "alipays://x"}, Redirect(url="alipays://x")),
    ],
)
def test_the_reply_says_what_the_payer_does_next(
    open_hub: Any, order: Any, answer: Any, told: Any, action: Any
) -> None:
    """A page, a code or a wallet."""
    for code in (1, "1"):
        hub = open_hub(answer(code=code, trade_no="T1", **told))
        assert hub.create_payment("shop", order).next_action == action


@pytest.mark.parametrize(
    ("method", "kind", "device"),
    [
        (PaymentMethod.ALIPAY_QR, "alipay", "pc"),
        (PaymentMethod.WECHAT_H5, "wxpay", "mobile"),
        (PaymentMethod.QQ_WALLET, "qqpay", "pc"),
        (PaymentMethod.UNIONPAY, "bank", "pc"),
        ("jdpay", "jdpay", "pc"),
    ],
)
def test_a_method_is_a_type_and_a_device(open_hub: Any, make_order: Any, method: Any, kind: str, device: str) -> None:
    """Or the gateway's own type; an order may know better, and knows the payer's address."""
    hub = open_hub(create="submit")
    fields = hub.create_payment("shop", make_order(method=method)).next_action.fields
    assert (fields["type"], fields["device"]) == (kind, device)
    known = make_order(method=method, extra={"device": "wechat", "clientip": "192.0.2.1"})
    fields = hub.create_payment("shop", known).next_action.fields
    assert (fields["device"], fields["clientip"]) == ("wechat", "192.0.2.1")


@pytest.mark.parametrize(
    "told",
    [
        {"code": 1, "trade_no": "T1"},
        {"code": 1, "payurl": "javascript://%0aalert(1)"},
        {"code": 1, "payurl": "https://gateway.example/p", "trade_no": "T 1"},
        {"code": None},
        {"code": True},
        {},
    ],
)
def test_a_reply_that_is_not_clear_leaves_the_outcome_unknown(
    open_hub: Any, order: Any, answer: Any, told: Any
) -> None:
    """Nor does a page instead of JSON."""
    for reply in (answer(**told), httpx.Response(200, text="<b>Warning</b>"), httpx.Response(302)):
        with pytest.raises(OutcomeUnknown):
            open_hub(reply).create_payment("shop", order)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("签名校验失败", AccountRefused),
        ("商户ID不存在", AccountRefused),
        ("支付通道维护中", AccountRefused),
        ("金额不合法", Refused),
    ],
)
def test_a_refusal_is_of_the_account_or_of_the_order(
    open_hub: Any, order: Any, answer: Any, reason: str, error: type[Exception]
) -> None:
    """In the gateway's own words."""
    with pytest.raises(error, match=reason) as refused:
        open_hub(answer(code=-1, msg=reason)).create_payment("shop", order)
    assert type(refused.value) is error


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"method": None}, "method"),
        ({"notify_url": "https://shop.example/notify?shop=1"}, "notify_url"),
        ({"reference": "A" * 33}, "reference"),
        ({"extra": {"money": "0.01"}}, "extra"),
    ],
)
def test_an_order_that_the_gateway_cannot_take_is_never_sent(
    open_hub: Any, make_order: Any, changes: Any, match: str
) -> None:
    """And says what it could be."""
    with pytest.raises(InvalidOrder, match=match):
        open_hub(httpx.ConnectError("nothing is to be sent")).create_payment("shop", make_order(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"key": ""}, {"key": "short"}, {"base_url": "http://gateway.example"}, {"pid": "1 2"}, {"create": "both"}],
)
def test_wrong_settings_do_not_start(settings: Any, changes: Any) -> None:
    """The key and address above all."""
    with pytest.raises(ConfigError, match=next(iter(changes))):
        load_accounts({"accounts": {"shop": {**settings, **changes}}})


PAID = {"code": 1, "trade_no": "T1", "out_trade_no": "A1001", "money": "100.50", "status": 1}


def test_a_refund_whose_answer_is_lost_is_never_sent_again(open_hub: Any, order: Any, answer: Any) -> None:
    """It asks first: where the gateway says that money has gone back, there is nothing to send."""
    hub = open_hub(answer(**PAID), httpx.ReadTimeout("lost"), answer(**{**PAID, "status": 2}))
    with pytest.raises(OutcomeUnknown):
        hub.refund("shop", "A1001", None, order.amount, "R1")
    assert hub.refund("shop", "A1001", None, order.amount, "R1").status == "refunded"


def test_an_answer_about_another_order_lets_nothing_be_paid_back(open_hub: Any, order: Any, answer: Any) -> None:
    """Answers are swapped by proxies; the other order may be paid where this one is not."""
    other = {**PAID, "out_trade_no": "A1002"}
    with pytest.raises(NotSent):
        open_hub(answer(**other), answer(code=1)).refund("shop", "A1001", None, order.amount, "R1")
    with pytest.raises(GatewayError):
        open_hub(answer(**other)).query("shop", "A1001")


def test_a_refund_whose_question_fails_was_not_sent(open_hub: Any, order: Any) -> None:
    """Asking is harmless."""
    with pytest.raises(NotSent):
        open_hub(httpx.ReadTimeout("lost")).refund("shop", "A1001", None, order.amount, "R1")


def test_a_query_that_says_nothing_clear_proves_nothing(open_hub: Any, answer: Any) -> None:
    """A status that is unknown is pending, its word kept; without a sum there is no answer."""
    payment = open_hub(answer(**{**PAID, "status": 7})).query("shop", "A1001")
    assert (payment.status, payment.raw["status"]) == ("pending", 7)
    with pytest.raises(GatewayError):
        open_hub(answer(code=1, out_trade_no="A1001", status=1)).query("shop", "A1001")
