"""The hooks: what a provider implements, and one table of what the core makes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

import pluggy

from payhub_core.declaration import ProviderInfo
from payhub_core.errors import (
    BadSignature,
    CallbackError,
    ConfigError,
    GatewayError,
    InvalidOrder,
    MalformedCallback,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PayhubError,
    Refused,
    WrongAccount,
    WrongAmount,
    WrongOrder,
)
from payhub_core.flow import Flow
from payhub_core.models import Callback, Notification, Order, Payment, Refund
from payhub_core.money import Money

__all__ = [
    "HOOKS",
    "Hook",
    "Provider",
    "Specification",
    "SupportsCandidates",
    "SupportsClose",
    "SupportsRefund",
    "hookimpl",
    "hookspec",
]

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker("payhub")
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker("payhub")


class Specification(Protocol):
    """Every hook with every argument it may name.

    A hook returns its result, or is a flow that ends in it. It leaves out arguments that it does not need. Later
    versions of payhub add arguments and optional hooks; neither breaks a provider that was written before.
    """

    @hookspec(firstresult=True)
    def create_payment(self, account: str, order: Order, created_at: datetime | None) -> Payment | Flow[Payment]:
        """Asks the gateway for a payment of ``order``; the result's ``next_action`` is what the payer does next.

        ``created_at`` is now, as the other hooks are told it later: for a gateway that wants the time of an order, and
        wants it again. It is None where the caller keeps no ledger.

        Raises InvalidOrder before any request, Refused or AccountRefused where the gateway says no. Whatever else goes
        wrong after a request has left, the core turns into OutcomeUnknown.
        """
        ...

    @hookspec(firstresult=True)
    def parse_callback(
        self, account: str, callback: Callback, expect: Order | None
    ) -> Notification | Flow[Notification]:
        """Verifies ``callback`` and says what it means; raises CallbackError unless it is proved genuine.

        The core compares the result with ``expect``, keeps a return from settling anything, and tells underpaid from
        paid: a provider only reports what the message states, of a payment or of one refund. A message that only names
        a payment is believed by asking the gateway: yield the request. What goes wrong after a request has left is a
        GatewayError, so that the gateway sends the message again.
        """
        ...

    @hookspec(firstresult=True)
    def query(
        self,
        account: str,
        reference: str,
        gateway_id: str | None,
        expect: Order | None,
        created_at: datetime | None,
    ) -> Payment | Flow[Payment]:
        """Asks the gateway what it knows of ``reference``; raises NotFound, or another GatewayError.

        ``gateway_id`` is the gateway's number, where it is known: a hook that names it looks up by it, and the core
        finds the answer to be about it. ``created_at`` is when the order was first sent, where that is known: payments
        made before then need not be searched. The hook is called anew for every try, so each is signed afresh.
        """
        ...

    @hookspec(firstresult=True)
    def refund(
        self,
        account: str,
        reference: str,
        gateway_id: str | None,
        amount: Money,
        refund_reference: str,
        expect: Order | None,
        created_at: datetime | None,
        refund_created_at: datetime | None,
    ) -> Refund | Flow[Refund]:
        """Optional: asks the gateway to pay ``amount`` back to the payer of ``reference``.

        ``expect`` is the order and ``created_at`` when it was first sent, as `query` is told them: for a gateway that
        wants the order's sum or time beside the refund's. ``refund_created_at`` is when this refund was first asked
        for, the same in each call: for a gateway that knows it by its number and time, where the clock's would make
        another refund of it. It is None where the caller keeps no ledger.

        ``refund_reference`` is the shop's number of this refund: send it as the gateway's idempotency key, so that the
        same call again never pays back twice. Raises Refused, AccountRefused or NotFound where the gateway says no.
        Whatever else goes wrong after a request has left, the core turns into OutcomeUnknown.
        """
        ...

    @hookspec(firstresult=True)
    def close(
        self,
        account: str,
        reference: str,
        gateway_id: str | None,
        expect: Order | None,
        created_at: datetime | None,
    ) -> Payment | Flow[Payment]:
        """Optional: asks the gateway to let nobody pay ``reference`` any more; returns what it is then, CANCELED.

        ``expect`` and ``created_at`` are as for `query`.
        Raises Refused where it is paid already, NotFound where the gateway does not know it. Whatever else goes wrong
        after a request has left, the core turns into OutcomeUnknown.
        """
        ...


class Provider(Protocol):
    """A gateway's plugin: a frozen object whose fields are the account's settings and whose methods are the hooks.

    These three hooks every provider has; `SupportsRefund` and `SupportsClose` are optional. `Specification` says what a
    hook is passed; each names the arguments that it needs.
    """

    info: ClassVar[ProviderInfo]

    @property
    def timeout(self) -> float:
        """Seconds to wait for the gateway's next byte; a whole exchange may take twice as long."""
        ...

    @property
    def create_payment(self) -> Callable[..., Payment | Flow[Payment]]:
        """As `Specification.create_payment`."""
        ...

    @property
    def parse_callback(self) -> Callable[..., Notification | Flow[Notification]]:
        """As `Specification.parse_callback`."""
        ...

    @property
    def query(self) -> Callable[..., Payment | Flow[Payment]]:
        """As `Specification.query`."""
        ...


