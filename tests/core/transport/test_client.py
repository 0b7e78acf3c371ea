"""The HTTP client that a hub opens: its name on the wire, and an environment that breaks it or bends its way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import httpx
import pytest

from payhub_core import AsyncHub, ConfigError, Hub, PaymentStatus, load_accounts
from payhub_core.transport.client import tls
from payhub_core.version import VERSION


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The developer's own proxies stay outside, and so does the context that was made before."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    tls.cache_clear()
    yield
    tls.cache_clear()


@pytest.fixture
def gateway(platform: Any) -> Iterator[Any]:
    """A gateway on loopback that knows one order, and keeps the headers that it was sent."""

    class Handler(BaseHTTPRequestHandler):
        sent: dict[str, str]

        def do_GET(self) -> None:
            type(self).sent = {name.lower(): value for name, value in self.headers.items()}
            body = platform.query_reply().content
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keeps quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        Handler.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
        yield Handler
        server.shutdown()
        thread.join()


@pytest.fixture(params=["Hub", "AsyncHub"])
def ask(request: pytest.FixtureRequest, settings: Any, gateway: Any) -> Callable[..., PaymentStatus | None]:
    """Asks the gateway through a hub of either colour, over the hub's own client or one made as ``client`` says."""

    def asked(**client: Any) -> PaymentStatus | None:
        accounts = load_accounts({"accounts": {"shop": {**settings, "base_url": gateway.url}}})
        if request.param == "Hub":
            with Hub(accounts, client=httpx.Client(**client) if client else None) as hub:
                return hub.query("shop", "A1001").claimed_status

        async def query() -> PaymentStatus | None:
            async with AsyncHub(accounts, client=httpx.AsyncClient(**client) if client else None) as hub:
                return (await hub.query("shop", "A1001")).claimed_status

        return anyio.run(query)

    return asked


def test_payhub_says_its_name(ask: Any, gateway: Any) -> None:
    """Firewalls let nothing through that has none."""
    ask()
    assert gateway.sent["user-agent"] == f"payhub/{VERSION}"
    assert gateway.sent["accept"] == "*/*"
    assert "accept-encoding" not in gateway.sent


def test_the_headers_of_a_client_of_ones_own_are_kept(ask: Any, gateway: Any) -> None:
    """Its name, and what an egress proxy wants to see."""
    ask(headers={"User-Agent": "shop/1.0", "X-Egress": "tea"})
    assert (gateway.sent["user-agent"], gateway.sent["x-egress"]) == ("shop/1.0", "tea")
    assert "accept-encoding" not in gateway.sent


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_loopback_is_reached_past_a_proxy(ask: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A sandbox on this machine is behind none, whatever NO_PROXY forgets."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert ask() is PaymentStatus.PAID


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("ALL_PROXY", "socks5://user:hidden@127.0.0.1:7890", r"pip install 'httpx\[socks\]'"),
        ("HTTPS_PROXY", "socks://hidden@127.0.0.1:7890", "a proxy is like http://"),
        ("NO_PROXY", "localhost,[::1],hidden", "no brackets"),
        ("SSL_CERT_FILE", "/hidden/cacert.pem", "certificates in PEM"),
    ],
)
@pytest.mark.parametrize("make", [Hub, AsyncHub])
def test_an_environment_that_breaks_the_client_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, settings: Any, make: Any, name: str, value: str, hint: str
) -> None:
    """Which names the variable, and never its value."""
    monkeypatch.setenv(name, value)
    if "socks5" in value:
        monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    with pytest.raises(ConfigError, match=rf"with {name}: .*{hint}") as caught:
        make(load_accounts({"accounts": {"shop": settings}}))
    assert "hidden" not in str(caught.value)
