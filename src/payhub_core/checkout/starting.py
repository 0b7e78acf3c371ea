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
from payhub_core.ledger.rows import Row, State, order_texts
from payhub_core.ledger.tables import utc
from payhub_core.models import Order, Payment
from payhub_core.registry import Accounts

__all__ = ["LEASE_TIMEOUTS", "Starting"]

logger: logging.Logger = logging.getLogger("payhub.checkout")

_POLL = 0.05
_ELSEWHERE = "it is being started elsewhere"
_LATER = "start the same order again in a moment"
#: A create waits for up to six of the account's time-outs: three tries of twice the time-out each.
LEASE_TIMEOUTS = 8


@dataclass(frozen=True, slots=True)
class _Lead:
    """Who may talk to the gateway now: the holder of the lease on ``lock``; ``holder`` may already be payable."""

    lock: Row
    holder: Row | None


class Starting:
    """The plan of starting an order, and what it writes down at each step."""

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
        seconds = LEASE_TIMEOUTS * sum(self.accounts[account].timeout for account in accounts)
        if not isinstance(order, Order):
            raise InvalidOrder(f"expected an Order, not {type(order).__name__}", account=name)
        lease, waited = secrets.token_hex(8), 0.0
        while True:
            lead = yield Store(partial(self._lead, accounts=accounts, order=order, lease=lease, seconds=seconds))
            if isinstance(lead, Row):
                return lead.payment()
            if lead is not None:
                return (yield from self._led(lead, accounts, order, lease, handler))
            if waited >= seconds:
                raise OutcomeUnknown(_ELSEWHERE, hint=_LATER, account=accounts[0], reference=order.reference)
            yield Pause(_POLL)
            waited += _POLL

    def _lead(
        self,
        connection: Connection,
        _tell: records.Tell | None,
        accounts: tuple[str, ...],
        order: Order,
        lease: str,
        seconds: float,
    ) -> _Lead | Row | None:
        """The payment where it is known, the lead where it is ours to take, None while someone else has it."""
        now = _now()
        until = now + timedelta(seconds=seconds)
        rows = [row for account in accounts if (row := records.find(connection, account, order.reference))]
        _, content = order_texts(order) if rows else ("", "")
        for row in rows:
            if row.order_hash != content:
                raise InvalidOrder(
                    "this reference was started with other content",
                    hint="use a new reference for a new order",
                    account=row.account,
                    reference=row.reference,
                )
            if row.state == State.CREATED:
                return row
        if any(row.busy(now) for row in rows):
            return None
        if not rows or rows[0].account != accounts[0]:
            lock = records.insert(
                connection,
                accounts[0],
                self.accounts[accounts[0]].info.name,
                order,
                lease=lease,
                until=until,
                now=now,
            )
        else:
            lock = records.change(connection, rows[0], now, lease=lease, lease_until=until)
        if lock is None:
            return None
        held = {State.STARTING, State.UNKNOWN}
        return _Lead(lock, next((row for row in rows if row.state in held), None))

    def _led(self, lead: _Lead, accounts: tuple[str, ...], order: Order, lease: str, handler: object) -> Plan[Payment]:
        """Asks about what may exist already, and only then creates, account by account."""
        if lead.holder is not None:
            found = yield from self._asked(lead.holder, lead.lock, order, lease, handler)
            if found is not None:
                return found
            # The gateway does not know it: the same account again, and those after it.
            accounts = accounts[accounts.index(lead.holder.account) :]
        for account in accounts:
            row = lead.lock
            if account != row.account:
                row = yield Store(partial(self._next, account=account, lock=row, order=order, lease=lease))
                if row is None:
                    raise _about(OutcomeUnknown(_ELSEWHERE, hint=_LATER), lead.lock)
            more = account != accounts[-1]
            created = yield from self._create(row, lead.lock, order, lease, handler, more=more)
            if created is not None:
                return created
        raise AssertionError("unreachable: the last account returns or raises")

    def _asked(self, holder: Row, lock: Row, order: Order, lease: str, handler: object) -> Plan[Payment | None]:
        """The payment that an earlier start may have left at the gateway; None where the gateway does not know it."""
        options = {"gateway_id": holder.gateway_id, "expect": order}
        try:
            payment = yield Ask(holder.account, "query", (order.reference,), options)
        except NotFound:
            return None
        except PayhubError as error:
            yield Store(partial(self._failed, row=holder, lock=lock, lease=lease, error=error))
            unknown = OutcomeUnknown("it is not known whether the gateway took this order, nor could it tell now")
            raise _about(unknown, holder) from error
        return (yield from self._created(holder, lock, payment, "query", lease, handler))

    def _create(
        self, row: Row, lock: Row, order: Order, lease: str, handler: object, *, more: bool
    ) -> Plan[Payment | None]:
        """The payment, or None where the next account may be tried, if there are ``more``."""
        try:
            payment = yield Ask(row.account, "create_payment", (order,))
        except GatewayError as error:
            more &= isinstance(error, NotSent) or (isinstance(error, Refused) and error.unavailable)
            yield Store(partial(self._failed, row=row, lock=lock, lease=lease, error=error, more=more))
            if not more:
                raise
            logger.warning("trying the next account: %s", type(error).__name__, extra={"account": row.account})
            return None
        except (InvalidOrder, ConfigError):
            yield Store(partial(self._withdrawn, row=row, lock=lock, lease=lease))
            raise
        return (yield from self._created(row, lock, payment, "create", lease, handler))

    def _created(
        self, row: Row, lock: Row, payment: Payment, source: str, lease: str, handler: object
    ) -> Plan[Payment]:
        news = records.heard(row, payment)

        def body(connection: Connection, tell: records.Tell | None) -> Row:
            now, fresh = _now(), records.again(connection, row)
            new = records.record(connection, fresh, payment, news, source, now, tell, release=lease)
            if lock.id != row.id:
                self._release(connection, lock, lease, now)
            return new

        try:
            new = yield Store(body, handler)
        except (LedgerError, records.HandlerFailed) as error:
            # The order is written down, and the gateway has it: the payer may go on, reconciliation does the rest.
            logger.error("the answer to a create was not recorded: %s", error, extra={"account": row.account})  # noqa: TRY400
            return payment
        stored: Payment = new.payment(payment.raw)
        return stored

    def _next(
        self, connection: Connection, _tell: records.Tell | None, account: str, lock: Row, order: Order, lease: str
    ) -> Row | None:
        """The row of the route's next account, ready to start, or None where its turn is not ours."""
        now = _now()
        until = utc(lock.lease_until) or now
        provider = self.accounts[account].info.name
        row = records.insert(connection, account, provider, order, lease=lease, until=until, now=now)
        if row is None and (row := records.find(connection, account, order.reference)) is not None:
            state = State.STARTING.value
            row = records.change(connection, row, now, state=state, lease=lease, lease_until=until)
        return row

    def _failed(
        self,
        connection: Connection,
        _tell: records.Tell | None,
        row: Row,
        lock: Row,
        lease: str,
        error: PayhubError,
        *,
        more: bool = False,
    ) -> None:
        """Writes down how a create failed, unless a message about the payment has come in meanwhile."""
        now = _now()
        state = _state(error)
        check = now + records.FIRST_CHECK if state is State.UNKNOWN else None
        while (row := records.again(connection, row)).state != State.CREATED:
            if records.change(connection, row, now, state=state.value, next_check_at=check):
                records.note(connection, row, "create", state.value, now, {"reason": error.message})
                break
        # The lease on the first account's row covers the whole route.
        if not more or row.id != lock.id:
            self._release(connection, row, lease, now)
        if not more and row.id != lock.id:
            self._release(connection, lock, lease, now)

    def _withdrawn(self, connection: Connection, _tell: records.Tell | None, row: Row, lock: Row, lease: str) -> None:
        """An order that was never fit to be sent leaves its reference free, where nothing else is known of it."""
        now = _now()
        for leased in {row.id: row, lock.id: lock}.values():
            if leased.version or not records.delete(connection, leased):
                self._release(connection, leased, lease, now, state=State.NOT_SENT)

    def _release(self, connection: Connection, row: Row, lease: str, now: datetime, state: State | None = None) -> None:
        while (row := records.again(connection, row)).lease == lease:
            values = {"state": state.value} if state and row.state == State.STARTING else {}
            if records.change(connection, row, now, lease=None, lease_until=None, **values):
                return


def _state(error: PayhubError) -> State:
    if isinstance(error, NotSent):
        return State.NOT_SENT
    return State.REFUSED if isinstance(error, Refused) else State.UNKNOWN


def _now() -> datetime:
    return datetime.now(UTC)


def _about(error: PayhubError, row: Row) -> PayhubError:
    error.account, error.reference = row.account, row.reference
    return error
