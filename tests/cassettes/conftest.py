"""Scenarios recorded once, over real TLS from a sandbox in its own process, and replayed through both hubs.

`make cassettes` records them again. Nothing here records unless it is told to.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
import trustme

from payhub_core import load_accounts
from payhub_core import testing as kit
from payhub_sandbox import Merchant, SandboxProcess, Settings

CASSETTES = Path(__file__).parents[2] / "cassettes" / "gpu"
HOST = "gateway.example"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cassettes", type=Path, help="the folder of cassettes to replay, or to record into")
    parser.addoption("--record", action="store_true", help="record; the folder must be empty")


@pytest.fixture(scope="session")
def merchants(platform: Any) -> dict[str, Merchant]:
    """The recorded merchants; their keys open nothing, and even so no cassette holds one."""
    return {
        platform.appid: Merchant(platform.secret),
        "gpu10000001": Merchant("c1277-throw-away-key-number-one"),
        "gpu10000002": Merchant("c1277-throw-away-key-number-two", "last", "drop"),
    }


@pytest.fixture(scope="session")
def recorded(pytestconfig: pytest.Config) -> Path:
    """Where the cassettes are."""
    return pytestconfig.getoption("--cassettes", None) or CASSETTES


@pytest.fixture(scope="session")
def recording(
    pytestconfig: pytest.Config, merchants: dict[str, Merchant], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SandboxProcess | None]:
    """The sandbox to record from, reached as https://gateway.example on whatever port it has; None to replay."""
    if not pytestconfig.getoption("--record", False):
        yield None
        return
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST, "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    # The whole chain, so that the sandbox's own control client can verify it.
    (folder / "chain.pem").write_bytes(certificate.cert_chain_pems[0].bytes() + authority.cert_pem.bytes())
    settings = Settings(
        merchants=merchants,
        base_url=f"https://{HOST}",
        fixed_clock=datetime.fromisoformat("2026-01-02T03:04:05+08:00"),
        certfile=str(folder / "chain.pem"),
        keyfile=str(folder / "key.pem"),
    )
    connect = socket.create_connection
    with SandboxProcess(settings) as process, pytest.MonkeyPatch.context() as patch:

        def reroute(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
            if address == (HOST, 443):
                address = ("127.0.0.1", urlsplit(process.url).port or 0)
            return connect(address, *args, **kwargs)

        patch.setattr(socket, "create_connection", reroute)
        patch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
        yield process


@pytest.fixture
def sandbox(recording: SandboxProcess | None) -> SandboxProcess | Mock:
    """The gateway's own side of a scenario: a payer who pays, a fault. In a replay it has all happened already."""
    if recording is None:
        return Mock(spec=SandboxProcess)
    recording.reset()
    return recording


@pytest.fixture
def cassette(request: pytest.FixtureRequest, recorded: Path, recording: SandboxProcess | None) -> Iterator[Any]:
    """The test's own cassette. A request that it does not hold fails, and so does one that is never made."""
    parameters = getattr(request.node, "callspec").params  # noqa: B009  the hub's colour is always one
    varied = [str(value) for name, value in parameters.items() if name != "open_hub"]
    path = recorded / ("-".join([request.node.originalname.removeprefix("test_"), *varied]) + ".yaml")
    with kit.cassette(path, record=recording is not None, ignore_hosts=["127.0.0.1"]) as cassette:
        yield cassette


@pytest.fixture
def settings_by_account(settings: dict[str, Any], merchants: dict[str, Merchant]) -> dict[str, dict[str, Any]]:
    """Three accounts: the shop's, one whose brand puts the secret last, and one configured with a wrong secret."""
    last = {"appid": "gpu10000002", "secret": merchants["gpu10000002"].secret, "secret_placement": "last"}
    wrong = {"appid": "gpu10000001", "secret": "c1277-throw-away-key-that-is-wrong"}
    return {"shop": settings, "last": {**settings, **last}, "wrong": {**settings, **wrong}}


@pytest.fixture
def hub(
    open_hub: Callable[..., Any],
    cassette: Any,
    sandbox: SandboxProcess | Mock,
    settings_by_account: dict[str, dict[str, Any]],
) -> Any:
    """A hub whose gateway is the cassette."""
    return open_hub(accounts=load_accounts({"accounts": settings_by_account}))
