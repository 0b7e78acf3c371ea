"""What the fields of a message say: text, words, exact sums, times; and what is none of these."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core import GatewayError, InvalidOrder, MalformedCallback, Money, PayhubError
from payhub_core.kit import CallbackFields, Fields, Number, grammar, minor_units

NUMBER = grammar(r"[A-Z][0-9]{1,9}", "a letter and digits")
WORDS = {"-1": "pending", "0": "failed", "1": "paid"}


def one(value: Any) -> Fields:
    return Fields({"x": value})


# Errors


@pytest.mark.parametrize(("kind", "error"), [(Fields, GatewayError), (CallbackFields, MalformedCallback)])
def test_a_reply_and_a_callback_have_an_error_each(kind: Any, error: type[PayhubError]) -> None:
    """The same readers serve both, and so do the objects inside."""
    fields = kind({"data": {"x": True}, "list": [{"x": None}]})
    for inner in (fields, fields.object("data"), *fields.objects("list")):
        assert type(inner) is kind
        for read in (inner.text, inner.time, inner.object, inner.objects):
            with pytest.raises(error, match="x: expected "):
                read("x")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((None, "null"), (True, "a truth value"), (Number("1.5"), "a number with a point"), ([1], "a list")),
        *(({"a": 1}, "an object"), (7, "a whole number"), ("canary", "other text"), ("", "an empty text")),
    ],
)
def test_an_error_says_what_was_expected_and_what_kind_of_thing_came(value: Any, kind: str) -> None:
    """The field by its name; a text itself is not shown, since it may be anyone's."""
    with pytest.raises(GatewayError) as caught:
        one(value).objects("x")
    assert str(caught.value) == f"x: expected a list of objects, not {kind}"


def test_a_missing_field_is_said_to_be_missing() -> None:
    """By every reader."""
    fields = Fields()
    for read in (fields.text, fields.time, fields.object, fields.objects):
        with pytest.raises(GatewayError, match=r"x: expected .*, the field is missing"):
            read("x")
    for call in (lambda: fields.choice("x", WORDS), lambda: fields.money("x", "CNY", "minor")):
        with pytest.raises(GatewayError, match=r"x: expected .*, the field is missing"):
            call()


@pytest.mark.parametrize("value", ["12,50" + "0" * 500, "1\n2\x00", "茶", "\ud800"])
def test_a_word_or_a_sum_is_quoted_short_and_clean(value: str) -> None:
    """It is what the developer wants to see."""
    for call in (
        lambda: one(value).choice("x", WORDS),
        lambda: one(value).money("x", "CNY", "major"),
        lambda: one(value).time("x"),
    ):
        with pytest.raises(GatewayError) as caught:
            call()
        assert value[0] in str(caught.value) or value == "\ud800"
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 150


@pytest.mark.parametrize(("value", "came"), [(7, "'7'"), ("7", "'7'"), (True, "a truth value"), ("", "an empty text")])
def test_what_is_no_word_at_all_is_said_by_its_kind(value: Any, came: str) -> None:
    """True in quotes would look like text."""
    with pytest.raises(GatewayError) as caught:
        one(value).choice("x", WORDS)
    assert str(caught.value) == f"x: expected one of -1, 0, 1, not {came}"


# Text


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), ("", ""), (" ", " "), (1, "1"), (-1, "-1"), (0, "0"), (10**20, "1" + "0" * 20)]
)
def test_text_is_text_or_a_whole_number(value: Any, text: str) -> None:
    """PHP sends either; an empty text is one, where a field must be there."""
    assert one(value).text("x") == text


@pytest.mark.parametrize("value", [None, True, False, Number("1.0"), [], ["a"], {}, {"a": 1}, 1.5, b"a", Decimal(1)])
def test_anything_else_is_no_text(value: Any) -> None:
    """True is not 1, null is not empty, 1.0 is no number of an order."""
    for call in (lambda: one(value).text("x"), lambda: one(value).read("x", str)):
        if type(value) is not Number:
            with pytest.raises(GatewayError, match="expected text or a whole number"):
                call()
    with pytest.raises(GatewayError, match="expected text or a whole number"):
        one(value).text("x")


