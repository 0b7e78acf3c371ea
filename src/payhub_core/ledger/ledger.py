"""The ledger: the durable memory of payments, in SQLite or PostgreSQL, for threads and for asyncio."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from sqlalchemy import Connection, Engine

from payhub_core.errors import ConfigError
from payhub_core.ledger import database
from payhub_core.ledger.handling import watch_orm
from payhub_core.ledger.models import StoredPayment
from payhub_core.ledger.store import Store
from payhub_core.ledger.views import Views

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Ledger", "store_of"]

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
        self._store = Store(url)
        self._connections = self._store.connections
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
        row = self._store.find(account, reference)
        return None if row is None else row.stored()

    async def apayment(self, account: str, reference: str) -> StoredPayment | None:
        """As `payment`."""
        row = await self._store.afind(account, reference)
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


def store_of(ledger: Ledger) -> Store:
    """The rows of ``ledger``, which are nobody's but the checkout's."""
    return ledger._store  # noqa: SLF001  so that a ledger offers an application no rows


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
