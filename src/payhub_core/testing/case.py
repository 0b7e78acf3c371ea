"""A case: one thing that every provider has to do right, as data."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payhub_core.testing.bench import Bench

__all__ = ["CASES", "Case", "Mismatch", "NotApplicable", "case", "line_of"]

#: Every case, in the order in which they are run.
CASES: list[Case] = []


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its name, what has to hold, why that matters for money, and the page that tells more.

    ``check`` raises Mismatch where it does not hold, and NotApplicable where the gateway has no such thing.
    """

    id: str
    what: str
    why: str
    page: str
    check: Callable[[Bench], None]

    def __repr__(self) -> str:
        return self.id


class Mismatch(AssertionError):
    """What a provider did is not what it has to do."""

    def __init__(self, expected: str, came: object) -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected = expected
        self.came = came


def line_of(error: BaseException) -> str:
    """Where an error of the contract's own was raised, such as an assert of its answer()."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"({Path(at.filename).name}:{at.lineno})"


class NotApplicable(Exception):
    """The gateway or the provider has nothing of this kind; the text says what is missing."""


def case(id: str, what: str, why: str, page: str) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:  # noqa: A002
    """Enters a check into `CASES`."""

    def enter(check: Callable[[Any], None]) -> Callable[[Any], None]:
        CASES.append(Case(id, what, why, page, check))
        return check

    return enter
