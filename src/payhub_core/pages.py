"""Where the documentation lies on this machine: in the wheel as in a source tree, so that nobody has to be online."""

from __future__ import annotations

from pathlib import Path

__all__ = ["page"]

_SHIPPED = Path(__file__).parent / "docs"
_WRITTEN = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    """The path of a page, such as "hooks.md" or "hooks.md#the-declaration"."""
    return str((_SHIPPED if _SHIPPED.is_dir() else _WRITTEN) / name)
