"""Reconciliation: asking gateways about what is pending or unknown, account by account, side by side."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from math import inf
from time import monotonic

import anyio
from sqlalchemy import Connection

from payhub_core.checkout.checks import check
from payhub_core.checkout.lease import lease_time
from payhub_core.checkout.steps import AnyHub, Pause, Step, Steps, Write, play, play_async
from payhub_core.errors import (
    AccountRefused,
    ConfigError,
    GatewayError,
    NotFound,
    NotSent,
    PayhubError,
    Refused,
    plain,
    words_of,
)
from payhub_core.ledger import heartbeats, schedule
from payhub_core.ledger.arguments import check_limit
from payhub_core.ledger.changes import HandlerFailed
from payhub_core.ledger.rows import Row
from payhub_core.models import PaymentStatus

__all__ = ["Pass", "Progress", "Summary", "reconcile", "reconcile_async"]

_FAILURES_IN_A_ROW = 3
_THREADS = 64
_LONGEST_PAUSE = 0.5

logger: logging.Logger = logging.getLogger("payhub.checkout")


@dataclass(frozen=True, slots=True)
class Progress:
    """One payment was asked about: ``status`` is what is known now, ``error`` why nothing new is.

    ``due`` payments of all accounts were waiting when the pass began.
    """

    account: str
    reference: str
    status: PaymentStatus
    error: str
    due: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a pass came to: payments asked about, changed, turned paid, left without an answer; errors by account.

    That the gateway does not know an order is an answer, which changes nothing. ``due`` is how many were still due when
    it ended: more than the limit, or of accounts that were left alone. ``handler_failed`` is how many were answered,
    and not recorded since the handler raised.
    """

    asked: int = 0
    changed: int = 0
    paid: int = 0
    unanswered: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    due: int = 0
    handler_failed: int = 0

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            self.asked + other.asked,
            self.changed + other.changed,
            self.paid + other.paid,
            self.unanswered + other.unanswered,
            self.errors | other.errors,
            self.due + other.due,
            self.handler_failed + other.handler_failed,
        )


class _Budget:
    """How many payments may still be asked about, and until when, shared by the accounts of a pass."""

    def __init__(self, left: int, time_limit: timedelta | None) -> None:
        self.closed: bool = False
        self._left = left
        self._ends = inf if time_limit is None else monotonic() + time_limit.total_seconds()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Takes one, if any is left and there is time."""
        with self._lock:
            any_left = self._left > 0 and not self.closed and monotonic() < self._ends
            self._left -= any_left
            return any_left

    def give_back(self) -> None:
        """Gives back one that was not needed."""
        with self._lock:
            self._left += 1

    def close(self) -> None:
        """Lets nothing more be asked about."""
        self.closed = True


class Pass:
    """One pass over what is due; raises ConfigError for a ``rate`` not above zero or a ``limit`` below it."""

    def __init__(
        self,
        hub: AnyHub,
        handler: object,
        *,
        older_than: timedelta,
        limit: int,
        rate: float,
        progress: Callable[[Progress], object] | None,
        account: str | None = None,
        time_limit: timedelta | None = None,
    ) -> None:
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not rate > 0:
            raise ConfigError(f"expected a rate above zero, in queries a second, not {plain(rate)}")
        check_limit(limit)
        for name, time in (("older_than", older_than), ("time_limit", time_limit)):
            if not isinstance(time, timedelta) and (time is not None or name == "older_than"):
                raise ConfigError(f"{name}: expected a timedelta, not {type(time).__name__}")
        if progress is not None and not callable(progress):
            raise ConfigError(f"progress: expected a function, not {type(progress).__name__}")
        if account is not None:
            hub[account]  # a misspelt one would look like nothing due
        self.hub = hub
        self.handler = handler
        self.older_than = older_than
        self.rate = rate
        self.progress = progress
        self.account = account
        self.budget: _Budget = _Budget(limit, time_limit)
        self._traced: set[tuple[str, type]] = set()

    def due(self) -> Steps[dict[str, int]]:
        """How many payments of each account are due."""
        due: dict[str, int] = yield Write(self._begun)
        return due

    def left(self) -> Steps[Summary]:
        """How many are due by now."""
        due: dict[str, int] = yield Write(self._due)
        return Summary(due=sum(due.values()))

    def _begun(self, connection: Connection) -> dict[str, int]:
        """Leaves a sign that a pass was made, brings back what was put off too far, and returns what is due."""
        if self.account is None:
            heartbeats.put(connection, heartbeats.PASS)
        schedule.bring_back(connection)
        return self._due(connection)

    def _due(self, connection: Connection) -> dict[str, int]:
        due = schedule.due_accounts(connection, self.older_than)
        return due if self.account is None else {name: due[name] for name in due if name == self.account}

    def sweep(self, account: str, due: Mapping[str, int]) -> Steps[Summary]:
        """Asks about one account's payments until none is due, the limit is reached, or it is to be left alone."""
        summary, in_a_row, answered = Summary(), 0, False
        try:
            time = lease_time(self.hub[account].timeout)
            while summary.asked < due[account] and in_a_row < _FAILURES_IN_A_ROW and self.budget.take():
                if summary.asked and not (yield from self._rested()):
                    break
                token = secrets.token_hex(8)
                claim = partial(schedule.claim, account=account, lease=token, lease_time=time)
                row: Row | None = yield Write(partial(claim, older_than=self.older_than))
                if row is None:
                    self.budget.give_back()
                    break
                status, failure = yield from self._asked(row, token)
                error = "" if failure is None else self._told(failure, row)
                in_a_row = 0 if failure is None else in_a_row + _failures(failure)
                summary += _summary(row, status, failure, error)
                answered |= not isinstance(failure, PayhubError) or isinstance(failure, NotFound)
                self._report(row, status, error, sum(due.values()))
            yield Write(partial(_signed, account=account, answered=answered, error=summary.errors.get(account, "")))
        except PayhubError as failure:
            # One that is broken is named by its error.
            stranded = isinstance(failure, ConfigError) and not failure.account
            told = (yield from self._stranded(account)) if stranded else failure
            summary += Summary(errors={account: str(told)})
        return summary

    def _stranded(self, account: str) -> Steps[PayhubError]:
        """What to do about orders whose account the configuration does not name any more."""
        count: int = yield Write(partial(schedule.unsettled, account=account))
        return ConfigError(
            f"there is no account {account!r}, which has unsettled orders: {count}",
            hint="put it back under this name until they are settled; "
            f"where it is gone for good: payhub ledger retire {account}",
        )

    def _asked(self, row: Row, token: str) -> Steps[tuple[str, Exception | None]]:
        """The status that is known now, and why nothing new is."""
        try:
            new, _ = yield from check(self.hub, row, token, self.handler)
        except Exception as failure:
            return row.status, failure
        return new.status, None

    def _rested(self) -> Steps[bool]:
        """Waits as the rate demands; False where the pass was interrupted meanwhile."""
        left = 1 / self.rate
        while left > 0 and not self.budget.closed:
            yield Pause(min(left, _LONGEST_PAUSE))
            left -= _LONGEST_PAUSE
        return not self.budget.closed

    def _told(self, failure: Exception, row: Row) -> str:
        """What went wrong in a line. The handler's error is logged, with a traceback once for each account and type."""
        about = {"account": row.account, "reference": row.reference}
        if isinstance(failure, AccountRefused) and not failure.hint:
            reason = f"the gateway refuses the account: {failure.message}"
            hint = "see whether its key was revoked, the merchant suspended, or too many requests sent"
            return str(PayhubError(reason, hint=hint, **about))
        if isinstance(failure, PayhubError):
            return str(failure)
        error = failure.error if isinstance(failure, HandlerFailed) else failure
        kind = row.account, type(error)
        traceback = None if kind in self._traced else error
        self._traced.add(kind)
        line = PayhubError(f"the handler failed: {words_of(error)}", **about)
        logger.error("%s", line, exc_info=traceback, extra=about)
        return str(PayhubError(f"the handler raised {words_of(error)}", **about))

    def _report(self, row: Row, status: str, error: str, due: int) -> None:
        if self.progress is not None:
            try:
                self.progress(Progress(row.account, row.reference, PaymentStatus(status), error, due))
            except Exception:  # whoever watches does not stop the work
                logger.exception("progress could not be reported", extra={"account": row.account})


