"""Real servers on loopback, a client that sends bytes, and a shop whose checkout only has a hub."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
import uvicorn
import werkzeug.serving

from payhub_core import (
    AsyncHub,
    Callback,
    CallbackError,
    CallbackKind,
    Hub,
    Order,
    Payment,
    Reply,
    load_accounts,
)
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Response:
    """What came back: status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def seen(self) -> tuple[int, str, bytes]:
        """What a gateway looks at."""
        return self.status, self.headers.get("content-type", ""), self.body


def send(
    port: int,
    method: str,
    target: str,
    body: bytes = b"",
    content_type: str = "application/x-www-form-urlencoded",
    *,
    chunked: bool = False,
    declared: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Sends exactly these bytes over a connection of their own and reads the answer to its end."""
    lines = [f"{method} {target} HTTP/1.1", "Host: shop.example", f"Content-Type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        half = len(body) // 2
        parts = [part for part in (body[:half], body[half:]) if part]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif body or declared is not None:
        lines.append(f"Content-Length: {len(body) if declared is None else declared}")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        with contextlib.suppress(ConnectionError):  # the server may have answered and closed before the last byte
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        response = HTTPResponse(connection, method=method)
        response.begin()
        answered = Response(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        response.close()
        return answered


@pytest.fixture(scope="session")
def http() -> Callable[..., Response]:
    return send


@contextlib.contextmanager
def serve_asgi(app: Any, closing: Sequence[Callable[[], Any]] = (), **config: Any) -> Iterator[int]:
    """A real uvicorn on a free port; what is ``closing`` is awaited in its event loop at the end."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", http="h11", **config))
    thread = threading.Thread(target=server.run)
    ready = threading.Event()
    startup, shutdown = server.startup, server.shutdown

    async def started(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        ready.set()

    async def stopped(*args: Any, **kwargs: Any) -> None:
        await shutdown(*args, **kwargs)
        for close in closing:
            await close()

    server.startup, server.shutdown = started, stopped  # type: ignore[method-assign]
    thread.start()
    try:
        assert ready.wait(10)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


class _Quiet(werkzeug.serving.WSGIRequestHandler):
    def log(self, *args: Any) -> None:
        pass


class _Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def _threaded(server: Any) -> Iterator[int]:
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def serve_wsgi(app: Any) -> contextlib.AbstractContextManager[int]:
    """Werkzeug's server on a free port: HTTP/1.1, chunks and all."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    return _threaded(werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet))


def serve_wsgiref(app: Any) -> contextlib.AbstractContextManager[int]:
    """The standard library's server, which cannot read chunks."""
    return _threaded(make_server("127.0.0.1", 0, app, handler_class=_Silent))


@pytest.fixture(scope="session")
def serve() -> types.SimpleNamespace:
    return types.SimpleNamespace(asgi=serve_asgi, wsgi=serve_wsgi, wsgiref=serve_wsgiref)


@contextlib.contextmanager
def loaded(name: str, **shop: Any) -> Iterator[types.ModuleType]:
    """A recipe of the docs, its ``shop`` module being what is given."""
    module = types.ModuleType("shop")
    module.__dict__.update(shop)
    sys.modules["shop"] = module
    handlers, level = logging.root.handlers[:], logging.root.level  # Litestar takes hold of the root logger
    try:
        spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(recipe)
        yield recipe
    finally:
        sys.modules.pop("shop", None)
        logging.root.handlers[:], logging.root.level = handlers, level


class Shop:
    """A shop with a real checkout and a SQLite ledger in ``folder``; ``fulfilled`` is what its handlers were told."""

    def __init__(self, folder: Path, settings: dict[str, Any], make_order: Callable[..., Order]) -> None:
        self.accounts = load_accounts({"accounts": {"shop": settings}})
        self.make_order = make_order
        self.fulfilled: list[str] = []
        self.hub = Hub(self.accounts, client=httpx.Client(transport=httpx.MockTransport(self._gateway)))
        self.ledger = Ledger(f"sqlite:///{folder / 'shop.db'}")
        self.ledger.upgrade()
        self.checkout = Checkout(self.hub, self.ledger, handler=self.fulfil)
        self.async_hub = AsyncHub(self.accounts)
        self.async_checkout = AsyncCheckout(self.async_hub, self.ledger, handler=self.fulfil_async)

    def start(self, reference: str) -> None:
        self.checkout.start("shop", self.make_order(reference=reference))

    def fulfil(self, transition: Any, connection: Any) -> None:
        if transition.anomaly is None:
            self.fulfilled.append(transition.payment.reference)

    async def fulfil_async(self, transition: Any, connection: Any) -> None:
        if transition.anomaly is None:
            self.fulfilled.append(transition.payment.reference)

    def _gateway(self, request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(request.content.decode()))
        data = {key: form[key] for key in ("order_no", "amount", "bank_code")}
        data |= {"pay_status": "-1", "redirect_url": "https://gateway.example/pay", "platform_order_no": "P1"}
        return httpx.Response(200, json={"status": 1, "message": "ok", "data": data})


@pytest.fixture(scope="session")
def open_shop(settings: dict[str, Any], make_order: Callable[..., Order]) -> Callable[[Path], Shop]:
    return lambda folder: Shop(folder, settings, make_order)


@pytest.fixture(scope="session")
def recipe() -> Callable[..., contextlib.AbstractContextManager[types.ModuleType]]:
    return loaded


class Till:
    """A checkout without a ledger: remembers in memory which orders it has settled. ``fail`` is raised instead."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.callbacks: list[Callback] = []
        self.references: list[str | None] = []
        self.settled: set[str] = set()
        self.fail: Exception | None = None

    def receive(self, account: str, callback: Callback, handler: Any = None) -> Reply:
        self.callbacks.append(callback)
        if self.fail is not None:
            raise self.fail
        info = self.hub[account].info
        try:
            notification = self.hub.parse_callback(account, callback)
        except CallbackError:
            return info.refused
        payment = notification.payment
        assert payment is not None
        if payment.reference not in self.settled:
            if handler is not None:
                handler(payment)
            self.settled.add(payment.reference)
        return notification.reply

    def view(self, account: str, callback: Callback, *, reference: str | None = None) -> Payment:
        self.callbacks.append(callback)
        self.references.append(reference)
        if self.fail is not None:
            raise self.fail
        payment = self.hub.parse_callback(account, callback).payment
        assert payment is not None
        return payment


class AsyncTill:
    """A `Till`, awaited."""

    def __init__(self, till: Till) -> None:
        self.till = till

    async def receive(self, account: str, callback: Callback, handler: Any = None) -> Reply:
        return self.till.receive(account, callback, handler)

    async def view(self, account: str, callback: Callback, *, reference: str | None = None) -> Payment:
        return self.till.view(account, callback, reference=reference)


@pytest.fixture
def hub(settings: dict[str, Any]) -> Iterator[Hub]:
    with Hub(load_accounts({"accounts": {"shop": settings}})) as hub:
        yield hub


@pytest.fixture
def till(hub: Hub) -> Till:
    return Till(hub)


@pytest.fixture
def async_till(till: Till) -> AsyncTill:
    return AsyncTill(till)


@pytest.fixture
def paid(platform: Any) -> bytes:
    """A genuine notify: the order is paid."""
    return platform.body(platform.notify())


@pytest.fixture
def came_back(platform: Any) -> bytes:
    """A genuine return: the payer says that the order is paid."""
    return platform.body({"order_no": "A1001", "pay_status": "1"})


@pytest.fixture
def notify(platform: Any, paid: bytes) -> Callback:
    return platform.callback(paid, kind=CallbackKind.NOTIFY)
