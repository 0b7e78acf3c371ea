"""A gateway that asks the payer on his phone: no page, HTTP 500 for "in progress", messages that name no order."""

from __future__ import annotations

import hmac
import json
import time
from typing import Any, ClassVar
from urllib.parse import urlencode

from payhub_core import (
    BadSignature,
    Callback,
    Flow,
    GatewayError,
    InvalidOrder,
    Money,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Reply,
    Request,
    Response,
    hookimpl,
)
from payhub_core.kit import (
    AccountSettings,
    CallbackFields,
    Fields,
    Secret,
    made_by_any,
    read_json,
    read_pairs,
    read_reply,
)
from payhub_core.testing import NotApplicable, ProviderContract, Sale

URL = "https://push.example"
RESULTS = {
    "0": PaymentStatus.PAID,
    "1032": PaymentStatus.FAILED,
    "1037": PaymentStatus.FAILED,
}
NO = {"refused": (422, "bad_phone"), "account": (401, "bad_key"), "duplicate": (409, "busy"), "unknown": (409, "busy")}


def refusal(fields: Fields) -> tuple[str, str] | None:
    code = fields.text("error")
    return None if code == "busy" else (code, "")


class Push(AccountSettings):
    """The order is named by the address of the message, which the account's own key signs."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="push",
        currencies=frozenset({"KES"}),
        identity=("till",),
        methods=frozenset({PaymentMethod.WALLET}),
        method_needed=True,
        payer_needed=frozenset({PaymentMethod.WALLET}),
        attach=False,
    )

    till: str
    key: Secret

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        phone = order.payer or ""
        if not (phone.isdecimal() and len(phone) == 12):
            raise InvalidOrder("expected the payer's phone as twelve digits")
        own = {"order": order.reference, "minor": str(order.amount.minor)}
        address = urlencode({**own, "mac": self.made("address", self.key, *own.values()).hex()})
        body = {
            "order": order.reference,
            "minor": order.amount.minor,
            "text": order.description,
            "phone": phone,
            "notify_url": f"{order.notify_url}{'&' if '?' in order.notify_url else '?'}{address}",
        }
        fields = read_reply((yield self.request("/push", body)), refusal=refusal)
        return Payment(reference=order.reference, gateway_id=fields.text("push"), status=PaymentStatus.PENDING)

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        if gateway_id is None:
            raise GatewayError("the gateway looks up by its own number alone, which is not known")
        return (yield from self.asked(reference, gateway_id))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        own = read_pairs(callback.query, CallbackFields)
        reference, minor = own.text("order"), own.text("minor")
        if not made_by_any((self.key,), lambda key: self.made("address", key, reference, minor), own.text("mac")):
            raise BadSignature("the account's key did not make the address")
        payment = yield from self.asked(reference, read_json(callback).text("push"))
        due = own.money("minor", "KES", "minor")
        return Notification(callback.kind, payment.model_copy(update={"amount": due}), Reply(b"OK"))

    def asked(self, reference: str, number: str) -> Flow[Payment]:
        response = yield self.request("/ask", {"number": number}, harmless=True, answers={500})
        if response.status_code == 500:
            if read_reply(response, ok=(500,)).text("error") != "processing":
                raise GatewayError("the gateway failed")
            return Payment(reference=reference, gateway_id=number, status=PaymentStatus.PENDING)
        fields = read_reply(response, refusal=refusal)
        if fields.text("push") != number:
            raise GatewayError("the answer is about another push")
        status = fields.choice("result", RESULTS, default=PaymentStatus.PENDING)
        return Payment(reference=reference, gateway_id=number, status=status, raw=dict(fields))

    def made(self, purpose: str, key: Secret, *values: str) -> bytes:
        return hmac.digest(bytes(key), "&".join((purpose, self.till, *values)).encode(), "sha256")

    def request(self, path: str, body: dict[str, Any], **marks: Any) -> Request:
        text = json.dumps({"till": self.till, "at": f"{time.time():.1f}", **body})
        headers = {"X-Signature": self.made("request", self.key, text).hex()}
        return Request("POST", f"{URL}{path}", content=text.encode(), headers=headers, **marks)


class TestPush(ProviderContract):
    provider: ClassVar[type[Any]] = Push
    settings = {"till": "174379", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"till": "174380", "key": "c1277-throw-away-key-of-another"}
    acknowledged = b"OK"
    gateway_ids = ("ws_CO_1001", "ws_CO_1002")
    words: ClassVar[Any] = {PaymentStatus.FAILED: ["1037"]}
    excuses = {
        "query.wrong_amount": "the answer names no sum: a push is of one sum, and is asked about by its own number"
    }

    def order(self, **changes: Any) -> Order:
        return super().order(**{"payer": "254708374149", **changes})

    def made(self, settings: dict[str, Any], purpose: str, *values: str) -> str:
        text = "&".join((purpose, settings["till"], *values))
        return hmac.digest(settings["key"].encode(), text.encode(), "sha256").hex()

    def answer(self, request: Request, sale: Sale) -> Response:
        assert request.headers["X-Signature"] == self.made(self.settings, "request", request.content.decode())
        if sale.no:
            status, code = NO[sale.no]
            return Response(status, json={"error": code})
        if request.url.path == "/push":
            return Response(200, json={"push": sale.gateway_id})
        if sale.status is PaymentStatus.PENDING and not sale.word:
            return Response(500, json={"error": "processing"})
        words = {status: word for word, status in reversed(RESULTS.items())}
        return Response(200, json={"push": sale.gateway_id, "result": sale.word or words[sale.status]})

    def notify(self, sale: Sale) -> Callback:
        if sale.paid not in {None, sale.amount}:
            raise NotApplicable("the whole sum or none")
        own = {"order": sale.reference, "minor": str(sale.amount.minor)}
        query = urlencode({**own, "mac": self.made(sale.settings, "address", *own.values())})
        body = {"push": sale.gateway_id, "result": 0, "items": [{"name": "phone", "value": "254708374149"}]}
        return Callback("POST", {"Content-Type": "application/json"}, query.encode(), json.dumps(body).encode())

    def asked(self, request: Request) -> tuple[str, Money] | None:
        body = json.loads(request.content)
        return (body["order"], Money(body["minor"], "KES")) if request.url.path == "/push" else None
