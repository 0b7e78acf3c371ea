"""Event loops: what was opened in one is of no use in the next, so each has its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["PerLoop", "running_loop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """What ``make`` makes, once for each event loop; outside any it is that of the loop that came last."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[Any, T] = WeakKeyDictionary()
        self._last: T | None = None

    def here(self) -> T:
        """That of the running loop."""
        loop = running_loop()
        found = self._last if loop is None else self._made.get(loop)
        if found is None:
            # The first loop takes what was made before any ran.
            found = self._last if self._last is not None and not self._made else self._make()
            self._last = found
            if loop is not None:
                self._made[loop] = found
        return found

    @property
    def made(self) -> list[T]:
        """All that are left."""
        return list({id(it): it for it in (*self._made.values(), self._last) if it is not None}.values())


def running_loop() -> Any:
    """The running event loop of asyncio, or trio's token of one; None outside. Imports neither: who runs one has."""
    for library, running in (("asyncio", "get_running_loop"), ("trio.lowlevel", "current_trio_token")):
        module: Any = sys.modules.get(library)
        with suppress(RuntimeError):
            if module is not None:
                return getattr(module, running)()
    return None
