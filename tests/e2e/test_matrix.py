"""Every message of two providers with two accounts each, offered in every place: none is taken out of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import md5
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from payhub_core import Callback, CallbackKind, Hub, Money, PayhubError, Payment, PaymentStatus, load_accounts
from payhub_core.kit import FORM

PAID, PENDING = PaymentStatus.PAID, PaymentStatus.PENDING
SETTINGS: dict[str, dict[str, Any]] = {
    "gpu1": {"provider": "gpu", "appid": "gpu1", "secret": "secret-of-the-first-gpu-account"},
    "gpu2": {"provider": "gpu", "appid": "gpu2", "secret": "secret-of-the-other-gpu-account"},
    "epay1": {"provider": "epay", "pid": "1001", "key": "key-of-the-first-epay-account"},
    "epay2": {"provider": "epay", "pid": "1002", "key": "key-of-the-other-epay-account"},
}
#: Which message may come where, and what an order is by it then. All else is an error.
GPU = {
    ("notify", "POST notify"): PAID,
    ("notify", "POST return"): PENDING,  # at the return address, a hint
    ("notify", "GET return"): PENDING,
    ("return", "POST return"): PENDING,
    ("return", "GET return"): PENDING,
    ("create's answer", "create"): PENDING,
    ("create's answer", "query"): PENDING,  # the fields of an order that is not paid
    ("query's answer", "query"): PAID,
}
EPAY = {
    ("notify", "GET notify"): PAID,
    ("notify", "GET return"): PENDING,
    ("return", "GET notify"): PAID,  # the protocol's notify and return are one message
    ("return", "GET return"): PENDING,
    ("create's answer", "create"): PENDING,
    ("query's answer", "query"): PAID,
    # The answer to a refund is "code": 1 and words: the connection it comes by is what tells it from others.
    **dict.fromkeys([(f"{asked}'s answer", "refund") for asked in ("create", "query", "refund")], PAID),
}
CALLBACKS = ("POST notify", "GET notify", "POST return", "GET return")
PLACES = (*CALLBACKS, "create", "query", "refund")


def notified(account: str) -> dict[str, bytes]:
    """What the gateway would send by itself, signed for ``account``; written from the protocols."""
    settings = SETTINGS[account]
    if settings["provider"] == "gpu":
        common = {"order_no": "A1001", "pay_status": "1"}
        sums = {"amount": "10000", "actual_amount": "10000", "pay_time": "2026-01-02 03:04:05", "attach": ""}
        fields = {"notify": {**common, **sums, "appid": settings["appid"]}, "return": common}
        return {
            name: urlencode({**each, "sign": _md5(_joined({**each, "secret": settings["secret"]}))}).encode()
            for name, each in fields.items()
        }
    paid = {"trade_status": "TRADE_SUCCESS", "trade_no": "P1", "out_trade_no": "A1001", "money": "100.00"}
    paid |= {"pid": settings["pid"], "name": "Tea", "type": "alipay"}
    signed = urlencode({**paid, "sign": _md5(_joined(paid) + settings["key"]), "sign_type": "MD5"}).encode()
    return {"notify": signed, "return": signed}


def answers(provider: str) -> dict[str, bytes]:
    """What the gateway answers; nothing in it is signed or names an account."""
    if provider == "gpu":
        order = {"order_no": "A1001", "amount": "10000", "bank_code": "901"}
        data = {
            "create": {**order, "pay_status": "-1", "redirect_url": "https://gateway.example/pay/1"},
            "query": {**order, "pay_status": "1"},
        }
        replies: dict[str, Any] = {name: {"status": 1, "message": "", "data": each} for name, each in data.items()}
    else:
        order = {"trade_no": "P1", "out_trade_no": "A1001", "money": "100.00", "type": "alipay", "name": "Tea"}
        replies = {
            "create": {"code": 1, "msg": "", "trade_no": "P1", "payurl": "https://gateway.example/pay/1"},
            "query": {"code": 1, "msg": "", **order, "status": 1},
            "refund": {"code": 1, "msg": "done"},
        }
    return {f"{name}'s answer": json.dumps(reply).encode() for name, reply in replies.items()}


class Shop:
    """A hub over all four accounts, whose gateways answer what they are told to."""

    def __init__(self, order: Any) -> None:
        self.order = order
        self.asked: list[httpx.Request] = []
        self.script: list[bytes] = []
        accounts = {name: {**settings, "base_url": f"https://{name}.example"} for name, settings in SETTINGS.items()}
        self.client = httpx.Client(transport=httpx.MockTransport(self.answer))
        self.hub = Hub(load_accounts({"accounts": accounts}), client=self.client)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(200, content=self.script.pop(0))

    def offered(self, data: bytes, account: str, place: str) -> PaymentStatus | None:
        """What the order is by ``data`` in that place; None where it is refused."""
        try:
            return self.taken(data, account, place)
        except PayhubError:
            return None

    def taken(self, data: bytes, account: str, place: str) -> PaymentStatus:
        if place in CALLBACKS:
            method, _, kind = place.partition(" ")
            query, body = (data, b"") if method == "GET" else (b"", data)
            callback = Callback(method, {"Content-Type": FORM}, query, body, CallbackKind(kind))
            payment = self.hub.parse_callback(account, callback, expect=self.order).payment
            assert isinstance(payment, Payment)
            return payment.status
        self.script = [data]
        if place == "create":
            return self.hub.create_payment(account, self.order).status
        if place == "query":
            return self.hub.query(account, "A1001", expect=self.order).status
        self.script = [answers(SETTINGS[account]["provider"]).get("query's answer", b""), data]
        self.hub.refund(account, "A1001", None, Money.of("100.00", "CNY"), "R1")
        return PAID

    def requests(self, account: str) -> Iterator[tuple[str, bytes]]:
        """What the account itself sends, and signs with the same key."""
        told = answers(SETTINGS[account]["provider"])
        for place in ("create", "query", "refund"):
            if (answer := told.get(f"{place}'s answer")) is not None:
                self.asked.clear()
                self.taken(answer, account, place)
                last = self.asked[-1]
                yield place, last.content or last.url.query


@pytest.fixture
def shop(order: Any) -> Iterator[Shop]:
    shop = Shop(order)
    with shop.client, shop.hub:
        yield shop


@pytest.mark.parametrize("maker", SETTINGS)
def test_no_message_is_taken_out_of_its_place(shop: Shop, maker: str) -> None:
    """Requests, callbacks and answers of each account, in each place of each account."""
    provider = SETTINGS[maker]["provider"]
    table = GPU if provider == "gpu" else EPAY
    made = {**notified(maker), **answers(provider), **dict(shop.requests(maker))}
    expected, found = {}, {}
    for message, data in made.items():
        for account, settings in SETTINGS.items():
            for place in PLACES:
                # An answer names no account: whose it is, the connection says. What is signed is its maker's alone.
                own = account == maker or (settings["provider"] == provider and message.endswith("answer"))
                expected[message, account, place] = table.get((message, place)) if own else None
                found[message, account, place] = shop.offered(data, account, place)
    assert len(found) == len(made) * len(SETTINGS) * len(PLACES)
    assert found == expected


def _joined(fields: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items()))


def _md5(text: str) -> str:
    return md5(text.encode()).hexdigest()
