"""Querying: the request that leaves, and what its reply means (protocol, section 5.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from payhub_core import (
    AccountRefused,
    GatewayError,
    InvalidOrder,
    Money,
    NotFound,
    OutcomeUnknown,
    Payment,
    PaymentMethod,
    PaymentStatus,
    Refused,
    WrongAmount,
    WrongOrder,
    load_accounts,
)
from payhub_gpu import Gpu

SAMPLE = (
    r'{"status":"1","message":"\u67e5\u8be2\u6210\u529f","data":{"order_no":"KFAIu2019082016542198098089614",'
    r'"amount":"60000.00","attach":"","pay_status":0,"platform_order_no":"A201908201654224095826222",'
    r'"created_at":"2019-08-20 16:54:22","pay_time":null}}'
)


def answer(gpu: Gpu, reference: str, response: httpx.Response) -> Payment:
    flow = gpu.query(reference=reference)
    next(flow)
    with pytest.raises(StopIteration) as stop:
        flow.send(response)
    return stop.value.value


def test_the_url_holds_appid_order_no_and_sign_only(gpu: Gpu, platform: Any) -> None:
    """A GET without a body, signed by the rule of requests."""
    request = next(gpu.query(reference="A1001"))
    assert request.method == "GET"
    assert request.content == b""
    assert str(request.url).startswith("https://gateway.example/api/order/check_order?")
    fields = {"appid": "gpu10000000", "order_no": "A1001"}
    assert parse_qsl(request.url.query.decode()) == [*fields.items(), ("sign", platform.sign(fields))]


def test_the_secret_never_travels(gpu: Gpu, platform: Any) -> None:
    """Nor does its name."""
    request = next(gpu.query(reference="A1001"))
    assert "secret" not in str(request.url) + str(request.headers)
    assert platform.secret not in str(request.url)


@pytest.mark.parametrize(
    "base_url", ["https://gateway.example/", "https://gateway.example/brand", "https://gateway.example:8443"]
)
def test_the_base_url_may_have_a_path_and_a_port(make_gpu: Any, base_url: str) -> None:
    """White-label: every brand has its own host."""
    request = next(make_gpu(base_url=base_url).query(reference="A1001"))
    assert str(request.url).startswith(base_url.rstrip("/") + "/api/order/check_order?appid=")


@pytest.mark.parametrize("reference", ["", "A" * 21, "A 1", "A&order_no=B2", "A\n", "订单"])
def test_a_reference_outside_the_grammar_is_never_asked_for(hub: Any, reference: str) -> None:
    """InvalidOrder before any request."""
    with pytest.raises(InvalidOrder):
        hub.query("shop", reference)


def test_the_sample_reply_of_the_protocol(make_gpu: Any) -> None:
    """A fresh order reported as failed, which is a claim; its sum is in fen, its escapes are decoded."""
    payment = answer(
        make_gpu(order_no_max_length=30), "KFAIu2019082016542198098089614", httpx.Response(200, text=SAMPLE)
    )
    assert payment.reference == "KFAIu2019082016542198098089614"
    assert payment.gateway_id == "A201908201654224095826222"
    assert (payment.status, payment.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.FAILED)
    assert payment.amount == Money.of("600.00", "CNY")
    assert payment.created_at == datetime(2019, 8, 20, 8, 54, 22, tzinfo=UTC)
    assert payment.paid_at is None


def test_a_paid_order(gpu: Gpu, platform: Any) -> None:
    """Every field in payhub's words."""
    payment = answer(gpu, "A1001", platform.query_reply(attach="%E8%8C%B6", bank_code=912))
    assert payment.status is PaymentStatus.PAID
    assert payment.method is PaymentMethod.WECHAT_QR
    assert payment.attach == "茶"
    assert payment.paid_at == datetime(2019, 8, 17, 16, 13, 41, tzinfo=UTC)
    assert payment.created_at == datetime(2019, 8, 17, 16, 10, tzinfo=UTC)


def test_a_query_never_says_what_was_paid(gpu: Gpu, platform: Any) -> None:
    """There is no such field in the reply, so none is invented."""
    assert answer(gpu, "A1001", platform.query_reply()).paid is None
    assert answer(gpu, "A1001", platform.query_reply(actual_amount="1")).paid is None


def test_an_unknown_code_stays_the_raw_code(gpu: Gpu, platform: Any) -> None:
    """The set of bank codes is open."""
    assert answer(gpu, "A1001", platform.query_reply(bank_code=20009)).method == "20009"


@pytest.mark.parametrize("word", [2, "7", "paid", "", "１"])
def test_a_status_that_is_not_known_is_pending_with_the_raw_word_kept(gpu: Gpu, platform: Any, word: Any) -> None:
    """Not paid and not failed."""
    payment = answer(gpu, "A1001", platform.query_reply(pay_status=word))
    assert payment.status is PaymentStatus.PENDING
    assert payment.raw["pay_status"] == word


