"""A real gateway over TLS, and the shop's processes: forked to be killed, or started as they are deployed."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from tests.checkout.processes import Service, Worker
from tests.checkouts import Shop
from tests.gateway import PlatformOfToday

from payhub_core.transport import exchange
from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess, Settings

FOLDER = Path(__file__).parent
RECIPES = FOLDER.parents[1] / "docs" / "recipes"
ROUNDS = int(os.environ.get("PAYHUB_PROOF_ROUNDS", "3"))  # read before the environment is cleared for each test


@pytest.fixture(scope="session")
def platform() -> PlatformOfToday:
    return PlatformOfToday()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for loopback and its key: a query proves something only over TLS."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    for part in issued.cert_chain_pems:
        part.write_to_path(str(folder / "cert.pem"), append=True)
    authority.cert_pem.write_to_path(str(folder / "cert.pem"), append=True)
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.fixture(scope="session")
def sandbox(certificate: tuple[str, str]) -> Iterator[SandboxProcess]:
    """A real gateway over TLS, in a process of its own."""
    certfile, keyfile = certificate
    with SandboxProcess(Settings(certfile=certfile, keyfile=keyfile, resends=0)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def processes(sandbox: SandboxProcess, certificate: tuple[str, str]) -> Iterator[Worker]:
    appid = "gpu10000000"
    settings = {"provider": "gpu", "base_url": sandbox.url, "appid": appid, "timeout": 5.0}
    accounts = {"accounts": {"shop": {**settings, "secret": PUBLIC_MERCHANTS[appid].secret}}}
    worker = Worker({"ACCOUNTS": json.dumps(accounts), "CERTIFICATE": certificate[0]})
    yield worker
    worker.close()


@pytest.fixture
def worker(url: str, shop: Shop, processes: Worker) -> Callable[..., list[dict[str, Any]]]:
    """Those processes, over the test's database."""
    return partial(processes, url)


@pytest.fixture
def lost_notify(
    worker: Callable[..., Any], sandbox: SandboxProcess, make_order: Callable[..., Any]
) -> Callable[[], str]:
    """Starts an order that is paid at the gateway, whose notify is lost; returns its reference."""

    def start() -> str:
        reference = f"L{secrets.token_hex(6)}"
        order = make_order(reference=reference, notify_url="http://127.0.0.1:9/", return_url="http://127.0.0.1:9/")
        worker("start", order.model_dump_json())
        (found,) = sandbox.orders("gpu10000000", reference)
        sandbox.pay(found["platform_order_no"], notify=False)
        return reference

    return start


@pytest.fixture
def folder(url: str, sandbox: SandboxProcess, tmp_path: Path) -> Path:
    """The shop as it is deployed: its own module, payhub.toml, the secret in a file, the recipes, a ``.venv``."""
    folder = tmp_path / "srv" / "shop"
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets" / "payhub_accounts__shop__secret").write_text(PUBLIC_MERCHANTS["gpu10000000"].secret)
    (folder / "payhub.toml").write_text(
        f'ledger = "{url}"\n[accounts.shop]\nprovider = "gpu"\nbase_url = "{sandbox.url}"\nappid = "gpu10000000"\n'
    )
    for module in (FOLDER / "shop.py", *RECIPES.glob("*.py")):
        shutil.copy(module, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def service(folder: Path, certificate: tuple[str, str]) -> Iterator[Callable[..., Service]]:
    """Starts a command of the shop's ``.venv`` in its folder; it trusts the sandbox's certificate."""
    services: list[Service] = []
    environment = {
        **os.environ,
        "PAYHUB_SECRETS_DIR": str(folder / "secrets"),
        "SSL_CERT_FILE": certificate[0],
    }

    def start(command: str, *words: str) -> Service:
        services.append(Service([str(folder / ".venv" / "bin" / command), *words], folder, environment))
        return services[-1]

    yield start
    for started in services:
        started.kill()


@pytest.fixture(scope="session")
def rounds() -> int:
    """How often a race or a kill is repeated: PAYHUB_PROOF_ROUNDS=200 publishes figures, the suite takes a sample."""
    return ROUNDS


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """``late(seconds)``: the process is stopped for so long once it has written down what it is about to send."""

    def stop(seconds: float) -> None:
        monkeypatch.setattr(exchange, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + seconds))

    return stop


@pytest.fixture
def sign(platform: Any) -> Callable[..., str]:
    """The body of a genuine notify of the sandbox's merchant."""

    def body(reference: str, **changes: str) -> str:
        fields = platform.notify(order_no=reference, **changes)
        signed: bytes = platform.body(fields, secret=PUBLIC_MERCHANTS["gpu10000000"].secret)
        return signed.decode()

    return body
