"""A gateway that says no more than "this number is taken": the account looks up what is there."""

from __future__ import annotations

from tests.testing.broken import LooksUp
from tests.testing.tea import TeaContract


class TestLooksUp(TeaContract):
    """Every case, for a create and a refund that ask a second time."""

    provider = LooksUp
