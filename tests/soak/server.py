"""The soak behind real servers: payers, a slow gateway, kills and restarts of the database; then the books.

``python -m tests.soak.server --minutes 60``. It ends with status 0 only if every order that was paid at the gateway is
paid once in the ledger, with the same sum and one effect in the shop, and no worker's memory has grown.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import httpx
from sqlalchemy import func, select, text, update
from tests.checkouts import pass_time
from tests.databases import Postgres
from tests.soak.books import Books, compare
from tests.soak.servers import SAMPLE_SECONDS, Killer, Memory, Server, servers
from tests.soak.shop import TABLES
from tests.soak.soak import certified

from payhub_core import Money, Order, PaymentMethod, PaymentStatus
from payhub_core.errors import LedgerError
from payhub_core.ledger import Ledger
from payhub_core.ledger.tables import payments, transitions
from payhub_sandbox import SandboxProcess

PAYERS = 8
#: How the gateway fails: a reply that comes late, too late, broken or not at all; a notify that comes often or never.
FAULTS: dict[str, tuple[tuple[str, dict[str, float]], ...]] = {
    "unified": (("slow", {"seconds": 1}), ("slow", {"seconds": 3}), ("cut", {}), ("cut_before", {}), ("http_502", {})),
    "check_order": (("slow", {"seconds": 1}), ("slow", {"seconds": 3}), ("cut", {}), ("html", {})),
    "notify": (
        *(("duplicate", {"count": 2}), ("duplicate", {"count": 3}), ("concurrent", {"count": 3})),
        *(("lost", {}), ("cut", {}), ("forged", {}), ("slow", {"seconds": 2})),
    ),
}


@dataclass
class Result:
    """What came of it; memory in KiB, after the warm-up and at the end."""

    seed: int
    database: str
    seconds: float = 0.0
    orders: int = 0
    faults: int = 0
    killed: dict[str, int] = field(default_factory=dict)
    #: What a payer was answered in place of a payment, and presses the button again.
    answers: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    #: The gateway heard SUCCESS, and at that moment the ledger did not have the payment.
    acknowledged_too_early: list[str] = field(default_factory=list)
    books: Books = field(default_factory=Books)
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)
    memory_is_flat: bool = True

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing twice, memory flat."""
        return self.books.agree and not self.acknowledged_too_early and self.memory_is_flat


class Payers:
    """Those who buy and pay, each one order after the other, until the time is over."""

    def __init__(self, sandbox: SandboxProcess, shops: list[Server], ledger: Ledger, rate: float, seed: int) -> None:
        self.sandbox, self.ledger, self.rate, self.seed = sandbox, ledger, rate, seed
        self.addresses = [f"http://127.0.0.1:{shop.port}" for shop in shops if shop.port]
        self.lock, self.until = threading.Lock(), 0.0
        self.result = Result(seed, ledger.engine.dialect.name)

    def run(self, number: int) -> None:
        """One of them."""
        chance = random.Random(f"payer {self.seed} {number}")
        with httpx.Client(timeout=10, trust_env=False) as client:
            for order in range(10**9):
                time.sleep(min(chance.expovariate(self.rate / PAYERS), 5.0))
                if time.monotonic() > self.until:
                    return
                try:
                    self.play(client, chance, f"S{number}x{order:07}")
                except httpx.HTTPError as error:  # the gateway took too long to answer the payer
                    self.count(answer=f"at the gateway: {type(error).__name__}")

    def play(self, client: httpx.Client, chance: random.Random, reference: str) -> None:
        """One order from the button to the payment, with a fault in a tenth of the cases."""
        here, fen = chance.choice(self.addresses), chance.randrange(100, 100_000)
        order = Order(
            reference=reference,
            amount=Money(fen, "CNY"),
            description="Tea",
            method=PaymentMethod.ALIPAY_H5,
            notify_url=f"{here}/{chance.choice(['handled', 'outbox'])}/shop/notify",
            return_url=f"{here}/handled/shop/return",
        )
        if chance.random() < 0.1:
            endpoint = chance.choice(list(FAULTS))
            fault, parameters = chance.choice(FAULTS[endpoint])
            self.sandbox.fault(endpoint, fault, **parameters)
            self.count(faults=1)
        self.count(orders=1)
        gateway_id, way = self.bought(client, chance, order), chance.random()
        if not gateway_id or way < 0.05:  # some never pay
            return
        if way < 0.1:
            self.sandbox.pay(gateway_id, action="fail")
        if way > 0.95:  # of these the shop hears only where it asks
            self.sandbox.pay(gateway_id, notify=False)
            return
        amount = fen + 1 if way < 0.12 else fen - 1 if way < 0.14 else fen
        paid = self.sandbox.pay(gateway_id, amount=amount)
        if way > 0.1 and any(it["acknowledged"] for it in paid["deliveries"]):
            self.acknowledged(reference)

    def bought(self, client: httpx.Client, chance: random.Random, order: Order) -> str:
        """The gateway's number of the order; the button is pressed again where nothing came, at either server."""
        body = order.model_dump_json()
        for attempt in range(8):
            if attempt:
                time.sleep(0.5 * attempt)
            # One who does not wait presses again while the first request is under way.
            patience = 0.02 if chance.random() < 0.05 else 10
            try:
                answer = client.post(f"{chance.choice(self.addresses)}/buy", content=body, timeout=patience)
            except httpx.HTTPError as error:
                self.count(answer=type(error).__name__)
                continue
            if answer.status_code == 200:
                return answer.text
            self.count(answer=answer.text if answer.status_code == 503 else str(answer.status_code))
        return ""

    def acknowledged(self, reference: str) -> None:
        """Acknowledged means committed, whatever dies next."""
        for _ in range(300):
            try:
                stored = self.ledger.payment("shop", reference)
            except LedgerError:  # the database is being restarted
                time.sleep(0.1)
                continue
            received = {PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID}
            if stored is None or stored.payment.status not in received:
                self.result.acknowledged_too_early.append(reference)
            self.count(acknowledged=1)
            return

    def count(self, *, answer: str = "", **more: int) -> None:
        """Adds to the result."""
        with self.lock:
            if answer:
                self.result.answers[answer] = self.result.answers.get(answer, 0) + 1
            for name, number in more.items():
                setattr(self.result, name, getattr(self.result, name) + number)


