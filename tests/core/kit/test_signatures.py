"""Whether any of an account's keys made a signature, and whether it is of now."""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from hashlib import md5, sha256
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core import BadSignature, Callback, MalformedCallback
from payhub_core.kit import Secret, basic_auth, bearer, check_age, made_by_any

KEY, OTHER = Secret("0123456789abcdef0123456789abcdef"), Secret("fedcba9876543210fedcba9876543210")
BODY = b'{"id": "A1001"}'
CAME = Callback("POST", {}, b"", BODY)


def make(key: Secret) -> bytes:
    return hmac.digest(bytes(key), BODY, "sha256")


def test_a_digest_in_hex_counts_in_either_case() -> None:
    """Some senders shout."""
    assert made_by_any([KEY], make, make(KEY).hex())
    assert made_by_any([KEY], make, make(KEY).hex().upper())


def test_a_digest_in_base64_counts_where_it_is_base64() -> None:
    """And only there: one spelling a gateway."""
    text = b64encode(make(KEY)).decode()
    assert made_by_any([KEY], make, text, "base64")
    assert not made_by_any([KEY], make, text)
    assert not made_by_any([KEY], make, make(KEY).hex(), "base64")


def test_any_of_several_keys_counts_and_a_third_does_not() -> None:
    """Rotation, wherever the key stands."""
    signature = make(KEY).hex()
    assert made_by_any([KEY, OTHER], make, signature)
    assert made_by_any((OTHER, KEY), make, signature)
    assert not made_by_any([OTHER], make, signature)
    assert not made_by_any([], make, signature)


def test_any_digest_will_do() -> None:
    """MD5 with a key behind the text, as EPay signs."""
    signature = md5(b"money=1.00&pid=1" + bytes(KEY)).hexdigest()
    assert made_by_any([KEY], lambda key: md5(f"money=1.00&pid=1{key.text}".encode()).digest(), signature)


def test_every_other_digit_is_no_signature() -> None:
    """Each of the 64 counts."""
    genuine = make(KEY).hex()
    for place, digit in enumerate(genuine):
        for other in set("0123456789abcdef") - {digit}:
            assert not made_by_any([KEY], make, genuine[:place] + other + genuine[place + 1 :])


GENUINE = make(KEY).hex()


@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize(
    "given",
    [
        *(None, "", " ", "0" * 64, "0" * 63, "0" * 65, "g" * 64, "签" * 64, "０" * 64, "é" * 64),
        *("0" * 1_000_000, "\ud800" * 64),
        *(GENUINE + "\n", " " + GENUINE, "0x" + GENUINE, GENUINE[:-2], GENUINE + "00"),
        *(f"{GENUINE[:32]} {GENUINE[32:]}",),
        *(f"sha256={GENUINE}", 5, True, ["x"], GENUINE.encode()[:10]),
    ],
)
def test_anything_else_is_no_signature(given: Any, encoding: Any) -> None:
    """Missing, empty, non-ASCII, over-long, with something around it, of another type: False, and no exception."""
    assert made_by_any([KEY], make, given, encoding) is False


def test_an_empty_digest_is_never_made() -> None:
    """A function that returns nothing must not make a missing signature good."""
    assert not made_by_any([KEY], lambda _: b"", "")
    assert not made_by_any([KEY], lambda _: b"", None)


@given(body=st.binary(), other=st.binary(), key=st.binary(min_size=1), wrong=st.binary(min_size=1))
def test_only_the_same_body_and_key_count(body: bytes, other: bytes, key: bytes, wrong: bytes) -> None:
    """Whatever they are."""
    signature = sha256(key + b"|" + body).hexdigest()
    assert made_by_any([key], lambda each: sha256(each + b"|" + body).digest(), signature)
    same = wrong + b"|" + other == key + b"|" + body
    assert made_by_any([wrong], lambda each: sha256(each + b"|" + other).digest(), signature) is same


# Age


@pytest.mark.parametrize("away", [0, 299, -299, 300, -300])
def test_a_message_of_now_is_of_now(monkeypatch: pytest.MonkeyPatch, away: int) -> None:
    """Clocks differ in both directions."""
    monkeypatch.setattr(time, "time", lambda: 1_772_337_540.0)
    check_age(CAME, str(1_772_337_540 + away))


@pytest.mark.parametrize("away", [301, -301, 10**14, -(10**9)])
def test_a_message_of_another_time_is_a_replay(monkeypatch: pytest.MonkeyPatch, away: int) -> None:
    """SYSS-2015-022: a signature without an age is good for ever."""
    monkeypatch.setattr(time, "time", lambda: 1_772_337_540.0)
    with pytest.raises(BadSignature, match=f"within 300 seconds, this one is {abs(away)} away"):
        check_age(CAME, str(1_772_337_540 + away))


@pytest.mark.parametrize("stated", ["2026-03-01T03:59:00Z", "2026-03-01T11:58:59.5+08:00"])
def test_a_signed_time_may_be_written_out(monkeypatch: pytest.MonkeyPatch, stated: str) -> None:
    """As RFC 3339 has it."""
    monkeypatch.setattr(time, "time", lambda: 1_772_337_540.0)
    check_age(CAME, stated, 1)
    monkeypatch.setattr(time, "time", lambda: 1_772_337_542.0)
    with pytest.raises(BadSignature, match="within 1 seconds"):
        check_age(CAME, stated, 1)


def test_the_tolerance_is_the_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    """In seconds."""
    monkeypatch.setattr(time, "time", lambda: 1000.5)
    check_age(CAME, "1000", 1)
    with pytest.raises(BadSignature, match="within 1 seconds"):
        check_age(CAME, "999", 1)


@pytest.mark.parametrize(
    "stated",
    [
        "",
        " ",
        "now",
        "1.5",
        "-1",
        "+1",
        "1e9",
        "1_000",
        "１７７２３３７５４０",
        "1772337540\n",
        "1" * 16,
        "1" * 5000,
        "²",
    ],
)
def test_a_time_that_is_no_number_is_malformed(stated: str) -> None:
    """`int` and `isdigit` take some of these."""
    with pytest.raises(MalformedCallback, match="whole seconds"):
        check_age(CAME, stated)


def test_basic_auth_is_that_of_the_rfc() -> None:
    """Its own example; a user with a colon would be cut."""
    assert basic_auth("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic_auth("Aladdin", Secret("open sesame")) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # and not its stars
    with pytest.raises(ValueError, match="colon"):
        basic_auth("a:b", "c")


def test_a_bearers_header_is_sent_and_not_shown() -> None:
    """Whatever the token was kept in."""
    for token in ("a-token-of-the-shop", Secret("a-token-of-the-shop")):
        headers = {"Authorization": bearer(token)}
        assert "a-token" not in repr(headers)
        sent = httpx.Request("GET", "https://gateway.example", headers=headers).headers["authorization"]
        assert sent == "Bearer a-token-of-the-shop"


def test_a_basic_header_is_sent_and_not_shown() -> None:
    """A dict of headers is often among the variables of a traceback."""
    headers = {"Authorization": basic_auth("m1", "a-secret-of-the-shop")}
    written = b64encode(b"m1:a-secret-of-the-shop").decode()
    assert written not in repr(headers)
    assert (
        httpx.Request("GET", "https://gateway.example", headers=headers).headers["authorization"] == f"Basic {written}"
    )
