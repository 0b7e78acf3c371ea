"""What an application passes that cannot be meant is refused at the door, in payhub's own words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import httpx
import pytest

from payhub_core import (
    AsyncHub,
    Callback,
    ConfigError,
    Hub,
    InvalidOrder,
    MalformedCallback,
    Money,
    Order,
    load_account,
    load_config,
)
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger
from payhub_core.web import asgi, wsgi
from payhub_dummy import Dummy


class Door(NamedTuple):
    """What there is to be called."""

    hub: Hub
    ledger: Ledger
    checkout: Checkout


class Kept:
    """No extension: it has no hook."""


CALLBACK = Callback("POST", {}, b"", b"")
ONE = Money.of("1.00", "CNY")
ORDER = Order(
    reference="A1001",
    amount=ONE,
    description="Tea",
    notify_url="https://shop.example/n",
    return_url="https://shop.example/r",
)
CONFIGURED: dict[str, tuple[Callable[[Door], Any], str]] = {
    "an extension that is none": (lambda it: Hub(it.hub.accounts, extensions=5), "extensions: expected a list"),  # type: ignore[arg-type]
    "extensions as text": (lambda it: Hub(it.hub.accounts, extensions="Audit"), "extensions: expected a list"),
    "an extension without hooks": (lambda it: Hub(it.hub.accounts, extensions=[Kept()]), "Kept has none"),
    "a client that is none": (lambda it: Hub(it.hub.accounts, client=5), "client: expected an HTTP client, not int"),  # type: ignore[arg-type]
    "an async client": (lambda it: AsyncHub(it.hub.accounts, client=5), "client: expected an HTTP client, not int"),  # type: ignore[arg-type]
    "the other client": (lambda it: Hub(it.hub.accounts, client=httpx.AsyncClient()), "client: expected an HTTP"),  # type: ignore[arg-type]
    "the other hub's": (lambda it: AsyncHub(it.hub.accounts, client=httpx.Client()), "client: expected an HTTP"),  # type: ignore[arg-type]
    "a list as an account": (lambda it: it.checkout.start([], ORDER), "expected the name of an account, not list"),  # type: ignore[arg-type]
    "a number as a name": (lambda it: Hub({5: it.hub.accounts["shop"]}), "expected the name of an account, not int"),  # type: ignore[dict-item]
    "a handler": (lambda it: Checkout(it.hub, it.ledger, handler=5), "handler: expected a function, not int"),  # type: ignore[arg-type]
    "an async handler": (
        lambda it: AsyncCheckout(AsyncHub(it.hub.accounts), it.ledger, handler=5),  # type: ignore[arg-type]
        "handler: expected a function, not int",
    ),
    "a handler of the outbox": (lambda it: it.checkout.deliver(5), "handler: expected a function, not int"),  # type: ignore[arg-type]
    "a route as text": (lambda it: Checkout(it.hub, it.ledger, routes={"a": "shop"}), "routes: expected accounts by"),
    "a route as a number": (lambda it: Checkout(it.hub, it.ledger, routes={"a": 5}), "routes: expected accounts by"),  # type: ignore[dict-item]
    "routes as a list": (lambda it: Checkout(it.hub, it.ledger, routes=["shop"]), "routes: expected accounts by"),  # type: ignore[arg-type]
    "truth for a rate": (lambda it: it.checkout.reconcile(rate=True), "expected a rate above zero"),
    "truth for a limit": (lambda it: it.checkout.reconcile(limit=True), "expected a limit of zero or more"),
    "a rate as text": (lambda it: it.checkout.reconcile(rate="5"), "expected a rate above zero"),  # type: ignore[arg-type]
    "a limit as text": (lambda it: it.checkout.reconcile(limit="5"), "expected a limit of zero or more, as an int"),  # type: ignore[arg-type]
    "a limit of the outbox": (lambda it: it.checkout.deliver(print, limit="5"), "expected a limit of zero or more"),  # type: ignore[arg-type]
    "an age as a number": (lambda it: it.checkout.reconcile(older_than=5), "older_than: expected a timedelta"),  # type: ignore[arg-type]
    "progress": (lambda it: it.checkout.reconcile(progress=5), "progress: expected a function, not int"),  # type: ignore[arg-type]
    "a misspelt account": (lambda it: it.checkout.reconcile(account="shpo"), "there is no account 'shpo'"),
    "an asgi of a number": (lambda _: asgi(5), "expected a checkout, not int"),  # type: ignore[arg-type]
    "a wsgi of a hub": (lambda it: wsgi(it.hub), "expected a checkout, not Hub"),  # type: ignore[arg-type]
    "a path": (lambda _: load_config(5), "expected the path of a file, not int"),  # type: ignore[arg-type]
    "since as text": (lambda it: it.ledger.payments(since="today"), "since: expected a datetime with a time zone"),  # type: ignore[arg-type]
    "since of anomalies without a zone": (
        lambda it: it.ledger.anomalies(since=datetime(2026, 1, 2)),  # noqa: DTZ001
        "since: expected a datetime with a time zone",
    ),
    "until without a zone": (
        lambda it: it.ledger.payments(until=datetime(2026, 1, 2)),  # noqa: DTZ001
        "until: expected a datetime with a time zone",
    ),
}
HEARD: dict[str, Callable[[Door], Any]] = {
    "a hub's": lambda it: it.hub.parse_callback("shop", "text"),  # type: ignore[arg-type]
    "a payer's": lambda it: it.checkout.view("shop", "text"),  # type: ignore[arg-type]
}
ORDERED: dict[str, tuple[Callable[[Door], Any], str]] = {
    "an expected order": (
        lambda it: it.hub.parse_callback("shop", CALLBACK, expect="A1"),
        "expected an Order",
    ),  # type: ignore[arg-type]
    "a query": (lambda it: it.hub.query("shop", "A1001", gateway_id=5), "gateway_id: expected text, not int"),  # type: ignore[arg-type]
    "a refund": (lambda it: it.hub.refund("shop", "A1001", 5, ONE, "R1"), "gateway_id: expected text, not int"),  # type: ignore[arg-type]
}


@pytest.fixture
def door(ledger: Ledger) -> Door:
    hub = Hub({"shop": load_account("shop", {"provider": Dummy, "development": True})})
    return Door(hub, ledger, Checkout(hub, ledger))


@pytest.mark.parametrize("what", CONFIGURED)
def test_what_cannot_be_meant_is_refused_at_the_door(door: Door, what: str) -> None:
    """Later it would be a bug of somebody else's, or nothing at all."""
    call, reason = CONFIGURED[what]
    with pytest.raises(ConfigError) as caught:
        call(door)
    assert reason in str(caught.value)


@pytest.mark.parametrize("what", ORDERED)
def test_what_an_order_is_known_by_has_its_type(door: Door, what: str) -> None:
    """A number may have lost its zeros."""
    call, reason = ORDERED[what]
    with pytest.raises(InvalidOrder) as caught:
        call(door)
    assert reason in str(caught.value)


@pytest.mark.parametrize("what", HEARD)
def test_a_callback_is_a_callback(door: Door, what: str) -> None:
    """Not its body alone."""
    with pytest.raises(MalformedCallback, match="expected a Callback, not str"):
        HEARD[what](door)
