"""A gateway whose messages are of today: the ledger compares their times."""

from __future__ import annotations

import pytest
from tests.gateway import PlatformOfToday


@pytest.fixture(scope="session")
def platform() -> PlatformOfToday:
    return PlatformOfToday()
