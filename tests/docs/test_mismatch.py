"""The page about signatures explains all that the commands may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from payhub_core import Callback
from payhub_core.explanation import HINTS
from payhub_core.kit import Secret, SignedPairs

pytestmark = pytest.mark.usefixtures("few_sums")

PAGE = Path(__file__).parents[2] / "docs" / "signature-mismatch.md"
FIELDS = "note=+A+%7e%26+%3Cb%26lt%3B%3E+%27%22%5C%2527+%E8%8C%B6&zero=0&money=1.00&paid=200&sign_type=MD5&empty=&Z=1"

#: The page names one of each kind.
ONE_OF_EACH = {
    r", as \w+=": "",
    r"the field '\w+' is not": "the field 'note' is not",
    r"the sum in '\w+' was": "the sum in 'money' was",
    r"the hash is (HMAC-)?\w+": r"the hash is \1HASH",
}


RULES: dict[str, Any] = {
    "bare": {},
    "last": {"named": "secret", "empties": "keep"},
    "sorted": {"named": "secret", "placement": "sorted"},
}


def deviations(rule: str, digits: int) -> set[str]:
    """All that a message of so many digits may be found to deviate in."""
    pairs = SignedPairs(**RULES[rule], fields=("param",), sums=("money", "paid"), unsigned=("sign_type",))
    callback = Callback("POST", {}, b"shop=1", f"{FIELDS}&sign={'0' * digits}".encode())
    said = {name for name, _ in pairs.candidates(callback, [Secret("Throw-away-key-of-the-page")])}
    return {one for name in said for one in name.split(", and ") if one}


@pytest.mark.parametrize("digits", [32, 40])
@pytest.mark.parametrize("rule", RULES)
def test_every_deviation_stands_in_the_table_with_what_it_means(rule: str, digits: int) -> None:
    """Under the name that it has on the command line."""
    names = deviations(rule, digits)
    for pattern, put in ONE_OF_EACH.items():
        names = {re.sub(pattern, put, name) for name in names}
    assert len(names) > 40
    page = PAGE.read_text("utf-8")
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_each_hint_is_that_of_a_deviation() -> None:
    """A name that is changed would else be told the general one."""
    named = {name for rule in RULES for digits in (32, 40) for name in deviations(rule, digits)}
    assert [it for it in HINTS if not any(re.match(it, name) for name in named)] == []
