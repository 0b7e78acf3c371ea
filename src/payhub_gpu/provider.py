"""The gateway's provider: an account's settings as fields, the three hooks as methods."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, ClassVar, Literal, NoReturn
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from payhub_core import (
    BadSignature,
    Callback,
    CallbackKind,
    Flow,
    NotFound,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    ProviderInfo,
    Refused,
    Reply,
    WrongAccount,
    hookimpl,
)
from payhub_gpu import wire
from payhub_gpu.signing import Placement, drop_empty, sign, verify

__all__ = ["Gpu"]

_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")
_SHORTEST_SECRET = 16
_ACKNOWLEDGED = Reply(b"SUCCESS")
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _listed(secret: object) -> object:
    """One secret or several; white space around them is a slip of the editor, never part of a key."""
    secrets = secret if isinstance(secret, list | tuple) else (secret,)
    return tuple(text.strip() if isinstance(text, str) else text for text in secrets)


class Gpu(BaseModel):
    """An account at the gateway: an aggregator of Alipay, WeChat and net banking.

    ``secret`` is one MD5 key, or several while they rotate: the first signs, any verifies. ``timeout`` is in seconds.
    The last three settings are the dialect of the gateway's brand; nothing turns verification off.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="gpu",
        currencies=frozenset({wire.CURRENCY}),
        identity=("appid",),
        methods=frozenset(wire.BANK_CODES),
        raw_methods="[0-9]{1,8}",
        method_needed=True,
        payer_needed=frozenset({PaymentMethod.WECHAT_OFFICIAL_ACCOUNT}),
        reference="[A-Za-z0-9_-]+",
        reference_length="order_no_max_length",
        largest_amount=10**12 - 1,
        extra_fields="[A-Za-z_][A-Za-z0-9_]*",
        reserved_fields=frozenset(wire.FIELDS),
    )

    base_url: str
    appid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    secret: Annotated[tuple[SecretStr, ...], BeforeValidator(_listed)]
    allow_http: bool = False
    timeout: float = Field(default=15.0, gt=0, le=120)
    secret_placement: Placement = "sorted"
    callback_empties: Literal["keep", "drop"] = "keep"
    order_no_max_length: int = Field(default=20, ge=1, le=64)

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        """Section 5.1: a signed form to ``/api/order/unified``."""
        form = wire.write_form(self._signed(self._fields(order)))
        response = yield httpx.Request("POST", self._unified, content=form, headers=_FORM)
        return wire.created(wire.read_reply(response), order)

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        """Sections 5.2 and 5.3: the notify from the gateway's server, the return from the payer's browser."""
        returning = callback.kind is CallbackKind.RETURN
        own_query = urlsplit(expect.return_url).query if returning and expect else ""
        fields = wire.read_form(callback, own_query)
        signature = fields.pop("sign", "")
        signed = fields if self.callback_empties == "keep" else drop_empty(fields)
        if not verify(signed, signature, self.secret, self.secret_placement):
            raise BadSignature("no secret of this account made the signature", hint="check secret and dialect settings")
        if fields.get("appid", self.appid) != self.appid:
            raise WrongAccount(f"expected a message for {self.appid}, it is for another appid")
        if returning:
            return Notification(callback.kind, wire.returned(fields))
        return Notification(callback.kind, wire.notified(fields), _ACKNOWLEDGED)

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        """Section 5.4: a signed GET of ``/api/order/check_order``."""
        signed = wire.write_form(self._signed({"appid": self.appid, "order_no": reference}))
        response = yield httpx.Request("GET", self._check_order.copy_with(query=signed))
        try:
            return wire.queried(wire.read_reply(response))
        except Refused as refused:
            if wire.not_found(refused):
                raise NotFound("the gateway does not know the order") from None
            raise

    def _fields(self, order: Order) -> dict[str, str]:
        return {
            **order.extra,
            "appid": self.appid,
            "order_no": order.reference,
            "amount": str(order.amount.minor),
            "openid": order.payer or "",
            "product_name": order.description,
            "bank_code": wire.BANK_CODES.get(order.method, order.method),  # type: ignore[call-overload]
            # Encoded before signing (section 5.1), which also keeps "&" and "=" out of every signed string.
            "attach": quote(order.attach, safe=""),
            "notify_url": order.notify_url,
            "return_url": order.return_url,
        }

    def _signed(self, fields: dict[str, str]) -> dict[str, str]:
        sent = drop_empty(fields)
        return {**sent, "sign": sign(sent, self.secret[0], self.secret_placement)}

    @cached_property
    def _unified(self) -> httpx.URL:
        return httpx.URL(f"{self.base_url}/api/order/unified")

    @cached_property
    def _check_order(self) -> httpx.URL:
        return httpx.URL(f"{self.base_url}/api/order/check_order")

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            fine = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) and parts.username is None
        except ValueError:
            fine = False
        if not fine or not re.fullmatch(r"[!-~]+", url) or "?" in url or "#" in url:
            raise ValueError("expected an address such as https://gateway.example")
        return url.rstrip("/")

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        # An empty key would let anyone sign.
        if not secrets or any(
            len(key := secret.get_secret_value()) < _SHORTEST_SECRET or not key.isprintable() for secret in secrets
        ):
            raise ValueError(f"expected a secret of at least {_SHORTEST_SECRET} printable characters, or several")
        return secrets

    @model_validator(mode="after")
    def _over_tls(self) -> Gpu:
        parts = urlsplit(self.base_url)
        if parts.scheme == "http" and not self.allow_http and not _LOOPBACK.fullmatch(parts.hostname or ""):
            raise ValueError("base_url: expected https; allow_http = true permits http, whose queries prove nothing")
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an account holds secrets and is not pickled: pass its name and load it where it is needed")
