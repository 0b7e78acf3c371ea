"""What is answered: the gateway's acknowledgement, a redirect or page for the payer, and a line for everyone else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from urllib.parse import quote

from payhub_core.models import Payment, PaymentStatus, Reply

__all__ = ["Answer", "acknowledgement", "page", "plain_text", "redirect"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, in the words of no framework; ``headers`` has lower-case names, Content-Length among them."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


# The address of a GET return holds a signature, which no cache and no next site shall see.
_PRIVATE = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;font:17px/1.6 system-ui,'Noto Sans CJK SC',"
    "'PingFang SC','Microsoft YaHei',sans-serif}"
    "main{max-width:26rem;padding:2rem 1.25rem;text-align:center;overflow-wrap:anywhere}"
    "h1{font-size:1.4rem;line-height:1.3;margin:0 0 .75rem}p{margin:.5rem 0}small{opacity:.75}"
)
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Heading and sentence, in English and in Chinese. Only PAID and REFUNDED are known; the others tell what is claimed.
_PAID = ("Payment received", "The shop has received your payment.", "支付成功", "商家已收到您的付款。")
_CLAIMED = (
    "Thank you",
    "Your payment is reported as made. The shop is waiting for its confirmation; please do not pay again.",
    "感谢您的付款",
    "付款已提交，商家正在等待确认，请勿重复付款。",
)
_FAILED = (
    "Payment not completed",
    "This payment is reported as not completed. If you were charged, please ask the shop before you pay again.",
    "付款未完成",
    "此笔付款未完成。如您已被扣款，请先联系商家，再决定是否重新付款。",
)
_REFUNDED = (
    "Payment refunded",
    "The shop has received your payment and paid it back, in whole or in part.",
    "已退款",
    "商家已收到您的付款，并已全部或部分退款。",
)
_CHECKING = (
    "We are checking your payment",
    "This takes a moment. Please do not pay again.",
    "正在确认您的付款",
    "请稍候，请勿重复付款。",
)
_PAID_BACK = {PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN}
_NOT_COMPLETED = {PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELED}


def acknowledgement(reply: Reply) -> Answer:
    """``reply``, byte for byte."""
    return _answer(reply.status_code, reply.content_type, reply.body)


def plain_text(status_code: int, text: str, **headers: str) -> Answer:
    """A line of plain text."""
    return _answer(status_code, "text/plain; charset=utf-8", text.encode(), headers)


def redirect(url: str) -> Answer:
    """303, so that the browser goes there with a GET. Raises TypeError where ``url`` is no text."""
    # Neither a line break nor a letter that a header cannot hold gets through.
    location = quote(url, safe="!#$%&'()*+,/:;=?@[]~")
    return _answer(303, "text/plain; charset=utf-8", location.encode(), {**_PRIVATE, "location": location})


def page(payment: Payment | None, status_code: int = 200) -> Answer:
    """A page for the payer, in English and Chinese: what is known of ``payment``, or that it is being checked.

    Without a claim that was proved, whoever looks may have guessed the reference: neither it nor the sum is shown.
    """
    heading, sentence, heading_zh, sentence_zh = _words(payment)
    about = ""
    if payment is not None and payment.claimed_status is not None:
        amount = f" · {escape(str(payment.amount))}" if payment.amount else ""
        about = f"<p><small>{escape(payment.reference)}{amount}</small></p>"
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{heading} · {heading_zh}</title><style>{_STYLE}</style>"
        f"<main><h1>{heading}</h1><p>{sentence}</p>"
        f'<div lang="zh-CN"><h1>{heading_zh}</h1><p>{sentence_zh}</p></div>{about}</main></html>'
    )
    headers = {**_PRIVATE, "content-security-policy": _POLICY}
    return _answer(status_code, "text/html; charset=utf-8", html.encode(), headers)


def _words(payment: Payment | None) -> tuple[str, str, str, str]:
    if payment is None:
        return _CHECKING
    if payment.status is PaymentStatus.PAID:
        return _PAID
    if payment.status in _PAID_BACK:
        return _REFUNDED
    if payment.claimed_status is PaymentStatus.PAID:
        return _CLAIMED
    return _FAILED if {payment.status, payment.claimed_status} & _NOT_COMPLETED else _CHECKING


def _answer(status_code: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    own = {"content-type": content_type, "content-length": str(len(body))}
    return Answer(status_code, {**own, **(headers or {})}, body)
