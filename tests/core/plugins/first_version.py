"""A plugin as it was written for the first version of the hooks, kept as it is: every later version runs it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SecretStr

from payhub_core import (
    BadSignature,
    Callback,
    Flow,
    MalformedCallback,
    Money,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Reply,
    Request,
    hookimpl,
)


class FirstVersion(BaseModel):
    """Three hooks, each naming the arguments that it needs."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="first_version", currencies=frozenset({"CNY"}), identity=("merchant",)
    )
    merchant: str
    key: SecretStr
    timeout: float = 5.0

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        response = yield Request("POST", "https://first.example/pay", json={"id": order.reference})
        return self.payment(response.json())

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        response = yield Request("GET", f"https://first.example/pay/{reference}")
        return self.payment(response.json())

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        made = hmac.new(self.key.get_secret_value().encode(), callback.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made.encode(), callback.header("X-Signature").encode()):
            raise BadSignature("the body's HMAC does not match X-Signature")
        try:
            return Notification(callback.kind, self.payment(json.loads(callback.body)), Reply(b"OK"))
        except (ValueError, KeyError):
            raise MalformedCallback("expected JSON with id and minor") from None

    def payment(self, fields: dict[str, Any]) -> Payment:
        amount = Money(fields["minor"], "CNY")
        paid = fields["state"] == "done"
        return Payment(
            reference=fields["id"],
            status=PaymentStatus.PAID if paid else PaymentStatus.PENDING,
            amount=amount,
            paid=amount if paid else None,
            next_action=None if paid else Redirect(url="https://first.example/p/1"),
        )
