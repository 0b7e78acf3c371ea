"""The parts of a message as it is written: found in place, so that one can be altered and not a byte beside it."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape, unescape
from typing import Any, TypeAlias, TypeVar
from urllib.parse import unquote, unquote_plus, urlencode

from payhub_core.flow import Request, Response
from payhub_core.models import Callback
from payhub_core.testing.case import NotApplicable

__all__ = [
    "Part",
    "added",
    "altered_reply",
    "broken_text",
    "carried",
    "carries",
    "differing",
    "emptied",
    "enclosed",
    "leaves",
    "listed",
    "of_crc",
    "parts",
    "reply_parts",
    "reply_without",
    "request_fields",
    "rewritten",
    "texts",
    "unpacked",
    "with_fields",
    "with_fields_within",
    "with_surrogates",
    "with_values",
    "written_anew",
]

T = TypeVar("T")

_JSON = re.compile(rb'"(?:[^"\\]|\\.)*"(?P<key>\s*:)?|-?\d[\d.eE+-]*|true|false|null')
_XML = re.compile(rb"<(\w+)>(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))</\1>", re.DOTALL)
_FORM = re.compile(rb"(?:^|(?<=&))([^=&]+)=([^&]*)")
#: What may be Base64 in a text, of either alphabet (RFC 4648, 4 and 5).
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_STANDARD_HEADERS = {"content-type", "content-length", "host", "user-agent", "accept", "content-encoding"}


@dataclass(frozen=True)
class Part:
    """One field, header or element: its ``name``, its ``value`` as written, and how to write the message anew.

    ``written`` makes the whole message with another value, without the part for None; ``twice`` makes it with a second
    part of that name and another value, before or behind.
    """

    name: str
    value: bytes
    written: Callable[[bytes | None], Callback]
    twice: Callable[[bytes, bool], Callback] | None = None

    @property
    def other(self) -> bytes:
        """The value with one character changed, still of the same kind."""
        return _other(self.value)


def parts(callback: Callback) -> list[Part]:
    """Every part of a callback: the fields of its query and body, its headers."""
    return [
        *_of(callback.query, "query", lambda data: replace(callback, query=data)),
        *_of(callback.body, "body", lambda data: replace(callback, body=data)),
        *_headers(callback),
    ]


def differing(genuine: Callback, forged: Callback) -> list[Part]:
    """The parts of ``genuine`` that another key made otherwise: those that carry the signature."""
    theirs = {part.name: part.value for part in parts(forged)}
    return [part for part in parts(genuine) if theirs.get(part.name) != part.value]


def with_values(callback: Callback, values: Mapping[str, bytes | None]) -> Callback:
    """The callback with other values in the parts of these names, without a part for None."""
    for name, value in values.items():
        callback = next(part for part in parts(callback) if part.name == name).written(value)
    return callback


def with_fields(callback: Callback, fields: Mapping[str, str]) -> Callback:
    """The callback with more fields beside those that it has, in its body, or else in its query."""
    more = added(callback.body or callback.query, fields)
    return replace(callback, body=more) if callback.body else replace(callback, query=more)


def with_fields_within(callback: Callback, fields: Mapping[str, object]) -> Iterator[tuple[str, Callback]]:
    """The callback of JSON with more fields, of those it lacks, in each object inside it, by that object's name."""
    for path, found in _nodes(_read(callback.body)):
        if path and isinstance(found, dict):
            yield _named(path), _with(callback, path, {**fields, **found})


def emptied(callback: Callback, inside: Iterable[Part]) -> Iterator[tuple[str, Callback]]:
    """The callback of JSON with each object that has one of the parts ``inside`` left out, and with nothing in it."""
    for path in _holding(callback, inside, dict):
        for value in (_NOTHING, None, {}):
            yield _named(path), _with(callback, path, value)


