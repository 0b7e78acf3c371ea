"""Starts, payments, notifies, returns, queries, passes and crashes in any sequence; in the end the books agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import httpx
import hypothesis.strategies as st
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, text, update

from payhub_core import (
    Callback,
    CallbackKind,
    Hub,
    Order,
    PayhubError,
    PaymentStatus,
    load_accounts,
)
from payhub_core.checkout import Checkout
from payhub_core.checkout.steps import Step
from payhub_core.ledger import Ledger, Transition
from payhub_core.ledger.tables import payments

pytestmark = pytest.mark.proof

REFERENCES = [f"A{number}" for number in range(3)]
references = st.sampled_from(REFERENCES)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Crash(BaseException):
    """The process ends here."""


class Crashing(Checkout):
    """A checkout whose process ends before or after its n-th step, if told."""

    steps = 0

    def _do(self, step: Step) -> object:
        self.steps -= 1
        if self.steps == 0:
            raise Crash
        result = super()._do(step)
        self.steps -= 1
        if self.steps == 0:
            raise Crash
        return result


class Books:
    """The gateway's side: what it has, what was paid, and what it will say."""

    def __init__(self, platform: Any) -> None:
        self.platform = platform
        self.orders: dict[str, str] = {}
        self.paid: dict[str, int] = {}
        self.creates: Counter[str] = Counter()
        self.fault = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        fault, self.fault = self.fault, ""
        if fault == "unreachable":
            raise httpx.ConnectError("down")
        fields = dict(httpx.QueryParams(request.content.decode() or request.url.query.decode()))
        reference = fields["order_no"]
        reply: httpx.Response
        if request.method == "POST":
            if fault == "refused":
                reply = self.platform.reply(None, status=0, message="no")
                return reply
            self.creates[reference] += 1
            gateway_id = self.orders.setdefault(reference, f"P{reference}")
            reply = self.platform.create_reply(order_no=reference, platform_order_no=gateway_id)
        elif reference not in self.orders:
            reply = self.platform.reply(None, status=0, message="订单不存在")
        else:
            status = 1 if reference in self.paid else 0
            reply = self.platform.query_reply(
                order_no=reference, platform_order_no=self.orders[reference], pay_status=status
            )
        if fault == "lost":
            raise httpx.ReadTimeout("lost")
        return reply


