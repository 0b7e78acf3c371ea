"""The gateway's own messages and their translation: forms, JSON replies, codes and statuses (section 5)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import quote_plus, unquote_to_bytes

import httpx

from payhub_core import (
    AccountRefused,
    AppParameters,
    Callback,
    CallbackKind,
    GatewayError,
    HtmlPage,
    MalformedCallback,
    Money,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    Refused,
)

__all__ = [
    "BANK_CODES",
    "CURRENCY",
    "FIELDS",
    "created",
    "notified",
    "queried",
    "read_form",
    "read_reply",
    "returned",
    "write_form",
]

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
_METHODS = {code: method for method, code in BANK_CODES.items()}
_SCANNED = {PaymentMethod.ALIPAY_QR, PaymentMethod.WECHAT_QR, PaymentMethod.ALIPAY_PERSONAL_QR}
_STATUSES = {"-1": PaymentStatus.PENDING, "0": PaymentStatus.FAILED, "1": PaymentStatus.PAID}

_FORM = "application/x-www-form-urlencoded"
_LONGEST_FORM = 16 * 1024
_MOST_FIELDS = 64
_NOTIFY_FIELDS = {
    *("actual_amount", "amount", "appid", "attach", "order_no", "pay_status", "pay_time", "platform_order_no", "sign"),
}
_REQUEST_FIELDS = {"notify_url", "return_url"}
#: Every field that the protocol has a meaning for, and "secret", which the signature knows as one.
FIELDS = _NOTIFY_FIELDS | _REQUEST_FIELDS | {"bank_code", "openid", "product_name", "secret"}
_UNKNOWN_ORDER = re.compile(r"订单号?(不存在|未找到)|查无此?订单|order (does not exist|not found)", re.IGNORECASE)

#: A channel that is closed for now, in the words of PHP platforms; the order itself is acceptable.
_CLOSED = re.compile(r"维护|暂停|通道(已?关闭|不可用|繁忙)|unavailable|maintenance", re.IGNORECASE)

_amount = re.compile(r"[0-9]{1,12}(?:\.0{1,2})?").fullmatch
_token = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_time = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}").fullmatch
_redirect = re.compile(r"(?:https?|weixin|wxp|alipays?|alipayqr)://[^\x00-\x20\x7f-\x9f]+", re.IGNORECASE).fullmatch
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


def write_form(fields: Mapping[str, str]) -> bytes:
    """``fields`` form-encoded, once; their names are identifiers, which need no encoding."""
    return "&".join([f"{name}={quote_plus(value)}" for name, value in fields.items()]).encode()


def read_form(callback: Callback, own_query: str = "") -> dict[str, str]:
    """The fields of a callback, ``sign`` among them, each decoded once; a GET return carries them behind ``own_query``.

    The grammar is strict because the signature joins values unescaped: whatever could be read two ways is refused.
    Raises MalformedCallback.
    """
    data = _form_data(callback, own_query)
    if len(data) > _LONGEST_FORM or data.count(b"&") >= _MOST_FIELDS:
        raise MalformedCallback(f"expected at most {_LONGEST_FORM} bytes and {_MOST_FIELDS} fields")
    fields: dict[str, str] = {}
    try:
        parts = data.decode().replace("+", " ").split("&")
        for part in parts:
            name, equals, value = part.partition("=")
            if not equals:
                raise MalformedCallback("expected every field as NAME=VALUE")
            if "%" in value:
                value = unquote_to_bytes(value).decode()
            fields[name] = value
    except UnicodeDecodeError:
        raise MalformedCallback("expected UTF-8") from None
    if len(fields) != len(parts):
        raise MalformedCallback("a field came twice")
    if not fields.keys() <= _NOTIFY_FIELDS:
        _check_names(fields)
    # All values at once, since this is the path of every callback; one by one only to say which.
    values = "".join(fields.values())
    if "&" in values or not values.isprintable():
        _check_values(fields)
    return fields


def _form_data(callback: Callback, own_query: str) -> bytes:
    if callback.method == "POST":
        if callback.header("content-type").partition(";")[0].strip().lower() != _FORM:
            raise MalformedCallback(f"expected a body of type {_FORM}")
        return callback.body
    if callback.method == "GET" and callback.kind is CallbackKind.RETURN:
        return callback.query.removeprefix(own_query.encode()).removeprefix(b"&")
    raise MalformedCallback("expected a POST, or the GET of a returning browser")


def _check_names(fields: Mapping[str, str]) -> None:
    for name in fields:
        if not (name.isascii() and name.isidentifier()):
            raise MalformedCallback("expected names of letters, digits and '_'")
        if name.lower() == "secret":
            raise MalformedCallback("a field is named like the secret, which never travels")


def _check_values(fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        if _control(value):
            raise MalformedCallback(f"the field {name} holds control characters")
        # "&" joins the signed string; only attach, the payer's own text, may hold it.
        if "&" in value and name != "attach":
            raise MalformedCallback(f"the field {name} holds an '&'")


def notified(fields: dict[str, str]) -> Payment:
    """The payment a notify speaks of (section 5.2); raises MalformedCallback where a field is missing or malformed."""
    try:
        word, time = fields["pay_status"], fields["pay_time"]
        reference, attach = fields["order_no"], fields["attach"]
        status = _STATUSES.get(word)
        gateway_id = fields.get("platform_order_no")
        if "appid" not in fields or status is None:
            raise MalformedCallback("expected an appid, and as pay_status -1, 0 or 1")
        if not _token(reference) or (gateway_id and not _token(gateway_id)):
            raise MalformedCallback("order_no and platform_order_no: expected 1 to 64 letters, digits, '_' or '-'")
        amount = _fen(fields["amount"])
        paid = _fen(fields["actual_amount"])
        return Payment(
            reference=reference,
            gateway_id=gateway_id or None,
            status=status,
            amount=amount,
            paid=paid if status is PaymentStatus.PAID else None,
            attach=_attached(attach),
            # A failed payment may have no time.
            paid_at=None if not time and status is PaymentStatus.FAILED else _moment(time),
            raw=fields,
        )
    except KeyError as missing:
        raise MalformedCallback(f"expected a notify, the field {missing} is missing") from None
    except ValueError as error:
        raise MalformedCallback(str(error)) from None


def returned(fields: dict[str, str]) -> Payment:
    """The payment a browser's return speaks of (section 5.3), which carries no sum; raises MalformedCallback."""
    word, gateway_id = fields.get("pay_status"), fields.get("platform_order_no")
    # One key signs requests and returns alike: without a status, more than the order number may be a request of ours;
    # and a product name of the payer's can cut a create, its addresses still at the end, into a return.
    if (word is None and fields.keys() != {"order_no"}) or not fields.keys().isdisjoint(_REQUEST_FIELDS):
        raise MalformedCallback("expected a return with order_no and pay_status, not a request")
    status = PaymentStatus.PENDING if word is None else _STATUSES.get(word)
    if status is None or not _token(fields.get("order_no", "")) or (gateway_id and not _token(gateway_id)):
        raise MalformedCallback("expected a return with an order_no, and a pay_status of -1, 0 or 1")
    return Payment(
        reference=fields["order_no"],
        gateway_id=gateway_id or None,
        status=status,
        attach=_attached(fields.get("attach", "")),
        raw=fields,
    )


