"""Which callbacks are accepted, and what they mean (protocol, sections 5.2 and 5.3)."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import md5
from itertools import permutations
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhub_core import (
    BadSignature,
    Callback,
    CallbackError,
    CallbackKind,
    MalformedCallback,
    Money,
    Notification,
    PaymentStatus,
    WrongAccount,
)
from payhub_gpu import Gpu

OTHER_SECRET = "the-key-of-another-account-000001"


@pytest.fixture(scope="session")
def parse(gpu: Gpu, platform: Any) -> Callable[..., Notification]:
    """Parses signed fields, or bytes as they are."""

    def parse(message: Any, *, by: Gpu = gpu, expect: Any = None, **how: Any) -> Notification:
        return by.parse_callback(callback=platform.callback(message, **how), expect=expect)

    return parse


# What a genuine notify says


def test_a_genuine_notify_is_the_payment_it_speaks_of(parse: Any, platform: Any) -> None:
    """Every field of section 5.2 in payhub's words."""
    payment = parse(platform.notify(attach="basket-7")).payment
    assert payment.reference == "A1001"
    assert payment.gateway_id == "P2019081800134100001"
    assert payment.status is PaymentStatus.PAID
    assert payment.amount == payment.paid == Money.of("100.00", "CNY")
    assert payment.attach == "basket-7"
    assert payment.paid_at == datetime(2019, 8, 17, 16, 13, 41, tzinfo=UTC)
    assert payment.raw == platform.notify(attach="basket-7")


def test_a_genuine_notify_is_acknowledged_with_success_and_nothing_else(parse: Any, platform: Any) -> None:
    """Anything but these seven bytes is resent."""
    reply = parse(platform.notify()).reply
    assert (reply.body, reply.status_code) == (b"SUCCESS", 200)


def test_a_duplicate_is_acknowledged_again(parse: Any, platform: Any) -> None:
    """Six times the same body, six times the same answer."""
    assert {parse(platform.notify()).reply.body for _ in range(6)} == {b"SUCCESS"}


@pytest.mark.parametrize(
    ("word", "status"), [("-1", PaymentStatus.PENDING), ("0", PaymentStatus.FAILED), ("1", PaymentStatus.PAID)]
)
def test_the_status_words(parse: Any, platform: Any, word: str, status: PaymentStatus) -> None:
    """Paying, failed, paid."""
    assert parse(platform.notify(pay_status=word)).payment.status is status


@pytest.mark.parametrize("word", ["-1", "0"])
def test_nothing_is_received_before_it_is_paid(parse: Any, platform: Any, word: str) -> None:
    """The gateway fills actual_amount in before anyone has paid."""
    assert parse(platform.notify(pay_status=word)).payment.paid is None


@pytest.mark.parametrize("time", ["", "0000-00-00 00:00:00"])
def test_a_failed_payment_may_have_no_time(parse: Any, platform: Any, time: str) -> None:
    """Only a failed one: it was never paid."""
    assert parse(platform.notify(pay_status="0", pay_time=time)).payment.paid_at is None


@pytest.mark.parametrize("time", ["", "0000-00-00 00:00:00"])
def test_a_payment_that_is_made_has_a_time(parse: Any, platform: Any, time: str) -> None:
    """It decides whether the money is this order's."""
    with pytest.raises(MalformedCallback):
        parse(platform.notify(pay_status="1", pay_time=time))


@pytest.mark.parametrize("word", ["0", "-1"])
@pytest.mark.parametrize("time", ["", "0000-00-00 00:00:00", "0", "2019-08-18T00:13:41", "2019-02-30 00:00:00"])
def test_a_time_that_decides_nothing_is_left_out_where_it_cannot_be_read(
    parse: Any, platform: Any, word: str, time: str
) -> None:
    """Nothing was paid: such a notify is acknowledged."""
    assert parse(platform.notify(pay_status=word, pay_time=time)).payment.paid_at is None


def test_the_gateways_number_may_be_missing_or_empty(parse: Any, platform: Any) -> None:
    """platform_order_no is optional."""
    assert parse(platform.notify(platform_order_no=None)).payment.gateway_id is None
    assert parse(platform.notify(platform_order_no="")).payment.gateway_id is None