@pytest.mark.parametrize("fields", [Fields(), one(None), one("")])
def test_a_default_stands_for_missing_null_and_empty(fields: Fields) -> None:
    """Which are the same thing to a gateway that leaves a field out."""
    assert fields.text("x", default=None) is None
    assert fields.text("x", default="") == ""
    assert fields.read("x", NUMBER, default=None) is None
    assert fields.money("x", "CNY", "major", default=None) is None
    assert fields.time("x", default=None) is None


def test_zero_is_not_empty() -> None:
    """A PHP empty() would say so."""
    assert one(0).text("x", default=None) == one("0").text("x", default=None) == "0"
    assert one(0).money("x", "CNY", "minor", default=None) == Money(0, "CNY")


@pytest.mark.parametrize("value", [True, False, ["a"], [], {"a": 1}, {}])
def test_a_default_stands_for_nothing_else(value: Any) -> None:
    """A wrong type is a message that is not understood."""
    for call in (
        lambda: one(value).text("x", default=None),
        lambda: one(value).read("x", NUMBER, default=None),
        lambda: one(value).money("x", "CNY", "major", default=None),
    ):
        with pytest.raises(GatewayError):
            call()


def test_a_grammar_is_matched_as_a_whole() -> None:
    """A pattern that forgives a trailing newline forgives a second order number."""
    assert one("A1").read("x", NUMBER) == "A1"
    for value in ("A", "a1", "A1\n", " A1", "A1 ", "A１", "A1234567890", "BA1", ""):
        with pytest.raises(GatewayError, match=r"x: expected a letter and digits, not (other|an empty) text"):
            one(value).read("x", NUMBER)


def test_any_function_reads_that_says_what_it_expects() -> None:
    """A gateway's own format; a number with a point is handed to it as it was written."""

    def tenths(text: str) -> int:
        if not text.endswith(".0"):
            raise ValueError("tenths, such as 5.0")
        return int(text[:-2])

    assert one(Number("5.0")).read("x", tenths) == 5
    assert one("5.0").read("x", tenths) == 5
    with pytest.raises(GatewayError, match=r"x: expected tenths, such as 5\.0, not a number with a point"):
        one(Number("5.5")).read("x", tenths)
    with pytest.raises(GatewayError, match=r"x: expected tenths, such as 5\.0, not a whole number"):
        one(5).read("x", tenths)


# Words


@pytest.mark.parametrize(("value", "meaning"), [("1", "paid"), (1, "paid"), (-1, "pending"), ("0", "failed")])
def test_a_word_means_what_the_author_says(value: Any, meaning: str) -> None:
    """As text or as a number."""
    assert one(value).choice("x", WORDS) == meaning
    assert one(value).choice("x", WORDS, default=None) == meaning


@pytest.mark.parametrize("value", ["", "2", 2, "01", "1.0", "paid", " 1", "１", "-0", "+1", "null"])
def test_an_unknown_word_is_the_default_or_an_error(value: Any) -> None:
    """Of a status that a gateway adds, nothing is known."""
    assert one(value).choice("x", WORDS, default="unknown") == "unknown"
    with pytest.raises(GatewayError, match="x: expected one of -1, 0, 1, not"):
        one(value).choice("x", WORDS)


@pytest.mark.parametrize("value", [True, False, None, Number("1.0"), [1], {"1": 1}, 1.0])
def test_what_is_no_word_is_an_error_always(value: Any) -> None:
    """True is not 1, and null says nothing."""
    for default in ({}, {"default": "unknown"}):
        with pytest.raises(GatewayError, match="x: expected one of"):
            one(value).choice("x", WORDS, **default)


def test_a_missing_word_is_the_default() -> None:
    """Where there is one."""
    assert Fields().choice("x", WORDS, default="unknown") == "unknown"


# Sums


@pytest.mark.parametrize(
    ("value", "currency", "unit", "minor"),
    [
        *(("12.30", "CNY", "major", 1230), ("12.3", "CNY", "major", 1230), ("12", "CNY", "major", 1200)),
        *((Number("12.30"), "CNY", "major", 1230), (12, "CNY", "major", 1200), (0, "CNY", "major", 0)),
        *(("0.01", "CNY", "major", 1), ("500", "JPY", "major", 500), ("500.00", "JPY", "major", 500)),
        *(("1.234", "KWD", "major", 1234), ("0012.30", "CNY", "major", 1230), ("12.300", "CNY", "major", 1230)),
        *(("1230", "CNY", "minor", 1230), (1230, "CNY", "minor", 1230), ("0", "CNY", "minor", 0)),
        *(
            ("500", "JPY", "minor", 500),
            (1234, "KWD", "minor", 1234),
            (999_999_999_999_999, "CNY", "minor", 10**15 - 1),
        ),
    ],
)
def test_a_sum_is_exact(value: Any, currency: str, unit: Any, minor: int) -> None:
    """As text or as a JSON number, in the unit that the manual names, by the decimals of ISO 4217."""
    assert one(value).money("x", currency, unit) == Money(minor, currency)


