"""A notify that is a payment's number and no more, of a gateway that signs its answers."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.testing.broken import FETCHED, Fetching
from tests.testing.tea import TeaContract


class TestFetching(TeaContract):
    """Every case, for a provider that asks what became of a payment."""

    provider: ClassVar[type[Any]] = Fetching
    tolerance = None
    notify, others, returned = (FETCHED[name] for name in ("notify", "others", "returned"))
