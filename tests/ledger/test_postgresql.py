"""What stands between payhub and PostgreSQL: firewalls that forget, poolers, locks, the URLs of hosters."""

from __future__ import annotations

import asyncio
import random
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine, text
from tests.checkouts import Shop, opening

from payhub_core import ConfigError, LedgerError
from payhub_core.ledger import Ledger
from payhub_core.ledger.database import parse_url
from payhub_core.ledger.postgresql import ANSWER_SECONDS, PING_SECONDS, arguments

pytestmark = pytest.mark.postgresql


class Between:
    """Something between payhub and the server, listening on loopback."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def connected(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.to)
        return server

    def serve(self, client: socket.socket) -> None:
        raise NotImplementedError


class Firewall(Between):
    """Forgets connections: nothing arrives any more, nothing is refused."""

    def __init__(self, to: str) -> None:
        self.known: list[socket.socket] = []
        self.silent: set[socket.socket] = set()
        super().__init__(to)

    def forget(self) -> None:
        self.silent.update(self.known)

    def serve(self, client: socket.socket) -> None:
        server = self.connected()
        self.known.append(client)
        with client, server, suppress(OSError):
            while True:
                for end in select.select([client, server], [], [], 0.05)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if client not in self.silent:
                        (server if end is client else client).sendall(data)


class Pooler(Between):
    """Hands every transaction to any of three sessions, as PgBouncer in transaction mode does; counts round trips."""

    trips = 0

    def serve(self, client: socket.socket) -> None:
        rng = random.Random(7)
        with client, ExitStack() as stack, suppress(OSError, EOFError):
            servers = [stack.enter_context(self.connected()) for _ in range(3)]
            self.greet(client, servers)
            current = servers[0]
            while True:
                batch, kind = b"", b""
                while kind not in {b"S", b"Q"}:
                    kind, data = _message(client)
                    if kind == b"X":
                        return
                    batch += data
                current.sendall(batch)
                self.trips += 1
                answer = _answer(current)
                client.sendall(answer)
                if answer[-1:] == b"I":  # between transactions
                    current = rng.choice(servers)

    def greet(self, client: socket.socket, servers: list[socket.socket]) -> None:
        number = 0
        while not number or number in {80877103, 80877104}:
            if number:
                client.sendall(b"N")  # neither TLS nor GSS
            size = _exactly(client, 4)
            rest = _exactly(client, struct.unpack("!I", size)[0] - 4)
            number = struct.unpack("!I", rest[:4])[0]
        for server in servers:
            server.sendall(size + rest)
            answer = _answer(server)
        client.sendall(answer)


def _answer(server: socket.socket) -> bytes:
    answer, kind = b"", b""
    while kind != b"Z":
        kind, data = _message(server)
        answer += data
    return answer


def _exactly(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = end.recv(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def _message(end: socket.socket) -> tuple[bytes, bytes]:
    kind, size = _exactly(end, 1), _exactly(end, 4)
    return kind, kind + size + _exactly(end, struct.unpack("!I", size)[0] - 4)


@pytest.fixture
def database(postgres: Any) -> Iterator[str]:
    """A database of the test's own."""
    yield postgres.create("between", "payhub_template")
    postgres.drop("between")


