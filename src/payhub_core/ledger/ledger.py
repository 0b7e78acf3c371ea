"""The ledger: the durable memory of payments, in SQLite or PostgreSQL, for threads and for asyncio."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy import Connection, Engine

from payhub_core.errors import ConfigError
from payhub_core.ledger import batches, changes, database
from payhub_core.ledger.batches import Heard, Wanted
from payhub_core.ledger.connections import Connections
from payhub_core.ledger.handling import check_not_handling, watch_orm
from payhub_core.ledger.models import StoredPayment, Transition
from payhub_core.ledger.rows import Row
from payhub_core.ledger.views import Views
from payhub_core.ledger.write_queue import Place

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["Ledger"]

T = TypeVar("T")

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
        self._connections = Connections(url, self._do_batch)
        watch_orm()

    def upgrade(self) -> str:
        """Creates the tables or brings them to this version; returns the one they had, "" where there were none."""
        self._connections.create()
        return self._connections.run(database.upgrade, write=True, check=False)

    async def aupgrade(self) -> str:
        """As `upgrade`."""
        self._connections.create()
        return await self._connections.arun(database.upgrade, write=True, check=False)

    def write(self, body: Callable[[Connection], T]) -> T:
        """Runs ``body`` in one transaction, commits, and returns its result."""
        return self._connections.run(_plain(body), write=True)

    async def awrite(self, body: Callable[[Connection], T]) -> T:
        """As `write`; ``body`` is a plain function all the same."""
        return await self._connections.arun(_plain(body), write=True)

    def read(self, body: Callable[[Connection], T]) -> T:
        """Runs ``body``, which only reads."""
        return self._connections.run(_plain(body), write=False)

    async def aread(self, body: Callable[[Connection], T]) -> T:
        """As `read`."""
        return await self._connections.arun(_plain(body), write=False)

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
        return self._connections.engine

    @property
    def async_engine(self) -> AsyncEngine:
        """The engine for asyncio; raises LedgerError once closed, ConfigError where only an Engine was given."""
        return self._connections.async_engine

    def close(self) -> None:
        """Closes the connections, unless the engine is yours."""
        self._connections.close()

    async def aclose(self) -> None:
        """As `close`, with those of asyncio."""
        await self._connections.aclose()

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
        return self._connections.alone(partial(changes.find, account=account, reference=reference))

    async def _afind(self, account: str, reference: str) -> Row | None:
        """As `_find`, by one statement for all that are asked for at once."""
        if not self._connections.has_threads:
            return await self.aread(partial(changes.find, account=account, reference=reference))
        row: Row | None = await self._ashare(Wanted(account, reference))
        return row

    def _settle(self, row: Row, news: changes.News | changes.RefundNews) -> Row:
        """Records ``news`` for the outbox, in one transaction with what else is heard at the moment."""
        check_not_handling(self.engine)
        new: Row | None = self._connections.queue.share(Heard(row, news))
        return self.write(lambda connection: changes.record(connection, row, news, None)) if new is None else new

    async def _asettle(self, row: Row, news: changes.News | changes.RefundNews) -> Row:
        """As `_settle`."""
        if not self._connections.has_threads:
            return await self.awrite(lambda connection: changes.record(connection, row, news, None))
        new: Row | None = await self._ashare(Heard(row, news))
        if new is not None:
            return new
        return await self.awrite(lambda connection: changes.record(connection, row, news, None))

    def _write_handling(self, body: Callable[[Connection], T]) -> T:
        """`write`, for a body that is the whole of its transaction."""
        return self._connections.run(body, write=True, whole=True)

    async def _awrite_handling(
        self,
        body: Callable[[Connection, Callable[[Transition], object]], T],
        handler: Callable[[Transition, AsyncConnection], Awaitable[object]],
        *,
        whole: bool = False,
    ) -> T:
        """`awrite`, for a body that calls an async ``handler`` with transitions, in its transaction."""
        return await self._connections.arun_handling(body, handler, whole=whole)

    async def _ashare(self, work: object) -> Any:
        queue = self._connections.queue
        check_not_handling(self.engine)
        return await queue.ashare(work)

    def _look_up(self, wanted: Sequence[Place]) -> None:
        """Answers those who want to know a payment; where not the database is to blame, but one of them, it alone."""
        works: list[Any] = [place.work for place in wanted]
        try:
            rows = self._connections.alone(partial(batches.find, wanted=works))
        except Exception as error:
            if self._connections.is_to_blame(error):
                raise
            if len(wanted) == 1:
                wanted[0].done(None, error)
                return
            for place in wanted:
                self._look_up([place])
            return
        for place, row in zip(wanted, rows, strict=True):
            place.done(row)

    def _do_batch(self, places: Sequence[Place]) -> None:
        """The work of all that share a turn: the look-ups are answered before the commit, the records after it."""
        wanted = [place for place in places if isinstance(place.work, Wanted)]
        heard = [place for place in places if isinstance(place.work, Heard)]
        try:
            if wanted:
                self._look_up(wanted)
            if heard:
                works: list[Any] = [place.work for place in heard]
                record = partial(batches.record, heard=works)
                for place, row in zip(heard, self._connections.run_now(record, write=True, whole=True), strict=True):
                    place.done(row)
        except Exception as error:
            # One of several may be to blame, unless the database is: then each is recorded alone.
            alone = len(heard) > 1 and not self._connections.is_to_blame(error)
            for place in places:
                if not place.is_done:
                    place.done(None, error=None if alone and isinstance(place.work, Heard) else error)


def _plain(body: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """``body``, which rolls back and raises ConfigError where it is async or a generator: none of it would run."""

    def run(connection: Connection) -> T:
        result = body(connection)
        if inspect.isawaitable(result) or inspect.isgenerator(result):
            result.close() if inspect.iscoroutine(result) or inspect.isgenerator(result) else None
            raise ConfigError(
                "this body is async or a generator, and is called as a plain function: none of it would run",
                hint="write it as a plain function of a Connection, for awrite and aread too",
            )
        return result

    return run