def test_the_sum_due_and_the_sum_received_are_told_apart(parse: Any, platform: Any) -> None:
    """Payers type the sum on some channels."""
    payment = parse(platform.notify(amount="10000", actual_amount="9999.00")).payment
    assert payment.amount == Money(10000, "CNY")
    assert payment.paid == Money(9999, "CNY")


@pytest.mark.parametrize("text", ["10000", "10000.0", "10000.00"])
def test_a_sum_in_fen_may_wear_decimals(parse: Any, platform: Any, text: str) -> None:
    """``10000.00`` is 10,000 fen, never 1,000,000."""
    assert parse(platform.notify(amount=text, actual_amount=text)).payment.paid == Money.of("100.00", "CNY")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1e4",
        "1,000",
        "NaN",
        "Infinity",
        "10000.01",
        "10000.000",
        "10000.",
        ".00",
        "1_000",
        " 1",
        "1 ",
        "0x10",
        "１０",
        "1" * 13,
        "1" * 5000,
        "10000.00.00",
        "٣",
        "10000\xa0",
    ],
)
@pytest.mark.parametrize("field", ["amount", "actual_amount"])
def test_any_other_spelling_of_a_sum_is_malformed(parse: Any, platform: Any, field: str, text: str) -> None:
    """Fractions of a fen, signs, exponents, separators, other scripts' digits, too many digits."""
    with pytest.raises(MalformedCallback):
        parse(platform.notify(**{field: text}))


@pytest.mark.parametrize("field", ["order_no", "platform_order_no"])
@pytest.mark.parametrize("text", ["A B", "A/1", "A.1", "订单", "A" * 65, "A=1", "A'1", "Ａ１"])
def test_numbers_of_orders_have_a_grammar(parse: Any, platform: Any, field: str, text: str) -> None:
    """Letters, digits, '_' and '-', 64 at most."""
    with pytest.raises(MalformedCallback):
        parse(platform.notify(**{field: text}))


def test_an_order_number_longer_than_ours_comes_in(parse: Any, platform: Any) -> None:
    """The sample of the protocol has 30 characters where it allows 20: inbound any length up to 64."""
    assert parse(platform.notify(order_no="A" * 64)).payment.reference == "A" * 64


@pytest.mark.parametrize("word", ["", "2", "01", "1.0", "true", "paid", " 1", "１", "-0", "+1", "null"])
def test_any_other_status_is_malformed(parse: Any, platform: Any, word: str) -> None:
    """-1, 0 and 1 are all there is."""
    with pytest.raises(MalformedCallback):
        parse(platform.notify(pay_status=word))


@pytest.mark.parametrize(
    "text",
    [
        "2019-02-30 00:00:00",
        "2019-02-29 00:00:00",
        "2019-13-01 00:00:00",
        "2019-08-18 24:00:00",
        "2019-08-18",
        "2019-08-18T00:13:41",
        "2019-08-18 00:13:41Z",
        "2019-08-18 00:13:41+00:00",
        "2019-8-18 0:13:41",
        "0000-01-01 00:00:00",
        "2019-08-18 00:13",
        "2019-08-18 00:13:60",
        "２019-08-18 00:13:41",
        "1566058421",
        "now",
        "2019-W33-7 00:13:41",
    ],
)
def test_a_time_that_does_not_exist_is_malformed(parse: Any, platform: Any, text: str) -> None:
    """30 February, 24 o'clock, other formats and other zones."""
    with pytest.raises(MalformedCallback):
        parse(platform.notify(pay_time=text))


