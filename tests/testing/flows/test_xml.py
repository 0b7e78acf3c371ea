"""XML bodies, an MD5 over sorted elements, sums in minor units."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from typing import ClassVar
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from payhub_core import (
    BadSignature,
    Callback,
    CallbackError,
    Flow,
    GatewayError,
    MalformedCallback,
    Money,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    QrCode,
    Redirect,
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
    Secrets,
    check_code,
    made_by_any,
    method_code,
    read_xml,
    write_xml,
)
from payhub_core.testing import ProviderContract, Sale

WORDS = {"NOTPAY": PaymentStatus.PENDING, "SUCCESS": PaymentStatus.PAID, "CLOSED": PaymentStatus.CANCELED}
METHODS = {PaymentMethod.WECHAT_QR: "NATIVE", PaymentMethod.WECHAT_H5: "MWEB"}
URL = "https://xml.example"
CODES = {"ok": {""}, "missing": {"ORDERNOTEXIST"}, "account": {"NOAUTH"}, "refused": {"PARAM_ERROR"}}


def written(fields: Mapping[str, str]) -> bytes:
    inside = "".join(f"<{name}>{escape(value)}</{name}>\n" for name, value in fields.items())
    return f"<xml>\n{inside}</xml>".encode()


def digest(key: bytes, fields: Mapping[str, str]) -> bytes:
    pairs = "&".join(f"{name}={value}" for name, value in sorted(fields.items()) if value and name != "sign")
    return md5(f"{pairs}&key=".encode() + key, usedforsecurity=False).digest()


class Xml(AccountSettings):
    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="xml", currencies=frozenset({"CNY"}), identity=("mch_id",), methods=frozenset(METHODS), method_needed=True
    )

    mch_id: str
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        fields = {
            "out_trade_no": order.reference,
            "total_fee": str(order.amount.minor),
            "body": order.description,
            "attach": quote(order.attach, safe=""),  # the signature joins by "&"
            "notify_url": order.notify_url,
            "redirect_url": order.return_url,
            "trade_type": method_code(order.method, METHODS),
        }
        told = yield from self.call("/unifiedorder", fields)
        url = told.text("code_url")
        scanned = order.method is PaymentMethod.WECHAT_QR
        return Payment(
            reference=told.text("out_trade_no"),
            status=PaymentStatus.PENDING,
            next_action=QrCode(content=url) if scanned else Redirect(url=url),
            raw=dict(told),
        )

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        return payment((yield from self.call("/orderquery", {"out_trade_no": reference})))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        fields = read_xml(callback.body, CallbackFields, "xml")
        self.check(fields, BadSignature)
        if fields.text("return_code") != "NOTIFY":
            raise MalformedCallback("expected a notify; answers are signed with the same key")
        if fields.text("mch_id") != self.mch_id:
            raise WrongAccount("the message is for another merchant")
        return Notification(callback.kind, payment(fields), Reply(b"<xml>SUCCESS</xml>", "text/xml"))

    def call(self, path: str, fields: dict[str, str]) -> Flow[Fields]:
        sent = {**fields, "mch_id": self.mch_id}
        sent["sign"] = digest(bytes(self.key[0]), sent).hex().upper()
        response = yield Request(
            "POST", f"{URL}{path}", content=write_xml(sent, "xml"), headers={"Content-Type": "text/xml"}
        )
        if response.status_code != 200:
            raise GatewayError(f"expected HTTP 200, the gateway answered {response.status_code}")
        told = read_xml(response.content, Fields, "xml")
        self.check(told, GatewayError)
        check_code(told.text("err_code", default=""), **CODES)
        return told

    def check(self, fields: Fields, error: type[CallbackError | GatewayError]) -> None:
        if any("&" in value for value in fields.values()):
            raise error("expected values without '&': they could be cut into other fields")
        if not made_by_any(self.key, lambda key: digest(bytes(key), fields), fields.pop("sign", None)):
            raise error("no key of this account signed the message")


def payment(fields: Fields) -> Payment:
    total = fields.money("total_fee", "CNY", "minor")
    status = fields.choice("trade_state", WORDS, default=PaymentStatus.PENDING)
    return Payment(
        reference=fields.text("out_trade_no"),
        gateway_id=fields.text("transaction_id"),
        status=status,
        amount=total,
        paid=total if status is PaymentStatus.PAID else None,
        attach=unquote(fields.text("attach", default="")),
        raw=dict(fields),
    )


class TestXml(ProviderContract):
    provider = Xml
    settings = {"mch_id": "1900", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"mch_id": "1901", "key": "c1277-throw-away-key-of-another"}
    acknowledged = b"<xml>SUCCESS</xml>"

    def message(self, sale: Sale, code: str) -> dict[str, str]:
        return {
            "return_code": code,
            "mch_id": sale.settings["mch_id"],
            "out_trade_no": sale.reference,
            "transaction_id": sale.gateway_id,
            "trade_state": sale.word or {status: word for word, status in WORDS.items()}[sale.status],
            "total_fee": str(sale.amount.minor),
            "attach": quote(sale.attach, safe=""),
        }

    def signed(self, fields: dict[str, str], sale: Sale) -> bytes:
        return written({**fields, "sign": digest(sale.settings["key"].encode(), fields).hex().upper()})

    def answer(self, request: Request, sale: Sale) -> Response:
        fields = {**self.message(sale, "SUCCESS"), "code_url": sale.url}
        if sale.no:
            codes = {
                "missing": "ORDERNOTEXIST",
                "refused": "PARAM_ERROR",
                "account": "NOAUTH",
                "unknown": "SYSTEMERROR",
            }
            fields = {"return_code": "SUCCESS", "err_code": codes[sale.no]}
        return Response(200, content=self.signed(fields, sale), headers={"Content-Type": "text/xml"})

    def notify(self, sale: Sale) -> Callback:
        body = self.signed(self.message(sale, "NOTIFY"), sale)
        return Callback("POST", {"Content-Type": "text/xml"}, b"", body)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        fields = read_xml(request.content, Fields, "xml")
        made = digest(self.settings["key"].encode(), fields).hex().upper()
        assert fields["sign"] == made, "a request that the shop signed"
        return (fields["out_trade_no"], Money(int(fields["total_fee"]), "CNY")) if "total_fee" in fields else None
