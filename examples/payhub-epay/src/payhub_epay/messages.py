"""EPay's own messages and their translation: fields, replies, words and statuses."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

from payhub_core import (
    AccountRefused,
    Callback,
    CallbackKind,
    GatewayError,
    MalformedCallback,
    NextAction,
    NotFound,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    Refused,
    Response,
)
from payhub_core.kit import CallbackFields, Fields, grammar, method_code, read_form, read_reply

__all__ = ["CURRENCY", "TYPES", "accepted", "asked", "created", "notified", "opened", "queried", "received"]

CURRENCY = "CNY"

#: The gateway's ``type`` for each method; which page suits the payer, it is told by ``device``.
TYPES = {
    PaymentMethod.ALIPAY: "alipay",
    PaymentMethod.ALIPAY_H5: "alipay",
    PaymentMethod.ALIPAY_WEB: "alipay",
    PaymentMethod.ALIPAY_QR: "alipay",
    PaymentMethod.WECHAT: "wxpay",
    PaymentMethod.WECHAT_H5: "wxpay",
    PaymentMethod.WECHAT_QR: "wxpay",
    PaymentMethod.QQ_WALLET: "qqpay",
    PaymentMethod.NET_BANKING: "bank",
    PaymentMethod.UNIONPAY: "bank",
}
_METHODS = {
    "alipay": PaymentMethod.ALIPAY,
    "wxpay": PaymentMethod.WECHAT,
    "qqpay": PaymentMethod.QQ_WALLET,
    "bank": PaymentMethod.NET_BANKING,
}
_MOBILE = {PaymentMethod.ALIPAY_H5, PaymentMethod.WECHAT_H5}
#: 2 is a refund, made here or in the gateway's back office; it does not say of how much.
_STATUSES = {"0": PaymentStatus.PENDING, "1": PaymentStatus.PAID, "2": PaymentStatus.REFUND_SUM_UNKNOWN}
_TRADE_STATUSES = {"TRADE_SUCCESS": PaymentStatus.PAID}
_RECEIVED = {PaymentStatus.PAID, PaymentStatus.REFUND_SUM_UNKNOWN}

_CLOCK = "+08:00"
_NUMBER = grammar(r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, '_' or '-'")
#: Whoever can alter a reply must not run a script in the shop's page.
_ADDRESS = grammar(
    r"(?i:https?|weixin|wxp|alipays?|alipayqr|mqqapi)://[^\x00-\x20\x7f-\x9f]+", "an address of the web or of a wallet"
)
_UNKNOWN_ORDER = re.compile(r"订单号?不存在")
_TAKEN = re.compile(r"订单号?(已存在|已使用|重复)")
_ACCOUNT = re.compile(r"签名|密钥|商户(ID)?不存在|商户.{0,4}(封禁|禁用)|通道")


def asked(order: Order, pid: str) -> dict[str, str]:
    """The fields that ask for a payment of ``order``, unsigned."""
    return {
        "pid": pid,
        "type": method_code(order.method, TYPES),
        "out_trade_no": order.reference,
        "notify_url": order.notify_url,
        "return_url": order.return_url,
        "name": order.description,
        "money": f"{order.amount.amount:f}",
        "clientip": "127.0.0.1",
        "device": "mobile" if order.method in _MOBILE else "pc",
        # Encoded, which keeps "&" out of it: joined unescaped, it could be cut into other fields.
        "param": quote(order.attach, safe=""),
        **order.extra,
    }


def received(callback: Callback, expect: Order | None) -> CallbackFields:
    """The fields of a callback, which comes by GET; only the product's name may hold "&"."""
    returning = callback.kind is CallbackKind.RETURN
    address = expect.return_url if returning and expect else ""
    return read_form(callback, methods=("GET",), address=address, free_text=("name",), reserved=("key",))


def notified(fields: CallbackFields) -> Payment:
    """The payment a notify or a return speaks of; raises MalformedCallback."""
    if fields.keys() & {"notify_url", "return_url"}:
        raise MalformedCallback("expected a notify, this is a request")  # which the same key signs
    return _told(fields, fields.choice("trade_status", _TRADE_STATUSES, default=PaymentStatus.PENDING))


def accepted(response: Response) -> Fields:
    """The reply, where its ``code`` is 1; raises Refused, AccountRefused or NotFound, else GatewayError."""
    reply = read_reply(response)
    if reply.text("code") == "1":
        return reply
    reason = str(reply.get("msg", ""))
    if _UNKNOWN_ORDER.search(reason):
        raise NotFound("the gateway does not know the order")
    if _TAKEN.search(reason):
        raise GatewayError("the gateway has an order of this number already")  # perhaps this one, its answer lost
    refused = AccountRefused if _ACCOUNT.search(reason) else Refused
    raise refused("the gateway refused", code=reply.text("code"), reason=reason)


def created(response: Response, order: Order) -> Payment:
    """The payment an accepted create speaks of."""
    reply = accepted(response)
    number = reply.read("trade_no", _NUMBER, default=None)
    return opened(order, _next_action(reply), gateway_id=number, raw={**reply})


def opened(order: Order, action: NextAction, **known: Any) -> Payment:
    """The payment of ``order``, which waits for its payer."""
    told = {"reference": order.reference, "method": order.method, "attach": order.attach, **known}
    return Payment(status=PaymentStatus.PENDING, next_action=action, **told)


def queried(response: Response, reference: str) -> Payment:
    """The payment a query's reply speaks of; raises GatewayError for an answer about another order."""
    reply = accepted(response)
    if reply.text("out_trade_no") != reference:
        raise GatewayError("the answer is about another order")  # a refund would go by what that one is
    return _told(reply, reply.choice("status", _STATUSES, default=PaymentStatus.PENDING))


def _told(fields: Fields, status: PaymentStatus) -> Payment:
    amount = fields.money("money", CURRENCY, "major")
    kind = fields.text("type", default="")
    return Payment(
        reference=fields.read("out_trade_no", _NUMBER),
        gateway_id=fields.read("trade_no", _NUMBER),
        status=status,
        amount=amount,
        paid=amount if status in _RECEIVED else None,
        method=_METHODS.get(kind, kind) or None,
        attach=_attached(fields.text("param", default="")),
        created_at=fields.time("addtime", _CLOCK, default=None),
        paid_at=fields.time("endtime", _CLOCK, default=None),
        raw={name: value for name, value in fields.items() if name != "sign"},
    )


def _attached(text: str) -> str:
    attached = unquote(text)
    # A NUL hidden behind a second encoding breaks what stores it. The wide space of Chinese is an ordinary letter.
    return text if re.search(r"[\x00-\x1f\x7f-\x9f]", attached) else attached


def _next_action(reply: Fields) -> NextAction:
    if url := reply.read("payurl", _ADDRESS, default=None):
        return Redirect(url=url)
    if content := reply.read("qrcode", _ADDRESS, default=None):
        return QrCode(content=content)
    if url := reply.read("urlscheme", _ADDRESS, default=None):
        return Redirect(url=url)
    raise GatewayError("expected a payurl, qrcode or urlscheme, none came")
