"""The checkout: payments that survive crashes, duplicates and lost answers. Needs the extra ``ledger``."""

from payhub_core.errors import ConfigError

try:
    from payhub_core.checkout.checkout import AsyncCheckout, AsyncHandler, Checkout, Handler
    from payhub_core.checkout.reconciliation import Progress, Summary
except ImportError as _missing:
    raise ConfigError(
        f"the checkout keeps payments in a ledger, and {_missing.name} is not installed",
        hint="pip install 'payhub-core[ledger]'",
    ) from _missing

__all__ = ["AsyncCheckout", "AsyncHandler", "Checkout", "Handler", "Progress", "Summary"]
