"""The timeline of a demonstration: numbered steps, each checked."""

from __future__ import annotations

import click
from rich.console import Console
from rich.markup import escape

from payhub_core.cli.words import say

__all__ = ["Timeline", "shortened"]

_LONGEST = 60


def shortened(address: str) -> str:
    """An address that fits a line; the dummy's holds all that its return claims."""
    return address if len(address) <= _LONGEST else f"{address[: _LONGEST - 1]}…"


class Timeline:
    """Numbered steps; a step that does not come out as it should ends the demonstration with an error."""

    def __init__(self, console: Console) -> None:
        self.console: Console = console
        self.number: int = 0

    def step(self, title: str, detail: str) -> None:
        """One more step."""
        self.number += 1
        self.console.print(
            f"[bold cyan]{self.number:2}[/bold cyan]  [bold]{say(title)}[/bold]\n    {escape(say(detail))}",
            soft_wrap=True,
        )

    def check(self, title: str, detail: str, *, holds: bool) -> None:
        """One more step, if it came out as it should."""
        if not holds:
            raise click.ClickException(f"{say(title)}: it came out otherwise: {say(detail)}")
        self.step(title, detail)
