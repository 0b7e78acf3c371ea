"""A small EPay gateway for the tests, on loopback: ``python simulator.py`` prints its address and serves until it ends.

Written from the protocol alone. Its payers press one button, and nobody pays anything. ``/_requests`` tells what
merchants have asked; ``/_reset`` forgets everything.
"""

from __future__ import annotations

import argparse
import json
import ssl
import threading
from datetime import datetime, timedelta, timezone
from hashlib import md5
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener

PID, KEY = "1001", "simulator-key-not-for-money"
orders: dict[str, dict[str, Any]] = {}
requests: list[str] = []
own = build_opener(ProxyHandler({}))
own_url = ""
fixed_clock: datetime | None = None


def now() -> datetime:
    """The gateway's time, which is China's: that of the clock, unless recordings are to be alike."""
    return fixed_clock or datetime.now(timezone(timedelta(hours=8)))


def signed(fields: dict[str, str]) -> str:
    """MD5 of the sorted fields that are not empty, and of the key behind them."""
    kept = sorted((n, v) for n, v in fields.items() if v and n not in ("sign", "sign_type"))
    return md5(("&".join(f"{n}={v}" for n, v in kept) + KEY).encode()).hexdigest()


def created(fields: dict[str, str]) -> dict[str, Any] | str:
    """A new order, or why not."""
    if fields.get("pid") != PID:
        return "商户ID不存在"
    if fields.get("sign") != signed(fields):
        return "签名校验失败"
    if fields["out_trade_no"] in orders:
        return "订单号重复"
    number = f"{now():%Y%m%d%H%M%S}{len(orders) + 1:05}"
    added = {"trade_no": number, "status": 0, "addtime": f"{now():%Y-%m-%d %H:%M:%S}", "endtime": None}
    orders[fields["out_trade_no"]] = {**fields, **added}
    return orders[fields["out_trade_no"]]


def mapi(fields: dict[str, str]) -> dict[str, Any]:
    """An order created by the merchant's server: the payer's address, or for a desktop's wallets a code to scan."""
    order = created(fields)
    if isinstance(order, str):
        return {"code": -1, "msg": order}
    url = f"{own_url}/pay/{order['trade_no']}"
    scanned = fields["type"] != "bank" and fields.get("device") == "pc"
    return {"code": 1, "msg": "", "trade_no": order["trade_no"], "qrcode" if scanned else "payurl": url}


def api(fields: dict[str, str]) -> dict[str, Any]:
    """A query or a refund; both carry the key itself."""
    if (fields.get("pid"), fields.get("key")) != (PID, KEY):
        return {"code": -3, "msg": "商户密钥错误"}
    order = orders.get(fields.get("out_trade_no", ""))
    if order is None:
        return {"code": -1, "msg": "订单号不存在"}
    if fields.get("act") == "refund":
        if order["status"] != 1:
            return {"code": -1, "msg": "该订单状态不支持退款"}
        order["status"] = 2
        return {"code": 1, "msg": "退款成功", "money": fields["money"]}
    names = ("trade_no", "out_trade_no", "type", "pid", "name", "money", "status")
    told = {name: order[name] for name in names} | {"param": order.get("param", "")}
    return {"code": 1, "msg": "succ", **told, "addtime": order["addtime"], "endtime": order["endtime"]}


def message(order: dict[str, Any]) -> str:
    """The query of notify and return alike."""
    names = ("pid", "trade_no", "out_trade_no", "type", "name", "money", "param")
    fields = {name: order[name] for name in names if order.get(name)} | {"trade_status": "TRADE_SUCCESS"}
    return urlencode({**fields, "sign": signed(fields), "sign_type": "MD5"})


def notify(order: dict[str, Any]) -> None:
    """Tells the shop, by GET; what it answers is kept."""
    try:
        with own.open(f"{order['notify_url']}?{message(order)}", timeout=10) as answer:
            order["answered"] = answer.read().decode()
    except OSError as error:
        order["answered"] = str(error)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.serve()

    def serve(self) -> None:
        """One request; only POSTs of the merchant's and the payer's have a body."""
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        fields = dict(parse_qsl("&".join(filter(None, (address.query, body))), keep_blank_values=True))
        order = next((o for o in orders.values() if address.path == f"/pay/{o['trade_no']}"), None)
        if not address.path.startswith(("/_", "/pay")):
            requests.append(f"{self.command} {address.path} {fields.get('act', '')}".strip())
        match address.path:
            case "/mapi.php":
                self.answer(json.dumps(mapi(fields)))
            case "/api.php":
                self.answer(json.dumps(api(fields)))
            case "/submit.php":
                made = created(fields)
                self.answer(made) if isinstance(made, str) else self.redirect(f"/pay/{made['trade_no']}")
            case "/_requests":
                self.answer(json.dumps(requests))
            case "/_reset":
                orders.clear()
                requests.clear()
                self.answer("")
            case _ if order is not None and self.command == "POST":
                order |= {"status": 1, "endtime": f"{now():%Y-%m-%d %H:%M:%S}"}
                notify(order)
                self.redirect(f"{order['return_url']}{'&' if '?' in order['return_url'] else '?'}{message(order)}")
            case _ if order is not None:
                price = escape(f"{order['name']} ¥{order['money']}")
                self.answer(f"<!doctype html><title>EPay</title><form method=post><button>Pay {price}</button></form>")
            case _:
                self.answer("not found", 404)

    def answer(self, text: str, status: int = 200) -> None:
        """As PHP does: JSON, too, is text/html. No Date, so that recordings are alike."""
        self.send_response_only(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def redirect(self, url: str) -> None:
        self.send_response_only(302)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """The tests tell what happens."""


def main() -> None:
    global own_url, fixed_clock  # noqa: PLW0603  one process, one gateway
    parser = argparse.ArgumentParser()
    parser.add_argument("--public-url", help="the address that it gives to payers, where it is not its own")
    parser.add_argument("--certfile", help="serve TLS with this certificate and key, in one file")
    parser.add_argument("--fixed-clock", type=datetime.fromisoformat, help="stop the clock, for recordings that repeat")
    options = parser.parse_args()
    fixed_clock = options.fixed_clock
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if options.certfile:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certfile)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"{'https' if options.certfile else 'http'}://127.0.0.1:{server.server_port}"
    own_url = options.public_url or url
    print(url, flush=True)  # noqa: T201  whoever started it waits for this line
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
