"""The usual deviations of a signature over pairs, by name, and how a message is read to try them: leniently."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from hashlib import md5
from html import escape, unescape
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus, unquote_to_bytes

from payhub_core.errors import plain

__all__ = [
    "AS_SUMS",
    "CASES",
    "CHARSETS",
    "JOINTS",
    "ORDERS",
    "SECRETS",
    "VALUES",
    "Group",
    "decoded",
    "raw_pairs",
    "utf_8",
]

_MOST_FIELDS = 64
_LONGEST = 16 * 1024
_NO_SUM = 10**15
_HEX = re.compile("%[0-9A-F]{2}")

#: Deviations of which at most one applies: the name, and what it changes of a way to sign.
Group: TypeAlias = list[tuple[str, dict[str, Any]]]


def raw_pairs(data: bytes) -> list[tuple[str, str]]:
    """The fields of a form, with their values as they came; nothing is refused but what is far too long."""
    if not data or len(data) > _LONGEST or data.count(b"&") >= _MOST_FIELDS:
        return []
    parts = [part.partition("=") for part in data.decode("utf-8", "surrogateescape").split("&")]
    return [(plain(decoded(name)), raw) for name, _, raw in parts]


@lru_cache(maxsize=1024)
def decoded(raw: str) -> str:
    """The text of a value as it came: in UTF-8, or else in GBK."""
    return _decoded(raw.replace("+", " "))


def _decoded(raw: str) -> str:
    data = unquote_to_bytes(raw.encode("utf-8", "surrogateescape"))
    for charset in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            return data.decode(charset)
    return data.decode("latin-1")


def utf_8(text: str) -> bytes:
    """The bytes of a text, those of a value as it came unchanged."""
    return text.encode("utf-8", "surrogateescape")


def _read(change: Callable[[str], str]) -> dict[str, Callable[[str], str]]:
    """Values changed after they are decoded."""
    return {"write": lru_cache(maxsize=128)(lambda raw: change(decoded(raw)))}


def _html(text: str) -> str:
    return escape(text).replace("&#x27;", "&#039;")  # as PHP writes it


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


VALUES: Group = [
    ("values are url-encoded, a space as +", _read(quote_plus)),
    ("values are url-encoded, a space as %20", _read(lambda text: quote(text, safe=""))),
    ("values are url-encoded in lower case", _read(lambda text: _HEX.sub(lambda it: it[0].lower(), quote_plus(text)))),
    ("values are signed as they travel, url-encoded", {"write": lambda raw: raw}),
    ("values are decoded twice", _read(decoded)),
    (
        "values are url-encoded beyond ASCII",
        _read(lambda text: re.sub(r"[^\x00-\x7f]+", lambda it: quote(it[0]), text)),
    ),
    ("a plus sign stays a plus sign", {"write": _decoded}),
    ("values are HTML-escaped", _read(_html)),
    ("values are HTML-escaped, but for the single quote", _read(lambda text: _html(text).replace("&#039;", "'"))),
    ("values are HTML-escaped, but for quotes", _read(lambda text: escape(text, quote=False))),
    ("values are HTML-unescaped", _read(unescape)),
    ("quotes in values have a backslash", _read(lambda text: re.sub(r"(['\"\\])", r"\\\1", text))),
    ("values have no backslashes", _read(lambda text: text.replace("\\", ""))),
    ("white space around values is dropped", _read(str.strip)),
    ("white space in values is dropped", _read(lambda text: "".join(text.split()))),
    ("values are in lower case", _read(str.lower)),
    ("values are in upper case", _read(str.upper)),
]
CHARSETS: Group = [
    ("the text is in GBK", {"charset": lambda text: text.encode("gb18030", "replace")}),
    ("the text is UTF-8 encoded twice", {"charset": lambda text: utf_8(text).decode("latin-1").encode()}),
]
ORDERS: Group = [
    ("fields stand in the order in which they came", {"order": None}),
    ("fields are sorted without regard to case", {"order": lambda pair: pair[0].lower()}),
]
JOINTS: Group = [
    ("no '&' stands between fields", {"joint": ("", "{}={}")}),
    ("neither '&' nor '=' is written", {"joint": ("", "{}{}")}),
    ("the values alone are signed", {"joint": ("", "{1}")}),
    ("the values alone are signed, joined by '&'", {"joint": ("&", "{1}")}),
    ("values stand in quotes", {"joint": ("&", '{}="{}"')}),
]
CASES: Group = [
    ("names are in lower case", {"names": str.lower}),
    ("names are in upper case", {"names": str.upper}),
    ("the whole text is in lower case", {"whole": str.lower}),
    ("the whole text is in upper case", {"whole": str.upper}),
]
SECRETS: Group = [
    ("the secret has a line end behind it", {"secret": lambda secret: f"{secret}\n"}),
    ("the secret has a space behind it", {"secret": lambda secret: f"{secret} "}),
    ("the secret is in lower case", {"secret": str.lower}),
    ("the secret is in upper case", {"secret": str.upper}),
    ("the MD5 of the secret stands for it", {"secret": _md5}),
    ("the MD5 of the secret stands for it, in upper case", {"secret": lambda secret: _md5(secret).upper()}),
]


def _sum(factor: str, form: str) -> Callable[[str], str]:
    """A sum times ``factor``, written by ``form``; what is no sum stays as it is."""

    def written(text: str) -> str:
        with suppress(ArithmeticError):
            value = Decimal(text) * Decimal(factor)
            if value.is_finite() and abs(value) < _NO_SUM:
                return format(value.normalize(), form)
        return text

    return written


#: The same sum in the other unit, and with other decimals.
AS_SUMS = [_sum(factor, form) for factor in ("1", "100", "0.01") for form in ("f", ".1f", ".2f")]
