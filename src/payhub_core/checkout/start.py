"""Starting: one order, at one account or along a route, created once whatever fails in between."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial

from sqlalchemy import Connection

from payhub_core.accounts import Accounts, route_faults, unknown_account
from payhub_core.checkout.lease import Lease, Leased, Usable
from payhub_core.checkout.outcomes import creation_after, is_final
from payhub_core.checkout.steps import AnyHub, Create, Pause, Record, Steps, Write, query
from payhub_core.errors import (
    AccountRefused,
    ConfigError,
    InvalidOrder,
    LedgerError,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PayhubError,
    Refused,
)
from payhub_core.ledger import changes
from payhub_core.ledger.models import Creation
from payhub_core.ledger.orders import addressed, check_addresses, check_sum
from payhub_core.ledger.rows import Row
from payhub_core.models import Order, Payment

__all__ = ["checked_routes", "start"]

logger: logging.Logger = logging.getLogger("payhub.checkout")

_POLL_SECONDS = 0.05

Routes = Mapping[str, tuple[str, ...]]


def checked_routes(routes: Mapping[str, Iterable[str]] | None, hub: AnyHub) -> Routes:
    """The routes, found to lead along accounts of ``hub``; raises ConfigError."""
    given: object = routes or {}
    if not isinstance(given, Mapping) or not all(map(_lists, given.values())):
        raise ConfigError('routes: expected accounts by the name of a route, as in {"card": ["shop", "outlet"]}')
    checked = {name: tuple(names) for name, names in (routes or {}).items()}
    for fault in route_faults(checked, hub.accounts):
        raise fault
    return checked


def _lists(names: object) -> bool:
    return isinstance(names, Iterable) and not isinstance(names, str)


def start(hub: AnyHub, routes: Routes, name: str, order: Order, handler: object) -> Steps[Payment]:
    """Creates the payment of ``order`` once, at the account of that name or along the route."""
    if not isinstance(name, str):
        raise unknown_account(name, hub.accounts)
    route = routes.get(name, (name,))
    if routes and name not in routes and isinstance(hub.accounts, dict | Accounts) and name not in hub:
        raise unknown_account(name, hub.accounts, routes=routes)
    if not isinstance(order, Order):
        raise InvalidOrder(f"expected an Order, not {type(order).__name__}", account=name)
    check_addresses(order, name, along_route=len(route) > 1)
    check_sum(order, name)
    return (yield from _Start(hub, route, order, handler).steps())


class _Start:
    """One start of one order: whom it asks, in which sequence, and what it makes of the answers."""

    def __init__(self, hub: AnyHub, route: tuple[str, ...], order: Order, handler: object) -> None:
        self.route = route
        self.order = order
        self.handler = handler
        self.usable: dict[str, Usable] = _usable(hub, route)
        self.lease: Lease = Lease(route, self.usable, order)
        #: Why the next account of the route is tried.
        self.failed: PayhubError | None = None

    def steps(self) -> Steps[Payment]:
        try:
            payment = yield from self._started()
        except Exception:
            yield from self._released()
            raise
        if payment is None:
            raise self._unknown("another start of it is under way", self.route[0])
        return payment

    def _started(self) -> Steps[Payment | None]:
        """The payment; None where someone else has had the order all the time."""
        patience, waited = next(iter(self.usable.values())).timeout, 0.0
        while waited <= patience:
            leased = yield Write(self.lease.take)
            if isinstance(leased, Row):
                return leased.payment()
            if leased is not None:
                payment = yield from self._lead(leased)
                if payment is not None:
                    return payment
            yield Pause(_POLL_SECONDS)
            waited += _POLL_SECONDS
        return None

    def _lead(self, leased: Leased) -> Steps[Payment | None]:
        """Asks about what may exist already, and only then creates; None where someone else has got ahead."""
        if leased.sent:
            for row in leased.sent:
                found = yield from self._found(row)
                if found is not None:
                    return found
            # No gateway knows it, but what was sent may still be under way: it stays with that account.
            account = leased.sent[0].account
            again: Row | None = yield Write(partial(self.lease.begin, account=account))
            return again and (yield from self._create(again, after=leased))
        *_, last = self.usable
        first = leased.row
        for account in self.usable:
            ready = first or (yield Write(partial(self.lease.begin, account=account)))
            if ready is None:
                return None
            first = None
            created = yield from self._create(ready, more=account != last)
            if created is not None:
                return created
        raise AssertionError("unreachable: the last account returns or raises")

    def _found(self, row: Row) -> Steps[Payment | None]:
        """The payment that an earlier create may have left at the gateway; None where the gateway does not know it."""
        try:
            payment = yield query(row, addressed(self.order, row.account))
        except NotFound:
            return None
        except PayhubError as error:
            raise (yield from self._doubted(row, error)) from error
        return (yield from self._recorded(row, payment, "query"))

    def _create(self, row: Row, *, more: bool = False, after: Leased | None = None) -> Steps[Payment | None]:
        """The payment, or None where the next account may be tried, if there are ``more``.

        ``after`` an unknown outcome only a refusal of the order itself is certain, and while what was sent before may
        yet arrive none is: it may mean "we have it".
        """
        try:
            order = addressed(self.order, row.account)
            payment = yield Create(row.account, order, row.time("created_at"), self.lease.ends)
        except PayhubError as error:
            if after is not None and (after.doubt or not is_final(error)):
                found = (yield from self._found(row)) if isinstance(error, Refused) else None
                if found is not None:
                    return found
                raise (yield from self._doubted(row, error)) from error
            recorded = yield from self._failed(row, error, creation_after(error))
            # An account that does not take such an order is passed over: the failure before it is the outcome.
            earlier = self.failed if isinstance(error, InvalidOrder) else None
            # What still says that it is being created here would be created here again, beside the next account.
            if not (recorded and more and (earlier or isinstance(error, NotSent | AccountRefused))):
                if earlier:
                    raise earlier from error
                raise
            self.failed = self.failed or error
            logger.warning("trying the next account: %s", type(error).__name__, extra={"account": row.account})
            return None
        return (yield from self._recorded(row, payment, "create"))

    def _recorded(self, row: Row, payment: Payment, source: str) -> Steps[Payment]:
        news = changes.heard(row, payment, source)

        def body(connection: Connection, handle: changes.Handle | None) -> Row:
            fresh = changes.again(connection, row)
            new = changes.record(connection, fresh, news, handle, lease=self.lease.token)
            self.lease.release(connection)
            return new

        try:
            new = yield Record(body, self.handler)
        except (LedgerError, changes.HandlerFailed) as error:
            # The order is written down, and the gateway has it: the payer may go on, reconciliation does the rest.
            cause = error.__cause__ if isinstance(error, changes.HandlerFailed) else error
            logger.error("the answer to a create was not recorded: %r", cause, extra={"account": row.account})  # noqa: TRY400
            yield from self._released()
            return payment
        stored: Payment = new.payment(payment.raw)
        return stored

    def _doubted(self, row: Row, error: PayhubError) -> Steps[OutcomeUnknown]:
        """Writes down that nobody can tell, which is also what is to be raised."""
        yield from self._failed(row, error, Creation.UNKNOWN)
        reason = "it is not known whether the gateway took this order, nor could it tell now"
        return self._unknown(reason, row.account, error.hint)

    def _unknown(self, reason: str, account: str, also: str = "") -> OutcomeUnknown:
        hint = "start the same order again in a moment"
        hint += f"; {also}" if also else ""
        return OutcomeUnknown(reason, hint=hint, account=account, reference=self.order.reference)

    def _failed(self, row: Row, error: PayhubError, creation: Creation) -> Steps[bool]:
        """Writes down how a create failed; False where even that fails, and the row still says *starting*."""
        try:
            yield Write(partial(self.lease.fail, row=row, error=error, creation=creation))
        except LedgerError as failure:
            logger.error("the failure of a create was not recorded: %s", failure, extra={"account": row.account})  # noqa: TRY400
            return False
        return True

    def _released(self) -> Steps[None]:
        """Gives the lease back; where that fails, it ends by itself."""
        try:
            yield Write(self.lease.release)
        except LedgerError as error:
            logger.warning("a lease was not given back: %s", error)


def _usable(hub: AnyHub, route: tuple[str, ...]) -> dict[str, Usable]:
    """The accounts whose plugins work; raises ConfigError where there is none."""
    usable: dict[str, Usable] = {}
    broken: ConfigError | None = None
    for name in route:
        try:
            account = hub[name]
            usable[name] = Usable(account.info.name, account.timeout)
        except ConfigError as error:
            broken = broken or error
    if broken is not None:
        if not usable:
            raise broken
        logger.error("an account is left out: %s", broken)
    return usable
