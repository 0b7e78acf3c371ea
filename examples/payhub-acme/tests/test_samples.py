"""The manual's own samples, letter by letter."""

from __future__ import annotations

from payhub_acme import Acme
from payhub_core import Money, PaymentStatus, Response
from payhub_core.testing import play

ACCOUNT = Acme.model_validate(
    {"base_url": "https://gateway.example", "merchant": "m-1001", "key": "a-key-that-opens-nothing"}
)
PAID = """{"merchant": "m-1001", "reference": "A1001", "id": "70010001", "state": "paid", "amount": 1250,
           "currency": "EUR", "received": 1250, "note": "table 7"}"""


def test_the_sample_of_an_order_that_is_paid() -> None:
    """As the manual prints it."""
    payment, (request,) = play(ACCOUNT.query("A1001"), Response(200, text=PAID))
    assert str(request.url) == "https://gateway.example/payments/A1001"
    assert (payment.status, payment.paid, payment.attach) == (PaymentStatus.PAID, Money.of("12.50", "EUR"), "table 7")
