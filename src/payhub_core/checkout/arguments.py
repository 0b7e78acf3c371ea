"""Arguments: what a checkout is given, checked before anything is done with it."""

from __future__ import annotations

from functools import partial
from inspect import iscoroutinefunction

from payhub_core.errors import ConfigError
from payhub_core.ledger.handling import async_handler
from payhub_core.ledger.ledger import Ledger

__all__ = ["check_handler", "check_parts"]


def check_parts(hub: object, kind: type, ledger: object) -> None:
    """Raises ConfigError unless they are a hub of that ``kind`` and a ledger."""
    for part, expected in ((hub, kind), (ledger, Ledger)):
        if not isinstance(part, expected):
            raise ConfigError(
                f"expected {expected.__name__}, not {type(part).__name__}",
                hint="Hub goes with Checkout, AsyncHub with AsyncCheckout; a Ledger is made of a URL",
            )


def check_handler(handler: object, *, awaited: bool) -> None:
    """Raises ConfigError unless it is None, or a function of the kind that the checkout calls.

    Of a function of the other kind nothing would run, and nobody would notice.
    """
    if handler is None:
        return
    if not callable(handler):
        raise ConfigError(f"handler: expected a function, not {type(handler).__name__}")
    while isinstance(handler, partial):
        handler = handler.func
    is_async = iscoroutinefunction(handler) or iscoroutinefunction(type(handler).__call__)
    if is_async and not awaited:
        raise async_handler()
    if awaited and not is_async:
        raise ConfigError(
            "this handler is a plain function, and an AsyncCheckout awaits its handler",
            hint="write it with async def, or use Checkout",
        )