def machine(  # noqa: C901  the rules of one machine
    new_database: Callable[[], AbstractContextManager[str]],
    platform: Any,
    accounts: dict[str, Any],
    make_order: Callable[..., Order],
) -> type[RuleBasedStateMachine]:
    """The machine, over a database of its own for each run."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.database = new_database()
            self.url = self.database.__enter__()
            self.books = Books(platform)
            self.client = httpx.Client(transport=httpx.MockTransport(self.books))
            self.sent: list[Callback] = []
            self.open()
            self.ledger.write(lambda c: c.execute(text("CREATE TABLE handled (id VARCHAR(120) NOT NULL)")))

        def open(self) -> None:
            self.ledger = Ledger(self.url)
            hub = Hub(load_accounts({"accounts": accounts}), client=self.client)
            self.checkout = Crashing(hub, self.ledger, handler=self.handle)

        def handle(self, transition: Transition, connection: Connection) -> None:
            connection.execute(text("INSERT INTO handled VALUES (:id)"), {"id": transition.id})

        def run(self, crash: int, action: Callable[[], object]) -> object:
            """Does it, perhaps to the crash, after which the shop starts anew."""
            self.checkout.steps = crash
            try:
                return action()
            except Crash:
                self.ledger.close()
                self.open()
                return None
            except PayhubError:
                return None
            finally:
                self.checkout.steps = 0

        @property
        def handled(self) -> Counter[str]:
            """What the handler did and was committed."""
            return Counter(self.ledger.read(lambda c: c.execute(text("SELECT id FROM handled")).scalars().all()))

        @rule(reference=references, crash=st.integers(0, 8), fault=st.sampled_from(["", "", "lost", "unreachable"]))
        def start(self, reference: str, crash: int, fault: str) -> None:
            self.books.fault = fault
            self.run(crash, lambda: self.checkout.start("shop", make_order(reference=reference)))
            self.books.fault = ""
            if crash:
                self.pass_time()

        @rule(reference=references)
        def pay(self, reference: str) -> None:
            if reference in self.books.orders:
                self.books.paid[reference] = 10_000
                self.sent.append(self.notify(reference, "1"))

        @rule(reference=references)
        def fail(self, reference: str) -> None:
            if reference in self.books.orders:
                self.sent.append(self.notify(reference, "0"))

        def notify(self, reference: str, status: str) -> Callback:
            fields = platform.notify(order_no=reference, platform_order_no=f"P{reference}", pay_status=status)
            message: Callback = platform.callback(fields)
            return message

        @rule(data=st.data(), crash=st.integers(0, 7))
        def deliver(self, data: st.DataObject, crash: int) -> None:
            if self.sent:
                message = data.draw(st.sampled_from(self.sent))
                reply: Any = self.run(crash, lambda: self.checkout.receive("shop", message))
                assert reply is None or reply.body == b"SUCCESS"

        @rule(reference=references)
        def come_back(self, reference: str) -> None:
            before = self.ledger._store.find("shop", reference)
            fields = {"order_no": reference, "pay_status": "1"}
            message = platform.callback(fields, kind=CallbackKind.RETURN)
            self.run(0, lambda: self.checkout.view("shop", message))
            assert self.ledger._store.find("shop", reference) == before

        @rule(reference=references, crash=st.integers(0, 6))
        def refresh(self, reference: str, crash: int) -> None:
            self.run(crash, lambda: self.checkout.refresh("shop", reference))

        @rule(fault=st.sampled_from(["", "unreachable", "lost"]))
        def reconcile(self, fault: str) -> None:
            self.pass_time()
            self.books.fault = fault
            self.run(0, lambda: self.checkout.reconcile(rate=1e6))
            self.books.fault = ""

        def pass_time(self) -> None:
            past = update(payments).where(payments.c.next_check_at.is_not(None)).values(next_check_at=LONG_AGO)
            self.ledger.write(lambda c: c.execute(past))
            self.ledger.write(lambda c: c.execute(update(payments).values(lease_until=None)))

        @invariant()
        def nothing_is_handled_twice(self) -> None:
            assert set(self.handled.values()) <= {1}

        @invariant()
        def nothing_is_created_twice_or_unbeknown(self) -> None:
            assert all(count == 1 for count in self.books.creates.values())
            for reference in self.books.orders:
                assert self.ledger._store.find("shop", reference) is not None

        @invariant()
        def only_what_was_paid_is_paid(self) -> None:
            for stored in self.ledger.payments():
                if stored.payment.status is PaymentStatus.PAID:
                    assert stored.payment.reference in self.books.paid

        def teardown(self) -> None:
            for _ in range(2):
                self.pass_time()
                self.run(0, lambda: self.checkout.reconcile(rate=1e6))
            received = {
                stored.payment.reference: stored.payment.paid.minor
                for stored in self.ledger.payments()
                if stored.payment.paid is not None
            }
            assert received == self.books.paid
            assert {name for name in self.handled if name.endswith("/paid")} == {
                f"shop/{reference}/paid" for reference in self.books.paid
            }
            self.ledger.close()
            self.client.close()
            self.database.__exit__(None, None, None)

    return Machine


def test_whatever_happens_in_whatever_order_the_books_agree_in_the_end(
    new_database: Callable[[], AbstractContextManager[str]],
    platform: Any,
    settings: dict[str, Any],
    make_order: Callable[..., Order],
    rounds: int,
) -> None:
    """Money in the ledger is money at the gateway, and every paid order was handled once."""
    run_state_machine_as_test(
        machine(new_database, platform, {"shop": settings}, make_order),
        settings=hypothesis_settings(max_examples=10 * rounds, stateful_step_count=25),
    )
