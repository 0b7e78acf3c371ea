"""A gateway whose messages are an envelope, JSON in Base64 with a signature over it, and its contract."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from payhub_core import (
    AccountRefused,
    BadSignature,
    Callback,
    CallbackKind,
    Flow,
    FormPost,
    GatewayError,
    MalformedCallback,
    Money,
    NotFound,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Reply,
    Request,
    Response,
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import (
    FORM,
    AccountSettings,
    CallbackFields,
    Fields,
    Secrets,
    made_by_any,
    read_form,
    read_object,
    read_reply,
    write_form,
)
from payhub_core.testing import NotApplicable, ProviderContract, Sale

STATES = {"wait": PaymentStatus.PENDING, "paid": PaymentStatus.PAID, "failed": PaymentStatus.FAILED}
URL = "https://wrapped.example"


class Wrapped(AccountSettings):
    """The payer's browser posts the envelope; the gateway's own come back by notify and by the browser."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="wrapped", currencies=frozenset({"UAH"}), identity=("shop",), attach=False
    )

    shop: str
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        form = FormPost(url=f"{URL}/pay", fields=self.sealed(self.body(order)))
        return Payment(reference=order.reference, status=PaymentStatus.PENDING, next_action=form)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        form = read_form(callback)
        self.check(form, form.text("data"), callback)
        try:
            fields = self.inside(form, b64decode(form.text("data"), validate=True))
        except ValueError:
            raise MalformedCallback("data: expected Base64") from None
        if fields.text("shop") != self.shop:
            raise WrongAccount("the message is for another shop")
        return Notification(callback.kind, self.payment(fields), Reply(b"OK"))

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        content = write_form(self.sealed({"shop": self.shop, "action": "status", "order": reference}))
        response = yield Request("POST", f"{URL}/api", content=content, headers={"Content-Type": FORM})
        return self.payment(self.told(read_reply(response)))

    def told(self, answer: Fields) -> Fields:
        """What is inside an answer, and nothing that stands beside it."""
        if not self.made(answer):
            raise GatewayError("no key of this account signed the answer")
        try:
            fields = read_object(b64decode(answer.text("data"), validate=True), Fields)
        except ValueError:
            raise GatewayError("data: expected Base64") from None
        if "error" in fields:
            raise self.no(fields.text("error"))
        return fields

    def body(self, order: Order) -> dict[str, str]:
        return {
            "shop": self.shop,
            "order": order.reference,
            "amount": str(order.amount.amount),
            "currency": order.amount.currency,
            "text": order.description,
            "notify_url": order.notify_url,
            "return_url": order.return_url,
        }

    def sealed(self, fields: Mapping[str, str]) -> dict[str, str]:
        data = b64encode(json.dumps(fields, ensure_ascii=False).encode()).decode()
        return {"data": data, "sign": b64encode(digest(self.signing, data)).decode()}

    @property
    def signing(self) -> Any:
        return self.key[0]

    def check(self, form: Fields, data: str, callback: Callback) -> None:
        if not self.made(form):
            raise BadSignature("no key of this account made the signature")

    def made(self, form: Fields) -> bool:
        data, given = form.text("data"), form.text("sign", default="")
        return made_by_any(self.key, lambda key: digest(key, data), given, "base64")

    def inside(self, form: Fields, data: bytes) -> Fields:
        return read_object(data, CallbackFields)

    def no(self, word: str) -> GatewayError:
        if word == "account":
            return AccountRefused("the gateway refused the account", code=word)
        if word == "missing":
            return NotFound("the gateway does not know the order")
        return GatewayError("the gateway answered with an error that says nothing of the order")

    def payment(self, fields: Fields) -> Payment:
        status = fields.choice("state", STATES, default=PaymentStatus.PENDING)
        amount = fields.money("amount", fields.text("currency"), "major")
        return Payment(
            reference=fields.text("order"),
            gateway_id=fields.text("id"),
            status=status,
            amount=amount,
            paid=amount if status is PaymentStatus.PAID else None,
            raw=dict(fields),
        )


def digest(key: Any, data: str) -> bytes:
    return hmac.digest(bytes(key), data.encode(), "sha256")


class WrappedContract(ProviderContract):
    provider: ClassVar[type[Any]] = Wrapped
    settings = {"shop": "s1", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"shop": "s2", "key": "c1277-throw-away-key-of-another"}
    acknowledged = b"OK"

    def message(self, sale: Sale) -> dict[str, str]:
        return {
            "shop": sale.settings["shop"],
            "order": sale.reference,
            "id": sale.gateway_id,
            "state": sale.word or {status: word for word, status in STATES.items()}[sale.status],
            "amount": str(sale.amount.amount),
            "currency": sale.amount.currency,
        }

    def answer(self, request: Request, sale: Sale) -> Response:
        self.opened(request)
        if sale.no in {"refused", "duplicate"}:
            raise NotApplicable("a query is not refused for its order")
        said = {"shop": sale.settings["shop"], "error": sale.word or sale.no} if sale.no else self.message(sale)
        return Response(200, json=self.sealed(sale, said))

    def notify(self, sale: Sale) -> Callback:
        return Callback("POST", {"Content-Type": FORM}, b"", write_form(self.sealed(sale, self.message(sale))))

    def sealed(self, sale: Sale, said: Mapping[str, str]) -> dict[str, str]:
        data = b64encode(json.dumps(said).encode()).decode()
        return {"data": data, "sign": b64encode(digest(sale.settings["key"].encode(), data)).decode()}

    def returned(self, sale: Sale) -> Callback:
        message = self.notify(sale)
        return Callback(message.method, message.headers, b"", message.body, CallbackKind.RETURN)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        said = self.opened(request)
        return None if "action" in said else (said["order"], Money.of(said["amount"], said["currency"]))

    def opened(self, request: Request) -> dict[str, str]:
        form = dict(parse_qsl(request.content.decode(), strict_parsing=True))
        made = b64encode(digest(self.settings["key"].encode(), form["data"])).decode()
        assert form["sign"] == made, "a request that this account signed"
        said: dict[str, str] = json.loads(b64decode(form["data"]))
        return said
