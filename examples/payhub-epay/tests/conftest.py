"""What the tests share: an account, an order, and cassettes recorded over TLS from the simulator.

``RECORD_CASSETTES=1 pytest`` records the cassettes that are not there; nothing else ever records.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

from payhub_core import Hub, Money, Order, PaymentMethod, load_accounts
from payhub_core.testing import cassette

TESTS = Path(__file__).parent
HOST = "gateway.example"
KEY = "simulator-key-not-for-money"


@pytest.fixture
def settings() -> dict[str, Any]:
    """One account's settings, as a configuration has them."""
    return {"provider": "epay", "base_url": f"https://{HOST}", "pid": "1001", "key": KEY}


@pytest.fixture
def make_order() -> Callable[..., Order]:
    def make(**changes: Any) -> Order:
        values: dict[str, Any] = {
            "reference": "A1001",
            "amount": Money.of("100.50", "CNY"),
            "description": "Tea & cups 茶",
            "method": PaymentMethod.ALIPAY_H5,
            "notify_url": "https://shop.example/pay/shop/notify",
            "return_url": "https://shop.example/pay/shop/return",
            **changes,
        }
        return Order(**values)

    return make


@pytest.fixture
def order(make_order: Callable[..., Order]) -> Order:
    return make_order()


@pytest.fixture
def open_hub(settings: dict[str, Any]) -> Iterator[Callable[..., Hub]]:
    """A hub with the account ``shop``, its settings changed as told; over scripted answers where there are some."""
    opened: list[Any] = []

    def start(*answers: httpx.Response | Exception, **changes: Any) -> Hub:
        client = None
        script = iter(answers)

        def answer(request: httpx.Request) -> httpx.Response:
            opened.append(request)
            given = next(script)
            if isinstance(given, Exception):
                raise given
            return given

        if answers:
            client = httpx.Client(transport=httpx.MockTransport(answer))
        hub = Hub(load_accounts({"accounts": {"shop": {**settings, **changes}}}), client=client)
        opened.extend([hub, *([client] if client else [])])
        return hub

    yield start
    for thing in opened:
        if hasattr(thing, "close"):
            thing.close()


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any] | None]:
    """Asks the simulator something, while it is recorded from as https://gateway.example; None to replay."""
    if not os.environ.get("RECORD_CASSETTES"):
        yield None
        return
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.issue_cert(HOST, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    options = ["--certfile", str(folder / "server.pem"), "--public-url", f"https://{HOST}"]
    options.append("--fixed-clock=2026-01-02T03:04:05")
    command = [sys.executable, str(TESTS / "simulator.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, pytest.MonkeyPatch.context() as patch:
        url = process.stdout.readline().strip() if process.stdout else ""
        connect = socket.create_connection

        def reroute(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
            return connect(("127.0.0.1", urlsplit(url).port or 0) if address[0] == HOST else address, *args, **kwargs)

        patch.setattr(socket, "create_connection", reroute)
        patch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
        with httpx.Client(base_url=url, trust_env=True) as client:
            yield client.request
        process.terminate()


@pytest.fixture
def pay(simulator: Callable[..., Any] | None) -> Callable[[str | None], None]:
    """The payer presses the button on the gateway's page; in a replay that has happened already."""

    def press(gateway_id: str | None) -> None:
        if simulator is not None:
            simulator("POST", f"/pay/{gateway_id}")

    return press


@pytest.fixture
def recorded(request: pytest.FixtureRequest, simulator: Callable[..., Any] | None) -> Iterator[Callable[[], list[str]]]:
    """The test's own cassette; what is called returns the requests in it. Each has to be made, byte for byte."""
    if simulator is not None:
        simulator("GET", "/_reset")
    folder = Path(os.environ.get("CASSETTES", TESTS / "cassettes"))
    path = folder / f"{request.node.name.removeprefix('test_')}.yaml"
    with cassette(path, record=simulator is not None, ignore_hosts=["127.0.0.1"]) as played:
        yield lambda: [f"{made.method} {made.path}" for made in played.requests]


@pytest.fixture
def answer() -> Callable[..., httpx.Response]:
    """A reply of the gateway: HTTP 200, whatever it says."""

    def make(**fields: Any) -> httpx.Response:
        return httpx.Response(200, content=json.dumps(fields))

    return make