def listed(callbacks: Collection[Callback], inside: Iterable[Part]) -> Callback | None:
    """One callback of JSON with the elements of all of them, in the list that has one of the parts ``inside``.

    None where no list has.
    """
    first, *_ = callbacks
    for path in _holding(first, inside, list):
        lists = [_at(_read(callback.body), path) for callback in callbacks]
        if all(isinstance(it, list) for it in lists):
            return _with(first, path, [item for it in lists for item in it])
    return None


def _holding(callback: Callback, inside: Iterable[Part], kind: type) -> list[_Path]:
    """The ways to all of that kind in which one of the parts stands."""
    held = {_unescaped(part.value.decode("utf-8", "replace")) for part in inside if part.name.startswith("body ")}
    return [
        path
        for path, found in _nodes(_read(callback.body))
        if path and isinstance(found, kind) and any(isinstance(leaf, str) and leaf in held for _, leaf in _nodes(found))
    ]


def leaves(data: bytes) -> Iterator[tuple[str, object]]:
    """The names and values of the fields of JSON, wherever they stand in it."""
    for path, found in _nodes(_read(data)):
        if path and isinstance(path[-1], str) and not isinstance(found, dict | list):
            yield path[-1], found


def _read(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


_NOTHING = object()
_Path: TypeAlias = tuple[str | int, ...]


def _nodes(value: object, path: _Path = ()) -> Iterator[tuple[_Path, object]]:
    """All that a value of JSON consists of, by the way to it, itself first."""
    yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from _nodes(inner, (*path, key))


def _at(value: Any, path: _Path) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _with(callback: Callback, path: _Path, value: object) -> Callback:
    """The callback of JSON with another value at the end of ``path``, or without one for _NOTHING."""
    whole = _read(callback.body)
    *before, last = path
    holder = _at(whole, tuple(before))
    if value is _NOTHING:
        del holder[last]
    else:
        holder[last] = value
    return replace(callback, body=json.dumps(whole, ensure_ascii=False).encode())


def _named(path: _Path) -> str:
    return next(str(key) for key in reversed(path) if isinstance(key, str))


def written_anew(callback: Callback, fields: Mapping[str, str]) -> Callback | None:
    """The callback with these fields and no others, as a form or as XML; None where it is neither."""
    data = callback.body or callback.query
    if _shape(data) == "xml":
        root = data[data.index(b"<") + 1 : data.index(b">")].decode()
        inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
        return replace(callback, body=f"<{root}>{inside}</{root}>".encode())
    if _shape(data) != "form":
        return None
    written = urlencode(fields).encode()
    return replace(callback, body=written) if callback.body else replace(callback, query=written)


def added(data: bytes, fields: Mapping[str, str]) -> bytes:
    """A message with more fields beside those that it has."""
    if _shape(data) == "json":
        return data.rstrip().removesuffix(b"}") + b", " + json.dumps(fields)[1:].encode()
    return data + b"&" + urlencode(fields).encode()


def reply_parts(response: Response) -> dict[str, bytes]:
    """What can be altered in a reply, by its name."""
    body, headers = response.content, response.headers.items()
    return {name: body[start:end] for name, start, end, _ in _spans(body)} | {
        f"header {name}": value.encode() for name, value in headers if name.lower() not in _STANDARD_HEADERS
    }


def altered_reply(response: Response, name: str, value: bytes = b"") -> Response:
    """The reply with one part altered, to ``value`` where one is given."""
    headers, body = dict(response.headers), response.content
    if name.startswith("header "):
        key = name.removeprefix("header ")
        headers[key] = (value or _other(headers[key].encode())).decode()
    else:
        start, end = next((start, end) for found, start, end, _ in _spans(body) if found == name)
        body = body[:start] + (value or _other(body[start:end])) + body[end:]
    return rewritten(Response(response.status_code, headers=headers), body)


def reply_without(response: Response, name: str) -> Response:
    """The reply without one part."""
    headers, body = dict(response.headers), response.content
    if name.startswith("header "):
        del headers[name.removeprefix("header ")]
    else:
        whole = next(whole for found, _, _, whole in _spans(body) if found == name)
        body = _joined(body[: whole[0]], body[whole[1] :])
    return rewritten(Response(response.status_code, headers=headers), body)


def broken_text(response: Response) -> Response:
    """The reply with a byte that is no UTF-8 behind each of its texts; raises NotApplicable where it has none."""
    body = response.content
    texts = [(start, end) for _, start, end, _ in _spans(body) if body[end : end + 1] in {b'"', b"<", b"&", b"]"}]
    if not texts:
        raise NotApplicable("the answer has no texts")
    for _, end in reversed(texts):
        body = body[:end] + b"\xff" + body[end:]
    return rewritten(response, body)


def with_surrogates(response: Response) -> Response:
    """The reply with one more field, half a character, in each object of JSON, in a form or in XML.

    Raises NotApplicable where it is none of these.
    """
    body, shape = response.content, _shape(response.content)
    if shape == "json" and b"{" in body:
        return rewritten(response, re.sub(rb'\{(?=\s*")', rb'{"remark": "\\ud800", ', body))
    if shape == "form":
        return rewritten(response, body.rstrip() + b"&remark=%ED%A0%80")
    if shape == "xml" and b"</" in body:
        inside, end, name = body.rpartition(b"</")
        return rewritten(response, inside + b"<remark>&#xD800;</remark>" + end + name)
    raise NotApplicable("the answer has no fields")


def rewritten(response: Response, body: bytes) -> Response:
    """The reply with another body, its length left to whoever sends it."""
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(response.status_code, headers=headers, content=body)


def request_fields(request: Request) -> set[tuple[str, bytes]]:
    """The names and values of a request's fields, in its address and in its body, those in an envelope too."""
    return {
        (_plain(name), value)
        for data in (request.url.query, request.content)
        for name, value in [*_values(data), *packed(data)]
    }


def packed(data: bytes) -> list[tuple[str, bytes]]:
    """The names and values of the fields inside those of ``data`` that are an envelope: JSON or XML in Base64."""
    found: list[tuple[str, bytes]] = []
    for _, value in _values(data):
        for text in unpacked(value.decode("latin-1"))[1:]:
            if _shape(text.encode()) in {"json", "xml"}:
                found += _values(text.encode())
    return found


def enclosed(data: bytes) -> dict[str, str]:
    """The fields of ``data`` that stand in an envelope, or in an object inside it, and under no such name beside it."""
    beside = {name for name, _ in _values(data)}
    found = {name: value.decode("utf-8", "replace") for name, value in packed(data) if name not in beside}
    with suppress(ValueError):
        outer = json.loads(data)
        if isinstance(outer, dict):
            inner = {name: text for value in outer.values() for name, text in _scalars(value)}
            found |= {name: text for name, text in inner.items() if name not in outer}
    return found


def _scalars(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, dict):
                yield from _scalars(inner)
            elif isinstance(inner, str | int) and not isinstance(inner, bool):
                yield name, str(inner)


def _values(data: bytes) -> list[tuple[str, bytes]]:
    return [(name, data[start:end]) for name, start, end, _ in _spans(data)]


def unpacked(text: str) -> list[str]:
    """``text``, as it is once the percents are decoded, and what is written in it in Base64."""
    found = [text, unquote_plus(text), unquote(text)] if "%" in text or "+" in text else [text]
    for word in {word for one in found for word in _BASE64.findall(one)}:
        with suppress(ValueError):
            found.append(b64decode(_filled(word), b"-_" if {*word} & {*"-_"} else None).decode())
    return found


def _filled(word: str) -> str:
    return word.rstrip("=") + "=" * (-len(word.rstrip("=")) % 4)


def _plain(name: str) -> str:
    return name.rpartition(".")[2].partition("[")[0]


def texts(*messages: bytes) -> dict[str, str]:
    """The texts of fields, by their names, as JSON, a form or XML is read."""
    found: dict[str, str] = {}
    readers: dict[str, Callable[[str], str]] = {"json": _unescaped, "form": unquote_plus, "xml": unescape}
    for data in messages:
        read = readers.get(_shape(data), str)
        found |= {name: read(data[start:end].decode("utf-8", "replace")) for name, start, end, _ in _spans(data)}
    return found


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def fields_of(*requests: Request) -> set[tuple[str, bytes]]:
    """`request_fields` of all of them, their headers, and their addresses under the name ""."""
    fields = {field for request in requests for field in request_fields(request)}
    fields |= {
        (f"header {name}", value.encode())
        for request in requests
        for name, value in request.headers.items()
        if name not in _STANDARD_HEADERS
    }
    return fields | {("", str(request.url.copy_with(query=None)).encode()) for request in requests}


def of_crc(crc: int, head: bytes, tail: bytes) -> bytes:
    """``head``, letters and ``tail``, of this CRC-32: it is affine, so which letters differ is solved for."""
    letters = bytearray(b"a" * 80)

    def changed_by(at: int) -> int:
        letters[at] ^= 2
        found = zlib.crc32(head + letters + tail) ^ plain
        letters[at] ^= 2
        return found

    plain = zlib.crc32(head + letters + tail)
    pivots: dict[int, tuple[int, int]] = {}
    for at in range(len(letters)):
        value, places = changed_by(at), 1 << at
        while value and (high := value.bit_length()) in pivots:
            value, places = value ^ pivots[high][0], places ^ pivots[high][1]
        if value:
            pivots[high] = value, places
    wanted, places = crc ^ plain, 0
    while wanted:
        value, changed = pivots[wanted.bit_length()]
        wanted, places = wanted ^ value, places ^ changed
    for at in range(len(letters)):
        letters[at] ^= 2 * (places >> at & 1)
    return head + letters + tail


def carried(request: Request) -> str:
    """The token, or what else proves the account, in a request's header; "" where there is none."""
    return str(request.headers.get("authorization", "")).rpartition(" ")[2]


def carries(request: Request, secrets: Iterable[str]) -> bool:
    """Whether a request holds one of the secrets itself, as a bearer's does, plain or in Base64."""
    sent = [str(request.url), *request.headers.values(), request.content.decode(errors="replace")]
    return any(secret in text for secret in secrets for one in sent for text in unpacked(one))


def altered_requests(
    request: Request, values: Collection[str] = (), names: Collection[str] = ()
) -> list[tuple[str, Request]]:
    """The request with each of its fields altered in turn, by the field's name.

    Where some are given, only the fields that hold one of the ``values`` or have one of the ``names``.
    """
    found = []
    for where, data in (("address", request.url.query), ("body", request.content)):
        for name, start, end, _ in _spans(data):
            held = unquote_plus(data[start:end].decode(errors="replace")) in values
            if (values or names) and not held and _plain(name) not in names:
                continue
            other = data[:start] + _other(data[start:end]) + data[end:]
            url = request.url.copy_with(query=other) if where == "address" else request.url
            headers = [(key, value) for key, value in request.headers.multi_items() if key != "content-length"]
            content = other if where == "body" else request.content
            found.append((f"{where} {name}", Request(request.method, url, headers=headers, content=content)))
    return found


def _of(data: bytes, where: str, made: Callable[[bytes], Callback]) -> Iterator[Part]:
    spans = _spans(data)
    for name, start, end, whole in spans:

        def written(
            value: bytes | None, start: int = start, end: int = end, whole: tuple[int, int] = whole
        ) -> Callback:
            if value is not None:
                return made(data[:start] + value + data[end:])
            return made(_joined(data[: whole[0]], data[whole[1] :]))

        def twice(
            value: bytes, before: bool, start: int = start, end: int = end, whole: tuple[int, int] = whole
        ) -> Callback:
            part = data[whole[0] : whole[1]]
            copy = part[: start - whole[0]] + value + part[end - whole[0] :]
            joint = b"&" if _shape(data) == "form" else b"," if _shape(data) == "json" else b""
            both = [copy, part] if before else [part, copy]
            return made(data[: whole[0]] + joint.join(both) + data[whole[1] :])

        named = start != whole[0]  # an element of a list has no name to come twice
        yield Part(f"{where} {name}", data[start:end], written, twice if named else None)


def _headers(callback: Callback) -> Iterator[Part]:
    for name, value in callback.headers.items():
        if name.lower() in _STANDARD_HEADERS:
            continue

        def written(value: bytes | None, name: str = name) -> Callback:
            headers: Mapping[str, str] = {
                key: value.decode("latin-1") if key == name and value is not None else text
                for key, text in callback.headers.items()
                if key != name or value is not None
            }
            return replace(callback, headers=headers)

        yield Part(f"header {name}", value.encode("latin-1"), written)


def _shape(data: bytes) -> str:
    start = data.lstrip()[:1]
    if start in {b"{", b"["}:
        return "json"
    if start == b"<":
        return "xml"
    return "form" if _FORM.search(data) else "bytes"


def _spans(data: bytes) -> list[tuple[str, int, int, tuple[int, int]]]:
    """Name, value's start and end, and the whole part's start and end, of each field of ``data``."""
    shape = _shape(data)
    if shape == "json":
        return _json_spans(data)
    if shape == "xml":
        return [
            (match[1].decode("latin-1"), *(match.span(2) if match[2] is not None else match.span(3)), match.span())
            for match in _XML.finditer(data)
        ]
    if shape == "form":
        return [(match[1].decode("latin-1"), *match.span(2), match.span()) for match in _FORM.finditer(data)]
    return [("whole", 0, len(data), (0, len(data)))] if data else []


def _json_spans(data: bytes) -> list[tuple[str, int, int, tuple[int, int]]]:
    found: list[tuple[str, int, int, tuple[int, int]]] = []
    key: tuple[str, int] | None = None
    for match in _JSON.finditer(data):
        if match["key"] is not None:
            key = match[0].partition(b'"')[2].rpartition(b'"')[0].decode("latin-1"), match.start()
            continue
        start, end = match.span()
        quoted = data[start : start + 1] == b'"'
        whole = (key[1] if key else start, end)
        name = key[0] if key else f"element {len(found)}"
        found.append((name, start + quoted, end - quoted, whole))
        key = None
    names = [name for name, *_ in found]
    return [
        (name if names.count(name) == 1 else f"{name}[{names[:n].count(name)}]", start, end, whole)
        for n, (name, start, end, whole) in enumerate(found)
    ]


def _joined(before: bytes, behind: bytes) -> bytes:
    """What is left around a part that was taken out, without the joint that belonged to it."""
    left, right = before.rstrip(), behind.lstrip()
    if left[-1:] in {b"&", b","}:
        return left[:-1] + behind
    if right[:1] in {b"&", b","}:
        return before + right[1:]
    return before + behind


def _other(value: bytes) -> bytes:
    if value in {b"true", b"false"}:
        return b"false" if value == b"true" else b"true"
    if value == b"null":
        return b"1"
    for at in range(len(value) // 2, len(value)):
        char = value[at : at + 1]
        if char.isdigit():
            # Never a zero in front: "07" is no JSON number, and would be refused for that.
            return value[:at] + (b"%d" % (int(char) % 9 + 1)) + value[at + 1 :]
        if char.isalpha():
            changed = b"b" if char.lower() != b"b" else b"c"
            return value[:at] + (changed.upper() if char.isupper() else changed) + value[at + 1 :]
    return value + b"1"
