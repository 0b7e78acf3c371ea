"""Orders as they are stored: their text, when two are the same, and the addresses that each account is sent."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from payhub_core.errors import InvalidOrder
from payhub_core.models import Order, unprintable
from payhub_core.money import Money

__all__ = [
    "ACCOUNT",
    "REFERENCE",
    "addressed",
    "can_be_stored",
    "check_addresses",
    "check_sum",
    "order_text",
    "same_order",
]

#: Stand for the account's name and the order's reference in an order's addresses.
ACCOUNT, REFERENCE = "{account}", "{reference}"

#: Parts of a path that the endpoint would take for its own words, or that a browser does away with.
_NO_SEGMENT = {"notify", "return", ".", "..", ""}


def check_addresses(order: Order, name: str, *, along_route: bool) -> None:
    """Raises InvalidOrder for an address that misspells a place, or lacks ``{account}`` where it is needed.

    Each account's messages are verified with its own key, and so need an address of their own. A reference has no place
    in the notify address: the message says by itself, and signs, which order it is about.
    """
    about = {"account": name, "reference": order.reference}
    for field, places in (("notify_url", [ACCOUNT]), ("return_url", [ACCOUNT, REFERENCE])):
        url = getattr(order, field)
        rest = url
        for place in places:
            rest = rest.replace(place, "")
        if (along_route and ACCOUNT not in url) or set("{}") & set(rest):
            raise InvalidOrder(
                f"{field}: the only braces allowed are {' and '.join(places)}; along a route it needs {ACCOUNT}",
                hint="https://shop.example/pay/{account}/notify, https://shop.example/pay/{account}/return/{reference}",
                **about,
            )
    if REFERENCE in order.return_url and _NO_SEGMENT.intersection(order.reference.split("/")):
        raise InvalidOrder(
            f"return_url: the reference {order.reference!r} cannot stand in an address",
            hint="choose another reference, or leave {reference} out",
            **about,
        )


def check_sum(order: Order, name: str) -> None:
    """Raises InvalidOrder for a sum of more than 15 digits: one that was added up may have them, no row holds them."""
    try:
        Money(order.amount.minor, order.amount.currency)
    except InvalidOrder as error:
        raise InvalidOrder(error.message, account=name, reference=order.reference) from None


def addressed(order: Order, account: str) -> Order:
    """The order as ``account`` is sent it: ``{account}`` and ``{reference}`` in its addresses are filled in."""
    if "{" not in order.notify_url + order.return_url:
        return order
    reference = quote(order.reference, safe="")
    urls = {
        field: getattr(order, field).replace(ACCOUNT, account).replace(REFERENCE, reference)
        for field in ("notify_url", "return_url")
    }
    return order.model_copy(update=urls)


def can_be_stored(reference: object) -> bool:
    """Whether an order may have that reference: none has a NUL, of which PostgreSQL makes a failed statement.

    Whoever opens a return address writes the reference in it.
    """
    return isinstance(reference, str) and (reference.isprintable() or not unprintable(reference))


def order_text(order: Order) -> str:
    """The order as JSON, as far as it differs from the defaults; it is read as an `Order`."""
    return json.dumps(_content(order), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def same_order(stored: Order, order: Order) -> bool:
    """Whether the two say the same, however much of it was left to the defaults.

    So a field that a later version adds changes no order that was stored before.
    """
    return _content(stored) == _content(order)


def _content(order: Order) -> dict[str, Any]:
    return order.model_dump(mode="json", exclude_defaults=True)
