"""What merchants have asked, counted: the proof that a client sent something once, or not at all."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

__all__ = ["Journal"]

#: Different requests remembered; beyond it the oldest go, so that a long run does not grow.
KEPT_REQUESTS = 10_000


class Journal:
    """Counts requests by endpoint, method and order number."""

    def __init__(self) -> None:
        self._counts: Counter[_Asked] = Counter()

    def note(self, endpoint: str, method: str, order_no: str) -> None:
        """Counts one request."""
        self._counts[_Asked(endpoint, method, order_no[:100])] += 1
        if len(self._counts) > KEPT_REQUESTS:
            del self._counts[next(iter(self._counts))]

    def entries(self) -> list[dict[str, str | int]]:
        """What was asked and how often, in the order of the first time."""
        return [{**asked._asdict(), "count": count} for asked, count in self._counts.items()]

    def clear(self) -> None:
        """Forgets all."""
        self._counts.clear()


class _Asked(NamedTuple):
    """A request as it was sent, valid or not; ``order_no`` is raw, cut at 100 characters."""

    endpoint: str
    method: str
    order_no: str
