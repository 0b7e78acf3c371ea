"""Findings: what a person should look at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at, and what to do about it; ``account`` is "" where it is about none."""

    account: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{f'account {self.account}: ' if self.account else ''}{self.what}. Hint: {self.hint}"