def test_29_february_exists_in_a_leap_year(parse: Any, platform: Any) -> None:
    """The calendar, not a pattern, decides."""
    assert parse(platform.notify(pay_time="2020-02-29 23:59:59")).payment.paid_at.day == 29


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Shanghai", "Pacific/Kiritimati"])
def test_midnight_in_shanghai_is_one_moment_on_every_host(
    parse: Any, platform: Any, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """The gateway's clock is UTC+8, whatever the host's time zone."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        paid_at = parse(platform.notify(pay_time="2019-08-18 00:00:00")).payment.paid_at
    finally:
        monkeypatch.undo()
        time.tzset()
    assert paid_at.isoformat() == "2019-08-18T00:00:00+08:00"
    assert paid_at.astimezone(UTC) == datetime(2019, 8, 17, 16, 0, tzinfo=UTC)


# What is signed


def test_every_one_character_change_is_refused(gpu: Gpu, platform: Any) -> None:
    """Each byte of a genuine body, changed to another, dropped or doubled, ends in a refusal or in the same message."""
    genuine = platform.body(platform.notify(attach="tea"))
    meaning = gpu.parse_callback(callback=platform.callback(genuine), expect=None).payment
    refused = 0
    for place in range(len(genuine)):
        here = genuine[place : place + 1]
        for other in [
            b"0",
            b"1",
            b"9",
            b"a",
            b"Z",
            b"&",
            b"=",
            b"%",
            b"+",
            b" ",
            b";",
            b"\x00",
            b"\xff",
            b"",
            here * 2,
        ]:
            if other == here:
                continue
            changed = genuine[:place] + other + genuine[place + 1 :]
            try:
                payment = gpu.parse_callback(callback=platform.callback(changed), expect=None).payment
            except CallbackError:
                refused += 1
            else:
                # A blank may be written as " ", "+" or "%20", and a digit of the signature in either case: no change.
                assert payment == meaning, changed
    assert refused > 13 * len(genuine)


def test_every_field_that_is_removed_breaks_the_signature(gpu: Gpu, platform: Any) -> None:
    """None of them is outside the signed string."""
    fields = platform.notify(attach="tea", trade_type="h5")
    signature = platform.sign(fields)
    for name in fields:
        less = {key: value for key, value in fields.items() if key != name} | {"sign": signature}
        with pytest.raises(BadSignature):
            gpu.parse_callback(callback=platform.callback(urlencode(less).encode()), expect=None)


@pytest.mark.parametrize("name", ["actual_amount", "amount", "appid", "attach", "order_no", "pay_time", "pay_status"])
def test_a_required_field_is_missed_even_when_signed(parse: Any, platform: Any, name: str) -> None:
    """A genuine message of another kind is no notify; without pay_status nothing is paid."""
    with pytest.raises(MalformedCallback, match=name):
        parse(platform.notify(**{name: None}))


@pytest.mark.parametrize("name", ["amount", "order_no", "pay_status", "attach", "new"])
def test_every_field_that_is_added_or_changed_breaks_the_signature(gpu: Gpu, platform: Any, name: str) -> None:
    """An unsigned field changes nothing, since nothing unsigned comes in."""
    fields = platform.notify()
    changed = {**fields, name: "7", "sign": platform.sign(fields)}
    with pytest.raises(BadSignature):
        gpu.parse_callback(callback=platform.callback(urlencode(changed).encode()), expect=None)


def test_any_order_of_the_fields_is_accepted(gpu: Gpu, platform: Any) -> None:
    """The sender's order means nothing."""
    fields = {**platform.notify(), "sign": platform.sign(platform.notify())}
    payments = []
    for start in permutations(list(fields)[:3]):
        names = [*start, *(name for name in reversed(fields) if name not in start)]
        body = urlencode({name: fields[name] for name in names}).encode()
        payments.append(gpu.parse_callback(callback=platform.callback(body), expect=None).payment)
    assert all(payment == payments[0] for payment in payments)


@pytest.mark.parametrize("sign", [None, "", "x", "0" * 32, "签" * 32, "0" * 33, "0" * 5000])
def test_without_its_signature_a_message_is_refused(gpu: Gpu, platform: Any, sign: str | None) -> None:
    """Missing, empty, wrong, non-ASCII, over-long."""
    fields = platform.notify() if sign is None else {**platform.notify(), "sign": sign}
    with pytest.raises(BadSignature):
        gpu.parse_callback(callback=platform.callback(urlencode(fields).encode()), expect=None)


def test_a_signature_in_capitals_is_accepted(gpu: Gpu, platform: Any) -> None:
    """Lower-cased before it is compared."""
    fields = {**platform.notify(), "sign": platform.sign(platform.notify()).upper()}
    callback = platform.callback(urlencode(fields).encode())
    assert gpu.parse_callback(callback=callback, expect=None).payment.reference == "A1001"


def test_a_signature_with_the_empty_secret_is_refused(parse: Any, platform: Any) -> None:
    """What anyone could make."""
    fields = platform.notify()
    text = "&".join(f"{name}={value}" for name, value in sorted({**fields, "secret": ""}.items()))
    with pytest.raises(BadSignature):
        parse(urlencode({**fields, "sign": md5(text.encode()).hexdigest()}).encode())


def test_old_and_new_secret_verify_during_rotation_and_a_third_does_not(
    parse: Any, make_gpu: Any, platform: Any
) -> None:
    """The list rotates keys without losing a notify."""
    rotating = make_gpu(secret=["the-new-secret-of-the-shop-00001", platform.secret])
    assert parse(platform.notify(), by=rotating).payment.reference == "A1001"
    assert parse(platform.notify(), by=rotating, secret="the-new-secret-of-the-shop-00001").payment
    with pytest.raises(BadSignature):
        parse(platform.notify(), by=rotating, secret=OTHER_SECRET)


@pytest.mark.parametrize("placement", ["sorted", "last"])
@pytest.mark.parametrize("empties", ["keep", "drop"])
@pytest.mark.parametrize("theirs", [("sorted", "keep"), ("sorted", "drop"), ("last", "keep"), ("last", "drop")])
def test_an_account_speaks_one_dialect(
    parse: Any, make_gpu: Any, platform: Any, placement: str, empties: str, theirs: tuple[str, str]
) -> None:
    """A message in the account's dialect is accepted and one in any of the other three refused."""
    account = make_gpu(secret_placement=placement, callback_empties=empties)
    message = platform.notify(attach="", user_id="7")
    if theirs == (placement, empties):
        assert parse(message, by=account, placement=theirs[0], empties=theirs[1]).payment.attach == ""
    else:
        with pytest.raises(BadSignature):
            parse(message, by=account, placement=theirs[0], empties=theirs[1])


def test_a_message_for_another_merchant_is_refused_though_its_signature_fits(parse: Any, platform: Any) -> None:
    """Two accounts may share a secret; the appid says which is meant."""
    with pytest.raises(WrongAccount):
        parse(platform.notify(appid="gpu20000000"))


@pytest.mark.parametrize("name", ["trade_type", "bank_code", "_x", "ZZ", "user_id"])
def test_an_unknown_signed_field_is_kept_raw_and_means_nothing(parse: Any, platform: Any, name: str) -> None:
    """On either side of the secret; brands add fields."""
    plain = parse(platform.notify()).payment
    payment = parse(platform.notify(**{name: "1"})).payment
    assert payment.raw == {**plain.raw, name: "1"}
    assert payment == plain.model_copy(update={"raw": payment.raw})


def test_the_signature_is_not_among_the_raw_fields(parse: Any, platform: Any) -> None:
    """Raw fields are stored and shown; a signature is a bearer token of its message."""
    assert "sign" not in parse(platform.notify()).payment.raw


# How a form is read


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "application/x-www-form-urlencoded; charset=UTF-8",
        " application/x-www-form-urlencoded ;q=1",
    ],
)
def test_a_form_by_any_spelling_of_its_type(parse: Any, platform: Any, content_type: str) -> None:
    """The protocol itself writes it in capitals."""
    assert parse(platform.notify(), content_type=content_type).payment


