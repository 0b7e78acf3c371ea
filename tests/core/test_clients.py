"""Your own HTTP client: any that builds and sends requests, under both hubs, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio.from_thread
import httpx
import httpx2
import pytest

from payhub_core import AsyncHub, ConfigError, GatewayError, Hub, NotSent, OutcomeUnknown, PaymentStatus, load_accounts


class Answer(BaseHTTPRequestHandler):
    """Answers with what the test wants, and keeps what it was asked."""

    body = b""
    headers_sent: tuple[tuple[str, str], ...] = ()
    status = 200
    asked: list[tuple[str, dict[str, str], bytes]]

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length)))
        self.send_response(self.status)
        for name, value in self.headers_sent:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = answer  # noqa: N815  the names that the standard library looks for

    def log_message(self, *_: Any) -> None:
        """Keeps quiet."""


@pytest.fixture
def server() -> Iterator[type[Answer]]:
    """A gateway on loopback."""
    handler: Any = type("Handler", (Answer,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        handler.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield handler
        http.shutdown()
        thread.join()


@pytest.fixture(params=["httpx2.Client", "httpx2.AsyncClient"])
def open_with_httpx2(request: pytest.FixtureRequest, settings: Any) -> Iterator[Callable[..., Callable[..., Any]]]:
    """Calls a hub of either colour over a client of httpx2."""
    with ExitStack() as stack:
        colour = getattr(httpx2, request.param.partition(".")[2])
        portal = stack.enter_context(anyio.from_thread.start_blocking_portal()) if "Async" in request.param else None

        def start(url: str, **options: Any) -> Callable[..., Any]:
            accounts = load_accounts({"accounts": {"shop": {**settings, "base_url": url, "timeout": 1}}})
            client = colour(trust_env=False, **options)
            hub: Any = (Hub if portal is None else AsyncHub)(accounts, client=client)
            close = client.close if portal is None else client.aclose
            stack.callback(close if portal is None else lambda: portal.call(close))

            def call(hook: str, *args: Any) -> Any:
                function = getattr(hub, hook)
                return function(*args) if portal is None else portal.call(function, *args)

            return call

        yield start


def test_a_client_of_httpx2_serves(open_with_httpx2: Any, server: Any, platform: Any, order: Any) -> None:
    """The request arrives as the provider signed it, its reply is read; the client's own headers are kept."""
    call = open_with_httpx2(server.url, headers={"X-Shop": "tea"})
    server.body = platform.create_reply().content
    assert call("create_payment", "shop", order).status is PaymentStatus.PENDING
    ((path, headers, body),) = server.asked
    assert (path, headers["content-type"]) == ("/api/order/unified", "application/x-www-form-urlencoded")
    assert (headers["accept-encoding"], headers["x-shop"]) == ("identity", "tea")
    assert b"order_no=A1001" in body
    server.body = platform.query_reply().content
    assert call("query", "shop", "A1001").claimed_status is PaymentStatus.PAID


def test_a_dead_host_is_not_sent_with_httpx2_either(open_with_httpx2: Any, order: Any) -> None:
    """Known by the name of its error."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(NotSent):
        open_with_httpx2(url)("create_payment", "shop", order)


def test_a_silent_gateway_is_unknown_with_httpx2(open_with_httpx2: Any, order: Any) -> None:
    """And asking it is no answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        call = open_with_httpx2(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
            call("create_payment", "shop", order)


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"x" * (1024 * 1024 + 1), (), 200, "longer than"),
        (b"x", (("Content-Encoding", "gzip"),), 200, "compressed"),
        (b"x", (), 502, "HTTP 502"),
        (b"x", (), 200, "JSON"),
    ],
)
def test_the_limits_hold_with_httpx2(
    open_with_httpx2: Any, server: Any, order: Any, body: bytes, headers: Any, status: int, reason: str
) -> None:
    """Whoever reads the reply."""
    server.body, server.headers_sent, server.status = body, headers, status
    with pytest.raises(OutcomeUnknown, match=reason):
        open_with_httpx2(server.url)("create_payment", "shop", order)
    assert len(server.asked) == 1


class Bare:
    """The least that a client may be: it sends httpx's requests."""

    def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        data = {"order_no": "A1001", "pay_status": 1, "amount": 1}
        return httpx.Response(200, json={"status": 1, "data": data}, request=request)


def test_a_client_need_not_build_requests(settings: Any) -> None:
    """Only `send` is needed."""
    with Hub(load_accounts({"accounts": {"shop": settings}}), client=Bare()) as hub:
        assert hub.query("shop", "A1001").status is PaymentStatus.PAID


class Awaited:
    """One of the application's own, for an AsyncHub."""

    async def send(self, *_: Any, **__: Any) -> httpx.Response:
        raise AssertionError("never sent")


@pytest.mark.parametrize(
    ("hub", "client"),
    [
        *[(Hub, client) for client in (httpx.AsyncClient(), httpx2.AsyncClient(), Awaited(), httpx.Client, Bare)],
        *[(AsyncHub, client) for client in (httpx.Client(), httpx2.Client(), httpx2.AsyncClient, Awaited)],
    ],
)
def test_a_client_of_the_other_colour_or_none_at_all_is_refused_at_once(hub: Any, client: Any, settings: Any) -> None:
    """Whichever library it is of: else nothing is ever sent, and each create ends in an unknown outcome."""
    with pytest.raises(ConfigError, match=r"client: expected an HTTP client, not .*pass httpx\.Client\(\) to Hub"):
        hub(load_accounts({"accounts": {"shop": settings}}), client=client)


def test_a_client_that_fails_in_its_own_way_is_one_of_our_errors(settings: Any, order: Any) -> None:
    """Whatever it raises; that it may have arrived is assumed."""

    class Broken:
        def send(self, *_: Any, **__: Any) -> httpx.Response:
            raise RuntimeError("pool")

    with Hub(load_accounts({"accounts": {"shop": settings}}), client=Broken()) as hub:
        with pytest.raises(OutcomeUnknown, match="RuntimeError"):
            hub.create_payment("shop", order)
        with pytest.raises(GatewayError):
            hub.query("shop", "A1001")
