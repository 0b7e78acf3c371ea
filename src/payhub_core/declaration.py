"""What a provider declares of itself, and what the core therefore refuses before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, Protocol

from payhub_core.errors import CallbackError, ConfigError, InvalidOrder, plain
from payhub_core.models import Order, PaymentMethod, Reply
from payhub_core.money import Money

__all__ = [
    "FAILED_AFTER",
    "REFUSED",
    "RETRY",
    "ProviderInfo",
    "check_amount",
    "check_order",
    "check_reference",
    "check_refund_reference",
    "fits_reference",
    "may_set",
    "sample_extra",
]

#: What is answered to a callback that is not believed, and to one that is to be sent again.
REFUSED = Reply(b"refused", status_code=400)
RETRY = Reply(b"try again", status_code=503)
#: How many seconds old an order is when a query's claim that it has failed is believed, unless the account says else.
FAILED_AFTER = 24 * 60 * 60.0

_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """What a provider declares, in one place: the core holds every order and every call to it.

    ``name``: the entry point's name.
    ``currencies``: the ISO 4217 codes that the gateway takes.
    ``identity``: the settings that tell one merchant from another. Two accounts that agree in them are refused, since
    an order of the one could be settled as the other's.
    ``methods``: the neutral methods that an order may name; ``raw_methods``: a pattern of the gateway's own codes that
    it may name as text, "" for none; ``method_needed``: whether it has to name one.
    ``payer_needed``: the methods for which an order has to name its payer.
    ``reference`` and ``reference_length``: a pattern of the order numbers that the gateway takes, and how many
    characters they have at most: a number, or the name of the setting that holds it. ``largest_reference``: where they
    are whole numbers, the largest.
    ``refund_reference``: a pattern of the shop's numbers of refunds.
    ``largest_amount``: the largest sum of one order, in minor units.
    ``attach``: whether the gateway brings back, with its notify, what an order attached.
    ``extra_fields``: a pattern of the names that an order's ``extra`` may have, "" for none; ``reserved_fields``: names
    among them that are the provider's own, in any case of letters. ``extra_needed``: the names
    that it has to fill, whatever the pattern.
    ``callback_headers``: the headers that its callbacks are verified by: what a Recorder keeps beside the content type.
    ``refused`` and ``retry``: the answers to a callback that is not believed, and to one that could not be stored now.
    ``refusals``: by the error, the answers of a gateway that wants to be told why; ``refused`` is for all others.
    ``time_limits``: by hook, seconds that a whole call may take, where twice ``timeout`` for each request does not fit.
    A fetch inside a callback has to end before the gateway hangs up.

    What a provider can do is not declared: it is the hooks that it implements.
    """

    name: str
    currencies: frozenset[str]
    identity: tuple[str, ...]
    methods: frozenset[PaymentMethod] = frozenset()
    raw_methods: str = ""
    method_needed: bool = False
    payer_needed: frozenset[PaymentMethod] = frozenset()
    reference: str = "[A-Za-z0-9_-]+"
    reference_length: int | str = 64
    largest_reference: int | None = None
    refund_reference: str = ".+"
    largest_amount: int = 10**15 - 1
    attach: bool = True
    extra_fields: str = ""
    reserved_fields: frozenset[str] = frozenset()
    extra_needed: frozenset[str] = frozenset()
    callback_headers: frozenset[str] = frozenset()
    refused: Reply = REFUSED
    refusals: Mapping[type[CallbackError], Reply] = field(default_factory=dict)
    retry: Reply = RETRY
    time_limits: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pattern in (self.raw_methods, self.reference, self.refund_reference, self.extra_fields):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(f"info: {plain(pattern)!r} is no regular expression: {error}") from None
        if held := {name.lower() for name in self.callback_headers} & _SECRET_HEADERS:
            raise ConfigError(f"info.callback_headers: {min(held)!r} holds a secret, which is never recorded")
        if strangers := [kind for kind in self.refusals if not _is_refusal(kind)]:
            raise ConfigError(f"info.refusals: expected kinds of CallbackError, not {plain(strangers[0])!r}")
        for name in sorted(self.extra_needed):
            if not may_set(self, name):
                raise ConfigError(f"info.extra_needed: {plain(name)!r} is among reserved_fields, which no order sets")
        identity: object = self.identity
        if isinstance(identity, str):
            raise ConfigError('info.identity: expected names of settings, as in ("merchant",), not one text')
        if not all(map(_is_seconds, self.time_limits.values())):
            raise ConfigError("info.time_limits: expected seconds above zero for each hook")
        _check_currencies(self.currencies)

    def refusal(self, error: CallbackError) -> Reply:
        """The answer to a callback that is not believed because of ``error``."""
        return next((reply for kind, reply in self.refusals.items() if isinstance(error, kind)), self.refused)


def _check_currencies(currencies: frozenset[str]) -> None:
    for currency in currencies:
        try:
            Money(0, currency)
        except InvalidOrder as error:
            raise ConfigError(f"info.currencies: {error.message}") from None
    if not currencies:
        raise ConfigError("info.currencies: expected at least one ISO 4217 code such as 'CNY'")


def _is_seconds(limit: object) -> bool:
    return isinstance(limit, int | float) and not isinstance(limit, bool) and limit > 0


def _is_refusal(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, CallbackError)


class Declared(Protocol):
    """A provider, as far as it declares something."""

    info: ClassVar[ProviderInfo]


def check_reference(provider: Declared, reference: str) -> None:
    """Raises InvalidOrder for a reference that is outside the gateway's grammar."""
    info = provider.info
    longest = info.reference_length
    if isinstance(longest, str):
        longest = getattr(provider, longest)
    if not isinstance(reference, str):
        raise InvalidOrder(f"expected a reference as text, not {type(reference).__name__}")
    if len(reference) > longest or not _whole(info.reference)(reference):
        setting = isinstance(info.reference_length, str)
        raise InvalidOrder(
            f"expected a reference of 1 to {longest} characters matching {info.reference}, not {plain(reference)!r}",
            hint=f"the setting {info.reference_length} allows longer ones where the gateway takes them"
            if setting and len(reference) > longest
            else "",
        )
    if not reference.isprintable():  # no answer and no message about it would be believed
        raise InvalidOrder(f"expected a reference of printable characters, not {plain(reference)!r}")
    if not _in_range(info, reference):
        raise InvalidOrder(
            f"expected a reference that is a whole number of 1 to {info.largest_reference}, not {plain(reference)!r}"
        )


