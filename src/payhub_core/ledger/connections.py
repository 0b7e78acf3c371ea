"""The ledger's connections: opened when they are needed, kept at rest, each use one transaction."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from payhub_core.errors import ConfigError, LedgerError
from payhub_core.ledger import database, sql
from payhub_core.ledger.handling import AsyncHandler, acalled, check_not_handling, handling
from payhub_core.ledger.models import Transition
from payhub_core.ledger.write_queue import Place, WriteQueue
from payhub_core.loops import PerLoop, running_loop

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["Connections", "is_locked"]

T = TypeVar("T")

#: In which a text that cannot be encoded, or a type that cannot be read, is no mistake of their user's.
_PACKAGES = {"aiosqlite", "psycopg", "psycopg_binary", "psycopg_c", "sqlalchemy"}
_DRIVERS = {"pysqlite", "aiosqlite", "psycopg"}
#: PostgreSQL's codes for a lock and for a statement that took too long.
_WAITED_ENOUGH = {"55P03", "57014"}


class Connections:
    """Those to the database of a URL, for threads and for asyncio, or those of an engine of the application's.

    ``do_batch`` does work that is shared: see `WriteQueue`.
    """

    def __init__(self, url: str | Engine | AsyncEngine, do_batch: Callable[[Sequence[Place]], None]) -> None:
        if not isinstance(url, str | Engine) and not database.is_async(url):
            raise ConfigError(f"ledger: expected a database URL or an engine, not {type(url).__name__}")
        self._url = database.parse_url(url) if isinstance(url, str) else None
        self._engine = url if isinstance(url, Engine) else None
        self._opened: PerLoop[_Opened] = PerLoop(self._open, _shut)
        self._async_engine = url if database.is_async(url) else None
        self._loop: Any = None
        given = self._engine or self._async_engine
        if given is not None and given.dialect.driver not in _DRIVERS:
            raise ConfigError(
                f"ledger: expected an engine of sqlite3, aiosqlite or psycopg, not of {given.dialect.driver}",
                hint="give the database's URL, and the ledger opens connections of its own",
            )
        if self._async_engine is not None:
            database.release_on_cancel(self._async_engine.sync_engine)
        #: Where one writes at a time.
        self._lite = (given.url if given is not None else self._url).get_backend_name() == "sqlite"  # type: ignore[union-attr]
        self._owner = os.getpid()
        self._closed = False
        self._checked: set[str] = set()
        #: Connections at rest, which spare each use the pool's bookkeeping: it costs as much as the database does.
        self.resting: deque[tuple[Connection, float]] = deque()
        self._inherited: list[object] = []
        self._do_batch = do_batch
        self._queue = WriteQueue(do_batch)
        #: On SQLite readers need wait for no writer, nor for its handler.
        self._readers_queue = WriteQueue(do_batch) if self._lite else None

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
            return self._opened.here().engine
        loop = running_loop()
        self._loop = self._loop or loop
        if loop is not None and loop is not self._loop and not isinstance(self._async_engine.pool, NullPool):
            raise ConfigError(
                "ledger: its AsyncEngine was used in another event loop, where its connections are",
                hint="give the ledger a URL, which serves every loop, or make an engine in each",
            )
        return self._async_engine

    @property
    def queue(self) -> WriteQueue:
        """The queue of those who write; raises LedgerError once closed."""
        self._check_usable()
        return self._queue

    @property
    def look_up_queues(self) -> tuple[WriteQueue, WriteQueue | None]:
        """Where tasks look up: with the writers, and on SQLite apart from them; raises LedgerError once closed."""
        self._check_usable()
        return self._queue, self._readers_queue

    @property
    def has_threads(self) -> bool:
        """Whether tasks may let their work be done in a thread: not over an AsyncEngine of the application's."""
        return self._url is not None

    def read(self, body: Callable[[Connection], T]) -> T:
        """Runs ``body``, which only reads, in one transaction."""
        with self.connected() as connection:
            return database.atomically(connection, self._checked_first(body, "sync"), write=False)

    def write(self, body: Callable[[Connection], T], *, whole: bool = False) -> T:
        """Runs ``body`` in one transaction, and commits; ``whole`` is as in `database.atomically`."""
        with self._turn():
            return self.write_now(body, whole=whole)

    def write_now(self, body: Callable[[Connection], T], *, whole: bool) -> T:
        """As `write`, for one whose turn it is."""
        with self.connected() as connection:
            return database.atomically(connection, self._checked_first(body, "sync"), whole=whole)

    def upgrade(self, body: Callable[[Connection], T]) -> T:
        """As `write`, for a ``body`` that makes the tables, in a file that is made first where there is none."""
        self._create()
        with self._turn(), self.connected() as connection:
            return database.atomically(connection, body)

    def alone(self, body: Callable[[Connection], T]) -> T:
        """Runs ``body``, a single reading statement, as cheaply as can be."""
        if "sync" in self._checked:
            try:
                with self.connected() as connection:
                    return database.alone(connection, body)
            except LedgerError as error:
                if is_locked(error):
                    raise
        # The first time; or the connection has gone stale, or there is a fault: this way tells which.
        return self.read(body)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection, kept for the next use unless something fails; an engine of the application's keeps its own."""
        engine = self.engine
        check_not_handling(engine)
        try:
            connection = self._rested() or engine.connect()
            try:
                yield connection
            except BaseException:
                database.discard(connection)
                self._drain()  # those at rest may be as stale as this one
                raise
            if self._may_rest(engine):
                self.resting.append((connection, time.monotonic()))
            else:
                connection.close()
        except Exception as error:
            if not _is_failure(error, engine):
                raise
            raise _ledger_error(error, engine) from error

    async def aread(self, body: Callable[[Connection], T]) -> T:
        """As `read`."""
        async with self._aconnected(write=False) as connection:
            return await connection.run_sync(database.atomically, self._checked_first(body, "async"), write=False)

    async def awrite(self, body: Callable[[Connection], T]) -> T:
        """As `write`."""
        async with self._aconnected(write=True) as connection:
            return await connection.run_sync(database.atomically, self._checked_first(body, "async"))

    async def aupgrade(self, body: Callable[[Connection], T]) -> T:
        """As `upgrade`."""
        self._create()
        async with self._aconnected(write=True) as connection:
            return await connection.run_sync(database.atomically, body)

    async def awrite_handling(
        self,
        body: Callable[[Connection, Callable[[Transition], object]], T],
        handler: AsyncHandler,
        *,
        whole: bool = False,
    ) -> T:
        """`awrite`, for a body that calls an async ``handler`` with transitions, in its transaction."""
        async with self._aconnected(write=True) as outer:

            async def handled(transition: Transition) -> object:
                with handling(outer.engine.sync_engine):
                    return await acalled(handler, transition, outer)

            def handle(transition: Transition) -> object:
                return await_only(handled(transition))

            checked = self._checked_first(lambda connection: body(connection, handle), "async")
            return await outer.run_sync(database.atomically, checked, whole=whole)

    def is_to_blame(self, error: Exception) -> bool:
        """Whether the database failed, rather than what was written to it; the hot paths raise its driver's errors."""
        if self._engine is None:
            return False
        driver = self._engine.dialect.loaded_dbapi
        return isinstance(error.__cause__, (OperationalError, driver.OperationalError, driver.InterfaceError, OSError))

    def close(self) -> None:
        """Closes them, unless the engine is the application's."""
        self._closed = True
        self._drain()
        self._queue.thread.shutdown(wait=False)
        if self._readers_queue is not None:
            self._readers_queue.thread.shutdown(wait=False)
        if self._url is not None and self._engine is not None:
            self._engine.dispose()

    async def aclose(self) -> None:
        """As `close`, with those of asyncio."""
        self.close()
        await self._opened.aclose()
        for opened in self._opened.made:  # of another loop's nobody can wait for the end
            await opened.engine.dispose(close=False)

    def _open(self) -> _Opened:
        """An engine for the running loop."""
        assert self._url is not None  # noqa: S101  only a ledger with a URL comes here
        engine = database.async_engine(self._url)
        database.release_on_cancel(engine.sync_engine)
        return _Opened(engine)

    def _rested(self) -> Connection | None:
        try:
            connection, since = self.resting.pop()
        except IndexError:
            return None
        if time.monotonic() - since < database.TRUSTED_SECONDS or database.alive(connection):
            return connection
        database.discard(connection)
        self._drain()
        return None

    async def _arested(self) -> AsyncConnection | None:
        if self._url is None:
            return None
        opened = self._opened.here()
        try:
            connection, since = opened.resting.pop()
        except IndexError:
            return None
        if time.monotonic() - since < database.TRUSTED_SECONDS:
            return connection
        await connection.close()  # to the pool, which asks those that it hands out
        await opened.drain()
        return None

    def _may_rest(self, engine: Engine) -> bool:
        """Not where others may wait for the pool, which never sees those at rest."""
        pool: Any = engine.pool
        return self._url is not None and not self._closed and pool.checkedout() <= database.KEPT

    def _drain(self) -> None:
        with suppress(IndexError):
            while True:
                self.resting.pop()[0].close()

    @asynccontextmanager
    async def _aconnected(self, *, write: bool) -> AsyncIterator[AsyncConnection]:
        engine = self.async_engine
        check_not_handling(engine.sync_engine)
        try:
            async with AsyncExitStack() as stack:
                # The connection first: getting one, and giving it back, takes nobody's turn.
                connection = await self._arested()
                if connection is None:
                    connection = await stack.enter_async_context(engine.connect())
                else:
                    stack.push_async_exit(connection)
                async with self._queue.aalone() if write and self._lite else nullcontext():
                    yield connection
                if self._may_rest(engine.sync_engine):
                    stack.pop_all()
                    self._opened.here().resting.append((connection, time.monotonic()))
        except Exception as error:
            if not _is_failure(error, engine.sync_engine):
                raise
            raise _ledger_error(error, engine.sync_engine) from error

    def _turn(self) -> AbstractContextManager[None]:
        """The turn to write; outside a handler, whose own turn it would wait for."""
        check_not_handling(self.engine)
        return self._queue.alone() if self._lite else nullcontext()

    def _create(self) -> None:
        """Makes the file of a URL's new database, where it is one."""
        self._check_usable()
        if self._url is not None:
            database.create(self._url)

    def _checked_first(self, body: Callable[[Connection], T], kind: str) -> Callable[[Connection], T]:
        """``body``, before which the schema's version is checked the first time."""
        if kind in self._checked:
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
            self._inherited += (self.resting, self._opened)
            for opened in self._opened.made:
                opened.engine.sync_engine.dispose(close=False)
            self.resting = deque()
            self._opened = PerLoop(self._open, _shut)
            self._queue = WriteQueue(self._do_batch)
            self._readers_queue = WriteQueue(self._do_batch) if self._lite else None
            if self._engine is not None and self._url is not None:
                self._engine.dispose(close=False)


