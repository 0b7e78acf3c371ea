"""``payhub check``: the conformance kit on a contract, without writing a test."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from payhub_core.cli.imports import explained
from payhub_core.cli.options import json_option, print_json
from payhub_core.cli.words import say
from payhub_core.errors import ConfigError, did_you_mean, plain
from payhub_core.pages import page

if TYPE_CHECKING:
    from payhub_core.testing.contract import ProviderContract, Verdict

__all__ = ["check"]

_STYLES = {"passed": "green", "failed": "bold red", "excused": "yellow", "not applicable": "dim"}


@click.command(
    short_help="Hold a provider to its contract.", epilog=f"How to write one: {page('testing-a-provider.md')}"
)
@click.argument("contract", metavar="MODULE:CLASS")
@json_option
def check(contract: str, as_json: bool) -> None:
    """Runs every case of the conformance kit on a ProviderContract.

    MODULE:CLASS names the class that a test file derives from ProviderContract, MODULE being a module or a file, such
    as tests/test_bank.py:TestBank. Ends with status 1 where a case failed.
    """
    cls = _contract(contract)
    console = Console(stderr=as_json, highlight=False)
    verdicts = []
    words = _outcomes()
    faults = cls.altered()
    for case in _cases():
        verdict = cls().run(case)
        verdicts.append(verdict)
        if verdict.outcome != "passed":
            outcome = Text(words[verdict.outcome], _STYLES[verdict.outcome])
            outcome.pad_left(14 - outcome.cell_len)
            line = Text.assemble(outcome, f"  {_line(verdict)}")
            console.print(line, soft_wrap=True)  # a path that is cut cannot be copied
    for fault in faults:
        console.print(Text(f"{fault}", style="bold red"))
    if as_json:
        print_json(_as_json(contract, cls, verdicts, faults))
    else:
        console.print(_capabilities(cls, verdicts))
        console.print(_summary(verdicts))
    failed = faults or any(verdict.outcome == "failed" for verdict in verdicts)
    sys.exit(1 if failed else 0)


def _cases() -> Any:
    from payhub_core.testing.cases import CASES  # noqa: PLC0415  needs pytest, which a command line has not

    return CASES


def _contract(named: str) -> type[ProviderContract]:
    """The class that ``MODULE:CLASS`` names; raises ConfigError."""
    try:
        from payhub_core.testing.contract import ProviderContract  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed", hint="pip install 'payhub-core[testing]'") from None
    module_name, _, class_name = named.rpartition(":")
    if not module_name or not class_name:
        raise ConfigError(f"expected MODULE:CLASS such as tests/test_bank.py:TestBank, not {plain(named)!r}")
    module = _module(module_name)
    cls = getattr(module, class_name, None)
    if not (isinstance(cls, type) and issubclass(cls, ProviderContract)):
        known = {
            name
            for name, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, ProviderContract) and value is not ProviderContract
        }
        raise ConfigError(f"{module_name} has no contract {plain(class_name)!r}", hint=did_you_mean(class_name, known))
    return cls


def _module(name: str) -> ModuleType:
    if name.endswith(".py") and not Path(name).is_file():
        raise ConfigError(f"there is no file {plain(name)}")
    sys.path.insert(0, "")  # as `python -m` has it: the author's module is where the author is
    with explained(plain(name)):
        return _imported(name)


def _imported(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(Path(name).stem, name)
    if spec is None or spec.loader is None:
        raise ImportError("it is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[Path(name).stem] = module
    spec.loader.exec_module(module)
    return module


def _line(verdict: Verdict) -> str:
    if verdict.outcome == "failed":
        return verdict.text
    return f"{verdict.case.id}: {verdict.text}"


def _outcomes() -> dict[str, str]:
    """The word for each outcome."""
    return dict(zip(_STYLES, say("passed | failed | excused | not applicable").split(" | "), strict=True))


def _capabilities(cls: type[ProviderContract], verdicts: list[Verdict]) -> Table:
    """What the provider can do, and how much of it was shown."""
    info = cls.provider.info
    table = Table(title=f"{info.name}: {', '.join(sorted(info.currencies))}", title_justify="left")
    table.add_column(say("about"))
    for outcome, word in _outcomes().items():
        table.add_column(word, justify="right", style=_STYLES[outcome])
    for group, counts in _groups(verdicts).items():
        table.add_row(group, *[str(counts[outcome] or "") for outcome in _STYLES])
    return table


def _summary(verdicts: list[Verdict]) -> str:
    counts = Counter(verdict.outcome for verdict in verdicts)
    ran = len(verdicts) - counts["not applicable"]
    return say(f"ran {ran} of {len(verdicts)}, excused {counts['excused']}, failed {counts['failed']}")


def _groups(verdicts: list[Verdict]) -> dict[str, Counter[str]]:
    groups: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.case.id.partition(".")[0], Counter())[verdict.outcome] += 1
    return groups


def _as_json(named: str, cls: type[ProviderContract], verdicts: list[Verdict], faults: list[str]) -> dict[str, Any]:
    info = cls.provider.info
    return {
        "contract": named,
        "provider": info.name,
        "currencies": sorted(info.currencies),
        "methods": sorted(info.methods),
        "capabilities": {group: dict(counts) for group, counts in _groups(verdicts).items()},
        "cases": [
            {
                "id": verdict.case.id,
                "what": verdict.case.what,
                "why": verdict.case.why,
                "page": verdict.case.page,
                "outcome": verdict.outcome,
                "text": verdict.text,
            }
            for verdict in verdicts
        ],
        "faults": faults,
    }
