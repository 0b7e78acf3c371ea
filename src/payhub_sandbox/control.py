"""The control API under ``/_sandbox``: what a test or a developer does to the platform from outside the protocol."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from payhub_sandbox.faults import Fault
from payhub_sandbox.orders import PAID, Order
from payhub_sandbox.platform import Platform

__all__ = ["Control"]

_LISTED_ORDERS = 100

Model = TypeVar("Model", bound=BaseModel)


class Control:
    """The control API: JSON in, JSON out, and an ``error`` where something makes no sense."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.routes: list[Route] = [
            Route("/", self.reset, methods=["DELETE"]),
            Route("/health", self.health),
            Route("/orders", self.orders),
            Route("/orders/{number}", self.order),
            Route("/orders/{number}/pay", self.pay, methods=["POST"]),
            Route("/orders/{number}/notify", self.notify, methods=["POST"]),
            Route("/faults", self.arm, methods=["POST"]),
            Route("/faults", self.disarm, methods=["DELETE"]),
            Route("/requests", self.requests),
        ]

    async def health(self, _: Request) -> JSONResponse:
        """Says that the sandbox runs, and what it runs with."""
        return JSONResponse({"status": "ok", "merchants": list(self._platform.settings.merchants)})

    async def orders(self, request: Request) -> JSONResponse:
        """Lists the newest orders; or the one with ``appid`` and ``order_no``."""
        query = request.query_params
        if "order_no" in query:
            order = self._platform.orders.find(query.get("appid", ""), query["order_no"])
            found = [order] if order else []
        else:
            found = self._platform.orders.recent(_LISTED_ORDERS)
        return JSONResponse({"orders": [self._described(order) for order in found]})

    async def order(self, request: Request) -> JSONResponse:
        """Shows one order and every attempt to notify the shop about it."""
        return JSONResponse(self._described(self._order(request)))

    async def pay(self, request: Request) -> JSONResponse:
        """Pays an order or lets it fail; answers after the first attempt to notify the shop."""
        outcome = await _read(request, _Outcome)
        order = self._order(request)
        if order.pay_status == PAID:
            raise HTTPException(409, f"{order.platform_order_no} is paid already")
        if outcome.action == "pay":
            order = self._platform.orders.pay(order, outcome.amount or order.amount)
        else:
            order = self._platform.orders.fail(order)
        if outcome.notify:
            await self._platform.notifier.announce(order).wait()
        return JSONResponse(self._described(order))

    async def notify(self, request: Request) -> JSONResponse:
        """Notifies the shop once, now, of the order as it stands."""
        return JSONResponse(asdict(await self._platform.notifier.deliver(self._order(request))))

    async def arm(self, request: Request) -> JSONResponse:
        """Arms a fault."""
        fault = await _read(request, Fault)
        self._platform.faults.arm(fault)
        return JSONResponse(fault.model_dump(), status_code=201)

    async def disarm(self, _: Request) -> JSONResponse:
        """Disarms every fault."""
        self._platform.faults.clear()
        return JSONResponse({})

    async def requests(self, _: Request) -> JSONResponse:
        """Lists what merchants have asked, and how often."""
        return JSONResponse({"requests": self._platform.journal.entries()})

    async def reset(self, _: Request) -> JSONResponse:
        """Forgets everything; a database in a file is somebody's, and is not emptied."""
        if self._platform.settings.database != ":memory:":
            raise HTTPException(409, "the orders are in a file; stop the sandbox and delete it instead")
        self._platform.reset()
        return JSONResponse({})

    def _order(self, request: Request) -> Order:
        number = request.path_params["number"]
        order = self._platform.orders.get(number)
        if order is None:
            raise HTTPException(404, f"no order {number}")
        return order

    def _described(self, order: Order) -> dict[str, Any]:
        deliveries = [asdict(delivery) for delivery in self._platform.orders.deliveries(order)]
        return {**asdict(order), "pay_url": self._platform.pay_url(order), "deliveries": deliveries}


class _Outcome(BaseModel):
    """What the payer does with an order."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    action: Literal["pay", "fail"]
    #: Fen actually paid; without it, what is due.
    amount: Annotated[int, Field(gt=0, lt=10**12)] | None = None
    notify: bool = True


async def _read(request: Request, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HTTPException(400, f"{where}: {first['msg']}" if where else first["msg"]) from error
