"""Fuzzing: bytes made from genuine messages, by the million, into everything that reads some.

``make fuzz``. It ends with status 0 only if nothing but payhub's errors came out, nothing was accepted that the key had
not signed, no input took more steps than its length allows, and memory stayed where it was.
"""

from __future__ import annotations

import gc
import logging
import resource
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

import click
import stamina

sys.path.insert(0, str(Path(__file__).parent))

from mutate import huge, mutated
from targets import TARGETS, Target

#: One input in so many is huge or deep; one in so many has its steps counted.
HUGE_ONE_IN, COUNTED_ONE_IN = 1000, 500
#: The calls that an input may take: so many, and so many more for each byte.
STEPS, STEPS_A_BYTE = 5_000, 20
#: What one input may take of the processor: a regular expression that backtracks makes no calls.
CPU_SECONDS = 10
#: How much memory may grow once everything is warm.
GROWTH_KIB = 32 * 1024


@dataclass
class Result:
    """What came of it; ``findings`` are what must not be, with the input."""

    executions: int = 0
    seconds: float = 0.0
    most_steps: int = 0
    growth_kib: int = 0
    findings: list[str] = field(default_factory=list)


class Hangs(BaseException):
    """An input has taken all of its time."""


def fuzz(name: str, executions: int, seed: int = 1) -> Result:
    """So many executions of one target; the same ones for the same ``seed``."""
    random = Random(f"{seed} {name}")
    target, result, began = TARGETS[name], Result(), time.monotonic()
    before = peak_kib()
    previous = signal.signal(signal.SIGVTALRM, _hang)
    try:
        for number in range(executions):
            if number == min(executions // 10, 100_000):
                before = peak_kib()  # warm: caches are full
            _execute(target, _input(target, random), random, number, result)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
    result.seconds = time.monotonic() - began
    result.growth_kib = peak_kib() - before
    if result.growth_kib > GROWTH_KIB:
        result.findings.append(f"memory grew by {result.growth_kib} KiB")
    return result


def _input(target: Target, random: Random) -> bytes:
    data = target.corpus[int(random.random() * len(target.corpus))]
    if random.random() * HUGE_ONE_IN < 1:
        data = huge(data, random)
    return mutated(data, target.corpus, random)


def _execute(target: Target, data: bytes, random: Random, number: int, result: Result) -> None:
    if number % 1000 == 0:
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS, CPU_SECONDS)
    try:
        if number % COUNTED_ONE_IN:
            target.run(data, random)
        else:
            steps = _counted(target, data, random)
            result.most_steps = max(result.most_steps, steps)
            assert steps <= STEPS + STEPS_A_BYTE * len(data), f"{steps} calls for {len(data)} bytes"
    except (Exception, Hangs) as error:
        result.findings.append(f"{number}: {type(error).__name__}: {error}: {data[:2000]!r}")
    result.executions += 1


def _counted(target: Target, data: bytes, random: Random) -> int:
    """How many calls the input took, those of functions in C among them."""
    steps = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal steps
        steps += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        target.run(data, random)
    finally:
        sys.setprofile(None)
    return steps


def _hang(_: int, __: FrameType | None) -> None:
    raise Hangs


def peak_kib() -> int:
    """The most memory that this process has had."""
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@click.command()
@click.option("--executions", default=10_000_000, show_default=True, help="Of all targets together.")
@click.option("--seed", default=1, show_default=True)
@click.option("--target", "names", multiple=True, type=click.Choice(list(TARGETS)), help="Only this one.")
def main(executions: int, seed: int, names: tuple[str, ...]) -> None:
    """Fuzz what reads bytes from outside."""
    logging.disable()
    stamina.set_active(False)
    names, total, bad = names or tuple(TARGETS), 0, 0
    for name in names:
        result = fuzz(name, -(-executions // len(names)), seed)  # rounded up: so many in all, at least
        total, bad = total + result.executions, bad + len(result.findings)
        rate = f"{result.executions / result.seconds:,.0f} a second"
        steps = f"at most {result.most_steps} calls, memory +{result.growth_kib} KiB"
        click.echo(f"{name}: {result.executions:,} executions, {rate}, {steps}, {len(result.findings)} findings")
        for finding in result.findings[:5]:
            click.echo(f"  {finding}")
    click.echo(f"{total:,} executions, {bad} findings")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
