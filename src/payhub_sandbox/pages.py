"""What people see: the sandbox's front page, the pay page, and the way back to the shop (section 5.3)."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from payhub_sandbox.callbacks import return_fields
from payhub_sandbox.forms import read_form
from payhub_sandbox.orders import FAILED, PAID, Order
from payhub_sandbox.platform import Platform
from payhub_sandbox.replies import spoil
from payhub_sandbox.settings import MERCHANTS_VARIABLE, PUBLIC_MERCHANTS

__all__ = ["Pages"]

_LISTED_ORDERS = 20
#: Seconds that a payer waits for the shop to hear of the payment before the browser goes back without it.
_PATIENCE = 1.0


class Pages:
    """The HTML pages; their templates lie in the folder beside this file."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["yuan"] = _yuan
        self.routes: list[Route] = [
            Route("/", self.home),
            Route("/pay/{number}", self.pay, methods=["GET", "POST"]),
        ]

    async def home(self, _: Request) -> Response:
        """Shows recent orders, armed faults, and how to point payhub here."""
        settings = self._platform.settings
        return self._page(
            "home.html",
            base_url=settings.base_url,
            merchants=settings.merchants,
            # Only keys that are public anyway appear on a page.
            public=PUBLIC_MERCHANTS,
            variable=MERCHANTS_VARIABLE,
            orders=self._platform.orders.recent(_LISTED_ORDERS),
            faults=self._platform.faults.armed,
        )

    async def pay(self, request: Request) -> Response:
        """Shows an order to its payer, and does what the payer chooses."""
        order = self._platform.orders.get(request.path_params["number"])
        if order is None:
            return self._page("missing.html", status=404)
        if request.method != "POST":
            return self._pay_page(order)
        form = await read_form(request)
        if order.pay_status == PAID:
            # Going back to the shop is all that is left, whatever an old tab asks for.
            return await self._to_shop(order)
        match form.get("action"):
            case "pay":
                amount = _fen(form["yuan"]) if "yuan" in form else order.amount
                if not amount:
                    return self._pay_page(order, problem="That is not an amount. 金额有误", status=400)
                order = self._platform.orders.pay(order, amount)
            case "fail":
                order = self._platform.orders.fail(order)
            case _:
                return self._pay_page(order, problem="Choose one of the buttons. 请选择", status=400)
        tried = asyncio.create_task(self._platform.notifier.announce(order).wait())
        await asyncio.wait({tried}, timeout=_PATIENCE)
        return await self._to_shop(order)

    def _pay_page(self, order: Order, problem: str = "", status: int = 200) -> Response:
        page = self._platform.pay_url(order)
        return self._page(
            "pay.html",
            status=status,
            order=order,
            qr=segno.make(page, error="m").svg_inline(border=2, omitsize=True),
            problem=problem,
            is_paid=order.pay_status == PAID,
            is_failed=order.pay_status == FAILED,
        )

    async def _to_shop(self, order: Order) -> Response:
        """Sends the payer back: a form that posts itself, with a button where there is no script."""
        fault = self._platform.faults.take("return")
        if spoilt := await spoil(fault):
            return spoilt
        fields = return_fields(order, self._platform.settings.merchants[order.appid], fault)
        method, action = "post", order.return_url
        if fault.fault == "get":
            # A GET form replaces the query of its address, so the shop's own travels in the form.
            parts = urlsplit(action)
            method, action = "get", parts._replace(query="").geturl()
            fields = dict(parse_qsl(parts.query, keep_blank_values=True)) | fields
        is_remote = not self._platform.settings.may_reach(action)
        return self._page(
            "return.html",
            # Not narrower: browsers hold redirects to this rule too, and a shop may redirect from its API to its pages.
            form_action="http: https:",
            order=order,
            is_lost=fault.fault == "lost" or is_remote,
            is_remote=is_remote,
            method=method,
            action=action,
            fields=fields,
        )

    def _page(self, template: str, *, status: int = 200, form_action: str = "'self'", **context: Any) -> Response:
        nonce = token_urlsafe(16)
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; form-action {form_action};"
            " base-uri 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(
            self._templates.get_template(template).render(nonce=nonce, **context),
            status,
            headers={
                "content-security-policy": policy,
                "x-content-type-options": "nosniff",
                "referrer-policy": "origin",
                "cache-control": "no-store",
            },
        )


def _yuan(amount: int) -> str:
    """Fen written as yuan: 10000 is ``100.00``."""
    return f"{amount // 100}.{amount % 100:02}"


def _fen(text: str) -> int:
    """Yuan read as fen; 0 for whatever is not a positive amount."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", text.strip()):
        return 0
    return int(Decimal(text.strip()) * 100)
