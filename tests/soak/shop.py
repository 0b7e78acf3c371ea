"""The shop of the soak behind real servers: what uvicorn and gunicorn serve, and the process that reconciles.

Each server has the endpoint twice: under ``/handled`` a handler runs in the transaction, under ``/outbox`` the
transitions wait to be delivered. ``POST /buy`` starts an order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from payhub_core import AsyncHub, Hub, Order, PayhubError, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger, Transition
from payhub_core.web import asgi, wsgi
from payhub_sandbox import PUBLIC_MERCHANTS

#: A handled transition that comes twice is two rows; a delivered one may come twice, and its id tells.
TABLES = ("CREATE TABLE handled (id VARCHAR(128))", "CREATE TABLE delivered (id VARCHAR(128) PRIMARY KEY)")
HANDLED = text("INSERT INTO handled VALUES (:id)")
DELIVERED = text("INSERT INTO delivered VALUES (:id) ON CONFLICT DO NOTHING")
#: Seconds: the gateway of the soak is slow at times, and slower than this at some.
TIMEOUT = 2.0


def accounts() -> Any:
    """The shop's one account at the sandbox."""
    appid, merchant = next(iter(PUBLIC_MERCHANTS.items()))
    shop = {"provider": "gpu", "appid": appid, "secret": merchant.secret, "base_url": os.environ["GATEWAY"]}
    return load_accounts({"accounts": {"shop": {**shop, "timeout": TIMEOUT}}})


def handle(transition: Transition, connection: Connection) -> None:
    """The shop's own row, in payhub's transaction."""
    connection.execute(HANDLED, {"id": transition.id})


async def handle_async(transition: Transition, connection: AsyncConnection) -> None:
    """As `handle`."""
    await connection.execute(HANDLED, {"id": transition.id})


def asgi_app() -> Starlette:
    """What uvicorn serves."""
    hub, ledger = AsyncHub(accounts()), Ledger(os.environ["LEDGER"])
    handled, waiting = AsyncCheckout(hub, ledger, handler=handle_async), AsyncCheckout(hub, ledger)

    async def buy(request: Request) -> PlainTextResponse:
        order = Order.model_validate_json(await request.body())
        try:
            payment = await handled.start("shop", order)
        except PayhubError as error:
            return PlainTextResponse(type(error).__name__, 503)
        return PlainTextResponse(payment.gateway_id or "")

    mounted = [Mount("/handled", asgi(handled)), Mount("/outbox", asgi(waiting))]
    return Starlette(routes=[Route("/buy", buy, methods=["POST"]), *mounted])


def wsgi_app() -> Any:
    """What gunicorn serves."""
    hub, ledger = Hub(accounts()), Ledger(os.environ["LEDGER"])
    handled, waiting = Checkout(hub, ledger, handler=handle), Checkout(hub, ledger)
    endpoints = {"handled": wsgi(handled), "outbox": wsgi(waiting)}

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        first = environ["PATH_INFO"].split("/")[1]
        if first in endpoints:
            return endpoints[first](environ, start_response)
        order = Order.model_validate_json(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        try:
            status, answer = "200 OK", handled.start("shop", order).gateway_id or ""
        except PayhubError as error:
            status, answer = "503 Service Unavailable", type(error).__name__
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer.encode()]

    return app


def reconcile() -> None:
    """Asks about what is due and empties the outbox, for ever."""
    with Ledger(os.environ["LEDGER"]) as ledger, Hub(accounts()) as hub:
        checkout = Checkout(hub, ledger, handler=handle)

        def deliver(transition: Transition) -> None:
            ledger.write(lambda connection: connection.execute(DELIVERED, {"id": transition.id}))

        while True:
            with suppress(PayhubError):
                checkout.reconcile(rate=100)
                checkout.deliver(deliver)
            time.sleep(0.5)


if __name__ == "__main__":
    reconcile()
