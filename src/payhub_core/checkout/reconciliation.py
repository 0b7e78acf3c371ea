"""Reconciliation: asking gateways about what is pending or unknown, account by account, side by side."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio
from sqlalchemy import Connection

from payhub_core.checkout.plans import Pause, Plan, Store, play, play_async
from payhub_core.checkout.settling import Settling
from payhub_core.errors import GatewayError, NotFound, PayhubError
from payhub_core.ledger import outbox, records
from payhub_core.ledger.rows import Row
from payhub_core.models import PaymentStatus

if TYPE_CHECKING:
    from payhub_core.checkout.checkout import AsyncCheckout, Checkout

__all__ = ["Progress", "Summary", "areconcile", "reconcile"]

_IN_A_ROW = 3
_LEASE_TIMEOUTS = 8
_THREADS = 8


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


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over what is due."""

    settling: Settling
    handler: object
    older_than: timedelta
    budget: Iterator[int]
    rate: float
    progress: Callable[[Progress], object] | None

    def due(self) -> Plan[dict[str, int]]:
        """How many payments of each account are due."""
        now = datetime.now(UTC)
        due: dict[str, int] = yield Store(lambda c, _: outbox.due_accounts(c, now, now - self.older_than))
        return due

    def sweep(self, account: str, due: int) -> Plan[Summary]:
        """Asks about one account's payments until none is due, the limit is reached, or the account keeps failing."""
        asked = changed = paid = unanswered = in_a_row = 0
        errors: dict[str, str] = {}
        try:
            seconds = _LEASE_TIMEOUTS * self.settling.accounts[account].timeout
            while in_a_row < _IN_A_ROW and next(self.budget, None) is not None:
                if asked:
                    yield Pause(1 / self.rate)
                lease, now = secrets.token_hex(8), datetime.now(UTC)
                row: Row | None = yield Store(
                    partial(self._claimed, account=account, lease=lease, now=now, seconds=seconds)
                )
                if row is None:
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
                    error = str(failure) if isinstance(failure, PayhubError) else type(failure).__name__
                    if not isinstance(failure, NotFound):
                        errors[account] = error
                        in_a_row += isinstance(failure, GatewayError)
                if self.progress is not None:
                    self.progress(Progress(account, row.reference, PaymentStatus(status), error, due))
        except PayhubError as failure:
            errors[account] = str(failure)
        return Summary(asked, changed, paid, unanswered, errors)

    def _claimed(
        self, connection: Connection, _tell: object, account: str, lease: str, now: datetime, seconds: float
    ) -> Row | None:
        until, older = now + timedelta(seconds=seconds), now - self.older_than
        return records.claim(connection, account, lease=lease, until=until, now=now, older=older)


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
        sweeps = [threads.submit(play, run.sweep(account, sum(due.values())), checkout.do) for account in due]
        return sum((sweep.result() for sweep in sweeps), Summary())


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
        summaries.append(await play_async(run.sweep(account, sum(due.values())), checkout.do))

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
        raise ValueError(f"expected a rate above zero, in queries a second, not {rate}")
    if limit < 0:
        raise ValueError(f"expected a limit of zero or more payments, not {limit}")
    return Pass(checkout.settling, checkout.handler, older_than, iter(range(limit)), rate, progress)