@pytest.mark.parametrize("name", ["content-type", "CONTENT-TYPE", "Content-Type"])
def test_a_header_by_any_case_of_its_name(gpu: Gpu, platform: Any, name: str) -> None:
    """Frameworks disagree about it."""
    callback = Callback("POST", {name: "application/x-www-form-urlencoded"}, b"", platform.body(platform.notify()))
    assert gpu.parse_callback(callback=callback, expect=None).payment


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencodedx"],
)
def test_a_body_of_another_type_is_refused(parse: Any, platform: Any, content_type: str) -> None:
    """What a browser can be made to send across origins, and what nobody sends."""
    with pytest.raises(MalformedCallback):
        parse(platform.notify(), content_type=content_type)


@pytest.mark.parametrize("method", ["GET", "PUT", "post", "HEAD", ""])
def test_a_notify_is_posted(gpu: Gpu, platform: Any, method: str) -> None:
    """A notify by GET, however well signed, is refused."""
    body = platform.body(platform.notify())
    callback = Callback(method, {"Content-Type": "application/x-www-form-urlencoded"}, body, body)
    with pytest.raises(MalformedCallback):
        gpu.parse_callback(callback=callback, expect=None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&",
        b"=",
        b"a",
        b"a=1&b",
        b"a=1&&b=2",
        b"a=1&",
        b"&a=1",
        b'{"order_no": "A1001"}',
        b"attach[]=1",
        b"attach[0]=1",
        b"attach%5B%5D=1",
        b"a.b=1",
        b"a-b=1",
        b"1a=1",
        b" a=1",
        b"a =1",
        b"+a=1",
        b"a+=1",
        b"%00=1",
        "名=1".encode(),
        b"=1",
        b"secret=1",
        b"SECRET=1",
        b"Secret=1",
        b"%73ecret=1",
        b"a=1&a=1",
        b"a=1&a=2",
        b"a=%ff",
        b"a=\xff",
        b"a=%E4%B8",
        b"a=%ED%A0%80",
        b"a=%C0%AF",
        b"a=%00",
        b"a=\x00",
        b"a=%0A",
        b"a=\r\n",
        b"a=%7F",
        b"a=%C2%85",
        b"a=1%262",
        b"a=1;b=2&a=1",
    ],
)
def test_a_form_that_could_be_read_in_two_ways_is_malformed(parse: Any, body: bytes) -> None:
    """Refused for its grammar, whatever its signature: array syntax, duplicates, bad UTF-8, control characters."""
    with pytest.raises(MalformedCallback):
        parse(body + b"&sign=00000000000000000000000000000000")


