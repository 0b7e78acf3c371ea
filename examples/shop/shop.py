"""A shop to copy: products, ways to pay, a page to wait on, and the orders. ``uvicorn shop:app`` serves it."""

import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import segno
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payhub_core import (
    AsyncHub,
    FormPost,
    HtmlPage,
    LedgerError,
    Money,
    Order,
    OutcomeUnknown,
    PayhubError,
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
#: Keeps the scripts of a gateway's own page away from this shop's pages and cookies.
SANDBOX = "sandbox allow-scripts allow-forms allow-popups allow-top-navigation"
METHODS = {PaymentMethod.ALIPAY_H5: "Alipay 支付宝", PaymentMethod.WECHAT_QR: "WeChat 微信"}

logger = logging.getLogger("shop")
config = load_config("payhub.toml")
hub, ledger = AsyncHub(load_accounts(config)), Ledger(config.ledger)
COLUMNS = "reference TEXT PRIMARY KEY, account TEXT, product TEXT, body TEXT, shipped INT"
CREATE = text(f"CREATE TABLE IF NOT EXISTS orders ({COLUMNS})")
INSERT = text("INSERT INTO orders VALUES (:reference, :account, :product, :body, 0)")
FIND = text("SELECT * FROM orders WHERE reference = :reference")
SHIP = text("UPDATE orders SET shipped = 1 WHERE reference = :reference")


async def ship(transition: Transition, connection: AsyncConnection) -> None:
    """Runs once for each transition, in the transaction that records it."""
    if transition.status is PaymentStatus.PAID:
        await connection.execute(SHIP, {"reference": transition.reference})


checkout = AsyncCheckout(hub, ledger, handler=ship, routes=config.routes)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with hub, ledger:
        await ledger.aupgrade()
        await ledger.awrite(lambda connection: connection.execute(CREATE))
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.mount("/pay", asgi(checkout, shop=NAME, home=URL, record=config.recorder))
pages = Jinja2Templates(Path(__file__).with_name("pages"))
pages.env.globals["shop"] = NAME


@app.exception_handler(LedgerError)
async def no_database(request: Request, error: LedgerError) -> Response:
    logger.error("%s", error)
    return pages.TemplateResponse(request, "closed.html", status_code=503)


@app.get("/")
async def products(request: Request) -> Response:
    return pages.TemplateResponse(request, "products.html", {"products": PRODUCTS, "methods": METHODS})


@app.post("/buy/{product}/{method}")
async def buy(request: Request, product: str, method: PaymentMethod) -> Response:
    """Writes the order down, before anybody else hears of it."""
    if product not in PRODUCTS or method not in METHODS:
        raise HTTPException(404)
    name, price = PRODUCTS[product]
    order = Order(
        reference=f"T{secrets.token_hex(8)}",  # hard to guess: the return page tells whoever has it if it is paid
        amount=price,
        description=name,
        method=method,
        notify_url=f"{URL}/pay/{{account}}/notify",
        return_url=f"{URL}/pay/{{account}}/return/{{reference}}",
    )
    row = {"reference": order.reference, "account": config.default, "product": name, "body": order.model_dump_json()}
    await ledger.awrite(lambda connection: connection.execute(INSERT, row))
    return await start(request, order.reference)


@app.post("/start/{reference}")
async def start(request: Request, reference: str) -> Response:
    """Starts the payment and sends the buyer on; of an order that was started before, it asks the gateway first."""
    found = await ledger.aread(lambda connection: connection.execute(FIND, {"reference": reference}).one_or_none())
    if found is None:
        raise HTTPException(404)
    try:
        payment = await checkout.start(found.account, Order.model_validate_json(found.body))
    except PayhubError as error:
        logger.warning("%s", error)  # for you; the buyer is told what to do
        said = "unknown.html" if isinstance(error, OutcomeUnknown) else "failed.html"
        return pages.TemplateResponse(request, said, {"reference": reference}, 502)
    match payment.next_action:
        case Redirect(url=url):
            return RedirectResponse(url, 303)
        case FormPost() as form:
            nonce = secrets.token_urlsafe()
            return HTMLResponse(form.html(nonce), headers={"Content-Security-Policy": f"script-src 'nonce-{nonce}'"})
        case HtmlPage(html=html):
            return HTMLResponse(html, headers={"Content-Security-Policy": SANDBOX})
        case None if payment.status is PaymentStatus.PENDING:  # the answer with the way to pay was lost
            return pages.TemplateResponse(request, "failed.html", status_code=502)
        case _:
            return RedirectResponse(f"/wait/{payment.account}/{reference}", 303)


@app.get("/wait/{account}/{reference}")
async def wait(request: Request, account: str, reference: str) -> Response:
    """The code to scan; once the payer has paid, the return page."""
    stored = await ledger.apayment(account, reference)
    payment = stored.payment if stored else None
    if not payment or payment.status is not PaymentStatus.PENDING or not isinstance(payment.next_action, QrCode):
        return RedirectResponse(f"/pay/{account}/return/{reference}", 303)
    content = payment.next_action.content
    code = segno.make(content).svg_inline(omitsize=True, border=2)
    link = content if content.startswith(("https://", "http://")) else None  # for whoever shops on a phone
    return pages.TemplateResponse(request, "wait.html", {"code": code, "link": link, "amount": payment.amount})


@app.get("/orders")
async def table(request: Request) -> Response:
    """For the shop's own eyes: put it behind your login."""
    payments = [stored.payment for stored in await ledger.apayments(limit=50)]
    wanted = [{"reference": payment.reference} for payment in payments]
    found = await ledger.aread(lambda connection: [connection.execute(FIND, one).one_or_none() for one in wanted])
    return pages.TemplateResponse(request, "orders.html", {"rows": zip(payments, found, strict=True)})
