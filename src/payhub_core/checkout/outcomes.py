"""Outcomes: what is known of a request to the gateway that ended in an error."""

from __future__ import annotations

from payhub_core.errors import GatewayError, NotFound, NotSent, PayhubError, Refused
from payhub_core.ledger.models import Creation

__all__ = ["creation_after", "said_after"]


def creation_after(error: PayhubError) -> Creation:
    """What became of a create; what is no GatewayError was raised before anything was sent."""
    if isinstance(error, Refused):
        return Creation.REFUSED
    return Creation.UNKNOWN if isinstance(error, GatewayError) and not isinstance(error, NotSent) else Creation.NOT_SENT


def said_after(error: PayhubError) -> str:
    """The word for it in the history: refused, not_sent or unknown."""
    return Creation.REFUSED.value if isinstance(error, NotFound) else creation_after(error).value