def test_a_duplicate_is_refused_even_when_signed_either_way(platform: Any, parse: Any) -> None:
    """Which of two values counts is a question nobody may ask."""
    body = platform.body(platform.notify())
    for more in (b"amount=10000.00", b"order_no=A1001", b"sign=" + b"0" * 32, b"sign="):
        with pytest.raises(MalformedCallback, match="twice"):
            parse(body + b"&" + more)
        with pytest.raises(MalformedCallback, match="twice"):
            parse(more + b"&" + body)


def test_a_duplicate_by_another_spelling_is_no_way_round(platform: Any, parse: Any) -> None:
    """A percent-encoded name is either the same name, so a duplicate, or no name."""
    with pytest.raises(MalformedCallback):
        parse(platform.body(platform.notify()) + b"&order%5Fno=B2")


def test_a_semicolon_separates_nothing(platform: Any, parse: Any) -> None:
    """CVE-2026-53538: here it is a character of the value."""
    payment = parse(platform.notify(attach="a;order_no=B2")).payment
    assert (payment.reference, payment.attach) == ("A1001", "a;order_no=B2")
    with pytest.raises(CallbackError):
        parse(platform.body(platform.notify()).replace(b"&", b";"))


def test_blank_values_are_kept(platform: Any, parse: Any) -> None:
    """``attach=`` is signed, so it must be read."""
    assert parse(platform.notify(attach="", x="")).payment.raw["x"] == ""


def test_a_value_is_decoded_once(platform: Any, parse: Any) -> None:
    """``%2525`` is the text ``%25``."""
    fields = platform.notify(x="%25")
    body = platform.body(fields)
    assert b"x=%2525" in body
    assert parse(body).payment.raw["x"] == "%25"


def test_a_plus_is_a_blank(platform: Any, parse: Any) -> None:
    """``+`` equals ``%20``; a real plus is ``%2B``."""
    fields = {**platform.notify(x="1+1 =2"), "sign": platform.sign(platform.notify(x="1+1 =2"))}
    as_plus = urlencode(fields).encode()
    as_percent = urlencode(fields, quote_via=quote).encode()
    assert b"1%2B1+%3D2" in as_plus
    assert b"1%2B1%20%3D2" in as_percent
    assert parse(as_plus).payment.raw == parse(as_percent).payment.raw == platform.notify(x="1+1 =2")


def test_percent_signs_that_encode_nothing_stay(platform: Any, parse: Any) -> None:
    """A sender that forgot to encode means what it wrote."""
    fields = platform.notify(x="100% %zz %4")
    body = platform.body(platform.notify()).partition(b"&sign=")[0]
    body += b"&x=100%+%zz+%4&sign=" + platform.sign(fields).encode()
    assert parse(body).payment.raw["x"] == "100% %zz %4"


def test_chinese_may_come_raw(platform: Any, parse: Any) -> None:
    """UTF-8 without percent-encoding, as careless senders write it."""
    fields = platform.notify(attach="一杯茶")
    body = "&".join(f"{name}={value}" for name, value in {**fields, "sign": platform.sign(fields)}.items())
    assert parse(body.encode()).payment.attach == "一杯茶"


