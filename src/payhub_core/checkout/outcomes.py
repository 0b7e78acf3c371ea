"""Outcomes: what is known of a request to the gateway that ended in an error."""

from __future__ import annotations

from payhub_core.errors import AccountRefused, GatewayError, NotFound, NotSent, PayhubError, Refused
from payhub_core.ledger.models import Creation

__all__ = ["creation_after", "is_final", "said_after"]


def is_final(error: PayhubError) -> bool:
    """Whether the gateway said no to the order or refund itself, and so to earlier tries of it as well.

    What it says of the account, or to a look-up before anything was sent, is about this try alone.
    """
    return isinstance(error, Refused | NotFound) and not isinstance(error, AccountRefused) and not error.unsent


def creation_after(error: PayhubError) -> Creation:
    """What became of a create; what is no GatewayError was raised before anything was sent."""
    if isinstance(error, Refused):
        return Creation.REFUSED
    return Creation.UNKNOWN if isinstance(error, GatewayError) and not isinstance(error, NotSent) else Creation.NOT_SENT


def said_after(error: PayhubError) -> str:
    """The word for it in the history: refused, not_sent or unknown."""
    return Creation.REFUSED.value if isinstance(error, NotFound) else creation_after(error).value
