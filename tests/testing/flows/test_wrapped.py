"""Envelopes: every message is JSON in Base64, with a signature over it."""

from __future__ import annotations

from tests.testing.wrapped import WrappedContract


class TestWrapped(WrappedContract):
    pass
