"""Money: whole minor units of an ISO 4217 currency, never a float, never rounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from payhub_core.errors import InvalidOrder, plain

__all__ = ["CURRENCIES", "Money"]

# ISO 4217:2015, list one (active codes), by the number of digits after the decimal point.
_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF"
    " CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF"
    " IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN"
    " MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS"
    " SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {code: digits for digits, codes in _CODES.items() for code in codes.split()}
#: The codes of ISO 4217 that payhub knows, for a provider whose gateway takes any.
CURRENCIES: frozenset[str] = frozenset(_EXPONENTS)
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_LONGEST = 10**15
_LONGEST_FRACTION = 15
#: What people write for a code that is another.
_MEANT = {"RMB": "CNY", "YUAN": "CNY", "CNH": "CNY", "¥": "CNY", "€": "EUR", "$": "USD", "£": "GBP"}


@dataclass(frozen=True, slots=True)
class Money:
    """An exact sum: ``minor`` whole minor units (fen, cents) of ``currency`` (ISO 4217, upper case).

    Sums of different currencies do not add or compare, and a sum is multiplied by an int alone (TypeError). Raises
    TypeError for a ``minor`` that is not an int (a bool is none), InvalidOrder for a currency that ISO 4217 does not
    list or a sum of more than 15 digits. What sums add up to may have more.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are an int, not {type(self.minor).__name__}; for text use Money.of")
        if self.currency not in _EXPONENTS:
            code = _MEANT.get(str(self.currency).upper(), str(self.currency).upper())
            raise InvalidOrder(
                f"a currency is an ISO 4217 code such as 'CNY', not {plain(self.currency)!r}",
                hint=f"write {code!r}" if code in _EXPONENTS else "",
            )
        if not -_LONGEST < self.minor < _LONGEST:
            raise InvalidOrder("a sum has at most 15 digits of minor units")

    @classmethod
    def of(cls, amount: str | int | Decimal, currency: str) -> Money:
        """Money from major units: ``Money.of("100.00", "CNY")`` is 10,000 fen.

        Raises TypeError for floats and bools, InvalidOrder for text that is no plain decimal number and for more
        decimal places than the currency has: nothing is rounded.
        """
        if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
            why = ", which cannot hold every price" if isinstance(amount, float) else ""
            came = f"{type(amount).__name__}{why}"
            raise TypeError(f'an amount is text, an int or a Decimal, not {came}; write Money.of("9.99", "CNY")')
        if isinstance(amount, Decimal) and not amount.is_finite():
            raise InvalidOrder(f"an amount is a plain decimal number such as '100.00', not {amount}")
        if isinstance(amount, int | Decimal) and not -_LONGEST < amount < _LONGEST:
            raise InvalidOrder("a sum has at most 15 digits")  # and a giant number is never spelt out
        if isinstance(amount, Decimal) and amount.adjusted() < -_LONGEST_FRACTION:
            raise InvalidOrder(f"an amount has at most {_LONGEST_FRACTION} decimal places")  # nor is a tiny one
        text = amount if isinstance(amount, str) else format(amount, "f" if isinstance(amount, Decimal) else "d")
        if not _AMOUNT.fullmatch(text):
            raise InvalidOrder(f"an amount is a plain decimal number such as '100.00', not {plain(text)!r}")
        if currency not in _EXPONENTS:
            return cls(0, currency)  # which raises
        whole, _, fraction = text.partition(".")
        digits = _EXPONENTS[currency]
        if fraction[digits:].strip("0"):
            hint = "round it first: payhub never rounds"
            raise InvalidOrder(f"{currency} has {digits} decimal places, {text} has more", hint=hint)
        return cls(int(whole + fraction[:digits].ljust(digits, "0")), currency)

    @classmethod
    def total(cls, minor: int, currency: str) -> Money:
        """What many sums add up to, of as many digits as it takes; raises InvalidOrder for an unknown currency."""
        found = cls(0, currency)
        object.__setattr__(found, "minor", minor)
        return found

    @property
    def amount(self) -> Decimal:
        """The sum in major units, with the currency's number of decimal places."""
        return Decimal(f"{self.minor}E-{_EXPONENTS[self.currency]}")  # exact whatever precision decimals are set to

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    def __bool__(self) -> bool:
        return self.minor != 0

    def __add__(self, other: Money) -> Money:
        return Money.total(self.minor + self._same(other), self.currency)

    def __radd__(self, other: object) -> Money:
        if type(other) is not int or other != 0:  # what sum() begins with
            self._same(other)
        return self

    def __sub__(self, other: Money) -> Money:
        return Money.total(self.minor - self._same(other), self.currency)

    def __mul__(self, count: int) -> Money:
        given: object = count
        if type(given) is not int:
            why = (
                "; payhub never rounds, so work a rate out in minor units" if isinstance(given, float | Decimal) else ""
            )
            raise TypeError(f"money is multiplied by an int, not by {type(given).__name__}{why}")
        return Money.total(self.minor * count, self.currency)

    __rmul__ = __mul__

    def __neg__(self) -> Money:
        return Money.total(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.minor >= self._same(other)

    def _same(self, other: object) -> int:
        if not isinstance(other, Money):
            raise TypeError(f"money goes with money only, not with {type(other).__name__}; make it Money with Money.of")
        if other.currency != self.currency:
            raise TypeError(f"{self.currency} and {other.currency} do not add or compare; convert one first")
        return other.minor
