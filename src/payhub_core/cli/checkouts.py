"""The checkout that a command works with, the application's own or one of the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from payhub_core.accounts import Accounts, load_accounts, unknown_account
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.cli.configured import plain_http
from payhub_core.cli.imports import imported
from payhub_core.cli.options import Command, read_config
from payhub_core.errors import ConfigError
from payhub_core.hub import Hub
from payhub_core.ledger import Ledger

__all__ = ["OpenCheckout", "checkout_options", "open_checkout"]


def checkout_options(command: Command) -> Command:
    """The options ``--handler`` and ``--checkout``."""
    handler = click.option(
        "--handler",
        metavar="MODULE:FUNCTION",
        help="Called with each transition, in its transaction; without it they wait in the outbox."
        " The module is looked for in the current directory first.",
    )
    checkout = click.option(
        "--checkout",
        metavar="MODULE:NAME",
        help="The application's own Checkout or AsyncCheckout, with its handler, in place of --config and --handler.",
    )
    return handler(checkout(command))


class OpenCheckout:
    """A checkout and its ledger, called the same way whether they are awaited or not."""

    def __init__(self, checkout: Checkout | AsyncCheckout, runner: asyncio.Runner | None = None) -> None:
        self._checkout = checkout
        self._runner = runner

    def do(self, name: str, *arguments: Any, **options: Any) -> Any:
        """What the checkout's method of that ``name`` returns."""
        result = getattr(self._checkout, name)(*arguments, **options)
        return result if self._runner is None else self._runner.run(result)

    def look(self, name: str, *arguments: Any, **options: Any) -> Any:
        """What the ledger's method of that ``name`` returns."""
        ledger = self._checkout.ledger
        if self._runner is None:
            return getattr(ledger, name)(*arguments, **options)
        return self._runner.run(getattr(ledger, f"a{name}")(*arguments, **options))

    def check_account(self, account: str | None) -> None:
        """Raises ConfigError for an account that neither the hub nor the ledger knows."""
        hub = self._checkout.hub
        if account is not None and account not in hub:
            known = {*self.look("accounts"), *(hub.accounts if isinstance(hub.accounts, Accounts | dict) else ())}
            if account not in known:
                raise unknown_account(account, dict.fromkeys(known))

    def hints(self) -> list[str]:
        """The accounts whose gateway is asked over plain http, so that nothing can settle by its answers."""
        accounts = self._checkout.hub.accounts
        return list(plain_http(accounts)) if isinstance(accounts, Accounts | dict) else []


@contextmanager
def open_checkout(config: str | None, handler: str | None, checkout: str | None) -> Iterator[OpenCheckout]:
    """Opens what the command was told to work with; raises ConfigError."""
    if checkout is None:
        settings = read_config(config)
        called = None if handler is None else imported("--handler", handler)
        with Hub(load_accounts(settings)) as hub, Ledger(settings.ledger) as ledger:
            yield OpenCheckout(Checkout(hub, ledger, handler=called, routes=settings.routes))
        return
    if config or handler:
        raise ConfigError("--checkout has a configuration and a handler of its own", hint="leave the others out")
    given = imported("--checkout", checkout, of=(Checkout, AsyncCheckout))
    if isinstance(given, Checkout):
        yield OpenCheckout(given)
        return
    with asyncio.Runner() as runner:
        yield OpenCheckout(given, runner)