def test_a_reply_without_a_status_is_pending(gpu: Gpu, platform: Any) -> None:
    """pay_status is optional in the protocol's table."""
    data = platform.query_reply().json()["data"]
    del data["pay_status"]
    assert answer(gpu, "A1001", platform.reply(data)).status is PaymentStatus.PENDING


@pytest.mark.parametrize(
    "changes", [{"pay_status": True}, {"pay_status": None}, {"pay_status": 1.0}, {"pay_status": [1]}]
)
def test_a_status_of_the_wrong_type_is_no_answer(gpu: Gpu, platform: Any, changes: dict[str, Any]) -> None:
    """True is not 1."""
    flow = gpu.query(reference="A1001")
    next(flow)
    with pytest.raises(GatewayError):
        flow.send(platform.query_reply(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "1.5"},
        {"amount": True},
        {"order_no": None},
        {"attach": ["x"]},
    ],
)
def test_a_malformed_reply_is_no_answer(gpu: Gpu, platform: Any, changes: dict[str, Any]) -> None:
    """Sums have the same grammar everywhere."""
    flow = gpu.query(reference="A1001")
    next(flow)
    with pytest.raises(GatewayError):
        flow.send(platform.query_reply(**changes))


@pytest.mark.parametrize("field", ["created_at", "pay_time"])
@pytest.mark.parametrize(
    "time", ["0000-00-00 00:00:00", "", None, 0, 0.5, 1772337540, "2019-02-30 00:00:00", "yesterday", ["x"]]
)
def test_a_time_that_cannot_be_read_does_not_make_the_order_unreadable(
    gpu: Gpu, platform: Any, field: str, time: Any
) -> None:
    """MySQL's zero date is what PHP shops write of an order that is not paid; the time only informs."""
    payment = answer(gpu, "A1001", platform.query_reply(**{field: time}))
    assert payment.status is PaymentStatus.PAID
    assert {"created_at": payment.created_at, "pay_time": payment.paid_at}[field] is None


@pytest.mark.parametrize(
    "message",
    [
        *("订单不存在", "订单号不存在", "查无此订单", "Order not found", "order does not exist", "未查询到订单"),
        *(
            "找不到该订单！",
            "没有找到订单",
            "无此订单",
            "该订单不存在或已删除",
            "订单信息不存在",
            "交易不存在",
            "查询不到订单信息",
        ),
        *(
            "order not exist",
            "Order doesn't exist",
            "No such order",
            "trade not exist",
            "TRADE_NOT_EXIST: trade not exist",
        ),
    ],
)
def test_an_order_that_the_gateway_does_not_know_is_not_found(gpu: Gpu, platform: Any, message: str) -> None:
    """Which is not a failed payment."""
    flow = gpu.query(reference="A1001")
    next(flow)
    with pytest.raises(NotFound, match=re.escape(message)):
        flow.send(platform.reply([], 0, message))


@pytest.mark.parametrize("words", ["无效的商户单号", ["无效的商户单号", "NO_RECORD"]])
def test_the_words_for_an_unknown_order_are_a_setting(make_gpu: Callable[..., Gpu], platform: Any, words: Any) -> None:
    """A part of the message is enough, in any case."""
    flow = make_gpu(unknown_order=words).query(reference="A1001")
    next(flow)
    with pytest.raises(NotFound, match="the gateway does not know the order: E17 无效的商户单号"):
        flow.send(platform.reply([], 0, "E17 无效的商户单号"))


def test_a_refused_query_says_where_its_words_belong(gpu: Gpu, platform: Any) -> None:
    """The gateway's own words are in the error."""
    flow = gpu.query(reference="A1001")
    next(flow)
    with pytest.raises(Refused, match=r"refused: E17 无效的商户单号\. Hint: .*unknown_order"):
        flow.send(platform.reply([], 0, "E17 无效的商户单号"))


@pytest.mark.parametrize("words", ["", "x", [""], 7])
def test_empty_words_mean_no_order(make_gpu: Callable[..., Gpu], words: Any) -> None:
    """They would be in every message."""
    with pytest.raises(ValueError, match="unknown_order"):
        make_gpu(unknown_order=words)


@pytest.mark.parametrize(
    ("message", "of_account"),
    [
        ("签名错误", True),
        ("订单不存在或签名错误", True),
        ("商户不存在", True),
        ("appid not found", True),
        ("请求过于频繁", True),
        ("", False),
        ("系统繁忙", False),
        ("找不到订单对应的通道", False),
        ("no order channel", False),
    ],
)
def test_any_other_refusal_is_not_not_found(gpu: Gpu, platform: Any, message: str, of_account: bool) -> None:
    """Status 0 may mean a bad signature as well: it says nothing of the order, and a pass leaves the account alone."""
    flow = gpu.query(reference="A1001")
    next(flow)
    with pytest.raises(Refused) as refused:
        flow.send(platform.reply([], 0, message))
    assert isinstance(refused.value, AccountRefused) is of_account
    assert ("unknown_order" in refused.value.hint) is not of_account