@pytest.mark.parametrize("attach", ["a&b", "order_no=B2", "a&order_no=B2&pay_status=1", "=&=", "secret=x&sign=y"])
def test_attach_may_look_like_fields_and_stays_text(parse: Any, platform: Any, attach: str) -> None:
    """The payer's text, raw as other clients of the gateway send it, never becomes fields."""
    payment = parse(platform.notify(attach=attach)).payment
    assert (payment.reference, payment.attach) == ("A1001", attach)


def test_an_ampersand_is_refused_anywhere_else(parse: Any, platform: Any) -> None:
    """Outside attach it is the joint of the signed string."""
    for name in (*platform.notify(), "other"):
        if name != "attach":
            with pytest.raises(MalformedCallback):
                parse(platform.notify(**{name: "1&x=2"}))


@pytest.mark.parametrize(
    ("sent", "attach"),
    [
        ("%E8%8C%B6", "茶"),
        ("a%26b%3Dc", "a&b=c"),
        ("茶", "茶"),
        ("100%", "100%"),
        ("%ff", "%ff"),
        ("a+b", "a+b"),
        ("%2B", "+"),
        ("", ""),
    ],
)
def test_attach_comes_back_as_the_shop_gave_it(parse: Any, platform: Any, sent: str, attach: str) -> None:
    """It was percent-encoded on the way out; raw text of other clients reads as itself."""
    assert parse(platform.notify(attach=sent)).payment.attach == attach


def test_attach_never_holds_control_characters(parse: Any, platform: Any) -> None:
    """``%2500`` decodes to ``%00`` and stays that: a NUL would break the shop's database, and so every resend."""
    payment = parse(platform.notify(attach="a%00b%0A")).payment
    assert payment.attach.isprintable()


def test_the_query_string_of_the_notify_address_means_nothing(gpu: Gpu, platform: Any) -> None:
    """A notify_url may carry keys of the shop's; only the body is signed and read."""
    callback = platform.callback(platform.notify())
    other = Callback("POST", callback.headers, b"order_no=B2&shop=1&pay_status=0&sign=x", callback.body)
    assert gpu.parse_callback(callback=other, expect=None).payment.reference == "A1001"


def test_values_that_need_care_round_trip(parse: Any, platform: Any) -> None:
    """`A & B` cannot come in outside attach; all else can, in any signed field."""
    for text in ("A + B", "100%", "https://shop.example/n?shop=1", "茶与水", "🍵", "a=b==c", "%E8", "\u3000", "\u200f"):
        assert parse(platform.notify(product_name=text)).payment.raw["product_name"] == text


# Limits


def padded(platform: Any, length: int) -> bytes:
    """A genuine body of exactly ``length`` bytes."""
    empty = len(platform.body(platform.notify(x="")))
    return platform.body(platform.notify(x="x" * (length - empty)))


def test_sixteen_kibibytes_are_read_and_not_one_more(parse: Any, platform: Any) -> None:
    """The limit, to the byte, with genuine signatures on both sides of it."""
    assert parse(padded(platform, 16 * 1024)).payment
    with pytest.raises(MalformedCallback, match="16384"):
        parse(padded(platform, 16 * 1024 + 1))


