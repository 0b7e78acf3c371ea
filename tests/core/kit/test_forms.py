"""How a form is read: nothing that could be read in two ways gets through."""

from __future__ import annotations

import string
import tracemalloc
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core import Callback, CallbackKind, GatewayError, MalformedCallback, Response
from payhub_core.kit import FORM, CallbackFields, Fields, read_form, read_pairs, read_reply, write_form


def posted(body: bytes, kind: str = FORM) -> Callback:
    return Callback("POST", {"Content-Type": kind}, b"", body)


def fetched(query: bytes) -> Callback:
    return Callback("GET", {}, query, b"")


def read(body: bytes) -> dict[str, str]:
    """As a provider has it whose secret is signed as ``secret`` and whose payer may write ``attach`` and ``note``."""
    return read_form(posted(body), free_text=("attach", "note"), reserved=("secret",))


def test_the_fields_of_a_form_are_a_dict_that_reads_itself() -> None:
    """In the order in which they came."""
    fields = read_form(posted(b"b=2&a=%E8%8C%B6+1"))
    assert fields == {"b": "2", "a": "茶 1"}
    assert list(fields) == ["b", "a"]
    assert isinstance(fields, CallbackFields)


@given(st.lists(st.sampled_from(["%3A", "%3a", "%", "3A", "%25", "%41", "%E8%8C%B6", "+", ":", "a"])).map("".join))
def test_a_value_is_decoded_once_however_its_escapes_stand_together(value: str) -> None:
    """The colon, which has a shorter way, among the others."""
    assert read(f"a={value}".encode()) == {"a": unquote(value.replace("+", " "))}


# Where it stands


@pytest.mark.parametrize(
    "kind", [FORM, FORM.upper(), f"{FORM}; charset=UTF-8", f" {FORM} ;q=1", f"{FORM}; text/html; charset=UTF-8"]
)
@pytest.mark.parametrize("name", ["content-type", "CONTENT-TYPE", "Content-Type"])
def test_a_form_by_any_spelling_of_its_type(name: str, kind: str) -> None:
    """Any case, with parameters, even Alipay's."""
    assert read_form(Callback("POST", {name: kind}, b"", b"a=1")) == {"a": "1"}


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data; boundary=x", "text/plain", f"{FORM}x"])
def test_a_body_of_another_type_is_refused(kind: str) -> None:
    """What a browser can be made to send across origins, and what nobody sends."""
    with pytest.raises(MalformedCallback, match=FORM):
        read_form(posted(b"a=1", kind))


def test_a_get_with_a_body_is_refused() -> None:
    """There would be two forms, and only one of them counts."""
    with pytest.raises(MalformedCallback, match="without a body"):
        read_form(Callback("GET", {}, b"a=1", b"a=2"), methods=("GET",))


@pytest.mark.parametrize("method", ["GET", "PUT", "post", "HEAD", ""])
def test_a_form_is_posted_unless_the_gateway_fetches(method: str) -> None:
    """The methods are the author's."""
    with pytest.raises(MalformedCallback, match="POST"):
        read_form(Callback(method, {"Content-Type": FORM}, b"a=1", b"a=1"))
    with pytest.raises(MalformedCallback, match="expected a GET"):
        read_form(posted(b"a=1"), methods=("GET",))


def test_a_query_is_read_as_a_form_where_the_gateway_fetches() -> None:
    """EPay notifies by GET; of a POST, the query means nothing."""
    assert read_form(fetched(b"a=1&b=%26"), methods=("GET",), free_text=("b",)) == {"a": "1", "b": "&"}
    both = Callback("POST", {"Content-Type": FORM}, b"b=2", b"a=1")
    assert read_form(both, methods=("GET", "POST")) == {"a": "1"}


@pytest.mark.parametrize(
    ("address", "query", "fields"),
    [
        ("https://shop.example/n?lang=zh&shop=1", b"lang=zh&shop=1&a=1", {"a": "1"}),
        ("https://shop.example/n", b"a=1", {"a": "1"}),
        ("", b"a=1", {"a": "1"}),
        ("https://shop.example/n?lang=zh", b"a=1", {"a": "1"}),
        ("https://shop.example/n?lang=zh", b"lang=zhx&a=1", {"lang": "zhx", "a": "1"}),
        ("https://shop.example/n?%E8%8C%B6=1", b"%E8%8C%B6=1&a=1", {"a": "1"}),
    ],
)
def test_the_addresss_own_query_is_no_part_of_the_message(address: str, query: bytes, fields: dict[str, str]) -> None:
    """A gateway puts its fields behind it, and nobody signed it."""
    assert read_form(fetched(query), methods=("GET",), address=address) == fields


def test_only_a_whole_query_is_the_addresss_own() -> None:
    """Where nothing came behind it there is no message."""
    with pytest.raises(MalformedCallback):
        read_form(fetched(b"a=1&"), methods=("GET",), address="https://shop.example/n?a=1")
    assert read_form(fetched(b"a=1"), methods=("GET",), address="https://shop.example/n?a=1") == {"a": "1"}


