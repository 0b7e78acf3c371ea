"""TeaPay as a gateway that gives the money back unless the shop confirms each payment, and its contract."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

from tests.testing.tea import Tea, TeaContract

from payhub_core import Callback, Flow, GatewayError, Notification, Order, Payment, PaymentStatus, Request, hookimpl


class Confirming(Tea):
    """A notify says that money waits. A query says so too, and that it is kept once it was confirmed."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Flow[Notification]:
        heard = Tea.parse_callback(self, callback)
        if heard.payment is None or heard.reply is None or heard.payment.status is not PaymentStatus.PAID:
            return heard
        waiting = heard.payment.model_copy(update={"status": PaymentStatus.AUTHORIZED})
        return replace(heard, payment=(yield from self.confirmed(waiting, expect)))

    @hookimpl
    def query(self, reference: str, gateway_id: str | None, expect: Order | None) -> Flow[Payment]:
        payment = yield from Tea.query(self, reference, gateway_id)
        if payment.status is not PaymentStatus.AUTHORIZED or payment.reference != reference:
            return payment
        return (yield from self.confirmed(payment, expect))

    def confirmed(self, payment: Payment, expect: Order | None) -> Flow[Payment]:
        """Paid, once the gateway has taken the confirmation; what is not the order that is expected goes back."""
        if expect is not None and (payment.reference, payment.amount) != (expect.reference, expect.amount):
            return payment
        content = json.dumps({"order": payment.reference, "amount": "1", "currency": "CNY"}).encode()
        url = f"{self.base_url}/payments/{payment.gateway_id}/confirm"
        fields = self.reply((yield Request("PUT", url, content=content, headers=self.headers(content))))
        if fields.text("order") != payment.reference:
            raise GatewayError("order: expected the one that was confirmed")
        return payment.model_copy(update={"status": PaymentStatus.PAID})


class ConfirmingContract(TeaContract):
    provider: ClassVar[type[Any]] = Confirming

    def confirms(self, request: Request) -> bool:
        return request.method == "PUT" and request.url.path.endswith("/confirm")