def _in_range(info: ProviderInfo, reference: str) -> bool:
    largest = info.largest_reference
    return largest is None or (re.fullmatch("[1-9][0-9]{0,62}", reference) is not None and int(reference) <= largest)


def fits_reference(info: ProviderInfo, reference: str) -> bool:
    """Whether a reference is in the gateway's grammar, whatever its length."""
    return re.fullmatch(info.reference, reference) is not None and _in_range(info, reference)


def check_refund_reference(info: ProviderInfo, reference: str) -> None:
    """Raises InvalidOrder for a shop's number of a refund that the gateway does not take."""
    if not plain(reference) == reference != "":
        raise InvalidOrder("expected a refund_reference of 1 to 80 printable characters")
    if not re.fullmatch(info.refund_reference, reference):
        raise InvalidOrder(f"expected a refund_reference matching {info.refund_reference}, not {reference!r}")


def check_amount(info: ProviderInfo, amount: Money) -> None:
    """Raises InvalidOrder for a currency or a sum that the gateway does not take."""
    if not isinstance(amount, Money):
        raise InvalidOrder(f'expected Money such as Money.of("9.99", "CNY"), not {type(amount).__name__}')
    if amount.currency not in info.currencies:
        raise InvalidOrder(f"expected an amount in {_listed(info.currencies)}, not in {amount.currency}")
    if not 0 < amount.minor <= info.largest_amount:
        raise InvalidOrder(f"expected an amount of 1 to {info.largest_amount} minor units, not {amount.minor}")


def check_order(provider: Declared, order: Order) -> None:
    """Raises InvalidOrder for an order that this account cannot be asked for; names what it could be."""
    info = provider.info
    check_reference(provider, order.reference)
    check_amount(info, order.amount)
    _check_method(info, order)
    if order.method in info.payer_needed and not order.payer:
        raise InvalidOrder(f"expected a payer: {order.method} needs the payer's id at the wallet, such as an openid")
    if order.attach and not info.attach:
        raise InvalidOrder(
            "expected an order without attach: this gateway does not bring it back",
            hint="keep it in the shop, by the order's reference",
        )
    for name in order.extra:
        if not may_set(info, name):
            allowed = (
                "this provider takes none"
                if not (info.extra_fields or info.extra_needed)
                else "use the order's own attributes"
            )
            raise InvalidOrder(f"extra: {plain(name)!r} is no field for an order to set", hint=allowed)
    if missing := sorted(name for name in info.extra_needed if not order.extra.get(name)):
        raise InvalidOrder(f"extra: expected {', '.join(missing)}, which this gateway needs of every order")


def may_set(info: ProviderInfo, name: str) -> bool:
    """Whether an order's ``extra`` may have this field: none of the provider's own, in any case of letters."""
    reserved = {own.lower() for own in info.reserved_fields}
    taken = name in info.extra_needed or _whole(info.extra_fields)(name) is not None
    return taken and name.lower() not in reserved


def sample_extra(info: ProviderInfo) -> dict[str, str]:
    """What an order that is made up has in ``extra``."""
    known = {"email": "payer@shop.example", "client_ip": "192.0.2.1"}
    return {name: known.get(name, "1") for name in sorted(info.extra_needed)}


def _check_method(info: ProviderInfo, order: Order) -> None:
    method = order.method
    known = isinstance(method, PaymentMethod) and method in info.methods
    raw = isinstance(method, str) and not isinstance(method, PaymentMethod) and _whole(info.raw_methods)(method)
    if method and not known and not raw:
        takes_any = info.methods or info.raw_methods
        supported = f"expected {_supported(info)}" if takes_any else "this provider takes none"
        raise InvalidOrder(f"method: {supported}, not {plain(method)!r}")
    if not method and info.method_needed:
        raise InvalidOrder(f"expected a method: {_supported(info)}")


def _supported(info: ProviderInfo) -> str:
    if not info.raw_methods:
        return f"one of {_listed(info.methods)}"
    if not info.methods:
        return "one of the gateway's own codes as text"
    return f"one of {_listed(info.methods)} or one of the gateway's own codes as text"


@cache
def _whole(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(pattern).fullmatch


def _listed(names: frozenset[str] | frozenset[PaymentMethod]) -> str:
    return ", ".join(sorted(map(str, names)))
