"""A gateway in a process of its own, a shop that listens to it, a payer with a browser: all over real sockets."""

from __future__ import annotations

import ssl
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.e2e.parties import Payer, Shop

from payhub_core import Order, load_accounts
from payhub_core.transport.client import tls
from payhub_sandbox import Merchant, SandboxProcess, Settings

ROOT = Path(__file__).parents[2]
EPAY = ROOT / "examples" / "payhub-epay"

MERCHANTS = {
    "shop": ("gpu10000000", Merchant("c1277-throw-away-key-number-zero")),
    "second": ("gpu10000001", Merchant("c1277-throw-away-key-number-one")),
    "last": ("gpu10000002", Merchant("c1277-throw-away-key-number-two", "last", "drop")),
}
SETTINGS = {"merchants": dict(MERCHANTS.values()), "resend_interval": 0.05, "notify_timeout": 5.0}


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxProcess]:
    """One gateway for the session; impatient with a shop that does not acknowledge."""
    with SandboxProcess(Settings(**SETTINGS)) as process:
        yield process


@pytest.fixture
def sandbox(running: SandboxProcess) -> SandboxProcess:
    """The gateway, with no orders, faults or memory of what was asked."""
    running.reset()
    return running


class Authority:
    """A certificate authority, the certificate that it issued to a gateway on this machine, and the files of both."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        self.file = str(folder / "authority.pem")
        self.chain = str(folder / "chain.pem")
        self.key = str(folder / "key.pem")
        authority.cert_pem.write_to_path(self.file)
        certificate.cert_chain_pems[0].write_to_path(self.chain)
        certificate.private_key_pem.write_to_path(self.key)

    def context(self) -> ssl.SSLContext:
        """What a client needs to trust it."""
        return ssl.create_default_context(cafile=self.file)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def running_tls(authority: Authority) -> Iterator[SandboxProcess]:
    with SandboxProcess(Settings(**SETTINGS, certfile=authority.chain, keyfile=authority.key)) as process:
        yield process


@pytest.fixture
def tls_sandbox(running_tls: SandboxProcess) -> SandboxProcess:
    """The gateway over TLS, with a certificate that nobody trusts unless told to."""
    running_tls.reset()
    return running_tls


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine trusts the gateway's authority, as one does that is configured with SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    tls.cache_clear()
    yield
    tls.cache_clear()


def accounts_at(url: str, **changes: Any) -> Any:
    """The accounts of all three merchants at the gateway ``url``; ``changes`` are settings of every one."""
    dialect = {"last": {"secret_placement": "last", "callback_empties": "drop"}}
    return load_accounts(
        {
            "default": "shop",
            "accounts": {
                name: {
                    "provider": "gpu",
                    "base_url": url,
                    "appid": appid,
                    "secret": merchant.secret,
                    **dialect.get(name, {}),
                    **changes,
                }
                for name, (appid, merchant) in MERCHANTS.items()
            },
        }
    )


@pytest.fixture(scope="session")
def accounts() -> Callable[..., Any]:
    return accounts_at


@pytest.fixture
def hub(open_hub: Callable[..., Any], sandbox: SandboxProcess) -> Any:
    """A hub of either colour at the gateway, over plain http on this machine."""
    return open_hub(accounts=accounts_at(sandbox.url))


@pytest.fixture
def tls_hub(open_hub: Callable[..., Any], tls_sandbox: SandboxProcess, trusted: None) -> Any:
    """A hub of either colour at the gateway, over TLS."""
    return open_hub(accounts=accounts_at(tls_sandbox.url))


@pytest.fixture
def open_shop(make_order: Callable[..., Order]) -> Iterator[Callable[[Any], Shop]]:
    """Opens a shop around a hub."""
    shop = Shop(make_order)

    def start(hub: Any) -> Shop:
        shop.hub = hub
        return shop

    yield start
    shop.close()


@pytest.fixture
def shop(open_shop: Callable[[Any], Shop], hub: Any) -> Shop:
    return open_shop(hub)


@pytest.fixture
def payer(authority: Authority) -> Iterator[Payer]:
    payer = Payer(authority.context())
    yield payer
    payer.http.close()


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a condition holds, at most five seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def asked() -> Callable[..., int]:
    """How many requests a gateway counted: those of one endpoint, about one order."""

    def count(sandbox: SandboxProcess, endpoint: str, reference: str = "A1001") -> int:
        entries = sandbox.requests()
        return sum(
            entry["count"] for entry in entries if (entry["endpoint"], entry["order_no"]) == (endpoint, reference)
        )

    return count


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of payhub and of EPay."""
    folder = tmp_path_factory.mktemp("wheels")
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, *build, str(ROOT), str(EPAY)], check=True)
    return folder


@pytest.fixture(scope="session")
def clean_python(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """The interpreter of an environment that holds both wheels and what they need, and sees no source tree."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    files = [str(wheel) for wheel in wheels.iterdir()]
    assert len(files) == 2
    subprocess.run([*PIP, "--python", str(python), "install", "--no-deps", "--no-index", *files], check=True)
    # The pinned dependencies, one by one: what is installed here of payhub itself points at the source tree.
    (folder / "dependencies").mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "payhub" not in entry.name and entry.suffix != ".pth":
            (folder / "dependencies" / entry.name).symlink_to(entry)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(f"{folder / 'dependencies'}\n")
    return python
