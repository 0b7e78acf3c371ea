"""A second provider, as small as one can be: it signs JSON with a keyed hash and does all a hook may do."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from payhub_core import (
    BadSignature,
    Callback,
    CallbackKind,
    Flow,
    MalformedCallback,
    Money,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Reply,
    hookimpl,
)


class Tiny(BaseModel):
    """A gateway whose create sends nothing, whose notify says little, and whose query is a plain GET."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="tiny", methods=frozenset(PaymentMethod), currencies=frozenset({"CNY"}), identity=("secret",)
    )

    secret: SecretStr
    timeout: float = 5.0

    def sign(self, message: bytes) -> str:
        return hmac.digest(self.secret.get_secret_value().encode(), message, "md5").hex()

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        signature = self.sign(order.reference.encode())
        return Payment(
            reference=order.reference,
            status=PaymentStatus.PENDING,
            next_action=Redirect(url=f"https://tiny.example/pay?order={order.reference}&sign={signature}"),
        )

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if not hmac.compare_digest(self.sign(callback.body).encode(), callback.header("x-sign").encode()):
            raise BadSignature("wrong x-sign")
        fields = json.loads(callback.body)
        if "ping" in fields:
            return Notification(CallbackKind.OTHER, None, Reply(b"pong"))
        if "order" not in fields:
            raise MalformedCallback("no order")
        paid = Money(fields["paid"], fields.get("currency", "CNY")) if "paid" in fields else None
        payment = Payment(reference=fields["order"], status=PaymentStatus(fields["status"]), paid=paid, raw=fields)
        return Notification(CallbackKind.NOTIFY, payment, Reply(b"ok"))

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        response = yield httpx.Request("GET", f"https://tiny.example/orders/{gateway_id or reference}")
        return Payment(reference=reference, status=PaymentStatus(response.json()["status"]), raw={"id": gateway_id})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The application's folder, without a payhub.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    return Tiny


@pytest.fixture(scope="session")
def tiny_callback() -> Callable[..., Callback]:
    def make(account: Tiny, message: Any, kind: CallbackKind = CallbackKind.NOTIFY) -> Callback:
        body = json.dumps(message).encode()
        return Callback("POST", {"X-Sign": account.sign(body)}, b"", body, kind)

    return make


@pytest.fixture(scope="session")
def make_provider() -> Callable[..., Any]:
    """A provider whose hooks are the functions given, for the sake of one test."""

    def make(**hooks: Callable[..., Any]) -> Any:
        class Scripted:
            info: ClassVar[ProviderInfo] = ProviderInfo(
                name="scripted", methods=frozenset(PaymentMethod), currencies=frozenset({"CNY"}), identity=()
            )
            timeout = 5.0

            @hookimpl
            def create_payment(self, order: Order) -> Any:
                return hooks["create_payment"](order)

            @hookimpl
            def parse_callback(self, callback: Callback, expect: Order | None) -> Any:
                return hooks["parse_callback"](callback)

            @hookimpl
            def query(self, reference: str) -> Any:
                return hooks["query"](reference)

        return Scripted()

    return make
