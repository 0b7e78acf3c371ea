"""A short run of the fuzzer, always the same; ``make fuzz`` runs ten million executions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from targets import ENDPOINT, GENUINE, TARGETS, Target

import fuzz

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Target]]:
    """Targets of the test's own."""
    own: dict[str, Target] = {}
    monkeypatch.setattr(fuzz, "TARGETS", own)
    return own


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_end_in_a_result_or_in_one_of_payhubs_errors(name: str) -> None:
    """Within steps and memory that their length bounds, and never paid without the key."""
    result = fuzz.fuzz(name, 1500)
    assert (result.executions, result.findings) == (1500, [])


def test_what_the_fuzzer_starts_from_is_genuine() -> None:
    """It would find nothing if it never came near what is accepted."""
    for account, messages in GENUINE.items():
        query, body = (messages[0], b"") if account == "epay" else (b"", messages[0])
        method = "GET" if query else "POST"
        assert ENDPOINT.answer(method, f"/{account}/notify", FORM, query, body).status_code == 200


def test_the_fuzzer_finds_an_error_that_is_not_payhubs(planted: dict[str, Target]) -> None:
    """With the input that it takes."""

    def run(data: bytes, _: Random) -> None:
        data.index(b"amount")

    planted["broken"] = Target([b"amount=1"], run)
    result = fuzz.fuzz("broken", 200)
    assert result.findings
    assert "ValueError" in result.findings[0]


def test_the_fuzzer_finds_steps_that_grow_with_the_square(planted: dict[str, Target]) -> None:
    """Every pair of bytes, once: seen where steps are counted."""

    def run(data: bytes, _: Random) -> None:
        for byte in data:
            for other in data:
                abs(byte - other)

    planted["square"] = Target([b"a" * 300], run)
    assert "calls for" in fuzz.fuzz("square", 1).findings[0]


def test_the_fuzzer_finds_an_input_that_hangs(planted: dict[str, Target], monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured in time of the processor, which a busy machine does not stretch."""
    monkeypatch.setattr(fuzz, "CPU_SECONDS", 0.05)

    def run(_: bytes, __: Random) -> None:
        while True:
            pass

    planted["hangs"] = Target([b"a"], run)
    assert "Hangs" in fuzz.fuzz("hangs", 1).findings[0]


def test_the_fuzzer_finds_memory_that_is_kept(planted: dict[str, Target], monkeypatch: pytest.MonkeyPatch) -> None:
    """More than caches hold."""
    monkeypatch.setattr(fuzz, "GROWTH_KIB", 0)
    kept: list[bytes] = []
    planted["keeps"] = Target([b"a"], lambda *_: kept.append(b"a" * 10_000_000))
    assert "memory grew" in fuzz.fuzz("keeps", 20).findings[-1]
