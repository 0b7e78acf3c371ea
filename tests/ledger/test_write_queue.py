"""Writers of one process: they queue in the sequence in which they came, share commits, and fail alone."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import pytest
from sqlalchemy import Connection, event, make_url, text
from tests.checkouts import EitherCheckout

from payhub_core import Callback, CallbackKind, LedgerError, Order, WrongOrder
from payhub_core.checkout import AsyncCheckout
from payhub_core.ledger import Ledger, batches, sql, write_queue
from payhub_core.ledger.batches import Heard, LookUp
from payhub_core.ledger.rows import Row

on_sqlite = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
SEVERAL = 24


@pytest.fixture
def till(open_checkout: Callable[..., EitherCheckout], accept: Any, make_order: Callable[..., Order]) -> EitherCheckout:
    """A checkout without a handler, with orders started."""
    checkout = open_checkout(accept)
    for number in range(SEVERAL):
        checkout.start("shop", make_order(reference=f"B{number}"))
    return checkout


def at_once(till: EitherCheckout, paid: Any) -> list[bytes]:
    """What is answered to the notifies of all orders, heard at one moment."""
    gate = threading.Barrier(SEVERAL)

    def hear(number: int) -> bytes:
        callback = paid.notify(f"B{number}")
        gate.wait(10)
        body: bytes = till.receive("shop", callback).body
        return body

    with ThreadPoolExecutor(SEVERAL) as pool:
        return list(pool.map(hear, range(SEVERAL)))


def test_notifies_that_come_at_once_share_commits_and_lose_nothing(
    till: EitherCheckout, paid: Any, ledger: Ledger
) -> None:
    """Each is acknowledged, each is paid, each transition waits once; and there were fewer commits than messages."""
    commits: list[object] = []
    event.listen(till.checkout.ledger.engine, "commit", commits.append)
    assert at_once(till, paid) == [b"SUCCESS"] * SEVERAL
    assert {it.payment.status for it in ledger.payments(limit=100)} == {"paid"}
    assert sorted(it.reference for it in ledger.outbox()) == sorted(f"B{number}" for number in range(SEVERAL))
    assert 0 < len(commits) < SEVERAL


def test_a_leader_that_is_stopped_leaves_nobody_waiting() -> None:
    """As by Ctrl-C in its thread: those that share its turn are told, and the next has theirs."""
    begun, stop = threading.Event(), threading.Event()

    def together(places: Sequence[write_queue.Place]) -> None:
        if len(places) > 1:
            raise KeyboardInterrupt
        begun.set()
        stop.wait(10)
        places[0].done("done")

    queue = write_queue.WriteQueue(together)
    outcomes: list[object] = []

    def share() -> None:
        try:
            outcomes.append(queue.share("work"))
        except BaseException as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=share, daemon=True) for _ in range(4)]
    threads[0].start()
    assert begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(queue._waiting) < 3:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join(5)
    assert sorted(map(str, outcomes)) == sorted(map(str, ["done", KeyboardInterrupt, LedgerError, LedgerError]))
    assert queue.share("work") == "done"


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_a_task_cancelled_as_its_wait_ends_leaves_no_turn_of_anothers(cancelled_first: bool) -> None:
    """It had none; else two would write at once."""

    async def main() -> None:
        queue = write_queue.WriteQueue(lambda _: None)

        async def write() -> None:
            async with queue.aalone():
                raise AssertionError

        with queue.alone():
            task = asyncio.create_task(write())
            await asyncio.sleep(0)
            place = queue._waiting[0]
            assert isinstance(place, write_queue._Task)
            for end in (task.cancel, place.give_up) if cancelled_first else (place.give_up, task.cancel):
                end()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert queue._taken

    asyncio.run(main())


@pytest.mark.parametrize("reference", ["B\0", "B\ud800"])
def test_a_return_address_that_no_database_takes_fails_no_other_look_up(
    till: EitherCheckout, reference: str, ledger: Ledger
) -> None:
    """Anyone may open one, as .../return/B%00, while a genuine notify is looked up: there is no such order."""
    with pytest.raises(WrongOrder):
        till.view("shop", Callback("GET", {}, b"", b"", CallbackKind.RETURN), reference=reference)
    look_ups = [LookUp("shop", reference), LookUp("shop", "B1"), LookUp("shop", "B2")]
    found = ledger.read(lambda connection: batches.find(connection, look_ups))
    assert [row and row.reference for row in found] == [None, "B1", "B2"]
    assert ledger.read(lambda connection: batches.find(connection, look_ups[:1])) == [None]
    assert ledger.payment("shop", reference) is None


def test_one_that_cannot_be_looked_up_fails_alone(
    till: EitherCheckout, paid: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever about it the database minds: the others are answered and recorded."""
    real = batches.find

    def find(connection: Connection, look_ups: Sequence[LookUp]) -> list[Row | None]:
        if any(it.reference == "B1" for it in look_ups):
            raise LedgerError("what it says cannot be looked up")
        return real(connection, look_ups)

    monkeypatch.setattr(batches, "find", find)
    answers = at_once(till, paid)
    if isinstance(till.checkout, AsyncCheckout):
        assert sorted(answers) == sorted([b"SUCCESS"] * (SEVERAL - 1) + [b"try again"])


