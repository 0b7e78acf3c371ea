"""Starting: one order, at one account or along a route, created once whatever fails in between."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from payhub_core.checkout.hold import Hold, Taken
from payhub_core.checkout.plans import Ask, Pause, Plan, Store
from payhub_core.errors import (
    AccountRefused,
    ConfigError,
    GatewayError,
    InvalidOrder,
    LedgerError,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PayhubError,
    Refused,
)
from payhub_core.ledger import records
from payhub_core.ledger.rows import PLACE, Row, State, addressed
from payhub_core.models import Order, Payment
from payhub_core.registry import Accounts

__all__ = ["Starting"]

logger: logging.Logger = logging.getLogger("payhub.checkout")

_POLL = 0.05


class Starting:
    """What starting orders needs to know: the accounts, and the routes along them."""

    def __init__(self, accounts: Accounts, routes: Mapping[str, Iterable[str]]) -> None:
        self.accounts = accounts
        self.routes: dict[str, tuple[str, ...]] = {name: tuple(names) for name, names in routes.items()}
        for name, names in self.routes.items():
            if name in accounts:
                raise ConfigError(f"routes.{name}: there is an account of that name")
            if not names or len(set(names)) != len(names):
                raise ConfigError(f"routes.{name}: expected the names of accounts, each once")
            if unknown := [account for account in names if account not in accounts]:
                raise ConfigError(f"routes.{name}: there is no account {unknown[0]!r}")

    def start(self, name: str, order: Order, handler: object) -> Plan[Payment]:
        accounts = self.routes.get(name, (name,))
        if not isinstance(order, Order):
            raise InvalidOrder(f"expected an Order, not {type(order).__name__}", account=name)
        for url in (order.notify_url, order.return_url):
            # Each account's messages are verified with its own key, and so need an address of their own.
            if (len(accounts) > 1 and PLACE not in url) or set("{}") & set(url.replace(PLACE, "")):
                raise InvalidOrder(
                    f"an order's addresses say where the account's name belongs as {PLACE}; along a route both have to",
                    hint=f"https://shop.example/pay/{PLACE}/notify",
                    account=name,
                    reference=order.reference,
                )
        return (yield from Start(self.accounts, accounts, order, handler).plan())


class Start:
    """One start of one order: whom it asks, in which sequence, and what it makes of the answers."""

    def __init__(self, accounts: Accounts, route: tuple[str, ...], order: Order, handler: object) -> None:
        self.accounts = accounts
        self.route = route
        self.order = order
        self.handler = handler
        self.timeouts: dict[str, float] = self._usable()
        self.hold: Hold = Hold(accounts, route, self.timeouts, order)

    def plan(self) -> Plan[Payment]:
        try:
            payment = yield from self._started()
        except Exception:
            yield from self._given_back()
            raise
        if payment is None:
            raise self._unknown("it is being started elsewhere", self.route[0])
        return payment

    def _started(self) -> Plan[Payment | None]:
        """The payment; None where someone else has had the order all the time."""
        patience, waited = next(iter(self.timeouts.values())), 0.0
        while waited <= patience:
            taken = yield Store(self.hold.take)
            if isinstance(taken, Row):
                return taken.payment()
            if taken is not None:
                payment = yield from self._lead(taken)
                if payment is not None:
                    return payment
            yield Pause(_POLL)
            waited += _POLL
        return None

    def _usable(self) -> dict[str, float]:
        """The time-outs of the accounts whose plugins work; raises ConfigError where there is none."""
        usable: dict[str, float] = {}
        broken: ConfigError | None = None
        for account in self.route:
            try:
                usable[account] = self.accounts[account].timeout
            except ConfigError as error:
                broken = broken or error
        if broken is not None:
            if not usable:
                raise broken
            logger.error("an account is left out: %s", broken)
        return usable

    def _lead(self, taken: Taken) -> Plan[Payment | None]:
        """Asks about what may exist already, and only then creates; None where someone else has got ahead."""
        if taken.held:
            for row in taken.held:
                found = yield from self._asked(row)
                if found is not None:
                    return found
            # No gateway knows it, but what was sent may still be under way: it stays with that account.
            account = taken.held[0].account
            again: Row | None = yield Store(partial(self.hold.ready, account=account))
            return again and (yield from self._create(again, doubt=taken.doubt))
        *_, last = self.timeouts
        first = taken.row
        for account in self.timeouts:
            ready = first or (yield Store(partial(self.hold.ready, account=account)))
            if ready is None:
                return None
            first = None
            created = yield from self._create(ready, more=account != last)
            if created is not None:
                return created
        raise AssertionError("unreachable: the last account returns or raises")

    def _asked(self, row: Row) -> Plan[Payment | None]:
        """The payment that an earlier create may have left at the gateway; None where the gateway does not know it."""
        options = {"gateway_id": row.gateway_id, "expect": addressed(self.order, row.account)}
        try:
            payment = yield Ask(row.account, "query", (self.order.reference,), options)
        except NotFound:
            return None
        except PayhubError as error:
            raise (yield from self._doubted(row, error)) from error
        return (yield from self._created(row, payment, "query"))

    def _create(self, row: Row, *, more: bool = False, doubt: bool = False) -> Plan[Payment | None]:
        """The payment, or None where the next account may be tried, if there are ``more``.

        With ``doubt`` no failure is certain: what was sent before may yet arrive, and a refusal may mean "we have it".
        """
        try:
            payment = yield Ask(row.account, "create_payment", (addressed(self.order, row.account),))
        except PayhubError as error:
            if doubt:
                found = (yield from self._asked(row)) if isinstance(error, Refused) else None
                if found is not None:
                    return found
                raise (yield from self._doubted(row, error)) from error
            state = _state(error)
            yield from self._noted(row, error, state)
            if not more or not isinstance(error, NotSent | AccountRefused):
                raise
            logger.warning("trying the next account: %s", type(error).__name__, extra={"account": row.account})
            return None
        return (yield from self._created(row, payment, "create"))

    def _created(self, row: Row, payment: Payment, source: str) -> Plan[Payment]:
        news = records.heard(row, payment)

        def body(connection: Connection, tell: records.Tell | None) -> Row:
            now, fresh = datetime.now(UTC), records.again(connection, row)
            new = records.record(connection, fresh, payment, news, source, now, tell, release=self.hold.lease)
            self.hold.release(connection)
            return new

        try:
            new = yield Store(body, self.handler)
        except (LedgerError, records.HandlerFailed) as error:
            # The order is written down, and the gateway has it: the payer may go on, reconciliation does the rest.
            cause = error.__cause__ if isinstance(error, records.HandlerFailed) else error
            logger.error("the answer to a create was not recorded: %r", cause, extra={"account": row.account})  # noqa: TRY400
            yield from self._given_back()
            return payment
        stored: Payment = new.payment(payment.raw)
        return stored

    def _doubted(self, row: Row, error: PayhubError) -> Plan[OutcomeUnknown]:
        """Writes down that nobody can tell, which is also what is to be raised."""
        yield from self._noted(row, error, State.UNKNOWN)
        reason = "it is not known whether the gateway took this order, nor could it tell now"
        return self._unknown(reason, row.account)

    def _unknown(self, reason: str, account: str) -> OutcomeUnknown:
        hint = "start the same order again in a moment"
        return OutcomeUnknown(reason, hint=hint, account=account, reference=self.order.reference)

    def _noted(self, row: Row, error: PayhubError, state: State) -> Plan[None]:
        """Writes down how a create failed; where even that fails, the row still says that it is being created."""
        try:
            yield Store(partial(self.hold.failed, row=row, error=error, state=state))
        except LedgerError as failure:
            logger.error("the failure of a create was not recorded: %s", failure, extra={"account": row.account})  # noqa: TRY400

    def _given_back(self) -> Plan[None]:
        """Gives the lease back; where that fails, it ends by itself."""
        try:
            yield Store(self.hold.release)
        except LedgerError as error:
            logger.warning("a lease was not given back: %s", error)


def _state(error: PayhubError) -> State:
    """What became of a create that ended in ``error``; what is no GatewayError was raised before anything was sent."""
    if isinstance(error, Refused):
        return State.REFUSED
    return State.UNKNOWN if isinstance(error, GatewayError) and not isinstance(error, NotSent) else State.NOT_SENT
