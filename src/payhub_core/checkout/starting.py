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
    """The order is ours to start: ``held`` are the rows that may hold it already, ``row`` is ready to be created.

    With ``doubt``, what was sent last may still be under way.
    """

    held: list[Row]
    row: Row | None = None
    doubt: bool = False


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
        self.held: timedelta = lease_time(*self.timeouts.values())

    def plan(self) -> Plan[Payment]:
        try:
            payment = yield from self._started()
        except Exception:
            yield from self._given_back()
            raise
        if payment is None:
            raise self._about(OutcomeUnknown("it is being started elsewhere", hint=_LATER), self.route[0])
        return payment

    def _started(self) -> Plan[Payment | None]:
        """The payment; None where someone else has had the order all the time."""
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

    def _take(self, connection: Connection, _tell: records.Tell | None) -> _Taken | Row | None:
        """The payment where it is known, None while someone else has the order; else the order is ours."""
        rows = self._rows(connection)
        _, content = order_texts(self.order) if rows else ("", "")
        for row in rows.values():
            if row.order_hash != content:
                error = InvalidOrder(
                    "this reference was started with other content", hint="use a new reference for a new order"
                )
                raise self._about(error, row.account)
            if row.state == State.CREATED:
                self._release(connection)
                return row
            self._check_provider(row)
        now = clock(connection)
        if any(row.busy(now, self.lease) for row in rows.values()) or not self._leased(connection, rows, now):
            self._release(connection)  # whoever waits holds up nobody
            return None
        held = [row for row in rows.values() if row.state in _HELD]
        if held:
            sent = [row.time("created_at") for row in held]
            return _Taken(held, doubt=any(time is None or now - time < self.held for time in sent))
        ready = self._ready(connection, None, next(iter(self.timeouts)), None if rows else rows)
        if ready is None:
            self._release(connection)
            return None
        return _Taken([], ready)

    def _rows(self, connection: Connection) -> dict[str, Row]:
        """What is written down of the order, by account."""
        found = {name: records.find(connection, name, self.order.reference) for name in self.route}
        return {name: row for name, row in found.items() if row is not None}

    def _leased(self, connection: Connection, rows: dict[str, Row], now: datetime) -> bool:
        """Takes or renews the lease on ``rows``, always in one sequence; False where someone else was quicker."""
        until = now + self.held
        return all(
            records.change(connection, rows[name], now, lease=self.lease, lease_until=until) for name in sorted(rows)
        )

    def _check_provider(self, row: Row) -> None:
        account = self.accounts[row.account] if row.account in self.timeouts else None
        if account is not None and account.info.name != row.provider:
            error = ConfigError(
                f"the order was started at provider {row.provider!r}, the account is now {account.info.name!r}",
                hint="keep the old account under its name until its orders are settled",
            )
            raise self._about(error, row.account)

    def _ready(
        self,
        connection: Connection,
        _tell: records.Tell | None,
        account: str,
        rows: dict[str, Row] | None = None,
    ) -> Row | None:
        """Writes down that the order is being created at ``account``; None where someone else has got ahead."""
        now = clock(connection)
        others = dict(self._rows(connection) if rows is None else rows)
        for row in others.values():
            if row.state == State.CREATED:
                return None
            if row.lease != self.lease and (row.busy(now, "") or row.state in _HELD):
                return None
        own = others.pop(account, None)
        if not self._leased(connection, others, now):
            return None
        until = now + self.held
        if own is not None:
            return records.restart(connection, own, lease=self.lease, until=until, now=now)
        provider = self.accounts[account].info.name
        return records.insert(connection, account, provider, self.order, lease=self.lease, until=until, now=now)

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
            return again and (yield from self._create(again, doubt=taken.doubt))
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
            raise (yield from self._unknown(row, error)) from error
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
                raise (yield from self._unknown(row, error)) from error
            state = _state(error)
            yield from self._noted(row, error, state)
            if not more or not (isinstance(error, NotSent) or (isinstance(error, Refused) and error.unavailable)):
                raise
            logger.warning("trying the next account: %s", type(error).__name__, extra={"account": row.account})
            return None
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
            cause = error.__cause__ if isinstance(error, records.HandlerFailed) else error
            logger.error("the answer to a create was not recorded: %r", cause, extra={"account": row.account})  # noqa: TRY400
            yield from self._given_back()
            return payment
        stored: Payment = new.payment(payment.raw)
        return stored

    def _unknown(self, row: Row, error: PayhubError) -> Plan[PayhubError]:
        """Writes down that nobody can tell, which is also what is to be raised."""
        yield from self._noted(row, error, State.UNKNOWN)
        reason = "it is not known whether the gateway took this order, nor could it tell now"
        return self._about(OutcomeUnknown(reason, hint=_LATER), row.account)

    def _noted(self, row: Row, error: PayhubError, state: State) -> Plan[None]:
        """Writes down how a create failed; where even that fails, the row still says that it is being created."""
        try:
            yield Store(partial(self._failed, row=row, error=error, state=state))
        except LedgerError as failure:
            logger.error("the failure of a create was not recorded: %s", failure, extra={"account": row.account})  # noqa: TRY400

    def _failed(
        self, connection: Connection, _tell: records.Tell | None, row: Row, error: PayhubError, state: State
    ) -> None:
        # An order that was never fit to be sent leaves its reference free, where nothing else is known of it.
        if not isinstance(error, GatewayError) and row.version == 0 and records.delete(connection, row):
            return
        now = clock(connection)
        check = now + records.FIRST_CHECK if state is State.UNKNOWN else None
        # Unless a message about the payment has come in meanwhile, or another start has taken over.
        while (found := records.again(connection, row)).state != State.CREATED and found.lease == self.lease:
            changed = records.change(connection, found, now, state=state.value, next_check_at=check)
            if changed is not None:
                records.note(connection, changed, "create", state.value, now, {"reason": error.message})
                break

    def _given_back(self) -> Plan[None]:
        """Gives the lease back; where that fails, it ends by itself."""
        try:
            yield Store(self._release)
        except LedgerError as error:
            logger.warning("a lease was not given back: %s", error)

    def _release(self, connection: Connection, _tell: records.Tell | None = None) -> None:
        """Gives the lease back, on every row that has it."""
        for account in sorted(self.route):
            while (row := records.find(connection, account, self.order.reference)) and row.lease == self.lease:
                if records.change(connection, row, _now(), lease=None, lease_until=None):
                    break

    def _about(self, error: PayhubError, account: str) -> PayhubError:
        error.account, error.reference = account, self.order.reference
        return error


def _state(error: PayhubError) -> State:
    """What became of a create that ended in ``error``; what is no GatewayError was raised before anything was sent."""
    if isinstance(error, Refused):
        return State.REFUSED
    return State.UNKNOWN if isinstance(error, GatewayError) and not isinstance(error, NotSent) else State.NOT_SENT


def _now() -> datetime:
    return datetime.now(UTC)
