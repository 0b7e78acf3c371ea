"""A soak: many orders through sandbox, checkout and ledger while a tenth of the exchanges go wrong.

``make soak``. It ends with status 0 only if the money in the ledger equals the money at the gateway to the fen, and
every paid order was shipped exactly once.
"""

from __future__ import annotations

import random
import resource
import sqlite3
import ssl
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click
import httpx
import trustme
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Connection, text

from payhub_core import GatewayError, Hub, Money, Order, PaymentMethod, PaymentStatus, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger, Transition
from payhub_core.web import wsgi
from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess, Settings

APPID, MERCHANT = next(iter(PUBLIC_MERCHANTS.items()))
FAULTS = {
    "unified": ("cut", "cut_before", "http_502", "html", "truncated", "php_warning", "other_order", "data_null"),
    "check_order": ("cut", "http_500", "html"),
    "notify": ("lost", "lost", "forged", "duplicate", "concurrent", "cut", "extra_fields"),
}


@dataclass
class Result:
    """What came of it; money in fen."""

    orders: int
    faults: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    paid_at_gateway: int = 0
    money_at_gateway: int = 0
    paid_in_ledger: int = 0
    money_in_ledger: int = 0
    shipped: int = 0
    shipped_twice: int = 0
    seconds: float = 0.0
    memory_kib: list[int] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Nothing lost, nothing invented, nothing shipped twice."""
        return (
            (self.paid_at_gateway, self.money_at_gateway) == (self.paid_in_ledger, self.money_in_ledger)
            and self.shipped == self.paid_in_ledger
            and not self.shipped_twice
        )


class Soak:
    """The shop under load: each order is started, paid in one of several ways, and settled by whatever gets through."""

    def __init__(self, sandbox: SandboxProcess, checkout: Checkout, address: str, seed: int) -> None:
        self.sandbox = sandbox
        self.checkout = checkout
        self.address = address
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.result = Result(0)

    def play(self, number: int) -> None:
        """One order from start to payment, with a fault in a tenth of the cases."""
        with self.lock:
            draw, way, fen = self.random.random(), self.random.random(), self.random.randrange(100, 100_000)
            endpoint = self.random.choice(list(FAULTS))
            fault = self.random.choice(FAULTS[endpoint])
        if draw < 0.1:
            self.sandbox.fault(endpoint, fault)
            with self.lock:
                self.result.faults += 1
        order = Order(
            reference=f"S{number:08}",
            amount=Money(fen, "CNY"),
            description="Tea",
            method=PaymentMethod.ALIPAY_H5,
            notify_url=f"{self.address}/shop/notify",
            return_url=f"{self.address}/shop/return",
        )
        gateway_id = self.started(order)
        if gateway_id is None or way < 0.05:  # some never pay
            return
        if way < 0.10:
            self.sandbox.pay(gateway_id, action="fail")
        amount = {0: fen + 1, 1: max(fen - 1, 1)}.get(int(way * 100) - 10)  # some pay too much, some too little
        self.sandbox.pay(gateway_id, amount=amount)

    def started(self, order: Order) -> str | None:
        """The gateway's number, as a payer who presses *buy* again would get it."""
        for _ in range(5):
            try:
                return self.checkout.start("shop", order).gateway_id
            except GatewayError as error:
                with self.lock:
                    self.result.errors[type(error).__name__] += 1
        return None


