"""Notify and return: what is believed, and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from itertools import combinations, pairwise
from typing import Any
from urllib.parse import urlencode

import pytest

from payhub_core import (
    BadSignature,
    Callback,
    CallbackError,
    CallbackKind,
    MalformedCallback,
    Money,
    PaymentMethod,
    PaymentStatus,
    WrongAccount,
    WrongAmount,
)

KEY = "simulator-key-not-for-money"
NOTIFY = {
    "pid": "1001",
    "trade_no": "2026010203040500001",
    "out_trade_no": "A1001",
    "type": "alipay",
    "name": "Tea & cups 茶",
    "money": "100.50",
    "trade_status": "TRADE_SUCCESS",
}


def text(fields: Mapping[str, str]) -> str:
    """What is signed, before the key."""
    return "&".join(f"{n}={v}" for n, v in sorted(fields.items()) if v and n not in {"sign", "sign_type"})


def callback(
    fields: Mapping[str, str], kind: CallbackKind = CallbackKind.NOTIFY, *, key: str = KEY, own: str = ""
) -> Callback:
    """``fields`` with their signature, as the gateway sends them."""
    signed = {**fields, "sign": md5(f"{text(fields)}{key}".encode()).hexdigest(), "sign_type": "MD5"}
    return Callback("GET", {}, (own + urlencode(signed)).encode(), b"", kind)


def test_a_notify_says_that_an_order_is_paid(open_hub: Any, order: Any) -> None:
    """By GET, answered with seven letters."""
    notification = open_hub().parse_callback("shop", callback(NOTIFY), expect=order)
    payment = notification.payment
    assert (payment.status, payment.paid) == (PaymentStatus.PAID, Money.of("100.50", "CNY"))
    assert (payment.gateway_id, payment.method) == (NOTIFY["trade_no"], PaymentMethod.ALIPAY)
    assert (notification.reply.body, notification.bound) == (b"success", True)
    assert "sign" not in payment.raw


def test_what_was_attached_comes_back(open_hub: Any) -> None:
    """Encoded on its way; a NUL in it stays encoded."""
    wide = "%E8%8C%B6%E3%80%807", "茶\u30007"
    for param, attach in (("table%3D7%26%E8%8C%B6", "table=7&茶"), wide, ("a%2500", "a%00"), ("a%00", "a%00")):
        payment = open_hub().parse_callback("shop", callback({**NOTIFY, "param": param})).payment
        assert payment.attach == attach


def test_another_status_is_not_paid(open_hub: Any) -> None:
    """The word is kept."""
    payment = open_hub().parse_callback("shop", callback({**NOTIFY, "trade_status": "TRADE_CLOSED"})).payment
    assert (payment.status, payment.paid) == (PaymentStatus.PENDING, None)
    assert payment.raw["trade_status"] == "TRADE_CLOSED"


def test_a_return_only_claims(open_hub: Any, make_order: Any) -> None:
    """The same message; the address's own query stands before it."""
    order = make_order(return_url="https://shop.example/pay/shop/return?lang=zh")
    came = callback(NOTIFY, CallbackKind.RETURN, own="lang=zh&")
    payment = open_hub().parse_callback("shop", came, expect=order).payment
    assert (payment.status, payment.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.PAID)


@pytest.mark.parametrize("name", NOTIFY)
def test_every_changed_or_missing_field_is_refused(open_hub: Any, name: str) -> None:
    """One letter is enough."""
    signature = md5(f"{text(NOTIFY)}{KEY}".encode()).hexdigest()
    for fields in ({**NOTIFY, name: NOTIFY[name] + "1"}, {n: v for n, v in NOTIFY.items() if n != name}):
        query = urlencode({**fields, "sign": signature}).encode()
        with pytest.raises(BadSignature):
            open_hub().parse_callback("shop", Callback("GET", {}, query, b""))


def test_any_key_of_a_rotation_verifies(open_hub: Any) -> None:
    """The old one, the new one, no third."""
    hub = open_hub(key=["a-new-key-of-no-value", KEY])
    for key in ("a-new-key-of-no-value", KEY):
        assert hub.parse_callback("shop", callback(NOTIFY, key=key)).payment.reference == "A1001"
    with pytest.raises(BadSignature):
        hub.parse_callback("shop", callback(NOTIFY, key="a-third-key-of-no-value"))