# Its grammar


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"&", b"=", b"a", b"a=1&b", b"a=1&&b=2", b"a=1&", b"&a=1", b"=1"),
        *(b'{"order_no": "A1001"}', b"a[]=1", b"a[0]=1", b"a%5B%5D=1", b"a.b=1", b"a-b=1", b"1a=1"),
        *(
            b"a b=1",
            b"a+b=1",
            b" a=1",
            b"a =1",
            b"%61=1",
            b"a%00=1",
            b"\xe5\x90\x8d=1",
            b"\xef\xbd\x81=1",
            b"\xc2\xaa=1",
        ),
        *(b"a=1&a=1", b"a=1&a=2", b"a=1&b=2&a=", b"a=&a="),
        *(b"secret=1", b"SECRET=1", b"Secret=", b"a=1&sEcReT=1"),
        *(b"a=\xff", b"a=%FF", b"a=%ff%fe", b"a=%E8%8C", b"a=\xed\xa0\x80", b"a=%ED%A0%80", b"a=%C0%80", b"\xff=1"),
        *(
            b"a=\x00",
            b"a=%00",
            b"a=\n",
            b"a=%0A",
            b"a=\r\n",
            b"a=%0D",
            b"a=%09",
            b"a=%1B",
            b"a=\x7f",
            b"a=%7F",
            b"a=%C2%85",
        ),
        *(b"a=1%262", b"a=%26", b"attach=1&a=%26", b"attach=%00", b"a=1;b=2&a=1"),
        *(b"a=1\x00&b=2", b"a\x00=1", b"a=1&b=2\n", b"a=\x00&b=%41", b"a=%00&b=%41", b"a=%26&b=%41", b"a=%41&b=%00"),
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_malformed(body: bytes) -> None:
    """Array syntax, names by other spellings, duplicates, bad UTF-8, surrogates, control characters, a bare joint."""
    with pytest.raises(MalformedCallback):
        read(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        *(
            (b"a=", ""),
            (b"a=%2525", "%25"),
            (b"a=1+2%202%2B", "1 2 2+"),
            (b"a=100% %zz %4", "100% %zz %4"),
            (b"a=%", "%"),
        ),
        *((b"a=b=c", "b=c"), (b"a==", "="), (b"a=%3D", "="), (b"a=b;c=d", "b;c=d"), (b"a=;", ";")),
        *(("a=茶".encode(), "茶"), (b"a=%E8%8C%B6", "茶"), (b"a=%F0%9F%8D%B5", "🍵"), ("a=é%2B".encode(), "é+")),
        *((b"a=%e3%80%80", "\u3000"), (b"a=%C2%A0", "\xa0"), (b"a=%EF%BB%BF", "\ufeff"), (b"a=%27%22%3C", "'\"<")),
    ],
)
def test_a_value_is_decoded_once(body: bytes, value: str) -> None:
    """Blanks stay, "+" is a blank, ";" separates nothing (CVE-2026-53538), what encodes nothing stays as it is."""
    assert read(body) == {"a": value}


@pytest.mark.parametrize("text", ["a&b", "&", "x&order_no=B2&pay_status=1", "secret=x&sign=y"])
def test_only_free_text_holds_the_joint_of_signed_strings(text: str) -> None:
    """The payer's own words; anywhere else "&" would be a field that nobody sent."""
    encoded = quote(text).encode()
    assert read(b"attach=" + encoded + b"&note=" + encoded) == {"attach": text, "note": text}
    with pytest.raises(MalformedCallback, match="the field other holds an '&'"):
        read(b"attach=" + encoded + b"&other=" + encoded)
    with pytest.raises(MalformedCallback, match="the field attach holds an '&'"):
        read_form(posted(b"attach=" + encoded))


def test_a_name_is_reserved_for_those_who_say_so() -> None:
    """Elsewhere it is a name as any other; and what was said of one provider is not remembered for another."""
    for _ in range(2):
        assert read_form(posted(b"secret=1&key=2")) == {"secret": "1", "key": "2"}
        with pytest.raises(MalformedCallback, match="secret"):
            read_form(posted(b"secret=1&key=2"), reserved=("secret",))
        with pytest.raises(MalformedCallback, match="KEY"):
            read_form(posted(b"secret=1&KEY=2"), reserved=("sign", "key"))
        for name in (b"Key", b"key"):
            with pytest.raises(MalformedCallback, match=r"(?i)key"):
                read_form(posted(b"secret=1&" + name + b"=2"), reserved=("Key",))


# Its limits


def test_sixteen_kibibytes_are_read_and_not_one_more() -> None:
    """To the byte, of a body and of a query."""
    assert len(read(b"a=" + b"x" * (16 * 1024 - 2))["a"]) == 16 * 1024 - 2
    for callback in (posted(b"a=" + b"x" * (16 * 1024 - 1)), fetched(b"a=" + b"x" * (16 * 1024 - 1))):
        with pytest.raises(MalformedCallback, match="16384 bytes"):
            read_form(callback, methods=("GET", "POST"))


