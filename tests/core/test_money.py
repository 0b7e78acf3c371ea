"""Money is exact."""

from __future__ import annotations

import operator
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core import InvalidOrder, Money


@pytest.mark.proof
def test_every_price_to_a_thousand_is_exact() -> None:
    """0.01 to 1,000.00, there and back, as text and as Decimal."""
    for fen in range(1, 100_001):
        text = f"{fen // 100}.{fen % 100:02}"
        money = Money.of(text, "CNY")
        assert money.minor == fen
        assert str(money) == f"{text} CNY"
        assert Money.of(money.amount, "CNY") == money


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("100.00", "CNY", 10000),
        ("100", "CNY", 10000),
        ("100.0", "CNY", 10000),
        ("100.000", "CNY", 10000),
        ("0.01", "CNY", 1),
        ("007", "CNY", 700),
        ("-1.50", "CNY", -150),
        ("-0.01", "CNY", -1),
        ("100", "JPY", 100),
        ("100.00", "JPY", 100),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        (100, "CNY", 10000),
        (Decimal("9.99"), "CNY", 999),
        (Decimal("1E+2"), "CNY", 10000),
        (Decimal("1E-2"), "CNY", 1),
        (10**13 - 1, "CNY", (10**13 - 1) * 100),
    ],
)
def test_major_units_become_minor_units_of_the_currency(text: Any, currency: str, minor: int) -> None:
    """By the exponents of ISO 4217."""
    assert Money.of(text, currency) == Money(minor, currency)


@pytest.mark.parametrize("amount", [1.0, 0.1, True, False, None, b"1", [1], 1j])
def test_floats_and_bools_are_a_type_error(amount: Any) -> None:
    """A float cannot hold every price, and True is no price."""
    with pytest.raises(TypeError) as caught:
        Money.of(amount, "CNY")
    came = "float, which cannot hold every price" if isinstance(amount, float) else type(amount).__name__
    expected = f'an amount is text, an int or a Decimal, not {came}; write Money.of("9.99", "CNY")'
    assert str(caught.value) == expected


@pytest.mark.parametrize("minor", [1.0, True, "1", Decimal(1), None])
def test_minor_units_are_an_int(minor: Any) -> None:
    """Nothing is converted."""
    with pytest.raises(TypeError, match=r"Money\.of"):
        Money(minor, "CNY")


@pytest.mark.parametrize("text", ["9.999", "0.001", Decimal("0.005"), "100.00000000000001"])
def test_excess_precision_is_an_error_and_never_a_rounding(text: Any) -> None:
    """A tenth of a fen is nobody's to drop."""
    with pytest.raises(InvalidOrder, match="rounds"):
        Money.of(text, "CNY")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 ",
        " 1",
        "1\n",
        "+1",
        "1,000.00",
        "1_000",
        "1e2",
        "NaN",
        "Infinity",
        "¥1",
        "１",
        "٣",
        ".5",
        "5.",
        "--1",
        "0x10",
        "1.2.3",
        "1" * 16,
        "1" * 100000,
        "0." + "0" * 16,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1E+30"),
        10**15,
        -(10**15),
        10**5000,
        Decimal("1E+999999"),
        Decimal("1E-999"),
        Decimal("1E-999999999999"),
        Decimal("0E-999999999999"),
        Decimal("sNaN"),
    ],
    ids=lambda text: type(text).__name__ if not isinstance(text, str) else text[:20],
)
def test_what_is_no_plain_decimal_number_is_refused(text: Any) -> None:
    """With InvalidOrder, in no time, and never spelt out at length."""
    with pytest.raises(InvalidOrder) as caught:
        Money.of(text, "CNY")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("currency", ["", "cny", "RMB", "CNY ", "XXX", "BTC", "US", "人民币", "X" * 1000])
def test_a_currency_is_one_of_iso_4217(currency: str) -> None:
    """In capitals."""
    for make in (lambda: Money(1, currency), lambda: Money.of("1", currency), lambda: Money.of("1.23456", currency)):
        with pytest.raises(InvalidOrder, match="ISO 4217") as caught:
            make()
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("currency", [None, 5, ["CNY"]])
def test_a_currency_is_text(currency: Any) -> None:
    """Anything else is a mistake, and one of our errors or a TypeError."""
    with pytest.raises((InvalidOrder, TypeError)):
        Money(1, currency)


def test_a_sum_has_at_most_fifteen_digits() -> None:
    """Whatever arrives, nothing overflows a database's 64 bits."""
    assert Money(10**15 - 1, "CNY")
    for minor in (10**15, -(10**15)):
        with pytest.raises(InvalidOrder):
            Money(minor, "CNY")
    with pytest.raises(InvalidOrder):
        Money.of("999999999999999", "CNY")


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("other", [Money(1, "USD"), 1, 1.0, None, "1", Decimal(1)])
def test_different_currencies_and_bare_numbers_do_not_mix(operation: Any, other: Any) -> None:
    """Neither adds nor compares."""
    with pytest.raises(TypeError):
        operation(Money(1, "CNY"), other)


def test_equality_is_of_sum_and_currency() -> None:
    """100 yen are not 100 fen, and 100 is no money."""
    assert Money(100, "CNY") == Money.of("1.00", "CNY")
    assert Money(100, "CNY") != Money(100, "JPY")
    assert Money(100, "CNY") != 100
    assert len({Money(1, "CNY"), Money(1, "CNY"), Money(1, "USD")}) == 2


