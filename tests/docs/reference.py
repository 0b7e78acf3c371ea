"""The generated tables of docs/reference.md: ``python -m tests.docs.reference`` writes them anew."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import payhub_core
from payhub_core import (
    AppParameters,
    Callback,
    FormPost,
    HtmlPage,
    Notification,
    Order,
    PayhubError,
    Payment,
    ProviderInfo,
    QrCode,
    Redirect,
    Refund,
    Reply,
)
from payhub_core.cli.commands import payhub
from payhub_core.settings import PREFIX, Settings
from payhub_core.testing.cases import CASES
from payhub_dummy import Dummy
from payhub_epay import EPay
from payhub_gpu import Gpu

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference.md"


def errors() -> str:
    """The tree, one error a line, with the first sentence of its docstring."""
    lines = ["| error | when |", "|---|---|"]

    def walk(error: type[PayhubError], depth: int) -> None:
        indent = "&nbsp;&nbsp;&nbsp;" * depth
        lines.append(f"| {indent}`{error.__name__}` | {sentence(error)} |")
        for kind in error.__subclasses__():  # in the sequence in which they are written
            if kind.__name__ in payhub_core.__all__:
                walk(kind, depth + 1)

    walk(PayhubError, 0)
    return "\n".join(lines)


def model(cls: type[BaseModel]) -> Callable[[], str]:
    """A pydantic model's fields, with their types and defaults."""

    def table() -> str:
        lines = ["| field | type | default |", "|---|---|---|"]
        for name, info in cls.model_fields.items():
            if name != "type":
                lines.append(f"| `{name}` | `{annotation(cls, name)}` | {default_of(info)} |")
        return "\n".join(lines)

    return table


#: What a variable names inside a setting that is a table.
_INSIDE = {"accounts": "__SHOP__SECRET", "routes": "__ANY"}


def settings() -> str:
    """What a configuration has at its top, with the variable of each."""
    lines = ["| setting | variable | type | default |", "|---|---|---|---|"]
    for name, info in Settings.model_fields.items():
        variable = f"{PREFIX}{name.upper()}{_INSIDE.get(name, '')}"
        lines.append(f"| `{name}` | `{variable}` | `{annotation(Settings, name)}` | {default_of(info)} |")
    return "\n".join(lines)


def default_of(info: FieldInfo) -> str:
    """A field's default; nothing where it is required."""
    return "" if info.is_required() else f"`{info.get_default(call_default_factory=True)!r}`"


def dataclass(cls: type[Any]) -> Callable[[], str]:
    """A dataclass's fields, with their types and defaults."""

    def table() -> str:
        lines = ["| field | type | default |", "|---|---|---|"]
        for field in fields(cls):
            factory = field.default_factory() if field.default_factory is not MISSING else MISSING
            default = field.default if field.default is not MISSING else factory
            shown = "" if default is MISSING else f"`{default!r}`"
            lines.append(f"| `{field.name}` | `{annotation(cls, field.name)}` | {shown} |")
        return "\n".join(lines)

    return table


def annotation(cls: type[Any], name: str) -> str:
    """A field's type as its author wrote it."""
    written_as = [inspect.get_annotations(base).get(name) for base in cls.__mro__]
    plain = re.sub(r"Annotated\[(\w+), AfterValidator\(\w+\)\]", r"\1", str(next(filter(None, written_as))))
    plain = re.sub(r"InstanceOf\[(.+)\]", r"\1", plain)
    return plain.replace("|", "\\|")


def sentence(thing: object) -> str:
    """The first sentence of a docstring."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.sub(r"``([^`]+)``", r"`\1`", text)


#: The contracts of the gateways here, and for each ability the case that shows it.
CONTRACTS = {
    "tests/testing/test_gpu.py": "TestGpu",
    "examples/payhub-epay/tests/test_contract.py": "TestEPay",
    "tests/dummy/test_contract.py": "TestDummy",
}
ABILITIES = {
    "create": "create.accepted",
    "notify": "notify.genuine",
    "return that says something": "return.hint",
    "query": "query.paid",
    "sums in a query": "money.queried",
    "refund": "refund.accepted",
    "close": "close.accepted",
    "signed answers": "replies.signed",
}
SHOWN = {"passed": "yes", "excused": "not shown", "not applicable": "no", "failed": "**fails**"}


def gateways() -> str:
    """What each gateway was seen to do, by the conformance kit's cases of its contract."""
    columns = {}
    for path, name in CONTRACTS.items():
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        contract = getattr(module, name)
        outcomes = {case.id: contract().run(case).outcome for case in CASES if case.id in ABILITIES.values()}
        info = contract.provider.info
        currencies = ", ".join(sorted(info.currencies)) if len(info.currencies) < 10 else f"{len(info.currencies)}"
        columns[info.name] = {
            "currencies": currencies,
            "neutral methods": str(len(info.methods)),
            **{ability: SHOWN[outcomes[case]] for ability, case in ABILITIES.items()},
        }
    rows = next(iter(columns.values()))
    lines = [f"| | {' | '.join(f'`{name}`' for name in columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {row} | {' | '.join(column[row] for column in columns.values())} |" for row in rows]
    return "\n".join(lines)


def commands() -> str:
    """Every command with its options, and the first sentence of its help."""
    lines = ["| command | what it does | options |", "|---|---|---|"]

    def walk(name: str, command: click.Command) -> None:
        if isinstance(command, click.Group):
            for inner in command.list_commands(click.Context(command)):
                found = command.get_command(click.Context(command), inner)
                if found is not None:
                    walk(f"{name} {inner}", found)
            return
        words = " ".join(it.human_readable_name for it in command.params if isinstance(it, click.Argument))
        options = ", ".join(f"`{it.opts[0]}`" for it in command.params if isinstance(it, click.Option))
        lines.append(f"| `{f'{name} {words}'.strip()}` | {command.get_short_help_str(120)} | {options} |")

    walk("payhub", payhub)
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "errors": errors,
    "gateways": gateways,
    "commands": commands,
    "settings": settings,
    **{cls.info.name: model(cls) for cls in (Gpu, EPay, Dummy)},
    **{cls.__name__: model(cls) for cls in (Order, Payment, Refund)},
    **{cls.__name__: model(cls) for cls in (Redirect, QrCode, HtmlPage, FormPost, AppParameters)},
    **{cls.__name__: dataclass(cls) for cls in (Callback, Notification, Reply, ProviderInfo)},
}


def written(page: str) -> str:
    """``page`` with its generated tables made anew."""

    def fresh(found: re.Match[str]) -> str:
        return f"<!-- generated: {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", fresh, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
