"""TeaPay, a gateway with everything a gateway may have, done right, and its contract."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from payhub_core import (
    BadSignature,
    Callback,
    CallbackKind,
    Flow,
    GatewayError,
    Money,
    Notification,
    Order,
    Payment,
    PaymentMethod,
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
from payhub_core.kit import (
    FORM,
    AccountSettings,
    Address,
    Fields,
    Secrets,
    check_age,
    made_by_any,
    method_code,
    read_form,
    read_reply,
    write_form,
)
from payhub_core.testing import ProviderContract, Sale

STATES = {
    "open": PaymentStatus.PENDING,
    "reserved": PaymentStatus.AUTHORIZED,
    "done": PaymentStatus.PAID,
    "failed": PaymentStatus.FAILED,
    "declined": PaymentStatus.FAILED,
    "settled": PaymentStatus.PAID,
    "late": PaymentStatus.EXPIRED,
    "closed": PaymentStatus.CANCELED,
    "partly back": PaymentStatus.PARTIALLY_REFUNDED,
    "back": PaymentStatus.REFUNDED,
}
#: The first word of each status; the contract's ``words`` are the others.
USUAL = {status: word for word, status in reversed(STATES.items())}
REFUNDS = {
    "open": RefundStatus.PENDING,
    "queued": RefundStatus.PENDING,
    "done": RefundStatus.REFUNDED,
    "failed": RefundStatus.FAILED,
}
USUAL_REFUNDS = {status: word for word, status in reversed(REFUNDS.items())}
OPEN = {"duplicate", "in_progress", "unknown", "busy"}
METHODS = {
    PaymentMethod.CARD: "card",
    PaymentMethod.WECHAT_QR: "wx",
    PaymentMethod.WECHAT_OFFICIAL_ACCOUNT: "wxjs",
}
OWN = {"merchant", "order", "amount", "currency", "method", "payer", "text", "note", "notify_url", "return_url"}


def refusal(fields: Fields) -> tuple[str, str] | None:
    if fields.text("code") in OPEN:
        return None
    return fields.text("code"), fields.text("message", default="")


class Tea(AccountSettings):
    """Requests are JSON, their answers signed in a header; a notify is a form, signed with its time in a header."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="tea",
        currencies=frozenset({"CNY", "JPY", "KWD"}),
        identity=("merchant",),
        methods=frozenset(METHODS),
        payer_needed=frozenset({PaymentMethod.WECHAT_OFFICIAL_ACCOUNT}),
        reference_length=32,
        largest_amount=10**12 - 1,
        extra_fields="[a-z0-9_]+",
        callback_headers=frozenset({"X-Tea-Signature"}),
        reserved_fields=frozenset(OWN),
    )

    base_url: Address = "https://tea.example"
    merchant: str
    key: Secrets

    # The hooks

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        response = yield self.post("/payments", self.body(order))
        return self.payment(self.reply(response))

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        response = yield Request(
            "GET", f"{self.base_url}/payments/{gateway_id or reference}", headers=self.headers(b"")
        )
        return self.payment(self.reply(response, missing=True))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if callback.kind is CallbackKind.RETURN:
            fields = self.form(callback, "GET")
            self.check("return", fields, fields.pop("sign", None))
            return Notification(callback.kind, self.payment(fields))
        fields = self.form(callback, "POST")
        self.check("notify", fields, callback.header("X-Tea-Signature"))
        check_age(callback, fields.text("at"))
        if fields.text("event", default="payment") != "payment":
            return Notification(CallbackKind.OTHER, None, Reply(b"OK"))
        return Notification(callback.kind, self.payment(fields), Reply(b"OK"))

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        body = {"order": reference, "refund": refund_reference, "amount": self.written(amount)}
        return self.paid_back(self.reply((yield self.post("/refunds", {**body, "currency": amount.currency}))))

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        return self.payment(self.reply((yield self.post(f"/payments/{reference}/close", {}))))

    # The pieces

    def paid_back(self, fields: Fields) -> Refund:
        return Refund(
            reference=fields.text("order"),
            refund_reference=fields.text("refund"),
            refund_id=fields.text("refund_id"),
            status=fields.choice("refund_state", REFUNDS),
            amount=fields.money("refund_amount", fields.text("currency"), "major"),
            raw=dict(fields),
        )

    def body(self, order: Order) -> dict[str, Any]:
        return {
            **order.extra,
            "merchant": self.merchant,
            "order": order.reference,
            "amount": self.written(order.amount),
            "currency": order.amount.currency,
            "method": method_code(order.method, METHODS, default="any"),
            "payer": order.payer or "",
            "text": order.description,
            "note": order.attach,
            "notify_url": order.notify_url,
            "return_url": order.return_url,
        }

    def written(self, amount: Money) -> str:
        return str(amount.amount)

    def post(self, path: str, body: Mapping[str, Any]) -> Request:
        content = json.dumps(body, ensure_ascii=False).encode()
        return Request("POST", f"{self.base_url}{path}", content=content, headers=self.headers(content))

    def headers(self, content: bytes) -> dict[str, str]:
        return {
            "X-Tea-Merchant": self.merchant,
            "X-Tea-Signature": digest(bytes(self.key[0]), b"request", content).hex(),
        }

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        given = response.headers.get("X-Tea-Signature")
        if not made_by_any(self.key, lambda key: digest(key, b"answer", response.content), given):
            raise GatewayError("no key of this account signed the answer")
        return self.fields(response, missing=missing)

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return read_reply(response, refusal=refusal, missing=missing)

    def form(self, callback: Callback, method: str) -> Fields:
        return read_form(callback, methods=(method,), free_text=("note",))

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if not made_by_any(self.key, lambda key: digest(key, purpose.encode(), joined(fields)), given):
            raise BadSignature("no key of this account signed the message")
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the message is for another merchant")

    def payment(self, fields: Fields) -> Payment:
        currency = fields.text("currency")
        at = fields.text("at", default="")
        return Payment(
            reference=fields.text("order"),
            gateway_id=fields.text("id"),
            status=fields.choice("state", STATES, default=PaymentStatus.PENDING),
            amount=fields.money("amount", currency, "major"),
            paid=fields.money("received", currency, "major", default=None),
            refunded=fields.money("back", currency, "major", default=None),
            attach=fields.text("note", default=""),
            paid_at=datetime.fromtimestamp(int(at), UTC) if at else None,
            next_action=self.action(fields.text("url", default="")),
            raw={name: value for name, value in fields.items() if name != "sign"},
        )

    def action(self, url: str) -> Any:
        return Redirect(url=url) if url else None


