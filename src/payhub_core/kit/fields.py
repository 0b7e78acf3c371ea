"""The fields of a message, read strictly: text, words, exact sums, times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Literal, Never, Self, TypeVar, cast
from zoneinfo import ZoneInfo

from payhub_core.errors import CallbackError, GatewayError, InvalidOrder, MalformedCallback, plain
from payhub_core.money import Money

__all__ = ["CallbackFields", "Fields", "Number", "grammar", "minor_units"]

T = TypeVar("T")
V = TypeVar("V")

_MISSING: object = object()
_REQUIRED: Never = cast("Never", _MISSING)  # so that without a default a method returns what it reads, and no more
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_3000 = datetime(3000, 1, 1, tzinfo=UTC) - _EPOCH
_offset = re.compile(r"[+-]\d\d:[0-5]\d", re.ASCII).fullmatch
_SINCE = {"seconds", "milliseconds"}
_digits = re.compile(r"[0-9]{1,15}").fullmatch
# As long as any sum that is written; how long it may be, Money says.
_units = re.compile(r"[0-9]{1,24}").fullmatch
_decimal = re.compile(r"[0-9]{1,24}(?:\.[0-9]{1,15})?").fullmatch
_local = re.compile(r"[12]\d\d\d-\d\d-\d\d (?!24)\d\d:\d\d:\d\d", re.ASCII).fullmatch
_compact = re.compile(r"([12]\d{3})(\d\d)(\d\d)(?!24)(\d\d)(\d\d)(\d\d)?", re.ASCII).fullmatch
_rfc3339 = re.compile(
    r"[12]\d\d\d-\d\d-\d\d[T ](?!24)\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?[0-5]\d)", re.ASCII
).fullmatch


class Number(str):
    """A JSON number with a point or an exponent, as it was written: no float ever holds money."""

    __slots__ = ()


def grammar(pattern: str, words: str) -> Callable[[str], str]:
    """For `Fields.read`: returns a text that ``pattern`` matches as a whole; ``words`` say what else was expected."""
    matches = re.compile(pattern).fullmatch

    def read(text: str) -> str:
        if matches(text):
            return text
        raise ValueError(words)

    return read


def minor_units(amount: Money, decimals: int) -> int:
    """``amount`` in a gateway's minor unit, which has so many ``decimals``, where that is not ISO 4217's.

    Raises InvalidOrder for a sum that has more decimals: nothing is rounded.
    """
    units = Decimal(f"{amount.amount:f}E{decimals}")  # not scaled: arithmetic rounds to the application's precision
    if units != int(units):
        raise InvalidOrder(f"expected a sum of at most {decimals} decimal places, not {amount}")
    return int(units)


class Fields(dict[str, Any]):
    """The fields of a reply, a dict whose methods read them; what they cannot read raises ``error``, a GatewayError.

    The error names the field, what was expected and what kind of thing came. A field that is missing, null or empty is
    the ``default`` where one is given.
    """

    __slots__ = ()

    error: ClassVar[type[CallbackError | GatewayError]] = GatewayError

    def text(self, name: str, *, default: T = _REQUIRED) -> str | T:
        """Text, or a whole number as text, since one gateway sends both; neither bool, null, list nor object.

        Without a ``default``, an empty text is a text.
        """
        value = self.get(name)
        if type(value) is str and (value or default is _MISSING):
            return value
        if isinstance(value, str) and not isinstance(value, Number) and (value or default is _MISSING):
            return str(value)  # a header of a framework's own kind of text
        if (value is None or value == "") and default is not _MISSING:
            return default
        if type(value) is int:
            return str(value)
        raise self._fault(name, "text or a whole number")

    def read(self, name: str, reader: Callable[[str], V], *, default: T = _REQUIRED) -> V | T:
        """What ``reader`` makes of the field's text, or of a number as it was written.

        ``reader`` is a `grammar`, or any function that raises ValueError with the words for what it expected.
        """
        value = self.get(name)
        if not value or type(value) is not str:  # the slower way, for what callbacks hardly ever hold
            if (value is None or value == "") and default is not _MISSING:
                return default
            if type(value) is not Number:
                value = self.text(name)
        try:
            return reader(value)
        except ValueError as words:
            raise self._fault(name, str(words)) from None

    def choice(self, name: str, words: Mapping[str, V], *, default: T = _REQUIRED) -> V | T:
        """What the field's word means by ``words``; a word that they lack is the ``default``, but null is an error."""
        value = self.get(name)
        if type(value) is int:
            value = str(value)
        if type(value) is str and value in words:
            return words[value]
        if default is _MISSING or (name in self and type(value) is not str):
            raise self._fault(name, f"one of {', '.join(words)}", quote=True)
        return default

    def money(
        self,
        name: str,
        currency: str,
        unit: Literal["major", "minor"],
        *,
        decimals: int | None = None,
        default: T = _REQUIRED,
    ) -> Money | T:
        """An exact sum of ``currency`` (ISO 4217), ``12.30`` in major units or ``1230`` in minor ones.

        It comes as text or as a JSON number. ``decimals`` are those of the gateway's minor unit, or the most that it
        writes of a major one, where they are not ISO's. Signs, exponents, other scripts' digits (`int` takes them),
        more than 15 digits and fractions of a minor unit are errors: nothing is rounded.
        """
        value = self.get(name)
        if (value is None or value == "") and default is not _MISSING:
            return default
        try:
            return _sum(str(value) if type(value) in {str, int, Number} else "", currency, unit, decimals)
        except InvalidOrder as error:
            raise self.error(f"{name}: {error.message}") from None
        except ValueError:
            like = "a sum such as 12.30" if unit == "major" else "whole minor units, such as 1230"
            raise self._fault(name, like, quote=True) from None

    def time(self, name: str, form: str = "", *, default: T = _REQUIRED) -> datetime | T:
        """An aware time, written as RFC 3339 has it unless there is a ``form``.

        Forms are an offset, as "+08:00", or a zone's name, as "Europe/Warsaw", for a clock there that shows
        ``2019-08-18 00:13:41``, ``20190818001341`` or ``201908180013``; and "seconds" or "milliseconds" since 1970. Of
        an hour that a clock shows twice it is the first. Years are 1000 to 2999, so that no conversion overflows. With
        a ``default`` any time that cannot be read is that: a zero date, where it only informs, must not make a paid
        order unreadable.
        """
        value = self.get(name)
        if value is None and default is not _MISSING:
            return default
        zone = _zone(form)
        try:
            if type(value) is str and (_local if form else _rfc3339)(value):
                return _moment(value, form, zone)
            if form and form not in _SINCE and type(value) in {str, int} and (parts := _compact(str(value))):
                return _moment("{}-{}-{} {}:{}:{}".format(*parts.groups("00")), form, zone)
            text = str(value) if form in _SINCE else ""
            if _digits(text) and timedelta() < (since := timedelta(**{form: int(text)})) < _YEAR_3000:
                return _EPOCH + since
        except (ValueError, OverflowError):
            pass  # 30 February
        if default is not _MISSING:
            return default
        like = f"{form} since 1970" if form in _SINCE else "a time such as 2019-08-18 00:13:41"
        raise self._fault(name, like if form else "a time such as 2019-08-18T00:13:41+08:00", quote=True)

    def object(self, name: str, *, default: T = _REQUIRED) -> Self | T:
        """The object inside; with a ``default``, an empty list is none as well, since PHP writes one so."""
        value = self.get(name)
        if not value and default is not _MISSING and (value is None or value in ("", [])):
            return default
        if not isinstance(value, dict):
            raise self._fault(name, "an object")
        return type(self)(value)

    def objects(self, name: str, *, default: T = _REQUIRED) -> list[Self] | T:
        """The objects of the list inside."""
        value = self.get(name)
        if (value is None or value == "") and default is not _MISSING:
            return default
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._fault(name, "a list of objects")
        return [type(self)(item) for item in value]

    def _fault(self, name: str, expected: str, *, quote: bool = False) -> CallbackError | GatewayError:
        """Only words, sums and times are quoted: no secret and no text of the payer's is among them."""
        if name not in self:
            return self.error(f"{name}: expected {expected}, the field is missing")
        value = self[name]
        kind = _KINDS.get(type(value), "other text" if value else "an empty text")
        quoted = quote and type(value) in {str, int, Number} and value != ""
        return self.error(f"{name}: expected {expected}, not {repr(plain(value, 40)) if quoted else kind}")


