"""kill -9 at every step of start and of receive: nothing lost, nothing double, never acknowledged and lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from payhub_core import Order, PaymentStatus
from payhub_core.ledger import Creation, Ledger, changes

pytestmark = pytest.mark.proof


def loopback(make_order: Callable[..., Order], reference: str) -> str:
    order = make_order(reference=reference, notify_url="http://127.0.0.1:9/", return_url="http://127.0.0.1:9/")
    return order.model_dump_json()


def points(worker: Any, command: str, argument: str) -> int:
    """How many points a run passes that is not killed, the one after its answer included."""
    (result,) = worker(command, argument, die_at=10**6)
    return int(result["points"]) + 1


@pytest.mark.parametrize("before", ["never started", "not sent"])
def test_a_start_killed_anywhere_loses_no_order_and_sends_none_twice(
    worker: Any,
    ledger: Ledger,
    sandbox: Any,
    make_order: Callable[..., Order],
    make_due: Callable[[], None],
    rounds: int,
    before: str,
) -> None:
    """Started again, the order is at the gateway once, and payable; whether it was the first try or a later one."""

    def begin(reference: str) -> str:
        order = loopback(make_order, reference)
        if before == "not sent":
            now = datetime.now(UTC)
            ledger.write(
                lambda c: changes.insert(
                    c, "shop", "gpu", Order.model_validate_json(order), lease="", until=now, now=now
                )
            )
            not_sent = text(
                "UPDATE payhub_payments SET creation = 'not_sent', next_check_at = NULL WHERE reference = :r"
            )
            ledger.write(lambda c: c.execute(not_sent, {"r": reference}))
        return order

    most = points(worker, "start", begin(f"K{random.randrange(10**12)}"))
    kills = 0
    for number in range(max(most, rounds)):
        reference = f"K{number}x{random.randrange(10**9)}"
        order = begin(reference)
        (killed,) = worker("start", order, die_at=number % most + 1)
        assert killed["killed"]
        kills += 1
        at_gateway = sandbox.orders("gpu10000000", reference)
        stored = ledger.payment("shop", reference)
        # Written ahead: the gateway never has an order of which the ledger does not say so, or that it may be there.
        assert not at_gateway or (stored is not None and stored.creation in {Creation.STARTING, Creation.CREATED})
        assert not at_gateway or (stored is not None and stored.next_check_at is not None)
        make_due()
        (again,) = worker("start", order)
        # This gateway reports fresh orders as failed, which is no fact that stands in the way of paid.
        assert again["result"] in {"pending", "failed"}
        assert len(sandbox.orders("gpu10000000", reference)) == 1
        sent = [e for e in sandbox.requests() if e["endpoint"] == "unified" and e["order_no"] == reference]
        assert sum(entry["count"] for entry in sent) == 1
    print(f"\nstart, {before}: {kills} kills at {most} points, lost 0, sent twice 0")  # noqa: T201


def test_a_receive_killed_anywhere_is_neither_lost_nor_handled_twice(
    worker: Any,
    ledger: Ledger,
    shop: Any,
    make_order: Callable[..., Order],
    sign: Callable[..., str],
    rounds: int,
) -> None:
    """The gateway resends what was not acknowledged, and what was."""

    def begin(reference: str) -> str:
        now = datetime.now(UTC)
        order = make_order(reference=reference)
        ledger.write(lambda c: changes.insert(c, "shop", "gpu", order, lease="", until=now, now=now))
        return sign(reference)

    most = points(worker, "receive", begin("L"))
    kills = 0
    for number in range(max(most, rounds)):
        reference = f"L{number}"
        body = begin(reference)
        (killed,) = worker("receive", body, die_at=number % most + 1)
        assert killed["killed"]
        kills += 1
        mine = [name for name in shop.delivered if name == f"shop/{reference}/paid"]
        stored = ledger.payment("shop", reference)
        assert stored is not None
        settled = stored.payment.status is PaymentStatus.PAID
        assert settled == (len(mine) == 1)
        if killed.get("result") == ["SUCCESS"]:
            assert settled, "acknowledged and lost"
        for _ in range(2):
            (again,) = worker("receive", body)
            assert again["result"] == ["SUCCESS"]
        assert shop.delivered.count(f"shop/{reference}/paid") == 1
    print(f"\nreceive: {kills} kills at {most} points, lost 0, double 0")  # noqa: T201
