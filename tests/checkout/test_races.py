"""Races: many callbacks, queries and returns at once, in threads and in processes; each transition happens once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from payhub_core import Callback, Hub, Order, PaymentStatus, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger, changes, schedule

pytestmark = pytest.mark.proof

MIXED = [
    {},
    {"platform_order_no": "P2"},
    {"pay_status": "0", "pay_time": ""},
    {"actual_amount": "4000", "platform_order_no": "P3"},
    {"actual_amount": "12000", "platform_order_no": "P4"},
]
#: What all of them come to; a sum below what is due may be heard of first, or never be the whole truth.
ALWAYS = {"paid", "overpaid", "paid_again:2", "paid_again:3", "paid_again:4", "paid_after_failed"}
SOMETIMES = {"failed", "partially_paid", "underpaid"}


def written_down(ledger: Ledger, order: Order) -> None:
    """As `Checkout.start` leaves an order."""
    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "gpu", order, lease="", until=now, now=now))


def once_each(shop: Any, reference: str, *, always: set[str], sometimes: set[str]) -> None:
    counts = Counter(name.removeprefix(f"shop/{reference}/") for name in shop.delivered if f"/{reference}/" in name)
    assert set(counts.values()) == {1}, counts
    assert always <= set(counts) <= always | sometimes


@pytest.mark.parametrize("mixed", [False, True], ids=["identical", "mixed"])
def test_64_callbacks_in_threads_come_to_one_transition_each(
    blocking: Checkout, ledger: Ledger, shop: Any, make_order: Callable[..., Order], paid: Any, mixed: bool, rounds: int
) -> None:
    """And every one is acknowledged."""
    checkout = Checkout(blocking.hub, ledger, handler=shop.handle)
    with ThreadPoolExecutor(64) as threads:
        for number in range(rounds):
            reference = f"T{number}"
            written_down(ledger, make_order(reference=reference))
            messages = [paid.notify(reference, **(MIXED[n % len(MIXED)] if mixed else {})) for n in range(64)]
            random.shuffle(messages)
            together = threading.Barrier(64)

            def receive(message: Callback, together: threading.Barrier = together) -> bytes:
                together.wait()
                return checkout.receive("shop", message).body

            assert set(threads.map(receive, messages)) == {b"SUCCESS"}
            once_each(shop, reference, always=ALWAYS if mixed else {"paid"}, sometimes=SOMETIMES if mixed else set())


@pytest.mark.parametrize("mixed", [False, True], ids=["identical", "mixed"])
def test_64_callbacks_in_processes_come_to_one_transition_each(
    worker: Any,
    ledger: Ledger,
    shop: Any,
    make_order: Callable[..., Order],
    sign: Callable[..., str],
    mixed: bool,
    rounds: int,
) -> None:
    """Eight processes of eight threads."""
    for number in range(rounds):
        reference = f"Q{number}"
        written_down(ledger, make_order(reference=reference))
        bodies = [sign(reference, **(MIXED[n % len(MIXED)] if mixed else {})) for n in range(64)]
        random.shuffle(bodies)
        results = worker("receive", *bodies, processes=8)
        assert [body for result in results for body in result["result"]] == ["SUCCESS"] * 64
        once_each(shop, reference, always=ALWAYS if mixed else {"paid"}, sometimes=SOMETIMES if mixed else set())


def test_starts_in_processes_send_one_create(
    worker: Any, sandbox: Any, make_order: Callable[..., Order], rounds: int
) -> None:
    """All of them return the payment."""
    for number in range(rounds):
        reference = f"S{number}x{random.randrange(10**9)}"
        order = make_order(reference=reference, notify_url="http://127.0.0.1:9/", return_url="http://127.0.0.1:9/")
        results = worker("start", order.model_dump_json(), processes=6)
        assert [result["result"] for result in results] == ["pending"] * 6
        assert creates(sandbox, reference) == 1


def test_reconciling_in_processes_asks_about_each_payment_once(
    worker: Any, ledger: Ledger, sandbox: Any, make_order: Callable[..., Order], make_due: Callable[[], None]
) -> None:
    """Leases share the work."""
    references = [f"R{number}x{random.randrange(10**9)}" for number in range(12)]
    for reference in references:
        order = make_order(reference=reference, notify_url="http://127.0.0.1:9/", return_url="http://127.0.0.1:9/")
        worker("start", order.model_dump_json())
        (found,) = sandbox.orders("gpu10000000", reference)
        sandbox.pay(found["platform_order_no"], notify=False)
    make_due()
    results = worker("reconcile", processes=4)
    assert sum(result["result"] for result in results) == len(references)
    asked = Counter(
        e["order_no"] for e in sandbox.requests() if e["endpoint"] == "check_order" for _ in range(e["count"])
    )
    assert [asked[reference] for reference in references] == [1] * len(references)
    for reference in references:
        stored = ledger.payment("shop", reference)
        assert stored is not None
        assert stored.payment.status is PaymentStatus.PAID


def creates(sandbox: Any, reference: str) -> int:
    """How many creates of an order reached the gateway."""
    return sum(e["count"] for e in sandbox.requests() if e["endpoint"] == "unified" and e["order_no"] == reference)


def test_callbacks_queries_and_returns_at_once_come_to_one_transition(
    url: str,
    settings: dict[str, Any],
    platform: Any,
    ledger: Ledger,
    shop: Any,
    make_order: Callable[..., Order],
    paid: Any,
    rounds: int,
) -> None:
    """Whoever is first; no return ever settles."""

    def answers(request: httpx.Request) -> httpx.Response:
        reference = dict(httpx.QueryParams(request.url.query.decode()))["order_no"]
        return platform.query_reply(order_no=reference)  # type: ignore[no-any-return]

    with httpx.Client(transport=httpx.MockTransport(answers)) as client, ThreadPoolExecutor(24) as threads:
        hub = Hub(load_accounts({"accounts": {"shop": settings}}), client=client)
        checkout = Checkout(hub, ledger, handler=shop.handle)
        for number in range(rounds):
            reference = f"M{number}"
            written_down(ledger, make_order(reference=reference))
            together = threading.Barrier(24)

            def act(kind: int, reference: str = reference, together: threading.Barrier = together) -> object:
                together.wait()
                if kind % 3 == 0:
                    return checkout.receive("shop", paid.notify(reference)).body
                if kind % 3 == 1:
                    return checkout.refresh("shop", reference).status
                return checkout.view("shop", paid.back(reference)).claimed_status

            outcomes = Counter(threads.map(act, range(24)))
            assert outcomes == {b"SUCCESS": 8, PaymentStatus.PAID: 16}
            once_each(shop, reference, always={"paid"}, sometimes=set())


def test_claims_in_threads_never_meet(
    ledger: Ledger, make_order: Callable[..., Order], make_due: Callable[[], None]
) -> None:
    """Each due payment is leased to one."""
    for number in range(20):
        written_down(ledger, make_order(reference=f"C{number}"))
    make_due()

    def claim(number: int) -> str | None:
        times = {"lease_time": timedelta(minutes=1), "older_than": timedelta(0)}
        row = ledger.write(lambda c: schedule.claim(c, "shop", lease=str(number), **times))
        return None if row is None else row.reference

    with ThreadPoolExecutor(8) as threads:
        claimed = [reference for reference in threads.map(claim, range(40)) if reference is not None]
    assert len(claimed) == len(set(claimed))
    # SKIP LOCKED may leave one out for a moment; the next pass has it.
    while (reference := claim(99)) is not None:
        claimed.append(reference)
    assert sorted(claimed) == sorted(f"C{number}" for number in range(20))
