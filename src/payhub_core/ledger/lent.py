"""What a handler must not do while it is lent a transaction: wait for itself, or write past it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Engine

from payhub_core.errors import ConfigError, LedgerError

__all__ = ["check_not_lent", "lent"]

_READS = re.compile(r"\s*(SELECT|SHOW|EXPLAIN|SAVEPOINT|RELEASE|ROLLBACK|PRAGMA)\b", re.IGNORECASE)


@dataclass(slots=True)
class _Loan:
    database: URL
    lasts: bool = True


#: The loan that this thread or task is inside; a task that outlives the handler sees that it is over.
_LOAN: ContextVar[_Loan | None] = ContextVar("payhub_loan", default=None)


@contextmanager
def lent(engine: Engine) -> Iterator[None]:
    """For the time that a handler has a transaction of ``engine``."""
    loan = _Loan(_database(engine))
    token = _LOAN.set(loan)
    try:
        with _watching_django():
            yield
    finally:
        loan.lasts = False
        _LOAN.reset(token)


def check_not_lent(engine: Engine) -> None:
    """Raises LedgerError inside a handler: the transaction that it is lent holds what the call would wait for."""
    loan = _LOAN.get()
    if loan is not None and loan.lasts and loan.database == _database(engine):
        raise LedgerError(
            "a handler called payhub, which is waiting for that handler to return",
            hint="write through the connection that it is lent, and call payhub once it has returned, or in deliver",
        )


@contextmanager
def _watching_django() -> Iterator[None]:
    """Refuses what the handler writes over connections of Django's own, where that is loaded.

    They commit apart from payhub's transaction: before it, after it, or never, and the gateway hears SUCCESS all the
    same. On a shared SQLite file they wait for it instead.
    """
    django: Any = sys.modules.get("django.db")
    if django is None or not sys.modules["django.conf"].settings.configured:
        yield
        return
    with ExitStack() as stack:
        for connection in django.connections.all():  # those too that this thread has not opened yet
            stack.enter_context(connection.execute_wrapper(_refuse_writes))
        yield


def _database(engine: Engine) -> URL:
    """Where it is, whichever driver leads there."""
    return engine.url.set(drivername=engine.dialect.name)


def _refuse_writes(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    if _READS.match(str(sql)):
        return execute(sql, params, many, context)
    raise ConfigError(
        "this handler wrote through Django's ORM, not through its connection",  # a log line holds 160 characters
        hint="give the checkout none, and write in deliver: docs/web.md",
    )
