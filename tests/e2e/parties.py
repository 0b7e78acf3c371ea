"""The two parties beside the gateway: a shop that listens, and a payer with a browser."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from payhub_core import Callback, CallbackError, CallbackKind, Notification, Order, Payment, WrongOrder


class Server(ThreadingHTTPServer):
    """A server that many may knock at together."""

    daemon_threads = True
    request_queue_size = 64


class Shop:
    """A shop with a notify and a return address for every account; it keeps what it hears, and acknowledges it."""

    def __init__(self, make_order: Callable[..., Order]) -> None:
        self.hub: Any = None
        self.make_order = make_order
        self.orders: dict[tuple[str, str], Order] = {}
        self.callbacks: list[Callback] = []
        self.notifies: list[Notification] = []
        self.returns: list[Notification] = []
        self.refused: list[CallbackError] = []
        #: What to answer instead, to as many notifies: nothing is looked at.
        self.distracted: list[tuple[int, bytes]] = []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                status, body = shop.receive(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def order(self, account: str = "shop", **changes: Any) -> Order:
        """An order that the shop holds and whose callbacks reach it."""
        reference = changes.setdefault("reference", "A1001")
        changes.setdefault("notify_url", f"{self.url}/notify/{account}")
        changes.setdefault("return_url", f"{self.url}/thanks/{account}/{reference}")
        order = self.orders[account, reference] = self.make_order(**changes)
        return order

    def receive(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """Hands the raw request to the hub and answers what the hub says."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        path, _, query = handler.path.partition("?")
        kind, account, *rest = path.strip("/").split("/")
        headers = dict(handler.headers.items())
        if kind == "thanks":
            callback = Callback(handler.command, headers, query.encode(), body, CallbackKind.RETURN)
            return self.hear(account, callback, self.orders[account, rest[0]], self.returns)
        callback = Callback(handler.command, headers, query.encode(), body)
        if self.distracted:
            return self.distracted.pop(0)
        return self.hear(account, callback, None, self.notifies)

    def hear(
        self, account: str, callback: Callback, order: Order | None, heard: list[Notification]
    ) -> tuple[int, bytes]:
        """Verifies a callback, compares it with the order that the shop holds, and only then acknowledges."""
        self.callbacks.append(callback)
        try:
            notification = self.hub.parse_callback(account, callback, expect=order)
            if order is None:
                order = self.orders.get((account, notification.payment.reference))
                if order is None:
                    raise WrongOrder("the shop has no such order")
                notification = self.hub.parse_callback(account, callback, expect=order)
        except CallbackError as error:
            self.refused.append(error)
            return 400, b"refused"
        heard.append(notification)
        return notification.reply.status_code, notification.reply.body

    @property
    def payments(self) -> list[Payment]:
        """What the verified notifies said, in the order of their arrival."""
        return [notify.payment for notify in self.notifies if notify.payment]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Payer:
    """Somebody with a browser: opens the gateway's page, presses a button, and is sent back to the shop."""

    lost = httpx.TransportError

    def __init__(self, verify: ssl.SSLContext | bool) -> None:
        self.http = httpx.Client(verify=verify, trust_env=False, timeout=10)

    def press(self, url: str, action: str = "pay", **fields: str) -> httpx.Response:
        """The gateway's answer to a button of its pay page."""
        assert self.http.get(url).is_success
        return self.http.post(url, data={"action": action, **fields})

    def go_back(self, page: httpx.Response) -> httpx.Response:
        """The shop's answer to the form that the gateway's page posts by itself."""
        form = re.search(r'<form id="return" method="(\w+)" action="([^"]*)">(.*?)</form>', page.text, re.DOTALL)
        assert form, page.text
        method, action = form[1], unescape(form[2])
        inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form[3])
        fields = {unescape(name): unescape(value) for name, value in inputs}
        if method == "get":
            return self.http.get(action, params=fields)
        return self.http.post(action, data=fields)
