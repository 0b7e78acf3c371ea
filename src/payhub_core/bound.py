"""A bound account: one account of a hub, its hooks called and given HTTP. The two differ in how they wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from math import inf
from typing import Any, Generic, TypeVar

from payhub_core.calls import Calls
from payhub_core.declaration import ProviderInfo
from payhub_core.errors import ConfigError, plain
from payhub_core.flow import run, run_async
from payhub_core.hookspecs import HOOKS, Provider
from payhub_core.models import Callback, Notification, Order, Payment, Refund
from payhub_core.money import Money
from payhub_core.retries import repeat, repeat_async, unanswered
from payhub_core.transport.exchange import AsyncExchange, Exchange

__all__ = ["AsyncBoundAccount", "Bound", "BoundAccount"]

ExchangeT = TypeVar("ExchangeT", Exchange, AsyncExchange)


class Bound(Generic[ExchangeT]):
    """What the two bound accounts share: what is known of the account, and its calls without their I/O."""

    def __init__(
        self, name: str, provider: Provider, extensions: Sequence[object], exchange: type[ExchangeT], client: Any
    ) -> None:
        self._calls = Calls(name, provider, extensions)
        self._exchange: type[ExchangeT] = exchange
        self._client = client
        self._exchanges: dict[str, ExchangeT] = {}

    def _exchanged(self, hook: str) -> ExchangeT:
        """How the requests of a hook are sent."""
        exchange = self._exchanges.get(hook)
        if exchange is None:
            rule, limit = HOOKS[hook], self.info.time_limits.get(hook)
            exchange = self._exchange(
                self._client, self.timeout, lost=rule.otherwise_after, repeated=rule.repeated, limit=limit
            )
            self._exchanges[hook] = exchange
        return exchange

    @property
    def name(self) -> str:
        """The account's name."""
        return self._calls.name

    @property
    def info(self) -> ProviderInfo:
        """What the account's provider declares."""
        return self._calls.provider.info

    @property
    def timeout(self) -> float:
        """Seconds to wait for the gateway's next byte."""
        return self._calls.provider.timeout

    def supports(self, hook: str) -> bool:
        """Whether the provider has a hook of this name, such as "refund"; raises ConfigError for a name of none."""
        if hook not in HOOKS:
            raise ConfigError(f"there is no hook {plain(hook)!r}", hint=f"the hooks are {', '.join(HOOKS)}")
        return hook in self._calls.supported


class BoundAccount(Bound[Exchange]):
    """One account of a `Hub`, as ``hub["shop"]``: its methods are the hub's, without the account's name."""

    def create_payment(self, order: Order, *, created_at: datetime | None = None) -> Payment:
        """As `Hub.create_payment`."""
        payment: Payment = self("create_payment", order=order, created_at=created_at)
        return payment

    def query(
        self,
        reference: str,
        *,
        gateway_id: str | None = None,
        expect: Order | None = None,
        created_at: datetime | None = None,
    ) -> Payment:
        """As `Hub.query`."""
        arguments = {"reference": reference, "gateway_id": gateway_id, "expect": expect, "created_at": created_at}
        until = self._exchanged("query").began()
        payment: Payment = repeat(partial(self, "query", until, **arguments), unanswered, until)
        return payment

    def parse_callback(self, callback: Callback, *, expect: Order | None = None) -> Notification:
        """As `Hub.parse_callback`."""
        parsed = self._calls.parse(callback, expect)
        if isinstance(parsed, Notification):
            return parsed
        return run(parsed, self._exchanged("parse_callback").sender())

    def refund(
        self,
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
        refund: Refund = self(
            "refund",
            reference=reference,
            gateway_id=gateway_id,
            amount=amount,
            refund_reference=refund_reference,
            expect=expect,
            created_at=created_at,
            refund_created_at=refund_created_at,
        )
        return refund

    def close_payment(
        self,
        reference: str,
        gateway_id: str | None = None,
        *,
        expect: Order | None = None,
        created_at: datetime | None = None,
    ) -> Payment:
        """As `Hub.close_payment`."""
        arguments = {"reference": reference, "gateway_id": gateway_id, "expect": expect, "created_at": created_at}
        payment: Payment = self("close", **arguments)
        return payment

    def __call__(self, hook: str, until: float = inf, /, **arguments: Any) -> Any:
        """Calls ``hook`` with its own arguments; nothing is sent after ``until``, in monotonic seconds."""
        flow = self._calls.flow(hook, **arguments)
        return run(flow, self._exchanged(hook).sender(until))


class AsyncBoundAccount(Bound[AsyncExchange]):
    """One account of an `AsyncHub`, as ``hub["shop"]``."""

    async def create_payment(self, order: Order, *, created_at: datetime | None = None) -> Payment:
        """As `Hub.create_payment`."""
        payment: Payment = await self("create_payment", order=order, created_at=created_at)
        return payment

    async def query(
        self,
        reference: str,
        *,
        gateway_id: str | None = None,
        expect: Order | None = None,
        created_at: datetime | None = None,
    ) -> Payment:
        """As `Hub.query`."""
        arguments = {"reference": reference, "gateway_id": gateway_id, "expect": expect, "created_at": created_at}
        until = self._exchanged("query").began()
        payment: Payment = await repeat_async(partial(self, "query", until, **arguments), unanswered, until)
        return payment

    async def parse_callback(self, callback: Callback, *, expect: Order | None = None) -> Notification:
        """As `Hub.parse_callback`."""
        parsed = self._calls.parse(callback, expect)
        if isinstance(parsed, Notification):
            return parsed
        return await run_async(parsed, self._exchanged("parse_callback").sender())

    async def refund(
        self,
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
        refund: Refund = await self(
            "refund",
            reference=reference,
            gateway_id=gateway_id,
            amount=amount,
            refund_reference=refund_reference,
            expect=expect,
            created_at=created_at,
            refund_created_at=refund_created_at,
        )
        return refund

    async def close_payment(
        self,
        reference: str,
        gateway_id: str | None = None,
        *,
        expect: Order | None = None,
        created_at: datetime | None = None,
    ) -> Payment:
        """As `Hub.close_payment`."""
        arguments = {"reference": reference, "gateway_id": gateway_id, "expect": expect, "created_at": created_at}
        payment: Payment = await self("close", **arguments)
        return payment

    async def __call__(self, hook: str, until: float = inf, /, **arguments: Any) -> Any:
        """As `BoundAccount.__call__`."""
        flow = self._calls.flow(hook, **arguments)
        return await run_async(flow, self._exchanged(hook).sender(until))
