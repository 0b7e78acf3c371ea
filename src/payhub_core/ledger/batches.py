"""What several callbacks do together: looked up by one statement, recorded in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from payhub_core.errors import LedgerError
from payhub_core.ledger import changes, outbox
from payhub_core.ledger.orders import can_be_stored
from payhub_core.ledger.rows import Row
from payhub_core.ledger.sql import ADD_OBSERVATION, ADD_TRANSITION, CHANGE, begin, find_several, lock_several

__all__ = ["Heard", "LookUp", "find", "record"]


class LookUp(NamedTuple):
    """A payment to look up."""

    account: str
    reference: str


class Heard(NamedTuple):
    """News to record, of the payment that ``row`` was."""

    row: Row
    news: changes.News | changes.RefundNews


def find(connection: Connection, look_ups: Sequence[LookUp]) -> list[Row | None]:
    """The stored payments, each None where there is none."""
    if len(look_ups) == 1 or connection.dialect.name == "sqlite":
        return [changes.find(connection, *it) for it in look_ups]
    fit = [it for it in look_ups if can_be_stored(it.reference)]
    rows = {(row.account, row.reference): row for row in find_several(connection, fit)} if fit else {}
    return [rows.get(it) for it in look_ups]


def record(connection: Connection, heard: Sequence[Heard]) -> list[Row | None]:
    """Records all of it for the outbox, in this transaction; None for what has to be recorded alone.

    That is the second message about one payment, and one about a payment that another transaction is changing: nobody
    waits for that. Raises what a single one raises: roll back, and record each alone.
    """
    if len(heard) == 1:
        with _impatiently(connection):
            return [changes.record(connection, *heard[0], None, commit=True)]
    begin(connection)
    now = datetime.now(UTC)
    rows = {row.id: row for row in _locked(connection, heard)}
    results: list[Row | None] = []
    changed: list[Any] = []
    added: list[Any] = []
    observed: list[Any] = []
    for row, news in heard:
        fresh = rows.pop(row.id, None)
        if fresh is None:
            results.append(None)
            continue
        merged = changes.merge(fresh, news, now)
        results.append(merged.row)
        changed.append(CHANGE.values_of(merged.row))
        added += (outbox.values(merged.row, *it, now, handled=False) for it in merged.became_true)
        changes.resolve_what_passed(connection, merged)
        if merged.says_something:
            observed.append(changes.observation(merged.row, news, now))
    if CHANGE.many(connection, changed) < len(changed):
        raise LedgerError("rows that were locked have changed", hint="nothing was changed; the gateway sends it again")
    ADD_OBSERVATION.many(connection, observed)
    ADD_TRANSITION.many(connection, added)
    return results


def _impatiently(connection: Connection) -> AbstractContextManager[None]:
    if connection.dialect.name == "sqlite":
        return nullcontext()
    from payhub_core.ledger.postgresql import impatiently  # noqa: PLC0415  only where psycopg is needed

    return impatiently(connection)


def _locked(connection: Connection, heard: Iterable[Heard]) -> list[Row]:
    if connection.dialect.name == "sqlite":  # where a writer is the only one
        return [changes.again(connection, row) for row in {row.id: row for row, _ in heard}.values()]
    return lock_several(connection, [row.id for row, _ in heard])
