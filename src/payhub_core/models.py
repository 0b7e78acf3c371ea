"""The vocabulary: what an application says to any gateway and what it hears back. Values only, no behaviour."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from html import escape
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler

from payhub_core.errors import InvalidOrder
from payhub_core.mistakes import mistakes
from payhub_core.money import Money

__all__ = [
    "AppParameters",
    "Callback",
    "CallbackKind",
    "FormPost",
    "HtmlPage",
    "NextAction",
    "Notification",
    "Order",
    "Payment",
    "PaymentMethod",
    "PaymentStatus",
    "QrCode",
    "Redirect",
    "Refund",
    "RefundStatus",
    "Reply",
]

#: Whether a text holds control characters or lone surrogates, which nothing should store, show or send.
unprintable: Callable[[str], re.Match[str] | None] = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
#: As `unprintable`, for text of several lines.
_unwritable = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]").search

_LONGEST_URL = 8 * 1024
_LONGEST_PAGE = 512 * 1024
#: What a browser would run, or read off the payer's own machine.
_DANGEROUS = re.compile(r"\s*(javascript|vbscript|data|file|filesystem|blob|about|view-source):", re.IGNORECASE)


class PaymentMethod(StrEnum):
    """How the payer pays, in words that mean the same at every gateway.

    ALIPAY and WECHAT leave it to the gateway's page which way suits the payer's device; H5 is a page in a phone's
    browser, WEB one on a desktop, QR a code to scan, APP the wallet's SDK in the shop's own app. UPI, PIX and SBP are
    the instant transfers of India, Brazil and Russia.
    """

    ALIPAY = "alipay"
    ALIPAY_H5 = "alipay_h5"
    ALIPAY_WEB = "alipay_web"
    ALIPAY_QR = "alipay_qr"
    ALIPAY_APP = "alipay_app"
    ALIPAY_PERSONAL_QR = "alipay_personal_qr"
    WECHAT = "wechat"
    WECHAT_H5 = "wechat_h5"
    WECHAT_QR = "wechat_qr"
    WECHAT_APP = "wechat_app"
    WECHAT_OFFICIAL_ACCOUNT = "wechat_official_account"
    WECHAT_MINI_PROGRAM = "wechat_mini_program"
    QQ_WALLET = "qq_wallet"
    UNIONPAY = "unionpay"
    NET_BANKING = "net_banking"
    CARD = "card"
    BANK_TRANSFER = "bank_transfer"
    DIRECT_DEBIT = "direct_debit"
    UPI = "upi"
    PIX = "pix"
    SBP = "sbp"
    APPLE_PAY = "apple_pay"
    GOOGLE_PAY = "google_pay"
    PAYPAL = "paypal"
    WALLET = "wallet"
    PAY_LATER = "pay_later"
    VOUCHER = "voucher"
    CARRIER_BILLING = "carrier_billing"


class PaymentStatus(StrEnum):
    """Where a payment stands. PAID means that at least the amount due was received; only PAID is paid.

    AUTHORIZED: the sum is reserved at the payer's bank, nothing was received yet. REFUND_SUM_UNKNOWN: money went back,
    and the gateway does not say how much.
    """

    PENDING = "pending"
    AUTHORIZED = "authorized"
    PAID = "paid"
    PARTIALLY_PAID = "partially_paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUND_SUM_UNKNOWN = "refund_sum_unknown"


class RefundStatus(StrEnum):
    """Where a refund stands: accepted and under way, done, or failed, which leaves the money with the shop."""

    PENDING = "pending"
    REFUNDED = "refunded"
    FAILED = "failed"


class CallbackKind(StrEnum):
    """Which address a callback came in at: NOTIFY from the gateway's server, RETURN from the payer's browser.

    OTHER is only ever found on a Notification: a genuine message about no payment.
    """

    NOTIFY = "notify"
    RETURN = "return"
    OTHER = "other"


class _Value(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        defer_build=True,  # seven models are a fifth of the import, and few programs use them all
    )


def _address(url: str) -> str:
    if _DANGEROUS.match(url):
        raise ValueError("expected an address of the web or of an app, not one that runs or reads something")
    return _line(url)


def _line(text: str) -> str:
    if len(text) > _LONGEST_URL or unprintable(text):
        raise ValueError(f"expected at most {_LONGEST_URL} printable characters")
    return text


def _page(text: str) -> str:
    if len(text) > _LONGEST_PAGE or _unwritable(text):
        raise ValueError(f"expected at most {_LONGEST_PAGE} characters, no control characters among them")
    return text


class Redirect(_Value):
    """Send the payer's browser (or app) to ``url``, of any scheme that runs nothing in the shop's page."""

    type: Literal["redirect"] = "redirect"
    url: str

    _fit = field_validator("url")(_address)


class QrCode(_Value):
    """Draw ``content`` as a QR code for the payer to scan; it is text, usually a URL, never an image."""

    type: Literal["qr_code"] = "qr_code"
    content: str

    _fit = field_validator("content")(_address)


class HtmlPage(_Value):
    """Show ``html``, written by the gateway, as a page of its own: never inside a page of yours."""

    type: Literal["html_page"] = "html_page"
    html: str = Field(repr=False)

    _fit = field_validator("html")(_page)


class FormPost(_Value):
    """Let the payer's browser POST ``fields`` to ``url``."""

    type: Literal["form_post"] = "form_post"
    url: str
    fields: dict[str, str]

    _fit = field_validator("url")(_address)

    @field_validator("fields")
    @classmethod
    def _writable(cls, fields: dict[str, str]) -> dict[str, str]:
        for text in (*fields, *fields.values()):
            _page(text)
        return fields

    def html(self, nonce: str) -> str:
        """A page that posts the form by itself; ``nonce`` is that of your Content-Security-Policy's script-src."""
        inputs = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in self.fields.items()
        )
        return (
            f'<!doctype html><meta charset="utf-8"><form method="post" action="{escape(self.url)}">{inputs}'
            f'<noscript><button>Continue</button></noscript></form><script nonce="{escape(nonce)}">'
            "document.forms[0].submit()</script>"
        )


