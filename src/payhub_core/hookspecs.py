"""The hook specification: one typed Protocol that is pluggy's namespace, the static type and the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import pluggy

from payhub_core.flow import Flow
from payhub_core.models import Callback, Notification, Order, Payment, PaymentMethod, Reply

__all__ = ["Provider", "ProviderInfo", "hookimpl", "hookspec"]

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker("payhub")
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker("payhub")

API_VERSION = 1

_REFUSED = Reply(b"refused", status_code=400)
_RETRY = Reply(b"try again", status_code=503)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """What a provider says of itself, as data.

    ``name`` is its entry point's name. ``identity`` names the settings that tell one merchant from another: two
    accounts that agree in them are refused. ``refused`` and ``retry`` are the answers to a callback that is not
    believed and to one that could not be stored now; ``api_version`` is the version of these hooks it was written for.
    """

    name: str
    title: str
    methods: frozenset[PaymentMethod]
    currencies: frozenset[str]
    capabilities: frozenset[str] = frozenset()
    identity: tuple[str, ...] = ()
    refused: Reply = _REFUSED
    retry: Reply = _RETRY
    api_version: int = API_VERSION


class Provider(Protocol):
    """A gateway's plugin: a frozen object whose fields are the account's settings and whose methods are the hooks.

    Each hook either returns its result or is a flow that ends in it. A hook leaves out arguments it does not need.
    Extensions implement the same hooks as wrappers, and see ``account``, the name the application chose.
    """

    info: ClassVar[ProviderInfo]

    @property
    def timeout(self) -> float:
        """Seconds to wait for the gateway's next byte; a whole exchange may take twice as long."""
        ...

    @hookspec(firstresult=True)
    def create_payment(self, account: str, order: Order) -> Payment | Flow[Payment]:
        """Asks the gateway for a payment of ``order``; the result's ``next_action`` is what the payer does next.

        Raises InvalidOrder before any request, Refused where the gateway says no. Whatever else goes wrong after a
        request has left, the core turns into OutcomeUnknown.
        """
        ...

    @hookspec(firstresult=True)
    def parse_callback(
        self, account: str, callback: Callback, expect: Order | None
    ) -> Notification | Flow[Notification]:
        """Verifies ``callback`` and says what it means; raises CallbackError unless it is proved genuine.

        The core compares the result with ``expect``, keeps a return from settling anything, and tells underpaid from
        paid: a provider only reports what the message states.
        """
        ...

    @hookspec(firstresult=True)
    def query(
        self, account: str, reference: str, gateway_id: str | None, expect: Order | None
    ) -> Payment | Flow[Payment]:
        """Asks the gateway what it knows of ``reference``; raises NotFound, or another GatewayError."""
        ...
