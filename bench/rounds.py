"""Measuring side by side: all candidates in every round, in shuffled order; what counts is the median of the ratios."""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping

Candidates = Mapping[str, Callable[[], object]]


def pin() -> None:
    """Keeps this process on one core, where the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def seconds(candidate: Callable[[], object], calls: int) -> float:
    """Seconds a call, the garbage collector held."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(calls):
            candidate()
        return (time.perf_counter() - start) / calls
    finally:
        gc.enable()


def compare(candidates: Candidates, *, calls: int, rounds: int) -> dict[str, tuple[float, float]]:
    """For each candidate the median of its seconds a call, and of its ratios to the first one, round by round."""
    names = list(candidates)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            times[name].append(seconds(candidates[name], calls))
    floor = times[names[0]]
    return {
        name: (
            statistics.median(times[name]),
            statistics.median(own / first for own, first in zip(times[name], floor, strict=True)),
        )
        for name in names
    }