class SupportsRefund(Protocol):
    """A provider whose gateway can be asked for refunds."""

    @property
    def refund(self) -> Callable[..., Refund | Flow[Refund]]:
        """As `Specification.refund`."""
        ...


class SupportsClose(Protocol):
    """A provider whose gateway can be asked to close an order."""

    @property
    def close(self) -> Callable[..., Payment | Flow[Payment]]:
        """As `Specification.close`."""
        ...


class SupportsCandidates(Protocol):
    """A provider that can say how others of its gateway's family sign; no payment needs it, so it is marked no hook."""

    def signature_candidates(self, callback: Callback) -> Iterable[tuple[str, bool]]:
        """Each usual way to sign ``callback`` with a key of this account, and whether its signature is the one there.

        A way is named by how it deviates, "" where it does not; behind ": " may follow what to do. It is asked for by a
        person who looks for the cause of a BadSignature, so it may take a second, and reads what `parse_callback`
        refuses. A name never holds a key, nor a signature that would be right.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What the core makes of one hook.

    ``result`` is what it ends in. ``always`` are the errors that it may raise at any time, ``before_sending`` those
    that it may raise only while no request can have left. Any other error becomes ``otherwise_before``, or
    ``otherwise_after`` once a request may have left. A hook that is ``repeated`` is called again after an answer that
    was lost.
    """

    result: type[Payment | Notification | Refund]
    always: tuple[type[PayhubError], ...]
    before_sending: tuple[type[PayhubError], ...]
    otherwise_before: type[PayhubError]
    otherwise_after: type[GatewayError]
    required: bool = False
    repeated: bool = False


_BEFORE = (InvalidOrder, ConfigError, NotSent)

#: The one table of hooks: what is implemented, called, wrapped and checked is read off it.
HOOKS: dict[str, Hook] = {
    "create_payment": Hook(
        result=Payment,
        always=(Refused, OutcomeUnknown),
        before_sending=_BEFORE,
        otherwise_before=NotSent,
        otherwise_after=OutcomeUnknown,
        required=True,
    ),
    "parse_callback": Hook(
        result=Notification,
        # Once something was fetched, what cannot be read may be the answer: the gateway is to send the message again.
        always=(BadSignature, WrongAccount, WrongOrder, WrongAmount, GatewayError, ConfigError),
        before_sending=(CallbackError,),
        otherwise_before=MalformedCallback,
        otherwise_after=GatewayError,
        required=True,
    ),
    "query": Hook(
        result=Payment,
        always=(GatewayError, CallbackError, ConfigError),
        before_sending=_BEFORE,
        otherwise_before=GatewayError,
        otherwise_after=GatewayError,
        required=True,
        repeated=True,
    ),
    "refund": Hook(
        result=Refund,
        always=(Refused, NotFound, OutcomeUnknown),
        before_sending=_BEFORE,
        otherwise_before=NotSent,
        otherwise_after=OutcomeUnknown,
    ),
    "close": Hook(
        result=Payment,
        always=(Refused, NotFound, OutcomeUnknown),
        before_sending=_BEFORE,
        otherwise_before=NotSent,
        otherwise_after=OutcomeUnknown,
    ),
}