def is_locked(error: Exception) -> bool:
    """Whether PostgreSQL gave up waiting: for a lock, or for a statement that took too long."""
    return getattr(error.__cause__, "sqlstate", None) in _WAITED_ENOUGH


class _Opened:
    """What is open in one event loop; ``resting`` as that of `Connections`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.resting: deque[tuple[AsyncConnection, float]] = deque()

    async def drain(self) -> None:
        """Gives those at rest back to the pool."""
        while self.resting:
            await self.resting.pop()[0].close()


async def _shut(opened: _Opened) -> None:
    await opened.drain()
    await opened.engine.dispose()


def _is_failure(error: Exception, engine: Engine) -> bool:
    """Whether the database, its driver or SQLAlchemy failed, rather than who uses them."""
    if isinstance(error, SQLAlchemyError | engine.dialect.loaded_dbapi.Error | OSError):
        return True
    trace = error.__traceback__
    if not isinstance(error, UnicodeError | TypeError | NotImplementedError) or trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "")
    return module == sql.__name__ or module.partition(".")[0] in _PACKAGES


def _ledger_error(error: Exception, engine: Engine) -> LedgerError:
    """The driver's failure in payhub's words."""
    origin = getattr(error, "orig", None) or error
    reason = ""
    with suppress(Exception):  # the first line only: what follows may quote rows
        reason = str(origin).splitlines()[0][:200]
    needed = "the database can be reached and written"
    if "unable to open" in reason:
        needed = "the file may be read and written"
    elif "is locked" in reason:
        needed = "no other connection keeps a transaction open, such as your own around this call"
    return LedgerError(
        f"{database.called(engine.url)} failed: {type(origin).__name__}{': ' if reason else ''}{reason}",
        hint=f"nothing was changed; see that {needed}",
    )
