"""How JSON is read: one object, which means one thing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core import Callback, GatewayError, MalformedCallback
from payhub_core.kit import CallbackFields, Fields, Number, raw_member, read_json, read_object


def read(data: bytes | str) -> Fields:
    return read_object(data if isinstance(data, bytes) else data.encode(), Fields)


def test_an_object_is_a_dict_that_reads_itself() -> None:
    """Nested ones are plain until they are asked for."""
    fields = read('{"id": "A1", "minor": 100, "data": {"list": [1, {"x": null}]}, "ok": true}')
    assert fields == {"id": "A1", "minor": 100, "data": {"list": [1, {"x": None}]}, "ok": True}
    assert type(fields) is Fields


def test_a_number_with_a_point_stays_as_it_was_written() -> None:
    """0.1 + 0.2 is nobody's price."""
    fields = read('{"a": 12.30, "b": 1e2, "c": 0.1, "d": -0.0, "e": 10000000000000000000000.01}')
    assert fields == {"a": "12.30", "b": "1e2", "c": "0.1", "d": "-0.0", "e": "10000000000000000000000.01"}
    assert all(type(value) is Number for value in fields.values())


@pytest.mark.parametrize("data", [b'{"a": 1}', b'\xef\xbb\xbf{"a": 1}', b' \n{"a"\t: 1}\r\n'])
def test_white_space_and_a_byte_order_mark_are_forgiven(data: bytes) -> None:
    """RFC 8259, 8.1: a reader may ignore the mark."""
    assert read(data) == {"a": 1}


def nested(deep: int) -> str:
    return '{"a": ' + "[" * (deep - 1) + "1" + "]" * (deep - 1) + "}"


UNREADABLE = {
    "empty": "",
    "blank": " ",
    "html": "<html><body>502 Bad Gateway</body></html>",
    "a warning first": "<br />Warning: x in y on line 1<br />{}",
    "truncated": '{"a": 1',
    "two objects": "{}{}",
    "a trailing comma": '{"a": 1,}',
    "single quotes": "{'a': 1}",
    "a comment": '{"a": 1} // x',
    "a bare newline in text": '{"a": "\n"}',
    "leading zeros": '{"a": 01}',
    "full-width digits": '{"a": １}',
    "an array": "[1]",
    "null": "null",
    "a number": "1",
    "text": '"SUCCESS"',
    "a name twice": '{"a": 1, "a": 1}',
    "a name twice by another spelling": r'{"a": 1, "\u0061": 2}',
    "a name twice deep inside": '{"a": [{"b": {"c": 1, "c": 2}}]}',
    "NaN": '{"a": NaN}',
    "Infinity": '{"a": Infinity}',
    "-Infinity": '{"a": [-Infinity]}',
    "a lone surrogate": r'{"a": "\ud800"}',
    "a low surrogate first": r'{"a": "\udf75\ud83c"}',
    "a lone surrogate in a name": r'{"\uDBFF": 1}',
    "a lone surrogate deep inside": r'{"a": [{"b": "x\uD83C"}]}',
    "a NUL": r'{"a": "\u0000"}',
    "a NUL behind a backslash": r'{"a": "\\\u0000"}',
    "a NUL in a name": r'{"x\u0000": 1}',
    "5,000 digits": '{"a": ' + "1" * 5000 + "}",
    "33 deep": nested(33),
    "33 deep in objects": '{"a": ' * 33 + "1" + "}" * 33,
    "nested without end": '{"a": ' + "[" * 200_000,
    "nested": nested(100_000),
    "nested and no object": "[" * 100_000 + "]" * 100_000,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_not_one_object_of_one_meaning_is_refused(name: str) -> None:
    """In the error of whoever reads: nothing of the text is in it."""
    with pytest.raises(GatewayError, match="expected a JSON object"):
        read(UNREADABLE[name])
    with pytest.raises(MalformedCallback, match="expected a JSON object") as caught:
        read_object(UNREADABLE[name].encode(), CallbackFields)
    assert len(str(caught.value)) < 200
    assert "sys." not in str(caught.value)  # Python's words about numbers are for programmers of its own


@pytest.mark.parametrize(
    "data", [b"\xff\xfe", b"\x00", b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', '{"a": 1}'.encode("utf-16")]
)
def test_what_is_no_utf_8_is_refused(data: bytes) -> None:
    """RFC 8259, 8.1; nothing is replaced or guessed."""
    with pytest.raises(GatewayError):
        read(data)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\u8336"}', "茶"),
        (r'{"a": "\ud83c\udf75"}', "🍵"),
        (r'{"a": "\\ud83c"}', r"\ud83c"),
        (r'{"a": "\\u0000"}', r"\u0000"),
        ('{"a": "{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{["}', "{" * 40 + "["),
        ('{"a": ' + "[[1]," * 20 + "1" + "]" * 20 + "}", None),
        (nested(32), None),
    ],
)
def test_what_only_looks_like_it_is_read(text: str, value: Any) -> None:
    """Pairs of surrogates, escaped escapes, brackets inside text, many lists that are not deep, 32 levels."""
    fields = read(text)
    assert value is None or fields["a"] == value


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=9,
)


