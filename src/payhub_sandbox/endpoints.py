"""The two endpoints a merchant calls: unified order (section 5.1) and check order (section 5.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from payhub_sandbox.faults import Endpoint
from payhub_sandbox.forms import read_form, read_query
from payhub_sandbox.orders import PAYING, Order
from payhub_sandbox.platform import Platform
from payhub_sandbox.replies import Cut, Reply, refused, respond
from payhub_sandbox.signature import is_signed

__all__ = ["Endpoints"]

#: Codes of payments inside the merchant's own app: parameters for a wallet's SDK, and no page to go to.
_APP_CODES = {"904", "905"}
_OFFICIAL_ACCOUNT = "902"
_CREATE_FIELDS = ("appid", "order_no", "amount", "product_name", "bank_code", "notify_url", "return_url", "sign")
_QUERY_FIELDS = ("appid", "order_no", "sign")


class Endpoints:
    """The platform's API, as merchants know it."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        # Both hear both methods, to refuse the wrong one in the platform's words.
        self.routes: list[Route] = [
            Route("/api/order/unified", self.unified, methods=["GET", "POST"]),
            Route("/api/order/check_order", self.check_order, methods=["GET", "POST"]),
        ]

    async def unified(self, request: Request) -> Response:
        """Creates an order, by POST."""
        return await self._answer(request, "unified", await read_form(request), self._create)

    async def check_order(self, request: Request) -> Response:
        """Reports an order, by GET."""
        return await self._answer(request, "check_order", read_query(request), self._check)

    async def _answer(
        self, request: Request, endpoint: Endpoint, fields: dict[str, str], process: Callable[[dict[str, str]], Reply]
    ) -> Response:
        self._platform.journal.note(endpoint, request.method, fields.get("order_no", ""))
        fault = self._platform.faults.take(endpoint)
        if fault.fault == "cut_before":
            return Cut()
        if fault.fault == "refuse":
            reply = refused(fault.message)
        elif request.method != ("POST" if endpoint == "unified" else "GET"):
            reply = refused("请求方式错误")
        else:
            try:
                reply = process(fields)
            except _Refusal as refusal:
                reply = refused(str(refusal))
        return await respond(reply, fault)

    def _create(self, fields: dict[str, str]) -> Reply:
        self._authenticate(fields, _CREATE_FIELDS)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", fields["order_no"]):
            raise _Refusal("参数错误: order_no")
        if not re.fullmatch(r"[1-9][0-9]{0,11}", fields["amount"]):
            raise _Refusal("amount 错误")
        # Any number may be a channel (section 6). A neutral name is none: the merchant's code has not translated it.
        if not re.fullmatch(r"[0-9]{1,10}", fields["bank_code"]):
            raise _Refusal("参数错误: bank_code")
        for name in ("notify_url", "return_url"):
            if not _is_web_address(fields[name]):
                raise _Refusal(f"参数错误: {name}")
        if fields["bank_code"] == _OFFICIAL_ACCOUNT and not fields.get("openid"):
            raise _Refusal("参数错误: openid")
        order = self._platform.orders.create(fields)
        if order is None:
            raise _Refusal("订单号重复")
        page = self._platform.pay_url(order)
        is_app = order.bank_code in _APP_CODES
        return {
            "status": 1,
            "message": "下单成功",
            "data": {
                "order_no": order.order_no,
                "platform_order_no": order.platform_order_no,
                "pay_status": PAYING,
                "bank_code": order.bank_code,
                "amount": str(order.amount),
                "content": _app_parameters(order) if is_app else _form(page),
                "redirect_url": "no_redirect" if is_app else page,
            },
        }

    def _check(self, fields: dict[str, str]) -> Reply:
        self._authenticate(fields, _QUERY_FIELDS)
        order = self._platform.orders.find(fields["appid"], fields["order_no"])
        if order is None:
            raise _Refusal("订单不存在")
        return {
            # Text here and a number in the reply to a create: as in the protocol's own samples.
            "status": "1",
            "message": "查询成功",
            "data": {
                "order_no": order.order_no,
                "amount": f"{order.amount}.00",
                "attach": order.attach,
                "bank_code": order.bank_code,
                # The sample of section 5.4 reports an order that nobody has paid yet as failed, and so does this.
                "pay_status": max(order.pay_status, 0),
                "platform_order_no": order.platform_order_no,
                "created_at": order.created_at,
                "pay_time": order.pay_time or None,
            },
        }

    def _authenticate(self, fields: dict[str, str], required: tuple[str, ...]) -> None:
        missing = next((name for name in required if not fields.get(name)), None)
        if missing:
            raise _Refusal(f"参数错误: {missing}")
        merchant = self._platform.settings.merchants.get(fields["appid"])
        if merchant is None:
            raise _Refusal("商户不存在")
        # A sender that names its own ``secret`` would choose the key it is checked against.
        if "secret" in fields or not is_signed(fields, merchant):
            raise _Refusal("签名错误")


class _Refusal(Exception):
    """The platform says no, in its own words."""


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()


def _form(page: str) -> str:
    # ``page`` is the base URL and an order number of the platform's: nothing in it comes from the merchant.
    return (
        f'<form id="pay" action="{page}" method="get"><button type="submit">继续付款 Continue to pay</button></form>'
        '<script>document.getElementById("pay").submit()</script>'
    )


def _app_parameters(order: Order) -> str:
    return urlencode({"sandbox": 1, "out_trade_no": order.platform_order_no, "total_fee": order.amount})
