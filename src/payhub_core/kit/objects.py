"""Strict JSON objects: read so that they mean one thing, exactly."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from typing import Any, NoReturn, TypeVar

from payhub_core.errors import MalformedCallback
from payhub_core.kit.fields import CallbackFields, Fields, Number
from payhub_core.kit.forms import media_type
from payhub_core.models import Callback

__all__ = ["raw_member", "read_json", "read_object"]

F = TypeVar("F", bound=Fields)

_LONGEST = 64 * 1024
_DEEPEST = 32
#: U+0000 as JSON writes it, and not a backslash before "u0000".
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def read_json(callback: Callback) -> CallbackFields:
    """The JSON object of a callback's body, posted as application/json, of at most 64 KiB; raises MalformedCallback.

    For a signature over the body, verify ``callback.body`` first: JSON has many spellings.
    """
    if callback.method != "POST":
        raise MalformedCallback("expected a POST")
    if media_type(callback) != "application/json":
        raise MalformedCallback("expected a body of type application/json")
    if len(callback.body) > _LONGEST:
        raise MalformedCallback(f"expected at most {_LONGEST} bytes")
    return read_object(callback.body, CallbackFields)


def read_object(data: bytes, kind: type[F]) -> F:
    """The JSON object that ``data`` is (RFC 8259): a reply's body, or what was decrypted; raises ``kind``'s error.

    Refused is what two readers would take differently: a name twice (section 4), bytes that are no UTF-8 and lone
    surrogates (8.1, 8.2), NaN, nesting deeper than 32; and U+0000, which PostgreSQL does not store. Numbers with a
    point stay text, as `Number`. A byte order mark is forgiven.
    """
    try:
        value = _JSON.decode(data.removeprefix(BOM_UTF8).decode())
        if data.count(b"{") + data.count(b"[") > _DEEPEST:
            _check_depth(value)
        if b"\\u" in data:
            _check_characters(value)
    except UnicodeEncodeError:
        raise kind.error("expected a JSON object without lone surrogates") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise kind.error("expected a JSON object, what came is no JSON") from None
    except ValueError as fault:
        what = "a number has thousands of digits" if "digits" in str(fault) else fault
        raise kind.error(f"expected a JSON object that means one thing: {what}") from None
    if not isinstance(value, dict):
        raise kind.error("expected a JSON object, what came is JSON of another kind")
    return kind(value)


def raw_member(data: bytes, name: str, kind: type[Fields] = Fields) -> bytes:
    """One member's value in the JSON object that ``data`` is, byte for byte as it was written: some gateways sign that.

    Raises ``kind``'s error for an object without such a member, and for what `read_object` refuses.
    """
    if name not in read_object(data, kind):
        raise kind.error(f"{name}: expected an object that has it")
    text, decoder = data.removeprefix(BOM_UTF8).decode(), json.JSONDecoder()
    at = text.index("{")
    while True:  # it is there, and JSON: each step is over one name and one value
        found, at = decoder.raw_decode(text, _after_white(text, at + 1))
        start = _after_white(text, _after_white(text, at) + 1)
        _, at = decoder.raw_decode(text, start)
        if found == name:
            return text[start:at].encode()
        at = _after_white(text, at)


def _after_white(text: str, at: int) -> int:
    while text[at] in " \t\n\r":
        at += 1
    return at


def _check_characters(value: Any) -> None:
    """Only an escape can be a lone surrogate, which cannot be encoded, or a NUL."""
    if _NUL.search(json.dumps(value, ensure_ascii=False).encode()):
        raise ValueError("it holds U+0000, which not every database stores")


def _check_depth(value: Any, left: int = _DEEPEST) -> None:
    if not left and isinstance(value, dict | list):
        raise ValueError(f"it is nested deeper than {_DEEPEST}")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(inner, left - 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name came twice")
    return fields


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_JSON = json.JSONDecoder(parse_float=Number, parse_constant=_no_number, object_pairs_hook=_unique)