class AppParameters(_Value):
    """Hand ``parameters`` to the wallet's SDK inside your own app, unchanged."""

    type: Literal["app_parameters"] = "app_parameters"
    parameters: str = Field(repr=False)

    _fit = field_validator("parameters")(_page)


NextAction: TypeAlias = Annotated[Redirect | QrCode | HtmlPage | FormPost | AppParameters, Field(discriminator="type")]


_NEUTRAL = {method.value: method for method in PaymentMethod}


def _neutral(method: object) -> object:
    """``"alipay_h5"`` from a config file is the neutral method; any other text is the provider's own code."""
    return _NEUTRAL.get(method, method) if isinstance(method, str) else method


Method: TypeAlias = Annotated[PaymentMethod | str, BeforeValidator(_neutral)]


class Order(_Value):
    """What the shop wants paid.

    ``reference`` is the shop's own order number, unique in the account for ever. ``method`` is neutral, or the
    provider's raw code as text. ``payer`` is the wallet's id of the payer (an openid). ``attach``, of 2,048 characters
    at most, comes back unchanged with the notify, and is refused where a gateway cannot bring it back. ``extra`` holds
    parameters only this gateway knows. Addresses are absolute http(s) URLs.

    Raises InvalidOrder, before anything is sent.
    """

    reference: str = Field(min_length=1, max_length=64)
    amount: Money
    description: str = Field(min_length=1, max_length=256)
    notify_url: str
    return_url: str
    method: Method | None = None
    payer: str | None = None
    attach: str = Field(default="", max_length=2048)
    extra: dict[str, str] = {}

    @model_validator(mode="wrap")
    @classmethod
    def _or_invalid_order(cls, data: Any, handler: ModelWrapValidatorHandler[Order]) -> Order:
        try:
            return handler(data)
        except ValidationError as error:
            # pydantic's own text and its notes about the input stay behind.
            raise InvalidOrder(mistakes(error, "order")) from None

    @field_validator("amount")
    @classmethod
    def _positive(cls, amount: Money) -> Money:
        if amount.minor <= 0:
            raise ValueError(f"an order is about more than nothing, not {amount}")
        return amount

    @field_validator("notify_url", "return_url")
    @classmethod
    def _absolute(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#\\]+[^\s\\]*", url, re.IGNORECASE):
            raise ValueError("expected an absolute http:// or https:// address")
        return url

    @field_validator("reference", "description", "notify_url", "return_url", "payer", "attach", "extra", "method")
    @classmethod
    def _printable(cls, value: object) -> object:
        texts = (*value, *value.values()) if isinstance(value, dict) else (value,)
        if any(isinstance(text, str) and unprintable(text) for text in texts):
            raise ValueError("control characters and lone surrogates cannot be sent")
        return value


class Payment(_Value):
    """What is known of one payment, in the same words for every gateway.

    ``status`` is safe to act upon: a hint (a browser return, or a query over plain http) leaves it PENDING and says
    what it claims in ``claimed_status``, for the payer's page. ``amount`` is the sum due, ``paid`` the sum received and
    ``refunded`` the sum that has gone back in all, each None where the gateway did not say. ``next_action`` is good
    until ``expires_at``. Times are aware. ``raw`` holds the gateway's own fields, without signature.

    A provider leaves out ``account``, ``provider`` and, where its message is no claim about something else,
    ``claimed_status``: the core fills them in.
    """

    account: str = ""
    provider: str = ""
    reference: str
    gateway_id: str | None = None
    status: PaymentStatus
    claimed_status: PaymentStatus | None = None
    amount: Money | None = None
    paid: Money | None = None
    refunded: Money | None = None
    method: Method | None = None
    attach: str = ""
    created_at: AwareDatetime | None = None
    paid_at: AwareDatetime | None = None
    next_action: NextAction | None = None
    expires_at: AwareDatetime | None = None
    raw: InstanceOf[dict[str, Any]] = Field(default={}, repr=False)


class Refund(_Value):
    """What is known of one refund of a payment.

    ``reference`` and ``gateway_id`` are the payment's; ``refund_reference`` is the shop's own number of the refund and
    its idempotency key; ``refund_id`` is the gateway's. ``amount`` is the sum of this refund. ``raw`` holds the
    gateway's own fields, without signature. ``looked_up`` says that nothing but look-ups was sent for it.

    A provider leaves out ``account``, ``provider`` and ``looked_up``, and may leave out ``amount``: the core fills them
    in.
    """

    account: str = ""
    provider: str = ""
    reference: str
    gateway_id: str | None = None
    refund_reference: str
    refund_id: str | None = None
    status: RefundStatus
    amount: Money | None = None
    refunded_at: AwareDatetime | None = None
    looked_up: bool = False
    raw: InstanceOf[dict[str, Any]] = Field(default={}, repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """A request to the notify or the return address, exactly as it arrived.

    ``query`` and ``body`` are the raw bytes: a framework's form object has already lost what the signature covers.
    ``kind`` is the address it came in at, never guessed from the message. ``recorded_at`` is when one came that is read
    from a recording. Raises TypeError for text or a dict.
    """

    method: str
    headers: Mapping[str, str]
    query: bytes
    body: bytes = field(repr=False)
    kind: CallbackKind = CallbackKind.NOTIFY
    recorded_at: datetime | None = None

    def __post_init__(self) -> None:
        if type(self.body) is not bytes or type(self.query) is not bytes:
            raise TypeError("a callback's query and body are the raw bytes of the request; read them before any form")

    def header(self, name: str) -> str:
        """The header's value, whatever the case of its name here or there (RFC 9110, 5.1); "" where it is missing."""
        value = self.headers.get(name)
        if value is not None:
            return value
        name = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == name), "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer to a callback, byte for byte.

    ``reason`` says why it is no success; it is recorded, and no gateway is sent it.
    """

    body: bytes = b""
    content_type: str = "text/plain"
    status_code: int = 200
    reason: str = field(default="", compare=False, repr=False)


@dataclass(slots=True)  # not frozen: that doubles what making one takes, and the core completes each
class Notification:
    """A callback that proved genuine.

    ``reply`` acknowledges it: send it only once what it says is committed. ``bound`` tells whether the core compared it
    with the order that the shop holds. ``payment`` is None for a message about no payment (``kind`` OTHER), and for one
    about a ``refund``: where that stands, by the shop's number of it; "" is one that the shop did not ask for.
    """

    kind: CallbackKind
    payment: Payment | None
    reply: Reply = Reply()
    bound: bool = False
    refund: Refund | None = None
