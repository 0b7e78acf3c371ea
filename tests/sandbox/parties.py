"""The two who use a sandbox: a shop that it can notify, and its merchant's code, which signs as the protocol says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import httpx

from payhub_sandbox import PUBLIC_MERCHANTS, Merchant

Eventually = Callable[[Callable[[], bool]], None]
APPID = "gpu10000000"
SECRET = PUBLIC_MERCHANTS[APPID].secret
MERCHANTS = {**PUBLIC_MERCHANTS, "gpu10000002": Merchant("another-secret-not-for-money", "last", "drop")}


class Received(NamedTuple):
    """A request that reached the shop."""

    method: str
    path: str
    query: str
    fields: dict[str, str]
    content_type: str | None
    moment: float


class Shop:
    """A tiny real server; it answers notifies with ``replies`` in turn, the last one for ever."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.replies: list[tuple[int, bytes]] = [(200, b"SUCCESS")]
        self.headers: dict[str, str] = {}
        #: While cleared, every reply waits.
        self.open = threading.Event()
        self.open.set()
        #: No reply until so many requests are here together.
        self.wait_for = 1
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                shop.answer(self)

            do_GET = do_POST  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name is the library's
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Notes a request and replies to it."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self._arrived.notify_all()
            self._arrived.wait_for(lambda: self.most_at_once >= self.wait_for, 10)
        body = handler.rfile.read(int(handler.headers.get("content-length", 0))).decode()
        parts = urlsplit(handler.path)
        fields = dict(parse_qsl(body or parts.query, keep_blank_values=True, strict_parsing=True))
        request = Received(
            handler.command, parts.path, parts.query, fields, handler.headers["content-type"], time.monotonic()
        )
        status, reply = 200, b"<!doctype html><title>Shop</title><h1>Thank you</h1>"
        if parts.path == "/notify":
            with self._lock:
                status, reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        self.open.wait(10)
        with self._lock:
            self._at_once -= 1
            self.received.append(request)
        try:
            handler.send_response(status)
            for name, value in self.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(reply)
        except OSError:
            pass  # The other side has not waited.

    def notifies(self) -> list[dict[str, str]]:
        """The fields of every notify, in the order of arrival."""
        return [request.fields for request in self.received if request.path == "/notify"]

    def returns(self) -> list[Received]:
        """The payers' browsers that came back."""
        return [request for request in self.received if request.path == "/thanks"]

    def close(self) -> None:
        """Stops serving."""
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def digest(text: str) -> str:
    """The MD5 that the protocol writes."""
    return md5(text.encode()).hexdigest()


class Customer:
    """A merchant's own code: signs by section 4, by hand."""

    def __init__(self, url: str, shop: Shop) -> None:
        self.url = url
        self.shop = shop
        # Plain http: without verify=False every test would load the certificate authorities.
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False, verify=False)

    def sign(self, fields: dict[str, str]) -> dict[str, str]:
        """```fields``` with the sign of a request."""
        kept = {name: value for name, value in fields.items() if value} | {"secret": SECRET}
        return fields | {"sign": digest("&".join(f"{name}={kept[name]}" for name in sorted(kept)))}

    def order(self, **changes: str) -> dict[str, str]:
        """The unsigned fields of an order."""
        return {
            "appid": APPID,
            "order_no": "A1001",
            "amount": "10000",
            "product_name": "Tea 茶",
            "bank_code": "901",
            "notify_url": f"{self.shop.url}/notify",
            "return_url": f"{self.shop.url}/thanks",
        } | changes

    def create(self, **changes: str) -> dict[str, Any]:
        """Creates an order, which must succeed, and returns its data."""
        reply = self.post(**changes).json()
        assert reply["status"] == 1, reply
        data: dict[str, Any] = reply["data"]
        return data

    def post(self, **changes: str) -> httpx.Response:
        """Sends a create."""
        return self.http.post("/api/order/unified", data=self.sign(self.order(**changes)))

    def check(self, order_no: str = "A1001") -> httpx.Response:
        """Sends a query."""
        return self.http.get("/api/order/check_order", params=self.sign({"appid": APPID, "order_no": order_no}))
