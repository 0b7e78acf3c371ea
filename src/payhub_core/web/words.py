"""What the payer's pages say, in English and in Chinese, and which language a browser asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from payhub_core.models import Payment, PaymentStatus

__all__ = ["State", "Words", "labels", "language", "payment_state", "words"]

Language: TypeAlias = Literal["en", "zh"]
State: TypeAlias = Literal["paid", "refunded", "short", "claimed", "failed", "checking", "404", "405"]

_PAID_BACK = {PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN}
_NOT_COMPLETED = {PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELED}


@dataclass(frozen=True, slots=True)
class Words:
    """A page's heading and its sentence."""

    heading: str
    sentence: str


_WORDS: dict[State, tuple[Words, Words]] = {
    "paid": (
        Words("Payment received", "The shop has received your payment."),
        Words("支付成功", "商家已收到您的付款。"),
    ),
    "refunded": (
        Words("Payment refunded", "The shop has received your payment and paid it back, in whole or in part."),
        Words("已退款", "商家已收到您的付款，并已全部或部分退款。"),
    ),
    "short": (
        Words("Only a part was received", "The sum received is less than the sum due. Please ask the shop what to do."),
        Words("仅收到部分款项", "实收金额少于应付金额，请联系商家处理。"),
    ),
    "claimed": (
        Words(
            "Thank you",
            "Your payment is reported as made. The shop is waiting for its confirmation; please do not pay again.",
        ),
        Words("感谢您的付款", "付款已提交，商家正在等待确认，请勿重复付款。"),
    ),
    "failed": (
        Words(
            "Payment not completed",
            "This payment is reported as not completed. If you were charged, please ask the shop before you pay again.",
        ),
        Words("付款未完成", "此笔付款未完成。如您已被扣款，请先联系商家，再决定是否重新付款。"),
    ),
    "checking": (
        Words(
            "We are checking your payment",
            "This takes a moment. If nothing changes, please ask the shop before you pay again.",
        ),
        Words("正在确认您的付款", "请稍候。如长时间无变化，请先联系商家，再决定是否重新付款。"),
    ),
    "404": (
        Words("There is no such page", "The address is not complete, or the shop no longer uses it."),
        Words("页面不存在", "地址不完整，或商家已不再使用该地址。"),
    ),
    "405": (
        Words("This address is not for a browser", "The payment gateway uses it. Nothing was changed."),
        Words("此地址不供浏览器访问", "该地址由支付网关使用，未作任何更改。"),
    ),
}

_LABELS = {
    "en": ("Order", "Received", "Due", "Paid back", "Back to the shop", "Back to {shop}", "Check again"),
    "zh": ("订单号", "实收", "应付", "已退", "返回商家", "返回“{shop}”", "重新查询"),
}


def words(state: State, language: Language) -> Words:
    """What a page in ``state`` says."""
    return _WORDS[state][language == "zh"]


def labels(language: Language) -> tuple[str, ...]:
    """Order, received, due, paid back, back to the shop, back to a named shop, check again."""
    return _LABELS[language]


def payment_state(payment: Payment | None) -> State:
    """What there is to say of ``payment``. Only "paid", "refunded" and "short" are known; others tell what is claimed.

    That a part was received is told only to the payer whose return proved what it claims: to whoever guessed the
    reference, such a payment looks as a pending one does.
    """
    if payment is None:
        return "checking"
    if payment.status is PaymentStatus.PAID:
        return "paid"
    if payment.status in _PAID_BACK:
        return "refunded"
    if payment.status is PaymentStatus.PARTIALLY_PAID:
        return "checking" if payment.claimed_status is None else "short"
    if payment.claimed_status is PaymentStatus.PAID:
        return "claimed"
    return "failed" if {payment.status, payment.claimed_status} & _NOT_COMPLETED else "checking"


def language(accepted: str) -> Language:
    """The language that an Accept-Language header (RFC 9110, 12.5.4) prefers; English where it names neither."""
    weights = {"en": 0.0, "zh": 0.0}
    for part in accepted.split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        name = tag.partition("-")[0].strip().lower()
        if name in weights:
            weights[name] = max(weights[name], _weight(parameter))
    return "zh" if weights["zh"] > weights["en"] else "en"


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip().lower() == "q" else 1.0
    except ValueError:
        return 0.0
