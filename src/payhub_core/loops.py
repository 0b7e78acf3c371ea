"""Event loops: what was opened in one is of no use in the next, so each has its own."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["PerLoop", "running_loop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """What ``make`` makes, once for each event loop; outside any it is that of the loop that came last.

    ``close`` is awaited when the loop ends, or by `aclose`: a task queue, or a framework's sync view, has a loop for
    each call.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[object]]) -> None:
        self._make = make
        self._close = close
        self._made: WeakKeyDictionary[Any, T] = WeakKeyDictionary()
        self._ends: WeakKeyDictionary[Any, AsyncGenerator[None]] = WeakKeyDictionary()
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
                self._drop_closed()
                self._made[loop] = found
                self._ends[loop] = end = self._until_the_end()
                with suppress(StopIteration):
                    end.__anext__().__await__().__next__()  # to its yield
        return found

    @property
    def made(self) -> list[T]:
        """All that are left."""
        return list({id(it): it for it in (*self._made.values(), self._last) if it is not None}.values())

    async def aclose(self) -> None:
        """Closes that of the running loop, if it has one."""
        mine = self._made.pop(running_loop(), None)
        if mine is not None:
            if self._last is mine:
                self._last = None
            await self._close(mine)

    async def _until_the_end(self) -> AsyncGenerator[None]:
        """Stands open until the loop ends, which closes its generators last of all."""
        try:
            yield
        finally:
            self._ends.pop(running_loop(), None)  # it knows its loop, which else would stay
            await self.aclose()

    def _drop_closed(self) -> None:
        """Forgets those of loops that were closed without an end, which nobody can await any more."""
        for loop, made in list(self._made.items()):
            if getattr(loop, "is_closed", bool)():
                del self._made[loop]
                self._ends.pop(loop, None)
                if self._last is made:
                    self._last = None


def running_loop() -> Any:
    """The running event loop of asyncio, or trio's token of one; None outside. Imports neither: who runs one has."""
    for library, running in (("asyncio", "get_running_loop"), ("trio.lowlevel", "current_trio_token")):
        module: Any = sys.modules.get(library)
        with suppress(RuntimeError):
            if module is not None:
                return getattr(module, running)()
    return None
