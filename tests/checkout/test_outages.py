"""Outages of the database: while it cannot be written nothing is acknowledged and nothing sent, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, event, text

from payhub_core import AsyncHub, Hub, Order, PaymentStatus, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.errors import LedgerError
from payhub_core.ledger import Ledger, Transition

SUCCESS, RETRY = (200, b"SUCCESS"), 503


def answer(reply: Any) -> tuple[int, bytes]:
    return reply.status_code, reply.body


@pytest.fixture
def requests() -> list[httpx.Request]:
    """What reached the gateway."""
    return []


@pytest.fixture
def open_till(
    settings: dict[str, Any], accept: Any, requests: list[httpx.Request]
) -> Iterator[Callable[[Ledger], Checkout]]:
    """Opens a checkout over a ledger; the gateway takes every order."""

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        reply: httpx.Response = accept(request)
        return reply

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        hub = Hub(load_accounts({"accounts": {"shop": settings}}), client=client)
        yield lambda ledger: Checkout(hub, ledger)


@pytest.fixture
def own_postgres(postgres: Any) -> Iterator[Any]:
    """A server that may be shot."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = type(postgres)(folder)
    yield server
    server.server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def shoot(server: Any) -> None:
    """Ends it at once, as in a crash."""
    os.kill(server.get_pid(), signal.SIGQUIT)
    deadline = time.monotonic() + 30
    while (server.pgdata / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.postgresql
def test_while_the_server_is_down_nothing_is_acknowledged_or_sent_and_afterwards_nothing_is_missing(
    own_postgres: Any,
    open_till: Callable[[Ledger], Checkout],
    make_order: Callable[..., Order],
    paid: Any,
    requests: list[httpx.Request],
) -> None:
    """A PostgreSQL that is shot and started again, under a ledger that stays open."""
    told: list[str] = []

    def handle(transition: Transition, _connection: object) -> None:
        told.append(transition.id)

    with Ledger(own_postgres.url("payhub_template")) as ledger:
        till = Checkout(open_till(ledger).hub, ledger, handler=handle)
        till.start("shop", make_order(reference="A1"))
        shoot(own_postgres.server)
        assert till.receive("shop", paid.notify("A1")).status_code == RETRY
        with pytest.raises(LedgerError, match=r"the database .* failed"):
            till.start("shop", make_order(reference="A2"))
        assert (len(requests), told) == (1, [])

        own_postgres.server.ensure_postgres_running()
        assert till.start("shop", make_order(reference="A3")).status is PaymentStatus.PENDING
        assert [answer(till.receive("shop", paid.notify("A1"))) for _ in range(6)] == [SUCCESS] * 6
        assert told == ["shop/A1/paid"]
        assert till.start("shop", make_order(reference="A2")).status is PaymentStatus.PENDING
        assert len(requests) == 3


@pytest.mark.postgresql
def test_a_server_restarted_while_nobody_pays_is_noticed_by_nobody(
    own_postgres: Any, open_till: Callable[[Ledger], Checkout], make_order: Callable[..., Order]
) -> None:
    """The connections at rest are dead; the next payer does not pay for that."""
    with Ledger(own_postgres.url("payhub_template")) as ledger:
        till = open_till(ledger)
        till.start("shop", make_order(reference="A1"))
        shoot(own_postgres.server)
        own_postgres.server.ensure_postgres_running()
        assert till.start("shop", make_order(reference="A2")).status is PaymentStatus.PENDING


def test_a_cancelled_transaction_keeps_nobody_waiting(
    url: str, settings: dict[str, Any], accept: Any, make_order: Callable[..., Order], paid: Any
) -> None:
    """A server's time-out in the middle of a slow statement of the handler: the database is free again at once."""
    count = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t WHERE x < 3000000) SELECT count(*) FROM t"
    slow = {"sqlite": count, "postgresql": "SELECT pg_sleep(1)"}

    async def handle(transition: Transition, connection: Any) -> None:
        if transition.reference == "A1":
            await connection.execute(text(slow[connection.dialect.name]))

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(accept)) as client, Ledger(url) as own:
            hub = AsyncHub(load_accounts({"accounts": {"shop": settings}}), client=client)
            till = AsyncCheckout(hub, own, handler=handle)
            for reference in ("A1", "A2"):
                await till.start("shop", make_order(reference=reference))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(till.receive("shop", paid.notify("A1")), 0.1)
            assert answer(await till.receive("shop", paid.notify("A2"))) == SUCCESS
            row = await own._store.afind("shop", "A1")
            assert row is not None
            assert row.status == "pending"

    asyncio.run(main())


