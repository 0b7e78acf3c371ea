"""The gateway's own messages and their translation: forms, JSON replies, codes and statuses (section 5)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from payhub_core import (
    AccountRefused,
    AppParameters,
    Callback,
    CallbackKind,
    GatewayError,
    HtmlPage,
    MalformedCallback,
    Money,
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
from payhub_core.kit import Fields, grammar, read_form, read_reply

__all__ = ["BANK_CODES", "CURRENCY", "FIELDS", "NEVER_EMPTY", "created", "notified", "queried", "received", "returned"]

CURRENCY = "CNY"

#: Section 6 and what is seen in the field; an open set, so any other code passes through as it is.
BANK_CODES = {
    PaymentMethod.ALIPAY_H5: "901",
    PaymentMethod.WECHAT_OFFICIAL_ACCOUNT: "902",
    PaymentMethod.WECHAT_H5: "903",
    PaymentMethod.ALIPAY_APP: "904",
    PaymentMethod.WECHAT_APP: "905",
    PaymentMethod.NET_BANKING: "906",
    PaymentMethod.ALIPAY_QR: "911",
    PaymentMethod.WECHAT_QR: "912",
    PaymentMethod.ALIPAY_PERSONAL_QR: "913",
}
#: Every field that the protocol has a meaning for, and "secret", which its signature knows as one.
FIELDS = frozenset(
    {
        *("actual_amount", "amount", "appid", "attach", "bank_code", "notify_url", "openid", "order_no", "pay_status"),
        *("pay_time", "platform_order_no", "product_name", "return_url", "secret", "sign"),
    }
)
#: What every message of a kind has, and is never empty (sections 5.2 and 5.3).
NEVER_EMPTY = {
    CallbackKind.NOTIFY: ("actual_amount", "amount", "appid", "order_no", "pay_time"),
    CallbackKind.RETURN: ("order_no",),
}
_METHODS = {code: method for method, code in BANK_CODES.items()}
_SCANNED = {PaymentMethod.ALIPAY_QR, PaymentMethod.WECHAT_QR, PaymentMethod.ALIPAY_PERSONAL_QR}
# Named once: of an enum, each look-up takes a hundredth of a callback's time.
_PENDING, _FAILED, _PAID = PaymentStatus.PENDING, PaymentStatus.FAILED, PaymentStatus.PAID
_STATUSES = {"-1": _PENDING, "0": _FAILED, "1": _PAID}

#: The gateway's clock is that of Shanghai.
_CLOCK = "+08:00"

_amount = re.compile(r"[0-9]{1,12}(?:\.0{1,2})?").fullmatch
_NUMBER = grammar(r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, '_' or '-'")
#: Whoever can alter a reply must not run a script in the shop's page.
_ADDRESS = grammar(
    r"(?i:https?|weixin|wxp|alipays?|alipayqr)://[^\x00-\x20\x7f-\x9f]+", "an address of the web or of a wallet"
)

#: What platforms say of an order that they do not know; status 0 also means a bad sign, or anything else.
_UNKNOWN_ORDER = re.compile(
    r"(订单|交易|支付单)(号|信息|记录|数据)?(并?不存在|未找到|没有找到)"
    r"|(查无|查不到|查询不到|未查询到|未查到|找不到|未找到|没有找到|没有|无)[此该]?笔?(订单|交易)(号|信息|记录|数据)?[!。.！]*$"
    r"|(order|trade|transaction) ?((does not|doesn'?t) exist|not exists?|(is )?not found)"
    r"|no such (order|trade)|no (order|trade) found",
    re.IGNORECASE,
)
_HINT_MERCHANT = "compare appid with the gateway's console, and base_url: another brand does not know it"
_HINT_ORDER = "where this means that the gateway does not know the order, add its words to unknown_order of the account"
#: What PHP platforms say of an account: its merchant number, or its key, its rights, a channel closed for now.
_MERCHANT = re.compile(
    r"(商户|应用|appid)(号|信息)?(不存在|未找到|无效|错误|有误|不正确|异常|未(激活|开通|审核)|已?被?(禁用|停用|冻结|关闭|注销))"
    r"|\b(invalid|bad|wrong|incorrect) (appid|app id|merchant)\b"
    r"|\b(appid|app|merchant)( id)? ((does not|doesn'?t) exist|not exists?|(is )?(not found|invalid|disabled|frozen))",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"签名(校验|验证)?(错误|失败|不正确|无效|有误|不匹配|不符|不通过)|验签(失败|错误|不通过)|(密钥|秘钥|key)(错误|无效|有误|不正确|已过期)"
    r"|(无|没有|未)(权限|授权)|权限不足|白名单|频繁|频率|维护|暂停|通道(已?关闭|不可用|繁忙)|unavailable|maintenance"
    r"|\b(invalid|bad|wrong|incorrect) (sign|signature|key|secret)\b"
    r"|\bsign(ature)?[ _](is )?(error|invalid|wrong|incorrect|mismatch|failed|failure)\b"
    r"|too many requests|rate limit|access denied|permission denied|unauthorized",
    re.IGNORECASE,
)


def received(callback: Callback, expect: Order | None, *, returning: bool) -> Fields:
    """The fields of a callback, ``sign`` among them; a return comes by POST or GET. Raises MalformedCallback."""
    return read_form(
        callback,
        methods=("POST", "GET") if returning else ("POST",),
        address=expect.return_url if returning and expect else "",
        free_text=("attach",),  # the payer's own text; "&" joins the signed string
        reserved=("secret",),
    )


def notified(fields: Fields) -> Payment:
    """The payment a notify speaks of (section 5.2); raises MalformedCallback where a field is missing or malformed."""
    status = fields.choice("pay_status", _STATUSES)
    fields.text("appid")
    amount, paid = fields.read("amount", _fen), fields.read("actual_amount", _fen)
    fields.text("pay_time")
    return Payment(
        reference=fields.read("order_no", _NUMBER),
        gateway_id=fields.read("platform_order_no", _NUMBER, default=None),
        status=status,
        amount=amount,
        paid=paid if status is _PAID else None,
        attach=_attached(fields.text("attach")),
        # Of money that came in the time decides whether it is this order's; else it decides nothing.
        paid_at=fields.time("pay_time", _CLOCK) if status is _PAID else fields.time("pay_time", _CLOCK, default=None),
        raw=fields.copy(),
    )


def returned(fields: Fields) -> Payment:
    """The payment a browser's return speaks of (section 5.3), which carries no sum; raises MalformedCallback."""
    # One key signs requests and returns alike: without a status, more than the order number may be a request of ours;
    # and a product name of the payer's can cut a create, its addresses still at the end, into a return.
    if fields.keys() != {"order_no"} and ("pay_status" not in fields or fields.keys() & {"notify_url", "return_url"}):
        raise MalformedCallback("expected a return with order_no and pay_status, not a request")
    return Payment(
        reference=fields.read("order_no", _NUMBER),
        gateway_id=fields.read("platform_order_no", _NUMBER, default=None),
        status=fields.choice("pay_status", _STATUSES) if "pay_status" in fields else _PENDING,
        attach=_attached(fields.text("attach", default="")),
        raw=fields.copy(),
    )


