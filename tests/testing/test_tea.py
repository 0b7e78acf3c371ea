"""A gateway with everything that a gateway may have keeps the contract whole: every case applies to it."""

from __future__ import annotations

from tests.testing.tea import TeaContract


class TestTea(TeaContract):
    """No excuse."""
