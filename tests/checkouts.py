"""A `Checkout` and an `AsyncCheckout`, called the same way, so that each behaviour is written once; a shop for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import Connection, text, update
from tests.hubs import calling

from payhub_core import AsyncHub, Callback, CallbackKind, Hub, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger, Transition
from payhub_core.ledger.tables import payments


def nothing(request: httpx.Request) -> httpx.Response:
    """The answers of a gateway that is never to be asked."""
    raise AssertionError(f"nothing is to be sent, {request.method} was")


def lose_the_history(checkout: Checkout, ledger: Ledger, asking: type) -> None:
    """From the step ``asking`` on, nothing of what the gateway answers can be written down."""
    do = checkout._do

    def fail(step: Any) -> object:
        if isinstance(step, asking):
            ledger.write(lambda c: c.execute(text("ALTER TABLE payhub_observations RENAME TO gone")))
        return do(step)

    checkout._do = fail  # type: ignore[method-assign]


class EitherCheckout:
    """A `Checkout` or an `AsyncCheckout`, called the same way."""

    def __init__(self, checkout: Checkout | AsyncCheckout, call: Callable[..., Any], ledger: Ledger) -> None:
        self.checkout = checkout
        self.call = call
        self.ledger = ledger

    def start(self, *args: Any) -> Any:
        return self.call(self.checkout.start, *args)

    def receive(self, *args: Any) -> Any:
        return self.call(self.checkout.receive, *args)

    def view(self, *args: Any, **options: Any) -> Any:
        return self.call(self.checkout.view, *args, **options)

    def refund(self, *args: Any) -> Any:
        return self.call(self.checkout.refund, *args)

    def refresh(self, *args: Any) -> Any:
        return self.call(self.checkout.refresh, *args)

    def reconcile(self, **options: Any) -> Any:
        return self.call(self.checkout.reconcile, **options)

    def deliver(self, handler: Callable[[Transition], object] | None = None, **options: Any) -> Any:
        if handler is None or isinstance(self.checkout, Checkout):
            return self.call(self.checkout.deliver, handler, **options)

        async def handle(transition: Transition) -> object:
            return handler(transition)

        return self.call(self.checkout.deliver, handle, **options)


@contextmanager
def opening(kind: str, url: str, ledger: Ledger, settings: dict[str, Any]) -> Iterator[Callable[..., EitherCheckout]]:
    """Opens checkouts of a ``kind`` over the database at ``url``; in the end closes what they use."""
    blocking = kind == "Checkout"
    with ExitStack() as stack:
        call = stack.enter_context(calling("" if blocking else "asyncio"))

        def start(
            answers: Callable[[httpx.Request], httpx.Response] = nothing,
            *,
            accounts: Mapping[str, Any] | None = None,
            handler: Callable[[Transition, Connection], object] | None = None,
            routes: Mapping[str, Sequence[str]] | None = None,
            database: str = url,
        ) -> EitherCheckout:
            configured = load_accounts({"accounts": accounts or {"shop": settings}})
            transport = httpx.MockTransport(answers)
            own = Ledger(database)
            if blocking:
                client = httpx.Client(transport=transport)
                stack.callback(client.close)
                stack.callback(own.close)
                hub = Hub(configured, client=client)
                return EitherCheckout(Checkout(hub, own, handler=handler, routes=routes), call, ledger)

            async def handle(transition: Transition, connection: Any) -> object:
                assert handler is not None
                return await connection.run_sync(lambda sync: handler(transition, sync))

            async_client = httpx.AsyncClient(transport=transport)
            stack.callback(call, async_client.aclose)
            stack.callback(call, own.aclose)
            async_hub = AsyncHub(configured, client=async_client)
            checkout = AsyncCheckout(async_hub, own, handler=handle if handler else None, routes=routes)
            return EitherCheckout(checkout, call, ledger)

        yield start


class Shop:
    """The application: it notes each transition in its own table, in payhub's transaction; it can be told to fail."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.fails: Callable[[Transition, Connection], object] | None = None
        ledger.write(lambda c: c.execute(text("CREATE TABLE IF NOT EXISTS deliveries (id VARCHAR(120) NOT NULL)")))

    def handle(self, transition: Transition, connection: Connection) -> None:
        connection.execute(text("INSERT INTO deliveries VALUES (:id)"), {"id": transition.id})
        if self.fails is not None:
            self.fails(transition, connection)

    @property
    def delivered(self) -> list[str]:
        """The transitions whose handling is committed."""
        return sorted(self.ledger.read(lambda c: c.execute(text("SELECT id FROM deliveries")).scalars().all()))


@pytest.fixture
def shop(ledger: Ledger) -> Shop:
    return Shop(ledger)


@pytest.fixture(params=["Checkout", "AsyncCheckout"])
def open_checkout(
    request: pytest.FixtureRequest, url: str, ledger: Ledger, settings: dict[str, Any]
) -> Iterator[Callable[..., EitherCheckout]]:
    """Opens a checkout of either colour over scripted answers of the gateway."""
    with opening(request.param, url, ledger, settings) as open_checkout:
        yield open_checkout


@pytest.fixture
def blocking(ledger: Ledger, settings: dict[str, Any]) -> Iterator[Checkout]:
    """Another process of the shop, as far as the database can tell; it never asks the gateway."""
    with httpx.Client(transport=httpx.MockTransport(nothing)) as client:
        yield Checkout(Hub(load_accounts({"accounts": {"shop": settings}}), client=client), ledger)


@pytest.fixture
def accept(platform: Any) -> Callable[[httpx.Request], httpx.Response]:
    """A gateway that takes every order; its own number is the shop's behind a P."""

    def answer(request: httpx.Request) -> httpx.Response:
        reference = dict(httpx.QueryParams(request.content.decode()))["order_no"]
        reply: httpx.Response = platform.create_reply(order_no=reference, platform_order_no=f"P{reference}")
        return reply

    return answer


@pytest.fixture
def make_due(ledger: Ledger) -> Callable[[], None]:
    """`pass_time`, of this ledger."""
    return partial(pass_time, ledger)


def pass_time(ledger: Ledger) -> None:
    """Every payment that is asked about some day is asked about now, and no lease holds any more."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    waiting = update(payments).where(payments.c.next_check_at.is_not(None)).values(next_check_at=past)
    ledger.write(lambda c: c.execute(waiting))
    ledger.write(lambda c: c.execute(update(payments).values(lease_until=None)))


class Paid(NamedTuple):
    """Genuine callbacks about an order."""

    notify: Callable[..., Callback]
    back: Callable[..., Callback]


@pytest.fixture
def paid(platform: Any) -> Paid:
    def notify(reference: str = "A1001", **changes: str) -> Callback:
        callback: Callback = platform.callback(platform.notify(order_no=reference, **changes))
        return callback

    def back(reference: str = "A1001", **changes: str) -> Callback:
        fields = {"order_no": reference, "pay_status": "1", **changes}
        callback: Callback = platform.callback(fields, kind=CallbackKind.RETURN)
        return callback

    return Paid(notify, back)