@pytest.mark.parametrize(
    ("value", "currency", "decimals", "minor"),
    [
        *((50000, "ISK", 2, 500), ("500", "CLP", 0, 500), (12300, "CNY", 3, 1230), ("5", "KWD", 2, 50)),
        *((0, "ISK", 2, 0), ("99999999999999900", "VND", 2, 10**15 - 1)),
    ],
)
def test_a_gateways_own_minor_unit_is_converted_exactly(value: Any, currency: str, decimals: int, minor: int) -> None:
    """Several gateways count krónur in hundredths that do not exist."""
    assert one(value).money("x", currency, "minor", decimals=decimals) == Money(minor, currency)
    with pytest.raises(GatewayError, match="x: "):
        one(50001).money("x", "ISK", "minor", decimals=2)


NO_SUM = [
    *(
        "-1",
        "+1",
        "1e4",
        "1E4",
        "1,000",
        "1.000,00",
        "1_000",
        "NaN",
        "Infinity",
        "inf",
        " 1",
        "1 ",
        "1\n",
        "\xa01",
        "0x10",
    ),
    *(
        "１２",
        "٣",
        "²",
        "½",
        "1.",
        ".5",
        ".",
        "1.2.3",
        "¥1",
        "1 CNY",
        "1" * 16,
        "1" * 5000,
        "--1",
        "1/2",
        "\x001",
        "\ud800",
    ),
    *(True, False, [], [1], {}, {"a": 1}, 1.5, 12.0, Decimal("1.50"), -1, 10**15, Number("1e2"), Number("-1.5"), b"1"),
]


@pytest.mark.parametrize("value", NO_SUM)
@pytest.mark.parametrize("unit", ["major", "minor"])
def test_anything_else_is_no_sum(value: Any, unit: Any) -> None:
    """Signs, exponents, separators, other scripts' digits, floats, bools; each in the error of the message."""
    for fields, error in ((one(value), GatewayError), (CallbackFields(one(value)), MalformedCallback)):
        for default in ({}, {"default": None}):
            with pytest.raises(error, match="x: "):
                fields.money("x", "CNY", unit, **default)


@pytest.mark.parametrize(
    ("value", "currency", "unit"),
    [
        *(("12.301", "CNY", "major"), ("0.5", "JPY", "major"), (Number("1.005"), "CNY", "major"), ("", "CNY", "major")),
        *(
            ("12.30", "CNY", "minor"),
            ("10000.00", "CNY", "minor"),
            (Number("1.0"), "CNY", "minor"),
            (None, "CNY", "minor"),
        ),
        *(("1", "XXX", "minor"), ("1", "cny", "major"), ("1", "", "minor"), ("9" * 15, "CNY", "major")),
    ],
)
def test_nothing_is_rounded_and_no_unit_guessed(value: Any, currency: str, unit: Any) -> None:
    """More decimals than the currency has, decimals in minor units, currencies that are none, too large a sum."""
    with pytest.raises(GatewayError, match="x: "):
        one(value).money("x", currency, unit)


def test_what_arithmetic_an_application_has_set_rounds_no_sum() -> None:
    """Three digits are its own business."""
    with localcontext() as context:
        context.prec = 3
        assert one("1234500").money("x", "ISK", "minor", decimals=2) == Money(12345, "ISK")
        assert one("12345.67").money("x", "CNY", "major") == Money(1234567, "CNY")
        assert minor_units(Money(12345, "VND"), 2) == 1_234_500
        with pytest.raises(InvalidOrder):
            minor_units(Money(1_000_001, "CNY"), 0)


def test_a_gateway_that_writes_whole_units_alone_has_written_no_hundredths() -> None:
    """100.50 of a currency that it has no cents of is no sum of its: zeros behind the point are none either."""
    assert one("100.00").money("x", "HUF", "major", decimals=0) == Money.of("100", "HUF")
    with pytest.raises(GatewayError, match="x: expected a sum"):
        one("100.50").money("x", "HUF", "major", decimals=0)


