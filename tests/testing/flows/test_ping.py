"""A callback that carries only an id, and is believed by asking; a token before every call, renewed when refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from pydantic import PrivateAttr

from payhub_core import (
    AccountRefused,
    Callback,
    Flow,
    GatewayError,
    InvalidOrder,
    Money,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Refund,
    RefundStatus,
    Reply,
    Request,
    Response,
    hookimpl,
)
from payhub_core.kit import AccountSettings, Fields, Secret, bearer, grammar, read_form, read_reply
from payhub_core.testing import ProviderContract, Sale
from payhub_core.testing.bench import Bench

WORDS = {
    "CREATED": PaymentStatus.PENDING,
    "COMPLETED": PaymentStatus.PAID,
    "VOIDED": PaymentStatus.CANCELED,
    "REFUNDED": PaymentStatus.REFUNDED,
}
URL = "https://ping.example"
TOKEN = "c1277-access-token-of-the-shop"
NUMBER = grammar(r"[0-9]{1,20}", "the gateway's number")


def refusal(fields: Fields) -> tuple[str, str]:
    return fields.text("error"), ""


def no_token(fields: Fields) -> tuple[str, str]:
    raise AccountRefused("the gateway gives this account no token", code=fields.text("error"))


class Ping(AccountSettings):
    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="ping",
        currencies=frozenset({"EUR", "USD"}),
        identity=("client",),
        attach=False,
        time_limits={"parse_callback": 5},
    )

    client: str
    secret: Secret
    _token: list[Secret] = PrivateAttr(default_factory=list)

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        body = {
            "order": order.reference,
            "amount": {"value": str(order.amount.amount), "currency": order.amount.currency},
            "description": order.description,
            "webhook": order.notify_url,
            "success_url": order.return_url,
        }
        return told((yield from self.call("POST", "/payments", body)))

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        if gateway_id is None:
            raise GatewayError("the gateway looks up by its own number alone, which is not known")
        return told((yield from self.call("GET", f"/payments/{gateway_id}")))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        number = read_form(callback).read("id", NUMBER)
        return Notification(callback.kind, told((yield from self.call("GET", f"/payments/{number}"))), Reply(b""))

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, harmless: bool = False
    ) -> Flow[Fields]:
        """One call with a token; one that is refused is fetched anew, once: a call that was refused did nothing."""
        used = None
        for _ in range(2):
            token = self._token[0] if self._token else None
            if token is None or token is used:
                token = yield from self.fetched()
                self._token[:] = [token]
            headers, used = {"Authorization": bearer(token)}, token
            response = yield Request(method, f"{URL}{path}", json=body, headers=headers, harmless=harmless)
            if response.status_code != 401:
                break
        return read_reply(response) if harmless else read_reply(response, refusal=refusal, missing=True)

    def fetched(self) -> Flow[Secret]:
        reply = yield Request(
            "POST",
            f"{URL}/token",
            data={"client": self.client, "secret": self.secret.text},
            harmless=True,
        )
        return Secret(read_reply(reply, refusal=no_token).text("access_token"))


def told(fields: Fields) -> Payment:
    amount = fields.object("amount")
    return Payment(
        reference=fields.text("order"),
        gateway_id=fields.text("id"),
        status=fields.choice("status", WORDS, default=PaymentStatus.PENDING),
        amount=amount.money("value", amount.text("currency"), "major"),
        next_action=Redirect(url=fields.text("url")),
        raw=dict(fields),
    )


class TestPing(ProviderContract):
    provider: ClassVar[type[Any]] = Ping
    settings = {"client": "c1", "secret": "c1277-throw-away-client-secret"}
    other = {"client": "c2", "secret": "c1277-throw-away-other-secret"}
    acknowledged = b""
    words: ClassVar[Any] = {"account": ["invalid_client"]}

    def answer(self, request: Request, sale: Sale) -> Response:
        if request.url.path == "/token":
            sent = dict(parse_qsl(request.content.decode()))
            assert sent == {"client": self.settings["client"], "secret": self.settings["secret"]}
            if sale.no == "account" and sale.word == "invalid_client":
                return Response(400, json={"error": sale.word})
            return Response(200, json={"access_token": TOKEN})
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return Response(401, json={"error": "expired"})
        if sale.no:
            codes = {"missing": 404, "refused": 422, "account": 403}
            return Response(codes[sale.no], json={"error": sale.no})
        body = {
            "order": sale.reference,
            "id": sale.gateway_id,
            "status": sale.word or {status: word for word, status in WORDS.items()}[sale.status],
            "amount": {"value": str(sale.amount.amount), "currency": sale.amount.currency},
            "url": sale.url,
        }
        return Response(200, content=json.dumps(body))

    def notify(self, sale: Sale) -> Callback:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Callback("POST", headers, b"", f"id={sale.gateway_id}".encode())

    def asked(self, request: Request) -> tuple[str, Money] | None:
        if request.url.path == "/token" or not request.content:
            return None
        body = json.loads(request.content)
        number = body.get("refund") or body["order"]
        return number, Money.of(body["amount"]["value"], body["amount"]["currency"])


REFUNDS = {"WAITS": RefundStatus.PENDING, "COMPLETED": RefundStatus.REFUNDED, "FAILED": RefundStatus.FAILED}


class Back(Ping):
    """Names a refund, too, and is asked about it; a payment is looked up before a part of it is paid back."""

    @hookimpl
    def refund(self, reference: str, gateway_id: str | None, amount: Money, refund_reference: str) -> Flow[Refund]:
        if gateway_id is None:
            raise InvalidOrder("expected the gateway's number: it looks up by nothing else")
        path = f"/payments/{gateway_id}"
        payment = told((yield from self.call("GET", path, harmless=True)))
        ours = (payment.reference, payment.gateway_id) == (reference, gateway_id)
        if not ours or payment.status is not PaymentStatus.PAID:
            raise GatewayError("the look-up does not say that this order is paid")
        body = {
            "order": reference,
            "refund": refund_reference,
            "amount": {"value": str(amount.amount), "currency": amount.currency},
        }
        return back((yield from self.call("POST", f"{path}/refunds", body)))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        number = read_form(callback).read("refund", NUMBER, default="")
        if not number:
            return (yield from Ping.parse_callback(self, callback))
        refund = back((yield from self.call("GET", f"/refunds/{number}")))
        return Notification(callback.kind, None, Reply(b""), refund=refund)


def back(fields: Fields) -> Refund:
    amount = fields.object("amount")
    return Refund(
        reference=fields.text("order"),
        gateway_id=fields.text("payment"),
        refund_reference=fields.text("refund", default=""),
        refund_id=fields.text("id"),
        status=fields.choice("status", REFUNDS, default=RefundStatus.PENDING),
        amount=amount.money("value", amount.text("currency"), "major"),
        raw=dict(fields),
    )


class TestBack(TestPing):
    """The shop pays back here, or in the gateway's own pages; its number comes with the refund where it had one."""

    provider = Back

    def answer(self, request: Request, sale: Sale) -> Response:
        if "/refunds" not in request.url.path or sale.no:
            return super().answer(request, sale)
        assert super().answer(request, sale).status_code == 200
        sum_ = sale.refund or sale.amount
        body = {
            "order": sale.reference,
            "payment": sale.gateway_id,
            "refund": sale.refund_reference,
            "id": sale.refund_id,
            "status": sale.refund_word or {status: word for word, status in REFUNDS.items()}[sale.refund_status],
            "amount": {"value": str(sum_.amount), "currency": sum_.currency},
        }
        return Response(200, content=json.dumps(body))

    def refund_notify(self, sale: Sale) -> Callback:
        callback = self.notify(sale)
        return replace(callback, body=f"refund={sale.refund_id}".encode())


def test_a_token_that_has_run_out_is_renewed_and_the_payment_made_once() -> None:
    """The call with the old token was refused, so it did nothing."""

    class Old(Ping):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self._token.append(Secret("old"))

    class OfOld(TestPing):
        provider = Old

    bench = Bench(OfOld())
    outcome = bench.create()
    assert outcome.payment.status is PaymentStatus.PENDING
    assert [request.url.path for request in outcome.requests] == ["/payments", "/token", "/payments"]


def test_without_the_gateways_number_nothing_is_known() -> None:
    """It cannot be asked for."""
    bench = Bench(TestPing())
    call = bench.query_call(bench.paid(), bench.order())
    call.arguments["gateway_id"] = None
    outcome = bench.play(call)[0]
    assert type(outcome.error) is GatewayError
    assert outcome.tried == []
