"""The gateway's provider: an account's settings as fields, the three hooks as methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, TypeAlias
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, Field

from payhub_core import (
    Callback,
    CallbackKind,
    Flow,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    ProviderInfo,
    Reply,
    Request,
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import FORM, AccountSettings, Address, Secrets, SignedPairs, method_code, write_form
from payhub_gpu import messages
from payhub_gpu.signing import Empties, Placement, drop_empty, sign, signed_pairs, verify

__all__ = ["Gpu"]

Words: TypeAlias = Annotated[
    tuple[Annotated[str, Field(min_length=2, max_length=80)], ...],
    BeforeValidator(lambda words: (words,) if isinstance(words, str) else words),
]


def _above_orders(url: str) -> str:
    if "/api/order" in url:
        raise ValueError("expected the address up to /api/order, such as https://gateway.example")
    return url


_ACKNOWLEDGED = Reply(b"SUCCESS")


class Gpu(AccountSettings):
    """An account at the gateway: an aggregator of Alipay, WeChat and net banking.

    ``secret`` is one MD5 key, or several while they rotate: the first signs, any verifies. ``timeout`` is in seconds.
    The others are the dialect of the gateway's brand; nothing turns verification off. ``unknown_order`` are the words
    in which it says that it does not know an order, beside those that are common: a part of its message is enough.
    """

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="gpu",
        currencies=frozenset({messages.CURRENCY}),
        identity=("appid",),
        methods=frozenset(messages.BANK_CODES),
        raw_methods="[0-9]{1,8}",
        method_needed=True,
        payer_needed=frozenset({PaymentMethod.WECHAT_OFFICIAL_ACCOUNT}),
        reference_length="order_no_max_length",
        largest_amount=10**12 - 1,
        extra_fields="[A-Za-z_][A-Za-z0-9_]*",
        reserved_fields=messages.FIELDS,
    )

    base_url: Annotated[Address, AfterValidator(_above_orders)]
    appid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    secret: Secrets
    secret_placement: Placement = "sorted"
    callback_empties: Empties = "keep"
    order_no_max_length: int = Field(default=20, ge=1, le=64)
    unknown_order: Words = ()

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        """Section 5.1: a signed form to ``/api/order/unified``."""
        form = write_form(self._signed(self._fields(order)))
        url = f"{self.base_url}/api/order/unified"
        response = yield Request("POST", url, content=form, headers={"Content-Type": FORM})
        return messages.created(response, order)

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        """Sections 5.2 and 5.3: the notify from the gateway's server, the return from the payer's browser."""
        returning = callback.kind is CallbackKind.RETURN
        fields = messages.received(callback, expect, returning=returning)
        signature = fields.pop("sign", "")
        signed = fields if self.callback_empties == "keep" else drop_empty(fields)
        if not verify(signed, signature, self.secret, self.secret_placement):
            raise self._rule.refusal({**fields, "sign": signature}, *messages.NEVER_EMPTY[callback.kind])
        if fields.get("appid", self.appid) != self.appid:
            raise WrongAccount(f"expected a message for {self.appid}, it is for another appid")
        if returning:
            return Notification(callback.kind, messages.returned(fields))
        return Notification(callback.kind, messages.notified(fields), _ACKNOWLEDGED)

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        """Section 5.4: a signed GET of ``/api/order/check_order``."""
        query = write_form(self._signed({"appid": self.appid, "order_no": reference})).decode()
        response = yield Request("GET", f"{self.base_url}/api/order/check_order?{query}")
        return messages.queried(response, self.unknown_order)

    def signature_candidates(self, callback: Callback) -> Iterator[tuple[str, bool]]:
        """How another brand of the gateway may have signed ``callback``, for a person who asks."""
        return self._rule.candidates(callback, self.secret)

    @property
    def _rule(self) -> SignedPairs:
        return signed_pairs(self.secret_placement, self.callback_empties, messages.FIELDS - {"secret"})

    def _fields(self, order: Order) -> dict[str, str]:
        return {
            **order.extra,
            "appid": self.appid,
            "order_no": order.reference,
            "amount": str(order.amount.minor),
            "openid": order.payer or "",
            "product_name": order.description,
            "bank_code": method_code(order.method, messages.BANK_CODES),
            # Encoded before signing (section 5.1), which also keeps "&" and "=" out of every signed string.
            "attach": quote(order.attach, safe=""),
            "notify_url": order.notify_url,
            "return_url": order.return_url,
        }

    def _signed(self, fields: dict[str, str]) -> dict[str, str]:
        sent = drop_empty(fields)
        return {**sent, "sign": sign(sent, self.secret[0], self.secret_placement)}
