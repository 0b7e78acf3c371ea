"""Golden vectors: MD5 of strings written out by hand (``printf %s '...' | md5sum``)."""

from __future__ import annotations

from hashlib import md5

import pytest

from payhub_sandbox import Merchant
from payhub_sandbox.signature import callback_signature, is_signed, request_signature

KEY = "0123456789abcdef"
SORTED = Merchant(KEY)
LAST = Merchant(KEY, secret_placement="last")
DROPPING = Merchant(KEY, callback_empties="drop")


def test_a_request_is_signed_as_the_printed_example() -> None:
    """Section 4's example of a request, with a secret that is not masked."""
    fields = {
        "order_no": "2019082016542198098",
        "bank_code": "901",
        "amount": "10000",
        "appid": "gpu10000000",
        "return_url": "https://www.return.com/return",
        "notify_url": "http://www.notify.com/notify",
        "product_name": "onlinepay",
    }
    text = (
        "amount=10000&appid=gpu10000000&bank_code=901&notify_url=http://www.notify.com/notify"
        "&order_no=2019082016542198098&product_name=onlinepay&return_url=https://www.return.com/return"
        "&secret=0123456789abcdef"
    )
    assert request_signature(fields, SORTED) == md5(text.encode()).hexdigest() == "15c73af893f9e10a737f627ef5be3dfa"


def test_a_callback_signs_its_empty_values() -> None:
    """Section 4's example of a notify: ``attach=`` stays in the string."""
    fields = {
        "pay_time": "2019-08-18 00:13:41",
        "pay_status": "1",
        "actual_amount": "10000.00",
        "amount": "10000.00",
        "appid": "gpu10000000",
        "attach": "",
        "order_no": "2019082016542198098",
        "platform_order_no": "A201908201654224095826222",
    }
    text = (
        "actual_amount=10000.00&amount=10000.00&appid=gpu10000000&attach=&order_no=2019082016542198098"
        "&pay_status=1&pay_time=2019-08-18 00:13:41&platform_order_no=A201908201654224095826222&secret=0123456789abcdef"
    )
    assert callback_signature(fields, SORTED) == md5(text.encode()).hexdigest() == "3f7a0ce0a01a2f28cdb6093c8112009a"


@pytest.mark.parametrize(
    ("merchant", "text"),
    [
        (SORTED, "order_no=1&secret=0123456789abcdef&user_id=9"),
        (LAST, "order_no=1&user_id=9&secret=0123456789abcdef"),
    ],
)
def test_the_dialect_places_the_secret(merchant: Merchant, text: str) -> None:
    """A name after ``secret`` tells the two placements apart."""
    assert request_signature({"user_id": "9", "order_no": "1"}, merchant) == md5(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("merchant", "text"),
    [(SORTED, "attach=&order_no=1&secret=0123456789abcdef"), (DROPPING, "order_no=1&secret=0123456789abcdef")],
)
def test_the_dialect_keeps_or_drops_empty_values_of_callbacks(merchant: Merchant, text: str) -> None:
    """Only callbacks have that dialect."""
    assert callback_signature({"attach": "", "order_no": "1"}, merchant) == md5(text.encode()).hexdigest()


def test_a_request_drops_empty_values_but_not_zero() -> None:
    """``"0"`` is no empty value, in spite of PHP."""
    text = b"amount=0&secret=0123456789abcdef"
    assert request_signature({"amount": "0", "attach": ""}, SORTED) == md5(text).hexdigest()


def test_names_sort_by_bytes() -> None:
    """Capitals come before small letters, as PHP's ksort has it."""
    text = b"Z=1&a=2&secret=0123456789abcdef"
    assert request_signature({"a": "2", "Z": "1"}, SORTED) == md5(text).hexdigest()


def test_chinese_is_signed_as_utf8() -> None:
    """Values are never percent-encoded in the string."""
    text = "product_name=茶 & 水&secret=0123456789abcdef".encode()
    assert (
        request_signature({"product_name": "茶 & 水"}, SORTED)
        == md5(text).hexdigest()
        == "3763e342fdaefc230971b4c9e87eac4c"
    )


@pytest.mark.parametrize("sign", ["", "0" * 32, "签名", "0" * 1000])
def test_any_other_sign_is_wrong(sign: str) -> None:
    """Whatever text stands in its place is compared and refused."""
    assert not is_signed({"order_no": "1", "sign": sign}, SORTED)


def test_a_missing_sign_is_wrong() -> None:
    """No sign is no signature."""
    assert not is_signed({"order_no": "1"}, SORTED)


def test_a_sign_may_come_in_capitals() -> None:
    """Section 4 lower-cases before it compares."""
    sign = md5(b"order_no=1&secret=0123456789abcdef").hexdigest()
    assert is_signed({"order_no": "1", "sign": sign.upper()}, SORTED)


def test_a_merchant_does_not_show_its_secret() -> None:
    """A repr ends up in logs."""
    assert KEY not in repr(SORTED)