@pytest.fixture
def between(database: str) -> Iterator[Callable[..., Any]]:
    """Puts something in front of it; returns that and the URL."""
    opened: list[Between] = []

    def put(kind: type[Between]) -> tuple[Between, str]:
        folder = dict(parse_qsl(urlsplit(database).query))["host"]
        with psycopg.connect(database) as connection:
            opened.append(kind(f"{folder}/.s.PGSQL.{connection.info.port}"))
        return opened[-1], f"postgresql://postgres:x@127.0.0.1:{opened[-1].port}/between"

    yield put
    for it in opened:
        it.listener.close()


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_connection_that_a_firewall_has_forgotten_is_replaced(
    between: Any, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Within seconds, and nothing is printed about it."""
    firewall, url = between(Firewall)

    async def twice(ledger: Ledger) -> list[Any]:
        await ledger.apayments()
        await asyncio.sleep(0.15)
        firewall.forget()
        found = await ledger.apayments()
        await ledger.aclose()
        return found

    with Ledger(url) as ledger:
        began = time.monotonic()
        if colour == "async":
            assert asyncio.run(twice(ledger)) == []
        else:
            ledger.payments()
            time.sleep(0.15)
            firewall.forget()
            assert ledger.payments() == []
        assert time.monotonic() - began < PING_SECONDS + 3
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == []


def test_an_answer_that_never_comes_is_a_ledger_error(between: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a transaction, too."""
    assert ANSWER_SECONDS > 10  # as long as the server gives a statement
    monkeypatch.setattr("payhub_core.ledger.postgresql._Limited.seconds", 0.5)
    firewall, url = between(Firewall)

    def body(connection: Any) -> None:
        firewall.forget()
        connection.execute(text("SELECT 1"))

    with Ledger(url) as ledger:
        with pytest.raises(LedgerError, match="no answer from the server"):
            ledger.write(body)
        assert ledger.payments() == []


@pytest.mark.parametrize("raised", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_what_a_signal_raises_is_not_told_as_a_failure_of_the_database(
    database: str, caplog: pytest.LogCaptureFixture, raised: type[BaseException]
) -> None:
    """As the time limit of a task queue does while the server works: whoever asked for it is to hear of it."""

    def stop(*_: object) -> None:
        raise raised("stopped")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with Ledger(database) as ledger:
            assert ledger.payments() == []
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(raised, match="stopped"):
                ledger.write(lambda connection: connection.execute(text("SELECT pg_sleep(5)")))
            assert ledger.payments() == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_transaction_pooler_serves(between: Any) -> None:
    """A statement that one session has prepared is not there in the next."""
    _, url = between(Pooler)
    with Ledger(url) as ledger:
        for _ in range(40):
            assert ledger.payments() == []
            ledger.write(lambda connection: connection.execute(text("UPDATE payhub_payments SET attempts = 1")))
            assert ledger._store.find("shop", "A1001") is None


@pytest.mark.parametrize("kind", ["Checkout", "AsyncCheckout"])
def test_a_notify_is_found_written_and_committed_in_three_round_trips(
    between: Any, database: str, kind: str, settings: dict[str, Any], accept: Any, make_order: Any, paid: Any
) -> None:
    """Whichever session a pooler hands out; those of the handler come on top."""
    pooler, url = between(Pooler)
    with Ledger(database) as direct, opening(kind, url, direct, settings) as open_checkout:
        shop = Shop(direct)
        till = open_checkout(accept, handler=shop.handle)
        took = []
        for number in range(20):
            till.start("shop", make_order(reference=f"B{number}"))
            before = pooler.trips
            assert till.receive("shop", paid.notify(f"B{number}")).body == b"SUCCESS"
            took.append(pooler.trips - before)
        assert shop.delivered == sorted(f"shop/B{number}/paid" for number in range(20))
        assert min(took) == 3 + 1  # now and then a connection is pinged, or opened


@pytest.mark.parametrize("own", [False, True])
def test_nobody_waits_for_ever_for_a_lock(database: str, own: bool) -> None:
    """Of whichever engine: the server ends the wait, and every transaction says so by itself."""
    engine = create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    with Ledger(engine if own else database) as ledger:
        settings = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        show = [text(f"SHOW {name}") for name in settings]
        limits = ledger.write(lambda connection: [connection.execute(it).scalar() for it in show])
        assert limits == ["5s", "10s", "1min"]
        assert ledger.read(lambda connection: [connection.execute(it).scalar() for it in show]) == limits
    engine.dispose()


@pytest.mark.parametrize("own", [False, True])
def test_a_lock_that_another_holds_is_a_ledger_error(database: str, own: bool) -> None:
    """As of a migration of the application's, or of a session that somebody left open; the server waits no longer."""
    url = f"{database}{'&' if '?' in database else '?'}options=-c%20lock_timeout%3D100ms"
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with psycopg.connect(database) as other, Ledger(engine if own else url) as ledger:
        ledger.payments()
        assert ledger._store.find("shop", "A1001") is None
        other.execute("LOCK TABLE payhub_payments")
        for look in (ledger.payments, lambda: ledger._store.find("shop", "A1001")):
            with pytest.raises(LedgerError, match="lock"):
                look()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        assert other.execute(waiting).fetchone() == (0,)
        other.rollback()
        assert ledger._store.find("shop", "A1001") is None
    engine.dispose()


def test_a_connection_that_reads_bytes_is_refused(database: str) -> None:
    """Rows would hold no text."""
    url = f"{database}{'&' if '?' in database else '?'}client_encoding=SQL_ASCII"
    with Ledger(url) as ledger, pytest.raises(ConfigError, match="an option that does not fit"):
        ledger.payments()


def test_an_own_engine_that_prepares_everything_serves(database: str) -> None:
    """Several statements at once cannot be prepared."""
    url = database.replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url, connect_args={"prepare_threshold": 0})
    with Ledger(engine) as ledger:
        for _ in range(2):
            assert ledger.payments() == []
            assert ledger._store.find("shop", "A1001") is None
    engine.dispose()


@pytest.mark.parametrize(
    ("written", "host", "query"),
    [
        ("postgres://u:p@db/shop", "db", {}),
        ("postgresql://u:p@db/shop?connect_timeout=9", "db", {"connect_timeout": "9"}),
        (
            "postgresql://u:p@db1:5432,db2:5433/shop?target_session_attrs=read-write",
            None,
            {"host": ("db1:5432", "db2:5433"), "target_session_attrs": "read-write"},
        ),
        ("postgres://db1,db2/shop", None, {"host": ("db1", "db2")}),
    ],
)
def test_a_url_is_read_as_libpq_reads_it(written: str, host: str | None, query: dict[str, Any]) -> None:
    """As hosting platforms hand it out."""
    url = parse_url(written)
    assert url.get_backend_name() == "postgresql"
    assert (url.host, url.database, dict(url.query)) == (host, "shop", query)


def test_the_urls_own_options_win() -> None:
    """Those that are numbers are numbers."""
    plain, connect = arguments(
        parse_url("postgresql://db/shop?connect_timeout=9&prepare_threshold=0&keepalives_idle=1")
    )
    assert "prepare_threshold" not in plain.query
    assert connect["prepare_threshold"] == 0
    assert not {"connect_timeout", "keepalives_idle"} & connect.keys()
    assert arguments(parse_url("postgresql://db/shop"))[1]["prepare_threshold"] is None


def test_options_of_the_url_reach_the_server(database: str) -> None:
    """Also those that hold numbers."""
    joint = "&" if "?" in database else "?"
    with Ledger(f"{database}{joint}prepare_threshold=0&connect_timeout=9&application_name=tea") as ledger:
        name = ledger.read(lambda connection: connection.execute(text("SHOW application_name")).scalar())
        assert name == "tea"


@pytest.mark.parametrize("kind", ["Checkout", "AsyncCheckout"])
@pytest.mark.parametrize("pooled", [False, True])
def test_times_are_read_whatever_style_the_database_writes_them_in(
    postgres: Any,
    between: Any,
    database: str,
    pooled: bool,
    kind: str,
    settings: Any,
    accept: Any,
    make_order: Any,
    paid: Any,
) -> None:
    """Behind a pooler, too, whose next session has the style of the database again."""
    postgres.execute("ALTER DATABASE between SET datestyle = 'SQL, DMY'")
    url = between(Pooler)[1] if pooled else database
    with Ledger(database) as direct, opening(kind, url, direct, settings) as open_checkout:
        shop = Shop(direct)
        till = open_checkout(accept, handler=shop.handle)
        for number in range(5):
            till.start("shop", make_order(reference=f"B{number}"))
            assert till.receive("shop", paid.notify(f"B{number}")).body == b"SUCCESS"
    with Ledger(url) as ledger:
        for number in range(5):
            assert ledger._store.find("shop", f"B{number}") is not None
        assert len(ledger.payments()) == 5


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused_by_its_name(postgres: Any, encoding: str) -> None:
    """It holds no Chinese, or is not told from bytes: before anything is made in it, and when it is used."""
    postgres.execute(f"CREATE DATABASE narrow ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with Ledger(postgres.url("narrow")) as ledger:
            for use in (ledger.upgrade, ledger.payments):
                with pytest.raises(LedgerError, match=f"database narrow .*the encoding {encoding}, .* needs UTF8"):
                    use()
    finally:
        postgres.drop("narrow")


def test_what_a_driver_cannot_write_or_read_is_a_ledger_error_and_a_mistake_of_the_body_is_not(database: str) -> None:
    """A body that is wrong gets its own error back."""

    def wrong(connection: Any) -> None:
        raise TypeError("mine")

    with Ledger(database) as ledger:
        with pytest.raises(LedgerError, match="failed: UnicodeEncodeError"):
            ledger.write(lambda connection: connection.execute(text("SELECT :x"), {"x": "\ud800"}))
        with pytest.raises(LedgerError, match="failed: NotImplementedError"):
            ledger.read(
                lambda connection: [
                    connection.execute(text("SET LOCAL datestyle = 'SQL, DMY'")),
                    connection.execute(text("SELECT now()")).all(),
                ]
            )
        with pytest.raises(TypeError, match="mine"):
            ledger.write(wrong)


def test_one_row_that_another_session_holds_keeps_no_other_message_waiting(
    database: str, settings: dict[str, Any], accept: Any, make_order: Any, paid: Any
) -> None:
    """Without a handler, messages of one process share a turn; whoever meets a lock gives the turn back."""
    with Ledger(database) as ledger, opening("Checkout", database, ledger, settings) as open_checkout:
        till = open_checkout(accept)
        for number in (1, 2):
            till.start("shop", make_order(reference=f"B{number}"))
        with psycopg.connect(database) as other, ThreadPoolExecutor(2) as threads:
            other.execute("SELECT 1 FROM payhub_payments WHERE reference = 'B1' FOR UPDATE")
            held = threads.submit(till.receive, "shop", paid.notify("B1"))
            wait([held], timeout=0.3)
            began = time.monotonic()
            assert till.receive("shop", paid.notify("B2")).body == b"SUCCESS"
            assert time.monotonic() - began < 2  # of the five seconds that a lock may take
            assert not held.done()
            other.rollback()
            assert held.result().body == b"SUCCESS"
