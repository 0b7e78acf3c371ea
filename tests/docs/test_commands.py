"""The commands on the pages are those that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from payhub_core.cli.commands import payhub

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))


def shown(page: Path) -> list[list[str]]:
    """The words of every command in the blocks of a page."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    shells = [block for language, block in blocks if language in {"", "sh", "console"}]
    lines = [line.partition("#")[0].removeprefix("$ ") for block in shells for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("payhub ")]


@pytest.mark.parametrize("page", [page for page in PAGES if shown(page)], ids=lambda page: page.name)
def test_every_command_of_the_page_has_these_options(page: Path) -> None:
    """A command that is renamed is renamed on the pages."""
    for _, *words in shown(page):
        command: click.Command = payhub
        while words and isinstance(command, click.Group) and not words[0].startswith("-"):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, (page.name, words)
            command = found
        options = {option for parameter in command.params for option in parameter.opts}
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= options | {"-h", "--help", "--version"}, (page.name, words)
