"""An order's method in the gateway's own word."""

from __future__ import annotations

from collections.abc import Mapping

from payhub_core.models import PaymentMethod

__all__ = ["method_code"]


def method_code(method: PaymentMethod | str | None, codes: Mapping[PaymentMethod, str], *, default: str = "") -> str:
    """The gateway's code of an order's ``method``: by ``codes`` where it is neutral, itself where it is a raw code.

    ``default`` is for an order without a method. A neutral method that ``codes`` lack is a KeyError: declare
    ``methods=frozenset(codes)``, and the core refuses such an order before.
    """
    if not method:
        return default
    return codes[method] if isinstance(method, PaymentMethod) else method
