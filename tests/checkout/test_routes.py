"""Routes under pressure: gateways that lose, delay and refuse; impatient payers; an order is payable once."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from payhub_core import (
    AccountRefused,
    Callback,
    GatewayError,
    Hub,
    NotFound,
    Notification,
    NotSent,
    Order,
    OutcomeUnknown,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Refused,
    hookimpl,
)
from payhub_core.checkout import Checkout
from payhub_core.ledger import Creation, Ledger

INFO = ProviderInfo(name="slow", identity=(), methods=frozenset(PaymentMethod), currencies=frozenset({"CNY"}))


class Gateway:
    """Takes an order number once, at once or late, and seldom says so."""

    info: ClassVar[ProviderInfo] = INFO
    timeout = 2.0

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.accepted: set[str] = set()
        self.late: list[threading.Timer] = []

    def accept(self, reference: str) -> None:
        with self.lock:
            self.accepted.add(reference)

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        with self.lock:
            outcome = self.random.choice(["taken", "lost", "late", "late", "busy", "busy", "unreachable"])
            if order.reference in self.accepted:
                raise Refused("duplicate order number")
        if outcome == "busy":
            raise AccountRefused("busy")
        if outcome == "unreachable":
            raise NotSent("unreachable")
        if outcome == "late":
            timer = threading.Timer(self.random.uniform(0.01, 0.3), self.accept, [order.reference])
            self.late.append(timer)
            timer.start()
            raise OutcomeUnknown("no answer")
        self.accept(order.reference)
        if outcome == "lost":
            raise OutcomeUnknown("no answer")
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def query(self, reference: str) -> Payment:
        with self.lock:
            if self.random.random() < 0.2:
                raise GatewayError("no answer")
            if reference not in self.accepted:
                raise NotFound("no such order")
        return Payment(reference=reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        raise AssertionError


@pytest.fixture
def gateways() -> Iterator[dict[str, Any]]:
    gateways = {"first": Gateway(1), "second": Gateway(2)}
    yield gateways
    for gateway in gateways.values():
        for timer in gateway.late:
            timer.join()


def test_an_order_is_never_payable_at_two_accounts(
    ledger: Ledger, gateways: dict[str, Any], make_order: Any, rounds: int
) -> None:
    """However often and from however many sides it is started; and the ledger knows where it is."""
    checkout = Checkout(Hub(gateways), ledger, routes={"any": ["first", "second"]})
    address = "https://shop.example/{account}"
    orders = [make_order(reference=f"V{n}", notify_url=address, return_url=address) for n in range(8 * rounds)]

    def start(order: Order) -> str | None:
        for _ in range(20):
            try:
                return checkout.start("any", order).account
            except GatewayError:
                continue
        return None

    with ThreadPoolExecutor(6) as threads:
        held = list(threads.map(start, [order for order in orders for _ in range(3)]))
    for gateway in gateways.values():
        for timer in gateway.late:
            timer.join()
    assert gateways["first"].accepted & gateways["second"].accepted == set()
    assert len([account for account in held if account]) > len(held) // 2
    for stored in ledger.payments(limit=10_000):
        if stored.creation is Creation.CREATED:
            assert stored.payment.reference in gateways[stored.payment.account].accepted
        if stored.payment.reference in gateways[stored.payment.account].accepted:
            assert stored.creation in {Creation.CREATED, Creation.UNKNOWN}