def soak(
    orders: int, *, workers: int = 4, seed: int = 1, database: str = "", progress: Progress | None = None
) -> Result:
    """Plays ``orders`` orders; ``database`` is a ledger's URL, or a SQLite file of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="payhub-soak-") as folder, certified(Path(folder)) as (settings, context):
        url = database or f"sqlite:///{folder}/ledger.db"
        account = {"provider": "gpu", "appid": APPID, "secret": MERCHANT.secret, "order_no_max_length": 20}
        with (
            SandboxProcess(settings) as sandbox,
            httpx.Client(verify=context, trust_env=False) as client,
            Hub(load_accounts({"accounts": {"shop": {**account, "base_url": sandbox.url}}}), client=client) as hub,
            Ledger(url) as ledger,
        ):
            ledger.upgrade()
            ledger.write(lambda c: c.execute(text("CREATE TABLE shipped (reference VARCHAR(64))")))
            checkout = Checkout(hub, ledger, handler=ship)
            with served(wsgi(checkout)) as address:
                run = Soak(sandbox, checkout, address, seed)
                run.result.orders = orders
                task = progress.add_task("orders", total=orders) if progress else None
                with ThreadPoolExecutor(workers) as threads:
                    for done, _ in enumerate(threads.map(run.play, range(orders)), 1):
                        if progress and task is not None:
                            progress.update(task, completed=done)
                        if done % max(orders // 10, 1) == 0:
                            run.result.memory_kib.append(resident_kib())
                sandbox.clear_faults()
                settle(checkout, settings.database, run.result)
                count(ledger, settings.database, run.result)
    run.result.seconds = time.monotonic() - began
    return run.result


def ship(transition: Transition, connection: Connection) -> None:
    """The application's row, in the transaction of the transition."""
    if transition.status is PaymentStatus.PAID:
        connection.execute(text("INSERT INTO shipped VALUES (:reference)"), {"reference": transition.reference})


def settle(checkout: Checkout, gateway: str, result: Result) -> None:
    """Reconciles, as a scheduler would, until the ledger knows of every payment or two minutes have passed."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        checkout.reconcile(rate=500, limit=100_000)
        with sqlite3.connect(gateway) as platform:
            paid = {number for (number,) in platform.execute("SELECT order_no FROM orders WHERE pay_status = 1")}
        waiting = [
            stored
            for stored in checkout.ledger.payments(limit=1_000_000)
            if stored.payment.reference in paid and stored.payment.status is not PaymentStatus.PAID
        ]
        if all(stored.payment.status is PaymentStatus.PARTIALLY_PAID for stored in waiting):
            return
        time.sleep(1)
    result.errors["still waiting"] += len(waiting)


def count(ledger: Ledger, gateway: str, result: Result) -> None:
    """Both sides' books."""
    with sqlite3.connect(gateway) as platform:
        result.paid_at_gateway, result.money_at_gateway = platform.execute(
            "SELECT count(*), coalesce(sum(actual_amount), 0) FROM orders "
            "WHERE pay_status = 1 AND actual_amount >= amount"
        ).fetchone()
    paid = [p.payment for p in ledger.payments(limit=1_000_000) if p.payment.status is PaymentStatus.PAID]
    result.paid_in_ledger = len(paid)
    result.money_in_ledger = sum(payment.paid.minor for payment in paid if payment.paid)
    shipped = Counter(ledger.read(lambda c: c.execute(text("SELECT reference FROM shipped")).scalars().all()))
    result.shipped = len(shipped)
    result.shipped_twice = sum(times > 1 for times in shipped.values())


@contextmanager
def certified(folder: Path) -> Iterator[tuple[Settings, ssl.SSLContext]]:
    """A sandbox's settings with a certificate of its own, since only a query over TLS may settle, and who trusts it."""
    authority = trustme.CA()
    certificate, key = folder / "sandbox.pem", folder / "sandbox.key"
    issued = authority.issue_cert("127.0.0.1")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(folder / "authority.pem")  # for processes of their own
    context = ssl.create_default_context()
    authority.configure_trust(context)
    yield (
        Settings(
            certfile=str(certificate),
            keyfile=str(key),
            database=str(folder / "gateway.db"),
            resend_interval=0.5,
            resends=5,
        ),
        context,
    )


@contextmanager
def served(application: Any) -> Iterator[str]:
    """The address of ``application``, served by threads."""
    server = make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def resident_kib() -> int:
    """The memory this process has in use now."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text("ascii").split("VmRSS:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Fifty thousand lines help nobody."""


@click.command()
@click.option("--orders", default=50_000, show_default=True)
@click.option("--workers", default=4, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(orders: int, workers: int, seed: int) -> None:
    """Soak checkout and ledger, and compare the books."""
    console = Console()
    with Progress(console=console) as progress:
        result = soak(orders, workers=workers, seed=seed, progress=progress)
    console.print(result)
    sys.exit(0 if result.agrees else 1)


if __name__ == "__main__":
    main()
