"""A shop to copy: products, ways to pay, a page to wait on, and the orders. ``uvicorn shop:app`` serves it."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path

import segno
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from payhub_core import (
    AsyncHub,
    FormPost,
    HtmlPage,
    Money,
    Order,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    load_accounts,
    load_config,
)
from payhub_core.checkout import AsyncCheckout
from payhub_core.ledger import Ledger, Transition
from payhub_core.web import asgi

NAME, URL = "Tea House 茶舍", os.environ.get("SHOP_URL", "http://127.0.0.1:8000")
PRODUCTS = {
    "longjing": ("Longjing tea 西湖龙井", Money.of("128.00", "CNY")),
    "puer": ("Pu'er tea cake 普洱茶饼", Money.of("88.00", "CNY")),
    "cups": ("Two cups 品茗杯一对", Money.of("36.50", "CNY")),
}
METHODS = {PaymentMethod.ALIPAY_H5: "Alipay 支付宝", PaymentMethod.WECHAT_QR: "WeChat 微信"}

config = load_config("payhub.toml")
hub, ledger = AsyncHub(load_accounts(config)), Ledger(config.ledger)


async def ship(transition: Transition, connection: AsyncConnection) -> None:
    """Runs once for each transition, in the transaction that records it."""
    if transition.status is PaymentStatus.PAID:
        await connection.execute(
            text("UPDATE orders SET shipped = 1 WHERE reference = :r"), {"r": transition.reference}
        )


checkout = AsyncCheckout(hub, ledger, handler=ship, routes=config.routes)


def create_table(connection: Connection) -> None:
    connection.execute(
        text("CREATE TABLE IF NOT EXISTS orders (reference TEXT PRIMARY KEY, account TEXT, product TEXT, shipped INT)")
    )


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await ledger.aupgrade()
    await ledger.awrite(create_table)
    yield
    await ledger.aclose()
    await hub.aclose()


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.mount("/pay", asgi(checkout, shop=NAME, home=URL))

STYLE = Path(__file__).with_name("shop.css").read_text("utf-8")


def page(body: str, head: str = "") -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{NAME}</title><link rel="icon" href="data:,">{head}<style>{STYLE}</style><header><h1>{NAME}</h1>'
        f'<nav><a href="/">Shop 商店</a> · <a href="/orders">Orders 订单</a></nav></header><main>{body}</main></html>'
    )


@app.get("/")
async def products() -> Response:
    cards = "".join(
        f'<form class="card" method="post"><h2>{escape(name)}</h2><div class="sum">{price}</div>'
        + "".join(f'<button formaction="/buy/{key}/{method}">{label}</button>' for method, label in METHODS.items())
        + "</form>"
        for key, (name, price) in PRODUCTS.items()
    )
    return page(f'<div class="grid">{cards}</div>')


@app.post("/buy/{key}/{method}")
async def buy(key: str, method: PaymentMethod) -> Response:
    if key not in PRODUCTS or method not in METHODS:
        raise HTTPException(404)
    name, price = PRODUCTS[key]
    order = Order(
        reference=f"T{secrets.token_hex(8)}",  # hard to guess: the return page tells whoever has it if it is paid
        amount=price,
        description=name,
        method=method,
        notify_url=f"{URL}/pay/{{account}}/notify",
        return_url=f"{URL}/pay/{{account}}/return/{{reference}}",
    )
    row = {"r": order.reference, "a": config.default, "p": name}
    await ledger.awrite(lambda connection: connection.execute(text("INSERT INTO orders VALUES (:r, :a, :p, 0)"), row))
    payment = await checkout.start(config.default, order)
    match payment.next_action:
        case Redirect(url=url):
            return RedirectResponse(url, 303)
        case FormPost() as form:
            nonce = secrets.token_urlsafe()
            return HTMLResponse(form.html(nonce), headers={"Content-Security-Policy": f"script-src 'nonce-{nonce}'"})
        case HtmlPage(html=html):
            return HTMLResponse(html)
        case _:
            return RedirectResponse(f"/wait/{payment.account}/{order.reference}", 303)


@app.get("/wait/{account}/{reference}")
async def wait(account: str, reference: str) -> Response:
    """The code to scan; once the payer has paid, the return page."""
    stored = await ledger.apayment(account, reference)
    if stored is None:
        raise HTTPException(404)
    if stored.payment.status is not PaymentStatus.PENDING or not isinstance(stored.payment.next_action, QrCode):
        return RedirectResponse(f"/pay/{account}/return/{reference}", 303)
    code = segno.make(stored.payment.next_action.content).svg_inline(omitsize=True, border=2)
    again = '<meta http-equiv="refresh" content="3">'
    return page(
        f'<div class="card qr"><h2>Scan to pay 扫码支付</h2>{code}<p class="soft">Waiting 等待付款…</p></div>', again
    )


@app.get("/orders")
async def orders() -> Response:
    """For the shop's own eyes: put it behind your login."""
    query = text("SELECT reference, account, product, shipped FROM orders ORDER BY rowid DESC LIMIT 50")
    rows = await ledger.aread(lambda connection: connection.execute(query).all())
    found = [(row, await ledger.apayment(row.account, row.reference)) for row in rows]
    lines = "".join(
        f"<tr><td>{row.reference}<td>{escape(row.product)}<td>{stored.payment.status if stored else '-'}"
        f"<td>{stored.payment.paid or '-' if stored else '-'}<td>{'yes 已发货' if row.shipped else 'no 未发货'}"
        for row, stored in found
    )
    heads = "<tr><th>Order 订单<th>Product 商品<th>Status 状态<th>Received 实收<th>Shipped 发货"
    return page(f'<div class="card scroll" tabindex="0"><table>{heads}{lines}</table></div>')
