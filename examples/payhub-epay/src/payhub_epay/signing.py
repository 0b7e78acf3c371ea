"""Signatures of EPay: MD5 over the sorted fields, the key behind them. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import md5

from payhub_core.kit import Secret, SignedPairs, made_by_any

__all__ = ["SIGNED", "sign", "verify"]

#: The same rule as data, to look for what deviates from it.
SIGNED = SignedPairs(
    unsigned=("sign_type",),
    fields=("pid", "trade_no", "out_trade_no", "type", "name", "money", "trade_status", "param"),
    sums=("money",),
)

_UNSIGNED = {"sign", "sign_type"}


def sign(fields: Mapping[str, str], key: Secret) -> str:
    """The signature of ``fields``, 32 lower-case hex digits, over all of them but the empty ones and its own two."""
    return _digest(fields, key).hex()


def verify(fields: Mapping[str, str], keys: Iterable[Secret]) -> bool:
    """Whether one of ``keys`` made the field ``sign``."""
    return made_by_any(keys, lambda key: _digest(fields, key), fields.get("sign"))


def _digest(fields: Mapping[str, str], key: Secret) -> bytes:
    signed = sorted((name, value) for name, value in fields.items() if value and name not in _UNSIGNED)
    text = "&".join(f"{name}={value}" for name, value in signed)
    return md5(f"{text}{key.text}".encode(), usedforsecurity=False).digest()
