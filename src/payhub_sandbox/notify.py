"""Telling the shop (sections 5.2 and 5.3): the signed messages, and delivering and resending the notify."""

from __future__ import annotations

import asyncio
from hashlib import md5
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx

from payhub_sandbox.orders import Delivery, Order
from payhub_sandbox.signature import callback_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payhub_sandbox.faults import Fault, Faults
    from payhub_sandbox.orders import Orders
    from payhub_sandbox.settings import Merchant, Settings

#: Bytes of a shop's reply that are read; `SUCCESS` has seven.
_MAX_REPLY = 4096


def notify_fields(order: Order) -> dict[str, str]:
    """Return what a notify says of an order as it stands now. The amounts are fen in spite of their decimals."""
    return {
        "actual_amount": f"{order.actual_amount}.00",
        "amount": f"{order.amount}.00",
        "appid": order.appid,
        "attach": order.attach,
        "order_no": order.order_no,
        "pay_status": str(order.pay_status),
        "pay_time": order.pay_time,
        "platform_order_no": order.platform_order_no,
    }


def return_fields(order: Order) -> dict[str, str]:
    """Return what the payer's browser carries back to the shop."""
    return {"order_no": order.order_no, "pay_status": str(order.pay_status)}


def signed(fields: Mapping[str, str], merchant: Merchant, fault: Fault | None) -> dict[str, str]:
    """Sign a message to the shop, changed by the fault that it meets."""
    fields = dict(fields)
    match fault.fault if fault else None:
        case "extra_fields" if fault:
            fields |= fault.fields
        case "other_order":
            fields["order_no"] = "OTHER-1"
    sign = callback_signature(fields, merchant)
    if fault and fault.fault == "forged":
        sign = md5(sign.encode(), usedforsecurity=False).hexdigest()
    return fields | {"sign": sign}


class Notifier:
    """Sends notifies, and sends them again until the shop acknowledges."""

    def __init__(self, settings: Settings, orders: Orders, faults: Faults) -> None:
        self._settings = settings
        self._orders = orders
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()
        # A fresh connection for each notify, as the platform's curl makes them: an idle one may die under the request.
        self._client = httpx.AsyncClient(
            timeout=None,  # noqa: S113  (each attempt as a whole has a limit)
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            headers={"user-agent": "payhub-sandbox"},
        )

    def announce(self, order: Order) -> asyncio.Event:
        """Start telling the shop the order's state of this moment; the event is set once the first attempt is over.

        A resend repeats that state even if the order has changed since, as the late messages of a real platform do.
        """
        tried = asyncio.Event()
        task = asyncio.create_task(self._persist(order, tried))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return tried

    async def deliver(self, order: Order) -> Delivery:
        """Make one attempt and record it; with a fault that sends copies, return the attempt that counts."""
        fault = self._faults.take("notify")
        kind = fault.fault if fault else None
        body = urlencode(signed(notify_fields(order), self._settings.merchants[order.appid], fault))
        copies = fault.count if fault and kind in {"duplicate", "concurrent"} else 1
        if fault and kind == "slow":
            await asyncio.sleep(fault.seconds)
        if kind == "lost":
            deliveries = [self._failed("fault: lost, nothing was sent")]
        elif kind == "concurrent":
            deliveries = await asyncio.gather(*(self._post(order, body) for _ in range(copies)))
        else:
            deliveries = [await self._post(order, body) for _ in range(copies)]
        if kind == "cut":
            deliveries = [self._failed("fault: cut, the shop's reply was not read")]
        for delivery in deliveries:
            self._orders.record(order, delivery)
        return next((delivery for delivery in deliveries if delivery.acknowledged), deliveries[-1])

    def cancel(self) -> None:
        """Give up every resend."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Give up every resend and close the connections."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _persist(self, order: Order, tried: asyncio.Event) -> None:
        try:
            delivery = await self.deliver(order)
        finally:
            tried.set()
        for _ in range(self._settings.resends):
            if delivery.acknowledged or not self._settings.may_reach(order.notify_url):
                return
            await asyncio.sleep(self._settings.resend_interval)
            delivery = await self.deliver(order)

    async def _post(self, order: Order, body: str) -> Delivery:
        if not self._settings.may_reach(order.notify_url):
            return self._failed("not a loopback address; start the sandbox with --allow-remote to send there")
        reply = b""
        try:
            async with (
                asyncio.timeout(self._settings.notify_timeout),
                self._client.stream(
                    "POST",
                    order.notify_url,
                    content=body,
                    headers={"content-type": "application/x-www-form-urlencoded"},
                ) as response,
            ):
                async for chunk in response.aiter_bytes():
                    reply += chunk
                    if len(reply) > _MAX_REPLY:
                        break
        except TimeoutError:
            return self._failed(f"no complete reply within {self._settings.notify_timeout:g} seconds")
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            return self._failed(f"{type(problem).__name__}: {problem}"[:200])
        return Delivery(
            at=self._now(),
            http_status=response.status_code,
            reply=reply.decode(errors="replace")[:200],
            acknowledged=response.status_code == httpx.codes.OK and reply == b"SUCCESS",
        )

    def _failed(self, error: str) -> Delivery:
        return Delivery(at=self._now(), http_status=None, reply="", acknowledged=False, error=error)

    def _now(self) -> str:
        return self._settings.now().isoformat()
