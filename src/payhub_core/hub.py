"""The hub: picks the account, calls its hook and gives the flow HTTP. `Hub` and `AsyncHub` differ in that alone."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar
from weakref import WeakSet

import httpx

from payhub_core.account import Account
from payhub_core.errors import ConfigError, GatewayError, OutcomeUnknown, PayhubError
from payhub_core.flow import run, run_async
from payhub_core.hookspecs import Provider
from payhub_core.models import Callback, Notification, Order, Payment
from payhub_core.registry import Accounts
from payhub_core.transport import AsyncClient, AsyncExchange, Client, Exchange, tls

__all__ = ["AsyncBoundAccount", "AsyncHub", "BoundAccount", "Hub"]


class BoundAccount(Account):
    """One account of a `Hub`, as ``hub["shop"]``: its methods are the hub's, without the account's name."""

    def __init__(self, name: str, provider: Provider, extensions: Sequence[object], client: Client) -> None:
        super().__init__(name, provider, extensions)
        timeout = provider.timeout
        self._creating = Exchange(client, timeout, lost=OutcomeUnknown, idempotent=False)
        self._querying = Exchange(client, timeout, lost=GatewayError, idempotent=True)
        self._fetching = Exchange(client, timeout, lost=GatewayError, idempotent=False)

    def create_payment(self, order: Order) -> Payment:
        """As `Hub.create_payment`."""
        return run(self.create_flow(order), self._creating)

    def query(self, reference: str, *, gateway_id: str | None = None, expect: Order | None = None) -> Payment:
        """As `Hub.query`."""
        return run(self.query_flow(reference, gateway_id, expect), self._querying)

    def parse_callback(self, callback: Callback, *, expect: Order | None = None) -> Notification:
        """As `Hub.parse_callback`."""
        parsed = self.parse(callback, expect)
        return parsed if isinstance(parsed, Notification) else run(parsed, self._fetching)


class AsyncBoundAccount(Account):
    """One account of an `AsyncHub`, as ``hub["shop"]``."""

    def __init__(self, name: str, provider: Provider, extensions: Sequence[object], client: AsyncClient) -> None:
        super().__init__(name, provider, extensions)
        timeout = provider.timeout
        self._creating = AsyncExchange(client, timeout, lost=OutcomeUnknown, idempotent=False)
        self._querying = AsyncExchange(client, timeout, lost=GatewayError, idempotent=True)
        self._fetching = AsyncExchange(client, timeout, lost=GatewayError, idempotent=False)

    async def create_payment(self, order: Order) -> Payment:
        """As `Hub.create_payment`."""
        return await run_async(self.create_flow(order), self._creating)

    async def query(self, reference: str, *, gateway_id: str | None = None, expect: Order | None = None) -> Payment:
        """As `Hub.query`."""
        return await run_async(self.query_flow(reference, gateway_id, expect), self._querying)

    async def parse_callback(self, callback: Callback, *, expect: Order | None = None) -> Notification:
        """As `Hub.parse_callback`."""
        parsed = self.parse(callback, expect)
        return parsed if isinstance(parsed, Notification) else await run_async(parsed, self._fetching)


Bound = TypeVar("Bound", bound=Account)


class _BaseHub(ABC, Generic[Bound]):
    """What the two hubs share: accounts, opened on first use and kept."""

    def __init__(self, accounts: Mapping[str, Provider], extensions: Sequence[object]) -> None:
        self.accounts: Accounts = accounts if isinstance(accounts, Accounts) else Accounts(accounts)
        self._extensions = extensions
        self._bound: dict[str, Bound] = {}
        self._closed = False

    def __getitem__(self, account: str) -> Bound:
        """The account's hooks with its name bound; raises ConfigError for a name that is not configured."""
        bound = self._bound.get(account)
        if bound is None:
            if self._closed:
                raise PayhubError("this hub is closed", hint="open a new one, or close it later")
            bound = self._bound[account] = self._bind(account, self.accounts[account])
        return bound

    @abstractmethod
    def _bind(self, account: str, provider: Provider) -> Bound: ...

    @property
    def default(self) -> Bound:
        """The account that the configuration calls default, or the only one; raises ConfigError where there is none."""
        if self.accounts.default is None:
            raise ConfigError("there is no default account", hint='set default = "NAME" in the configuration')
        return self[self.accounts.default]

    def _forget(self) -> None:
        self._closed = True
        self._bound.clear()


