"""A SQLite file for each test and a real PostgreSQL, emptied for each; a checkout of either colour over them."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import trustme
from sqlalchemy import Connection, text, update
from tests.gateway import PlatformOfToday
from tests.ledger.checkouts import EitherCheckout, nothing, opening
from tests.ledger.postgres import Postgres
from tests.ledger.processes import Service, Worker

from payhub_core import Callback, CallbackKind, Hub, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger, Transition
from payhub_core.ledger.tables import payments
from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess, Settings

FOLDER = Path(__file__).parent
RECIPES = FOLDER.parents[1] / "docs" / "recipes"
ROUNDS = int(os.environ.get("PAYHUB_PROOF_ROUNDS", "3"))  # read before the environment is cleared for each test
_numbers = itertools.count()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables made."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    with Ledger(f"sqlite:///{path}") as ledger:
        ledger.upgrade()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not under pytest's own folder, which another run may tidy up.
    folder = Path(tempfile.mkdtemp(prefix="payhub-postgresql-"))
    postgres = Postgres(folder)
    postgres.execute("ALTER SYSTEM SET fsync = off")  # it is never shot: nothing waits for the disk
    postgres.execute("SELECT pg_reload_conf()")
    postgres.create("shared", "payhub_template")
    yield postgres
    postgres.server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """Opens a database in which there is nothing but the tables, or, ``empty``, not even these; gives its URL."""

    @contextmanager
    def sqlite(*, empty: bool = False) -> Iterator[str]:
        path = tmp_path / f"ledger{next(_numbers)}.db"
        if not empty:
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        for file in tmp_path.glob(f"{path.name}*"):
            file.unlink()

    @contextmanager
    def postgresql(*, empty: bool = False) -> Iterator[str]:
        postgres: Postgres = request.getfixturevalue("postgres")
        if empty:
            yield postgres.create("without_tables", "template1")
            postgres.drop("without_tables")
        else:
            yield postgres.emptied()

    return sqlite if request.param == "sqlite" else postgresql


@pytest.fixture
def empty_url(new_database: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """The URL of a database without any table."""
    with new_database(empty=True) as url:
        yield url


@pytest.fixture
def url(new_database: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """The URL of a database with the tables made, and nothing in them."""
    with new_database() as url:
        yield url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger(url) as ledger:
        yield ledger


class Shop:
    """The application: it notes each transition in its own table, in payhub's transaction; it can be told to fail."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.fails: Callable[[Transition, Connection], object] | None = None
        ledger.write(lambda c: c.execute(text("CREATE TABLE IF NOT EXISTS deliveries (id VARCHAR(120) NOT NULL)")))

    def handle(self, transition: Transition, connection: Connection) -> None:
        connection.execute(text("INSERT INTO deliveries VALUES (:id)"), {"id": transition.id})
        if self.fails is not None:
            self.fails(transition, connection)

    @property
    def delivered(self) -> list[str]:
        """The transitions whose handling is committed."""
        return sorted(self.ledger.read(lambda c: c.execute(text("SELECT id FROM deliveries")).scalars().all()))


@pytest.fixture
def shop(ledger: Ledger) -> Shop:
    return Shop(ledger)


@pytest.fixture(params=["Checkout", "AsyncCheckout"])
def open_checkout(
    request: pytest.FixtureRequest, url: str, ledger: Ledger, settings: dict[str, Any]
) -> Iterator[Callable[..., EitherCheckout]]:
    """Opens a checkout of either colour over scripted answers of the gateway."""
    with opening(request.param, url, ledger, settings) as open_checkout:
        yield open_checkout


@pytest.fixture
def blocking(ledger: Ledger, settings: dict[str, Any]) -> Iterator[Checkout]:
    """Another process of the shop, as far as the database can tell; it never asks the gateway."""
    with httpx.Client(transport=httpx.MockTransport(nothing)) as client:
        yield Checkout(Hub(load_accounts({"accounts": {"shop": settings}}), client=client), ledger)


@pytest.fixture
def accept(platform: Any) -> Callable[[httpx.Request], httpx.Response]:
    """A gateway that takes every order; its own number is the shop's behind a P."""

    def answer(request: httpx.Request) -> httpx.Response:
        reference = dict(httpx.QueryParams(request.content.decode()))["order_no"]
        reply: httpx.Response = platform.create_reply(order_no=reference, platform_order_no=f"P{reference}")
        return reply

    return answer


@pytest.fixture
def make_due(ledger: Ledger) -> Callable[[], None]:
    """Lets time pass: every payment that is asked about some day is asked about now, and no lease holds any more."""

    def pass_time() -> None:
        past = datetime.now(UTC) - timedelta(seconds=1)
        waiting = update(payments).where(payments.c.next_check_at.is_not(None)).values(next_check_at=past)
        ledger.write(lambda c: c.execute(waiting))
        ledger.write(lambda c: c.execute(update(payments).values(lease_until=None)))

    return pass_time


class Paid(NamedTuple):
    """Genuine callbacks about an order."""

    notify: Callable[..., Callback]
    back: Callable[..., Callback]


@pytest.fixture(scope="session")
def platform() -> PlatformOfToday:
    return PlatformOfToday()


@pytest.fixture
def paid(platform: Any) -> Paid:
    def notify(reference: str = "A1001", **changes: str) -> Callback:
        callback: Callback = platform.callback(platform.notify(order_no=reference, **changes))
        return callback

    def back(reference: str = "A1001", **changes: str) -> Callback:
        fields = {"order_no": reference, "pay_status": "1", **changes}
        callback: Callback = platform.callback(fields, kind=CallbackKind.RETURN)
        return callback

    return Paid(notify, back)


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


@pytest.fixture
def worker(
    url: str, shop: Shop, sandbox: SandboxProcess, certificate: tuple[str, str], tmp_path: Path
) -> Iterator[Worker]:
    appid = "gpu10000000"
    settings = {"provider": "gpu", "base_url": sandbox.url, "appid": appid, "timeout": 5.0}
    accounts = {"accounts": {"shop": {**settings, "secret": PUBLIC_MERCHANTS[appid].secret}}}
    environment = {"LEDGER": url, "ACCOUNTS": json.dumps(accounts), "CERTIFICATE": certificate[0]}
    worker = Worker(environment)
    yield worker
    worker.close()


@pytest.fixture
def lost_notify(worker: Worker, sandbox: SandboxProcess, make_order: Callable[..., Any]) -> Callable[[], str]:
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
def sign(platform: Any) -> Callable[..., str]:
    """The body of a genuine notify of the sandbox's merchant."""

    def body(reference: str, **changes: str) -> str:
        fields = platform.notify(order_no=reference, **changes)
        signed: bytes = platform.body(fields, secret=PUBLIC_MERCHANTS["gpu10000000"].secret)
        return signed.decode()

    return body
