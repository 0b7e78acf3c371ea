"""Strict XML: one meaning, and nothing that a parser could be talked into."""

from __future__ import annotations

from functools import partial

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core import GatewayError, InvalidOrder, MalformedCallback
from payhub_core.kit import CallbackFields, Fields, read_reply, read_xml, write_xml

REPLY = (
    '<?xml version="1.0" encoding="utf-8"?>\n<Reply xmlns="https://bank.example/">\n  <Result><Code>0</Code></Result>\n'
    "  <Note><![CDATA[茶 & 水]]></Note><Empty/>\n</Reply>"
)


def test_elements_are_fields() -> None:
    """Namespaces and white space between elements left out, texts as they are."""
    fields = read_xml(REPLY.encode(), Fields, "Reply")
    assert fields == {"Result": {"Code": "0"}, "Note": "茶 & 水", "Empty": ""}
    assert fields.object("Result").text("Code") == "0"
    assert read_reply(httpx.Response(200, text=REPLY), body=partial(read_xml, root="Reply")) == fields


def test_elements_that_may_come_more_than_once_are_a_list_however_often_they_do() -> None:
    """Wherever they stand; nothing else may."""
    one = read_xml(b"<Reply><A><B>1</B></A><C>2</C></Reply>", Fields, "Reply", {"A", "B"})
    assert one == {"A": [{"B": ["1"]}], "C": "2"}
    several = read_xml(b"<Reply><A>1</A><C/><A>2</A></Reply>", Fields, "Reply", ("A",))
    assert several == {"A": ["1", "2"], "C": ""}
    with pytest.raises(GatewayError, match="the element C came twice"):
        read_xml(b"<Reply><C>1</C><C>2</C></Reply>", Fields, "Reply", ("A",))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('<!DOCTYPE a [<!ENTITY e "x">]><Reply><A>&e;</A></Reply>', "document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><Reply/>', "document type"),
        ("<Reply><A>&undeclared;</A></Reply>", "XML in UTF-8"),
        ("<Reply><A>1</A><A>2</A></Reply>", "the element A came twice"),
        ("<Reply><A>1</A>beside</Reply>", "text stands beside elements in Reply"),
        ("<Other><A>1</A></Other>", "element Reply"),
        ("<Reply><A>1</Reply>", "XML in UTF-8"),
        ("<Reply>" + "<A>" * 40 + "</A>" * 40 + "</Reply>", "deeper"),
        ("<Reply>" + "x" * 70_000 + "</Reply>", "at most"),
        ("<Reply><A>\x00</A></Reply>", "XML in UTF-8"),
        ("", "XML in UTF-8"),
        ("{}", "XML in UTF-8"),
    ],
)
def test_what_means_two_things_is_refused(document: str, reason: str) -> None:
    """A GatewayError in a reply, MalformedCallback in a callback."""
    with pytest.raises(GatewayError, match=reason):
        read_xml(document.encode(), Fields, "Reply")
    with pytest.raises(MalformedCallback, match=reason):
        read_xml(document.encode(), CallbackFields, "Reply")


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    """Whatever the document says of itself."""
    with pytest.raises(GatewayError):
        read_xml('<?xml version="1.0" encoding="gbk"?><Reply>茶</Reply>'.encode("gbk"), Fields, "Reply")


@given(st.dictionaries(st.from_regex("[a-z][a-z0-9_]{0,9}", fullmatch=True), st.text(max_size=20), max_size=5))
def test_what_is_written_reads_as_it_was_or_is_refused(fields: dict[str, str]) -> None:
    """Markup in a value stays text; what XML cannot hold is never sent."""
    try:
        written = write_xml(fields, "xml")
    except InvalidOrder:
        assert any(not (char.isprintable() or char in " \t\n\r") for value in fields.values() for char in value)
        return
    told = read_xml(written, Fields, "xml")
    # A parser reads every line end as one character (XML 1.0, 2.11).
    assert told == {name: value.replace("\r\n", "\n").replace("\r", "\n") for name, value in fields.items()}