class Hub(_BaseHub[BoundAccount]):
    """Payments through the configured accounts. Safe to share between threads, and usable after a fork.

    Close it, or use it in a ``with``.

    ``extensions`` wrap every hook of every account, the first one outermost. ``client`` is your own HTTP client, which
    stays yours to close; without one the hub opens its own, with TLS verified.
    """

    def __init__(
        self, accounts: Mapping[str, Provider], *, extensions: Sequence[object] = (), client: Client | None = None
    ) -> None:
        super().__init__(accounts, extensions)
        self._own: httpx.Client | None = _own_client() if client is None else None
        self._client: Client | None = self._own if client is None else client
        self._inherited: list[object] = []
        _hubs.add(self)

    def _bind(self, account: str, provider: Provider) -> BoundAccount:
        if self._client is None:
            self._client = self._own = _own_client()
        return BoundAccount(account, provider, self._extensions, self._client)

    def create_payment(self, account: str, order: Order) -> Payment:
        """Asks the gateway for a payment of ``order``; ``next_action`` is what the payer does next.

        Raises InvalidOrder (nothing was sent), NotSent (safe to retry), Refused, or OutcomeUnknown (query first).
        Nothing is sent twice once it may have left.
        """
        return self[account].create_payment(order)

    def query(
        self, account: str, reference: str, *, gateway_id: str | None = None, expect: Order | None = None
    ) -> Payment:
        """What the gateway knows of the order; with ``expect``, found to be about that order's amount and currency.

        Over plain http the answer is a hint and never PAID. Raises NotFound or another GatewayError, which say nothing
        about the payment, and WrongOrder or WrongAmount. Sent up to three times.
        """
        return self[account].query(reference, gateway_id=gateway_id, expect=expect)

    def parse_callback(self, account: str, callback: Callback, *, expect: Order | None = None) -> Notification:
        """Verifies a callback; with ``expect``, the order the shop holds, found to be about that order.

        Without ``expect`` the notification is not ``bound``: compare it yourself. Raises CallbackError: refuse the
        callback and change nothing.
        """
        return self[account].parse_callback(callback, expect=expect)

    def _forked(self) -> None:
        """Leaves the connections alone that belong to the process this one was forked from."""
        if self._own is not None:
            self._inherited.append(self._own)
            self._own = self._client = None
            self._bound = {}

    def close(self) -> None:
        """Closes the HTTP client, unless it is yours."""
        self._forget()
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _own_client() -> httpx.Client:
    from payhub_core.deadline import bound  # noqa: PLC0415  httpcore is loaded when it is needed

    return bound(httpx.Client(verify=tls()))


_hubs: WeakSet[Hub] = WeakSet()


def _forked() -> None:
    """Two processes on one connection would read each other's replies."""
    for hub in _hubs:
        hub._forked()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class AsyncHub(_BaseHub[AsyncBoundAccount]):
    """`Hub` for asyncio and trio: the same accounts, flows and errors, awaited."""

    def __init__(
        self, accounts: Mapping[str, Provider], *, extensions: Sequence[object] = (), client: AsyncClient | None = None
    ) -> None:
        super().__init__(accounts, extensions)
        self._own: httpx.AsyncClient | None = None
        if client is None:
            client = self._own = httpx.AsyncClient(verify=tls())
        self._client: AsyncClient = client

    def _bind(self, account: str, provider: Provider) -> AsyncBoundAccount:
        return AsyncBoundAccount(account, provider, self._extensions, self._client)

    async def create_payment(self, account: str, order: Order) -> Payment:
        """As `Hub.create_payment`. Cancelled half-way, the outcome is unknown: query before anything else."""
        return await self[account].create_payment(order)

    async def query(
        self, account: str, reference: str, *, gateway_id: str | None = None, expect: Order | None = None
    ) -> Payment:
        """As `Hub.query`."""
        return await self[account].query(reference, gateway_id=gateway_id, expect=expect)

    async def parse_callback(self, account: str, callback: Callback, *, expect: Order | None = None) -> Notification:
        """As `Hub.parse_callback`."""
        return await self[account].parse_callback(callback, expect=expect)

    async def aclose(self) -> None:
        """Closes the HTTP client, unless it is yours."""
        self._forget()
        if self._own is not None:
            await self._own.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
