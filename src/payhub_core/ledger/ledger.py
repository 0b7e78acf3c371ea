"""The ledger: the durable memory of payments, in SQLite or PostgreSQL, for threads and for asyncio."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from sqlalchemy import Connection, Engine

from payhub_core.errors import ConfigError
from payhub_core.ledger import anomalies, database, health, history, outbox, queries, schedule, verdicts
from payhub_core.ledger.facts import AnomalyKind
from payhub_core.ledger.handling import has_run, watch_orm
from payhub_core.ledger.health import Health
from payhub_core.ledger.models import Observation, StoredAnomaly, StoredPayment, Total, Transition
from payhub_core.ledger.queries import Wanted
from payhub_core.ledger.store import Store
from payhub_core.models import RefundStatus

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Ledger", "store_of"]

T = TypeVar("T")

DEFAULT = "sqlite:///payhub.db"


class Ledger:
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
        return self._connections.upgrade(database.upgrade)

    async def aupgrade(self) -> str:
        """As `upgrade`."""
        return await self._connections.aupgrade(database.upgrade)

    def write(self, body: Callable[[Connection], T]) -> T:
        """Runs ``body`` in one transaction, commits, and returns its result."""
        return self._connections.write(_plain(body))

    async def awrite(self, body: Callable[[Connection], T]) -> T:
        """As `write`; ``body`` is a plain function all the same."""
        return await self._connections.awrite(_plain(body))

    def read(self, body: Callable[[Connection], T]) -> T:
        """Runs ``body``, which only reads."""
        return self._connections.read(_plain(body))

    async def aread(self, body: Callable[[Connection], T]) -> T:
        """As `read`."""
        return await self._connections.aread(_plain(body))

    def payment(self, account: str, reference: str) -> StoredPayment | None:
        """The stored payment, or None."""
        row = self._store.find(account, reference)
        return None if row is None else row.stored()

    async def apayment(self, account: str, reference: str) -> StoredPayment | None:
        """As `payment`."""
        row = await self._store.afind(account, reference)
        return None if row is None else row.stored()

    def payments(self, *, limit: int = 100, **wanted: Unpack[Wanted]) -> list[StoredPayment]:
        """The newest payments, newest first, of those that are ``wanted``: all of them, if nothing is said.

        ``account``, ``status`` and ``creation`` are theirs; ``since`` and ``until`` say when they were started, the one
        included, the other not; ``unsettled`` ones are still asked about; ``stuck`` ones have been *starting* or
        *unknown* for a quarter of an hour; ``text`` is in their reference, or in a number that the gateway gave.
        """
        return self.read(partial(queries.list_payments, limit=limit, **wanted))

    async def apayments(self, *, limit: int = 100, **wanted: Unpack[Wanted]) -> list[StoredPayment]:
        """As `payments`."""
        return await self.aread(partial(queries.list_payments, limit=limit, **wanted))

    def totals(self, **wanted: Unpack[Wanted]) -> list[Total]:
        """How many payments are ``wanted`` and about which sums, by status, creation and currency."""
        return self.read(partial(queries.totals, **wanted))

    async def atotals(self, **wanted: Unpack[Wanted]) -> list[Total]:
        """As `totals`."""
        return await self.aread(partial(queries.totals, **wanted))

    def accounts(self) -> list[str]:
        """The accounts that orders were started at, by name."""
        return self.read(queries.accounts)

    async def aaccounts(self) -> list[str]:
        """As `accounts`."""
        return await self.aread(queries.accounts)

    def retire(self, account: str) -> int:
        """Stops asking about the payments of ``account``, for one that is gone; returns how many were unsettled.

        They stay as they are, and a notify that is heard after all still settles.
        """
        return self.write(partial(schedule.retire, account=account))

    async def aretire(self, account: str) -> int:
        """As `retire`."""
        return await self.awrite(partial(schedule.retire, account=account))

    def anomalies(
        self,
        *,
        account: str | None = None,
        kind: AnomalyKind | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        resolved: bool = False,
        limit: int = 100,
    ) -> list[StoredAnomaly]:
        """What is odd about the payments and open, found out last first; with ``resolved`` what is not open, too."""
        asked = partial(anomalies.anomalies, account=account, kind=kind, since=since, until=until)
        return self.read(partial(asked, resolved=resolved, limit=limit))

    async def aanomalies(
        self,
        *,
        account: str | None = None,
        kind: AnomalyKind | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        resolved: bool = False,
        limit: int = 100,
    ) -> list[StoredAnomaly]:
        """As `anomalies`."""
        asked = partial(anomalies.anomalies, account=account, kind=kind, since=since, until=until)
        return await self.aread(partial(asked, resolved=resolved, limit=limit))

    def anomalies_of(self, account: str, reference: str) -> list[StoredAnomaly]:
        """What is odd about one payment, resolved or not, oldest first."""
        return self.read(partial(anomalies.anomalies_of, account=account, reference=reference))

    async def aanomalies_of(self, account: str, reference: str) -> list[StoredAnomaly]:
        """As `anomalies_of`."""
        return await self.aread(partial(anomalies.anomalies_of, account=account, reference=reference))

    def resolve(self, account: str, reference: str, name: str | None = None, *, by: str, reason: str) -> int:
        """Notes that a person has seen to a payment's open anomalies, or to the one of that ``name``.

        Returns to how many. Raises InvalidOrder where ``by`` or ``reason`` is empty.
        """
        noted = partial(anomalies.resolve, account=account, reference=reference, name=name)
        return self.write(partial(noted, by=by, reason=reason))

    async def aresolve(self, account: str, reference: str, name: str | None = None, *, by: str, reason: str) -> int:
        """As `resolve`."""
        noted = partial(anomalies.resolve, account=account, reference=reference, name=name)
        return await self.awrite(partial(noted, by=by, reason=reason))

    def settle_refund(
        self, account: str, reference: str, refund_reference: str, status: RefundStatus, *, by: str, reason: str
    ) -> StoredPayment:
        """Records what a person has found out of a refund whose end the gateway does not tell; sends nothing.

        ``status`` is REFUNDED where it went back, FAILED where it came to nothing. What becomes true by it waits in the
        outbox. Raises InvalidOrder where ``by`` or ``reason`` is empty, where there is no such refund or its end is
        known, for REFUNDED where more would have gone back than was received, and for FAILED within a quarter of an
        hour of its last try.
        """
        settled = partial(verdicts.settle_refund, account=account, reference=reference, by=by, reason=reason)
        return self.write(partial(settled, refund_reference=refund_reference, status=status))

    async def asettle_refund(
        self, account: str, reference: str, refund_reference: str, status: RefundStatus, *, by: str, reason: str
    ) -> StoredPayment:
        """As `settle_refund`."""
        settled = partial(verdicts.settle_refund, account=account, reference=reference, by=by, reason=reason)
        return await self.awrite(partial(settled, refund_reference=refund_reference, status=status))

    def history(self, account: str, reference: str) -> list[Observation]:
        """What was heard and done about one payment, oldest first."""
        return self.read(partial(history.history, account=account, reference=reference))

    async def ahistory(self, account: str, reference: str) -> list[Observation]:
        """As `history`."""
        return await self.aread(partial(history.history, account=account, reference=reference))

    def outbox(self, *, limit: int = 100) -> list[Transition]:
        """The transitions that no handler has had, oldest first; `Checkout.deliver` hands them out."""
        return self.read(partial(outbox.waiting, limit=limit))

    async def aoutbox(self, *, limit: int = 100) -> list[Transition]:
        """As `outbox`."""
        return await self.aread(partial(outbox.waiting, limit=limit))

    def transitions_of(self, account: str, reference: str) -> list[Transition]:
        """What became true of one payment, oldest first, and whether a handler has had it."""
        return self.read(partial(outbox.transitions_of, account=account, reference=reference))

    async def atransitions_of(self, account: str, reference: str) -> list[Transition]:
        """As `transitions_of`."""
        return await self.aread(partial(outbox.transitions_of, account=account, reference=reference))

    def health(self) -> Health:
        """The figures of a health page, and in ``findings`` what a person should look at; a sound ledger has none."""
        return self.read(health.health)

    async def ahealth(self) -> Health:
        """As `health`."""
        return await self.aread(health.health)

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
        if not has_run(result):
            raise ConfigError(
                "this body is async or a generator, and is called as a plain function: none of it would run",
                hint="write it as a plain function of a Connection, for awrite and aread too",
            )
        return result

    return run
