"""What reads bytes from outside, with genuine bytes for each, and what must hold whatever is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from payhub_core import (
    Callback,
    CallbackError,
    CallbackKind,
    GatewayError,
    Hub,
    Money,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    Reply,
    WrongAmount,
    WrongOrder,
    load_accounts,
)
from payhub_core.kit import (
    FORM,
    CallbackFields,
    Fields,
    Secret,
    read_form,
    read_json,
    read_object,
    read_xml,
    write_form,
)
from payhub_core.web import wsgi
from payhub_dummy import notify as dummy_notify
from payhub_epay.signing import sign as epay_sign
from payhub_gpu.signing import sign as gpu_sign

SECRET = "throw-away-key-of-the-fuzzed-shop"
ACCOUNTS = {
    "gpu": {"provider": "gpu", "base_url": "https://gateway.example", "appid": "gpu1", "secret": SECRET},
    "epay": {"provider": "epay", "base_url": "https://gateway.example", "pid": "1001", "key": SECRET},
    "dummy": {"provider": "dummy", "development": True},
}
ORDER = Order(
    reference="A1001",
    amount=Money.of("100.00", "CNY"),
    description="Tea",
    method=PaymentMethod.ALIPAY_H5,
    notify_url="https://shop.example/notify",
    return_url="https://shop.example/return",
)
GPU = {
    "appid": "gpu1",
    "order_no": "A1001",
    "platform_order_no": "P1",
    "amount": "10000.00",
    "pay_status": "1",
    "actual_amount": "10000.00",
    "attach": "%E8%8C%B6 a",
    "pay_time": "2026-01-02 03:04:05",
}
EPAY = {
    "pid": "1001",
    "trade_no": "P1",
    "out_trade_no": "A1001",
    "type": "alipay",
    "name": "Tea & 茶",
    "money": "100.00",
    "trade_status": "TRADE_SUCCESS",
    "param": "a%20b",
}
ANSWERS = (
    (
        b'{"status":1,"message":"ok","data":{"order_no":"A1001","amount":10000,"bank_code":"901","pay_status":-1,'
        b'"redirect_url":"https://gateway.example/pay/1","platform_order_no":"P1","attach":"","content":""}}'
    ),
    (
        b'{"status":1,"message":"","data":{"order_no":"A1001","amount":"10000.00","bank_code":"901","pay_status":1,'
        b'"platform_order_no":"P1","created_at":"2026-01-02 03:04:05","pay_time":"2026-01-02 03:04:06"}}'
    ),
    b'{"status":0,"message":"\\u8ba2\\u5355\\u4e0d\\u5b58\\u5728","data":[]}',
    b'{"code":1,"msg":"","trade_no":"P1","payurl":"https://gateway.example/pay/1","qrcode":"weixin://x"}',
    (
        b'{"code":1,"msg":"succ","trade_no":"P1","out_trade_no":"A1001","type":"alipay","money":"100.00","status":1,'
        b'"addtime":"2026-01-02 03:04:05","endtime":"2026-01-02 03:04:05","param":"","name":"Tea"}'
    ),
    b'{"code":-1,"msg":"no"}',
)
XML = (b"<xml><a>1</a><b><![CDATA[tea]]></b><c><d>2</d></c></xml>", b"<?xml version='1.0'?><xml a='b'><e/></xml>")
HEADERS = {"Content-Type": FORM}

#: What one execution does with the bytes; whatever it raises is a finding.
Try = Callable[[bytes, Random], object]


@dataclass(frozen=True)
class Target:
    """A reader: the genuine bytes that inputs are made from, and one execution."""

    corpus: Sequence[bytes]
    run: Try


class Wire:
    """A client whose gateway answers what is to be read next."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []

    def send(self, _: httpx.Request, **__: object) -> httpx.Response:
        status, content = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return httpx.Response(status, content=content)


def gpu(changes: Mapping[str, str]) -> bytes:
    fields = {**GPU, **changes}
    return write_form({**fields, "sign": gpu_sign(fields, Secret(SECRET))})


def epay(changes: Mapping[str, str]) -> bytes:
    fields = {**EPAY, **changes}
    return write_form({**fields, "sign": epay_sign(fields, Secret(SECRET)), "sign_type": "MD5"})


GENUINE: dict[str, tuple[bytes, ...]] = {
    "gpu": (
        gpu({}),
        gpu({"pay_status": "0"}),
        gpu({"order_no": "B2", "attach": "&order_no=A1001"}),
        gpu({"x": "1"}),
    ),
    "epay": (epay({}), epay({"trade_status": "", "name": "a&money=1.00"}), epay({"out_trade_no": "B2", "param": ""})),
    "dummy": tuple(
        dummy_notify("dummy", ORDER.model_copy(update=change)).body
        for change in ({}, {"reference": "B2"}, {"attach": "茶"})
    ),
}
WIRE = Wire()
HUB = Hub(load_accounts({"accounts": ACCOUNTS}), client=WIRE)


def facts(payment: Payment | None) -> tuple[object, ...]:
    """What an application acts upon."""
    assert payment is not None
    return payment.reference, payment.gateway_id, payment.status, payment.amount, payment.paid


def callback(account: str, data: bytes, kind: CallbackKind = CallbackKind.NOTIFY) -> Callback:
    if account == "epay":
        return Callback("GET", {}, data, b"", kind)
    return Callback("POST", HEADERS, b"", data, kind)


