"""Mutation testing: one small thing wrong in what guards money, and whether a test notices.

``make mutants``. It ends with status 0 only if the mutants that no test notices are those of ``equal.txt``, which says
of each why it changes nothing.

The tests are collected once for a module; each mutant is tried in a copy of that process, in which one function has
other code. What only an import makes, such as a constant, is tried in a process that imports everything anew.
"""

from __future__ import annotations

import importlib
import os
import random
import resource
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

import click
import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mutations import ROOT, Mutant, mutants, path

EQUAL = Path(__file__).parent / "equal.txt"
#: What is mutated, and the tests that have to notice, the quickest first.
MODULES: Mapping[str, tuple[str, ...]] = {
    "payhub_gpu.signing": ("gpu/test_signing.py", "gpu/test_candidates.py", "gpu/test_callbacks.py"),
    "payhub_gpu.messages": (
        *("gpu/test_query.py", "gpu/test_settings.py", "gpu/test_create.py", "gpu/test_callbacks.py"),
        "gpu/test_recut.py",
    ),
    "payhub_core.money": ("core/test_money.py",),
    "payhub_core.binding": ("core/test_unfit.py", "core/test_binding.py", "core/test_refunds.py", "core/test_hub.py"),
    "payhub_core.ledger.facts": ("ledger/test_facts.py", "ledger/test_ledger.py"),
}
#: Imported once, before any copy of this process starts; nothing of payhub, whose modules each copy imports anew.
WARM = ("anyio", "httpx", "psycopg", "pydantic", "sqlalchemy", "stamina", "trio", "trustme", "yaml")
#: Of two colours one is enough here: what is mutated has no I/O. Nor is a real PostgreSQL asked.
ONCE = "not AsyncHub and not AsyncCheckout and not postgresql"
#: What a try may take: a mutant that runs on for ever, or eats all memory, is noticed as well.
CPU_SECONDS, BYTES = 120, 4 * 1024**3


def survivors(chosen: list[Mutant], workers: int = 2, untouched_tests: int | None = None) -> list[str]:
    """The names of the mutants of one module that no test notices, ``workers`` tried side by side.

    Raises AssertionError where the tests, or so many of them, fail with nothing changed: they would seem to notice
    everything.
    """
    for module in WARM:
        importlib.import_module(module)
    sys.dont_write_bytecode = True
    module = chosen[0].module
    untouched = Mutant(module, f"{module}: nothing", -1, "")
    anew = [mutant for mutant in chosen if not mutant.function]
    alive = _alive([untouched, *anew] if anew else [], lambda m: _tested(module, [_Mutated(m)], []), workers)
    patched = [mutant for mutant in chosen if mutant.function]
    read, write = os.pipe()
    if not (pid := os.fork()):
        _quiet()
        os._exit(_tested(module, [], [_Collected(patched, workers, write, untouched_tests)]))
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as told:
        alive += told.read().splitlines()
    os.waitpid(pid, 0)
    assert alive.count(untouched.name) == bool(anew) + bool(patched), f"the tests of {module} fail with nothing changed"
    return [name for name in alive if name != untouched.name]


def _alive(chosen: Iterable[Mutant], attempt: Callable[[Mutant], int], workers: int) -> list[str]:
    """The names of those whose ``attempt``, made in a copy of this process, ends with 0."""
    running: dict[int, str] = {}
    alive: list[str] = []

    def wait() -> None:
        pid, status = os.wait()
        name = running.pop(pid)
        if status == 0:
            alive.append(name)

    for mutant in chosen:
        if len(running) >= workers:
            wait()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                _quiet()
                resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
                resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
                status = attempt(mutant)
            finally:
                os._exit(status)
        running[pid] = mutant.name
    while running:
        wait()
    return alive


