"""A `Checkout` and an `AsyncCheckout`, called the same way, so that each behaviour is written once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from sqlalchemy import Connection
from tests.hubs import calling

from payhub_core import AsyncHub, Hub, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger, Transition


def nothing(request: httpx.Request) -> httpx.Response:
    """The answers of a gateway that is never to be asked."""
    raise AssertionError(f"nothing is to be sent, {request.method} was")


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

    def refresh(self, *args: Any) -> Any:
        return self.call(self.checkout.refresh, *args)

    def reconcile(self, **options: Any) -> Any:
        return self.call(self.checkout.reconcile, **options)

    def deliver(self, handler: Callable[[Transition], object], **options: Any) -> Any:
        async def handle(transition: Transition) -> object:
            return handler(transition)

        return self.call(self.checkout.deliver, handler if isinstance(self.checkout, Checkout) else handle, **options)


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
