"""Django's ORM beside payhub: it commits apart from payhub's transaction, before it, after it or never."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from payhub_core.errors import ConfigError

__all__ = ["check_no_transaction", "watch"]


def watch(refuse: Callable[..., Any]) -> None:
    """Has Django's connections, where that is loaded, ask ``refuse`` before each statement: an `execute_wrapper`.

    Those that are yet to be opened too, in whatever thread an async handler writes.
    """
    django = _django()
    if django is None:
        return

    def seen(connection: Any, **_: object) -> None:
        if refuse not in connection.execute_wrappers:
            connection.execute_wrappers.append(refuse)

    for connection in django.connections.all(initialized_only=True):
        seen(connection)
    # A Django whose databases nobody has used yet has not loaded it.
    created = import_module("django.db.backends.signals").connection_created
    created.connect(seen, weak=False, dispatch_uid="payhub")


def check_no_transaction() -> None:
    """Raises ConfigError inside a transaction of Django's: what a handler writes there may yet be rolled back."""
    django = _django()
    if django is not None and any(it.in_atomic_block for it in django.connections.all(initialized_only=True)):
        raise ConfigError(
            "deliver was called inside a transaction of Django's: rolled back, what the handler wrote is gone for good",
            hint="call it outside atomic(), in a view that is non_atomic_requests, in tests of a TransactionTestCase",
        )


def _django() -> Any:
    """``django.db``, where the application has loaded and configured it."""
    django: Any = sys.modules.get("django.db")
    return django if django is not None and sys.modules["django.conf"].settings.configured else None
