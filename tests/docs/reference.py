"""The generated tables of docs/reference.md: ``python -m tests.docs.reference`` writes them anew."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel

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

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


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
                default = "" if info.is_required() else f"`{info.get_default(call_default_factory=True)!r}`"
                lines.append(f"| `{name}` | `{annotation(cls, name)}` | {default} |")
        return "\n".join(lines)

    return table


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
    return plain.replace("|", "\\|")


def sentence(thing: object) -> str:
    """The first sentence of a docstring."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.sub(r"``([^`]+)``", r"`\1`", text)


TABLES: dict[str, Callable[[], str]] = {
    "errors": errors,
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