def test_text_of_a_frameworks_own_kind_is_text() -> None:
    """Such as a header's; a JSON number with a point is none."""

    class Header(str):
        __slots__ = ()

    assert one(Header("t")).text("x") == "t"
    assert type(one(Header("t")).text("x")) is str
    with pytest.raises(GatewayError, match="x: expected text"):
        one(Number("1.5")).text("x")


@pytest.mark.parametrize(
    ("value", "unit", "decimals"),
    [("9" * 16, "minor", None), ("9" * 18, "minor", 2), ("9" * 16, "major", None), ("9" * 15 + ".00", "major", None)],
)
def test_a_sum_that_is_too_large_is_refused_for_its_length(value: str, unit: Any, decimals: int | None) -> None:
    """It is written as a sum is."""
    with pytest.raises(GatewayError, match="x: a sum has at most 15 digits"):
        one(value).money("x", "CNY", unit, decimals=decimals)


@pytest.mark.parametrize(
    ("unit", "words"), [("major", "a sum such as 12.30"), ("minor", "whole minor units, such as 1230")]
)
def test_an_error_says_how_a_sum_is_written(unit: Any, words: str) -> None:
    """In the unit that the author named."""
    with pytest.raises(GatewayError) as caught:
        one("1,5").money("x", "CNY", unit)
    assert str(caught.value) == f"x: expected {words}, not '1,5'"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("", "a time such as 2019-08-18T00:13:41+08:00"),
        ("+08:00", "a time such as 2019-08-18 00:13:41"),
        ("milliseconds", "milliseconds since 1970"),
    ],
)
def test_an_error_says_how_a_time_is_written(form: str, words: str) -> None:
    """In the form that the author named."""
    with pytest.raises(GatewayError) as caught:
        one("soon").time("x", form)
    assert str(caught.value) == f"x: expected {words}, not 'soon'"


@given(minor=st.integers(0, 10**15 - 1), currency=st.sampled_from(["CNY", "JPY", "KWD", "CLF"]))
def test_every_sum_survives_the_way_there_and_back(minor: int, currency: str) -> None:
    """In either unit."""
    money = Money(minor, currency)
    assert one(str(minor)).money("x", currency, "minor") == money
    if minor < 10**11:
        assert one(f"{money.amount:f}").money("x", currency, "major") == money


# Times

