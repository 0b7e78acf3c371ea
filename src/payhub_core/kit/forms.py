"""Strict forms: read so that nothing can be read two ways, and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias, TypeVar
from urllib.parse import quote_plus, unquote_to_bytes, urlsplit

from payhub_core.errors import MalformedCallback, plain
from payhub_core.kit.fields import CallbackFields, Fields
from payhub_core.models import Callback

__all__ = ["FORM", "read_form", "read_pairs", "write_form"]

F = TypeVar("F", bound=Fields)
_Error: TypeAlias = Callable[[str], Exception]

#: The media type of forms, for a request's Content-Type.
FORM = "application/x-www-form-urlencoded"

_LONGEST = 16 * 1024
_MOST_FIELDS = 64
_EMPTY = "see what has read or dropped the body before payhub: the framework, a proxy, a redirect"
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


def read_form(
    callback: Callback,
    *,
    methods: tuple[str, ...] = ("POST",),
    address: str = "",
    free_text: tuple[str, ...] = (),
    reserved: tuple[str, ...] = (),
    joint: str = "&",
) -> CallbackFields:
    """The fields of a posted form, or with "GET" among ``methods`` of a query, each value decoded once.

    ``address`` is the one the gateway was given: its own query stands before a GET's fields. The rest is as for
    `read_pairs`. Raises MalformedCallback.
    """
    data = _data(callback, methods, address)
    return read_pairs(data, CallbackFields, free_text=free_text, reserved=reserved, joint=joint)


def read_pairs(
    data: bytes,
    kind: type[F],
    *,
    free_text: tuple[str, ...] = (),
    reserved: tuple[str, ...] = (),
    joint: str = "&",
) -> F:
    """The fields of ``data`` written as a form, such as a reply's body, each value decoded once.

    ``kind`` is `Fields` for a reply, `CallbackFields` for a callback, and raises its error. ``joint`` is what the
    gateway's signature joins unescaped values with, "" where each is escaped by itself before that, or where the bytes
    are signed as they came: a value that holds it could be cut into other fields, so it is refused in every field but
    those in ``free_text``, the fewer the better. ``reserved`` are names that no message carries, such as that under
    which the secret is signed; the case of letters makes no difference.

    The form is at most 16 KiB and 64 fields, in strict UTF-8, without control characters; "&" alone separates
    (WHATWG URL, 5.1; ";" does not: CVE-2026-53538), every field has "=", names are ASCII identifiers and come once.
    """
    error: _Error = kind.error
    if len(data) > _LONGEST or data.count(b"&") >= _MOST_FIELDS:
        raise error(f"expected at most {_LONGEST} bytes and {_MOST_FIELDS} fields")
    fields = kind()
    try:
        # A time's colons are what most messages escape, and the decoder is the slowest part. No escape spans a colon.
        text = data.decode().replace("+", " ").replace("%3A", ":")
        parts = text.split("&")
        printable = text.isprintable()  # of what is written out at once, of what is escaped one by one
        for part in parts:
            name, equals, value = part.partition("=")
            if not equals:
                raise error("expected every field as NAME=VALUE")
            if "%" in value:
                value = unquote_to_bytes(value).decode()
                printable = printable and value.isprintable() and "&" not in value
            fields[name] = value
    except UnicodeDecodeError:
        raise error("expected UTF-8") from None
    if len(fields) != len(parts):
        raise error("a field came twice")
    _check_names(tuple(fields), reserved, error)
    if not printable or joint != "&":
        _check_values(fields, free_text, joint, error)
    return fields


def write_form(fields: Mapping[str, str]) -> bytes:
    """``fields`` as a form or a query, each name and value encoded once (WHATWG URL, 5.2)."""
    # Not value.isalnum(): what is no text is a TypeError, and not what its own method makes of it.
    pairs = [
        (name, value if str.isalnum(value) and value.isascii() else value.translate(_ENCODED))
        for name, value in fields.items()
    ]
    return "&".join([f"{_encoded_name(name)}={value}" for name, value in pairs]).encode()


def media_type(callback: Callback) -> str:
    """The type of the body without its parameters, in lower case (RFC 9110, 8.3.1)."""
    return callback.header("content-type").partition(";")[0].strip().lower()


class _Encoded(dict[int, str]):
    """What stands for a character, by its code; `quote_plus` itself takes twice as long for a form."""

    def __missing__(self, code: int) -> str:
        return quote_plus(chr(code))


_ENCODED = _Encoded({code: quote_plus(chr(code)) for code in range(128)})


@lru_cache(maxsize=512)  # a gateway's messages have the same few sets of names
def _encoded_name(name: str) -> str:
    return str.translate(name, _ENCODED)


def _data(callback: Callback, methods: tuple[str, ...], address: str) -> bytes:
    if callback.method not in methods:
        raise MalformedCallback(f"expected a {' or '.join(methods)}")
    if callback.method == "POST":
        if not callback.body:
            raise MalformedCallback("expected a form, the body is empty", hint=_EMPTY)
        if callback.header("content-type") != FORM and media_type(callback) != FORM:
            raise MalformedCallback(f"expected a body of type {FORM}")
        return callback.body
    if callback.body:
        raise MalformedCallback("expected a GET without a body")  # which of the two would count?
    own = urlsplit(address).query
    return callback.query.removeprefix(f"{own}&".encode()) if own else callback.query


@lru_cache(maxsize=64)  # a gateway's messages have the same few sets of names
def _check_names(names: tuple[str, ...], reserved: tuple[str, ...], error: _Error) -> None:
    lowered = {name.lower() for name in reserved}
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise error("expected names of letters, digits and '_'")
        if name.lower() in lowered:
            raise error(f"a field is named {plain(name, 40)}, which no message carries")


def _check_values(fields: Mapping[str, str], free_text: tuple[str, ...], joint: str, error: _Error) -> None:
    for name, value in fields.items():
        if _control(value):
            raise error(f"the field {plain(name, 40)} holds control characters")
        if joint and joint in value and name not in free_text:
            raise error(f"the field {plain(name, 40)} holds an {joint!r}")
