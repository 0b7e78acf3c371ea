"""The two signing rules, against vectors made from literal strings (protocol, section 4)."""

from __future__ import annotations

import string
from hashlib import md5
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core.kit import Secret
from payhub_gpu.signing import drop_empty, sign, verify

KEY = Secret("0123456789abcdef0123456789abcdef")
OTHER = Secret("fedcba9876543210fedcba9876543210")

REQUEST = {
    "order_no": "2019xxxxxxxxxxxx",
    "bank_code": "901",
    "amount": "10000",
    "appid": "gpu10000000",
    "return_url": "https://www.return.com/return",
    "notify_url": "http://www.notify.com/notify",
    "product_name": "onlinepay",
}
REQUEST_STRING = (
    "amount=10000&appid=gpu10000000&bank_code=901&notify_url=http://www.notify.com/notify&order_no=2019xxxxxxxxxxxx"
    "&product_name=onlinepay&return_url=https://www.return.com/return&secret=0123456789abcdef0123456789abcdef"
)
NOTIFY = {
    "actual_amount": "10000.00",
    "amount": "10000.00",
    "appid": "gpu10000000",
    "attach": "",
    "order_no": "2019xxxxxxx",
    "pay_status": "1",
    "pay_time": "2019-08-18 00:13:41",
    "platform_order_no": "A2019xxxxxxxxxxxx",
}
NOTIFY_STRING = (
    "actual_amount=10000.00&amount=10000.00&appid=gpu10000000&attach=&order_no=2019xxxxxxx&pay_status=1"
    "&pay_time=2019-08-18 00:13:41&platform_order_no=A2019xxxxxxxxxxxx&secret=0123456789abcdef0123456789abcdef"
)


def digest(text: str) -> str:
    return md5(text.encode()).hexdigest()


def test_the_request_string_of_the_protocol() -> None:
    """The sample of section 4, its masked secret replaced by one of ours; the digest is written out to stay."""
    assert digest(REQUEST_STRING) == "dd90b108dc850644bde70d8575c49cfe"
    assert sign(REQUEST, KEY) == "dd90b108dc850644bde70d8575c49cfe"


def test_the_callback_string_of_the_protocol() -> None:
    """The sample of section 4, with its empty attach in the string."""
    assert digest(NOTIFY_STRING) == "bed79c6d535cb15ce6e55c5c61d5209b"
    assert verify(NOTIFY, "bed79c6d535cb15ce6e55c5c61d5209b", [KEY])
    assert sign(NOTIFY, KEY) == "bed79c6d535cb15ce6e55c5c61d5209b"


def test_what_is_signed_by_default_is_verified_by_default() -> None:
    """Where a field sorts behind the secret, too."""
    fields = {"order_no": "A1001", "user_id": "7"}
    assert verify(fields, sign(fields, KEY), [KEY])
    assert not verify(fields, sign(fields, KEY, "last"), [KEY])


def test_both_placements_agree_on_the_documented_fields() -> None:
    """All documented names sort before the secret."""
    assert sign(NOTIFY, KEY, "last") == sign(NOTIFY, KEY, "sorted")
    assert sign(REQUEST, KEY, "last") == sign(REQUEST, KEY, "sorted")


@pytest.mark.parametrize(
    ("placement", "text"),
    [
        ("sorted", "order_no=A1&secret=0123456789abcdef0123456789abcdef&trade_type=h5&user_id=7"),
        ("last", "order_no=A1&trade_type=h5&user_id=7&secret=0123456789abcdef0123456789abcdef"),
    ],
)
def test_fields_behind_the_secret_tell_the_placements_apart(placement: Any, text: str) -> None:
    """A trade_type sorts after the secret, or before it where the brand appends the secret."""
    assert sign({"user_id": "7", "trade_type": "h5", "order_no": "A1"}, KEY, placement) == digest(text)


def test_names_sort_by_their_bytes() -> None:
    """Upper case before underscore before lower case, and a name before those it begins; values play no part."""
    fields = {"b": "1", "a_b": "2", "aB": "3", "ab": "4", "a": "5", "B": "6", "_x": "7", "a1": "8"}
    assert sign(fields, KEY) == digest(f"B=6&_x=7&a=5&a1=8&aB=3&a_b=2&ab=4&b=1&secret={KEY.get_secret_value()}")


def test_the_secret_sorts_by_its_name_alone() -> None:
    """secrets, secret_x and Secretary do not disturb the secret's place."""
    key = KEY.get_secret_value()
    fields = {"secrets": "1", "secret_x": "2", "Secretary": "3", "secre": "4"}
    assert sign(fields, KEY) == digest(f"Secretary=3&secre=4&secret={key}&secret_x=2&secrets=1")


