"""Real servers on free ports of loopback, and a client that sends exactly the bytes it is given."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import uvicorn
import werkzeug.serving
from aiohttp import web
from anyio.from_thread import start_blocking_portal


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


@contextlib.contextmanager
def serve_aiohttp(app: web.Application, closing: Sequence[Callable[[], Any]] = ()) -> Iterator[int]:
    """A real aiohttp on a free port; what is ``closing`` is awaited in its event loop at the end."""

    async def close(_: web.Application) -> None:
        for one in closing:
            await one()

    app.on_cleanup.append(close)
    with start_blocking_portal("asyncio") as portal:
        runner = web.AppRunner(app)
        portal.call(runner.setup)
        site = portal.call(functools.partial(web.TCPSite, runner, "127.0.0.1", 0))
        portal.call(site.start)
        yield runner.addresses[0][1]
        portal.call(runner.cleanup)


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
