"""A gateway in a process of its own, a shop that listens to it, a payer with a browser: all over real sockets."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from payhub_core import (
    Callback,
    CallbackError,
    CallbackKind,
    Notification,
    Order,
    Payment,
    WrongOrder,
    load_accounts,
)
from payhub_core.transport import tls
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


class Server(ThreadingHTTPServer):
    """A server that many may knock at together."""

    daemon_threads = True
    request_queue_size = 64


class Shop:
    """A shop with a notify and a return address for every account; it keeps what it hears, and acknowledges it."""

    def __init__(self, make_order: Callable[..., Order]) -> None:
        self.hub: Any = None
        self.make_order = make_order
        self.orders: dict[tuple[str, str], Order] = {}
        self.callbacks: list[Callback] = []
        self.notifies: list[Notification] = []
        self.returns: list[Notification] = []
        self.refused: list[CallbackError] = []
        #: What to answer instead, to as many notifies: nothing is looked at.
        self.distracted: list[tuple[int, bytes]] = []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                status, body = shop.receive(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def order(self, account: str = "shop", **changes: Any) -> Order:
        """An order that the shop holds and whose callbacks reach it."""
        reference = changes.setdefault("reference", "A1001")
        changes.setdefault("notify_url", f"{self.url}/notify/{account}")
        changes.setdefault("return_url", f"{self.url}/thanks/{account}/{reference}")
        order = self.orders[account, reference] = self.make_order(**changes)
        return order

    def receive(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """Hands the raw request to the hub and answers what the hub says."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        path, _, query = handler.path.partition("?")
        kind, account, *rest = path.strip("/").split("/")
        headers = dict(handler.headers.items())
        if kind == "thanks":
            callback = Callback(handler.command, headers, query.encode(), body, CallbackKind.RETURN)
            return self.hear(account, callback, self.orders[account, rest[0]], self.returns)
        callback = Callback(handler.command, headers, query.encode(), body)
        if self.distracted:
            return self.distracted.pop(0)
        return self.hear(account, callback, None, self.notifies)

    def hear(
        self, account: str, callback: Callback, order: Order | None, heard: list[Notification]
    ) -> tuple[int, bytes]:
        """Verifies a callback, compares it with the order that the shop holds, and only then acknowledges."""
        self.callbacks.append(callback)
        try:
            notification = self.hub.parse_callback(account, callback, expect=order)
            if order is None:
                order = self.orders.get((account, notification.payment.reference))
                if order is None:
                    raise WrongOrder("the shop has no such order")
                notification = self.hub.parse_callback(account, callback, expect=order)
        except CallbackError as error:
            self.refused.append(error)
            return 400, b"refused"
        heard.append(notification)
        return notification.reply.status_code, notification.reply.body

    @property
    def payments(self) -> list[Payment]:
        """What the verified notifies said, in the order of their arrival."""
        return [notify.payment for notify in self.notifies if notify.payment]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


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


class Payer:
    """Somebody with a browser: opens the gateway's page, presses a button, and is sent back to the shop."""

    lost = httpx.TransportError

    def __init__(self, verify: ssl.SSLContext | bool) -> None:
        self.http = httpx.Client(verify=verify, trust_env=False, timeout=10)

    def press(self, url: str, action: str = "pay", **fields: str) -> httpx.Response:
        """The gateway's answer to a button of its pay page."""
        assert self.http.get(url).is_success
        return self.http.post(url, data={"action": action, **fields})

    def go_back(self, page: httpx.Response) -> httpx.Response:
        """The shop's answer to the form that the gateway's page posts by itself."""
        form = re.search(r'<form id="return" method="(\w+)" action="([^"]*)">(.*?)</form>', page.text, re.DOTALL)
        assert form, page.text
        method, action = form[1], unescape(form[2])
        inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form[3])
        fields = {unescape(name): unescape(value) for name, value in inputs}
        if method == "get":
            return self.http.get(action, params=fields)
        return self.http.post(action, data=fields)


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


@pytest.fixture(scope="session")
def clean_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds both wheels and what they need, and sees no source tree."""
    folder = tmp_path_factory.mktemp("environment")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder / "wheels")]
    subprocess.run([*pip, *build, str(ROOT), str(EPAY)], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    wheels = [str(wheel) for wheel in (folder / "wheels").iterdir()]
    assert len(wheels) == 2
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", *wheels], check=True)
    # The pinned dependencies, one by one: what is installed here of payhub itself points at the source tree.
    (folder / "dependencies").mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "payhub" not in entry.name and entry.suffix != ".pth":
            (folder / "dependencies" / entry.name).symlink_to(entry)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(f"{folder / 'dependencies'}\n")
    return python
