"""PostgreSQL: how a connection is opened, how long it waits for the server, and what it sends in one round trip."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, event, make_url, text
from sqlalchemy.util import await_only

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "PING_SECONDS",
    "alone",
    "arguments",
    "impatiently",
    "limited",
    "one_trip",
    "patiently",
    "postgresql_url",
    "prepare",
]

T = TypeVar("T")

#: For one answer of the server; longer than it takes itself for a statement.
ANSWER_SECONDS = 15.0
#: For the answer of a connection that has rested: silence means that a firewall has forgotten it.
PING_SECONDS = 2.0
#: What the server holds a transaction to, and the style of its times, since psycopg reads no other. Set in each one: a
#: pooler hands every transaction to another session.
_LIMITS = {
    "datestyle": "'ISO'",
    "lock_timeout": "'5s'",
    "statement_timeout": "'10s'",
    "idle_in_transaction_session_timeout": "'60s'",
}
_IMPATIENT = "SET LOCAL lock_timeout = '100ms'"
_PATIENT = "SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0"

#: libpq's own settings, where the URL has none. The last one is psycopg's: a statement that was prepared is not there
#: in the next session that a pooler hands out.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "client_encoding": "utf8",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "prepare_threshold": None,
}
_SEVERAL_HOSTS = re.compile(r"(?P<scheme>[a-z+]+://)(?P<user>[^@/?]*@)?(?P<hosts>[^/?@]*,[^/?@]*)(?P<rest>[/?].*)?")


def postgresql_url(written: str) -> URL:
    """The URL as SQLAlchemy has it, of one that is written as libpq takes it: any scheme's name, several hosts."""
    written = re.sub(r"^postgres(?=(\+\w+)?://)", "postgresql", written)
    several = _SEVERAL_HOSTS.fullmatch(written)
    if several is None:
        return make_url(written)
    url = make_url(f"{several['scheme']}{several['user'] or ''}{several['rest'] or ''}")
    return url.update_query_pairs([("host", host) for host in several["hosts"].split(",")], append=True)


def arguments(url: URL) -> tuple[URL, dict[str, Any]]:
    """``url`` without what psycopg takes as an integer, and the arguments to connect with; raises ValueError."""
    connect = {name: value for name, value in _DEFAULTS.items() if name not in url.query}
    if str(url.query.get("client_encoding", "")).replace("_", "").lower() == "sqlascii":
        raise ValueError  # rows would hold bytes
    threshold = url.query.get("prepare_threshold")
    if threshold is not None:
        connect["prepare_threshold"] = int(str(threshold)) if str(threshold).lower() not in {"", "none"} else None
    return url.difference_update_query(["prepare_threshold"]), connect


def prepare(engine: Engine | AsyncEngine, trusted: float) -> None:
    """Lets ``engine`` open connections that are `limited`; what was heard ``trusted`` seconds ago needs no ping."""
    plain = engine if isinstance(engine, Engine) else engine.sync_engine
    limits = {"limits": _limits(plain.url), "lock_limit": _limits(plain.url, "lock_timeout")}
    kind: Any = type("_Own", (_Synchronous if plain is engine else _Asynchronous,), limits)

    def connect(_dialect: object, _record: object, args: list[Any], options: dict[str, Any]) -> Any:
        if plain is not engine:
            options["async_creator_fn"] = kind.connect
            return None
        return kind.connect(*args, **options)

    event.listen(plain, "do_connect", connect)
    ping = plain.dialect.do_ping

    def bounded_ping(connection: Any) -> bool:
        driver = getattr(connection, "driver_connection", connection)
        if time.monotonic() - getattr(driver, "heard_at", -inf) < trusted:
            return True
        with _within(driver, PING_SECONDS):
            return ping(connection)

    plain.dialect.do_ping = bounded_ping  # type: ignore[assignment, method-assign]


def limited(connection: Connection) -> None:
    """Holds the transaction on a connection of the application's own engine to the limits, too."""
    driver: Any = connection.connection.driver_connection
    if not isinstance(driver, _Limited):
        _executed(_client_cursor(driver), _limits(connection.engine.url))


@contextmanager
def impatiently(connection: Connection) -> Iterator[None]:
    """For a transaction in which others' work waits: one that meets a lock fails soon, and does its work elsewhere."""
    driver: Any = connection.connection.driver_connection
    if not isinstance(driver, _Limited):
        _executed(_client_cursor(driver), _IMPATIENT)
        yield
        return
    limits = driver.limits
    driver.limits = f"{limits}; {_IMPATIENT}"
    try:
        yield
    finally:
        driver.limits = limits


@contextmanager
def alone(driver: Any) -> Iterator[None]:
    """Lets each statement be a transaction by itself, held to the limits, in one round trip.

    Where it fails, the connection is left in that mode: throw it away.
    """
    factory = driver.cursor_factory
    driver.autocommit, driver.cursor_factory = True, _Alone
    yield
    driver.autocommit, driver.cursor_factory = False, factory


