"""The platform's signatures (section 4), written from the protocol and from nothing else.

The plugin has its own implementation. The two share no line on purpose: a mistake in one shows against the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from hmac import compare_digest

from payhub_sandbox.settings import Merchant

__all__ = ["callback_signature", "is_signed", "request_signature"]


def request_signature(fields: Mapping[str, str], merchant: Merchant) -> str:
    """The sign that a merchant's request must carry: empty values dropped."""
    return _digest({name: value for name, value in fields.items() if value}, merchant)


def callback_signature(fields: Mapping[str, str], merchant: Merchant) -> str:
    """The sign of a notify or a browser's return: empty values as the merchant's dialect has them."""
    if merchant.callback_empties == "drop":
        fields = {name: value for name, value in fields.items() if value}
    return _digest(fields, merchant)


def is_signed(fields: Mapping[str, str], merchant: Merchant) -> bool:
    """Whether a merchant's request carries its sign; compared in constant time."""
    received = fields.get("sign", "").lower().encode()
    return compare_digest(received, request_signature(fields, merchant).encode())


def _digest(fields: Mapping[str, str], merchant: Merchant) -> str:
    parts = [(name, value) for name, value in fields.items() if name != "sign"]
    secret = ("secret", merchant.secret)
    if merchant.secret_placement == "sorted":
        parts = sorted([*parts, secret], key=_by_bytes)
    else:
        parts = [*sorted(parts, key=_by_bytes), secret]
    text = "&".join(f"{name}={value}" for name, value in parts)
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def _by_bytes(part: tuple[str, str]) -> bytes:
    return part[0].encode()
