"""The hub: an application's accounts, opened on first use, over one HTTP client. `AsyncHub` is the same, awaited."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from weakref import WeakSet

import httpx

from payhub_core.accounts import Merchant, check_merchants, merchant, same_merchant, unknown_account
from payhub_core.bound import AsyncBoundAccount, Bound, BoundAccount
from payhub_core.errors import ConfigError, PayhubError, plain
from payhub_core.hookspecs import Provider
from payhub_core.loops import PerLoop
from payhub_core.models import Callback, Notification, Order, Payment, Refund
from payhub_core.money import Money
from payhub_core.registry import check_hooks
from payhub_core.transport.client import own_client
from payhub_core.transport.exchange import AsyncClient, AsyncExchange, Client, Exchange

__all__ = ["AsyncHub", "Hub"]

#: How many accounts a hub keeps open; the one opened first makes room.
MOST_OPEN = 1024

BoundT = TypeVar("BoundT", bound=Bound[Any])


class _BaseHub(ABC, Generic[BoundT]):
    """What the two hubs share: accounts, opened on first use and kept until they are forgotten."""

    def __init__(self, accounts: Mapping[str, Provider], extensions: Sequence[object]) -> None:
        given: object = accounts
        if not isinstance(given, Mapping):
            hint = "pass what load_accounts returns, as in Hub(load_accounts(load_config(path)))"
            raise ConfigError(f"expected accounts, not {type(given).__name__}", hint=hint)
        if isinstance(accounts, dict):
            check_merchants(accounts)
        _check_extensions(extensions)
        self.accounts: Mapping[str, Provider] = accounts
        self._extensions = extensions
        self._open: dict[str, BoundT] = {}
        self._merchants: dict[Merchant, str] = {}
        self._keys: dict[str, Merchant] = {}
        self._lock = threading.Lock()
        self._forgotten = 0
        self._closed = False

    def __getitem__(self, account: str) -> BoundT:
        """The account's hooks with its name bound; raises ConfigError for a name that is not configured."""
        return (self._open.get(account) if isinstance(account, str) else None) or self._opened(account)

    def _opened(self, account: str) -> BoundT:
        while True:
            if self._closed:
                raise PayhubError("this hub is closed", hint="open a new one, or close it later")
            forgotten = self._forgotten
            if not isinstance(account, str):
                raise unknown_account(account, self.accounts)
            provider = self._asked(account)
            key = merchant(provider, account)
            bound = self._bind(account, provider)
            with self._lock:
                if forgotten == self._forgotten:  # else what was read may be what was to be forgotten
                    return self._kept(account, provider, key, bound)

    def _asked(self, account: str) -> Provider:
        """What the mapping has under the name; an application's own may raise whatever its database does."""
        try:
            return self.accounts[account]
        except PayhubError:
            raise
        except KeyError:
            raise unknown_account(account, self.accounts) from None
        except Exception as error:
            raise PayhubError(
                f"the accounts could not be read: {type(error).__name__}",
                hint="see the mapping of accounts that the hub was given",
                account=plain(account),
            ) from error

    def _kept(self, account: str, provider: Provider, key: Merchant | None, bound: BoundT) -> BoundT:
        if key is not None and self._merchants.setdefault(key, account) != account:
            raise same_merchant(self._merchants[key], account, provider)
        while len(self._open) >= MOST_OPEN:
            self._drop(next(iter(self._open)))
        self._open[account] = bound
        if key is not None:
            self._keys[account] = key
        return bound

    def _drop(self, account: str) -> None:
        self._open.pop(account, None)
        key = self._keys.pop(account, None)
        if key is not None:
            self._merchants.pop(key, None)

    def __contains__(self, account: object) -> bool:
        return account in self.accounts

    @abstractmethod
    def _bind(self, account: str, provider: Provider) -> BoundT: ...

    def forget(self, account: str) -> None:
        """Drops what is open for an account, so that its next use asks the mapping anew.

        For a merchant that left or changed a key. A call under way ends with what it began with.
        """
        with self._lock:
            self._forgotten += 1
            self._drop(account)

    def _shut(self) -> None:
        self._closed = True
        self._open.clear()