def test_the_accounts_own_words_for_an_unknown_order_come_before_those_of_an_account(
    make_gpu: Callable[..., Gpu], platform: Any
) -> None:
    """Whoever set them has read the gateway's message."""
    flow = make_gpu(unknown_order="E17").query(reference="A1001")
    next(flow)
    with pytest.raises(NotFound):
        flow.send(platform.reply([], 0, "E17 商户不存在"))


# Through a hub


def test_a_query_over_tls_may_say_paid(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """With the order at hand, its number, sum and currency are compared."""
    payment = open_hub(gateway(platform.query_reply())).query("shop", "A1001", expect=order)
    assert (payment.status, payment.claimed_status) == (PaymentStatus.PAID, PaymentStatus.PAID)
    assert (payment.account, payment.provider) == ("shop", "gpu")


@pytest.mark.parametrize("base_url", ["http://gateway.example", "http://127.0.0.1:8000"])
def test_paid_over_plain_http_is_a_hint(
    open_hub: Any, gateway: Any, platform: Any, settings: Any, order: Any, base_url: str
) -> None:
    """Anyone on the way could have written it: the status is never PAID, the claim is kept for the payer's page."""
    accounts = load_accounts({"accounts": {"shop": {**settings, "base_url": base_url, "allow_http": True}}})
    payment = open_hub(gateway(platform.query_reply()), accounts=accounts).query("shop", "A1001", expect=order)
    assert payment.status is PaymentStatus.PENDING
    assert payment.claimed_status is PaymentStatus.PAID


@pytest.mark.parametrize("expecting", [True, False])
def test_another_orders_reply_is_refused(
    open_hub: Any, gateway: Any, platform: Any, order: Any, expecting: bool
) -> None:
    """With or without an order to compare, the number must be the one asked for."""
    hub = open_hub(gateway(platform.query_reply(order_no="B2")))
    with pytest.raises(WrongOrder, match=r"A1001.*B2"):
        hub.query("shop", "A1001", expect=order if expecting else None)


def test_another_sum_is_refused_with_both_numbers(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """The order says 100.00."""
    with pytest.raises(WrongAmount, match=r"100\.00 CNY.*60\.00 CNY"):
        open_hub(gateway(platform.query_reply(amount="6000"))).query("shop", "A1001", expect=order)


def test_another_order_than_expected_is_refused(open_hub: Any, gateway: Any, platform: Any, make_order: Any) -> None:
    """A query for one order with another at hand is a mistake of the program, and never a match."""
    answers = gateway(platform.query_reply())
    with pytest.raises(InvalidOrder, match="expected the order 'A1001', not 'B2'"):
        open_hub(answers).query("shop", "A1001", expect=make_order(reference="B2"))
    assert not answers.requests


@pytest.mark.parametrize(
    "fault",
    [httpx.Response(500), httpx.Response(502), httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.ConnectError("x")],
    ids=str,
)
def test_a_query_is_tried_again_a_bounded_number_of_times(open_hub: Any, gateway: Any, fault: Any) -> None:
    """Three requests, then a GatewayError that proves nothing and is no OutcomeUnknown."""
    answers = gateway(fault)
    with pytest.raises(GatewayError) as caught:
        open_hub(answers).query("shop", "A1001")
    assert len(answers.requests) == 3
    assert not isinstance(caught.value, OutcomeUnknown | NotFound | Refused)
    assert caught.value.reference == "A1001"


def test_a_query_that_succeeds_when_tried_again_has_succeeded(open_hub: Any, gateway: Any, platform: Any) -> None:
    """A passing fault costs nothing but time."""
    answers = gateway(httpx.ReadTimeout("x"), httpx.Response(503), platform.query_reply())
    assert open_hub(answers).query("shop", "A1001").status is PaymentStatus.PAID
    assert len(answers.requests) == 3


@pytest.mark.parametrize("reply", ["<html>", "{}", '{"status":0,"message":"签名错误","data":[]}'])
def test_an_answer_is_an_answer_and_not_asked_for_again(open_hub: Any, gateway: Any, reply: str) -> None:
    """Garbage and refusals would only come again."""
    answers = gateway(httpx.Response(200, text=reply))
    with pytest.raises(GatewayError):
        open_hub(answers).query("shop", "A1001")
    assert len(answers.requests) == 1


@pytest.mark.parametrize("amount", [None, ""])
def test_paid_without_a_sum_proves_nothing(gpu: Gpu, platform: Any, amount: Any) -> None:
    """Absent, null or empty: the order stays as it was, and the gateway is asked again."""
    for reply in (platform.query_reply(amount=amount), platform.query_reply(amount=amount, pay_status="1")):
        flow = gpu.query(reference="A1001")
        next(flow)
        with pytest.raises(GatewayError, match="paid without a sum"):
            flow.send(reply)


def test_an_answer_that_brings_no_attach_says_none(gpu: Gpu) -> None:
    """Nothing is made up."""
    data = {"order_no": "A1001", "pay_status": -1, "amount": "100.00"}
    assert answer(gpu, "A1001", httpx.Response(200, json={"status": 1, "message": "ok", "data": data})).attach == ""
