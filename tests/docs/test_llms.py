"""`llms.txt` leads to every page, in the form of llmstxt.org."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "llms.txt").read_text("utf-8")
LINKS = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S.*$", TEXT, re.MULTILINE)


def test_every_page_is_in_it_once_and_every_link_resolves() -> None:
    """Of the project's folder, of docs and of the examples."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md")]
    assert sorted(LINKS) == sorted(page.relative_to(ROOT).as_posix() for page in pages)


def test_it_has_a_title_a_summary_and_sections_of_links() -> None:
    """In this sequence; a section holds a list of links, each with what it leads to, and nothing else."""
    head, *sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    assert re.match(r"# payhub\n\n> \S", head)
    lines = [line for section in sections for line in section.splitlines()[1:] if line]
    assert len(sections) >= 3
    assert len(lines) == len(LINKS)
