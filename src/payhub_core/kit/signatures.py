"""Whether any of an account's keys made a signature, and whether it is of now."""

from __future__ import annotations

import re
import time
from binascii import a2b_base64, b2a_base64, unhexlify
from collections.abc import Callable, Iterable
from hmac import compare_digest
from typing import Literal, TypeVar

from payhub_core.errors import BadSignature, MalformedCallback
from payhub_core.kit.fields import Fields
from payhub_core.kit.keys import PublicKey
from payhub_core.kit.settings import Secret
from payhub_core.models import Callback

__all__ = ["basic_auth", "bearer", "check_age", "made_by_any", "verified_by_any"]

K = TypeVar("K")


def made_by_any(
    keys: Iterable[K], make: Callable[[K], bytes], given: str | None, encoding: Literal["hex", "base64"] = "hex"
) -> bool:
    """Whether ``given`` is the digest that ``make`` makes with one of ``keys``, compared in constant time.

    ``make`` returns the digest's bytes, as ``digest()`` of hashlib or of hmac (RFC 2104) does. ``given`` is what came,
    in hex of either case or in base64 (RFC 4648); missing, empty or anything else, it is False.
    """
    decoded = _decoded(given, encoding)
    for key in keys:  # noqa: SIM110  any() would build a generator on the path of every callback
        if decoded and compare_digest(make(key), decoded):
            return True
    return False


def verified_by_any(keys: Iterable[PublicKey], given: str | None, message: bytes) -> bool:
    """Whether ``given``, in base64, is the signature of ``message`` by the private half of one of ``keys``.

    RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2.2): Alipay's RSA2, WeChat Pay's SHA256-RSA2048. Missing, empty or
    anything else, it is False.
    """
    signature = _decoded(given, "base64")
    return any(key.verifies(signature, message) for key in keys)


def check_age(callback: Callback, stated: str, tolerance: float = 300.0) -> None:
    """Bounds for how long ``callback`` can be replayed.

    ``stated`` is its signed time, in whole seconds since 1970 or as RFC 3339 writes it.
    Call it once the signature over ``stated`` is verified. Raises MalformedCallback for another text, BadSignature
    where it is more than ``tolerance`` seconds from this machine's clock, in either direction. One that was recorded is
    judged by the time at which it was.
    """
    if re.fullmatch(r"[0-9]{1,15}", stated):
        signed = float(stated)
    else:
        at = Fields(time=stated).time("time", default=None)
        if at is None:
            raise MalformedCallback("expected the signature's time in whole seconds, or such as 2019-08-18T00:13:41Z")
        signed = at.timestamp()
    recorded = callback.recorded_at
    away = abs((recorded.timestamp() if recorded else time.time()) - signed)
    if away > tolerance:
        raise BadSignature(
            f"expected a message signed within {tolerance:.0f} seconds, this one is {away:.0f} away",
            hint="where every message is, this machine's clock is wrong",
        )


def basic_auth(user: str, password: str | Secret) -> str:
    """The Authorization header of HTTP Basic (RFC 7617) in UTF-8; raises ValueError for a user with a colon."""
    password = password if isinstance(password, str) else password.text
    if ":" in user:
        raise ValueError("expected a user without a colon")
    return _Hidden("Basic " + b2a_base64(f"{user}:{password}".encode(), newline=False).decode())


def bearer(token: str | Secret) -> str:
    """The Authorization header of a bearer token (RFC 6750, 2.1)."""
    return _Hidden("Bearer " + (token if isinstance(token, str) else token.text))


class _Hidden(str):
    """A text that is not shown among the variables of a traceback, where a dict of headers often is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


def _decoded(text: str | None, encoding: str) -> bytes:
    """The bytes that ``text`` writes; none, which are no signature, where it does not."""
    try:
        return unhexlify(text or "") if encoding == "hex" else a2b_base64(text or "", strict_mode=True)
    except (ValueError, TypeError):
        return b""
