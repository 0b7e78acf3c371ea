"""Encrypted JSON, signed by certificates that are fetched over HTTP; the answers are signed as well."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any, ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.testing.flows.test_rsa_page import GATEWAY, OTHER_GATEWAY, PRIVATE

from payhub_core import (
    BadSignature,
    Callback,
    Flow,
    GatewayError,
    MalformedCallback,
    Money,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    QrCode,
    Reply,
    Request,
    Response,
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import (
    AccountSettings,
    CallbackFields,
    Fields,
    PublicKey,
    Secret,
    check_age,
    read_json,
    read_object,
    read_reply,
    verified_by_any,
)
from payhub_core.testing import ProviderContract, Sale

WORDS = {"NOTPAY": PaymentStatus.PENDING, "SUCCESS": PaymentStatus.PAID, "REFUND": PaymentStatus.REFUND_SUM_UNKNOWN}
URL = "https://sealed.example"


def refusal(fields: Fields) -> tuple[str, str]:
    return fields.text("code"), fields.text("message", default="")


class Sealed(AccountSettings):
    """``key`` opens messages; certificates are fetched, sealed with it."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="sealed",
        currencies=frozenset({"CNY"}),
        identity=("mchid",),
        time_limits={"parse_callback": 5},
        callback_headers=frozenset({"Wx-Signature", "Wx-Timestamp"}),
    )

    mchid: str
    key: Secret

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        body = {
            "mchid": self.mchid,
            "out_trade_no": order.reference,
            "amount": {"total": order.amount.minor, "currency": order.amount.currency},
            "description": order.description,
            "attach": order.attach,
            "notify_url": order.notify_url,
        }
        fields = yield from self.call(Request("POST", f"{URL}/native", json=body))
        return Payment(
            reference=fields.text("out_trade_no"),
            status=PaymentStatus.PENDING,
            next_action=QrCode(content=fields.text("code_url")),
            raw=dict(fields),
        )

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        fields = yield from self.call(Request("GET", f"{URL}/orders/{reference}?mchid={self.mchid}"), missing=True)
        return told(fields)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        envelope = read_json(callback)
        keys = yield from self.certificates()
        stated = callback.header("Wx-Timestamp")
        if not verified_by_any(keys, callback.header("Wx-Signature"), stated.encode() + b"\n" + callback.body):
            raise BadSignature("no certificate of the gateway's signed the message")
        check_age(callback, stated)
        try:
            fields = read_object(self.opened(envelope), CallbackFields)
        except InvalidTag:
            raise MalformedCallback("the message cannot be opened with this account's key") from None
        if fields.text("mchid") != self.mchid:
            raise WrongAccount("the message is for another merchant")
        return Notification(callback.kind, told(fields), Reply(b'{"code":"SUCCESS"}', "application/json"))

    def certificates(self) -> Flow[list[PublicKey]]:
        """Whoever cannot seal with the account's key cannot say what the gateway's certificates are."""
        fields = read_reply((yield Request("GET", f"{URL}/certificates", harmless=True)))
        try:
            return [PublicKey(self.opened(Fields(item)).decode()) for item in fields.objects("data")]
        except (InvalidTag, ValueError):
            raise GatewayError("the certificates cannot be opened with this account's key") from None

    def call(self, request: Request, *, missing: bool = False) -> Flow[Fields]:
        keys = yield from self.certificates()
        response = yield request
        if not verified_by_any(keys, response.headers.get("Wx-Signature"), response.content):
            raise GatewayError("no certificate of the gateway's signed the answer")
        return read_reply(response, refusal=refusal, missing=missing)

    def opened(self, sealed: Fields) -> bytes:
        try:
            nonce, text = sealed.text("nonce").encode(), base64.b64decode(sealed.text("ciphertext"), validate=True)
            return AESGCM(bytes(self.key)).decrypt(nonce, text, None)
        except ValueError:
            raise InvalidTag from None


def told(fields: Fields) -> Payment:
    amount = fields.object("amount")
    return Payment(
        reference=fields.text("out_trade_no"),
        gateway_id=fields.text("transaction_id"),
        status=fields.choice("trade_state", WORDS, default=PaymentStatus.PENDING),
        amount=amount.money("total", amount.text("currency"), "minor"),
        paid=amount.money("payer_total", amount.text("currency"), "minor", default=None),
        attach=fields.text("attach", default=""),
        raw=dict(fields),
    )


class TestSealed(ProviderContract):
    provider = Sealed
    settings = {"mchid": "1900", "key": "c1277-key-of-thirty-two-letters-"}
    other = {"mchid": "1901", "key": "c1277-another-key-of-32-letters-"}
    acknowledged = b'{"code":"SUCCESS"}'
    excuses = {"create.signed": "the gateway knows the shop by its TLS certificate"}

    def message(self, sale: Sale) -> dict[str, Any]:
        amount = {"total": sale.amount.minor, "currency": sale.amount.currency}
        return {
            "mchid": sale.settings["mchid"],
            "out_trade_no": sale.reference,
            "transaction_id": sale.gateway_id,
            "trade_state": sale.word or {status: word for word, status in WORDS.items()}[sale.status],
            "amount": amount | ({"payer_total": sale.paid.minor} if sale.paid else {}),
            "attach": sale.attach,
        }

    def sealed(self, text: bytes, sale: Sale) -> dict[str, str]:
        nonce = "twelve-bytes"
        made = AESGCM(sale.settings["key"].encode()).encrypt(nonce.encode(), text, None)
        return {"nonce": nonce, "ciphertext": base64.b64encode(made).decode()}

    def pair(self, sale: Sale) -> str:
        """The public half that signs for who knows this account's key."""
        return GATEWAY[1] if sale.settings["key"] == self.settings["key"] else OTHER_GATEWAY[1]

    def answer(self, request: Request, sale: Sale) -> Response:
        if request.url.path == "/certificates":
            return Response(200, json={"data": [self.sealed(self.pair(sale).encode(), sale)]})
        status, body = 200, {**self.message(sale), "code_url": sale.url}
        if sale.no:
            status, body = {"missing": 404, "refused": 400, "account": 403}[sale.no], {"code": sale.no.upper()}
        content = json.dumps(body).encode()
        return Response(status, content=content, headers={"Wx-Signature": PRIVATE[self.pair(sale)].sign(content)})

    def notify(self, sale: Sale) -> Callback:
        body = json.dumps(self.sealed(json.dumps(self.message(sale)).encode(), sale)).encode()
        stated = str(int(sale.at.timestamp()))
        signature = PRIVATE[self.pair(sale)].sign(stated.encode() + b"\n" + body)
        headers = {"Content-Type": "application/json", "Wx-Timestamp": stated, "Wx-Signature": signature}
        return Callback("POST", headers, b"", body)

    tolerance = timedelta(minutes=5)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        if not request.content:
            return None
        body = json.loads(request.content)
        return body["out_trade_no"], Money(body["amount"]["total"], body["amount"]["currency"])