@pytest.mark.parametrize("sign", ["", "0" * 32, "茶", "0" * 33])
def test_no_signature_is_a_bad_one(open_hub: Any, sign: str) -> None:
    """Whatever stands in its place."""
    with pytest.raises(BadSignature):
        open_hub().parse_callback("shop", Callback("GET", {}, urlencode({**NOTIFY, "sign": sign}).encode(), b""))


def test_a_message_for_another_merchant_or_of_another_sum_is_refused(open_hub: Any, order: Any) -> None:
    """Genuine, and not about this."""
    with pytest.raises(WrongAccount):
        open_hub().parse_callback("shop", callback({**NOTIFY, "pid": "1002"}))
    with pytest.raises(WrongAmount, match=r"100\.50 CNY.*0\.01 CNY"):
        open_hub().parse_callback("shop", callback({**NOTIFY, "money": "0.01"}), expect=order)


@pytest.mark.parametrize("money", ["", "1e2", "-1", "1.005", "１", "1,00"])
def test_a_sum_that_is_none_is_malformed(open_hub: Any, money: str) -> None:
    """Signed or not."""
    with pytest.raises(MalformedCallback):
        open_hub().parse_callback("shop", callback({**NOTIFY, "money": money}))


def test_a_notify_by_post_is_refused(open_hub: Any) -> None:
    """The gateway sends none."""
    came = callback(NOTIFY)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    with pytest.raises(MalformedCallback):
        open_hub().parse_callback("shop", Callback("POST", form, b"", came.query))


def test_a_request_of_ours_is_no_notify(open_hub: Any) -> None:
    """One key signs both, and the payer sees the form that was signed for submit.php."""
    asked = {**NOTIFY, "notify_url": "https://shop.example/pay/shop/notify"}
    with pytest.raises(MalformedCallback, match="this is a request"):
        open_hub().parse_callback("shop", callback(asked))


PAYERS_NAME = "Tea&out_trade_no=B2002&param=cups"


def recut(signed: str) -> list[dict[str, str]]:
    """Every way to cut a signed text into fields again."""
    joints = [place for place, letter in enumerate(signed) if letter == "&"]
    cuts: list[dict[str, str]] = []
    for count in range(len(joints) + 1):
        for chosen in combinations(joints, count):
            edges = [-1, *chosen, len(signed)]
            parts = [signed[start + 1 : end] for start, end in pairwise(edges)]
            fields = dict(part.partition("=")[::2] for part in parts)
            if len(fields) == len(parts) and text(fields) == signed:
                cuts.append(fields)
    return cuts


def test_no_text_of_a_payer_can_be_cut_into_another_order(open_hub: Any) -> None:
    """The signature joins values unescaped: of all ways to cut a genuine message anew, only the genuine one passes."""
    genuine = {**NOTIFY, "name": PAYERS_NAME, "param": "of the shop"}
    hub, believed = open_hub(), []
    for fields in recut(text(genuine)):
        try:
            believed.append(hub.parse_callback("shop", callback(fields)).payment.reference)
        except CallbackError:
            continue
    assert len(recut(text(genuine))) > 5
    assert set(believed) == {"A1001"}


def first(provider: Any, callback: Callback) -> str | None:
    """The name of the first way to sign that makes the callback's signature."""
    return next((name for name, matches in provider.signature_candidates(callback) if matches), None)


def test_what_another_gateway_signs_otherwise_is_named(open_hub: Any) -> None:
    """For `payhub verify`; "" where nothing deviates."""
    provider = open_hub().accounts["shop"]
    assert first(provider, callback(NOTIFY)) == ""
    assert first(provider, callback(NOTIFY, key=f"&key={KEY}")) == "the secret stands last, as key="
    assert first(provider, callback({**NOTIFY, "param": "x"}, key="another-key-of-somebody")) is None
    fields = {**NOTIFY, "money": "1.00", "sign": md5(f"{text(NOTIFY)}{KEY}".encode()).hexdigest()}
    assert first(provider, Callback("GET", {}, urlencode(fields).encode(), b"")) == "the sum in 'money' was changed"
