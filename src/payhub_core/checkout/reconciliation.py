"""Reconciliation: asking gateways about what is pending or unknown, account by account, side by side."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio
from sqlalchemy import Connection

from payhub_core.checkout.hold import lease_time
from payhub_core.checkout.plans import Pause, Plan, Store, play, play_async
from payhub_core.checkout.settling import Settling
from payhub_core.errors import ConfigError, GatewayError, NotFound, PayhubError, plain
from payhub_core.ledger import queries, records
from payhub_core.ledger.database import clock
from payhub_core.ledger.rows import Row
from payhub_core.models import PaymentStatus

if TYPE_CHECKING:
    from payhub_core.checkout.checkout import AsyncCheckout, Checkout

__all__ = ["Progress", "Summary", "areconcile", "reconcile"]

_IN_A_ROW = 3
_THREADS = 64
_LONGEST_NAP = 0.5

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
    """What a pass came to: payments asked about, changed, turned paid, left without an answer; errors by account."""

    asked: int = 0
    changed: int = 0
    paid: int = 0
    unanswered: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            self.asked + other.asked,
            self.changed + other.changed,
            self.paid + other.paid,
            self.unanswered + other.unanswered,
            self.errors | other.errors,
        )


class Budget:
    """How many payments may still be asked about, shared by the accounts of a pass."""

    def __init__(self, left: int) -> None:
        self.closed: bool = False
        self._left = left
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Takes one, if any is left."""
        with self._lock:
            any_left = self._left > 0 and not self.closed
            self._left -= any_left
            return any_left

    def give_back(self) -> None:
        """Gives back one that was not needed."""
        with self._lock:
            self._left += 1

    def close(self) -> None:
        """Lets nothing more be asked about."""
        self.closed = True


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over what is due."""

    settling: Settling
    handler: object
    older_than: timedelta
    budget: Budget
    rate: float
    progress: Callable[[Progress], object] | None

    def due(self) -> Plan[dict[str, int]]:
        """How many payments of each account are due."""
        due: dict[str, int] = yield Store(lambda c, _: queries.due_accounts(c, self.older_than))
        return due

    def sweep(self, account: str, due: Mapping[str, int]) -> Plan[Summary]:
        """Asks about one account's payments until none is due, the limit is reached, or the account keeps failing."""
        asked = changed = paid = unanswered = in_a_row = 0
        errors: dict[str, str] = {}
        try:
            held = lease_time(self.settling.accounts[account].timeout)
            while asked < due[account] and in_a_row < _IN_A_ROW and self.budget.take():
                if asked and not (yield from self._rested()):
                    break
                lease = secrets.token_hex(8)
                row: Row | None = yield Store(partial(self._claimed, account=account, lease=lease, held=held))
                if row is None:
                    self.budget.give_back()
                    break
                asked += 1
                error = ""
                status = row.status
                try:
                    new: Row = yield from self.settling.check(row, lease, self.handler)
                    status, in_a_row = new.status, 0
                    changed += status != row.status
                    paid += status == PaymentStatus.PAID != row.status
                except Exception as failure:
                    unanswered += 1
                    error = self._told(failure, row)
                    if not isinstance(failure, NotFound):
                        errors[account] = error
                        in_a_row += isinstance(failure, GatewayError)
                self._report(account, row.reference, status, error, sum(due.values()))
        except PayhubError as failure:
            errors[account] = str(failure)
        return Summary(asked, changed, paid, unanswered, errors)

    def _rested(self) -> Plan[bool]:
        """Waits as the rate demands; False where the pass was interrupted meanwhile."""
        left = 1 / self.rate
        while left > 0 and not self.budget.closed:
            yield Pause(min(left, _LONGEST_NAP))
            left -= _LONGEST_NAP
        return not self.budget.closed

    def _told(self, failure: Exception, row: Row) -> str:
        """What went wrong in a line; the traceback of what is not payhub's own, such as the handler's, is logged."""
        if isinstance(failure, PayhubError):
            return str(failure)
        extra = {"account": row.account, "reference": row.reference}
        logger.error("the handler failed for order %s", row.reference, exc_info=failure, extra=extra)
        reason = f"the handler raised {type(failure).__name__}: {plain(failure)}"
        return str(PayhubError(reason, account=row.account, reference=row.reference))

    def _report(self, account: str, reference: str, status: str, error: str, due: int) -> None:
        if self.progress is not None:
            try:
                self.progress(Progress(account, reference, PaymentStatus(status), error, due))
            except Exception:  # whoever watches does not stop the work
                logger.exception("progress could not be reported", extra={"account": account})

    def _claimed(self, connection: Connection, _tell: object, account: str, lease: str, held: timedelta) -> Row | None:
        now = clock(connection)
        return records.claim(connection, account, lease=lease, until=now + held, now=now, older=now - self.older_than)


def reconcile(
    checkout: Checkout,
    *,
    older_than: timedelta,
    limit: int,
    rate: float,
    progress: Callable[[Progress], object] | None,
) -> Summary:
    """One pass, a thread for each account."""
    run = _begun(checkout, older_than, limit, rate, progress)
    due = play(run.due(), checkout.do)
    if not due:
        return Summary()
    with ThreadPoolExecutor(min(len(due), _THREADS), "payhub-reconcile") as threads:
        try:
            sweeps = [threads.submit(play, run.sweep(account, due), checkout.do) for account in due]
            wait(sweeps, return_when=FIRST_EXCEPTION)
            return sum((sweep.result() for sweep in sweeps), Summary())
        except BaseException:
            run.budget.close()  # interrupted: what has been begun is ended, nothing more is
            raise


async def areconcile(
    checkout: AsyncCheckout,
    *,
    older_than: timedelta,
    limit: int,
    rate: float,
    progress: Callable[[Progress], object] | None,
) -> Summary:
    """One pass, a task for each account."""
    run = _begun(checkout, older_than, limit, rate, progress)
    due = await play_async(run.due(), checkout.do)
    summaries: list[Summary] = []

    async def sweep(account: str) -> None:
        summaries.append(await play_async(run.sweep(account, due), checkout.do))

    async with anyio.create_task_group() as tasks:
        for account in due:
            tasks.start_soon(sweep, account)
    return sum(summaries, Summary())


def _begun(
    checkout: Checkout | AsyncCheckout,
    older_than: timedelta,
    limit: int,
    rate: float,
    progress: Callable[[Progress], object] | None,
) -> Pass:
    if not rate > 0:
        raise ConfigError(f"expected a rate above zero, in queries a second, not {rate}")
    if limit < 0:
        raise ConfigError(f"expected a limit of zero or more payments, not {limit}")
    return Pass(checkout.settling, checkout.handler, older_than, Budget(limit), rate, progress)