def joined(fields: Mapping[str, str]) -> bytes:
    """Name and value by turn, each with its length, so that it can be cut in one way only."""
    return "".join(f"{len(part)}:{part}" for pair in sorted(fields.items()) for part in pair).encode()


def digest(key: Any, purpose: bytes, message: bytes) -> bytes:
    return hmac.digest(bytes(key), purpose + b"\n" + message, "sha256")


class TeaContract(ProviderContract):
    """The gateway's side. It shares the signature alone, which is no subject of these tests."""

    provider: ClassVar[type[Any]] = Tea
    settings = {"base_url": "https://tea.example", "merchant": "m1", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"merchant": "m2", "key": "c1277-throw-away-key-of-another"}
    acknowledged = b"OK"
    tolerance = timedelta(minutes=5)
    words = {
        PaymentStatus.PAID: ("settled",),
        PaymentStatus.FAILED: ("declined",),
        "duplicate": ("in_progress",),
        "refused": ("limit",),
        "unknown": ("busy",),
    }
    refund_words = {RefundStatus.PENDING: ("queued",)}

    def message(self, sale: Sale) -> dict[str, str]:
        return {
            "merchant": sale.settings["merchant"],
            "order": sale.reference,
            "id": sale.gateway_id,
            "state": sale.word or USUAL[sale.status],
            "amount": str(sale.amount.amount),
            "currency": sale.amount.currency,
            "received": str(sale.paid.amount) if sale.paid else "",
            "back": str(sale.refunded.amount) if sale.refunded else "",
            "note": sale.attach,
        }

    def key(self, sale: Sale) -> bytes:
        return sale.settings["key"].encode()

    def answer(self, request: Request, sale: Sale) -> Response:
        if "sign" not in request.url.query.decode():
            made = digest(self.settings["key"].encode(), b"request", request.content).hex()
            assert request.headers["X-Tea-Signature"] == made, "a request that this account signed"
        status, body = 200, dict[str, str](self.message(sale), url=sale.url)
        if sale.no:
            status = {"missing": 404, "refused": 422, "duplicate": 409, "account": 401, "unknown": 409}[sale.no]
            body = {"code": sale.word or sale.no, "message": "no"}
        elif request.url.path.startswith("/refunds"):
            refund = sale.refund or sale.amount
            body |= {
                "refund": sale.refund_reference,
                "refund_id": sale.refund_id,
                "refund_state": sale.refund_word or USUAL_REFUNDS[sale.refund_status],
                "refund_amount": str(refund.amount),
            }
        content = json.dumps(body, ensure_ascii=False).encode()
        signature = digest(self.key(sale), b"answer", content).hex()
        return Response(status, content=content, headers={"X-Tea-Signature": signature})

    def notify(self, sale: Sale) -> Callback:
        return self.told(sale)

    def others(self, sale: Sale) -> list[Callback]:
        return [self.told(sale, event=event) for event in ("refund", "test")]

    def told(self, sale: Sale, **beside: str) -> Callback:
        fields = {**self.message(sale), **beside, "at": str(int(sale.at.timestamp()))}
        headers = {"Content-Type": FORM, "X-Tea-Signature": digest(self.key(sale), b"notify", joined(fields)).hex()}
        return Callback("POST", headers, b"", write_form(fields))

    def returned(self, sale: Sale) -> Callback:
        fields = self.message(sale)
        query = urlencode({**fields, "sign": digest(self.key(sale), b"return", joined(fields)).hex()})
        return Callback("GET", {}, query.encode(), b"", CallbackKind.RETURN)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        fields = json.loads(request.content) if request.content else dict(parse_qsl(request.url.query.decode()))
        if "amount" not in fields:
            return None
        return fields.get("refund") or fields["order"], Money.of(fields["amount"], fields["currency"])
