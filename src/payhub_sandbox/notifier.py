"""Delivering the notify, and delivering it again until the shop acknowledges it (section 5.2)."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import click
import httpx

from payhub_sandbox.callbacks import notify_fields
from payhub_sandbox.faults import Faults
from payhub_sandbox.orders import Delivery, Order, Orders
from payhub_sandbox.settings import Settings

__all__ = ["Notifier"]

#: Bytes of a shop's reply that are read; ``SUCCESS`` has seven.
_LONGEST_REPLY = 4096
_FORM = {"content-type": "application/x-www-form-urlencoded"}


class Notifier:
    """Sends notifies, and sends them again until the shop acknowledges."""

    def __init__(self, settings: Settings, orders: Orders, faults: Faults) -> None:
        self._settings = settings
        self._orders = orders
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()
        # A fresh connection for each notify, as the platform's curl makes them: an idle one may die under the request.
        self._client = httpx.AsyncClient(
            timeout=None,  # noqa: S113  each attempt as a whole has a limit
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            headers={"user-agent": "payhub-sandbox"},
        )

    def announce(self, order: Order) -> asyncio.Event:
        """Starts telling the shop the order's state of this moment; the event is set once the first attempt is over.

        A resend repeats that state even if the order has changed since, as the late messages of a real platform do.
        """
        tried = asyncio.Event()
        task = asyncio.create_task(self._persist(order, tried))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return tried

    async def deliver(self, order: Order) -> Delivery:
        """Makes one attempt and keeps it; of a fault's several copies, returns the one that counts."""
        fault = self._faults.take("notify")
        body = urlencode(notify_fields(order, self._settings.merchants[order.appid], fault))
        if fault.fault == "slow":
            await asyncio.sleep(fault.seconds)
        match fault.fault:
            case "lost":
                deliveries = [self._failed("fault: lost, nothing was sent")]
            case "cut":
                await self._post(order, body)
                deliveries = [self._failed("fault: cut, the shop's reply was not read")]
            case "duplicate":
                deliveries = [await self._post(order, body) for _ in range(fault.count)]
            case "concurrent":
                deliveries = await asyncio.gather(*(self._post(order, body) for _ in range(fault.count)))
            case _:
                deliveries = [await self._post(order, body)]
        for delivery in deliveries:
            self._tell(order, delivery)
            self._orders.record(order, delivery)
        return next((delivery for delivery in deliveries if delivery.acknowledged), deliveries[-1])

    def cancel(self) -> None:
        """Gives up every resend."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Gives up every resend and closes the connections."""
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
                self._client.stream("POST", order.notify_url, content=body, headers=_FORM) as response,
            ):
                async for chunk in response.aiter_bytes():
                    reply += chunk
                    if len(reply) > _LONGEST_REPLY:
                        break
        except TimeoutError:
            return self._failed(f"no complete reply within {self._settings.notify_timeout:g} seconds")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._failed(f"{type(error).__name__}: {error}"[:200])
        return Delivery(
            at=self._now(),
            http_status=response.status_code,
            reply=reply.decode(errors="replace")[:200],
            acknowledged=response.status_code == httpx.codes.OK and reply == b"SUCCESS",
        )

    def _tell(self, order: Order, delivery: Delivery) -> None:
        """Says on stderr why an attempt failed, once for each order and reason; a fault is no news to who armed it."""
        reason = delivery.error or f"HTTP {delivery.http_status}, and the body is not SUCCESS"
        if delivery.acknowledged or reason.startswith("fault: "):
            return
        before = self._orders.deliveries(order)
        if any((it.error, it.http_status) == (delivery.error, delivery.http_status) for it in before):
            return
        url = order.notify_url.partition("?")[0]  # a shop may keep a token in its query
        line = f"payhub sandbox: notify of {order.order_no} to {url} failed: {reason}"
        click.echo("".join(it if it.isprintable() else " " for it in line), err=True)

    def _failed(self, error: str) -> Delivery:
        return Delivery(at=self._now(), http_status=None, reply="", acknowledged=False, error=error)

    def _now(self) -> str:
        return self._settings.now().isoformat()
