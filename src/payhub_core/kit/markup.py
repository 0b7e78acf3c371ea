"""Strict XML: read as the fields of an object, without anything that a parser could be talked into; and written."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape

from payhub_core.errors import InvalidOrder, plain
from payhub_core.kit.fields import Fields

__all__ = ["read_xml", "write_xml"]

F = TypeVar("F", bound=Fields)

_LONGEST = 64 * 1024
_DEEPEST = 32
_NO_CHARACTER = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_declares = re.compile(rb"<!(?!\[CDATA\[|--)").search


def read_xml(data: bytes, kind: type[F], root: str, lists: Collection[str] = ()) -> F:
    """The elements inside ``root`` as fields: text, or an object where there are elements inside.

    ``kind`` is `Fields` for a reply, `CallbackFields` for a callback, and raises its error. Elements named in ``lists``
    may come more than once, and are a list however often they do. The document is at most 64 KiB of UTF-8 (XML 1.0,
    2.2). Refused are a document type and entities of its own (CWE-776, CWE-611), any other element that comes twice,
    text beside elements, nesting deeper than 32. Namespaces and attributes are left out.
    """
    if len(data) > _LONGEST or _declares(data):
        raise kind.error(f"expected XML of at most {_LONGEST} bytes, without a document type")
    try:
        found = fromstring(data.decode("utf-8-sig"))  # noqa: S314  nothing is declared, so nothing expands
    except (UnicodeDecodeError, ParseError, ValueError):
        raise kind.error("expected XML in UTF-8") from None
    if _name(found) != root:
        raise kind.error(f"expected an element {root}")
    try:
        value = _value(found, _DEEPEST, lists)
    except ValueError as fault:
        raise kind.error(f"expected XML that means one thing: {fault}") from None
    return kind(value if isinstance(value, dict) else {})


def write_xml(fields: Mapping[str, str], root: str) -> bytes:
    """An element of each of ``fields`` inside ``root``, in UTF-8, each value escaped once (XML 1.0, 2.4).

    Raises InvalidOrder for a character that XML has none of (2.2), such as U+0000 or U+FFFE.
    """
    for name, value in fields.items():
        if _NO_CHARACTER.search(value):
            raise InvalidOrder(f"{plain(name, 40)}: expected text without control characters, which XML cannot hold")
    inside = "".join([f"<{name}>{escape(value)}</{name}>" for name, value in fields.items()])
    return f"<{root}>{inside}</{root}>".encode()


def _value(element: Element, left: int, lists: Collection[str]) -> Any:
    if not len(element):
        return element.text or ""
    if not left:
        raise ValueError(f"it is nested deeper than {_DEEPEST}")
    fields: dict[str, Any] = {}
    for child in element:
        name, value = _name(child), _value(child, left - 1, lists)
        if name in lists:
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise ValueError(f"the element {plain(name, 40)} came twice")
        else:
            fields[name] = value
    if any(text and text.strip() for text in (element.text, *[child.tail for child in element])):
        raise ValueError(f"text stands beside elements in {plain(_name(element), 40)}")
    return fields


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
