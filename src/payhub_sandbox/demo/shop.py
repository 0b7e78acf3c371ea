"""A minimal shop: one page that sells tea, its orders in SQLite, the gateway's callbacks under ``/pay``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import shift_path_info

import httpx
from sqlalchemy import Column, Connection, MetaData, String, Table

from payhub_core import Hub, Money, Order, Payment, PaymentMethod, PaymentStatus, Redirect, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger, Transition
from payhub_core.web import wsgi

__all__ = ["ACCOUNT", "PRICE", "Shop"]

_tables = MetaData()
_shipments = Table("shipments", _tables, Column("reference", String(64), primary_key=True))

ACCOUNT = "shop"
PRICE = Money.of("100.00", "CNY")

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Tea</title>
<meta name="viewport" content="width=device-width">
<style>body{font:18px/1.6 system-ui,sans-serif;max-width:30rem;margin:4rem auto;padding:0 1rem;color:#222}
button{font:inherit;padding:.6rem 2rem;border:0;border-radius:.5rem;background:#1677ff;color:#fff}</style>
<h1>Tea 茶</h1>
<p>A tin of tea for %s. Nobody pays anything here: this is a demonstration.<br>一罐茶。仅为演示，不会扣款。</p>
<form method="post" action="/buy"><button>Buy 购买</button></form><p>Shipped so far 已发货: %d</p></html>"""


class Shop:
    """Sells tea while the ``with`` block runs; ``url`` is its address, ``shipped`` the orders it has sent out.

    ``account`` is the settings of the one account, ``provider`` among them.
    """

    def __init__(self, account: Mapping[str, Any], folder: Path) -> None:
        # All of it is on this machine, so no proxy of the environment has a part in it.
        self._client = httpx.Client(trust_env=False)
        self.hub: Hub = Hub(load_accounts({"accounts": {ACCOUNT: account}}), client=self._client)
        self.ledger: Ledger = Ledger(f"sqlite:///{folder}/shop.db")
        self.ledger.upgrade()
        self.ledger.write(_tables.create_all)
        self.checkout: Checkout = Checkout(self.hub, self.ledger, handler=self.ship)
        self._callbacks = wsgi(self.checkout)
        self._numbers = count(1001)
        self._server = make_server("127.0.0.1", 0, self, server_class=_Server, handler_class=_Quiet)
        self.url: str = f"http://127.0.0.1:{self._server.server_port}"

    def order(self) -> Order:
        """A new order for a tin of tea."""
        return Order(
            reference=f"A{next(self._numbers)}",
            amount=PRICE,
            description="Tea 茶",
            method=PaymentMethod.ALIPAY_H5,
            notify_url=f"{self.url}/pay/{ACCOUNT}/notify",
            return_url=f"{self.url}/pay/{ACCOUNT}/return",
        )

    def buy(self, order: Order) -> Payment:
        """Stores the order, and only then tells the gateway."""
        return self.checkout.start(ACCOUNT, order)

    def ship(self, transition: Transition, connection: Connection) -> None:
        """The application's part: runs once for each transition, in the transaction that records it."""
        if transition.status is PaymentStatus.PAID:
            connection.execute(_shipments.insert().values(reference=transition.reference))

    @property
    def shipped(self) -> list[str]:
        """The references of what has been sent out."""
        return self.ledger.read(lambda connection: list(connection.scalars(_shipments.select())))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        route = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if route == ("GET", "/"):
            start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            return [(_PAGE % (PRICE, len(self.shipped))).encode()]
        if route == ("POST", "/buy"):
            action = self.buy(self.order()).next_action
            if isinstance(action, Redirect):
                start_response("303 See Other", [("Location", action.url)])
                return []
        if shift_path_info(environ) == "pay":
            return self._callbacks(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"There is only tea here: /"]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.hub.close()
        self._client.close()
        self.ledger.close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """The timeline tells what happens."""
