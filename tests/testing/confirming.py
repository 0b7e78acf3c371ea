"""TeaPay as a gateway that gives the money back unless the shop confirms each payment, and its contract."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

from tests.testing.tea import STATES, Tea, TeaContract

from payhub_core import (
    Callback,
    Flow,
    GatewayError,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    Request,
    Response,
    hookimpl,
)
from payhub_core.kit import Fields


class Confirming(Tea):
    """A notify claims that money is there. A query knows the order: it confirms, and says that the money is kept."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification] | Notification:
        heard = Tea.parse_callback(self, callback)
        if heard.payment is None or heard.payment.status is not PaymentStatus.PAID:
            return heard
        claim = {"status": PaymentStatus.PENDING, "claimed_status": PaymentStatus.PAID, "paid": None}
        return replace(heard, payment=heard.payment.model_copy(update=claim))

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        fields = super().fields(response, missing=missing)
        if fields.text("merchant") != self.merchant:
            raise GatewayError("the answer is about another merchant's payment")
        return fields

    @hookimpl
    def query(self, reference: str, gateway_id: str | None, expect: Order | None) -> Flow[Payment]:
        payment = yield from Tea.query(self, reference, gateway_id)
        if payment.status is not PaymentStatus.AUTHORIZED:
            return payment
        return (yield from self.confirmed(payment, expect))

    def confirmed(self, payment: Payment, expect: Order | None) -> Flow[Payment]:
        """Paid, once the gateway has taken the confirmation; what is not the order that is expected goes back."""
        if expect is None or (payment.reference, payment.amount) != (expect.reference, expect.amount):
            return payment
        return (yield from self.kept(payment))

    def kept(self, payment: Payment) -> Flow[Payment]:
        """Where it stands once the gateway has taken the confirmation."""
        assert payment.amount is not None
        sum_ = {"amount": self.written(payment.amount), "currency": payment.amount.currency}
        content = json.dumps({"order": payment.reference, **sum_}).encode()
        url = f"{self.base_url}/payments/{payment.gateway_id}/confirm"
        fields = self.reply((yield Request("PUT", url, content=content, headers=self.headers(content))))
        if fields.text("order") != payment.reference:
            raise GatewayError("order: expected the one that was confirmed")
        return payment.model_copy(update={"status": self.taken(fields)})

    def taken(self, fields: Fields) -> PaymentStatus:
        """What the confirmation has come to."""
        return fields.choice("state", STATES)


class ConfirmingContract(TeaContract):
    provider: ClassVar[type[Any]] = Confirming

    def confirms(self, request: Request) -> bool:
        return request.method == "PUT" and request.url.path.endswith("/confirm")
