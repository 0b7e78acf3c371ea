"""RSA over sorted parameters, and a page that is never requested: the payer's browser goes there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import ClassVar
from urllib.parse import parse_qsl, quote, unquote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

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
    FORM,
    AccountSettings,
    Fields,
    PrivateKey,
    PublicKeys,
    check_code,
    read_form,
    read_reply,
    verified_by_any,
    write_form,
)
from payhub_core.testing import ProviderContract, Sale

WORDS = {"WAIT": PaymentStatus.PENDING, "SUCCESS": PaymentStatus.PAID, "CLOSED": PaymentStatus.CANCELED}
URL = "https://page.example/gateway.do"


def joined(fields: Mapping[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items()) if value and name != "sign").encode()


class Page(AccountSettings):
    info: ClassVar[ProviderInfo] = ProviderInfo(name="page", currencies=frozenset({"CNY"}), identity=("app",))

    app: str
    key: PrivateKey
    gateway_key: PublicKeys

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        fields = {
            "app": self.app,
            "verb": "pay",
            "out_trade_no": order.reference,
            "total": str(order.amount.amount),
            "subject": order.description.replace("&", "＆"),  # what joins the fields may not stand in one
            "passback": quote(order.attach, safe=""),
            "notify_url": order.notify_url,
            "return_url": order.return_url,
        }
        return Payment(
            reference=order.reference,
            status=PaymentStatus.PENDING,
            amount=order.amount,
            next_action=Redirect(url=f"{URL}?{write_form(self.signed(fields)).decode()}"),
        )

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        form = write_form(self.signed({"app": self.app, "verb": "query", "out_trade_no": reference}))
        response = yield Request("POST", URL, content=form, headers={"Content-Type": FORM})
        if not verified_by_any(self.gateway_key, response.headers.get("Signature"), response.content):
            raise GatewayError("the gateway did not sign the answer")
        fields = read_reply(response)
        check_code(fields.text("code"), ok={"10000"}, missing={"40004"}, account={"40001"})
        return told(fields)

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        returning = callback.kind is CallbackKind.RETURN
        address = expect.return_url if returning and expect else ""
        fields = read_form(
            callback, methods=("GET",) if returning else ("POST",), address=address, free_text=("passback",)
        )
        if not verified_by_any(self.gateway_key, fields.get("sign"), joined(fields)):
            raise BadSignature("the gateway did not sign the message")
        if fields.text("app") != self.app:
            raise WrongAccount("the message is for another app")
        del fields["sign"]
        return Notification(callback.kind, told(fields), Reply(b"success"))

    def signed(self, fields: dict[str, str]) -> dict[str, str]:
        return {**fields, "sign": self.key.sign(joined(fields))}


def told(fields: Fields) -> Payment:
    total = fields.money("total", "CNY", "major")
    status = fields.choice("trade_status", WORDS, default=PaymentStatus.PENDING)
    return Payment(
        reference=fields.text("out_trade_no"),
        gateway_id=fields.text("trade_no"),
        status=status,
        amount=total,
        paid=total if status is PaymentStatus.PAID else None,
        attach=unquote(fields.text("passback", default="")),
        raw=dict(fields),
    )


def made() -> tuple[str, str]:
    """A key pair, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, *form).decode(), key.public_key().public_bytes(pem, public).decode()


SHOP, OTHER_SHOP, GATEWAY, OTHER_GATEWAY = (made() for _ in range(4))
#: The gateway's own halves, by what shops are given of them.
own_key = cache(PrivateKey)
PRIVATE = {public: PrivateKey(private) for private, public in (GATEWAY, OTHER_GATEWAY)}


load_once = cache(serialization.load_der_private_key)


@pytest.fixture(autouse=True)
def keys_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load tries the primes, which takes as long as many cases, and the cases make some four hundred accounts."""
    monkeypatch.setattr(serialization, "load_der_private_key", load_once)


class TestPage(ProviderContract):
    provider = Page
    settings = {"app": "2021", "key": SHOP[0], "gateway_key": GATEWAY[1]}
    other = {"app": "2022", "key": OTHER_SHOP[0], "gateway_key": OTHER_GATEWAY[1]}
    public = frozenset({"gateway_key"})
    acknowledged = b"success"

    def message(self, sale: Sale) -> dict[str, str]:
        return {
            "app": sale.settings["app"],
            "out_trade_no": sale.reference,
            "trade_no": sale.gateway_id,
            "total": str(sale.amount.amount),
            "trade_status": sale.word or {status: word for word, status in WORDS.items()}[sale.status],
            "passback": quote(sale.attach, safe=""),
        }

    def answer(self, request: Request, sale: Sale) -> Response:
        body: dict[str, str] = {"code": "10000", **self.message(sale)}
        if sale.no:
            body = {"code": sale.word or {"missing": "40004", "account": "40001", "unknown": "20000"}[sale.no]}
        content = json.dumps(body).encode()
        signature = PRIVATE[sale.settings["gateway_key"]].sign(content)
        return Response(200, content=content, headers={"Signature": signature})

    def notify(self, sale: Sale) -> Callback:
        return Callback("POST", {"Content-Type": FORM}, b"", write_form(self.signed(sale)))

    def returned(self, sale: Sale) -> Callback:
        return Callback("GET", {}, write_form(self.signed(sale)), b"", CallbackKind.RETURN)

    def signed(self, sale: Sale) -> dict[str, str]:
        fields = self.message(sale)
        return {**fields, "sign": PRIVATE[sale.settings["gateway_key"]].sign(joined(fields))}

    def asked(self, request: Request) -> tuple[str, Money] | None:
        fields = dict(parse_qsl((request.content or request.url.query).decode()))
        assert fields["sign"] == own_key(self.settings["key"]).sign(joined(fields)), "a request that the shop signed"
        return (fields["out_trade_no"], Money.of(fields["total"], "CNY")) if fields["verb"] == "pay" else None
