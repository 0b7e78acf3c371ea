"""Routes under pressure: gateways that lose, delay and refuse; impatient payers; an order is payable once."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection

from payhub_core import (
    AccountRefused,
    Callback,
    CallbackKind,
    ConfigError,
    GatewayError,
    Hub,
    InvalidOrder,
    LedgerError,
    Money,
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
from payhub_core.checkout.lease import Lease
from payhub_core.ledger import Creation, Ledger
from payhub_core.ledger.rows import Row

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


class Told:
    """Answers what a test says; it knows no order, since what it was sent may still be under way."""

    info: ClassVar[ProviderInfo] = INFO
    timeout = 1.0

    def __init__(self, outcome: Exception | None = None) -> None:
        self.outcome = outcome
        self.created = 0

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        if isinstance(self.outcome, NotSent):
            raise self.outcome
        self.created += 1
        if self.outcome is not None:
            raise self.outcome
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def query(self, reference: str) -> Payment:
        raise NotFound("no such order")

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        raise AssertionError


@pytest.fixture
def routed(make_order: Any) -> Order:
    address = "https://shop.example/{account}"
    order: Order = make_order(notify_url=address, return_url=address)
    return order


def test_no_account_is_tried_after_one_whose_failure_could_not_be_written_down(
    ledger: Ledger, routed: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would still say *starting*, and so be created there again while the next one's create is under way."""
    first, second = Told(NotSent("unreachable")), Told(OutcomeUnknown("no answer"))
    checkout = Checkout(Hub({"first": first, "second": second}), ledger, routes={"any": ["first", "second"]})

    def fail(*_: object, **__: object) -> None:
        raise LedgerError("the database failed")

    with monkeypatch.context() as patch:
        patch.setattr(Lease, "fail", fail)
        with pytest.raises(NotSent):
            checkout.start("any", routed)
    first.outcome = None
    assert checkout.start("any", routed).account == "first"
    assert (first.created, second.created) == (1, 0)


class Dollars(Told):
    """A gateway that takes another currency alone."""

    info: ClassVar[ProviderInfo] = ProviderInfo(name="dollars", identity=(), currencies=frozenset({"USD"}))


def test_an_account_that_does_not_take_such_an_order_stands_in_for_no_other(ledger: Ledger, routed: Order) -> None:
    """The next one is tried; and the order is no invalid one because the gateway that takes it is down."""
    first, second, third = Told(NotSent("unreachable")), Dollars(), Told()
    hub = Hub({"first": first, "second": second, "third": third})
    checkout = Checkout(hub, ledger, routes={"short": ["first", "second"], "any": ["first", "second", "third"]})
    with pytest.raises(NotSent, match="account first"):
        checkout.start("short", routed)
    assert checkout.start("any", routed).account == "third"
    assert (first.created, second.created, third.created) == (0, 0, 1)
    assert ledger.payment("second", routed.reference) is None
    with pytest.raises(InvalidOrder, match="account second"):
        checkout.start("second", routed)


class WithoutTheFirst(Hub):
    """That of a process in which the plugin of the first account does not load."""

    def __getitem__(self, account: str) -> Any:
        if account == "first":
            raise ConfigError("the plugin is broken")
        return super().__getitem__(account)


def test_processes_that_use_other_accounts_of_a_route_create_an_order_once(
    ledger: Ledger, url: str, routed: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a deployment that goes half-way: each looks for the order before the other has written it down."""
    gateways: dict[str, Any] = {"first": Told(), "second": Told()}
    both = threading.Barrier(2)
    look = Lease._rows

    def meet(self: Lease, connection: Connection) -> dict[str, Row]:
        rows = look(self, connection)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        return rows

    monkeypatch.setattr(Lease, "_rows", meet)
    with Ledger(url) as other, ThreadPoolExecutor(2) as threads:
        checkouts = [
            Checkout(hub(gateways), books, routes={"any": ["first", "second"]})
            for hub, books in ((Hub, ledger), (WithoutTheFirst, other))
        ]
        payments = list(threads.map(lambda checkout: checkout.start("any", routed), checkouts))
    assert gateways["first"].created + gateways["second"].created == 1
    assert payments[0].account == payments[1].account


class Telling(Gateway):
    """Answers as it is told, and takes any notify for genuine."""

    def __init__(self, *answers: Exception) -> None:
        super().__init__(0)
        self.answers = list(answers)

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        if self.answers:
            raise self.answers.pop(0)
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        return Notification(CallbackKind.NOTIFY, Payment.model_validate_json(callback.body))


@pytest.mark.parametrize("amount", ["100.00", "50.00"])
def test_where_the_order_was_paid_is_what_another_start_returns(ledger: Ledger, make_order: Any, amount: str) -> None:
    """Not the first account that has it, where nobody has paid: a proxy may say "not sent" of what was.

    With another sum it is refused: the payer would be sent to pay again.
    """
    gateways = {"first": Telling(NotSent("down")), "second": Telling(NotSent("down"))}
    checkout = Checkout(Hub(gateways), ledger, routes={"any": ["first", "second"]})
    address = "https://shop.example/{account}"
    order = make_order(reference="V1", notify_url=address, return_url=address)
    with pytest.raises(NotSent):
        checkout.start("any", order)
    later = order.model_copy(update={"amount": Money.of(amount, "CNY")})
    assert checkout.start("any", later).account == "first"
    paid = Payment(reference="V1", status=PaymentStatus.PAID, paid=order.amount).model_dump_json().encode()
    assert checkout.receive("second", Callback("POST", {}, b"", paid)).status_code == 200
    if later == order:
        again = checkout.start("any", later)
        assert (again.account, again.status) == ("second", PaymentStatus.PAID)
    else:
        with pytest.raises(InvalidOrder, match="other content"):
            checkout.start("any", later)
