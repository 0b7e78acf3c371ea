"""One order without a gateway: the demonstration plays it, with the dummy's own notifies."""

from __future__ import annotations

import tomllib

import httpx

from payhub_core import Hub, PaymentStatus, Redirect, load_accounts
from payhub_core.cli.words import named
from payhub_dummy import notify
from payhub_sandbox.demo.shop import ACCOUNT, Shop
from payhub_sandbox.demo.timeline import Timeline, shortened

__all__ = ["DUMMY", "play_dummy"]

#: The configuration of the shop: all that differs from the one with a gateway.
DUMMY = """default = "shop"
ledger = "sqlite:///shop.db"

[accounts.shop]
provider = "dummy"
development = true
"""


def play_dummy(timeline: Timeline, shop: Shop, payer: httpx.Client) -> None:
    """The whole order, over HTTP between the shop and the payer."""
    payment = shop.buy(payer)
    reference, action = payment.reference, payment.next_action
    address = action.url if isinstance(action, Redirect) else ""
    timeline.check(
        "The shop creates a payment",
        f"{reference} over {payment.amount}, a sum that ends in 00: "
        f"{named(payment.status.value)}; next: {shortened(address)}",
        holds=bool(address) and payment.status is PaymentStatus.PENDING,
    )

    returned = payer.get(address)
    timeline.check(
        "The payer goes there, which is the shop's return address: nobody pays at a dummy",
        f"HTTP {returned.status_code}: a page that says what the return claims; a return settles nothing",
        holds=returned.is_success and shop.shipped == [],
    )

    order, address = shop.order(reference), f"{shop.url}/pay/{ACCOUNT}/notify"
    callback = notify(ACCOUNT, order)
    heard = payer.post(address, content=callback.body, headers=dict(callback.headers))
    timeline.check(
        "A notify, made by payhub_dummy.notify; verified, bound to the order, committed, acknowledged",
        f"the shop answered {heard.text!r}; shipped: {', '.join(shop.shipped)}",
        holds=heard.text == "OK" and shop.shipped == [reference],
    )

    again = payer.post(address, content=callback.body, headers=dict(callback.headers))
    timeline.check(
        "The same notify once more",
        f"the shop answered {again.text!r}; still shipped once: {', '.join(shop.shipped)}",
        holds=again.text == "OK" and shop.shipped == [reference],
    )

    refused = payer.post(address, content=callback.body[:-1] + b"?", headers=dict(callback.headers))
    timeline.check(
        "A forged notify",
        f"the shop answered HTTP {refused.status_code} {refused.text!r}, and changed nothing",
        holds=refused.is_client_error and shop.shipped == [reference],
    )

    with Hub(load_accounts(tomllib.loads(DUMMY)), client=payer) as hub:
        known = hub.query(ACCOUNT, reference, expect=order)
    timeline.check(
        "A query agrees",
        f"it says {named(known.status.value)} over {known.amount}",
        holds=known.status is PaymentStatus.PAID and known.amount == order.amount,
    )
