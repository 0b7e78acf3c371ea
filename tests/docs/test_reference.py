"""The reference says what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from payhub_core import NextAction, PaymentMethod, PaymentStatus, RefundStatus
from payhub_core.settings import Settings
from payhub_gpu import Gpu

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference.md"
ACTIONS = get_args(get_args(NextAction)[0])


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


@pytest.mark.parametrize(
    ("words", "name", "heading"),
    [
        ([method.name for method in PaymentMethod], "methods.md", "Each method"),
        ([*(action.__name__ for action in ACTIONS), "None"], "methods.md", "What a shop does with each action"),
        ([status.name for status in PaymentStatus], "reference.md", "Statuses"),
    ],
)
def test_every_word_stands_in_its_table_once(words: list[str], name: str, heading: str) -> None:
    """And no other does."""
    section = PAGE.with_name(name).read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    named = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert sorted(named) == sorted(words)


def test_a_refunds_words_are_named() -> None:
    """All of them."""
    page = PAGE.read_text("utf-8")
    assert all(f"`{word.name}`" in page for word in RefundStatus)


def test_the_configurations_page_explains_every_setting() -> None:
    """Of the file, by name; of the gateway's account, in its table and once."""
    page = PAGE.with_name("configuration.md").read_text("utf-8")
    assert [name for name in Settings.model_fields if not re.search(rf"^\[?{name}\b", page, re.MULTILINE)] == []
    section = page.split("\n## Settings of a gpu account\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == sorted(Gpu.model_fields)