def test_arithmetic() -> None:
    """Whole minor units add, subtract, negate and compare."""
    one, two = Money(1, "CNY"), Money(2, "CNY")
    assert one + one == two
    assert two - one == one
    assert -one == Money(-1, "CNY")
    assert one < two
    assert one <= Money(1, "CNY")
    assert two > one
    assert two >= Money(2, "CNY")
    assert not Money(0, "CNY")
    assert one


def test_a_sum_is_multiplied_by_a_whole_number() -> None:
    """From either side: three of a price."""
    price = Money.of("9.99", "CNY")
    assert price * 3 == 3 * price == Money.of("29.97", "CNY")
    assert price * 0 == Money(0, "CNY")
    assert price * -1 == -price
    assert (Money(10**15 - 1, "IDR") * 2).minor == 2 * 10**15 - 2


def test_many_sums_add_up() -> None:
    """To as many digits as it takes, and back."""
    much = Money(10**15 - 1, "IDR")
    assert sum([much, much, Money(1, "IDR")]) == Money.total(2 * 10**15 - 1, "IDR")
    assert -(much + much) + much == -much
    for start in (1, 0.0, False):
        with pytest.raises(TypeError, match=f"money goes with money only, not with {type(start).__name__}"):
            sum([much], start)  # type: ignore[call-overload]


def test_a_tiny_number_is_never_spelt_out() -> None:
    """Fifteen decimal places are read, and no more."""
    assert Money.of(Decimal("0E-15"), "CNY") == Money(0, "CNY")
    with pytest.raises(InvalidOrder, match="at most 15 decimal places"):
        Money.of(Decimal("0E-16"), "CNY")


@pytest.mark.parametrize("factor", [True, 1.5, Decimal("1.1"), "3", None, Money(1, "CNY")])
def test_nothing_else_multiplies_a_sum(factor: Any) -> None:
    """What would have to be rounded, in words."""
    for first, second in ((Money(1, "CNY"), factor), (factor, Money(1, "CNY"))):
        with pytest.raises(TypeError, match=f"by an int, not by {type(factor).__name__}(;|$)") as error:
            first * second
        assert ("never rounds" in str(error.value)) == isinstance(factor, float | Decimal)


def test_money_does_not_change() -> None:
    """It is a value."""
    with pytest.raises(AttributeError):
        Money(1, "CNY").minor = 2  # type: ignore[misc]


CURRENCIES = st.sampled_from(["CNY", "USD", "JPY", "KWD", "CLF"])
MINOR = st.integers(-(10**15) + 1, 10**15 - 1)


@given(minor=MINOR, currency=CURRENCIES)
def test_every_sum_survives_its_own_text(minor: int, currency: str) -> None:
    """Through str and through Decimal."""
    money = Money(minor, currency)
    assert Money.of(money.amount, currency) == money
    assert Money.of(str(money).split()[0], currency) == money


@given(a=st.integers(-(10**14), 10**14), b=st.integers(-(10**14), 10**14))
def test_sums_add_as_integers(a: int, b: int) -> None:
    """Exactly, and order with them."""
    assert (Money(a, "CNY") + Money(b, "CNY")).minor == a + b
    assert (Money(a, "CNY") - Money(b, "CNY")).minor == a - b
    assert (Money(a, "CNY") < Money(b, "CNY")) == (a < b)


@given(text=st.text(max_size=30))
def test_any_text_is_a_sum_or_an_error_of_ours(text: str) -> None:
    """And what is a sum is the number that Decimal reads."""
    try:
        money = Money.of(text, "CNY")
    except InvalidOrder:
        return
    assert money.amount == Decimal(text)


def test_a_sum_is_not_more_than_itself() -> None:
    """Nor less."""
    assert not Money(1, "CNY") > Money(1, "CNY")
    assert not Money(1, "CNY") < Money(1, "CNY")


def test_what_arithmetic_an_application_has_set_rounds_no_sum() -> None:
    """A request would ask for another one."""
    with localcontext() as context:
        context.prec = 3
        assert str(Money(1234567, "CNY")) == "12345.67 CNY"
        assert Money(1234567, "CNY").amount == Decimal("12345.67")
        assert Money.of(Decimal("12345.67"), "CNY") == Money(1234567, "CNY")


@pytest.mark.parametrize("amount", [10**15, -(10**15), Decimal(10**15), Decimal(-(10**15))])
def test_sixteen_digits_are_too_many(amount: Any) -> None:
    """Said of the number of digits."""
    with pytest.raises(InvalidOrder, match="at most 15 digits"):
        Money.of(amount, "CNY")


@pytest.mark.parametrize(
    ("word", "code"),
    [
        *(("RMB", "CNY"), ("rmb", "CNY"), ("Yuan", "CNY"), ("CNH", "CNY"), ("¥", "CNY")),
        *(("€", "EUR"), ("$", "USD"), ("£", "GBP"), ("eur", "EUR")),
    ],
)
def test_another_word_for_a_currency_is_told_its_code(word: str, code: str) -> None:
    """And is not taken for it: a sign may mean several."""
    with pytest.raises(InvalidOrder) as error:
        Money.of("1", word)
    assert error.value.hint == f"write {code!r}"


def test_sums_add_up_to_as_many_digits_as_it_takes() -> None:
    """A shop's rupiahs of some years are more than one order may be about."""
    most = Money(10**15 - 1, "IDR")
    assert (most + most).minor == 2 * 10**15 - 2
    assert (-most - most).minor == -2 * 10**15 + 2
    assert str(Money.total(10**18 + 7, "IDR")) == "10000000000000000.07 IDR"
    with pytest.raises(InvalidOrder, match="ISO 4217"):
        Money.total(1, "RMB")
