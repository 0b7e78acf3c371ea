"""Payments that have to be confirmed: the account sends a request of its own while it hears a message."""

from __future__ import annotations

from tests.testing.confirming import ConfirmingContract


class TestConfirming(ConfirmingContract):
    """Every case, with and without a word for what waits."""