def test_one_that_cannot_be_recorded_fails_alone(till: EitherCheckout, paid: Any, ledger: Ledger) -> None:
    """The others that shared its transaction are recorded after all."""
    if ledger.engine.dialect.name == "sqlite":
        fail = "CREATE TRIGGER odd BEFORE UPDATE ON payhub_payments WHEN NEW.reference = 'B7' "
        ledger.write(lambda c: c.execute(text(fail + "BEGIN SELECT RAISE(ABORT, 'odd'); END")))
    else:
        fail = "ALTER TABLE payhub_payments ADD CONSTRAINT odd CHECK (NOT (reference = 'B7' AND status = 'paid'))"
        ledger.write(lambda c: c.execute(text(fail)))
    answers = at_once(till, paid)
    if ledger.engine.dialect.name == "postgresql":
        ledger.write(lambda c: c.execute(text("ALTER TABLE payhub_payments DROP CONSTRAINT odd")))
    assert [number for number, body in enumerate(answers) if body != b"SUCCESS"] == [7]
    assert {it.payment.reference for it in ledger.payments(limit=100) if it.payment.status != "paid"} == {"B7"}


def test_where_the_database_fails_no_batch_is_tried_again(
    till: EitherCheckout, paid: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not once for each of its messages, which would all wait for it once more."""
    alone: list[object] = []

    def fail(connection: Connection, heard: object) -> None:
        raise connection.dialect.loaded_dbapi.OperationalError("gone")

    monkeypatch.setattr("payhub_core.ledger.batches.record", fail)
    monkeypatch.setattr("payhub_core.ledger.changes.record", lambda *it, **_: alone.append(it))
    assert set(at_once(till, paid)) == {b"try again"}
    assert alone == []


@on_sqlite
def test_writers_of_one_process_queue_instead_of_meeting_in_the_file(url: str) -> None:
    """None of them ever finds the file locked, where SQLite would let it sleep, longer each time."""
    with Ledger(url) as ledger:
        event.listen(ledger.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 0"))

        def write(number: int) -> int:
            return ledger.write(lambda connection: connection.execute(text(f"SELECT {number}")).scalar_one())

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(write, range(200))) == list(range(200))


@on_sqlite
def test_a_writer_that_waits_for_another_process_asks_every_few_milliseconds(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In SQLite's own pauses, which grow to a tenth of a second, a busy process would take the file again and again."""
    pauses: list[float] = []
    with Ledger(url) as ledger, closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == SEVERAL:
                other.execute("COMMIT")

        monkeypatch.setattr(sql, "sleep", pause, raising=False)
        assert ledger.write(lambda connection: connection.execute(text("SELECT 1")).scalar_one()) == 1
    assert len(pauses) == SEVERAL
    assert max(pauses) < 0.005


@on_sqlite
def test_a_writer_waits_for_another_process_as_long_as_its_connection_does(url: str) -> None:
    """An engine of your own keeps its setting."""
    with Ledger(url) as ledger, closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as other:
        event.listen(ledger.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 50"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            ledger.write(lambda connection: connection.execute(text("SELECT 1")))
        other.execute("COMMIT")
        asked = text("PRAGMA busy_timeout")
        assert ledger.write(lambda connection: connection.execute(asked).scalar_one()) == 50


def test_whoever_waits_too_long_for_its_turn_is_told_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was changed; the one that is ahead goes on."""
    monkeypatch.setattr(write_queue, "WAIT_SECONDS", 0.2)
    queue = write_queue.WriteQueue(lambda places: [place.done(None) for place in places])
    with queue.alone(), ThreadPoolExecutor(1) as pool:
        overdue = pool.submit(queue.share, object())
        with pytest.raises(LedgerError, match=r"for 0\.2 seconds"):
            overdue.result()
    assert queue.share(object()) is None


def test_a_task_that_is_cancelled_while_it_waits_leaves_the_queue() -> None:
    """Those behind it come to their turn."""
    done: list[object] = []
    queue = write_queue.WriteQueue(lambda places: [(done.append(place.work), place.done("done")) for place in places])

    async def scene() -> object:
        async with queue.aalone():
            first, second = (asyncio.create_task(queue.ashare(word)) for word in ("first", "second"))
            await asyncio.sleep(0.05)
            first.cancel()
            await asyncio.sleep(0.05)
        return await second

    assert asyncio.run(scene()) == "done"
    assert done == ["second"]


def test_a_ledger_that_is_closed_tells_the_tasks_that_wait(ledger: Ledger) -> None:
    """At once, and none of it reaches whoever's turn ends, who may have committed."""

    async def main() -> None:
        await ledger._store.afind("shop", "A1")
        with ledger._connections.queue.alone():
            waiting = [asyncio.create_task(ledger._store.afind("shop", "A1")) for _ in range(3)]
            await asyncio.sleep(0)
            ledger.close()
        for told in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5):
            assert isinstance(told, LedgerError)
            assert "closed" in str(told)

    asyncio.run(main())


def test_a_ledger_that_is_closed_tells_the_threads_that_wait(ledger: Ledger) -> None:
    """None of those that share a batch is left without an answer: each is to be recorded alone, which says the rest."""
    queue = ledger._connections.queue
    with ThreadPoolExecutor(2) as pool:
        with queue.alone():
            waiting = [pool.submit(queue.share, Heard(None, None)) for _ in range(2)]  # type: ignore[arg-type]
            while len(queue._waiting) < len(waiting):
                threading.Event().wait(0.01)
            ledger.close()
        assert [told.result(5) for told in waiting] == [None, None]


def test_a_task_whose_event_loop_is_gone_keeps_nobody_waiting() -> None:
    """Its place is ahead in the batch that a thread shares, and another is next for a turn of its own."""
    queue = write_queue.WriteQueue(lambda places: [place.done("done") for place in places])
    heard: list[object] = []
    gone = asyncio.new_event_loop()

    async def wait() -> list[asyncio.Task[Any]]:
        left = [asyncio.ensure_future(queue.ashare(0)), asyncio.ensure_future(queue.aalone().__aenter__())]
        await asyncio.sleep(0)
        return left

    with queue.alone():
        left = gone.run_until_complete(wait())
        for task in left:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        thread = threading.Thread(target=lambda: heard.append(queue.share(1)), daemon=True)
        thread.start()
        while len(queue._waiting) <= len(left):
            threading.Event().wait(0.01)
        gone.close()
    thread.join(5)
    assert heard == ["done"]
    assert queue.share(2) == "done"


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_task_whose_event_loop_is_stopped_keeps_nobody_waiting(cancelled: bool) -> None:
    """A notebook's between two cells; once it runs again the task hears that its turn has passed, or is cancelled."""
    queue = write_queue.WriteQueue(lambda _places: None)
    loop = asyncio.new_event_loop()

    async def write() -> str:
        async with queue.aalone():
            return "written"

    async def wait() -> asyncio.Task[str]:
        left = asyncio.ensure_future(write())
        await asyncio.sleep(0)
        return left

    with queue.alone():
        left = loop.run_until_complete(wait())
    started = time.monotonic()
    with queue.alone():
        assert time.monotonic() - started < 1
        if cancelled:
            left.cancel()
        with pytest.raises(asyncio.CancelledError if cancelled else LedgerError):
            loop.run_until_complete(left)
        assert queue._taken
    assert loop.run_until_complete(write()) == "written"
    loop.close()


class Stopped(BaseException):
    """What a signal's handler raises in the thread that it finds."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers that send signals")
def test_a_turn_that_a_signal_left_behind_is_taken_over_by_its_thread() -> None:
    """A time limit of Celery's may end a call just before it leaves its turn; the worker goes on."""
    queue = write_queue.WriteQueue(lambda places: [place.done(place.work) for place in places] and None)
    leave = queue.leave

    def stopped() -> None:
        queue.leave = leave  # type: ignore[method-assign]
        raise TimeoutError

    queue.leave = stopped  # type: ignore[method-assign]
    with pytest.raises(TimeoutError), queue.alone():
        pass
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(queue.share, "other")
        time.sleep(0.05)
        assert not waiting.done()
        assert queue.share("own") == "own"
        assert waiting.result(5) == "other"


def test_a_turn_that_nobody_was_told_of_is_taken_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever left it was stopped a moment too early."""
    monkeypatch.setattr(write_queue, "WAIT_SECONDS", 0.2)
    queue = write_queue.WriteQueue(lambda places: [place.done("done") for place in places])
    come = write_queue._Thread.come

    def stopped(_place: object) -> bool:
        monkeypatch.setattr(write_queue._Thread, "come", come)
        raise TimeoutError

    with ThreadPoolExecutor(1) as other, suppress(TimeoutError), queue.alone():
        waiting = other.submit(queue.share, "other")
        time.sleep(0.05)
        monkeypatch.setattr(write_queue._Thread, "come", stopped)
    assert waiting.result(5) == "done"
    assert queue.share("own") == "done"


@pytest.mark.parametrize("sharing", [False, True])
def test_a_thread_that_is_stopped_while_it_waits_lets_its_turn_pass_by(sharing: bool) -> None:
    """As by Ctrl-C or by a task queue's time limit: else the turn comes to nobody, and the process writes no more."""
    queue = write_queue.WriteQueue(lambda places: [place.done("done") for place in places])

    def stop(*_: object) -> None:
        raise Stopped

    begun, end = threading.Event(), threading.Event()

    def hold() -> None:
        with queue.alone():
            begun.set()
            end.wait(10)

    before = signal.signal(signal.SIGALRM, stop)
    other = threading.Thread(target=hold)
    other.start()
    begun.wait(10)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Stopped):
            queue.share("work") if sharing else queue._wait(write_queue._Thread(None))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        end.set()
        other.join()
    assert queue.share("work") == "done"


def test_a_turn_that_comes_to_a_thread_as_it_is_stopped_is_the_next_ones() -> None:
    """Whichever of the two is first."""
    queue = write_queue.WriteQueue(lambda places: [place.done("done") for place in places])
    late, early = write_queue._Thread(None), write_queue._Thread(None)
    assert late.come()
    assert late.give_up()
    assert not early.give_up()
    assert not early.come()
    assert queue.share("work") == "done"
