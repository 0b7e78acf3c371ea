"""A process of the shop that forks a child for each command read from stdin, and may have it killed on the way.

A child counts the points it passes: before and after each step of a plan (a transaction, a request, a pause), around
each statement inside a transaction, before the commit, and after the answer. At point ``die_at`` it kills itself as
``kill -9`` would. Nothing in the product knows of these points.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import Connection, event, text

from payhub_core import Callback, Hub, Order, PayhubError, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.checkout.steps import Step
from payhub_core.ledger import Ledger, Transition
from payhub_core.ledger.sql import Statement

HEADERS = {"content-type": "application/x-www-form-urlencoded"}
TLS = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
ACCOUNTS = load_accounts(json.loads(os.environ["ACCOUNTS"]))
THREADS = 8
httpx.Client(verify=TLS, trust_env=False).close()  # the imports that a client needs, once


class Points:
    """Counts the points passed, and ends the process at one of them."""

    def __init__(self, die_at: int) -> None:
        self.die_at = die_at
        self.passed = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)


class Watched(Checkout):
    """A checkout whose every step is a point."""

    point: Callable[[], None] = staticmethod(lambda: None)

    def _do(self, step: Step) -> object:
        self.point()
        result = super()._do(step)
        self.point()
        return result


def handle(transition: Transition, connection: Connection) -> None:
    """The shop's own row, in payhub's transaction."""
    connection.execute(text("INSERT INTO deliveries VALUES (:id)"), {"id": transition.id})


def watch(checkout: Watched, ledger: Ledger, points: Points) -> None:
    """Makes points of the steps, the statements and the commit."""
    checkout.point = points
    run = Statement.run

    def statement(self: Statement, connection: Connection, values: tuple[Any, ...]) -> Any:
        points()
        result = run(self, connection, values)
        points()
        return result

    Statement.run = statement  # type: ignore[method-assign]
    event.listen(ledger.engine, "commit", lambda _connection: points())


def act(url: str, command: str, arguments: list[Any], points: Points, go: Callable[[], None]) -> Any:
    """One command, in a child."""
    with (
        Ledger(url) as ledger,
        httpx.Client(verify=TLS, trust_env=False) as client,
        Hub(ACCOUNTS, client=client) as hub,
    ):
        checkout = Watched(hub, ledger, handler=handle)
        ledger._store.find("shop", "")  # connected; what comes before a command has begun is no point of it
        if points.die_at:
            watch(checkout, ledger, points)
        if command == "start":
            order = Order.model_validate_json(arguments[0])
            go()
            try:
                return checkout.start("shop", order).status
            except PayhubError as error:
                return type(error).__name__
        if command == "receive":

            def receive(body: str) -> str:
                return checkout.receive("shop", Callback("POST", HEADERS, b"", body.encode())).body.decode()

            if len(arguments) == 1:
                go()
                return [receive(arguments[0])]
            with ThreadPoolExecutor(THREADS) as threads:
                list(threads.map(lambda _: ledger._store.find("shop", ""), range(THREADS)))
                go()
                return list(threads.map(receive, arguments))
        go()
        return checkout.reconcile(older_than=timedelta(0), rate=1000).asked


def child(order: dict[str, Any], number: int, start: int, results: int) -> None:
    """Runs one command once the parent says so, writes down what it came to, and ends."""
    points = Points(order["die_at"])
    if order["full_disk"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    arguments = order["arguments"]
    if order["processes"] > 1 and order["command"] == "receive":
        arguments = arguments[number :: order["processes"]]
    result = act(order["ledger"], order["command"], arguments, points, lambda: os.read(start, 1) and None)
    os.write(results, (json.dumps({"result": result, "points": points.passed}) + "\n").encode())
    points()
    os._exit(0)


def main() -> None:
    """Reads commands until stdin ends."""
    assert threading.active_count() == 1
    for line in sys.stdin:
        order = json.loads(line)
        # The parent opens no connection, but the imports that an engine needs are made once.
        _ = Ledger(order["ledger"]).engine
        start, starter = os.pipe()
        children = []
        for number in range(order["processes"]):
            reader, results = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    child(order, number, start, results)
                finally:
                    os._exit(70)
            os.close(results)
            children.append((pid, reader))
        os.write(starter, b"." * len(children))
        told = []
        for pid, reader in children:
            with os.fdopen(reader) as results_file:
                text_ = results_file.read()
            status = os.waitpid(pid, 0)[1]
            killed = os.WIFSIGNALED(status)
            told.append(
                {"killed": killed, "failed": status != 0 and not killed, **(json.loads(text_) if text_ else {})}
            )
        os.close(start)
        os.close(starter)
        print(json.dumps(told), flush=True)  # noqa: T201  what the test reads


if __name__ == "__main__":
    main()