def reconcile(run: Pass, do: Callable[[Step], object]) -> Summary:
    """Does the pass, a thread for each account."""
    due = play(run.due(), do)
    if not due:
        return Summary()
    with ThreadPoolExecutor(min(len(due), _THREADS), "payhub-reconcile") as threads:
        try:
            sweeps = [threads.submit(play, run.sweep(account, due), do) for account in due]
            wait(sweeps, return_when=FIRST_EXCEPTION)
            return sum((sweep.result() for sweep in sweeps), play(run.left(), do))
        except BaseException:
            run.budget.close()  # interrupted: what has been begun is ended, nothing more is
            raise


async def reconcile_async(run: Pass, do: Callable[[Step], Awaitable[object]]) -> Summary:
    """Does the pass, a task for each account."""
    due = await play_async(run.due(), do)
    summaries: list[Summary] = []

    async def sweep(account: str) -> None:
        summaries.append(await play_async(run.sweep(account, due), do))

    async with anyio.create_task_group() as tasks:
        for account in due:
            tasks.start_soon(sweep, account)
    return sum(summaries, await play_async(run.left(), do) if due else Summary())


def _signed(connection: Connection, account: str, *, answered: bool, error: str) -> None:
    """Leaves a sign of what came of asking an account: the later one tells how it is doing."""
    if answered:
        heartbeats.put(connection, heartbeats.ANSWERED, account)
    elif error:
        heartbeats.put(connection, heartbeats.UNANSWERED, account, error)


def _summary(row: Row, status: str, failure: Exception | None, error: str) -> Summary:
    """What asking about one payment came to. Not found is an answer, and no error of its account's."""
    if isinstance(failure, NotFound):
        return Summary(asked=1)
    if failure is not None:
        unanswered = int(isinstance(failure, PayhubError))
        # A handler that raised is no fault of the gateway's.
        return Summary(asked=1, unanswered=unanswered, errors={row.account: error}, handler_failed=1 - unanswered)
    return Summary(asked=1, changed=status != row.status, paid=status == PaymentStatus.PAID != row.status)


def _failures(failure: Exception) -> int:
    """How many failures of its account it counts as: one that refuses the account refuses every payment of it.

    A reply about one order that cannot be read is no failure of the account: it holds up no other order.
    """
    if isinstance(failure, AccountRefused):
        return _FAILURES_IN_A_ROW
    if isinstance(failure, NotSent | Refused):
        return 1
    return int(isinstance(failure, GatewayError) and (failure.unanswered or failure.unreadable))
