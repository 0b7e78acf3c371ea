"""The ledger: the durable memory of payments, in SQLite or PostgreSQL, for threads and for asyncio."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from payhub_core.errors import ConfigError, LedgerError
from payhub_core.ledger import changes, database
from payhub_core.ledger.lent import check_not_lent, lent
from payhub_core.ledger.models import StoredPayment, Transition
from payhub_core.ledger.rows import Row
from payhub_core.ledger.views import Views
from payhub_core.loops import PerLoop, running_loop

__all__ = ["Ledger"]

T = TypeVar("T")

_DRIVERS = {"pysqlite", "aiosqlite", "psycopg"}
_TRUSTED_SECONDS = 0.1  # a connection that has rested longer is asked whether it lives
_RESTING = 3  # far fewer than the pool holds, whose waiting threads never see those at rest
DEFAULT = "sqlite:///payhub.db"


class Ledger(Views):
    """Stored payments: a URL (``sqlite:///payhub.db``, ``postgresql://...``), or an engine of your own.

    ``Ledger(load_config(...).ledger)`` is the configured one; where none is, it raises ConfigError.

    A URL serves `Checkout` and `AsyncCheckout`, an engine only the one of its kind. It stays yours to dispose of, and
    on SQLite yours to configure: keep ``synchronous`` at FULL. Run `upgrade` once before first use.
    Safe to share between threads, and usable after a fork. Every failure of the database is a LedgerError.
    """

    def __init__(self, url: str | Engine | AsyncEngine | None = DEFAULT) -> None:
        if url is None:
            hint = f'set ledger = "{DEFAULT}" in the configuration, or PAYHUB_LEDGER'
            raise ConfigError("no ledger is configured", hint=hint)
        self._url = database.parse_url(url) if isinstance(url, str) else None
        self._engine = url if isinstance(url, Engine) else None
        self._async_engines: PerLoop[AsyncEngine] = PerLoop(self._opened)
        self._async_engine = url if isinstance(url, AsyncEngine) else None
        self._loop: Any = None
        given = self._engine or self._async_engine
        if given is not None and given.dialect.driver not in _DRIVERS:
            raise ConfigError(
                f"ledger: expected an engine of sqlite3, aiosqlite or psycopg, not of {given.dialect.driver}",
                hint="give the database's URL, and the ledger opens connections of its own",
            )
        if self._async_engine is not None:
            database.release_on_cancel(self._async_engine.sync_engine)
        self._owner = os.getpid()
        self._closed = False
        self._checked: set[str] = set()
        #: Connections at rest, which spare each use the pool's bookkeeping: it costs as much as the database does.
        self._resting: deque[tuple[Connection, float]] = deque()
        self._inherited: list[object] = []

    def upgrade(self) -> None:
        """Creates the tables or brings them to this version; does nothing where they are."""
        self._run(database.upgrade, write=True, check=False)

    async def aupgrade(self) -> None:
        """As `upgrade`."""
        await self._arun(database.upgrade, write=True, check=False)

    def write(self, body: Callable[[Connection], T]) -> T:
        """Runs ``body`` in one transaction, commits, and returns its result."""
        return self._run(body, write=True)

    async def awrite(self, body: Callable[[Connection], T]) -> T:
        """As `write`; ``body`` is a plain function all the same."""
        return await self._arun(body, write=True)

    def read(self, body: Callable[[Connection], T]) -> T:
        """Runs ``body``, which only reads."""
        return self._run(body, write=False)

    async def aread(self, body: Callable[[Connection], T]) -> T:
        """As `read`."""
        return await self._arun(body, write=False)

    def payment(self, account: str, reference: str) -> StoredPayment | None:
        """The stored payment, or None."""
        row = self._find(account, reference)
        return None if row is None else row.stored()

    async def apayment(self, account: str, reference: str) -> StoredPayment | None:
        """As `payment`."""
        row = await self._afind(account, reference)
        return None if row is None else row.stored()

    @property
    def engine(self) -> Engine:
        """The engine for threads; raises LedgerError once closed, ConfigError where only an AsyncEngine was given."""
        self._check_usable()
        if self._engine is None:
            if self._url is None:
                raise ConfigError("ledger: it was given an AsyncEngine", hint="use AsyncCheckout, or give it a URL")
            self._engine = database.sync_engine(self._url)
        return self._engine

    @property
    def async_engine(self) -> AsyncEngine:
        """The engine for asyncio; raises LedgerError once closed, ConfigError where only an Engine was given."""
        self._check_usable()
        if self._async_engine is None:
            if self._url is None:
                raise ConfigError("ledger: it was given an Engine", hint="use Checkout, or give it a URL")
            return self._async_engines.here()
        loop = running_loop()
        self._loop = self._loop or loop
        if loop is not None and loop is not self._loop and not isinstance(self._async_engine.pool, NullPool):
            raise ConfigError(
                "ledger: its AsyncEngine was used in another event loop, where its connections are",
                hint="give the ledger a URL, which serves every loop, or make an engine in each",
            )
        return self._async_engine

    def _opened(self) -> AsyncEngine:
        """An engine for the running loop."""
        assert self._url is not None  # noqa: S101  only a ledger with a URL comes here
        engine = database.async_engine(self._url)
        database.release_on_cancel(engine.sync_engine)
        return engine

    def close(self) -> None:
        """Closes the connections, unless the engine is yours."""
        self._closed = True
        self._drain()
        if self._url is not None and self._engine is not None:
            self._engine.dispose()

    async def aclose(self) -> None:
        """As `close`, with those of asyncio."""
        self.close()
        here = running_loop()
        for engine in self._async_engines.made:  # of another loop's nobody can wait for the end
            await engine.dispose(close=engine is self._async_engines.here() and here is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # The checkout's own ways in, which deal in rows.

    def _find(self, account: str, reference: str) -> Row | None:
        """The stored row; a duplicate callback costs no more than this."""
        if "sync" in self._checked:
            with suppress(LedgerError), self._connected() as connection:
                return database.alone(connection, partial(changes.find, account=account, reference=reference))
        # The first time; or the connection has gone stale, or there is a fault: this way tells which.
        return self.read(partial(changes.find, account=account, reference=reference))

    async def _afind(self, account: str, reference: str) -> Row | None:
        """As `_find`."""
        return await self.aread(partial(changes.find, account=account, reference=reference))

    async def _awrite_handling(
        self,
        body: Callable[[Connection, Callable[[Transition], object] | None], T],
        handler: Callable[[Transition, AsyncConnection], Awaitable[object]] | None,
    ) -> T:
        """`awrite`, for a body that calls an async ``handler`` with transitions, in its transaction."""
        async with self._aconnected() as outer:

            async def handled(transition: Transition) -> object:
                with lent(outer.engine.sync_engine):
                    return handler and await handler(transition, outer)

            def handle(transition: Transition) -> object:
                return await_only(handled(transition))

            called = None if handler is None else handle
            checked = self._checked_first(lambda connection: body(connection, called), "async")
            return await outer.run_sync(database.atomically, checked)

    def _run(self, body: Callable[[Connection], T], *, write: bool, check: bool = True) -> T:
        with self._connected() as connection:
            return database.atomically(connection, self._checked_first(body, "sync", check=check), write=write)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection, kept for the next use unless something fails; an engine of the application's keeps its own."""
        engine = self.engine
        check_not_lent(engine)
        try:
            connection = self._rested() or engine.connect()
            try:
                yield connection
            except BaseException:
                database.discard(connection)
                self._drain()  # those at rest may be as stale as this one
                raise
            if self._url is not None and not self._closed and len(self._resting) < _RESTING:
                self._resting.append((connection, time.monotonic()))
            else:
                connection.close()
        except _failures(engine) as error:
            raise _ledger_error(error) from error

    def _rested(self) -> Connection | None:
        try:
            connection, since = self._resting.pop()
        except IndexError:
            return None
        if time.monotonic() - since < _TRUSTED_SECONDS or database.alive(connection):
            return connection
        database.discard(connection)
        self._drain()
        return None

    def _drain(self) -> None:
        with suppress(IndexError):
            while True:
                self._resting.pop()[0].close()

    async def _arun(self, body: Callable[[Connection], T], *, write: bool, check: bool = True) -> T:
        async with self._aconnected() as connection:
            checked = self._checked_first(body, "async", check=check)
            return await connection.run_sync(database.atomically, checked, write=write)

    @asynccontextmanager
    async def _aconnected(self) -> AsyncIterator[AsyncConnection]:
        engine = self.async_engine
        check_not_lent(engine.sync_engine)
        try:
            async with engine.connect() as connection:
                yield connection
        except _failures(engine.sync_engine) as error:
            raise _ledger_error(error) from error

    def _checked_first(
        self, body: Callable[[Connection], T], kind: str, *, check: bool = True
    ) -> Callable[[Connection], T]:
        """``body``, before which the schema's version is checked the first time."""
        if not check or kind in self._checked:
            return body

        def checked(connection: Connection) -> T:
            database.check_schema(connection)
            self._checked.add(kind)
            return body(connection)

        return checked

    def _check_usable(self) -> None:
        if self._closed:
            raise LedgerError("this ledger is closed", hint="open a new one, or close it later")
        if self._owner != os.getpid():
            # After a fork the connections are the parent's: left alone, neither used nor closed.
            self._owner = os.getpid()
            self._inherited.append(self._resting)
            self._resting = deque()
            if self._engine is not None and self._url is not None:
                self._engine.dispose(close=False)
            for async_engine in self._async_engines.made:
                async_engine.sync_engine.dispose(close=False)


def _failures(engine: Engine) -> tuple[type[Exception], ...]:
    return SQLAlchemyError, engine.dialect.loaded_dbapi.Error, OSError


def _ledger_error(error: Exception) -> LedgerError:
    """The driver's failure in payhub's words."""
    origin = getattr(error, "orig", None) or error
    reason = ""
    with suppress(Exception):  # the first line only: what follows may quote rows
        reason = str(origin).splitlines()[0][:200]
    return LedgerError(
        f"the database failed: {type(origin).__name__}{': ' if reason else ''}{reason}",
        hint="nothing was changed; see that the database can be reached and written",
    )
