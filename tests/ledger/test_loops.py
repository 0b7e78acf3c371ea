"""A hub and a ledger used where they did not begin: in another event loop they work, or say at once what to do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from payhub_core import ConfigError
from payhub_core.ledger import Ledger
from payhub_core.ledger.database import KEPT

PROGRAM = """
import asyncio, os, sys, threading
from payhub_core.ledger import Ledger
def open_now():
    return len(os.listdir("/proc/self/fd")) + threading.active_count()
with Ledger(sys.argv[1]) as ledger:
    for _ in range(3):
        print(asyncio.run(ledger.apayments()))
        first = open_now()
    for _ in range(20):
        asyncio.run(ledger.apayments())
    print("flat" if open_now() < first + 10 else open_now() - first)  # a thread takes a moment to end
    async def last():
        await ledger.apayments()
        await ledger.aclose()
    asyncio.run(last())
"""


def test_a_ledger_serves_one_event_loop_after_another(url: str, ledger: Ledger) -> None:
    """As in a queue's worker, where each task has a loop of its own: with it ends what was opened in it."""
    command = [sys.executable, "-c", PROGRAM, url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["[]"] * 3 + ["flat"], "")


def test_no_more_connections_rest_than_leave_the_pool_some(url: str, ledger: Ledger) -> None:
    """Who waits for the pool would wait for those at rest, which it never sees."""

    async def rush() -> None:
        async with Ledger(url) as own:
            async with AsyncExitStack() as stack:
                for _ in range(KEPT + 5):
                    await stack.enter_async_context(own._connections._aconnected(write=False))
            pool: Any = own.async_engine.pool
            assert pool.checkedout() == KEPT

    asyncio.run(rush())


def test_an_engine_of_another_event_loop_is_refused(url: str, ledger: Ledger) -> None:
    """Its connections are there; one that keeps none is fine."""
    driver = url.replace("postgresql:", "postgresql+psycopg:").replace("sqlite:", "sqlite+aiosqlite:")
    engine = create_async_engine(driver)
    own = Ledger(engine)

    async def use_and_dispose() -> None:
        await own.apayments()
        await engine.dispose()

    asyncio.run(use_and_dispose())
    with pytest.raises(ConfigError, match="another event loop"):
        asyncio.run(own.apayments())
    loose = Ledger(create_async_engine(driver, poolclass=NullPool))
    for _ in range(2):
        assert asyncio.run(loose.apayments()) == []


HUB = """
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import anyio
from payhub_core import AsyncHub, load_accounts

class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections, which the next loop must not take up
    def do_GET(self):
        body = b'{"status": 1, "message": "", "data": {"order_no": "A1001", "pay_status": 1, "amount": 1}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
settings = {"provider": "gpu", "base_url": url, "appid": "gpu10000000", "secret": "c1277-throw-away-key"}
hub = AsyncHub(load_accounts({"accounts": {"shop": settings}}))
async def ask():
    print((await hub.query("shop", "A1001")).claimed_status)
for backend in sys.argv[1:]:
    anyio.run(ask, backend=backend)
"""


@pytest.mark.parametrize("backends", [["asyncio", "asyncio"], ["asyncio", "trio"], ["trio", "trio"]])
def test_an_async_hub_serves_one_event_loop_after_another(backends: list[str]) -> None:
    """Connections of a loop that is over answer nobody."""
    command = [sys.executable, "-c", HUB, *backends]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["paid"] * 2, "")
