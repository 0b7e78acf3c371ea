"""The aggregator keeps the contract."""

from __future__ import annotations

import json
from hashlib import md5
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from payhub_core import Callback, CallbackKind, Money, PaymentStatus, Request, Response
from payhub_core.testing import ProviderContract, Sale
from payhub_gpu import Gpu

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WORDS = {PaymentStatus.PENDING: "-1", PaymentStatus.FAILED: "0", PaymentStatus.PAID: "1"}
NO = {"missing": "订单不存在", "refused": "金额超出限制", "duplicate": "订单号重复", "account": "通道维护中"}


def signed(fields: dict[str, str], secret: str) -> dict[str, str]:
    """Written from section 4 of the protocol; it shares no line with the provider."""
    text = "&".join(f"{name}={value}" for name, value in sorted({**fields, "secret": secret}.items()))
    return {**fields, "sign": md5(text.encode()).hexdigest()}


class TestGpu(ProviderContract):
    provider = Gpu
    settings = {
        "base_url": "https://gateway.example",
        "appid": "gpu10000000",
        "secret": "c1277-throw-away-key-of-the-shop",
    }
    other = {"appid": "gpu10000001", "secret": "c1277-throw-away-key-of-another"}
    acknowledged = b"SUCCESS"
    excuses = {
        "create.duplicate": "section 5.1 calls every status 0 a refusal; Checkout, which knows of an earlier try, asks "
        "the gateway before it believes one"
    }

    def answer(self, request: Request, sale: Sale) -> Response:
        fields = dict(parse_qsl((request.content or request.url.query).decode()))
        sign = fields.pop("sign")
        assert signed(fields, self.settings["secret"])["sign"] == sign
        if sale.no:
            return Response(200, json={"status": 0, "message": NO[sale.no], "data": None})
        data: dict[str, Any] = {
            "order_no": sale.reference,
            "platform_order_no": sale.gateway_id,
            "pay_status": sale.word or WORDS[sale.status],
            "amount": f"{sale.amount.minor}.00",
            "attach": quote(sale.attach, safe=""),
            "redirect_url": sale.url,
        }
        return Response(200, content=json.dumps({"status": 1, "message": "ok", "data": data}, ensure_ascii=False))

    def notify(self, sale: Sale) -> Callback:
        paid = sale.amount if sale.paid is None else sale.paid
        fields = {
            "actual_amount": f"{paid.minor}.00",
            "amount": f"{sale.amount.minor}.00",
            "appid": sale.settings["appid"],
            "attach": quote(sale.attach, safe=""),
            "order_no": sale.reference,
            "pay_status": sale.word or WORDS[sale.status],
            "pay_time": "2019-08-18 00:13:41",
            "platform_order_no": sale.gateway_id,
        }
        return Callback("POST", FORM, b"", urlencode(signed(fields, sale.settings["secret"])).encode())

    def returned(self, sale: Sale) -> Callback:
        fields = {
            "order_no": sale.reference,
            "appid": sale.settings["appid"],
            "pay_status": sale.word or WORDS[sale.status],
            "platform_order_no": sale.gateway_id,
        }
        query = urlencode(signed(fields, sale.settings["secret"])).encode()
        return Callback("GET", {}, query, b"", CallbackKind.RETURN)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        fields = dict(parse_qsl(request.content.decode()))
        return (fields["order_no"], Money(int(fields["amount"]), "CNY")) if fields else None
