"""The store: what the checkout does with the rows of payments, for threads and for asyncio.

What is looked up and what is settled at one moment shares a statement and a commit: see `WriteQueue`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine

from payhub_core.ledger import batches, changes
from payhub_core.ledger.batches import Heard, LookUp
from payhub_core.ledger.connections import Connections, is_locked
from payhub_core.ledger.handling import AsyncHandler, Handler, called, check_not_handling, handling
from payhub_core.ledger.models import Transition
from payhub_core.ledger.rows import Row
from payhub_core.ledger.write_queue import LATER, Place, WriteQueue

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Store"]

T = TypeVar("T")

#: Seconds that a look-up waits behind writers, whose turn it can share, before it goes its own way.
_PATIENCE = 0.05


class Store:
    """The rows of a ledger's payments; a ``handler`` hears of transitions in the transaction that records them."""

    def __init__(self, url: str | Engine | AsyncEngine) -> None:
        self.connections: Connections = Connections(url, self._do_batch)

    def find(self, account: str, reference: str) -> Row | None:
        """The stored row; a duplicate callback costs no more than this."""
        return self.connections.alone(partial(changes.find, account=account, reference=reference))

    async def afind(self, account: str, reference: str) -> Row | None:
        """As `find`, by one statement for all that are asked for at once."""
        if not self.connections.has_threads:
            return await self.connections.aread(partial(changes.find, account=account, reference=reference))
        work, (queue, other) = LookUp(account, reference), self.connections.look_up_queues
        row = await self._ashare(queue, work, _PATIENCE if other else None)
        if row is LATER and other is not None:
            row = await self._ashare(other, work)
        found: Row | None = row
        return found

    def record(self, body: Callable[[Connection, changes.Handle | None], T], handler: Handler | None) -> T:
        """Runs ``body``, which hands transitions to the ``handler``, or leaves them in the outbox without one."""
        return self.connections.write(lambda connection: body(connection, _lent(handler, connection)))

    async def arecord(self, body: Callable[[Connection, changes.Handle | None], T], handler: AsyncHandler | None) -> T:
        """As `record`, with a ``handler`` that is awaited."""
        if handler is None:
            return await self.connections.awrite(lambda connection: body(connection, None))
        return await self.connections.awrite_handling(body, handler)

    def settle(self, row: Row, news: changes.News | changes.RefundNews, handler: Handler | None) -> Row:
        """Records ``news`` of the payment in ``row``; without a ``handler``, together with what others settle."""
        if handler is not None:
            return self.connections.write(
                lambda connection: changes.record(connection, row, news, _lent(handler, connection), commit=True),
                whole=True,
            )
        check_not_handling(self.connections.engine)
        new: Row | None = self.connections.queue.share(Heard(row, news))
        if new is not None:
            return new
        return self.record(lambda connection, handle: changes.record(connection, row, news, handle), None)

    async def asettle(self, row: Row, news: changes.News | changes.RefundNews, handler: AsyncHandler | None) -> Row:
        """As `settle`."""
        if handler is not None:
            return await self.connections.awrite_handling(
                lambda connection, handle: changes.record(connection, row, news, handle, commit=True),
                handler,
                whole=True,
            )
        new: Row | None = None
        if self.connections.has_threads:
            new = await self._ashare(self.connections.queue, Heard(row, news))
        if new is not None:
            return new
        return await self.arecord(lambda connection, handle: changes.record(connection, row, news, handle), None)

    async def _ashare(self, queue: WriteQueue, work: object, patience: float | None = None) -> Any:
        check_not_handling(self.connections.engine)
        return await queue.ashare(work, patience)

    def _look_up(self, places: Sequence[Place]) -> None:
        """Looks up what those in ``places`` ask for. One that fails fails no other, unless the database does."""
        works: list[Any] = [place.work for place in places]
        try:
            rows = self.connections.alone(partial(batches.find, look_ups=works))
        except Exception as error:
            if self.connections.is_to_blame(error):
                raise
            if len(places) == 1:
                places[0].done(None, error)
                return
            for place in places:
                self._look_up([place])
            return
        for place, row in zip(places, rows, strict=True):
            place.done(row)

    def _do_batch(self, places: Sequence[Place]) -> None:
        """The work of all that share a turn: the look-ups are answered before the commit, the records after it."""
        look_ups = [place for place in places if isinstance(place.work, LookUp)]
        heard = [place for place in places if isinstance(place.work, Heard)]
        try:
            if look_ups:
                self._look_up(look_ups)
            if heard:
                works: list[Any] = [place.work for place in heard]
                record = partial(batches.record, heard=works)
                for place, row in zip(heard, self.connections.write_now(record, whole=True), strict=True):
                    place.done(row)
        except Exception as error:
            # One of several may be to blame, unless the database is: then each is recorded alone. So is one that met a
            # lock, for which nobody else waits.
            alone = is_locked(error) or (len(heard) > 1 and not self.connections.is_to_blame(error))
            for place in places:
                if not place.is_done:
                    place.done(None, error=None if alone and isinstance(place.work, Heard) else error)


def _lent(handler: Handler | None, connection: Connection) -> changes.Handle | None:
    """Calls ``handler``, a plain function, in the transaction on ``connection``."""
    if handler is None:
        return None

    def handle(transition: Transition) -> object:
        with handling(connection.engine):
            return called(handler, transition, connection)

    return handle
