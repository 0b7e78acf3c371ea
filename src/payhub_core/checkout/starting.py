"""Starting: one order, at one account or along a route, created once whatever fails in between."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from payhub_core.checkout.plans import Ask, Pause, Plan, Store
from payhub_core.errors import (
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
from payhub_core.ledger.database import clock
from payhub_core.ledger.rows import PLACE, Row, State, addressed, order_texts
from payhub_core.models import Order, Payment
from payhub_core.registry import Accounts

__all__ = ["Starting", "lease_time"]

logger: logging.Logger = logging.getLogger("payhub.checkout")

_POLL = 0.05
_HELD = {State.STARTING, State.UNKNOWN}
_LATER = "start the same order again in a moment"


def lease_time(*timeouts: float) -> timedelta:
    """How long asking accounts with these time-outs may take: each for six of them, and the pauses between tries."""
    return timedelta(seconds=sum(8 * timeout + 10 for timeout in timeouts))


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
        if len(accounts) > 1 and PLACE not in order.notify_url:
            # Each account's messages are verified with its own key, and so need an address of their own.
            raise InvalidOrder(
                f"along a route the notify_url says where the account's name belongs, as {PLACE}",
                hint=f"https://shop.example/pay/{PLACE}/notify",
                account=name,
                reference=order.reference,
            )
        return (yield from Start(self.accounts, accounts, order, handler).plan())


@dataclass(frozen=True, slots=True)
class _Taken:
    """The order is ours to start: ``held`` are the rows that may hold it already, ``row`` is ready to be created."""

    held: list[Row]
    row: Row | None


class Start:
    """One start of one order: its plan, and what it writes down at each step.

    Its lease is on every row of the order along the route, so that no other start of the order sends anything.
    """

    def __init__(self, accounts: Accounts, route: tuple[str, ...], order: Order, handler: object) -> None:
        self.accounts = accounts
        self.route = route
        self.order = order
        self.handler = handler
        self.lease: str = secrets.token_hex(8)
        self.timeouts: dict[str, float] = self._usable()

    def plan(self) -> Plan[Payment]:
        patience, waited = next(iter(self.timeouts.values())), 0.0
        while waited <= patience:
            taken = yield Store(self._take)
            if isinstance(taken, Row):
                return taken.payment()
            if taken is not None:
                payment = yield from self._lead(taken)
                if payment is not None:
                    return payment
            yield Pause(_POLL)
            waited += _POLL
        yield Store(self._release)
        raise self._about(OutcomeUnknown("it is being started elsewhere", hint=_LATER), self.route[0])

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

    def _take(self, connection: Connection, _tell: records.Tell | None) -> _Taken | Row | None:
        """The payment where it is known, None while someone else has the order; else the order is ours."""
        now = clock(connection)
        rows = [row for account in self.route if (row := records.find(connection, account, self.order.reference))]
        _, content = order_texts(self.order) if rows else ("", "")
        for row in rows:
            if row.order_hash != content:
                error = InvalidOrder(
                    "this reference was started with other content", hint="use a new reference for a new order"
                )
                raise self._about(error, row.account)
            if row.state == State.CREATED:
                self._release(connection)
                return row
        if any(row.busy(now, self.lease) for row in rows):
            return None
        for row in rows:
            self._check_provider(row)
            lease_until = now + lease_time(*self.timeouts.values())
            if not records.change(connection, row, now, lease=self.lease, lease_until=lease_until):
                return None
        held = [row for row in rows if row.state in _HELD]
        if held:
            return _Taken(held, None)
        row = self._ready(connection, None, next(iter(self.timeouts)))
        return None if row is None else _Taken([], row)

    def _check_provider(self, row: Row) -> None:
        account = self.accounts[row.account] if row.account in self.timeouts else None
        if account is not None and account.info.name != row.provider:
            error = ConfigError(
                f"the order was started at provider {row.provider!r}, the account is now {account.info.name!r}",
                hint="keep the old account under its name until its orders are settled",
            )
            raise self._about(error, row.account)

    def _ready(self, connection: Connection, _tell: records.Tell | None, account: str) -> Row | None:
        """Writes down that the order is being created at ``account``; None where someone else has got ahead there."""
        now = clock(connection)
        until = now + lease_time(*self.timeouts.values())
        row = records.find(connection, account, self.order.reference)
        if row is None:
            provider = self.accounts[account].info.name
            return records.insert(connection, account, provider, self.order, lease=self.lease, until=until, now=now)
        if row.state == State.CREATED or (row.lease != self.lease and (row.busy(now, "") or row.state in _HELD)):
            return None
        return records.restart(connection, row, lease=self.lease, until=until, now=now)

    def _lead(self, taken: _Taken) -> Plan[Payment | None]:
        """Asks about what may exist already, and only then creates; None where someone else has got ahead."""
        if taken.held:
            for row in taken.held:
                found = yield from self._asked(row)
                if found is not None:
                    return found
            # No gateway knows it, but what was sent may still be under way: it stays with that account.
            account = taken.held[0].account
            again: Row | None = yield Store(partial(self._ready, account=account))
            return again and (yield from self._create(again, doubt=True))
        *_, last = self.timeouts
        first = taken.row
        for account in self.timeouts:
            ready = first or (yield Store(partial(self._ready, account=account)))
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
            yield from self._noted(row, error, State.UNKNOWN)
            unknown = OutcomeUnknown("it is not known whether the gateway took this order, nor could it tell now")
            raise self._about(unknown, row.account) from error
        return (yield from self._created(row, payment, "query"))

    def _create(self, row: Row, *, more: bool = False, doubt: bool = False) -> Plan[Payment | None]:
        """The payment, or None where the next account may be tried, if there are ``more``.

        With ``doubt``, since an earlier create may have arrived, only a query tells a refusal from "we have it".
        """
        try:
            payment = yield Ask(row.account, "create_payment", (addressed(self.order, row.account),))
        except GatewayError as error:
            if doubt and isinstance(error, Refused):
                found = yield from self._asked(row)
                if found is not None:
                    return found
                doubt = False
            more &= isinstance(error, NotSent) or (isinstance(error, Refused) and error.unavailable)
            yield from self._noted(row, error, State.UNKNOWN if doubt else _state(error), more=more)
            if not more:
                raise
            logger.warning("trying the next account: %s", type(error).__name__, extra={"account": row.account})
            return None
        except (InvalidOrder, ConfigError) as error:
            yield from self._noted(row, error, State.UNKNOWN if doubt else State.NOT_SENT, withdraw=not doubt)
            raise
        return (yield from self._created(row, payment, "create"))

    def _created(self, row: Row, payment: Payment, source: str) -> Plan[Payment]:
        news = records.heard(row, payment)

        def body(connection: Connection, tell: records.Tell | None) -> Row:
            now, fresh = _now(), records.again(connection, row)
            new = records.record(connection, fresh, payment, news, source, now, tell, release=self.lease)
            self._release(connection)
            return new

        try:
            new = yield Store(body, self.handler)
        except (LedgerError, records.HandlerFailed) as error:
            # The order is written down, and the gateway has it: the payer may go on, reconciliation does the rest.
            logger.error("the answer to a create was not recorded: %s", error, extra={"account": row.account})  # noqa: TRY400
            return payment
        stored: Payment = new.payment(payment.raw)
        return stored

    def _noted(
        self, row: Row, error: PayhubError, state: State, *, more: bool = False, withdraw: bool = False
    ) -> Plan[None]:
        """Writes down how a create failed; where even that fails, the row still says that it is being created."""
        try:
            yield Store(partial(self._failed, row=row, error=error, state=state, more=more, withdraw=withdraw))
        except LedgerError as failure:
            logger.error("the failure of a create was not recorded: %s", failure, extra={"account": row.account})  # noqa: TRY400

    def _failed(
        self,
        connection: Connection,
        _tell: records.Tell | None,
        row: Row,
        error: PayhubError,
        state: State,
        *,
        more: bool,
        withdraw: bool,
    ) -> None:
        now = clock(connection)
        check = now + records.FIRST_CHECK if state is State.UNKNOWN else None
        # An order that was never fit to be sent leaves its reference free, where nothing else is known of it.
        if not (withdraw and row.version == 0 and records.delete(connection, row)):
            # Unless a message about the payment has come in meanwhile, or another start has taken over.
            while (found := records.again(connection, row)).state != State.CREATED and found.lease == self.lease:
                changed = records.change(connection, found, now, state=state.value, next_check_at=check)
                if changed is not None:
                    records.note(connection, changed, "create", state.value, now, {"reason": error.message})
                    break
        if not more:
            self._release(connection)

    def _release(self, connection: Connection, _tell: records.Tell | None = None) -> None:
        """Gives the lease back, on every row that has it."""
        for account in self.route:
            while (row := records.find(connection, account, self.order.reference)) and row.lease == self.lease:
                if records.change(connection, row, _now(), lease=None, lease_until=None):
                    break

    def _about(self, error: PayhubError, account: str) -> PayhubError:
        error.account, error.reference = account, self.order.reference
        return error


def _state(error: PayhubError) -> State:
    if isinstance(error, NotSent):
        return State.NOT_SENT
    return State.REFUSED if isinstance(error, Refused) else State.UNKNOWN


def _now() -> datetime:
    return datetime.now(UTC)
