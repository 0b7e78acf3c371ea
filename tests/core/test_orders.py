"""Orders, and the other values an application meets."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from payhub_core import (
    AppParameters,
    Callback,
    CallbackKind,
    FormPost,
    HtmlPage,
    InvalidOrder,
    Money,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    Reply,
)


def test_an_order_is_what_was_said(make_order: Any) -> None:
    """Chinese, ampersands, queries and all."""
    order = make_order(description="茶 & 水", attach="a=1&b=2", notify_url="https://shop.example/n?shop=1&lang=zh")
    assert (order.description, order.attach) == ("茶 & 水", "a=1&b=2")
    assert order.notify_url == "https://shop.example/n?shop=1&lang=zh"
    assert order.amount == Money.of("100.00", "CNY")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reference", ""),
        ("reference", "x" * 65),
        ("reference", "a\nb"),
        ("reference", None),
        ("reference", 1001),
        ("amount", Money(0, "CNY")),
        ("amount", Money(-1, "CNY")),
        ("amount", "100.00"),
        ("amount", 100),
        ("amount", None),
        ("description", ""),
        ("description", "x" * 257),
        ("description", "a\x00b"),
        ("description", "a\x85b"),
        ("description", "\ud800"),
        ("attach", "x" * 2049),
        ("attach", "a\r\nb"),
        ("payer", "a\tb"),
        ("method", "9\n01"),
        ("method", 901),
        ("extra", {"a\n": "1"}),
        ("extra", {"a": "1\n"}),
        ("extra", {"a": 1}),
        ("extra", None),
        ("colour", "red"),
    ],
)
def test_an_order_that_cannot_be_sent_is_refused_at_once(make_order: Any, field: str, value: Any) -> None:
    """InvalidOrder, naming the field."""
    with pytest.raises(InvalidOrder, match=field):
        make_order(**{field: value})


@pytest.mark.parametrize("field", ["notify_url", "return_url"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "/pay",
        "shop.example",
        "//shop.example",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "ftp://shop.example",
        "https://",
        "https:///x",
        "https:shop.example",
        "https://?x",
        "https://shop.example/a b",
        "https://shop.example/\nx",
        "https://shop.example\\@evil.example",
        " https://shop.example",
        "https://shop.example\n",
    ],
)
def test_an_address_is_absolute_http(make_order: Any, field: str, url: str) -> None:
    """Relative ones, scripts and half ones are refused."""
    with pytest.raises(InvalidOrder, match=field):
        make_order(**{field: url})


def test_every_field_that_is_wrong_is_named_at_once() -> None:
    """And no value is shown: an order holds the payer's data."""
    with pytest.raises(InvalidOrder) as caught:
        Order(reference="canary\n", amount=Money(1, "CNY"), description="", notify_url="canary", return_url="canary")
    text = str(caught.value)
    assert all(field in text for field in ("reference", "description", "notify_url", "return_url"))
    assert "canary" not in text


def test_a_missing_field_is_named() -> None:
    """As an error of ours, not of the validator's."""
    with pytest.raises(InvalidOrder, match="amount"):
        Order(reference="A1")  # type: ignore[call-arg]


def test_a_neutral_method_may_be_written_as_text(make_order: Any) -> None:
    """As a configuration file has it; any other text is the provider's own code."""
    assert make_order(method="alipay_h5").method is PaymentMethod.ALIPAY_H5
    assert make_order(method="20009").method == "20009"


def test_values_do_not_change(order: Order) -> None:
    """What was checked stays."""
    with pytest.raises(ValidationError):
        order.reference = "B2"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Reply().body = b"x"  # type: ignore[misc]


def test_orders_and_payments_cross_processes(order: Order) -> None:
    """Task queues pickle them, or carry their JSON."""
    payment = Payment(
        reference="A1", status=PaymentStatus.PAID, amount=Money(1, "CNY"), next_action=QrCode(content="weixin://x")
    )
    assert pickle.loads(pickle.dumps(order)) == order
    assert pickle.loads(pickle.dumps(payment)) == payment
    assert Payment.model_validate_json(payment.model_dump_json()) == payment
    assert Order.model_validate_json(order.model_dump_json()) == order
    assert json.loads(payment.model_dump_json())["next_action"] == {"type": "qr_code", "content": "weixin://x"}


def test_the_gateways_html_is_not_in_a_repr() -> None:
    """Nor are a wallet's parameters, nor a callback's body, nor raw fields: they land in logs."""
    payment = Payment(
        reference="A1", status=PaymentStatus.PENDING, next_action=HtmlPage(html="canary"), raw={"x": "canary"}
    )
    callback = Callback("POST", {}, b"", b"canary")
    assert "canary" not in f"{payment!r} {payment} {AppParameters(parameters='canary')!r} {callback!r} {callback}"


def test_what_to_do_next_is_one_of_five() -> None:
    """Each with its kind as text, for a page written in another language."""
    actions: list[Any] = [
        Redirect(url="u"),
        QrCode(content="c"),
        HtmlPage(html="h"),
        FormPost(url="u", fields={}),
        AppParameters(parameters="p"),
    ]
    assert [action.type for action in actions] == ["redirect", "qr_code", "html_page", "form_post", "app_parameters"]
    for action in actions:
        payment = Payment(reference="A1", status=PaymentStatus.PENDING, next_action=action)
        assert Payment.model_validate_json(payment.model_dump_json()).next_action == action


def test_a_form_post_escapes_what_it_carries() -> None:
    """Text of others in a page of ours."""
    hostile = '"><script>alert(1)</script>'
    html = FormPost(url=f"https://x.example/{hostile}", fields={hostile: hostile}).html(nonce=hostile)
    assert "<script>alert" not in html
    assert html.count("<script") == 1
    assert html.count("&quot;&gt;&lt;script&gt;") == 4


def test_a_callback_is_a_notify_unless_the_address_says_otherwise() -> None:
    """The kind is the address, and looks are never asked."""
    assert Callback("POST", {}, b"", b"").kind is CallbackKind.NOTIFY


def test_a_header_that_is_missing_is_empty() -> None:
    """And one that is there is found by any case of its name."""
    callback = Callback("POST", {"X-One": "1"}, b"", b"")
    assert callback.header("x-one") == "1"
    assert callback.header("X-ONE") == callback.header("X-One") == "1"
    assert callback.header("x-two") == ""


def test_a_notification_is_unbound_until_the_core_says_otherwise() -> None:
    """The safe default."""
    assert not Notification(CallbackKind.NOTIFY, None).bound
