"""A gateway that forgets the numbers of refunds, and an account that looks for each before it sends it."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.testing.broken import FORGETS, LooksForTheRefund
from tests.testing.tea import TeaContract


class TestForgets(TeaContract):
    """Every case, for a refund that is looked up first."""

    provider: ClassVar[type[Any]] = LooksForTheRefund
    refund_keys_expire = True
    answer = FORGETS["answer"]