@given(value=st.dictionaries(TEXT, JSON), escaped=st.booleans())
def test_what_was_written_is_read(value: dict[str, Any], escaped: bool) -> None:
    """Escaped or not."""
    assert read(json.dumps(value, ensure_ascii=escaped)) == value


@given(data=st.binary(max_size=100) | st.text('{}[]":,\\ud8a1.eN', max_size=40).map(str.encode))
def test_any_bytes_end_in_fields_or_in_our_error(data: bytes) -> None:
    """And what is read can be encoded and stored."""
    try:
        fields = read(data)
    except GatewayError:
        return
    assert json.dumps(fields, ensure_ascii=False).encode()


# A callback's


def posted(body: bytes, kind: str = "application/json", method: str = "POST") -> Callback:
    return Callback(method, {"Content-Type": kind}, b"a=1", body)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON", "application/json; charset=utf-8", " application/json ;x"]
)
def test_a_callback_is_posted_as_json(kind: str) -> None:
    """Its fields raise MalformedCallback."""
    fields = read_json(posted(b'{"a": 1}', kind))
    assert fields == {"a": 1}
    with pytest.raises(MalformedCallback):
        fields.text("b")


@pytest.mark.parametrize(
    "kind", ["", "text/json", "application/x-www-form-urlencoded", "application/jsonp", "text/plain"]
)
def test_a_callback_of_another_type_is_refused(kind: str) -> None:
    """A page in the payer's browser may post plain text, but not JSON."""
    with pytest.raises(MalformedCallback, match="application/json"):
        read_json(posted(b"{}", kind))


@pytest.mark.parametrize("method", ["GET", "PUT", "post", ""])
def test_a_callback_by_another_method_is_refused(method: str) -> None:
    """JSON is posted."""
    with pytest.raises(MalformedCallback, match="POST"):
        read_json(posted(b"{}", method=method))


def test_sixty_four_kibibytes_are_read_and_not_one_more() -> None:
    """Before anything is parsed."""
    assert read_json(posted(b"{}" + b" " * (64 * 1024 - 2))) == {}
    with pytest.raises(MalformedCallback, match="65536"):
        read_json(posted(b"{}" + b" " * (64 * 1024 - 1)))


@pytest.mark.parametrize("name", ["said", "first", "\u59d3\u540d", "last"])
def test_a_member_is_cut_out_as_it_was_written(name: str) -> None:
    """White space, escapes, the sequence of names and how a number is written: all of it is signed."""
    members = {
        "first": '{ "said" : {"b":1.50,"a": "\\u4e2d \\/ }"} , "x":[ ] }',
        "said": '{"b" : 1.50,\t"a":"}, \\"said\\": {"}',
        "\u59d3\u540d": '"\u8336"',
        "last": "-1.0E+2",
    }
    for white in ("", " ", "\r\n\t"):
        pairs = (f'{white}"{name}"{white}:{white}{value}{white}' for name, value in members.items())
        data = f"{white}{{{','.join(pairs)}}}{white}".encode()
        assert raw_member(data, name) == members[name].encode()
        assert raw_member(b"\xef\xbb\xbf" + data, name) == members[name].encode()


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"said": 1', b'{"a": {"said": 1}}', b'{"said": 1, "said": 2}'])
def test_what_has_no_such_member_is_refused(data: bytes) -> None:
    """Nor is one taken that stands deeper, or that comes twice."""
    with pytest.raises(MalformedCallback):
        raw_member(data, "said", CallbackFields)
    with pytest.raises(GatewayError):
        raw_member(data, "said")


@given(st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), JSON, max_size=4))
def test_each_member_of_any_object_is_the_json_of_its_value(value: dict[str, Any]) -> None:
    """Whatever the names and values."""
    data = json.dumps(value, indent=1).encode()
    for name, inner in value.items():
        assert json.loads(raw_member(data, name)) == inner