class CallbackFields(Fields):
    """The fields of a callback, as `Fields`; what cannot be read raises MalformedCallback."""

    __slots__ = ()

    error: ClassVar[type[CallbackError | GatewayError]] = MalformedCallback


_KINDS = {
    type(None): "null",
    bool: "a truth value",
    int: "a whole number",
    Number: "a number with a point",
    list: "a list",
    dict: "an object",
}


@lru_cache(maxsize=64)
def _zone(form: str) -> ZoneInfo | None:
    """The zone that a form names; raises ZoneInfoNotFoundError where there is none of that name on this machine."""
    return None if not form or form in _SINCE or _offset(form) else ZoneInfo(form)


def _moment(clock: str, form: str, zone: ZoneInfo | None) -> datetime:
    if zone is None:
        return datetime.fromisoformat(clock + form)
    return datetime.fromisoformat(clock).replace(tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=512)
def _sum(text: str, currency: str, unit: str, decimals: int | None) -> Money:
    if not (_decimal if unit == "major" else _units)(text):
        raise ValueError
    if unit == "major":
        if decimals is not None and text.partition(".")[2][decimals:].strip("0"):
            raise ValueError
        return Money.of(Decimal(text), currency)
    if decimals is None:
        return Money(int(text), currency)
    # Not scaled: arithmetic rounds to the precision that the application has set for its decimals.
    return Money.of(Decimal(f"{text}E{-decimals}"), currency)