def test_values_are_signed_raw_as_utf_8() -> None:
    """No percent-encoding of Chinese, blanks, ampersands or addresses."""
    fields = {"product_name": "茶 & 水 100%", "notify_url": "https://shop.example/n?shop=1&lang=zh"}
    text = f"notify_url=https://shop.example/n?shop=1&lang=zh&product_name=茶 & 水 100%&secret={KEY.get_secret_value()}"
    assert sign(fields, KEY) == digest(text)


def test_empty_values_are_signed_where_they_are_kept() -> None:
    """Keeping and dropping are two different strings."""
    key = KEY.get_secret_value()
    fields = {"attach": "", "order_no": "A1", "zero": "0"}
    assert sign(fields, KEY) == digest(f"attach=&order_no=A1&secret={key}&zero=0")
    assert sign(drop_empty(fields), KEY) == digest(f"order_no=A1&secret={key}&zero=0")


def test_zero_is_never_empty() -> None:
    """A PHP empty() would drop it."""
    assert drop_empty({"a": "0", "b": "", "c": " ", "d": "0.00"}) == {"a": "0", "c": " ", "d": "0.00"}


@pytest.mark.parametrize("placement", ["sorted", "last"])
def test_any_order_of_fields_is_the_same_message(placement: Any) -> None:
    """The sender's order is no part of the signature."""
    backwards = dict(reversed(NOTIFY.items()))
    assert sign(backwards, KEY, placement) == sign(NOTIFY, KEY, placement)


def test_signing_changes_nothing_it_is_given() -> None:
    """The secret leaks where it is put into the caller's own dict."""
    fields = dict(NOTIFY)
    sign(fields, KEY)
    assert fields == NOTIFY


def test_a_signature_counts_in_either_case() -> None:
    """The protocol says lower case; some senders shout."""
    assert verify(NOTIFY, sign(NOTIFY, KEY), [KEY])
    assert verify(NOTIFY, sign(NOTIFY, KEY).upper(), [KEY])


@pytest.mark.parametrize(
    "signature",
    [
        "",
        " ",
        "0" * 32,
        "0" * 31,
        "0" * 33,
        "g" * 32,
        "签" * 32,
        "０" * 32,
        "é" * 32,
        "0" * 100_000,
        "\ud800" * 32,
        "bed79c6d535cb15ce6e55c5c61d5209b\n",
        " bed79c6d535cb15ce6e55c5c61d5209b",
        "0xbed79c6d535cb15ce6e55c5c61d5209b",
    ],
)
def test_anything_else_is_no_signature(signature: str) -> None:
    """Missing, empty, non-ASCII, over-long, or with something around it: False, and no exception."""
    assert verify(NOTIFY, signature, [KEY]) is False


def test_every_other_digit_is_no_signature() -> None:
    """Each of the 32 digits counts."""
    genuine = sign(NOTIFY, KEY)
    for place, digit in enumerate(genuine):
        for other in set("0123456789abcdef") - {digit}:
            assert not verify(NOTIFY, genuine[:place] + other + genuine[place + 1 :], [KEY])


def test_an_old_and_a_new_secret_verify_and_a_third_does_not() -> None:
    """Rotation: any secret of the account verifies, wherever it stands in the list."""
    signature = sign(NOTIFY, KEY)
    assert verify(NOTIFY, signature, [KEY, OTHER])
    assert verify(NOTIFY, signature, [OTHER, KEY])
    assert not verify(NOTIFY, signature, [OTHER])
    assert not verify(NOTIFY, signature, [])


@pytest.mark.parametrize("placement", ["sorted", "last"])
@given(
    fields=st.dictionaries(
        st.text(string.ascii_letters + string.digits + "_", min_size=1).filter(lambda name: name != "secret"),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_the_rule_as_the_protocol_words_it(placement: Any, fields: dict[str, str], key: str) -> None:
    """Whatever the fields: add the secret, sort by the names' bytes, join raw, digest."""
    names = sorted((name.encode() for name in {**fields, "secret": key}), key=bytes)
    if placement == "last":
        names = [*(name for name in names if name != b"secret"), b"secret"]
    text = b"&".join(name + b"=" + {**fields, "secret": key}[name.decode()].encode() for name in names)
    assert sign(fields, Secret(key), placement) == md5(text).hexdigest()
    assert verify(fields, md5(text).hexdigest(), [Secret(key)], placement)