class Hub(_BaseHub[BoundAccount]):
    """Payments through the configured accounts. Safe to share between threads, and usable after a fork.

    Close it, or use it in a ``with``.

    ``accounts`` is what `load_accounts` returned, or any mapping from names to providers: it is asked when the hub is
    first asked for a name, and again after `forget`. At most 1,024 accounts are kept open. ``extensions`` wrap every
    hook of every account, the first one outermost. ``client`` is your own HTTP client, which stays yours to close;
    without one the hub opens its own, with TLS verified.
    """

    def __init__(
        self, accounts: Mapping[str, Provider], *, extensions: Sequence[object] = (), client: Client | None = None
    ) -> None:
        super().__init__(accounts, extensions)
        _check_client(client, awaited=False)
        self._own: httpx.Client | None = _own_client() if client is None else None
        self._client: Client | None = self._own if client is None else client
        self._inherited: list[object] = []
        _hubs.add(self)

    def _bind(self, account: str, provider: Provider) -> BoundAccount:
        if self._client is None:
            self._client = self._own = _own_client()
        return BoundAccount(account, provider, self._extensions, Exchange, self._client)

    def create_payment(self, account: str, order: Order, *, created_at: datetime | None = None) -> Payment:
        """Asks the gateway for a payment of ``order``; ``next_action`` is what the payer does next.

        Raises InvalidOrder (nothing was sent), NotSent (safe to retry), Refused, or OutcomeUnknown (query first).
        Nothing is sent twice once it may have left. ``created_at`` (aware) is when you wrote the order down: some
        gateways want that time, and the same one again in a query or a refund.
        """
        return self[account].create_payment(order, created_at=created_at)

    def query(
        self,
        account: str,
        reference: str,
        *,
        gateway_id: str | None = None,
        expect: Order | None = None,
        created_at: datetime | None = None,
    ) -> Payment:
        """What the gateway knows of the order; with ``expect``, found to be about that order's amount and currency.

        ``gateway_id`` is the gateway's number, for gateways that look up by theirs; ``created_at`` (aware) is when the
        order was first sent, for those that can only be searched. Over plain http the answer is a hint and never PAID.
        Raises InvalidOrder (nothing was sent), NotFound or another GatewayError, which say nothing about the payment,
        and WrongOrder or WrongAmount. Asked up to three times, each time anew.
        """
        return self[account].query(reference, gateway_id=gateway_id, expect=expect, created_at=created_at)

    def parse_callback(self, account: str, callback: Callback, *, expect: Order | None = None) -> Notification:
        """Verifies a callback; with ``expect``, the order the shop holds, found to be about that order.

        Without ``expect`` the notification is not ``bound``: compare it yourself. Raises CallbackError: refuse the
        callback and change nothing; or GatewayError: something had to be fetched and was not, so let it be sent again.
        """
        return self[account].parse_callback(callback, expect=expect)

    def refund(
        self,
        account: str,
        reference: str,
        gateway_id: str | None,
        amount: Money,
        refund_reference: str,
        *,
        expect: Order | None = None,
        created_at: datetime | None = None,
        refund_created_at: datetime | None = None,
    ) -> Refund:
        """Asks the gateway to pay ``amount`` back; ``refund_reference`` is your number of this refund.

        It is the idempotency key: the same call again never pays back twice. Raises Unsupported or InvalidOrder
        (nothing was sent), NotSent (safe to repeat), Refused or NotFound (nothing came of it), or OutcomeUnknown (make
        the same call again). ``expect``, the order, and ``created_at``, when it was first sent, are for gateways that
        want the order's sum or time again; ``refund_created_at``, when you first asked for this refund and the same at
        each call, is for those that know a refund by its number and time.
        """
        return self[account].refund(
            reference,
            gateway_id,
            amount,
            refund_reference,
            expect=expect,
            created_at=created_at,
            refund_created_at=refund_created_at,
        )

    def close_payment(
        self,
        account: str,
        reference: str,
        gateway_id: str | None = None,
        *,
        expect: Order | None = None,
        created_at: datetime | None = None,
    ) -> Payment:
        """Asks the gateway to let nobody pay the order any more; the result is CANCELED.

        Raises Unsupported or InvalidOrder (nothing was sent), NotSent (safe to repeat), Refused (it may be paid
        already: query), NotFound, or OutcomeUnknown (query).
        """
        return self[account].close_payment(reference, gateway_id, expect=expect, created_at=created_at)

    def _forked(self) -> None:
        """Leaves the connections alone that belong to the process this one was forked from."""
        if self._own is not None:
            self._inherited.append(self._own)
            self._own = self._client = None
        # Another thread may have been holding the lock.
        self._lock, self._open, self._merchants, self._keys = threading.Lock(), {}, {}, {}

    def close(self) -> None:
        """Closes the HTTP client, unless it is yours."""
        self._shut()
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_extensions(extensions: object) -> None:
    """Raises ConfigError for what is no extension: it would wrap nothing, and nobody would notice."""
    if not isinstance(extensions, Sequence) or isinstance(extensions, str):
        raise ConfigError(f"extensions: expected a list, as in [Audit()], not {type(extensions).__name__}")
    for extension in extensions:
        if not check_hooks(extension, extension=True):
            kind = extension.__name__ if isinstance(extension, type) else type(extension).__name__
            hint = "mark its methods with @hookimpl(wrapper=True)"
            raise ConfigError(f"extensions: expected an object with hooks, {plain(kind)} has none", hint=hint)


