"""A few mutants of each module, always the same; ``make mutants`` tries all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mutations import mutants

from mutants import MODULES, equal

SCRIPT = Path(__file__).parent / "mutants.py"


@pytest.mark.proof
def test_the_tests_notice_what_is_broken_in_each_module() -> None:
    """Sampled by chance, with a seed."""
    done = subprocess.run([sys.executable, str(SCRIPT), "--sample", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": 2 mutants, 2 killed") == len(MODULES), done.stdout


@pytest.mark.parametrize("module", MODULES)
def test_a_mutant_is_told_by_its_name(module: str) -> None:
    """Names are what ``equal.txt`` lists: one a mutant, and none is listed that is not there."""
    names = [mutant.name for mutant in mutants(module)]
    assert len(set(names)) == len(names) >= 10
    assert {name for name in equal() if name.startswith(f"{module}:")} <= set(names)


def test_every_mutant_that_is_called_equal_has_a_reason() -> None:
    """And belongs to a module that is mutated."""
    for name, reason in equal().items():
        assert name.partition(":")[0] in MODULES, name
        assert len(reason) > 10, name
