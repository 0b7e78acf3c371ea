"""The parts of one running sandbox, as its endpoints and pages share them."""

from __future__ import annotations

from payhub_sandbox.faults import Faults
from payhub_sandbox.journal import Journal
from payhub_sandbox.notifier import Notifier
from payhub_sandbox.orders import Order, Orders
from payhub_sandbox.settings import Settings

__all__ = ["Platform"]


class Platform:
    """The orders, the armed faults, the journal of requests and the notifier."""

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self.orders: Orders = Orders(settings)
        self.faults: Faults = Faults()
        self.journal: Journal = Journal()
        self.notifier: Notifier = Notifier(settings, self.orders, self.faults)

    def pay_url(self, order: Order) -> str:
        """The address of the order's pay page."""
        return f"{self.settings.base_url}/pay/{order.platform_order_no}"

    def reset(self) -> None:
        """Forgets all orders, faults and requests, and stops resending."""
        self.notifier.cancel()
        self.orders.clear()
        self.faults.clear()
        self.journal.clear()

    async def aclose(self) -> None:
        """Stops resending and closes the database."""
        await self.notifier.aclose()
        self.orders.close()
