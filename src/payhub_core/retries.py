"""Retries: what is worth another try, and how often. Begun here and not in stamina, whose import takes 30 ms."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import cache
from math import inf
from typing import Any, TypeVar

from payhub_core.errors import GatewayError, NotSent

__all__ = ["repeat", "repeat_async", "stamina", "unanswered"]

T = TypeVar("T")

ATTEMPTS = 3
LONGEST_RETRYING = 60.0


def repeat(call: Callable[[], T], again: Callable[[Exception], bool], until: float = inf) -> T:
    """The result of ``call``, made again where it fails and ``again`` says so: three times in all, with pauses."""
    try:
        return call()
    except Exception as error:
        if not again(error):
            raise
        first: Exception | None = error
    for attempt in _attempts(again, until):
        with attempt:
            if first is not None:  # the attempt already made counts, and its pause comes before the next
                failed, first = first, None
                raise failed
            return call()
    raise AssertionError("unreachable: the last attempt returns or raises")


async def repeat_async(call: Callable[[], Awaitable[T]], again: Callable[[Exception], bool], until: float = inf) -> T:
    """`repeat`, awaited."""
    try:
        return await call()
    except Exception as error:
        if not again(error):
            raise
        first: Exception | None = error
    async for attempt in _attempts(again, until):
        with attempt:
            if first is not None:
                failed, first = first, None
                raise failed
            return await call()
    raise AssertionError("unreachable: the last attempt returns or raises")


def unanswered(error: Exception) -> bool:
    """Whether the call of a hook that is repeated is worth another try."""
    return isinstance(error, NotSent) or (isinstance(error, GatewayError) and error.unanswered)


@cache
def stamina() -> Any:
    """The library, once it is needed."""
    import stamina as library  # noqa: PLC0415  30 ms of import for the few calls that need it

    # Its bare lines are no output of a program that has not configured logging; one that has still sees them.
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    return library


def _attempts(again: Callable[[Exception], bool], until: float) -> Any:
    timeout = min(LONGEST_RETRYING, max(until - time.monotonic(), 0.001))
    return stamina().retry_context(on=again, attempts=ATTEMPTS, timeout=timeout, wait_max=2.0)
