"""Every case of payhub's conformance kit, played against the gateway as its manual has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import md5
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from payhub_core import Callback, CallbackKind, Money, Order, PaymentStatus, RefundStatus, Request, Response
from payhub_core.testing import ProviderContract, Sale
from payhub_epay import EPay

TYPES = {"alipay": "alipay", "wechat": "wxpay", "qq_wallet": "qqpay", "net_banking": "bank"}
REFUSALS = {"missing": "订单号不存在", "refused": "金额不合法", "duplicate": "订单号已存在", "account": "签名校验失败"}


def signed(fields: Mapping[str, str], key: str) -> dict[str, str]:
    """``fields`` with their signature."""
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name])
    return {**fields, "sign": md5(f"{text}{key}".encode()).hexdigest(), "sign_type": "MD5"}


def form(data: bytes) -> dict[str, str]:
    """The fields of a form or a query."""
    return dict(parse_qsl(data.decode(), keep_blank_values=True))


class TestEPay(ProviderContract):
    """The gateway's side of the protocol; it shares no line with the provider."""

    provider = EPay
    settings: ClassVar[dict[str, Any]] = {
        "base_url": "https://gateway.example",
        "pid": "1001",
        "key": "simulator-key-not-for-money",
    }
    other: ClassVar[dict[str, Any]] = {"pid": "1002", "key": "another-key-not-for-money"}
    acknowledged = b"success"
    excuses: ClassVar[dict[str, str]] = {
        "refund.key": "a refund has no number of its own: it asks first, and sends nothing where money has gone back",
        "secret.address[query]": "the protocol has a query carry the key in its address",
        "secret.address[refund]": "a refund asks by such a query first",
    }

    def order(self, **changes: Any) -> Order:
        """An order that the gateway takes."""
        if "notify_url" in changes:  # has no query of its own
            changes["notify_url"] = changes["notify_url"].partition("?")[0]
        return super().order(**changes)

    def answer(self, request: Request, sale: Sale) -> Response:
        """What the gateway answers to each request of the provider's, in its manual's own words."""
        fields = form(request.content or request.url.query)
        if request.url.path not in {"/mapi.php", "/api.php"}:
            pytest.fail(f"the gateway has no {request.url.path}")
        if request.url.path == "/mapi.php":
            unsigned = {name: value for name, value in fields.items() if name not in {"sign", "sign_type"}}
            assert fields == signed(unsigned, self.settings["key"])
        else:
            assert fields["key"] == self.settings["key"]
        if sale.no:
            return Response(200, text=json.dumps({"code": -1, "msg": REFUSALS[sale.no]}))
        reply = {"code": 1, "msg": "", "trade_no": sale.gateway_id}
        if request.url.path == "/mapi.php":
            reply["payurl"] = sale.url
        elif dict(request.url.params)["act"] == "order":
            words = {PaymentStatus.PENDING: 0, PaymentStatus.PAID: 1, PaymentStatus.REFUND_SUM_UNKNOWN: 2}
            reply |= {**self.told(sale), "status": sale.word or words[sale.status]}
        else:
            reply["msg"] = {RefundStatus.REFUNDED: "退款成功"}[sale.refund_status]
        return Response(200, text=json.dumps(reply))

    def notify(self, sale: Sale) -> Callback:
        """The message in which the gateway says ``sale``, signed: a GET."""
        words = {PaymentStatus.PAID: "TRADE_SUCCESS", PaymentStatus.PENDING: "WAIT_BUYER_PAY"}
        fields = self.told(sale) | {"trade_status": sale.word or words[sale.status]}
        query = urlencode(signed(fields, sale.settings["key"]))
        return Callback("GET", {}, query.encode(), b"", CallbackKind.NOTIFY)

    def returned(self, sale: Sale) -> Callback:
        """What the payer's browser brings: the same message. Leave it out where it brings nothing."""
        notify = self.notify(sale)
        return Callback("GET", {}, notify.query, b"", CallbackKind.RETURN)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        """What a request asks the gateway to do: a number and a sum. None where it moves no money."""
        fields = form(request.content)
        if request.method != "POST":
            return None
        return fields["out_trade_no"], Money.of(fields["money"], "CNY")

    def told(self, sale: Sale) -> dict[str, str]:
        """What every message of the gateway says of an order."""
        return {
            "pid": sale.settings["pid"],
            "trade_no": sale.gateway_id,
            "out_trade_no": sale.reference,
            "type": TYPES.get(str(sale.method), "alipay"),
            "name": "Tea & cups",
            "money": f"{sale.amount.amount:f}",
            "param": quote(sale.attach, safe=""),
        }
