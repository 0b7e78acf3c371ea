"""What a provider returns that cannot be recorded: a payhub error, and the payment's turn comes again later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

import pytest

from payhub_core import Callback, Hub, LedgerError, Notification, Order, Payment, PaymentStatus, ProviderInfo, hookimpl
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger


class Endless:
    """A provider whose ``raw`` holds itself."""

    info: ClassVar[ProviderInfo] = ProviderInfo(name="endless", identity=(), currencies=frozenset({"CNY"}))
    timeout = 0.5

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        raise NotImplementedError

    @hookimpl
    def query(self, reference: str) -> Payment:
        raw: dict[str, Any] = {}
        raw["again"] = raw
        payment = Payment(reference=reference, status=PaymentStatus.PAID)
        return payment.model_copy(update={"raw": raw})


def test_an_answer_that_cannot_be_recorded_moves_the_next_check(
    ledger: Ledger, make_order: Callable[..., Order], make_due: Callable[[], None]
) -> None:
    """In a pass it is an error of its account; the payment is as it was."""
    checkout = Checkout(Hub({"shop": Endless()}), ledger)
    checkout.start("shop", make_order(method=None))
    with pytest.raises(LedgerError, match="cannot be recorded: ValueError"):
        checkout.refresh("shop", "A1001")
    make_due()
    before = _next_check(ledger)
    summary = checkout.reconcile()
    assert (summary.asked, summary.unanswered) == (1, 1)
    assert "cannot be recorded" in summary.errors["shop"]
    assert _next_check(ledger) > before
    assert checkout.reconcile().asked == 0


def _next_check(ledger: Ledger) -> datetime:
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert stored.payment.status is PaymentStatus.PENDING
    assert stored.next_check_at is not None
    return stored.next_check_at
