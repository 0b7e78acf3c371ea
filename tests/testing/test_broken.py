"""The kit catches what it is for: broken providers, each by the case that is meant for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.testing.broken import BROKEN, Broken

from payhub_core.testing.cases import CASES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.case}-{broken.provider.__name__}")
def test_a_broken_provider_is_caught_by_the_case_meant_for_it(broken: Broken) -> None:
    """And the message says what was expected, what came, why it matters and where to read."""
    (case,) = [case for case in CASES if case.id == broken.case]
    verdict = broken.contract.run(case)
    assert verdict.outcome == "failed", verdict
    for part in (case.id, case.what, "expected:", "what came:", case.why, f"docs/{case.page}"):
        assert part in verdict.text


def test_no_case_is_without_a_provider_that_needs_it() -> None:
    """A case that nothing can fail protects nobody."""
    assert {case.id for case in CASES} - {broken.case for broken in BROKEN} == set()


def test_every_case_is_named_once_and_its_page_is_there() -> None:
    """The name is what an excuse is written for."""
    names = [case.id for case in CASES]
    assert len(names) == len(set(names))
    assert [case.id for case in CASES if not _is_there(case.page)] == []


def _is_there(page: str) -> bool:
    name, _, anchor = page.partition("#")
    headings = re.findall(r"^#+ (.*)$", (DOCS / name).read_text("utf-8"), re.MULTILINE)
    return not anchor or anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