def created(response: Response, order: Order) -> Payment:
    """The payment an accepted create speaks of (section 5.1); raises Refused, and GatewayError where nothing is clear.

    The reply is not signed, and a fresh order may be reported as failed: accepted is all it can say.
    """
    data = _answered(response)
    told = _told(data)
    method = told["method"] or order.method
    claimed = told["status"]
    told |= {"status": _PENDING, "method": method, "attach": order.attach}
    return Payment(**told, claimed_status=claimed, next_action=_next_action(data, method))


def queried(response: Response, unknown_order: Iterable[str] = ()) -> Payment:
    """The payment a query's reply speaks of (section 5.4), which never says what was paid; raises GatewayError.

    ``unknown_order`` are words by which this gateway says that it does not know an order, beside those of others.
    """
    try:
        told = _told(_answered(response))
    except Refused as refused:
        reason, orders = refused.reason, not isinstance(refused, AccountRefused)
        if (orders and _UNKNOWN_ORDER.search(reason)) or any(it.lower() in reason.lower() for it in unknown_order):
            raise NotFound(f"the gateway does not know the order: {reason}") from None
        if orders:
            refused.hint = refused.hint or _HINT_ORDER
        raise
    if told["status"] is _PAID and told["amount"] is None:
        raise GatewayError("amount: expected whole fen where pay_status is 1: paid without a sum proves nothing")
    if told["status"] is _FAILED:
        # Said of a fresh order too (the sample of section 5.4): a claim, which the core believes once the order is old.
        told |= {"status": _PENDING, "claimed_status": _FAILED}
    return Payment(**told)


def _answered(response: Response) -> Fields:
    """The ``data`` of a reply whose ``status`` is 1; raises Refused or AccountRefused for 0, else GatewayError."""
    reply = read_reply(response)
    if not reply.choice("status", {"0": False, "1": True}):
        reason = str(reply.get("message", ""))
        merchant = _MERCHANT.search(reason)
        if merchant or _ACCOUNT.search(reason):
            hint = _HINT_MERCHANT if merchant else ""
            raise AccountRefused("the gateway refused the account", code="0", reason=reason, hint=hint)
        raise Refused("the gateway refused", code="0", reason=reason)
    return reply.object("data")


def _told(data: Fields) -> dict[str, Any]:
    """What the ``data`` of a reply tells of a payment, by the names of `Payment`."""
    code = data.text("bank_code", default=None)
    return {
        "reference": data.text("order_no"),
        "gateway_id": data.text("platform_order_no", default=None),
        "status": data.choice("pay_status", _STATUSES, default=_PENDING),
        "amount": data.read("amount", _fen, default=None),
        "method": _METHODS.get(code or "", code),
        "attach": _attached(data.text("attach", default="")),
        "created_at": data.time("created_at", _CLOCK, default=None),
        "paid_at": data.time("pay_time", _CLOCK, default=None),
        "raw": {name: value for name, value in data.items() if name != "sign"},
    }


def _next_action(data: Fields, method: PaymentMethod | str | None) -> Redirect | QrCode | HtmlPage | AppParameters:
    if data.text("redirect_url", default="no_redirect").lower() != "no_redirect":
        url = data.read("redirect_url", _ADDRESS)
        return QrCode(content=url) if method in _SCANNED else Redirect(url=url)
    content = data.get("content")
    if isinstance(content, dict):
        return AppParameters(parameters=json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    if not isinstance(content, str) or not content.strip():
        raise GatewayError("expected a redirect_url or content, neither came")
    if content.lstrip().startswith("<"):
        return HtmlPage(html=content)
    return AppParameters(parameters=content)


@lru_cache(maxsize=512)
def _fen(text: str) -> Money:
    """``10000.00`` is 10,000 fen in spite of its decimals; anything but zeros behind the point is malformed."""
    if not _amount(text):
        raise ValueError("whole fen, such as 10000 or 10000.00")
    return Money(int(text.partition(".")[0]), CURRENCY)


def _attached(text: str) -> str:
    """What the shop attached, percent-encoded on the way out; other clients send it raw, which reads as itself."""
    if "%" not in text:
        return text
    try:
        attached = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return text
    # A NUL hidden behind a second encoding would break whatever stores it.
    return text if re.search(r"[\x00-\x1f\x7f-\x9f]", attached) else attached
