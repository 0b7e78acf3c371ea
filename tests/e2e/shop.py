"""An application that knows no gateway: it sells tea through whichever account its configuration calls default.

``python shop.py PORT`` serves it; the configuration is payhub.toml in the current folder.
"""

from __future__ import annotations

import sys
from html import escape
from socketserver import ThreadingMixIn
from typing import Any
from uuid import uuid4
from wsgiref.simple_server import WSGIServer, make_server
from wsgiref.util import shift_path_info

from sqlalchemy import Connection, text

from payhub_core import (
    FormPost,
    Hub,
    Money,
    Order,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    load_accounts,
    load_config,
)
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger, Transition
from payhub_core.web import wsgi

PORT = int(sys.argv[1])
URL = f"http://127.0.0.1:{PORT}"

config = load_config("payhub.toml")
ledger = Ledger(config.ledger)
ledger.upgrade()
ledger.write(lambda connection: connection.execute(text("CREATE TABLE IF NOT EXISTS parcels (reference TEXT)")))


def ship(transition: Transition, connection: Connection) -> None:
    if transition.status is PaymentStatus.PAID:
        connection.execute(text("INSERT INTO parcels VALUES (:r)"), {"r": transition.reference})


checkout = Checkout(Hub(load_accounts(config)), ledger, handler=ship, routes=config.routes)
callbacks = wsgi(checkout)


def buy() -> tuple[str, list[tuple[str, str]], str]:
    """Starts an order; what comes next is the payment's to say."""
    order = Order(
        reference=f"A{uuid4().hex[:12]}",
        amount=Money.of("100.00", "CNY"),
        description="Tea & cups 茶",
        method=PaymentMethod.ALIPAY_H5,
        notify_url=f"{URL}/pay/{{account}}/notify",
        return_url=f"{URL}/pay/{{account}}/return/{{reference}}",
    )
    match checkout.start(config.default, order).next_action:
        case Redirect(url=url):
            return "303 See Other", [("Location", url)], ""
        case FormPost() as form:
            return "200 OK", [("Content-Security-Policy", "script-src 'nonce-tea'")], form.html("tea")
        case QrCode(content=content):
            return "200 OK", [], f"<p>Scan {escape(content)}"
        case other:
            raise NotImplementedError(f"this shop shows no {other!r}")


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"].startswith("/pay/"):
        shift_path_info(environ)
        return callbacks(environ, start_response)
    if environ["REQUEST_METHOD"] == "POST":
        status, headers, page = buy()
    else:
        parcels = ledger.read(lambda connection: list(connection.scalars(text("SELECT reference FROM parcels"))))
        status, headers = "200 OK", []
        page = f'<form method="post"><button>Buy</button></form><p>Shipped: {" ".join(parcels) or "nothing"}'
    body = f'<!doctype html><link rel="icon" href="data:,"><title>Tea</title>{page}'.encode()
    start_response(status, [("Content-Type", "text/html; charset=utf-8"), *headers])
    return [body]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


if __name__ == "__main__":
    with make_server("127.0.0.1", PORT, application, server_class=Server) as server:
        print(URL, flush=True)  # noqa: T201  whoever started it waits for this line
        server.serve_forever()