def heard(account: str) -> Target:
    """Callbacks that nobody signed: refused, or one of the genuine ones, written in another way."""
    known = {facts(HUB.parse_callback(account, callback(account, data)).payment) for data in GENUINE[account]}

    def run(data: bytes, random: Random) -> None:
        returning = random.random() < 0.2
        kind = CallbackKind.RETURN if returning else CallbackKind.NOTIFY
        try:
            payment = HUB.parse_callback(account, callback(account, data, kind)).payment
        except CallbackError:
            return
        assert payment is not None
        if returning:
            assert payment.status is PaymentStatus.PENDING, "a return settled an order"
        else:
            assert facts(payment) in known, "accepted without the key"

    return Target(GENUINE[account], run)


def signed(account: str, fields: Mapping[str, str], write: Callable[[Mapping[str, str]], bytes]) -> Target:
    """Genuine signatures over odd values: behind the signature, too, any bytes end in a result or a refusal."""
    names = [*fields, "extra"]
    corpus = [value.encode() for value in fields.values()]

    def run(data: bytes, random: Random) -> None:
        name = names[int(random.random() * len(names))]
        try:
            HUB.parse_callback(account, callback(account, write({name: data.decode("utf-8", "replace")})), expect=ORDER)
        except CallbackError:
            return

    return Target(corpus, run)


def answered(account: str) -> Target:
    """Replies to create, query and refund: a result about this order, or an error of the gateway's."""

    def run(data: bytes, random: Random) -> None:
        draw = random.random()
        WIRE.answers = [(200 if draw < 0.95 else int(200 + draw * 300), data)]
        try:
            if draw < 0.4:
                result: Any = HUB.create_payment(account, ORDER)
                assert result.status is PaymentStatus.PENDING, "a create settled an order"
            elif draw < 0.85 or account == "gpu":
                result = HUB.query(account, "A1001", expect=ORDER)
            else:
                WIRE.answers.insert(0, (200, ANSWERS[4]))
                result = HUB.refund(account, "A1001", None, ORDER.amount, "R1")
            assert (result.reference, result.amount) == ("A1001", ORDER.amount)
        except GatewayError:
            return
        except (WrongOrder, WrongAmount):  # which a query says of an answer about another order
            if draw < 0.4:
                raise

    return Target(ANSWERS, run)


class Receiver:
    """A checkout without a ledger: what the endpoint asks."""

    def receive(self, account: str, asked: Callback, _: object = None) -> Reply:
        notification = HUB.parse_callback(account, asked)
        assert facts(notification.payment) in KNOWN
        return notification.reply

    def view(self, account: str, asked: Callback, *, reference: str | None = None) -> Payment:
        payment = HUB.parse_callback(account, asked).payment
        assert payment is not None
        return payment


KNOWN = {
    facts(HUB.parse_callback(account, callback(account, data)).payment)
    for account in GENUINE
    for data in GENUINE[account]
}
ENDPOINT = wsgi(Receiver())
PATHS = ("/gpu/notify", "/pay/epay/notify/", "/dummy/notify", "/gpu/return/A1001", "/epay/return", "/none/notify")


def served() -> Target:
    """The endpoint: an answer that a gateway understands, and never that the fault is the shop's."""

    def run(data: bytes, random: Random) -> None:
        draw = random.random()
        path, query, body = PATHS[int(draw * len(PATHS))], b"", data
        method = "GET" if "epay" in path else "POST"
        if method == "GET":
            query, body = data, b""
        if random.random() < 0.1:
            path = data.decode("latin-1")
        headers = {"content-type": FORM, "content-length": str(len(body)), "cookie": "a=b"}
        if random.random() < 0.1:
            headers["content-type"] = headers["content-length"] = data[:60].decode("latin-1")
        answer = ENDPOINT.answer(method, path, headers, query, body)
        assert answer.status_code in {200, 400, 404, 405, 411, 413, 414}, answer

    return Target([data for account in ("gpu", "epay", "dummy") for data in GENUINE[account]], run)


def read() -> Iterator[tuple[str, Target]]:
    """The kit's readers, and every way to take a value out of what they read."""

    def values(fields: Fields, kind: type[Exception]) -> None:
        for name in list(fields)[:3]:
            with suppress(kind):
                fields.money(name, "CNY", "major")
            with suppress(kind):
                fields.money(name, "JPY", "minor")
            with suppress(kind):
                fields.time(name, "+08:00")
            with suppress(kind):
                fields.choice(name, {"1": True})
            with suppress(kind):
                fields.object(name)
            with suppress(kind):
                fields.objects(name)
            with suppress(kind):
                fields.text(name)

    def form(data: bytes, random: Random) -> None:
        with suppress(CallbackError):
            joint = "&" if random.random() < 0.5 else ""
            fields = read_form(Callback("POST", HEADERS, b"", data), reserved=("secret",), joint=joint)
            assert all(isinstance(value, str) for value in fields.values())
            assert (
                read_form(Callback("POST", HEADERS, b"", write_form(fields)), reserved=("secret",), joint=joint)
                == fields
            )
            values(fields, CallbackError)

    def objects(data: bytes, random: Random) -> None:
        with suppress(CallbackError):
            values(read_json(Callback("POST", {"Content-Type": "application/json"}, b"", data)), CallbackError)
        with suppress(GatewayError):
            values(read_object(data, Fields), GatewayError)

    def xml(data: bytes, random: Random) -> None:
        with suppress(CallbackError):
            values(read_xml(data, CallbackFields, "xml"), CallbackError)

    yield "kit form", Target([*GENUINE["gpu"], *GENUINE["epay"]], form)
    yield "kit objects", Target(ANSWERS, objects)
    yield "kit xml", Target(XML, xml)


TARGETS: Mapping[str, Target] = {
    **{f"{account} callbacks": heard(account) for account in GENUINE},
    "gpu callbacks, signed": signed("gpu", GPU, gpu),
    "epay callbacks, signed": signed("epay", EPAY, epay),
    **{f"{account} answers": answered(account) for account in ("gpu", "epay")},
    "endpoint": served(),
    **dict(read()),
}
