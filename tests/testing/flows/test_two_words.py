"""A signature that leaves the status out, over values that nothing separates: it is asked. Paid takes two words."""

from __future__ import annotations

import json
from hashlib import sha512
from typing import Any, ClassVar
from urllib.parse import quote

from payhub_core import (
    BadSignature,
    Callback,
    Flow,
    GatewayError,
    Money,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Reply,
    Request,
    Response,
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import (
    AccountSettings,
    Fields,
    Secrets,
    basic_auth,
    grammar,
    made_by_any,
    minor_units,
    read_json,
    read_reply,
)
from payhub_core.testing import ProviderContract, Sale

URL = "https://words.example"
#: Status and, where there is a second word, the verdict on the payer.
WORDS = {
    "waits": PaymentStatus.PENDING,
    "settled": PaymentStatus.PAID,
    "captured accept": PaymentStatus.PAID,
    "captured deny": PaymentStatus.FAILED,
    "expired": PaymentStatus.EXPIRED,
}
NUMBER = grammar("[A-Za-z0-9]{1,32}", "an order's number")


def digest(fields: Any, key: str) -> bytes:
    return sha512(f"{fields['order']}{fields['code']}{fields['total']}{key}".encode()).digest()


def refusal(fields: Fields) -> tuple[str, str] | None:
    code = fields.text("error", default="duplicate")
    return None if code == "duplicate" else (code, "")


class TwoWords(AccountSettings):
    """Takes whole rupiahs alone, though they have two decimals."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="words",
        currencies=frozenset({"IDR"}),
        identity=("shop",),
        attach=False,
        reference="[A-Za-z0-9]+",
        reference_length=32,
        largest_amount=10**12,
    )

    shop: str
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        body = {
            "order": order.reference,
            "total": minor_units(order.amount, 0),
            "text": order.description,
            "finish_url": order.return_url,
        }
        headers = {**self.headers(), "X-Override-Notification": quote(order.notify_url, safe=":/?&=%")}
        return self.payment(
            read_reply((yield Request("POST", f"{URL}/charges", json=body, headers=headers)), refusal=refusal)
        )

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        return self.payment(read_reply((yield self.status(reference)), refusal=refusal, missing=True))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        """The signature keeps strangers out; what the gateway answers is believed."""
        fields = read_json(callback)
        self.check(fields, BadSignature)
        if fields.text("shop") != self.shop:
            raise WrongAccount("the message is for another shop")
        known = self.payment(read_reply((yield self.status(fields.read("order", NUMBER)))))
        return Notification(callback.kind, known, Reply(b"OK"))

    def status(self, reference: str) -> Request:
        return Request("GET", f"{URL}/charges/{reference}/status", headers=self.headers())

    def check(self, fields: Fields, error: type[BadSignature | GatewayError]) -> None:
        signed = {name: fields.text(name) for name in ("order", "code", "total")}
        if not made_by_any(self.key, lambda key: digest(signed, key.text), fields.text("signature", default="")):
            raise error("no key of this account made the signature")

    def headers(self) -> dict[str, str]:
        return {"Authorization": basic_auth(self.key[0].text, "")}

    def payment(self, fields: Fields) -> Payment:
        self.check(fields, GatewayError)
        if fields.text("shop") != self.shop:
            raise GatewayError("the answer is about another shop's payment")
        said = f"{fields.text('state')} {fields.text('fraud', default='')}".strip()
        status = WORDS.get(said, PaymentStatus.PENDING)
        total = fields.money("total", "IDR", "major")
        return Payment(
            reference=fields.text("order"),
            gateway_id=fields.text("id"),
            status=status,
            amount=total,
            paid=total if status is PaymentStatus.PAID else None,
            next_action=Redirect(url=fields.text("url")),
            raw={name: value for name, value in fields.items() if name != "signature"},
        )


class TestTwoWords(ProviderContract):
    provider: ClassVar[type[Any]] = TwoWords
    settings = {"shop": "s1", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"shop": "s2", "key": "c1277-throw-away-key-of-another"}
    acknowledged = b"OK"
    words = {
        PaymentStatus.PAID: ["captured accept"],
        PaymentStatus.PENDING: ["captured challenge", "captured", "captured a-word-of-tomorrow"],
        PaymentStatus.FAILED: ["captured deny"],
    }

    def message(self, sale: Sale) -> dict[str, str]:
        usual = {PaymentStatus.PENDING: "waits", PaymentStatus.PAID: "settled", PaymentStatus.EXPIRED: "expired"}
        state, _, fraud = (sale.word or usual[sale.status]).partition(" ")
        told = {
            "shop": sale.settings["shop"],
            "order": sale.reference,
            "id": sale.gateway_id,
            "state": state,
            "code": "200",
            "total": f"{sale.amount.amount:.2f}",
            **({"fraud": fraud} if fraud else {}),
        }
        return {**told, "signature": digest(told, sale.settings["key"]).hex()}

    def answer(self, request: Request, sale: Sale) -> Response:
        assert request.headers["Authorization"] == basic_auth(self.settings["key"], "")
        if sale.no:
            return Response(
                {"missing": 404, "refused": 422, "duplicate": 409, "account": 401}[sale.no], json={"error": sale.no}
            )
        return Response(200, content=json.dumps({**self.message(sale), "url": sale.url}))

    def notify(self, sale: Sale) -> Callback:
        return Callback("POST", {"Content-Type": "application/json"}, b"", json.dumps(self.message(sale)).encode())

    def asked(self, request: Request) -> tuple[str, Money] | None:
        if request.method != "POST":
            return None
        body = json.loads(request.content)
        return body["order"], Money.of(str(body["total"]), "IDR")
