"""The pages show the recipes as the tests run them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "recipes"
RECIPES = sorted(path.name for path in FOLDER.glob("*.py"))
#: An application of Django's is a folder; its models have a line for each column.
SHOWN = [*RECIPES, *sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*.py") if path.stat().st_size)]


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_shows_the_recipe_as_it_is_tested(name: str) -> None:
    """Byte for byte, below a comment that names the file."""
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    shown = dict(re.findall(r"<!-- docs/recipes/([\w/]+\.py) -->\n```python\n(.*?)```", pages, re.DOTALL))
    assert shown[name] == (FOLDER / name).read_text("utf-8")


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("**/*.md")), ids=lambda page: page.parent.name + page.name)
def test_a_page_names_the_file_of_a_recipe_above_it(page: Path) -> None:
    """A reader of the page sees no comment: the link says what to copy."""
    for folder, name in re.findall(r"<!-- docs/recipes/([\w/]*?)(\w+\.py) -->", page.read_text("utf-8")):
        up = "../" if page.parent.name == "zh" else ""
        link = f"[`{name}`]({up}recipes/{folder}{name})\n\n<!-- docs/recipes/{folder}{name} -->"
        assert link in page.read_text("utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_short(name: str) -> None:
    """At most eight lines beside the imports."""
    lines = (FOLDER / name).read_text("utf-8").splitlines()
    assert len([line for line in lines if line and not line.startswith(("from ", "import "))]) <= 8
