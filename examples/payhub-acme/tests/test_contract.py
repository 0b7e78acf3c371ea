"""Every case of payhub's conformance kit, played against the gateway as its manual has it."""

from __future__ import annotations

import hmac
import json
from typing import Any, ClassVar

import pytest

from payhub_acme import Acme
from payhub_core import Callback, Money, PaymentStatus, RefundStatus, Request, Response
from payhub_core.testing import ProviderContract, Sale

#: How the gateway says no: there is no such order, it is refused, its number is taken, the account is not accepted,
#: it does not know itself.
NO = {
    "missing": (404, "unknown_payment"),
    "refused": (422, "refused"),
    "duplicate": (409, "reference_taken"),
    "account": (401, "wrong_key"),
    "unknown": (409, "in_progress"),
}
REFUNDS = {RefundStatus.PENDING: "open", RefundStatus.REFUNDED: "done", RefundStatus.FAILED: "failed"}
STATES = {
    PaymentStatus.PENDING: "open",
    PaymentStatus.PAID: "paid",
    PaymentStatus.FAILED: "failed",
    PaymentStatus.CANCELED: "closed",
    PaymentStatus.REFUNDED: "refunded",
}


class TestAcme(ProviderContract):
    """The gateway's side of the protocol; it shares no line with the provider."""

    provider = Acme
    settings: ClassVar[dict[str, Any]] = {
        "base_url": "https://gateway.example",
        "merchant": "m-1001",
        "key": "a-key-that-opens-nothing",
    }
    other: ClassVar[dict[str, Any]] = {"merchant": "m-1002", "key": "another-that-opens-nothing"}
    acknowledged = b"OK"

    def answer(self, request: Request, sale: Sale) -> Response:
        """What the gateway answers to each request of the provider's, in its manual's own words."""
        # new-provider: pytest.fail("next: write answer() here, with the words of your gateway's manual", pytrace=False)
        assert request.headers["Authorization"] == f"Bearer {self.settings['key']}", "a request with the first key"
        if not request.url.path.startswith("/payments"):
            pytest.fail(f"the gateway has no {request.url.path}")
        if sale.no:
            status, code = NO[sale.no]
            return Response(status, json={"error": code, "message": "no"})
        reply = {**self.told(sale), "pay_url": sale.url}
        if request.url.path.endswith("/refunds"):
            reply |= {
                "refund_reference": sale.refund_reference,
                "refund_id": sale.refund_id,
                "refund_state": sale.refund_word or REFUNDS[sale.refund_status],
                "refund_amount": (sale.refund or sale.amount).minor,
            }
        return Response(200, json=reply)
        # new-provider: end

    def notify(self, sale: Sale) -> Callback:
        """The message in which the gateway says ``sale``, signed with ``sale.settings``."""
        # new-provider: pytest.fail("next: write notify() here, signed as your gateway's manual says", pytrace=False)
        body = json.dumps(self.told(sale)).encode()
        signature = hmac.digest(sale.settings["key"].encode(), body, "sha256").hex()
        return Callback("POST", {"Content-Type": "application/json", "X-Acme-Signature": signature}, b"", body)
        # new-provider: end

    def asked(self, request: Request) -> tuple[str, Money] | None:
        """What a request asks the gateway to do: the shop's number and a sum. None where it moves no money."""
        # new-provider: pytest.fail("next: write asked() here: which number, and which sum", pytrace=False)
        if request.method != "POST":
            return None
        body = json.loads(request.content)
        return body.get("refund_reference") or body["reference"], Money(body["amount"], body["currency"])
        # new-provider: end

    def told(self, sale: Sale) -> dict[str, Any]:
        """What every message of the gateway says of an order."""
        return {
            "merchant": sale.settings["merchant"],
            "reference": sale.reference,
            "id": sale.gateway_id,
            "state": sale.word or STATES[sale.status],
            "amount": sale.amount.minor,
            "currency": sale.amount.currency,
            "received": sale.paid.minor if sale.paid else None,
            "note": sale.attach,
        }
