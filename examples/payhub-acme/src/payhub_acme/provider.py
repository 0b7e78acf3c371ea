"""Acme's provider: an account's settings as fields, the hooks as methods, the gateway's words as tables."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, ClassVar

from payhub_core import (
    BadSignature,
    Callback,
    Flow,
    Money,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Refund,
    RefundStatus,
    Reply,
    Request,
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import AccountSettings, Address, Fields, Secrets, made_by_any, method_code, read_json, read_reply

__all__ = ["Acme"]

METHODS = {PaymentMethod.CARD: "card", PaymentMethod.WALLET: "wallet"}
STATES = {
    "open": PaymentStatus.PENDING,
    "paid": PaymentStatus.PAID,
    "failed": PaymentStatus.FAILED,
    "closed": PaymentStatus.CANCELED,
    "refunded": PaymentStatus.REFUNDED,
}
REFUNDS = {"open": RefundStatus.PENDING, "done": RefundStatus.REFUNDED, "failed": RefundStatus.FAILED}


def refusal(fields: Fields) -> tuple[str, str] | None:
    """A refusal's code and words; None where it proves nothing: the order that has the number may be this one."""
    code = fields.text("error")
    return None if code in {"reference_taken", "in_progress"} else (code, fields.text("message", default=""))


class Acme(AccountSettings):
    """An account at Acme. ``key`` is one key, or several while they rotate: the first signs, any verifies."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="acme",
        currencies=frozenset({"EUR", "JPY"}),
        identity=("merchant",),
        methods=frozenset(METHODS),
        reference_length=32,
        callback_headers=frozenset({"X-Acme-Signature"}),
    )

    base_url: Address
    merchant: str
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        """A payment is asked for by POST; its answer has the page that the payer goes to."""
        body = {
            "merchant": self.merchant,
            "reference": order.reference,
            "amount": order.amount.minor,
            "currency": order.amount.currency,
            "method": method_code(order.method, METHODS, default="any"),
            "description": order.description,
            "note": order.attach,
            "notify_url": order.notify_url,
            "return_url": order.return_url,
        }
        response = yield self._posted("/payments", body)
        fields = read_reply(response, refusal=refusal)
        return self._payment(fields, next_action=Redirect(url=fields.text("pay_url")))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        """A notify is JSON; its signature is over the body as it came."""
        given = callback.header("X-Acme-Signature")
        if not made_by_any(self.key, lambda key: hmac.digest(bytes(key), callback.body, "sha256"), given):
            raise BadSignature("no key of this account made X-Acme-Signature")
        fields = read_json(callback)
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the message is for another merchant")
        return Notification(callback.kind, self._payment(fields), Reply(b"OK"))

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        """An order is looked up by the shop's own number."""
        response = yield Request("GET", f"{self.base_url}/payments/{reference}", headers=self._headers)
        return self._payment(read_reply(response, refusal=refusal, missing=True))

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        """A refund has a number of the shop's own, by which it is made once."""
        body = {"refund_reference": refund_reference, "amount": amount.minor, "currency": amount.currency}
        fields = read_reply((yield self._posted(f"/payments/{reference}/refunds", body)), refusal=refusal)
        return Refund(
            reference=fields.text("reference"),
            refund_reference=fields.text("refund_reference"),
            refund_id=fields.text("refund_id"),
            status=fields.choice("refund_state", REFUNDS),
            amount=fields.money("refund_amount", fields.text("currency"), "minor"),
            raw=dict(fields),
        )

    def _posted(self, path: str, body: Mapping[str, Any]) -> Request:
        return Request("POST", f"{self.base_url}{path}", json=body, headers=self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key[0].text}"}

    def _payment(self, fields: Fields, **known: Any) -> Payment:
        currency = fields.text("currency")
        return Payment(
            reference=fields.text("reference"),
            gateway_id=fields.text("id"),
            status=fields.choice("state", STATES, default=PaymentStatus.PENDING),
            amount=fields.money("amount", currency, "minor"),
            paid=fields.money("received", currency, "minor", default=None),
            attach=fields.text("note", default=""),
            raw=dict(fields),
            **known,
        )
