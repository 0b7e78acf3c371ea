"""The signatures on the page are those that the core knows."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from payhub_core.hookspecs import HOOKS, Specification

PAGE = Path(__file__).parents[2] / "docs" / "hooks.md"


def test_the_typed_signatures_are_those_of_the_specification() -> None:
    """Each hook's, with its types; the table names them, and each hook has its heading."""
    page = PAGE.read_text("utf-8")
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Signatures" in text]
    named: dict[str, Any] = {}
    exec(f"from __future__ import annotations\n{block}", named)
    for hook in HOOKS:
        specified = inspect.signature(getattr(Specification, hook))
        assert inspect.signature(getattr(named["Signatures"], hook)) == specified
        arguments = ", ".join(f"`{name}`" for name in specified.parameters if name != "self")
        assert f"\n| `{hook}` | {arguments} |" in page
        assert f"\n## {hook}\n" in page