def read_reply(response: httpx.Response) -> dict[str, Any]:
    """The ``data`` of a reply whose ``status`` is 1; raises Refused where it is 0, else GatewayError."""
    if response.status_code != httpx.codes.OK:
        raise GatewayError(f"expected HTTP 200, the gateway answered {response.status_code}")
    try:
        reply = _json.decode(response.content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise GatewayError("expected JSON, the gateway's reply is none") from None
    if not isinstance(reply, dict):
        raise GatewayError("expected a JSON object")
    status = _word(reply, "status")
    if status == "0":
        reason = str(reply.get("message", ""))
        no = AccountRefused if _CLOSED.search(reason) else Refused
        raise no("the gateway refused", code=status, reason=reason)
    data = reply.get("data")
    if status != "1" or not isinstance(data, dict):
        raise GatewayError("expected a reply with a status of 0 or 1, and with data where it is 1")
    return data


def created(data: Mapping[str, Any], order: Order) -> Payment:
    """The payment an accepted create speaks of (section 5.1); raises GatewayError where nothing is clear."""
    told = _told(data)
    method = told["method"] or order.method
    # The reply is not signed and a fresh order may be reported as failed: accepted is all it can say.
    claimed, told["status"] = told["status"], PaymentStatus.PENDING
    told |= {"method": method, "attach": order.attach, "next_action": _next_action(data, method)}
    return Payment(**told, claimed_status=claimed)


def queried(data: Mapping[str, Any]) -> Payment:
    """The payment a query's reply speaks of (section 5.4), which never says what was paid; raises GatewayError."""
    return Payment(**_told(data))


def not_found(refused: Refused) -> bool:
    """Whether a refused query says that there is no such order; status 0 also means a bad sign, or anything else."""
    return bool(_UNKNOWN_ORDER.search(refused.reason))


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the ``data`` of a reply tells of a payment, by the names of `Payment`."""
    amount, code = _word(data, "amount", optional=True), _word(data, "bank_code", optional=True)
    word = _word(data, "pay_status") if "pay_status" in data else ""
    try:
        return {
            "reference": _word(data, "order_no"),
            "gateway_id": _word(data, "platform_order_no", optional=True) or None,
            "status": _STATUSES.get(word, PaymentStatus.PENDING),
            "amount": _fen(amount) if amount else None,
            "method": _METHODS.get(code, code) or None,
            "attach": _attached(_word(data, "attach", optional=True)),
            "created_at": _moment_or_none(_word(data, "created_at", optional=True)),
            "paid_at": _moment_or_none(_word(data, "pay_time", optional=True)),
            "raw": {name: value for name, value in data.items() if name != "sign"},
        }
    except ValueError as error:
        raise GatewayError(str(error)) from None


def _next_action(
    data: Mapping[str, Any], method: PaymentMethod | str | None
) -> Redirect | QrCode | HtmlPage | AppParameters:
    url, content = _word(data, "redirect_url", optional=True), data.get("content")
    if url and url.lower() != "no_redirect":
        # Whoever can alter the reply must not run a script in the shop's page.
        if not _redirect(url):
            raise GatewayError("redirect_url: expected an address of the web or of a wallet")
        return QrCode(content=url) if method in _SCANNED else Redirect(url=url)
    if isinstance(content, dict):
        return AppParameters(parameters=json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    if not isinstance(content, str) or not content.strip():
        raise GatewayError("expected a redirect_url or content, neither came")
    if content.lstrip().startswith("<"):
        return HtmlPage(html=content)
    return AppParameters(parameters=content)


def _word(data: Mapping[str, Any], name: str, *, optional: bool = False) -> str:
    """A field as text; the gateway sends numbers as int or as text. A bool, a null or a fraction is no answer."""
    value = data.get(name)
    if optional and value is None:
        return ""
    if type(value) is not str and type(value) is not int and not (type(value) is _Fraction and name == "amount"):
        raise GatewayError(f"{name}: expected text or a whole number")
    return str(value)


class _Fraction(str):
    """A JSON number with a point, as it was written: a sum may wear one, no status may."""

    __slots__ = ()


@lru_cache(maxsize=512)
def _fen(text: str) -> Money:
    """``10000.00`` is 10,000 fen in spite of its decimals; anything but zeros behind the point is malformed."""
    if not _amount(text):
        raise ValueError("amount: expected whole fen, such as 10000 or 10000.00")
    return Money(int(text.partition(".")[0]), CURRENCY)


def _moment(text: str) -> datetime:
    """The gateway's clock is that of Shanghai, UTC+8."""
    if not _time(text):
        raise ValueError("expected a time such as 2019-08-18 00:13:41")
    try:
        return datetime.fromisoformat(f"{text}+08:00")
    except ValueError:
        raise ValueError("expected a time that exists") from None


def _moment_or_none(text: str) -> datetime | None:
    return _moment(text) if text else None


def _attached(text: str) -> str:
    """What the shop attached, percent-encoded on the way out; other clients send it raw, which reads as itself."""
    if "%" not in text:
        return text
    try:
        attached = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return text
    # A NUL hidden behind a second encoding would break whatever stores it.
    return text if _control(attached) else attached


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name came twice")
    return fields


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


# Numbers with a point stay text: no float ever holds money.
_json = json.JSONDecoder(parse_float=_Fraction, parse_constant=_no_number, object_pairs_hook=_unique)
