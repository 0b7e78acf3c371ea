"""The reference says what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from payhub_core import PaymentMethod, PaymentStatus, RefundStatus

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference.md"


@pytest.fixture(scope="module")
def reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_tables_are_those_of_the_code(reference: Any) -> None:
    """`make reference` writes them anew."""
    page = PAGE.read_text("utf-8")
    assert page == reference.written(page)
    assert set(re.findall(r"<!-- generated: (\w+) -->", page)) == set(reference.TABLES)


@pytest.mark.parametrize(("words", "heading"), [(PaymentMethod, "Methods"), (PaymentStatus, "Statuses")])
def test_every_word_stands_in_its_table_once(words: Any, heading: str) -> None:
    """And no other does."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    named = re.findall(r"^\| `([A-Z0-9_]+)`", section, re.MULTILINE)
    assert sorted(named) == sorted(word.name for word in words)


def test_a_refunds_words_are_named() -> None:
    """All of them."""
    page = PAGE.read_text("utf-8")
    assert all(f"`{word.name}`" in page for word in RefundStatus)
