"""The servers that ``bench/server.py`` compares: payhub's endpoint, and one written by hand that does the same work."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import aiosqlite
import psycopg_pool
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

import floors
from payhub_core import AsyncHub, Hub, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger, Transition
from payhub_core.web import asgi, wsgi

SETTINGS = {"provider": "gpu", "base_url": floors.BASE, "secret": floors.SECRET, "appid": floors.APPID}
ORDERS = (
    "CREATE TABLE orders (id {key}, reference TEXT NOT NULL UNIQUE, amount BIGINT NOT NULL, status TEXT NOT NULL, "
    "gateway_id TEXT, paid_minor BIGINT, paid_at TEXT)"
)
EVENTS = (
    "CREATE TABLE events (id {key}, order_id BIGINT NOT NULL REFERENCES orders (id), at TEXT NOT NULL, "
    "status TEXT NOT NULL, raw TEXT NOT NULL)"
)
KEYS = {"sqlite": "INTEGER PRIMARY KEY", "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}
SELECT = "SELECT id, amount, status FROM orders WHERE reference = %s"
UPDATE = "UPDATE orders SET status = 'paid', gateway_id = %s, paid_minor = %s, paid_at = %s WHERE id = %s"
INSERT = "INSERT INTO events (order_id, at, status, raw) VALUES (%s, %s, 'paid', %s)"
MOST = 64 * 1024


async def heard(_what: Transition | floors.Notify, _connection: AsyncConnection | Any) -> None:
    """A handler that does nothing."""


def hear(_what: Transition | floors.Notify, _connection: Connection | Any) -> None:
    """As `heard`, for threads."""


def ours(colour: str, url: str, *, handled: bool) -> Any:
    """The endpoint of payhub: an ASGI application over AsyncCheckout or Checkout, or a WSGI application."""
    accounts = load_accounts({"accounts": {"shop": SETTINGS}})
    ledger = Ledger(url)
    if colour == "async":
        return asgi(AsyncCheckout(AsyncHub(accounts), ledger, handler=heard if handled else None))
    checkout = Checkout(Hub(accounts), ledger, handler=hear if handled else None)
    return asgi(checkout) if colour == "threads" else wsgi(checkout)


def by_hand(colour: str, url: str, *, handled: bool) -> Any:
    """The endpoint written by hand, over psycopg's own pool, or one connection of SQLite behind a lock.

    With a handler, it calls one in its transaction, over its connection. An async one cannot be awaited in a thread, so
    on SQLite the connection is aiosqlite's then.
    """
    if colour == "async" and url.startswith("postgresql"):
        return asgi_app(_async_postgresql(url, handled=handled))
    if colour == "async" and handled:
        return asgi_app(_async_sqlite(url))
    settle = _sqlite(url, handled=handled) if url.startswith("sqlite") else _postgresql(url, handled=handled)
    return wsgi_app(settle) if colour == "wsgi" else asgi_app(lambda notify: asyncio.to_thread(settle, notify))


def parse(method: str, path: str, content_type: str, body: bytes) -> tuple[floors.Notify, str]:
    """The message, verified and typed, and what is kept of it; raises ValueError or KeyError."""
    if (method, path) != ("POST", "/shop/notify"):
        raise ValueError("another address")
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded" or len(body) > MOST:
        raise ValueError("no form")
    names = [pair.partition(b"=")[0] for pair in body.split(b"&")]
    if len(names) != len(set(names)) or len(names) > 64:
        raise ValueError("a field came twice, or there are too many")
    fields = floors.callback(body)
    if fields["appid"] != floors.APPID or fields["pay_status"] != "1":
        raise ValueError("another account's, or not paid")
    return floors.typed_callback(body), json.dumps(fields)


Message = tuple[floors.Notify, str]


def changed(found: tuple[int, int, str] | None, message: Message) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
    """What is written of ``message``, None for one that is known; raises ValueError for one about another order."""
    notify, raw = message
    if found is None or found[1] != notify.actual_amount:
        raise ValueError("no such order, or another sum")
    if found[2] == "paid":
        return None
    now = datetime.now(UTC).isoformat()
    paid = (notify.platform_order_no, notify.actual_amount, notify.paid_at.isoformat(), found[0])
    return paid, (found[0], now, raw)


def _sqlite(url: str, *, handled: bool) -> Callable[[Message], None]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    lock = threading.Lock()
    select, update, insert = (sql.replace("%s", "?") for sql in (SELECT, UPDATE, INSERT))

    @contextmanager
    def transaction() -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def settle(message: Message) -> None:
        with lock:
            reference = (message[0].order_no,)
            change = changed(connection.execute(select, reference).fetchone(), message)
            if change is not None:
                with transaction():
                    connection.execute(update, change[0])
                    connection.execute(insert, change[1])
                    if handled:
                        hear(message[0], connection)

    return settle


def _async_sqlite(url: str) -> Callable[[Message], Any]:
    opened: list[aiosqlite.Connection] = []
    lock = asyncio.Lock()
    select, update, insert = (sql.replace("%s", "?") for sql in (SELECT, UPDATE, INSERT))

    async def connected() -> aiosqlite.Connection:
        if not opened:
            connection = await aiosqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                await connection.execute(f"PRAGMA {pragma}")
            opened.append(connection)
        return opened[0]

    async def settle(message: Message) -> None:
        async with lock:
            connection = await connected()
            async with connection.execute(select, (message[0].order_no,)) as cursor:
                found: Any = await cursor.fetchone()
            change = changed(found, message)
            if change is None:
                return
            await connection.execute("BEGIN IMMEDIATE")
            try:
                await connection.execute(update, change[0])
                await connection.execute(insert, change[1])
                await heard(message[0], connection)
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()

    return settle


def _postgresql(url: str, *, handled: bool) -> Callable[[Message], None]:
    pool = psycopg_pool.ConnectionPool(url, min_size=4, max_size=16, open=True)

    def settle(message: Message) -> None:
        with pool.connection() as connection:
            found: Any = connection.execute(SELECT, (message[0].order_no,)).fetchone()
            change = changed(found, message)
            if change is not None:
                connection.execute(UPDATE, change[0])
                connection.execute(INSERT, change[1])
                if handled:
                    hear(message[0], connection)

    return settle


def _async_postgresql(url: str, *, handled: bool) -> Callable[[Message], Any]:
    pool = psycopg_pool.AsyncConnectionPool(url, min_size=4, max_size=16, open=False)

    @asynccontextmanager
    async def connected() -> AsyncIterator[Any]:
        await pool.open()  # the first time; then it is open
        async with pool.connection() as connection:
            yield connection

    async def settle(message: Message) -> None:
        async with connected() as connection:
            cursor = await connection.execute(SELECT, (message[0].order_no,))
            change = changed(await cursor.fetchone(), message)
            if change is not None:
                await connection.execute(UPDATE, change[0])
                await connection.execute(INSERT, change[1])
                if handled:
                    await heard(message[0], connection)

    return settle


def asgi_app(settle: Callable[[Message], Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body", False) or len(body) > MOST:
                break
        try:
            content_type = dict(scope["headers"])[b"content-type"].decode("latin-1")
            await settle(parse(scope["method"], scope["path"], content_type, body))
            status, text = 200, b"SUCCESS"
        except (ValueError, KeyError):
            status, text = 400, b"FAIL"
        sent = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": text})

    return app


def wsgi_app(settle: Callable[[Message], None]) -> Any:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        try:
            body = environ["wsgi.input"].read(min(int(environ["CONTENT_LENGTH"]), MOST))
            settle(parse(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["CONTENT_TYPE"], body))
            status, text = "200 OK", b"SUCCESS"
        except (ValueError, KeyError):
            status, text = "400 Bad Request", b"FAIL"
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
        return [text]

    return app


def serve(who: str, colour: str, url: str, port: int) -> None:
    """Becomes the server."""
    make = by_hand if who.startswith("by hand") else ours
    app = make(colour, url, handled=who.endswith("handler"))
    if colour != "wsgi":
        import uvicorn

        uvicorn.run(app, port=port, log_level="error", access_log=False, lifespan="off")
        return
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self) -> None:
            options = {"bind": f"127.0.0.1:{port}", "threads": 16, "worker_class": "gthread", "keepalive": 60}
            for name, value in {**options, "loglevel": "error", "control_socket_disable": True}.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> Any:
            return app

    Server().run()


if __name__ == "__main__":
    serve(*sys.argv[1:4], int(sys.argv[4]))
