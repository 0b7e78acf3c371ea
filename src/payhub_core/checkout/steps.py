"""Plans: what the checkout does, without I/O.

A plan is a generator that yields what is to be done outside, a `Step`, and is sent what came of it; a failure is thrown
in at the ``yield``. One body so serves threads and asyncio, and a test can stop it at every step.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection

from payhub_core.flow import drive, drive_async
from payhub_core.ledger import records
from payhub_core.ledger.rows import Transition

__all__ = ["Ask", "Find", "Pause", "Plan", "Step", "Store", "Tell", "play", "play_async"]

T = TypeVar("T")
Plan: TypeAlias = Generator["Step", Any, T]


@dataclass(frozen=True, slots=True)
class Store:
    """Run ``body`` in one transaction of the ledger, and commit it; it may tell ``handler`` of transitions."""

    body: Callable[[Connection, records.Tell | None], Any]
    handler: Any = None


@dataclass(frozen=True, slots=True)
class Find:
    """Read one stored payment."""

    account: str
    reference: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Call the hub's ``verb`` for ``account``."""

    account: str
    verb: str
    arguments: tuple[object, ...]
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell ``handler`` of a transition outside any transaction."""

    handler: Any
    transition: Transition


Step: TypeAlias = Store | Find | Ask | Pause | Tell


def play(plan: Plan[T], do: Callable[[Step], object]) -> T:
    """Plays ``plan`` to its end and returns its result; what fails outside is for the plan to decide."""
    return drive(plan, do, Exception)


async def play_async(plan: Plan[T], do: Callable[[Step], Awaitable[object]]) -> T:
    """`play`, for steps that are awaited."""
    return await drive_async(plan, do, Exception)