def test_on_a_full_disk_nothing_is_acknowledged_or_sent_and_afterwards_nothing_is_missing(
    worker: Any, url: str, ledger: Ledger, shop: Any, sandbox: Any, make_order: Callable[..., Order], sign: Any
) -> None:
    """The kernel refuses a process of the shop every byte; a server's disk is not the shop's."""

    def order(reference: str) -> str:
        here = "http://127.0.0.1:9/"
        return make_order(reference=reference, notify_url=here, return_url=here).model_dump_json()

    one, two = (f"F{secrets.token_hex(6)}" for _ in range(2))
    worker("start", order(one))
    full = url.startswith("sqlite")
    (refused,) = worker("receive", sign(one), full_disk=True)
    assert refused["result"] == (["try again"] if full else ["SUCCESS"])
    assert shop.delivered == ([] if full else [f"shop/{one}/paid"])
    (unsent,) = worker("start", order(two), full_disk=True)
    assert unsent["result"] == ("LedgerError" if full else "pending")
    assert len(sandbox.orders("gpu10000000", two)) == (0 if full else 1)
    assert (ledger.payment("shop", two) is None) == full

    assert worker("receive", sign(one))[0]["result"] == ["SUCCESS"]
    assert shop.delivered == [f"shop/{one}/paid"]
    assert worker("start", order(two))[0]["result"] == "pending"
    assert len(sandbox.orders("gpu10000000", two)) == 1


def test_a_read_only_database_is_not_acknowledged(
    url: str, open_till: Callable[[Ledger], Checkout], order: Order, paid: Any
) -> None:
    """As a standby server is, or a file system after a fault."""
    with Ledger(url) as ledger:
        open_till(ledger).start("shop", order)
        engine = create_engine(ledger.engine.url)

        @event.listens_for(engine, "connect")
        def _limit(connection: Any, _record: object) -> None:
            if isinstance(connection, sqlite3.Connection):
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("SET default_transaction_read_only = on")
                connection.commit()

        with Ledger(engine) as unwritable:
            assert open_till(unwritable).receive("shop", paid.notify()).status_code == RETRY
        engine.dispose()
        assert answer(open_till(ledger).receive("shop", paid.notify())) == SUCCESS


def test_a_table_that_is_gone_or_a_closed_ledger_is_not_acknowledged(
    url: str, ledger: Ledger, open_till: Callable[[Ledger], Checkout], order: Order, paid: Any
) -> None:
    """The resend settles it once the table is back."""
    with Ledger(url) as own:
        till = open_till(own)
        till.start("shop", order)
        ledger.write(lambda c: c.execute(text("ALTER TABLE payhub_transitions RENAME TO gone")))
        assert till.receive("shop", paid.notify()).status_code == RETRY
        ledger.write(lambda c: c.execute(text("ALTER TABLE gone RENAME TO payhub_transitions")))
        assert answer(till.receive("shop", paid.notify())) == SUCCESS
    assert till.receive("shop", paid.notify(platform_order_no="P2")).status_code == RETRY


@pytest.mark.postgresql
def test_a_ledger_lives_through_the_loss_of_every_connection(postgres: Any) -> None:
    """As when a proxy or an administrator cuts them: one use fails at most, and the next ones work."""
    url = postgres.create("restarted", "payhub_template")
    with Ledger(url) as ledger, ThreadPoolExecutor(8) as threads:
        together = threading.Barrier(8)
        list(threads.map(lambda _: ledger.read(lambda _connection: together.wait()), range(8)))
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'restarted'")
        with suppress(LedgerError):
            ledger.payments()
        for _ in range(10):
            assert ledger.payments() == []
        assert list(threads.map(lambda _: ledger._store.find("shop", "A1001"), range(8))) == [None] * 8
    postgres.drop("restarted")
