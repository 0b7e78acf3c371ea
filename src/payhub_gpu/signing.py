"""Signatures of the gateway: MD5 over the sorted fields and the secret (protocol, section 4). Pure functions."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import md5
from typing import Literal, TypeAlias

from pydantic import SecretStr

__all__ = ["Placement", "drop_empty", "sign", "verify"]

#: Where the secret stands in the signed string: sorted in among the fields, as documented, or always last.
Placement: TypeAlias = Literal["sorted", "last"]

_SIGN = re.compile(r"[0-9A-Fa-f]{32}")


def sign(fields: Mapping[str, str], secret: SecretStr, placement: Placement = "sorted") -> str:
    """The signature of ``fields``: 32 lower-case hex digits.

    Names are sorted by their bytes; values are taken raw, never percent-encoded, empty ones too: a request drops those
    first. ``fields`` must not hold ``sign`` or ``secret``.
    """
    last = ("secret", secret.get_secret_value())
    pairs = sorted([*fields.items(), last]) if placement == "sorted" else [*sorted(fields.items()), last]
    text = "&".join([f"{name}={value}" for name, value in pairs])
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def verify(
    fields: Mapping[str, str], signature: str, secrets: Iterable[SecretStr], placement: Placement = "sorted"
) -> bool:
    """Whether one of ``secrets`` made ``signature``, 32 hex digits of either case; compared in constant time."""
    if not _SIGN.fullmatch(signature):
        return False
    given = signature.lower().encode()
    for secret in secrets:  # noqa: SIM110  any() would build a generator on the path of every callback
        if hmac.compare_digest(sign(fields, secret, placement).encode(), given):
            return True
    return False


def drop_empty(fields: Mapping[str, str]) -> dict[str, str]:
    """``fields`` without the empty ones; "0" is not empty."""
    return {name: value for name, value in fields.items() if value}
