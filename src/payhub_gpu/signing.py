"""Signatures of the gateway: MD5 over the sorted fields and the secret (protocol, section 4). Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import md5
from typing import Literal, TypeAlias

from payhub_core.kit import Secret, SignedPairs, made_by_any

__all__ = ["Empties", "Placement", "drop_empty", "sign", "signed_pairs", "verify"]

#: Where the secret stands in the signed string: sorted in among the fields, as documented, or always last.
Placement: TypeAlias = Literal["sorted", "last"]
#: Whether callbacks sign empty values.
Empties: TypeAlias = Literal["keep", "drop"]

_HINTS = {
    "the secret stands sorted among the fields": 'set secret_placement = "sorted"',
    "the secret stands last": 'set secret_placement = "last"',
    "empty values are signed": 'set callback_empties = "keep"',
    "empty values are left out": 'set callback_empties = "drop"',
}


def sign(fields: Mapping[str, str], secret: Secret, placement: Placement = "sorted") -> str:
    """The signature of ``fields``: 32 lower-case hex digits.

    Names are sorted by their bytes; values are taken raw, never percent-encoded, empty ones too: a request drops those
    first. ``fields`` must not hold ``sign`` or ``secret``.
    """
    return _digest(fields, secret, placement).hex()


def verify(
    fields: Mapping[str, str], signature: str, secrets: Iterable[Secret], placement: Placement = "sorted"
) -> bool:
    """Whether one of ``secrets`` made ``signature``, 32 hex digits of either case."""
    return made_by_any(secrets, lambda secret: _digest(fields, secret, placement), signature)


def drop_empty(fields: Mapping[str, str]) -> dict[str, str]:
    """``fields`` without the empty ones; "0" is not empty."""
    return {name: value for name, value in fields.items() if value}


def signed_pairs(placement: Placement, empties: Empties, fields: Iterable[str]) -> SignedPairs:
    """The same rule as data, to look for what deviates from it; ``fields`` are those that a message may have."""
    return SignedPairs(
        named="secret",
        placement=placement,
        empties=empties,
        fields=fields,
        sums=("amount", "actual_amount"),
        hints=_HINTS,
    )


def _digest(fields: Mapping[str, str], secret: Secret, placement: Placement) -> bytes:
    last = ("secret", secret.text)
    pairs = sorted([*fields.items(), last]) if placement == "sorted" else [*sorted(fields.items()), last]
    text = "&".join([f"{name}={value}" for name, value in pairs])
    return md5(text.encode(), usedforsecurity=False).digest()
