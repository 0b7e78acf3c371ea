"""The checkout: payments that survive crashes, duplicates and lost answers. Needs the extra ``ledger``."""

import payhub_core.ledger  # noqa: F401  first, since it says what to install
from payhub_core.checkout.checkout import AsyncCheckout, Checkout
from payhub_core.checkout.reconciliation import Progress, Summary
from payhub_core.ledger.handling import AsyncHandler, Handler

__all__ = ["AsyncCheckout", "AsyncHandler", "Checkout", "Handler", "Progress", "Summary"]
