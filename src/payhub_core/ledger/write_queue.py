"""The queue of writers: those of one process wait here, in the sequence in which they came, and may share one commit.

Without a queue they meet in the database, where SQLite lets each sleep and try again. Whoever is at the head has the
turn for itself, or does the work of all that share it. Threads and the tasks of any event loop stand in one queue.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from threading import Lock, Thread, current_thread
from typing import Any

from payhub_core.errors import LedgerError
from payhub_core.loops import running_loop

__all__ = ["LATER", "Place", "WriteQueue"]

#: The longest wait in the queue, which is as long as a handler takes.
WAIT_SECONDS = 10
#: So many share a commit at most: the first answer waits for the last one.
MOST = 64


#: What came of work whose turn did not come in time: nothing was done.
LATER: object = object()


class Place(ABC):
    """A place in the queue; ``work`` is what may be done together with others', None where the turn is one's own."""

    #: Who has the turn once it has come; None for tasks.
    thread: Thread | None = None

    def __init__(self, work: object) -> None:
        self.work: object = work
        self.is_done: bool = False
        self._outcome: Any = None
        self._error: Exception | None = None

    def done(self, outcome: object, error: Exception | None = None) -> None:
        """Says what came of the work."""
        self._outcome, self._error, self.is_done = outcome, error, True
        self.tell()

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._outcome

    @abstractmethod
    def come(self) -> bool:
        """The turn has come; False where nobody is left to take it."""

    @abstractmethod
    def tell(self) -> None:
        """The work is done."""


class WriteQueue:
    """The queue; ``do_batch`` does the work of several places, one thread at a time, and says `Place.done` to each."""

    def __init__(self, do_batch: Callable[[Sequence[Place]], None]) -> None:
        self._do_batch = do_batch
        self._mutex = Lock()  # held for a few instructions at a time
        self._waiting: deque[Place] = deque()
        self._taken = False
        self._holder: Thread | None = None
        #: In which tasks let their work be done.
        self.thread: ThreadPoolExecutor = ThreadPoolExecutor(1, "payhub-ledger")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A turn of one's own; raises LedgerError where it does not come in time."""
        self._wait(_Thread(None))
        try:
            yield
        finally:
            self.leave()

    @asynccontextmanager
    async def aalone(self) -> AsyncIterator[None]:
        """As `alone`."""
        await self._await(_Task(None, self))
        try:
            yield
        finally:
            self.leave()

    def share(self, work: object) -> Any:
        """Does ``work``, together with what waits meanwhile, and returns what came of it; raises LedgerError."""
        place = _Thread(work)
        self._wait(place)
        if not place.is_done:
            self.lead(place)
        return place.result()

    async def ashare(self, work: object, patience: float | None = None) -> Any:
        """As `share`; the work is done in a thread. Without a turn within ``patience`` seconds, it returns `LATER`."""
        place = _Task(work, self)
        if patience is None:
            await self._await(place)
        else:
            await self._await(place, patience, place.pass_by)
        return place.result()

    def lead(self, first: Place) -> None:
        """Does the work of ``first``, whose turn it is, and of those behind it that share."""
        with self._mutex:
            batch = [first, *(place for place in self._waiting if place.work is not None)][:MOST]
            if len(batch) > 1:
                self._waiting = deque(place for place in self._waiting if place not in batch)
        try:
            self._do_batch(batch)
        finally:
            for place in batch:  # whoever stops this thread stops nobody else's
                if not place.is_done:
                    place.done(None, LedgerError("the thread that did this work was stopped", hint="do it again"))
            self.leave()

    def withdraw(self, place: Place) -> bool:
        """Takes ``place`` out of the queue; False where its turn has come, or its work is being done."""
        with self._mutex:
            if place not in self._waiting:
                return False
            self._waiting.remove(place)
            return True

    def _enter(self, place: Place) -> None:
        with self._mutex:
            # A signal's handler may have raised just before this thread left its last turn, so that it still has it. It
            # goes on with that turn: in the queue it would wait for itself.
            is_left_over = place.thread is not None and place.thread is self._holder
            if self._taken and not is_left_over:
                self._waiting.append(place)
                return
            self._taken, self._holder = True, place.thread
        if not place.come():
            self.leave()

    def leave(self) -> None:
        """Ends a turn: it is the next one's."""
        while True:
            with self._mutex:
                if not self._waiting:
                    self._taken, self._holder = False, None
                    return
                place = self._waiting.popleft()
                self._holder = place.thread
            if place.come():
                return

    def _wait(self, place: _Thread) -> None:
        try:
            self._enter(place)
            if place.gate.acquire(timeout=WAIT_SECONDS):
                return
            if self.withdraw(place):
                raise _overdue()  # noqa: TRY301
            while not place.gate.acquire(timeout=WAIT_SECONDS):
                with self._mutex:
                    is_mine = self._holder is place.thread
                if is_mine:  # whoever left the turn to this thread was stopped before it could tell
                    place.come()
        except LedgerError:
            raise
        except BaseException:  # a signal's, while this thread waited: its turn must not come to nobody
            if not self.withdraw(place) and place.give_up():
                self.leave()
            raise

    async def _await(
        self, place: _Task, patience: float = WAIT_SECONDS, otherwise: Callable[[], None] | None = None
    ) -> None:
        self._enter(place)
        timer = place.loop.call_later(patience, otherwise or place.give_up)
        try:
            await place.future
        except asyncio.CancelledError:
            if not self.withdraw(place) and place.work is None and not place.is_given_up:
                self.leave()
            raise
        finally:
            timer.cancel()