def test_sixty_four_fields_are_read_and_not_one_more() -> None:
    """Whatever they are."""
    many = [b"a%d=" % number for number in range(65)]
    assert len(read(b"&".join(many[:64]))) == 64
    with pytest.raises(MalformedCallback, match="64 fields"):
        read(b"&".join(many))


@pytest.mark.parametrize(
    "body",
    [b"x" * 5_000_000, b"&" * 5_000_000, b"a=1&" * 100_000, b"%" * 5_000_000, b"a=" + b"%41" * 300_000],
    ids=["long", "separators", "fields", "percent", "encoded"],
)
def test_a_huge_body_costs_no_more_than_a_look_at_its_size(body: bytes) -> None:
    """Refused before anything of it is decoded or split, as the memory shows."""
    callback = posted(body)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedCallback):
            read_form(callback)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


# Any bytes at all


@given(body=st.binary(max_size=200) | st.text("ab=&%+;2601FfE8\x00\n茶", max_size=60).map(str.encode))
def test_any_bytes_end_in_the_fields_that_another_parser_sees_or_in_our_error(body: bytes) -> None:
    """Held against the standard library's."""
    try:
        fields = read(body)
    except MalformedCallback:
        return
    assert list(fields.items()) == parse_qsl(
        body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
    )
    assert all(name.isidentifier() and name.isascii() for name in fields)


NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=8).filter(lambda name: name.lower() != "secret")
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40)


@given(fields=st.dictionaries(NAMES, TEXTS, min_size=1, max_size=9))
def test_what_is_written_is_read_again(fields: dict[str, str]) -> None:
    """By payhub, and by the standard library, whose spelling it is."""
    written = write_form(fields)
    assert read_form(posted(written), free_text=tuple(fields)) == fields
    assert written == urlencode(fields).encode()


def test_names_are_encoded_too() -> None:
    """As nested parameters are written, where a gateway takes them."""
    assert write_form({"metadata[order]": "A 1"}) == b"metadata%5Border%5D=A+1"


@pytest.mark.parametrize("value", [1, None, 1.5, ["x"], b"x", b""])
def test_only_text_is_written(value: Any) -> None:
    """A sum that is a float has no one spelling."""
    with pytest.raises(TypeError):
        write_form({"a": value})


def test_a_return_is_no_different() -> None:
    """The kind of a callback is not the form's affair."""
    callback = Callback("POST", {"Content-Type": FORM}, b"", b"a=1", CallbackKind.RETURN)
    assert read_form(callback) == {"a": "1"}


@pytest.mark.parametrize("message", ["%s=1&secret=1", "%s=a%%00", "%s=a%%26b"])
def test_a_name_of_sixteen_kilobytes_fills_no_log(message: str) -> None:
    """Anyone can send one: nothing is signed yet."""
    body = (message % ("x" * 16_000)).encode()
    with pytest.raises(MalformedCallback) as caught:
        read_form(Callback("POST", {"Content-Type": FORM}, b"", body), reserved=("x" * 16_000, "secret"))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("joint", "refused"), [("&", "a%26b"), (":", "a:b")])
def test_a_value_that_holds_the_joint_is_refused(joint: str, refused: str) -> None:
    """It could be cut into other fields; a value that holds another scheme's joint means nothing here."""
    other = {"&": "a:b", ":": "a%26b"}[joint]
    post = lambda value: Callback("POST", {"Content-Type": FORM}, b"", f"EMail={value}".encode())  # noqa: E731
    with pytest.raises(MalformedCallback, match="holds"):
        read_form(post(refused), joint=joint)
    assert read_form(post(refused), joint=joint, free_text=("EMail",))
    assert read_form(post(other), joint=joint)
    assert read_form(post(refused), joint="")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"code", "NAME=VALUE"),
        (b"a=1&a=2", "came twice"),
        (b"a=%00", "control characters"),
        (b"a=%FF", "UTF-8"),
        (b"a-b=1", "names of letters"),
        (b"a=1%262", "holds an '&'"),
        (b"a=" + b"1" * 16384, "at most 16384 bytes"),
    ],
)
def test_a_reply_that_is_written_as_a_form_is_read_as_strictly(body: bytes, reason: str) -> None:
    """Its error is a reply's: after a create the outcome is unknown."""
    assert read_reply(Response(200, content=b"code=1&msg=a+b"), body=read_pairs) == {"code": "1", "msg": "a b"}
    with pytest.raises(GatewayError, match=reason):
        read_reply(Response(200, content=body), body=read_pairs)
    with pytest.raises(MalformedCallback, match=reason):
        read_pairs(body, CallbackFields)
    assert type(read_pairs(b"a=1", Fields)) is Fields
