"""A short soak; ``make soak`` runs the long one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest

from soak import soak


@pytest.mark.proof
def test_the_books_of_shop_and_gateway_agree_to_the_fen() -> None:
    """With a tenth of the exchanges going wrong, nothing is lost, invented or shipped twice."""
    result = soak(150, workers=3, seed=7)
    assert result.faults > 0
    assert result.paid_at_gateway > 100
    assert result.agrees, result
