"""The page for authors of providers says all that a contract is asked for."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from payhub_core.testing import ProviderContract, Sale

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing-a-provider.md").read_text("utf-8")
ACME = (ROOT / "examples" / "payhub-acme" / "tests" / "test_contract.py").read_text("utf-8")


def rows(heading: str) -> list[str]:
    """What the rows of the tables under a heading are about."""
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_field_of_a_sale_and_every_no_is_on_the_page_and_no_other() -> None:
    """A table that lacks one leaves a case not applicable that the author never heard of."""
    words = [f'"{word}"' for word in get_args(get_type_hints(Sale)["no"]) if word]
    assert rows("What a `Sale` says") == [
        *[field.name for field in fields(Sale)],
        "no",  # the second table's heading
        *words,
    ]


@pytest.mark.parametrize("word", [word for word in get_args(get_type_hints(Sale)["no"]) if word])
def test_the_scaffold_says_no_in_every_way(word: str) -> None:
    """A new provider begins with all of them."""
    assert f'"{word}": (' in ACME


def test_everything_that_a_contract_may_say_is_on_the_page() -> None:
    """And nothing that it may not."""
    named = {row.partition("(")[0] for row in rows("What to fill in")}
    hidden = {
        "confirming",
        "created_at",
        "returns",
        "run",
        "sale",
        "altered",
        "tells_refunds",
        "test_case",
        "test_whole",
    }
    said = {*vars(ProviderContract), *vars(ProviderContract)["__annotations__"]}
    assert named == {name for name in said if not name.startswith("_")} - hidden