def one_trip(connection: Connection, statements: Sequence[tuple[str, tuple[Any, ...]]], *, commit: bool) -> list[int]:
    """Runs ``statements`` in one round trip, and returns how many rows each changed.

    A BEGIN that is due and the COMMIT go along. The values are quoted by libpq, and nothing is prepared.
    """
    driver: Any = connection.connection.driver_connection
    cursor = _client_cursor(driver)
    texts = [cursor.mogrify(*statement) for statement in statements]
    changed = []
    with driver.begun_by(texts) if isinstance(driver, _Limited) else nullcontext():
        _executed(cursor, "; ".join([*texts, "COMMIT"] if commit else texts))
    while True:
        changed.append(cursor.rowcount)
        if not cursor.nextset():
            break
    end = len(changed) - commit
    return changed[end - len(statements) : end]


@contextmanager
def patiently(connection: Connection) -> Iterator[None]:
    """For migrations, which rewrite whole tables."""
    connection.execute(text(_PATIENT))
    with _within(connection.connection.driver_connection, inf):
        yield


def _limits(url: URL, *names: str) -> str:
    """What a transaction begins with: the limits of these ``names``, but for those that the URL's own options set."""
    own = str(url.query.get("options", ""))
    return "; ".join(f"SET LOCAL {name} = {_LIMITS[name]}" for name in names or _LIMITS if name not in own)


def _client_cursor(driver: Any) -> Any:
    """One that prepares nothing, and takes several statements at once."""
    kind: Any = psycopg.AsyncClientCursor if isinstance(driver, psycopg.AsyncConnection) else psycopg.ClientCursor
    return kind(driver)


def _executed(cursor: Any, statements: str) -> None:
    done = cursor.execute(statements)
    if isinstance(cursor, psycopg.AsyncClientCursor):
        await_only(done)


class _Alone(psycopg.ClientCursor[Any]):
    """Sends the limit for locks with each statement: what is sent together is one transaction of the server's."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        limit = getattr(self.connection, "lock_limit", _Limited.lock_limit)
        super().execute(f"{limit}; {query}", params, **options)
        while self.nextset():
            pass  # to the rows of the last one
        return self


class _Limited:
    """A connection of psycopg that gives up on a server which does not answer; ``limits`` begin its transactions."""

    limits: str = _limits(URL.create("postgresql"))
    lock_limit: str = _limits(URL.create("postgresql"), "lock_timeout")
    seconds: float = ANSWER_SECONDS
    heard_at: float = -inf
    _is_begun: bool = False

    @contextmanager
    def begun_by(self, statements: list[str]) -> Iterator[None]:
        """Puts a BEGIN that is due at the head of ``statements``, which are sent within."""
        own: Any = self
        if own.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            statements[:0] = [own._get_tx_start_command().decode(), self.limits]  # noqa: SLF001
        self._is_begun = True
        try:
            yield
        finally:
            self._is_begun = False

    def _start_query(self) -> Generator[Any, Any, None]:
        """The limits go with the BEGIN, in one round trip; a test shows that psycopg still begins here."""
        own: Any = self
        if self._is_begun:
            return
        if own.autocommit or own.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE or own._pipeline:  # noqa: SLF001
            yield from super()._start_query()  # type: ignore[misc]
            return
        own.pgconn.send_query(own._get_tx_start_command() + b"; " + self.limits.encode())  # noqa: SLF001
        for result in (yield from psycopg.generators.execute(own.pgconn)):
            if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)

    def within(self, answering: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """What ``answering`` comes to; raises OperationalError once it has taken too long, and ends the connection."""
        deadline = time.monotonic() + self.seconds
        has_waited = False
        try:
            waited_for = next(answering)
            while True:
                ready = yield waited_for
                has_waited = True
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()  # type: ignore[attr-defined]
                    raise psycopg.OperationalError(f"no answer from the server within {self.seconds:g} seconds")
                waited_for = answering.send(ready)
        except StopIteration as stop:
            result: T = stop.value
            if has_waited:  # a rollback of nothing says nothing to the server
                self.heard_at = time.monotonic()
            return result


class _Synchronous(_Limited, psycopg.Connection[Any]):
    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        try:
            return super().wait(self.within(gen), *args, **options)
        except BaseException:  # a signal's too, such as a time limit's: what the server still does is nobody's
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.close()
            raise

    def rollback(self) -> None:
        """As psycopg's; of one that was closed the server has done so, and what closed it is the error to be told."""
        if not self.closed:
            super().rollback()


class _Asynchronous(_Limited, psycopg.AsyncConnection[Any]):
    async def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        return await super().wait(self.within(gen), *args, **options)


@contextmanager
def _within(driver: Any, seconds: float) -> Iterator[None]:
    before = getattr(driver, "seconds", ANSWER_SECONDS)
    if isinstance(driver, _Limited):
        driver.seconds = seconds
    try:
        yield
    finally:
        if isinstance(driver, _Limited):
            driver.seconds = before
