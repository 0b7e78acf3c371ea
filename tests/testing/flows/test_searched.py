"""A gateway with a number of its own, by which it is asked: where that is not known, the account searches."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.testing.broken import Searching
from tests.testing.tea import TeaContract


class TestSearching(TeaContract):
    """Every case, for a refund and a close that may look up first."""

    provider: ClassVar[type[Any]] = Searching
