"""Times, as people read them."""

from __future__ import annotations

from datetime import datetime

__all__ = ["when"]


def when(time: datetime | None) -> str:
    """A time in UTC, to the second; "" where there is none."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"