class _Thread(Place):
    """A thread's place."""

    def __init__(self, work: object) -> None:
        super().__init__(work)
        self.thread = current_thread()
        self.gate = Lock()
        self.gate.acquire()
        self._mutex = Lock()
        self._has_come = self._is_given_up = False

    def come(self) -> bool:
        with self._mutex:
            if not self._has_come and not self._is_given_up:
                self._has_come = True
                self.gate.release()
            return self._has_come

    def give_up(self) -> bool:
        """Lets the turn pass by; says whether it has come already, and is to be left."""
        with self._mutex:
            self._is_given_up = True
            return self._has_come

    def tell(self) -> None:
        self.gate.release()


class _Task(Place):
    """A task's place."""

    def __init__(self, work: object, queue: WriteQueue) -> None:
        super().__init__(work)
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self._queue = queue
        self.is_given_up: bool = False

    def come(self) -> bool:
        if self.work is None:
            return self._has_gone_on()
        try:
            self._queue.thread.submit(self._queue.lead, self)
        except RuntimeError:  # the ledger was closed, or the process is ending
            self.done(None, LedgerError("this ledger was closed", hint="nothing was changed; close it later"))
            return False
        return True

    def tell(self) -> None:
        self._call(self._go_on)

    def _has_gone_on(self) -> bool:
        """Lets the task go on; False where its event loop is gone, or stopped: then it hears so as that runs again."""
        if self.loop.is_running():
            return self._call(self._go_on)
        self.is_given_up = True
        self._call(self._fail)
        return False

    def _call(self, then: Callable[[], None]) -> bool:
        if running_loop() is self.loop:
            then()
            return True
        try:
            self.loop.call_soon_threadsafe(then)
        except RuntimeError:
            return False
        return True

    def give_up(self) -> None:
        self.is_given_up = self._queue.withdraw(self)
        if self.is_given_up:
            self._fail()

    def pass_by(self) -> None:
        """Leaves the queue, where nothing has been done yet."""
        if self._queue.withdraw(self):
            self.is_given_up = True
            self.done(LATER)

    def _fail(self) -> None:
        if not self.future.done():
            self.future.set_exception(_overdue())

    def _go_on(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


def _overdue() -> LedgerError:
    return LedgerError(
        f"another transaction of this process has kept the database for {WAIT_SECONDS} seconds",
        hint="nothing was changed; see what the handler waits for",
    )
