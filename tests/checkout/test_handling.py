"""A handler that waits for what its own caller holds, or writes past its transaction, is told so at once."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payhub_core import AsyncHub, Hub, LedgerError, Order, PaymentStatus, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger, Transition
from payhub_core.ledger.handling import acalled

RETRY = 503


@pytest.mark.parametrize("call", ["payment", "refresh", "write"])
def test_a_handler_that_calls_payhub_is_told_so_at_once(
    open_checkout: Callable[..., Any],
    gateway: Any,
    platform: Any,
    order: Order,
    ledger: Ledger,
    paid: Any,
    blocking: Checkout,
    url: str,
    call: str,
) -> None:
    """It would wait for its own transaction: the notify is not settled, and nothing hangs."""
    told: list[str] = []

    def handle(_transition: Transition, _connection: object) -> None:
        with Ledger(url) as own:
            calls: dict[str, Callable[[], object]] = {
                "payment": lambda: own.payment("shop", "A1001"),
                "refresh": lambda: blocking.refresh("shop", "A1001"),
                "write": lambda: own.write(lambda _: None),
            }
            try:
                calls[call]()
            except LedgerError as error:
                told.append(str(error))
                raise

    checkout = open_checkout(gateway(platform.create_reply()), handler=handle)
    checkout.start("shop", order)
    began = time.monotonic()
    assert checkout.receive("shop", paid.notify()).status_code == RETRY
    assert time.monotonic() - began < 3
    assert len(told) == 1
    assert "waiting for that handler to return" in told[0]
    assert ledger.outbox() == []


def test_a_task_that_a_handler_has_started_may_call_payhub_once_it_is_over(
    sqlite_template: Path, tmp_path: Path, settings: Any, platform: Any, make_order: Any, paid: Any, gateway: Any
) -> None:
    """It has the handler's context, and the loan is over."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")

    async def main() -> object:
        over, refused = asyncio.Event(), asyncio.Event()
        tasks: list[asyncio.Task[object]] = []

        async def later() -> object:
            with pytest.raises(LedgerError, match="waiting for that handler"):
                await checkout.refresh("shop", "A1001")
            refused.set()
            await over.wait()
            return await checkout.ledger.apayment("shop", "A1001")

        async def handle(_transition: Transition, _connection: AsyncConnection) -> None:
            tasks.append(asyncio.create_task(later()))
            await refused.wait()

        transport = httpx.MockTransport(gateway(platform.create_reply()))
        hub = AsyncHub(load_accounts({"accounts": {"shop": settings}}), client=httpx.AsyncClient(transport=transport))
        async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
            checkout = AsyncCheckout(hub, ledger, handler=handle)
            await checkout.start("shop", make_order())
            assert (await checkout.receive("shop", paid.notify())).body == b"SUCCESS"
            over.set()
            return await tasks[0]

    assert asyncio.run(main()) is not None


def test_something_cancelled_that_a_handler_awaits_ends_no_pass(
    sqlite_template: Path, tmp_path: Path, settings: Any, platform: Any, make_order: Any, gateway: Any
) -> None:
    """It is that handler's failure, as any other error: all other payments are asked about, and the pass says so."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")

    async def handle(_transition: Transition, _connection: object = None) -> None:
        job = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        job.cancel()
        await job

    async def main() -> None:
        answers = gateway(platform.create_reply(), platform.query_reply(), platform.query_reply())
        client = httpx.AsyncClient(transport=httpx.MockTransport(answers))
        hub = AsyncHub(load_accounts({"accounts": {"shop": settings}}), client=client)
        async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
            checkout = AsyncCheckout(hub, ledger, handler=handle)
            await checkout.start("shop", make_order())
            await ledger.awrite(lambda c: c.execute(text("UPDATE payhub_payments SET next_check_at = created_at")))
            summary = await checkout.reconcile()
            assert (summary.asked, summary.handler_failed) == (1, 1)
            assert "the handler awaited something that was cancelled" in summary.errors["shop"]
            await AsyncCheckout(hub, ledger).refresh("shop", "A1001")
            assert await AsyncCheckout(hub, ledger).deliver(handle) == 0

    asyncio.run(main())


def test_something_cancelled_in_a_loop_that_a_plain_handler_runs_ends_no_pass_either(
    sqlite_template: Path, tmp_path: Path, settings: Any, platform: Any, make_order: Any, gateway: Any, paid: Any
) -> None:
    """Python makes no Exception of it: one such order would end each pass, for all others too, and each notify."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    def handle(_transition: Transition, _connection: object = None) -> None:
        asyncio.run(cancelled())

    transport = httpx.MockTransport(gateway(platform.create_reply(), platform.query_reply()))
    hub = Hub(load_accounts({"accounts": {"shop": settings}}), client=httpx.Client(transport=transport))
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        checkout = Checkout(hub, ledger, handler=handle)
        checkout.start("shop", make_order())
        assert checkout.receive("shop", paid.notify()).reason.startswith("the handler raised RuntimeError")
        ledger.write(lambda c: c.execute(text("UPDATE payhub_payments SET next_check_at = created_at")))
        assert checkout.reconcile().handler_failed == 1
        assert Checkout(hub, ledger).receive("shop", paid.notify()).body == b"SUCCESS"
        assert checkout.deliver(handle) == 0


