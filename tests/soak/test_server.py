"""A short soak behind real servers; ``make soak`` runs the long one."""

from __future__ import annotations

import pytest
from tests.soak.books import Books
from tests.soak.server import soak
from tests.soak.servers import JUDGED_SECONDS, SAMPLE_SECONDS, Memory


@pytest.mark.proof
@pytest.mark.parametrize(
    ("database", "minutes"), [("sqlite", 0.1), pytest.param("postgresql", 0.25, marks=pytest.mark.postgresql)]
)
def test_behind_real_servers_that_are_killed_nothing_is_lost_and_nothing_comes_twice(
    database: str, minutes: float
) -> None:
    """What the gateway, the ledger and the shop wrote down agrees, whatever was killed meanwhile."""
    result = soak(minutes, database=database, seed=7)
    assert result.killed
    assert result.acknowledged > 3
    assert result.books.transitions > 5
    assert result.holds, result


@pytest.mark.parametrize("wrong", ["lost", "other_sum", "invented", "stuck", "waiting", "without_effect", "twice"])
def test_books_with_one_order_that_is_wrong_do_not_agree(wrong: str) -> None:
    """Each kind of fault is one, though the sums be the same."""
    assert Books().agree
    assert not Books(**{wrong: ["A1001"]}).agree
    assert not Books(paid_at_gateway=1).agree


@pytest.mark.parametrize(("growth", "flat"), [(0, True), (64, False)])
def test_a_worker_that_grows_after_its_warm_up_is_not_flat(growth: int, flat: bool) -> None:
    """What it takes at first is its warm-up; one that lived for a moment only tells nothing."""
    count = int(JUDGED_SECONDS / SAMPLE_SECONDS * 3)
    warm = [50_000 + 10 * min(n, count // 4) for n in range(count)]
    memory = Memory([])
    memory.samples = {
        "old": [kib + growth * max(n - count // 3, 0) for n, kib in enumerate(warm)],
        "young": [50_000, 90_000],
    }
    assert memory.judged().keys() == {"old"}
    assert memory.flat is flat