def soak(
    minutes: float,
    *,
    database: str = "postgresql",
    rate: float = 5.0,
    seed: int = 1,
    keep: Path | None = None,
    say: Callable[[str], object] = lambda _line: None,
) -> Result:
    """Runs it; ``rate`` is orders a second, ``keep`` a folder for what it writes, and ``say`` is told how it goes."""
    began, seconds = time.monotonic(), minutes * 60
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payhub-soak-")))
        plain, _ = stack.enter_context(certified(folder))
        settings = replace(plain, resend_interval=1.0, resends=60, notify_timeout=3.0)
        with (
            opened(database) as (url, postgres),
            SandboxProcess(settings) as sandbox,
            Ledger(url) as ledger,
            running(folder, url, sandbox.url) as shops,
        ):
            payers, memory = Payers(sandbox, shops, ledger, rate, seed), Memory(shops)
            killer = Killer(shops, postgres, seconds, seed)
            payers.until = time.monotonic() + seconds
            killer.start()
            pool = stack.enter_context(ThreadPoolExecutor(PAYERS))
            stack.callback(setattr, payers, "until", 0.0)  # whatever ends the soak sends them home
            paying = [pool.submit(payers.run, number) for number in range(PAYERS)]
            while not killer.error and not all(payer.done() for payer in paying):
                time.sleep(min(SAMPLE_SECONDS, seconds / 5))
                result, sizes = payers.result, memory.sample()
                say(
                    f"{time.monotonic() - began:5.0f} s  {result.orders} orders, {result.acknowledged} acknowledged, "
                    f"{len(result.acknowledged_too_early)} too early, {killer.done.total()} killed, memory {sizes} MiB"
                )
            killer.stop()
            for payer in paying:
                payer.result()
            sandbox.clear_faults()
            say("the payers have gone: what is left is settled")
            settle(ledger, settings.database)
            result = payers.result
            result.killed, result.books = dict(killer.done), compare(ledger, settings.database)
            result.memory, result.memory_is_flat = memory.judged(), memory.flat
            for reference in result.books.wrong[:20]:
                say(f"{reference}: {ledger.history('shop', reference)}")
    result.seconds = time.monotonic() - began
    return result


@contextmanager
def opened(database: str) -> Iterator[tuple[str, Postgres | None]]:
    """A database with all tables, and its server, if it has one: the soak's own, since it is shot."""
    folder = Path(tempfile.mkdtemp(prefix="payhub-soak-database-"))
    postgres = Postgres(folder) if database == "postgresql" else None
    url = postgres.url("payhub_template") if postgres else f"sqlite:///{folder}/ledger.db"
    try:
        with Ledger(url) as ledger:
            ledger.upgrade()
            for table in TABLES:
                ledger.write(lambda connection, table=table: connection.execute(text(table)))
        yield url, postgres
    finally:
        if postgres:
            postgres.server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(folder: Path, url: str, gateway: str) -> Iterator[list[Server]]:
    """The shop's processes, killed in the end."""
    started = servers(folder, url, gateway, folder / "authority.pem")
    try:
        yield started
    finally:
        for server in started:
            server.service.kill()


def settle(ledger: Ledger, gateway: str) -> None:
    """Waits until the gateway has said all it had to say, then lets the time pass after which the shop asks."""
    orders = "SELECT max(acknowledged) AS heard FROM deliveries GROUP BY platform_order_no"
    unheard = f"SELECT count(*) FROM ({orders}) WHERE NOT heard"
    with sqlite3.connect(gateway) as platform:
        until(lambda: platform.execute(unheard).fetchone() == (0,), 90)
    until(lambda: bool(ledger.payments(limit=1)), 60)  # a database that crashed last may still be recovering
    at_once = update(transitions).where(transitions.c.delivered_at.is_(None)).values(due_at=transitions.c.at)
    for _ in range(5):
        pass_time(ledger)
        ledger.write(lambda connection: connection.execute(at_once))
        until(lambda: not due(ledger), 120)
        if compare(ledger, gateway).agree:
            return


def due(ledger: Ledger) -> int:
    """How many payments are to be asked about now."""
    query = select(func.count()).where(payments.c.next_check_at <= datetime.now(UTC))
    return ledger.read(lambda connection: connection.execute(query).scalar_one())


def until(happened: Callable[[], bool], seconds: float) -> None:
    """Waits until ``happened``, or so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(LedgerError):
            if happened():
                return
        time.sleep(0.5)


@click.command()
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--database", type=click.Choice(["postgresql", "sqlite"]), default="postgresql", show_default=True)
@click.option("--rate", default=5.0, show_default=True, help="Orders a second.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--keep",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="An empty folder, for the gateway's books and what the processes write; else they are deleted.",
)
def main(**options: Any) -> None:
    """Soak the shop behind real servers, and compare the books; the last line is the summary, in JSON."""
    print(f"seed {options['seed']}", flush=True)  # noqa: T201
    result = soak(**options, say=lambda line: print(line, flush=True))  # noqa: T201
    print(json.dumps({"holds": result.holds, **asdict(result)}))  # noqa: T201
    sys.exit(0 if result.holds else 1)


if __name__ == "__main__":
    main()