def test_a_cancelled_caller_is_cancelled() -> None:
    """What its handler awaits is cancelled with it."""

    async def wait() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(acalled(wait))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_whoever_only_looks_waits_for_no_handler(
    sqlite_template: Path, tmp_path: Path, settings: Any, platform: Any, make_order: Any, paid: Any, gateway: Any
) -> None:
    """Nor does a message that comes a second time: on SQLite a handler has the file, and readers need it not."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")

    async def main() -> None:
        inside, over = asyncio.Event(), asyncio.Event()

        async def handle(_transition: Transition, _connection: AsyncConnection) -> None:
            inside.set()
            await over.wait()

        client = httpx.AsyncClient(transport=httpx.MockTransport(gateway(platform.create_reply())))
        hub = AsyncHub(load_accounts({"accounts": {"shop": settings}}), client=client)
        async with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
            checkout = AsyncCheckout(hub, ledger, handler=handle)
            await checkout.start("shop", make_order())
            settling = asyncio.create_task(checkout.receive("shop", paid.notify()))
            await inside.wait()
            async with asyncio.timeout(5):
                seen = await checkout.view("shop", paid.notify(), reference="A1001")
                assert await ledger.apayment("shop", "A1001") is not None
            over.set()
            assert seen.status is PaymentStatus.PENDING
            assert (await settling).body == b"SUCCESS"

    asyncio.run(main())


DJANGO = """
import sys
from threading import Thread
import django
from django.conf import settings
folder = sys.argv[1]
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder + "/shop.db"}})
django.setup()
from django.db import connection as orm
with orm.cursor() as cursor:
    cursor.execute("CREATE TABLE parcels (reference text)")
from payhub_core.ledger import Ledger
from payhub_core.ledger.handling import handling
with Ledger("sqlite:///" + folder + "/payhub.db") as ledger:
    def body(connection):
        try:
            with handling(connection.engine), orm.cursor() as cursor:
                print(cursor.execute("SELECT count(*) FROM parcels").fetchone())
                cursor.execute("INSERT INTO parcels VALUES ('A1001')")
        except Exception as error:
            print(type(error).__name__, error)
    ledger.upgrade()
    ledger.write(body)
    request = Thread(target=ledger.write, args=(body,))
    request.start()
    request.join()
with orm.cursor() as cursor:
    cursor.execute("INSERT INTO parcels VALUES ('A1001')")
"""


def test_a_handler_that_writes_through_djangos_orm_is_told_so(tmp_path: Path) -> None:
    """Its rows would commit apart from the payment. Reading is fine, and so is writing afterwards.

    In a thread that has opened none of Django's connections yet, too, as a server's is on its first request.
    """
    command = [sys.executable, "-c", DJANGO, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    said = done.stdout.splitlines()
    assert len(said) == 4
    for read, refused in zip(said[::2], said[1::2], strict=True):
        assert read == "(0,)"
        assert refused.startswith("ConfigError this handler wrote through Django's ORM")
        assert "deliver" in refused
