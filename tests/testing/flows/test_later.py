"""Refunds that are carried out later, and that only a message ends; a part as well as all of it."""

from __future__ import annotations

import hmac
import json
from typing import Any, ClassVar

from payhub_core import (
    BadSignature,
    Callback,
    CallbackKind,
    Flow,
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
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import AccountSettings, Fields, Secrets, made_by_any, read_json, read_reply
from payhub_core.testing import ProviderContract, Sale

URL = "https://later.example"
STATES = {
    "open": PaymentStatus.PENDING,
    "success": PaymentStatus.PAID,
    "closed": PaymentStatus.FAILED,
    "refund": PaymentStatus.REFUND_SUM_UNKNOWN,
}
REFUNDS = {
    "processing": RefundStatus.PENDING,
    "success": RefundStatus.REFUNDED,
    "closed": RefundStatus.FAILED,
    "rejected": RefundStatus.FAILED,
}


def refusal(fields: Fields) -> tuple[str, str] | None:
    code = fields.text("error")
    return None if code == "duplicate" else (code, "")


class Later(AccountSettings):
    """A message says in ``event`` what it is about; its signature is a field of it."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="later",
        currencies=frozenset({"EUR", "JPY"}),
        identity=("shop",),
        attach=False,
    )

    shop: str
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        body = {
            "order": order.reference,
            "text": order.description,
            "notify_url": order.notify_url,
            "return_url": order.return_url,
        }
        fields = read_reply((yield self.posted("/payments", body, order.amount)), refusal=refusal)
        return self.payment(fields, Redirect(url=fields.text("url")))

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        request = Request("GET", f"{URL}/payments/{reference}", headers=self.headers())
        return self.payment(read_reply((yield request), refusal=refusal, missing=True))

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        request = self.posted("/refunds", {"order": reference, "refund": refund_reference}, amount)
        return self.refunded(read_reply((yield request), refusal=refusal))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        fields = read_json(callback)
        event = self.event(callback, fields)
        self.check(event, fields)
        return self.told(event, callback, fields)

    def event(self, callback: Callback, fields: Fields) -> str:
        return fields.text("event")

    def check(self, event: str, fields: Fields) -> None:
        self.signed(fields)
        self.named(event, fields)

    def signed(self, fields: Fields) -> None:
        given = fields.pop("sign", "")
        if not isinstance(given, str) or not made_by_any(self.key, lambda key: digest(key.text, fields), given):
            raise BadSignature("no key of this account made the sign")

    def named(self, event: str, fields: Fields) -> None:
        if fields.text("shop") != self.shop:
            raise WrongAccount(f"the message about a {event} is for another shop")

    def told(self, event: str, callback: Callback, fields: Fields) -> Notification:
        reply = Reply(b"received")
        if event == "refund":
            return Notification(callback.kind, None, reply, refund=self.refunded(fields))
        if event == "payment":
            return Notification(callback.kind, self.payment(fields), reply)
        return Notification(CallbackKind.OTHER, None, reply)

    def payment(self, fields: Fields, action: Redirect | None = None) -> Payment:
        status = fields.choice("state", STATES, default=PaymentStatus.PENDING)
        total = fields.money("total", fields.text("currency"), "minor")
        return Payment(
            reference=fields.text("order"),
            gateway_id=fields.text("payment"),
            status=status,
            amount=total,
            paid=total if status is PaymentStatus.PAID else None,
            next_action=action,
            raw=dict(fields),
        )

    def refunded(self, fields: Fields) -> Refund:
        return Refund(
            reference=fields.text("order"),
            gateway_id=fields.text("payment"),
            refund_reference=self.number(fields),
            refund_id=fields.text("number"),
            status=self.stands(fields),
            amount=self.part(fields),
            raw=dict(fields),
        )

    def number(self, fields: Fields) -> str:
        return fields.text("refund", default="")

    def stands(self, fields: Fields) -> RefundStatus:
        return fields.choice("state", REFUNDS, default=RefundStatus.PENDING)

    def part(self, fields: Fields) -> Money | None:
        return fields.money("part", fields.text("currency"), "minor")

    def posted(self, path: str, body: dict[str, Any], amount: Money) -> Request:
        sum_ = {"minor": amount.minor, "currency": amount.currency}
        return Request("POST", f"{URL}{path}", json={"shop": self.shop, **body, **sum_}, headers=self.headers())

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key[0].text}"}


def digest(key: str, fields: dict[str, Any]) -> bytes:
    return hmac.digest(key.encode(), json.dumps(fields, sort_keys=True).encode(), "sha256")


class TestLater(ProviderContract):
    provider: ClassVar[type[Any]] = Later
    settings = {"shop": "teahouse", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"shop": "coffeehouse", "key": "c1277-throw-away-key-of-another"}
    acknowledged = b"received"
    refund_status = RefundStatus.PENDING
    refund_words = {RefundStatus.FAILED: ["rejected"]}
    states: ClassVar[dict[PaymentStatus, str]] = {
        PaymentStatus.PENDING: "open",
        PaymentStatus.PAID: "success",
        PaymentStatus.FAILED: "closed",
        PaymentStatus.REFUND_SUM_UNKNOWN: "refund",
    }
    ends: ClassVar[dict[RefundStatus, str]] = {
        RefundStatus.PENDING: "processing",
        RefundStatus.REFUNDED: "success",
        RefundStatus.FAILED: "closed",
    }

    def of_payment(self, sale: Sale) -> dict[str, Any]:
        return {**self.sums(sale), "state": sale.word or self.states[sale.status]}

    def of_refund(self, sale: Sale) -> dict[str, Any]:
        by_number = {"refund": sale.refund_reference} if sale.refund_reference else {}
        part = (sale.refund or sale.amount).minor
        state = sale.refund_word or self.ends[sale.refund_status]
        return {**self.sums(sale), **by_number, "number": sale.refund_id, "part": part, "state": state}

    def sums(self, sale: Sale) -> dict[str, Any]:
        return {
            "order": sale.reference,
            "payment": sale.gateway_id,
            "total": sale.amount.minor,
            "currency": sale.amount.currency,
        }

    def answer(self, request: Request, sale: Sale) -> Response:
        assert request.headers["Authorization"] == f"Bearer {self.settings['key']}"
        if sale.no:
            codes = {"missing": 404, "refused": 422, "duplicate": 409, "account": 401}
            return Response(codes[sale.no], json={"error": sale.no})
        if request.url.path == "/refunds":
            return Response(200, json=self.of_refund(sale))
        return Response(200, json={**self.of_payment(sale), "url": sale.url})

    def sent(self, sale: Sale, event: str, fields: dict[str, Any]) -> Callback:
        said = {"event": event, "shop": sale.settings["shop"], **fields}
        body = json.dumps({**said, "sign": digest(sale.settings["key"], said).hex()}).encode()
        return Callback("POST", {"Content-Type": "application/json"}, b"", body)

    def notify(self, sale: Sale) -> Callback:
        return self.sent(sale, "payment", self.of_payment(sale))

    def refund_notify(self, sale: Sale) -> Callback:
        return self.sent(sale, "refund", self.of_refund(sale))

    def others(self, sale: Sale) -> list[Callback]:
        return [self.sent(sale, "report", self.sums(sale))]

    def asked(self, request: Request) -> tuple[str, Money] | None:
        if request.method != "POST":
            return None
        body = json.loads(request.content)
        assert body["shop"] == self.settings["shop"]
        return body.get("refund", body["order"]), Money(body["minor"], body["currency"])
