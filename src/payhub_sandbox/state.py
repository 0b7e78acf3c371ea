"""The parts of one running sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payhub_sandbox.faults import Faults
from payhub_sandbox.journal import Journal
from payhub_sandbox.notify import Notifier
from payhub_sandbox.orders import Order, Orders

if TYPE_CHECKING:
    from payhub_sandbox.settings import Settings


class Platform:
    """Orders, armed faults, the journal of requests and the notifier, as the endpoints share them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.orders: Orders = Orders(settings)
        self.faults: Faults = Faults()
        self.journal: Journal = Journal()
        self.notifier: Notifier = Notifier(settings, self.orders, self.faults)

    def pay_url(self, order: Order) -> str:
        """Return the address of the order's pay page."""
        return f"{self.settings.base_url}/pay/{order.platform_order_no}"

    def reset(self) -> None:
        """Forget all orders, faults and requests, and stop resending."""
        self.notifier.cancel()
        self.orders.clear()
        self.faults.clear()
        self.journal.clear()

    async def aclose(self) -> None:
        """Stop resending and close the database."""
        await self.notifier.aclose()
        self.orders.close()