def test_sixty_four_fields_are_read_and_not_one_more(parse: Any, platform: Any) -> None:
    """The signature counts among them."""
    many = {f"x{i}": "" for i in range(64 - 9)}
    assert len(platform.notify(**many)) + 1 == 64
    assert parse(platform.notify(**many)).payment
    with pytest.raises(MalformedCallback, match="64"):
        parse(platform.notify(**many, one="more"))


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 5_000_000,
        b"&" * 5_000_000,
        b"a=1&" * 100_000,
        b"%" * 5_000_000,
        b"attach=" + b"%41" * 300_000,
        b"sign=" + b"0" * 1_000_000,
        b"".join(b"f%d=1&" % i for i in range(100_000)),
    ],
    ids=["long", "separators", "fields", "percent", "encoded", "signature", "names"],
)
def test_a_huge_body_costs_no_more_than_a_look_at_its_size(gpu: Gpu, platform: Any, body: bytes) -> None:
    """Refused before anything of it is decoded, split or digested, as the memory shows."""
    callback = platform.callback(body)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedCallback):
            gpu.parse_callback(callback=callback, expect=None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


def test_a_megabyte_of_near_matches_inside_the_limit_is_refused(gpu: Gpu, platform: Any) -> None:
    """64 bodies of 16 KiB, each one digit away from genuine."""
    body = bytearray(padded(platform, 16 * 1024))
    for place in range(64):
        body[-1 - place % 32] ^= 1
        with pytest.raises(CallbackError):
            gpu.parse_callback(callback=platform.callback(bytes(body)), expect=None)
        body[-1 - place % 32] ^= 1


# Any bytes at all


@given(body=st.binary(max_size=300), kind=st.sampled_from([CallbackKind.NOTIFY, CallbackKind.RETURN]))
@example(body=b"a=1", kind=CallbackKind.RETURN)
def test_arbitrary_bytes_are_refused(gpu: Gpu, platform: Any, body: bytes, kind: CallbackKind) -> None:
    """Unsigned bytes end in a CallbackError and in nothing else."""
    for method in ("POST", "GET"):
        with pytest.raises(CallbackError):
            gpu.parse_callback(callback=platform.callback(body, kind=kind, method=method), expect=None)


NAMES = st.sampled_from(
    ["actual_amount", "amount", "appid", "attach", "order_no", "pay_status", "pay_time", "platform_order_no", "x", "X"]
)
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["1", "0", "-1", "10000.00", "gpu10000000", "2019-08-18 00:13:41", "A1001", "", "a&b"]),
).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)


@given(changes=st.dictionaries(NAMES, VALUES), kind=st.sampled_from([CallbackKind.NOTIFY, CallbackKind.RETURN]))
def test_whatever_is_signed_ends_in_a_notification_or_a_refusal(
    gpu: Gpu, platform: Any, changes: dict[str, str], kind: CallbackKind
) -> None:
    """A gateway gone mad, with the right key, still raises nothing but ours; and what is accepted is what was sent."""
    fields = platform.notify(**changes)
    try:
        notification = gpu.parse_callback(callback=platform.callback(fields, kind=kind), expect=None)
    except CallbackError:
        return
    assert notification.payment.raw == fields
    assert notification.payment.reference == fields["order_no"]


@given(attach=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60))
def test_any_attach_survives_the_round_trip(gpu: Gpu, platform: Any, make_order: Any, attach: str) -> None:
    """Created with it, notified with what was sent, it reads as it was: any script, ampersands, percent signs."""
    request = next(gpu.create_payment(order=make_order(attach=attach)))
    sent = parse_qs(request.content.decode(), keep_blank_values=True).get("attach", [""])[0]
    assert sent.isascii()
    assert "&" not in sent
    payment = gpu.parse_callback(callback=platform.callback(platform.notify(attach=sent)), expect=None).payment
    assert payment.attach == attach


@pytest.mark.parametrize("wrong", ["text", {"order_no": "A1"}, None, bytearray(b"a=1"), memoryview(b"a=1")])
def test_anything_but_the_raw_bytes_is_a_mistake_of_the_program(wrong: Any) -> None:
    """A framework's form or decoded text has lost what the signature covers: TypeError at once."""
    with pytest.raises(TypeError, match="raw bytes"):
        Callback("POST", {}, b"", wrong)
    with pytest.raises(TypeError, match="raw bytes"):
        Callback("POST", {}, wrong, b"")


def test_a_notify_by_get_is_malformed_though_signed(parse: Any, platform: Any) -> None:
    """Only a return may come so."""
    with pytest.raises(MalformedCallback):
        parse(platform.notify(), method="GET")


def test_a_failed_payment_that_states_a_time_keeps_it(parse: Any, platform: Any) -> None:
    """It decides nothing, and is shown."""
    paid_at = parse(platform.notify(pay_status="0", pay_time="2026-08-18 00:13:41")).payment.paid_at
    assert paid_at.isoformat() == "2026-08-18T00:13:41+08:00"


# Browser returns


def test_a_return_is_verified_and_says_what_it_claims(parse: Any) -> None:
    """Section 5.3: order_no, pay_status, sign; the plugin reports, the core makes a hint of it."""
    notification = parse({"order_no": "A1001", "pay_status": "1"}, kind=CallbackKind.RETURN)
    assert notification.kind is CallbackKind.RETURN
    assert notification.payment.reference == "A1001"
    assert (notification.payment.amount, notification.payment.paid, notification.payment.paid_at) == (None, None, None)
    assert notification.reply.body != b"SUCCESS"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_return_comes_by_post_or_by_get(parse: Any, method: str) -> None:
    """By POST per the protocol, by GET in the field."""
    message = {"order_no": "A1001", "pay_status": "1"}
    assert parse(message, kind=CallbackKind.RETURN, method=method).payment.reference == "A1001"


