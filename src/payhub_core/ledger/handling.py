"""Handling: how a handler is called, and what it must not do meanwhile: wait for itself, or write past payhub."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sqlalchemy import URL, Connection, Engine

from payhub_core.errors import ConfigError, LedgerError
from payhub_core.ledger import orm
from payhub_core.ledger.models import Transition

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = [
    "AsyncHandler",
    "Handler",
    "acalled",
    "async_handler",
    "called",
    "check_not_handling",
    "handling",
    "has_run",
    "watch_orm",
]

#: A function of the application, which hears of a transition and may write in the transaction that records it.
Handler: TypeAlias = Callable[[Transition, Connection], object]
AsyncHandler: TypeAlias = Callable[[Transition, "AsyncConnection"], Awaitable[object]]

T = TypeVar("T")

_READS = re.compile(r"\s*(SELECT|SHOW|EXPLAIN|SAVEPOINT|RELEASE|ROLLBACK|PRAGMA)\b", re.IGNORECASE)


@dataclass(slots=True)
class _Handling:
    engine: Engine
    lasts: bool = True
    refused: ConfigError | None = None


#: The handler that this thread or task is inside; a task that outlives the handler sees that it is over.
_HANDLING: ContextVar[_Handling | None] = ContextVar("payhub_handling", default=None)


@contextmanager
def handling(engine: Engine) -> Iterator[None]:
    """For the time that a handler has a transaction of ``engine``; raises what it was refused, had it caught that."""
    current = _Handling(engine)
    token = _HANDLING.set(current)
    watch_orm()
    try:
        yield
    finally:
        current.lasts = False
        _HANDLING.reset(token)
    if current.refused is not None:
        raise current.refused


def check_not_handling(engine: Engine) -> None:
    """Raises LedgerError inside a handler: the transaction that it is lent holds what the call would wait for."""
    current = _HANDLING.get()
    if current is not None and current.lasts and _database(current.engine) == _database(engine):
        raise LedgerError(
            "a handler called payhub, which is waiting for that handler to return",
            hint="write through the connection that it is lent, and call payhub once it has returned, or in deliver",
        )


def has_run(result: object) -> bool:
    """Whether calling a plain function has run it: of a coroutine or generator, which is closed, nothing has."""
    if not (inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result)):
        return True
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()  # a coroutine else warns that nobody awaited it
    return False


def called(handler: Callable[..., object], *given: object) -> object:
    """Calls a plain ``handler``; raises ConfigError where it is none, so that nothing of it has run.

    That something was cancelled, in an event loop of its own, is its failure: nobody cancels a plain function.
    """
    try:
        result = handler(*given)
    except asyncio.CancelledError as error:
        raise RuntimeError("the handler awaited something that was cancelled") from error
    if not has_run(result):
        raise async_handler()
    return result


async def acalled(handler: Callable[..., Awaitable[T]], *given: object) -> T:
    """Awaits a ``handler``; that something it awaited was cancelled is its own failure, and cancels nobody else."""
    try:
        return await handler(*given)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("the handler awaited something that was cancelled") from error


def async_handler() -> ConfigError:
    """The error for a handler of which a plain call runs nothing."""
    return ConfigError(
        "this handler is async or a generator, so a Checkout, which calls it as a plain function, would run none of it",
        hint="write it as a plain function, or use AsyncCheckout, which awaits it",
    )


def watch_orm() -> None:
    """Has Django's connections refuse what a handler writes; from then on, also those that are yet to be opened."""
    orm.watch(_refuse_writes)


def _database(engine: Engine) -> URL:
    """Where it is, whichever driver leads there."""
    return engine.url.set(drivername=engine.dialect.name)


def _refuse_writes(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    """Refuses what a handler writes over connections of Django's own.

    The gateway would hear SUCCESS whatever becomes of it. On a shared SQLite file it waits for payhub instead.
    """
    current = _HANDLING.get()
    if current is None or not current.lasts or _READS.match(str(sql)):
        return execute(sql, params, many, context)
    current.refused = ConfigError(
        "this handler wrote through Django's ORM, not through its connection",
        hint="give the checkout none, and write in deliver: docs/web.md",
    )
    raise current.refused