SHANGHAI = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019-08-18T00:13:41+08:00", datetime(2019, 8, 18, 0, 13, 41, tzinfo=SHANGHAI)),
        ("2019-08-18T00:13:41Z", datetime(2019, 8, 18, 0, 13, 41, tzinfo=UTC)),
        ("2019-08-18 00:13:41.5Z", datetime(2019, 8, 18, 0, 13, 41, 500_000, tzinfo=UTC)),
        ("2019-08-18T00:13:41.123456789+0800", datetime(2019, 8, 18, 0, 13, 41, 123_456, tzinfo=SHANGHAI)),
        ("2020-02-29T23:59:59-12:00", datetime(2020, 3, 1, 11, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_as_rfc_3339_writes_it(text: str, moment: datetime) -> None:
    """With an offset, always."""
    assert one(text).time("x") == moment


def test_a_clock_without_an_offset_has_the_authors() -> None:
    """Midnight in Shanghai is one moment on every host."""
    moment = one("2019-08-18 00:00:00").time("x", "+08:00")
    assert moment.isoformat() == "2019-08-18T00:00:00+08:00"
    assert one("2019-08-18 00:00:00").time("x", "+05:30") == datetime(2019, 8, 17, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "form", "moment"),
    [
        ("20261126092144", "+07:00", datetime(2026, 11, 26, 2, 21, 44, tzinfo=UTC)),
        (20261126092144, "+07:00", datetime(2026, 11, 26, 2, 21, 44, tzinfo=UTC)),
        ("202601311205", "Europe/Warsaw", datetime(2026, 1, 31, 11, 5, tzinfo=UTC)),
        ("2026-07-31 12:05:00", "Europe/Warsaw", datetime(2026, 7, 31, 10, 5, tzinfo=UTC)),
        ("2026-10-25 02:30:00", "Europe/Warsaw", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_clock_may_be_written_without_signs_and_its_zone_by_name(value: Any, form: str, moment: datetime) -> None:
    """Winter and summer differ; of the hour that comes twice it is the first. The result compares with any other."""
    assert one(value).time("x", form) == moment
    assert one(value).time("x", form, default=None) == moment


@pytest.mark.parametrize("value", ["20260231120000", "20260101240000", "2026010112", "2026010112000", "00000000000000"])
def test_what_is_no_compact_time_is_an_error_or_the_default(value: str) -> None:
    """No such day, no such hour, or another number of digits."""
    for form in ("+07:00", "Europe/Warsaw"):
        assert one(value).time("x", form, default=None) is None
        with pytest.raises(GatewayError, match="x: expected a time"):
            one(value).time("x", form)


def test_a_zone_that_there_is_not_is_an_error_at_once() -> None:
    """A slip of the author's, which no default hides."""
    with pytest.raises(ZoneInfoNotFoundError, match="Europe/Warsow"):
        one("2026-07-31 12:05:00").time("x", "Europe/Warsow", default=None)


@pytest.mark.parametrize(
    ("amount", "decimals", "units"),
    [("150000", 2, 15_000_000), ("12.30", 2, 1230), ("12.30", 0, None), ("12.00", 0, 12), ("1.234", 2, None)],
)
def test_a_sum_is_written_with_the_gateways_decimals(amount: str, decimals: int, units: int | None) -> None:
    """And read back as it was; one that has more is refused, not rounded."""
    currency = {"150000": "VND", "1.234": "KWD"}.get(amount, "CNY")
    money = Money.of(amount, currency)
    if units is None:
        with pytest.raises(InvalidOrder, match=f"at most {decimals} decimal places"):
            minor_units(money, decimals)
    else:
        assert minor_units(money, decimals) == units
        assert one(units).money("x", currency, "minor", decimals=decimals) == money


@pytest.mark.parametrize("value", [1_566_058_421, "1566058421"])
def test_seconds_and_milliseconds_since_1970_are_told_apart_by_the_author(value: Any) -> None:
    """As a number or as text."""
    assert one(value).time("x", "seconds") == datetime(2019, 8, 17, 16, 13, 41, tzinfo=UTC)
    exact = one(f"{value}999").time("x", "milliseconds")
    assert exact == datetime(2019, 8, 17, 16, 13, 41, 999_000, tzinfo=UTC)


NO_TIME: dict[str, list[Any]] = {
    "": [
        *(
            "",
            "now",
            "2019-08-18",
            "2019-08-18T00:13:41",
            "2019-08-18T00:13Z",
            "2019-08-18T24:00:00Z",
            "20190818T001341Z",
        ),
        *(
            "2019-02-30T00:00:00Z",
            "2019-13-01T00:00:00Z",
            "2019-08-18T00:13:60Z",
            "2019-W33-7T00:13:41Z",
            "0000-00-00T00:00:00Z",
        ),
        *(
            "0001-01-01T00:00:00+08:00",
            "9999-12-31T23:59:59-08:00",
            "10000-01-01T00:00:00Z",
            "2019-08-18T00:13:41+25:00",
        ),
        *(
            "２019-08-18T00:13:41Z",
            "2019-08-18T00:13:41Z\n",
            " 2019-08-18T00:13:41Z",
            "2019-08-18T00:13:41.Z",
            "-2019-08-18T00:13:41Z",
        ),
        *(
            "2019-08-18T00:13:41+08",
            "2019-08-18T00:13:41 +08:00",
            "2019-08-18T00:13:41+08:00:30",
            "2019-08-18T00:13:41+08:99",
        ),
        *(1_566_058_421, 0, None, True, Number("1.5"), ["x"], {}, "\ud800"),
    ],
    "+08:00": [
        *("", "0000-00-00 00:00:00", "2019-02-30 00:00:00", "2019-02-29 00:00:00", "2019-08-18 24:00:00", "2019-08-18"),
        *(
            "2019-08-18T00:13:41",
            "2019-08-18 00:13:41Z",
            "2019-08-18 00:13:41+00:00",
            "2019-8-18 0:13:41",
            "0001-01-01 00:00:00",
        ),
        *(
            "9999-12-31 23:59:59",
            "2019-08-18 00:13",
            "2019-08-18 00:13:60",
            "2019-08-18 00:13:41.000",
            "２019-08-18 00:13:41",
        ),
        *("2019-W33-7 00:13:41", "1566058421", "2019-08-18 00:13:41\n", 1_566_058_421, 0, None, True, ["x"], {}),
    ],
    "seconds": [
        *(
            0,
            -1,
            "",
            "0",
            "-1",
            "+1",
            "1.5",
            "1e9",
            "１５６６０５８４２１",
            "1_000",
            " 1",
            "1\n",
            32_503_680_000,
            10**15,
            10**400,
        ),
        *("9" * 15, "9" * 16, "9" * 5000, 1_566_058_421_000, None, True, Number("1566058421.0"), 1.5, ["x"], {}, "now"),
    ],
    "milliseconds": [
        0,
        "",
        "-1",
        32_503_680_000_000,
        10**15,
        "9" * 15,
        None,
        True,
        Number("1.5"),
        "2019-08-18 00:13:41",
    ],
}


@pytest.mark.parametrize(("form", "value"), [(form, value) for form, values in NO_TIME.items() for value in values])
def test_a_time_that_cannot_be_read_is_an_error_or_the_default(form: str, value: Any) -> None:
    """Zero dates, years that no conversion survives, 30 February, other formats: never another error."""
    for fields, error in ((one(value), GatewayError), (CallbackFields(one(value)), MalformedCallback)):
        assert fields.time("x", form, default=None) is None
        with pytest.raises(error, match=r"x: expected (a time|seconds|milliseconds)"):
            fields.time("x", form)


@given(value=st.text("0123456789-:T Z+.", max_size=30) | st.integers(), form=st.sampled_from([*NO_TIME]))
def test_whatever_is_read_as_a_time_can_be_converted(value: Any, form: str) -> None:
    """To UTC and back, in any zone."""
    moment = one(value).time("x", form, default=None)
    if moment is not None:
        assert moment.astimezone(UTC) == moment
        assert moment.astimezone(timezone(timedelta(hours=-23))) == moment


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(moment=st.integers(1, 32_503_679_998_999_999).map(lambda micro: _EPOCH + timedelta(microseconds=micro)))
def test_every_time_survives_the_way_there_and_back(moment: datetime) -> None:
    """In each form, as far as its precision goes."""
    assert one(moment.isoformat()).time("x") == moment
    whole = moment.replace(microsecond=0) + timedelta(seconds=1)
    assert one(whole.strftime("%Y-%m-%d %H:%M:%S")).time("x", "+00:00") == whole
    assert one(int(whole.timestamp())).time("x", "seconds") == whole
    assert one(int(whole.timestamp()) * 1000).time("x", "milliseconds") == whole


# What is inside


def test_objects_inside_are_fields() -> None:
    """One, or a list of them."""
    fields = Fields({"data": {"id": "A1"}, "items": [{"n": 1}, {"n": 2}], "none": []})
    assert fields.object("data").text("id") == "A1"
    assert [item.text("n") for item in fields.objects("items")] == ["1", "2"]
    assert fields.objects("none") == []


@pytest.mark.parametrize("value", [None, "", "x", 1, True, [], [{"a": 1}], Number("1.5")])
def test_anything_else_is_no_object(value: Any) -> None:
    """PHP's empty object is a list."""
    with pytest.raises(GatewayError, match="x: expected an object, not"):
        one(value).object("x")


@pytest.mark.parametrize("value", [None, "", "x", 1, True, {}, [1], [{"a": 1}, None]])
def test_anything_else_is_no_list_of_objects(value: Any) -> None:
    """All of them are."""
    with pytest.raises(GatewayError, match="x: expected a list of objects, not"):
        one(value).objects("x")


@pytest.mark.parametrize("empty", [None, "", []])
def test_an_object_that_is_empty_is_the_default(empty: Any) -> None:
    """PHP writes an empty object as a list."""
    fields = Fields({"notes": empty})
    assert fields.object("notes", default=None) is None
    assert fields.object("missing", default=None) is None
    with pytest.raises(GatewayError):
        fields.object("notes")


def test_a_list_of_objects_has_a_default_too() -> None:
    """Where it is missing or null."""
    assert Fields({"items": None}).objects("items", default=None) is None
    assert Fields({"items": []}).objects("items", default=None) == []
    with pytest.raises(GatewayError):
        Fields({"items": [1]}).objects("items", default=None)
