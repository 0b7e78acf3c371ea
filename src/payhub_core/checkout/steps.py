"""Steps: what the checkout does, without I/O.

What it does is a generator that yields what is to be done outside, a `Step`, and is sent what came of it; a failure is
thrown in at the ``yield``. One body so serves threads and asyncio, and a test can stop it at every step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection

from payhub_core.bound import AsyncBoundAccount, BoundAccount
from payhub_core.flow import drive, drive_async
from payhub_core.hub import AsyncHub, Hub
from payhub_core.ledger.changes import Handle, News, RefundNews
from payhub_core.ledger.models import Transition
from payhub_core.ledger.rows import Row
from payhub_core.models import Callback, Order
from payhub_core.money import Money

__all__ = [
    "AnyHub",
    "Ask",
    "Close",
    "Create",
    "Deliver",
    "Find",
    "Parse",
    "Pause",
    "Query",
    "Record",
    "SendRefund",
    "Settle",
    "Step",
    "Steps",
    "Write",
    "play",
    "play_async",
    "query",
]

T = TypeVar("T")

AnyHub: TypeAlias = Hub | AsyncHub
AnyAccount: TypeAlias = BoundAccount | AsyncBoundAccount

#: A generator of steps that ends in a ``T``.
Steps: TypeAlias = Generator["Step", Any, T]


@dataclass(frozen=True, slots=True)
class Find:
    """Read one stored payment."""

    account: str
    reference: str


@dataclass(frozen=True, slots=True)
class Write:
    """Run ``body`` in one transaction of the ledger, and commit it."""

    body: Callable[[Connection], Any]


@dataclass(frozen=True, slots=True)
class Record:
    """As `Write`, for a ``body`` that hands transitions to ``handler``, or leaves them in the outbox without one."""

    body: Callable[[Connection, Handle | None], Any]
    handler: Any


@dataclass(frozen=True, slots=True)
class Settle:
    """Record the ``news`` of a notify, as `Record` does; without a ``handler`` it may share a commit with others'."""

    row: Row
    news: News | RefundNews
    handler: Any


@dataclass(frozen=True, slots=True)
class Deliver:
    """Call ``handler`` with a transition, outside any transaction."""

    handler: Any
    transition: Transition


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ask(ABC):
    """Ask the gateway something: one call of the hub, which is awaited where the hub is async."""

    account: str

    @abstractmethod
    def of(self, account: AnyAccount) -> object | Awaitable[object]:
        """Asks ``account``."""


@dataclass(frozen=True, slots=True)
class Create(Ask):
    """Create the payment of an order; nothing is sent after ``until``, in monotonic seconds."""

    order: Order
    created_at: datetime | None
    until: float

    def of(self, account: AnyAccount) -> object | Awaitable[object]:
        return account("create_payment", self.until, order=self.order, created_at=self.created_at)


@dataclass(frozen=True, slots=True)
class Query(Ask):
    """Ask what the gateway knows of an order."""

    order: Order
    gateway_id: str | None
    created_at: datetime | None

    def of(self, account: AnyAccount) -> object | Awaitable[object]:
        return account.query(
            self.order.reference, gateway_id=self.gateway_id, expect=self.order, created_at=self.created_at
        )


@dataclass(frozen=True, slots=True)
class SendRefund(Ask):
    """Ask for a sum to be paid back; ``until`` is as in `Create`."""

    order: Order
    gateway_id: str | None
    created_at: datetime | None
    amount: Money
    refund_reference: str
    refund_created_at: datetime | None
    until: float

    def of(self, account: AnyAccount) -> object | Awaitable[object]:
        return account(
            "refund",
            self.until,
            reference=self.order.reference,
            gateway_id=self.gateway_id,
            amount=self.amount,
            refund_reference=self.refund_reference,
            expect=self.order,
            created_at=self.created_at,
            refund_created_at=self.refund_created_at,
        )


@dataclass(frozen=True, slots=True)
class Close(Ask):
    """Ask that nobody can pay an order any more."""

    order: Order
    gateway_id: str | None
    created_at: datetime | None

    def of(self, account: AnyAccount) -> object | Awaitable[object]:
        return account.close_payment(
            self.order.reference, self.gateway_id, expect=self.order, created_at=self.created_at
        )


def query(row: Row, order: Order) -> Query:
    """Asks about the stored payment in ``row``, with all that helps its gateway to find it."""
    return Query(row.account, order, row.gateway_id, row.time("created_at"))


@dataclass(frozen=True, slots=True)
class Parse(Ask):
    """Verify a callback, which may take asking the gateway."""

    callback: Callback
    expect: Order | None = None

    def of(self, account: AnyAccount) -> object | Awaitable[object]:
        return account.parse_callback(self.callback, expect=self.expect)


Step: TypeAlias = Find | Write | Record | Settle | Deliver | Pause | Ask


def play(steps: Steps[T], do: Callable[[Step], object]) -> T:
    """Does the steps to their end and returns the result; what fails outside is for the generator to decide."""
    return drive(steps, do, Exception)


async def play_async(steps: Steps[T], do: Callable[[Step], Awaitable[object]]) -> T:
    """`play`, for steps that are awaited."""
    return await drive_async(steps, do, Exception)
