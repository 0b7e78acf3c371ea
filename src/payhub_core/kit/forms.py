"""Strict forms: read so that nothing can be read two ways, and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote_plus, unquote_to_bytes, urlsplit

from payhub_core.errors import MalformedCallback, plain
from payhub_core.kit.fields import CallbackFields
from payhub_core.models import Callback

__all__ = ["FORM", "read_form", "write_form"]

#: The media type of forms, for a request's Content-Type.
FORM = "application/x-www-form-urlencoded"

_LONGEST = 16 * 1024
_MOST_FIELDS = 64
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

    ``joint`` is what the gateway's signature joins unescaped values with, "" where it escapes them or signs the bytes:
    a value that holds it could be cut into other fields, so it is refused in every field but those in ``free_text``,
    the fewer the better. ``reserved`` are names that no message carries, such as that under which the secret is
    signed; the case of letters makes no difference. ``address`` is the one the gateway was given: its own query stands
    before a GET's fields.

    The form is at most 16 KiB and 64 fields, in strict UTF-8, without control characters; "&" alone separates
    (WHATWG URL, 5.1; ";" does not: CVE-2026-53538), every field has "=", names are ASCII identifiers and come once.
    Raises MalformedCallback.
    """
    data = _data(callback, methods, address)
    if len(data) > _LONGEST or data.count(b"&") >= _MOST_FIELDS:
        raise MalformedCallback(f"expected at most {_LONGEST} bytes and {_MOST_FIELDS} fields")
    fields = CallbackFields()
    try:
        # A time's colons are what most messages escape, and the decoder is the slowest part. No escape spans a colon.
        text = data.decode().replace("+", " ").replace("%3A", ":")
        parts = text.split("&")
        printable = text.isprintable()  # of what is written out at once, of what is escaped one by one
        for part in parts:
            name, equals, value = part.partition("=")
            if not equals:
                raise MalformedCallback("expected every field as NAME=VALUE")
            if "%" in value:
                value = unquote_to_bytes(value).decode()
                printable = printable and value.isprintable() and "&" not in value
            fields[name] = value
    except UnicodeDecodeError:
        raise MalformedCallback("expected UTF-8") from None
    if len(fields) != len(parts):
        raise MalformedCallback("a field came twice")
    _check_names(tuple(fields), reserved)
    if not printable or joint != "&":
        _check_values(fields, free_text, joint)
    return fields


def write_form(fields: Mapping[str, str]) -> bytes:
    """``fields`` as a form or a query, each name and value encoded once (WHATWG URL, 5.2)."""
    # Not value.translate(): what is no text is a TypeError, and not what its own method makes of it.
    encoded = str.translate
    return "&".join(
        [f"{encoded(name, _ENCODED)}={encoded(value, _ENCODED)}" for name, value in fields.items()]
    ).encode()


def media_type(callback: Callback) -> str:
    """The type of the body without its parameters, in lower case (RFC 9110, 8.3.1)."""
    return callback.header("content-type").partition(";")[0].strip().lower()


class _Encoded(dict[int, str]):
    """What stands for a character, by its code; `quote_plus` itself takes twice as long for a form."""

    def __missing__(self, code: int) -> str:
        return quote_plus(chr(code))


_ENCODED = _Encoded({code: quote_plus(chr(code)) for code in range(128)})


def _data(callback: Callback, methods: tuple[str, ...], address: str) -> bytes:
    if callback.method not in methods:
        raise MalformedCallback(f"expected a {' or '.join(methods)}")
    if callback.method == "POST":
        if callback.header("content-type") != FORM and media_type(callback) != FORM:
            raise MalformedCallback(f"expected a body of type {FORM}")
        return callback.body
    if callback.body:
        raise MalformedCallback("expected a GET without a body")  # which of the two would count?
    own = urlsplit(address).query
    return callback.query.removeprefix(f"{own}&".encode()) if own else callback.query


@lru_cache(maxsize=64)  # a gateway's messages have the same few sets of names
def _check_names(names: tuple[str, ...], reserved: tuple[str, ...]) -> None:
    lowered = {name.lower() for name in reserved}
    for name in names:
        if not (name.isascii() and name.isidentifier()):
            raise MalformedCallback("expected names of letters, digits and '_'")
        if name.lower() in lowered:
            raise MalformedCallback(f"a field is named {plain(name, 40)}, which no message carries")


def _check_values(fields: Mapping[str, str], free_text: tuple[str, ...], joint: str) -> None:
    for name, value in fields.items():
        if _control(value):
            raise MalformedCallback(f"the field {plain(name, 40)} holds control characters")
        if joint and joint in value and name not in free_text:
            raise MalformedCallback(f"the field {plain(name, 40)} holds an {joint!r}")