def test_a_return_brings_what_the_shop_attached(parse: Any) -> None:
    """And nothing where it brings nothing."""
    fields = {"order_no": "A1001", "pay_status": "1"}
    assert parse({**fields, "attach": "table%207"}, kind=CallbackKind.RETURN).payment.attach == "table 7"
    assert parse(fields, kind=CallbackKind.RETURN).payment.attach == ""


def test_a_return_without_a_status_claims_nothing(parse: Any) -> None:
    """pay_status is optional there."""
    assert parse({"order_no": "A1001"}, kind=CallbackKind.RETURN).payment.status is PaymentStatus.PENDING


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("sign", ["", "0" * 32])
def test_a_return_without_a_valid_signature_is_refused(parse: Any, method: str, sign: str) -> None:
    """The protocol says that verification may be skipped; here it may not."""
    data = f"order_no=A1001&pay_status=1&sign={sign}".encode()
    with pytest.raises(BadSignature):
        parse(data, kind=CallbackKind.RETURN, method=method)


@pytest.mark.parametrize(
    "fields",
    [
        {"pay_status": "1"},
        {"order_no": "A1001", "pay_status": "2"},
        {"order_no": "A1001", "pay_status": ""},
        {"order_no": "", "pay_status": "1"},
        {"order_no": "A 1", "pay_status": "1"},
        {"order_no": "A" * 65, "pay_status": "1"},
        {"order_no": "A1001", "pay_status": "1", "platform_order_no": "P 1"},
        {"order_no": "A1001", "appid": "gpu10000000"},
        {"order_no": "A1001", "pay_status": "1", "return_url": "https://shop.example/"},
        {"order_no": "A1001", "pay_status": "1", "notify_url": "https://shop.example/"},
    ],
)
def test_a_malformed_return_is_refused_though_signed(parse: Any, fields: dict[str, str]) -> None:
    """The same grammar as a notify's."""
    with pytest.raises(MalformedCallback):
        parse(fields, kind=CallbackKind.RETURN)


def test_a_return_for_another_merchant_is_refused(parse: Any) -> None:
    """Where a return names an appid at all."""
    with pytest.raises(WrongAccount):
        parse({"appid": "gpu2", "order_no": "A1001", "pay_status": "1"}, kind=CallbackKind.RETURN)


def test_a_return_posted_to_the_notify_address_is_refused(parse: Any) -> None:
    """The same body, genuine signature and all."""
    with pytest.raises(MalformedCallback):
        parse({"order_no": "A1001", "pay_status": "1"}, kind=CallbackKind.NOTIFY)


def test_a_notify_posted_to_the_return_address_is_a_return(parse: Any, platform: Any) -> None:
    """The address decides, never the looks; no acknowledgement is in it."""
    notification = parse(platform.notify(), kind=CallbackKind.RETURN)
    assert notification.kind is CallbackKind.RETURN
    assert notification.reply.body != b"SUCCESS"


def test_the_shops_own_query_of_the_return_address_is_left_out(parse: Any, platform: Any, make_order: Any) -> None:
    """A GET return stands behind the return_url's own keys, which nobody signed."""
    expect = make_order(return_url="https://shop.example/thanks?lang=zh&shop=1")
    data = b"lang=zh&shop=1&" + platform.body({"order_no": "A1001", "pay_status": "1"})
    how: dict[str, Any] = {"kind": CallbackKind.RETURN, "method": "GET"}
    assert parse(data, expect=expect, **how).payment.raw == {"order_no": "A1001", "pay_status": "1"}
    with pytest.raises(BadSignature):
        parse(data, **how)


@pytest.mark.parametrize("name", ["order_no", "appid", "platform_order_no"])
def test_no_grammar_ends_at_a_line(parse: Any, platform: Any, name: str) -> None:
    """A pattern that forgives a trailing newline forgives a second order number."""
    with pytest.raises(CallbackError):
        parse(platform.notify(**{name: platform.notify()[name] + "\n"}))
