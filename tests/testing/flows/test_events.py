"""Events in a list, each signed by itself; refunds that are carried out later; and a gateway that cannot be asked."""

from __future__ import annotations

import hmac
import json
from typing import Any, ClassVar

from payhub_core import (
    BadSignature,
    Callback,
    CallbackKind,
    Flow,
    GatewayError,
    MalformedCallback,
    Money,
    NotFound,
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
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import AccountSettings, Fields, Secret, Secrets, made_by_any, read_json, read_reply
from payhub_core.testing import NotApplicable, ProviderContract, Sale

URL = "https://events.example"
SIGNED = ("number", "original", "shop", "order", "cents", "currency", "kind", "done")
BACK = {"refund", "chargeback"}


def refusal(fields: Fields) -> tuple[str, str] | None:
    code = fields.text("error")
    return None if code == "in_progress" else (code, "")


class Events(AccountSettings):
    """Tells of what becomes of a payment by events alone, and makes nothing twice under one key."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="events",
        currencies=frozenset({"EUR"}),
        identity=("shop",),
        attach=False,
        refund_reference="[A-Za-z0-9]{1,64}",
    )

    shop: str
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        body = {"order": order.reference, "return_url": order.return_url, "text": order.description}
        fields = read_reply((yield self.posted("/sessions", body, order.amount, order.reference)), refusal=refusal)
        action = Redirect(url=fields.text("url"))
        return Payment(reference=fields.text("order"), status=PaymentStatus.PENDING, next_action=action)

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        raise NotFound("this gateway cannot be asked, and takes the same order under its number again")
        yield

    @hookimpl
    def refund(self, reference: str, gateway_id: str | None, amount: Money, refund_reference: str) -> Flow[Refund]:
        if gateway_id is None:
            raise GatewayError("no event has named the payment yet")
        request = self.posted("/refunds", {"payment": gateway_id, "refund": refund_reference}, amount, refund_reference)
        fields = read_reply((yield request), refusal=refusal)
        return Refund(
            reference=reference,
            gateway_id=fields.text("payment"),
            refund_reference=fields.text("refund"),
            status=fields.choice("state", {"received": RefundStatus.PENDING}),
            amount=fields.money("cents", "EUR", "minor"),
        )

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        events = self.events(read_json(callback))
        if len(events) != 1:
            raise MalformedCallback(f"expected one event, not {len(events)}")
        self.check(events[0])
        payment = self.payment(events[0])
        return Notification(CallbackKind.NOTIFY if payment else CallbackKind.OTHER, payment, Reply(b"accepted"))

    def events(self, fields: Fields) -> list[Fields]:
        return [item.object("event") for item in fields.objects("items")]

    def check(self, event: Fields) -> None:
        given = event.object("more").text("signature", default="")
        if not made_by_any(self.key, lambda key: made_of(event, key), given):
            raise BadSignature("no key of this account signed the event")
        if event.text("shop") != self.shop:
            raise WrongAccount("the event is about another shop")

    def payment(self, event: Fields) -> Payment | None:
        kind, done, sum_ = event.text("kind"), event.text("done"), event.money("cents", event.text("currency"), "minor")
        facts: dict[str, Any] = {"gateway_id": event.text("original", default="") or event.text("number")}
        if kind == "authorisation":
            facts |= (
                {"status": PaymentStatus.PAID, "paid": sum_} if done == "true" else {"status": PaymentStatus.FAILED}
            )
        elif kind in BACK and done == "true":
            facts |= {"status": PaymentStatus.REFUND_SUM_UNKNOWN}
        else:
            return None
        return Payment(
            reference=self.order(event), raw={name: event[name] for name in SIGNED if name in event}, **facts
        )

    def order(self, event: Fields) -> str:
        return event.text("order")

    def posted(self, path: str, body: dict[str, Any], amount: Money, number: str) -> Request:
        sum_ = {"cents": amount.minor, "currency": amount.currency}
        headers = {"Authorization": f"Bearer {self.key[0].text}", "Idempotency-Key": number}
        return Request("POST", f"{URL}{path}", json={"shop": self.shop, **body, **sum_}, headers=headers)


def made_of(event: Fields, key: Secret) -> bytes:
    return hmac.digest(bytes(key), ":".join(event.text(name, default="") for name in SIGNED).encode(), "sha256")


class TestEvents(ProviderContract):
    """A merchant enters the address of the events at the gateway."""

    provider: ClassVar[type[Any]] = Events
    settings = {"shop": "teahouse", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"shop": "coffeehouse", "key": "c1277-throw-away-key-of-another"}
    acknowledged = b"accepted"
    refund_status = RefundStatus.PENDING
    words = {PaymentStatus.REFUND_SUM_UNKNOWN: ("chargeback",)}
    excuses = {
        "create.notify_url": "a merchant enters it at the gateway",
        "query.paid": "this gateway cannot be asked",
        "query.by_reference": "a create that is sent again is the same order, by its key",
    }
    kinds: ClassVar[dict[PaymentStatus, tuple[str, str]]] = {
        PaymentStatus.PAID: ("authorisation", "true"),
        PaymentStatus.PARTIALLY_PAID: ("authorisation", "true"),
        PaymentStatus.FAILED: ("authorisation", "false"),
        PaymentStatus.REFUND_SUM_UNKNOWN: ("refund", "true"),
        PaymentStatus.PARTIALLY_REFUNDED: ("refund", "true"),
    }

    def answer(self, request: Request, sale: Sale) -> Response:
        assert request.headers["Authorization"] == f"Bearer {self.settings['key']}"
        if sale.no:
            codes = {"refused": (422, "refused"), "duplicate": (409, "in_progress"), "account": (401, "key")}
            status, code = codes[sale.no]
            return Response(status, json={"error": code})
        if request.url.path == "/sessions":
            return Response(200, json={"order": sale.reference, "url": sale.url})
        if sale.refund_status is not RefundStatus.PENDING:
            raise NotApplicable("a refund is only received")
        told = {"payment": sale.gateway_id, "refund": sale.refund_reference, "state": sale.refund_word or "received"}
        return Response(200, json={**told, "cents": (sale.refund or sale.amount).minor})

    def event(self, sale: Sale, kind: str, done: str) -> dict[str, Any]:
        """About a payment by its own number, and else by one of its own beside the payment's."""
        own = kind.startswith("authorisation")
        sum_ = sale.refund or sale.refunded or sale.paid or sale.amount
        told = {
            "number": sale.gateway_id if own else "E7",
            "original": "" if own else sale.gateway_id,
            "shop": sale.settings["shop"],
            "order": sale.reference,
            "cents": str(sum_.minor),
            "currency": sum_.currency,
            "kind": kind,
            "done": done,
        }
        text = ":".join(told[name] for name in SIGNED)
        signature = hmac.new(sale.settings["key"].encode(), text.encode(), "sha256").hexdigest()
        return {"event": {**told, "more": {"signature": signature}}}

    def sent(self, *events: dict[str, Any]) -> Callback:
        body = json.dumps({"items": events}).encode()
        return Callback("POST", {"Content-Type": "application/json"}, b"", body)

    def notify(self, sale: Sale) -> Callback:
        kind, done = self.kinds[sale.status]
        return self.sent(self.event(sale, sale.word or kind, done))

    def others(self, sale: Sale) -> list[Callback]:
        return [self.sent(self.event(sale, kind, "false")) for kind in ("refund", "report")]

    def asked(self, request: Request) -> tuple[str, Money] | None:
        body = json.loads(request.content)
        assert body["shop"] == self.settings["shop"]
        assert request.headers["Idempotency-Key"] == body.get("refund", body.get("order"))
        return request.headers["Idempotency-Key"], Money(body["cents"], body["currency"])
