"""The two checkouts, which differ in how they wait: their steps are the same."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta

import anyio

from payhub_core.checkout.arguments import check_handler, check_parts
from payhub_core.checkout.callbacks import receive, view
from payhub_core.checkout.checks import refresh
from payhub_core.checkout.closing import close_payment
from payhub_core.checkout.delivery import deliver
from payhub_core.checkout.reconciliation import Pass, Progress, Summary, reconcile, reconcile_async
from payhub_core.checkout.refunds import refund
from payhub_core.checkout.start import checked_routes, start
from payhub_core.checkout.steps import Ask, Deliver, Find, Pause, Record, Settle, Step, Write, play, play_async
from payhub_core.hub import AsyncHub, Hub
from payhub_core.ledger.handling import AsyncHandler, Handler, acalled, called
from payhub_core.ledger.ledger import Ledger, store_of
from payhub_core.ledger.models import Transition
from payhub_core.models import Callback, Order, Payment, Refund, Reply
from payhub_core.money import Money

__all__ = ["AsyncCheckout", "Checkout"]


class Checkout:
    """Payments that survive crashes, duplicates and lost answers: a `Hub` with a `Ledger`. Threads may share one.

    ``handler(transition, connection)`` runs in the transaction that records a transition, exactly once for each; give
    the application's own rows to ``connection`` and leave commit and rollback alone. Without one, transitions wait in
    the outbox for `deliver`. ``routes`` names accounts in the order in which `start` tries them.
    """

    def __init__(
        self,
        hub: Hub,
        ledger: Ledger,
        *,
        handler: Handler | None = None,
        routes: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        check_parts(hub, Hub, ledger)
        check_handler(handler, awaited=False)
        self.hub = hub
        self.ledger = ledger
        self._store = store_of(ledger)
        self.handler = handler
        self._routes = checked_routes(routes, hub)

    def start(self, account: str, order: Order) -> Payment:
        """Creates the payment of ``order`` once, at ``account`` or along a route of that name.

        Starting the same order again returns what is known, after asking the gateway where that is not clear. The order
        is written down before it is sent. ``{account}`` in its addresses becomes the account's name, which a route
        needs. Raises InvalidOrder (also for another order of the same reference), NotSent and Refused (nothing is at
        the gateway: start it again, with another method or sum if need be), OutcomeUnknown (start it again: that asks
        first), ConfigError, and LedgerError (the database failed before anything was sent).
        """
        return play(start(self.hub, self._routes, account, order, self.handler), self._do)

    def receive(self, account: str, callback: Callback) -> Reply:
        """Hears a notify and returns what to answer, byte for byte; the gateway's success only after the commit.

        The checkout's handler runs in the same transaction once for each transition. Where it or the database fails,
        nothing has happened and the reply makes the gateway resend. Raises ConfigError for an account that is not
        configured, and nothing else.
        """
        return play(receive(self.hub, account, callback, self.handler), self._do)

    def view(self, account: str, callback: Callback, *, reference: str | None = None) -> Payment:
        """What to show a payer who returns: the stored payment, and what the return claims in ``claimed_status``.

        Changes nothing. ``reference`` is that of the return address (``{reference}`` in ``return_url``). With it a
        return that proves nothing, since most gateways sign none, shows the stored payment all the same:
        ``claimed_status`` is then None, and whoever came may have guessed the reference, so show no more than the
        status. Raises WrongOrder for an order not started here, and without a ``reference`` CallbackError and
        GatewayError for a return that proves nothing.
        """
        return play(view(self.hub, account, callback, reference), self._do)

    def refresh(self, account: str, reference: str) -> Payment:
        """Asks the gateway now, records the answer and returns what is known; the handler runs as in `receive`.

        Of a payment that is still pending, ``claimed_status`` is what the gateway has just claimed, FAILED for a try
        that failed.
        Raises WrongOrder for an order not started here, NotFound and other GatewayErrors, LedgerError, ConfigError, and
        what the handler raised; all of them change nothing but when to ask next an order that is due. Asking before
        that puts nothing off.
        """
        return play(refresh(self.hub, account, reference, self.handler), self._do)

    def refund(self, account: str, reference: str, amount: Money, refund_reference: str) -> Refund:
        """Asks the gateway to pay ``amount`` back; ``refund_reference`` is your own number of this refund.

        It is the idempotency key: the same call again pays nothing back twice, and asks the gateway again unless the
        refund is known to be done. It is written to the history before it is sent, and its outcome after. A refund that
        is done is a transition, as any other status; the handler runs as in `receive`.

        Raises InvalidOrder (nothing was sent: an order not started here, nothing received, more than is left of it, or
        another sum under that number), Unsupported, NotSent, Refused and NotFound (nothing came of it), OutcomeUnknown
        (make the same call again), ConfigError, LedgerError (nothing was sent), and what the handler raised (the
        gateway has the refund, make the same call again).
        """
        return play(refund(self.hub, account, reference, amount, refund_reference, self.handler), self._do)

    def close_payment(self, account: str, reference: str) -> Payment:
        """Asks the gateway to let nobody pay the order any more, and returns what is known then.

        Written to the history before it is sent, and what came of it after; the handler runs as in `receive`. A payer
        may have been quicker: look at the ``status``. Raises InvalidOrder (nothing was sent: an order not started here,
        or money was received for it), Unsupported, NotSent, Refused and NotFound (nothing came of it), OutcomeUnknown
        (`refresh` it), ConfigError, LedgerError, and what the handler raised.
        """
        return play(close_payment(self.hub, account, reference, self.handler), self._do)

    def reconcile(
        self,
        *,
        older_than: timedelta = timedelta(0),
        limit: int = 1000,
        rate: float = 10.0,
        progress: Callable[[Progress], object] | None = None,
        account: str | None = None,
        time_limit: timedelta | None = None,
    ) -> Summary:
        """Asks about payments that are due to be asked about: ``limit`` at most, ``rate`` a second for each account.

        Safe in many processes at once. Accounts are asked side by side, and one that fails three times in a row, or
        whose gateway refuses the account, is left alone for this pass; ``errors`` of the summary says why.
        ``older_than`` spares orders that have only just been started; with ``account`` only its payments are asked
        about. After ``time_limit`` nothing more is asked about: what is still due is for the next pass, so that no
        account waits long for a slow one. Raises LedgerError, and ConfigError for a ``rate`` not above zero or a
        ``limit`` below it.
        """
        due = Pass(
            self.hub,
            self.handler,
            older_than=older_than,
            limit=limit,
            rate=rate,
            progress=progress,
            account=account,
            time_limit=time_limit,
        )
        return reconcile(due, self._do)

    def deliver(
        self,
        handler: Callable[[Transition], object] | None = None,
        *,
        limit: int = 100,
        progress: Callable[[Transition], object] | None = None,
    ) -> int:
        """Hands waiting transitions to ``handler``, at least once each, and returns how many it took.

        Without one the checkout's own handler has them, each in a transaction that notes it: exactly once, as in
        `receive`. One that raises is logged and comes again after 1, 2, 4 minutes ... a day; ``transition.id`` is the
        idempotency key. At most ``limit`` are tried, those first that have been due the longest.
        ``progress`` is called with each before it is tried. Raises LedgerError, and ConfigError where there is no
        handler at all.
        """
        return play(deliver(handler, self.handler, limit, progress, awaited=False), self._do)

    def _do(self, step: Step) -> object:  # noqa: PLR0911  one for each kind of step
        """One step outside."""
        match step:
            case Ask():
                return step.of(self.hub[step.account])
            case Find(account, reference):
                return self._store.find(account, reference)
            case Write(body):
                return self.ledger.write(body)
            case Record(record, handler):
                return self._store.record(record, handler)
            case Settle(row, news, handler):
                return self._store.settle(row, news, handler)
            case Deliver(handler, transition):
                return called(handler, transition)
            case Pause(seconds):
                return time.sleep(seconds)  # type: ignore[func-returns-value]


class AsyncCheckout:
    """`Checkout` for asyncio, which is what SQLAlchemy speaks: not for trio. Handlers are ``async``."""

    def __init__(
        self,
        hub: AsyncHub,
        ledger: Ledger,
        *,
        handler: AsyncHandler | None = None,
        routes: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        check_parts(hub, AsyncHub, ledger)
        check_handler(handler, awaited=True)
        self.hub = hub
        self.ledger = ledger
        self._store = store_of(ledger)
        self.handler = handler
        self._routes = checked_routes(routes, hub)

    async def start(self, account: str, order: Order) -> Payment:
        """As `Checkout.start`. Cancelled half-way, it stays *starting*: start it again, or let it be reconciled."""
        return await play_async(start(self.hub, self._routes, account, order, self.handler), self._do)

    async def receive(self, account: str, callback: Callback) -> Reply:
        """As `Checkout.receive`. Cancelled half-way, nothing is acknowledged and the gateway resends."""
        return await play_async(receive(self.hub, account, callback, self.handler), self._do)

    async def view(self, account: str, callback: Callback, *, reference: str | None = None) -> Payment:
        """As `Checkout.view`."""
        return await play_async(view(self.hub, account, callback, reference), self._do)

    async def refresh(self, account: str, reference: str) -> Payment:
        """As `Checkout.refresh`."""
        return await play_async(refresh(self.hub, account, reference, self.handler), self._do)

    async def refund(self, account: str, reference: str, amount: Money, refund_reference: str) -> Refund:
        """As `Checkout.refund`. Cancelled half-way, the outcome is unknown: make the same call again."""
        steps = refund(self.hub, account, reference, amount, refund_reference, self.handler)
        return await play_async(steps, self._do)

    async def close_payment(self, account: str, reference: str) -> Payment:
        """As `Checkout.close_payment`."""
        return await play_async(close_payment(self.hub, account, reference, self.handler), self._do)

    async def reconcile(
        self,
        *,
        older_than: timedelta = timedelta(0),
        limit: int = 1000,
        rate: float = 10.0,
        progress: Callable[[Progress], object] | None = None,
        account: str | None = None,
        time_limit: timedelta | None = None,
    ) -> Summary:
        """As `Checkout.reconcile`."""
        due = Pass(
            self.hub,
            self.handler,
            older_than=older_than,
            limit=limit,
            rate=rate,
            progress=progress,
            account=account,
            time_limit=time_limit,
        )
        return await reconcile_async(due, self._do)

    async def deliver(
        self,
        handler: Callable[[Transition], Awaitable[object]] | None = None,
        *,
        limit: int = 100,
        progress: Callable[[Transition], object] | None = None,
    ) -> int:
        """As `Checkout.deliver`."""
        return await play_async(deliver(handler, self.handler, limit, progress, awaited=True), self._do)

    async def _do(self, step: Step) -> object:  # noqa: PLR0911  one for each kind of step
        """One step outside, awaited."""
        match step:
            case Ask():
                return await step.of(self.hub[step.account])  # type: ignore[misc]
            case Find(account, reference):
                return await self._store.afind(account, reference)
            case Write(body):
                return await self.ledger.awrite(body)
            case Record(record, handler):
                return await self._store.arecord(record, handler)
            case Settle(row, news, handler):
                return await self._store.asettle(row, news, handler)
            case Deliver(handler, transition):
                return await acalled(handler, transition)
            case Pause(seconds):
                return await anyio.sleep(seconds)  # type: ignore[func-returns-value]