def _check_client(client: object, *, awaited: bool) -> None:
    """Raises ConfigError for what is no client, or one of the other colour: of httpx, httpx2 or the application's."""
    if client is None:
        return
    kind = client if isinstance(client, type) else type(client)
    send = getattr(client, "send", None)
    # An async client's may be a plain function that gives an awaitable, so one that is not is known by its class.
    names = {it.__name__ for it in kind.__mro__}
    is_other = not awaited if iscoroutinefunction(send) else awaited and "Client" in names
    if is_other or not callable(send) or kind is client:
        hint = "pass httpx.Client() to Hub, httpx.AsyncClient() to AsyncHub"
        raise ConfigError(f"client: expected an HTTP client, not {kind.__name__}", hint=hint)


def _own_client() -> httpx.Client:
    from payhub_core.transport.deadline import bound  # noqa: PLC0415  httpcore is loaded when it is needed

    return bound(own_client(httpx.Client))


_hubs: WeakSet[Hub] = WeakSet()


def _forked() -> None:
    """Two processes on one connection would read each other's replies."""
    for hub in _hubs:
        hub._forked()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class _OwnAsyncClient:
    """A client for each event loop: a connection that one has opened answers nobody in another."""

    def __init__(self) -> None:
        self._clients = PerLoop(lambda: own_client(httpx.AsyncClient), httpx.AsyncClient.aclose)
        self.headers: httpx.Headers = self._clients.here().headers

    @property
    def send(self) -> Callable[..., Awaitable[httpx.Response]]:
        return self._clients.here().send

    async def aclose(self) -> None:
        await self._clients.aclose()


class AsyncHub(_BaseHub[AsyncBoundAccount]):
    """`Hub` for asyncio and trio: the same accounts, flows and errors, awaited. Without a ``client``, in any loop."""

    def __init__(
        self, accounts: Mapping[str, Provider], *, extensions: Sequence[object] = (), client: AsyncClient | None = None
    ) -> None:
        super().__init__(accounts, extensions)
        _check_client(client, awaited=True)
        self._own: _OwnAsyncClient | None = None
        if client is None:
            client = self._own = _OwnAsyncClient()
        self._client: AsyncClient = client

    def _bind(self, account: str, provider: Provider) -> AsyncBoundAccount:
        return AsyncBoundAccount(account, provider, self._extensions, AsyncExchange, self._client)

    async def create_payment(self, account: str, order: Order, *, created_at: datetime | None = None) -> Payment:
        """As `Hub.create_payment`. Cancelled half-way, the outcome is unknown: query before anything else."""
        return await self[account].create_payment(order, created_at=created_at)

    async def query(
        self,
        account: str,
        reference: str,
        *,
        gateway_id: str | None = None,
        expect: Order | None = None,
        created_at: datetime | None = None,
    ) -> Payment:
        """As `Hub.query`."""
        return await self[account].query(reference, gateway_id=gateway_id, expect=expect, created_at=created_at)

    async def parse_callback(self, account: str, callback: Callback, *, expect: Order | None = None) -> Notification:
        """As `Hub.parse_callback`."""
        return await self[account].parse_callback(callback, expect=expect)

    async def refund(
        self,
        account: str,
        reference: str,
        gateway_id: str | None,
        amount: Money,
        refund_reference: str,
        *,
        expect: Order | None = None,
        created_at: datetime | None = None,
        refund_created_at: datetime | None = None,
    ) -> Refund:
        """As `Hub.refund`."""
        return await self[account].refund(
            reference,
            gateway_id,
            amount,
            refund_reference,
            expect=expect,
            created_at=created_at,
            refund_created_at=refund_created_at,
        )

    async def close_payment(
        self,
        account: str,
        reference: str,
        gateway_id: str | None = None,
        *,
        expect: Order | None = None,
        created_at: datetime | None = None,
    ) -> Payment:
        """As `Hub.close_payment`."""
        return await self[account].close_payment(reference, gateway_id, expect=expect, created_at=created_at)

    async def aclose(self) -> None:
        """Closes the HTTP client, unless it is yours."""
        self._shut()
        if self._own is not None:
            await self._own.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
