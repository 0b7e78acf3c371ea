"""Orders as they are stored: their text, when two are the same, and the addresses that each account is sent."""

from __future__ import annotations

import json
from hashlib import sha256

from payhub_core.errors import InvalidOrder
from payhub_core.models import Order

__all__ = ["ACCOUNT", "addressed", "check_addresses", "order_texts"]

#: Stands for the account's name in an order's addresses.
ACCOUNT = "{account}"


def check_addresses(order: Order, name: str, *, along_route: bool) -> None:
    """Raises InvalidOrder for an address that misspells ``{account}``, or lacks it where an order goes along a route.

    Each account's messages are verified with its own key, and so need an address of their own.
    """
    for url in (order.notify_url, order.return_url):
        if (along_route and ACCOUNT not in url) or set("{}") & set(url.replace(ACCOUNT, "")):
            raise InvalidOrder(
                f"an order's addresses say where the account's name belongs as {ACCOUNT}; along a route both have to",
                hint=f"https://shop.example/pay/{ACCOUNT}/notify",
                account=name,
                reference=order.reference,
            )


def addressed(order: Order, account: str) -> Order:
    """The order as ``account`` is sent it: ``{account}`` in its addresses becomes that name."""
    if ACCOUNT not in order.notify_url + order.return_url:
        return order
    urls = {key: getattr(order, key).replace(ACCOUNT, account) for key in ("notify_url", "return_url")}
    return order.model_copy(update=urls)


def order_texts(order: Order) -> tuple[str, str]:
    """The order as JSON and the hash of its content, by which the same order is recognized."""
    content = json.dumps(order.model_dump(mode="json"), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return content, sha256(content.encode()).hexdigest()