def _tested(module: str, finders: list[Any], plugins: list[Any]) -> int:
    """The exit status of the tests of ``module``."""
    sys.meta_path[:0] = finders
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the tests need one
    folders = [str(ROOT / "tests" / name) for name in MODULES[module]]
    options = ["-x", "-q", "-s", "--tb=no", "-k", ONCE, "--rootdir", str(ROOT), "-p", "anyio.pytest_plugin"]
    options += ["--assert=plain"]  # nobody reads why a test fails
    return int(pytest.main([*options, *folders], [_Unshrunk(), *plugins]))


def _quiet() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


class _Unshrunk:
    """Any example that fails is enough; none is made smaller for a person."""

    def pytest_collection(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("unshrunk", hypothesis.settings(), phases=phases)
        hypothesis.settings.load_profile("unshrunk")


class _Mutated(SourceFileLoader):
    """Imports one module, mutated; a finder that finds nothing else."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(path(mutant.module)))
        self.mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.mutant.tree(), self.path, "exec")

    def find_spec(self, fullname: str, *_: object) -> Any:
        return spec_from_file_location(fullname, self.path, loader=self) if fullname == self.mutant.module else None


class _Collected:
    """Where pytest would run what it has collected: runs it once for each mutant, and writes down who lives."""

    def __init__(self, chosen: list[Mutant], workers: int, written: int, untouched_tests: int | None) -> None:
        self.chosen = chosen
        self.untouched_tests = untouched_tests
        self.workers = workers
        self.written = written

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: item.get_closest_marker("proof") is not None)  # what takes long comes last

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        def attempt(mutant: Mutant) -> int:
            items = session.items
            if mutant.function:
                _replace(mutant)
            else:
                items = items[: self.untouched_tests]
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    return 1
            return 0

        module = self.chosen[0].module if self.chosen else ""
        untouched = Mutant(module, f"{module}: nothing", -1, "")
        alive = _alive([untouched, *self.chosen], attempt, self.workers) if self.chosen else []
        os.write(self.written, "".join(f"{name}\n" for name in alive).encode())
        return True


def _replace(mutant: Mutant) -> None:
    """Gives the function, wherever it was imported to, the mutant's code."""
    code: CodeType = compile(mutant.tree(), str(path(mutant.module)), "exec")
    found: Any = sys.modules[mutant.module]
    for name in mutant.function.split("."):
        found = vars(found)[name]
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
    for wrapped in ("__func__", "fget", "func", "__wrapped__"):
        found = getattr(found, wrapped, found)
    if hasattr(vars(sys.modules[mutant.module]).get(mutant.function), "cache_clear"):
        vars(sys.modules[mutant.module])[mutant.function].cache_clear()
    found.__code__ = code


def equal() -> dict[str, str]:
    """The mutants that change nothing, and why: a line each, the reason in a comment above one or several."""
    reasons, reason = {}, ""
    for line in EQUAL.read_text("utf-8").splitlines():
        if line.startswith("# "):
            reason = line
        elif line:
            reasons[line] = reason
    return reasons


@click.command()
@click.option("--module", "modules", multiple=True, type=click.Choice(list(MODULES)), help="Only of this one.")
@click.option("--workers", default=2, show_default=True)
@click.option("--sample", default=0, help="Only so many of each, always the same ones, none that are equal.")
def main(modules: tuple[str, ...], workers: int, sample: int) -> None:
    """Mutate what guards money, and compare what survives with what is known to change nothing."""
    known, wrong = set(equal()), False
    for module in modules or MODULES:
        tried = list(mutants(module))
        expected = {name for name in known if name.startswith(f"{module}:")}
        if sample:  # of what takes no import, which takes longer than all the tests; those the suite runs whole itself
            telling = [mutant for mutant in tried if mutant.function and mutant.name not in expected]
            tried, expected = random.Random(module).sample(telling, sample), set()
        alive = set(survivors(tried, workers, 20 if sample else None))
        for name in sorted(alive - expected):
            click.echo(f"survived: {name}")
        for name in sorted(expected - alive):
            click.echo(f"killed, or gone: take it out of {EQUAL.name}: {name}")
        click.echo(f"{module}: {len(tried)} mutants, {len(tried) - len(alive)} killed, {len(alive & expected)} equal")
        wrong |= alive != expected
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
