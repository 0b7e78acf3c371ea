"""A start's hold on its order: what it writes down, each method one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from payhub_core.errors import ConfigError, GatewayError, InvalidOrder, PayhubError
from payhub_core.ledger import records
from payhub_core.ledger.database import clock
from payhub_core.ledger.rows import Row, State, order_texts
from payhub_core.models import Order
from payhub_core.registry import Accounts

__all__ = ["Hold", "Taken", "lease_time"]

_HELD = {State.STARTING, State.UNKNOWN}


def lease_time(*timeouts: float) -> timedelta:
    """How long asking accounts with these time-outs may take: each for six of them, and the pauses between tries."""
    return timedelta(seconds=sum(8 * timeout + 10 for timeout in timeouts))


@dataclass(frozen=True, slots=True)
class Taken:
    """The order is ours to start: ``held`` are the rows that may hold it already, ``row`` is ready to be created.

    With ``doubt``, what was sent last may still be under way.
    """

    held: list[Row]
    row: Row | None = None
    doubt: bool = False


class Hold:
    """The lease of one start, on every row of its order along the route, so that no other start sends anything.

    ``usable`` are those accounts of the route that orders may be created at, with their time-outs.
    """

    def __init__(self, accounts: Accounts, route: tuple[str, ...], usable: Mapping[str, float], order: Order) -> None:
        self.accounts = accounts
        self.route = route
        self.usable = usable
        self.order = order
        self.lease: str = secrets.token_hex(8)
        self.time: timedelta = lease_time(*usable.values())

    def take(self, connection: Connection, _tell: records.Tell | None) -> Taken | Row | None:
        """The payment where it is known, None while someone else has the order; else the order is ours."""
        rows = self._rows(connection)
        _, content = order_texts(self.order) if rows else ("", "")
        for row in rows.values():
            if row.order_hash != content:
                raise InvalidOrder(
                    "this reference was started with other content",
                    hint="use a new reference for a new order",
                    account=row.account,
                    reference=row.reference,
                )
            if row.state == State.CREATED:
                self.release(connection)
                return row
            self._check_provider(row)
        now = clock(connection)
        if any(row.busy(now, self.lease) for row in rows.values()) or not self._leased(connection, rows, now):
            self.release(connection)  # whoever waits holds up nobody
            return None
        held = [row for row in rows.values() if row.state in _HELD]
        if held:
            sent = [row.time("created_at") for row in held]
            return Taken(held, doubt=any(time is None or now - time < self.time for time in sent))
        ready = self.ready(connection, None, next(iter(self.usable)), None if rows else rows)
        if ready is None:
            self.release(connection)
            return None
        return Taken([], ready)

    def _rows(self, connection: Connection) -> dict[str, Row]:
        """What is written down of the order, by account."""
        found = {name: records.find(connection, name, self.order.reference) for name in self.route}
        return {name: row for name, row in found.items() if row is not None}

    def _leased(self, connection: Connection, rows: dict[str, Row], now: datetime) -> bool:
        """Takes or renews the lease on ``rows``, always in one sequence; False where someone else was quicker."""
        until = now + self.time
        return all(
            records.change(connection, rows[name], now, lease=self.lease, lease_until=until) for name in sorted(rows)
        )

    def _check_provider(self, row: Row) -> None:
        account = self.accounts[row.account] if row.account in self.usable else None
        if account is not None and account.info.name != row.provider:
            raise ConfigError(
                f"the order was started at provider {row.provider!r}, the account is now {account.info.name!r}",
                hint="keep the old account under its name until its orders are settled",
                account=row.account,
                reference=row.reference,
            )

    def ready(
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
        until = now + self.time
        if own is not None:
            return records.restart(connection, own, lease=self.lease, until=until, now=now)
        provider = self.accounts[account].info.name
        return records.insert(connection, account, provider, self.order, lease=self.lease, until=until, now=now)

    def failed(
        self, connection: Connection, _tell: records.Tell | None, row: Row, error: PayhubError, state: State
    ) -> None:
        """Writes down how a create failed, and the ``state`` that this leaves.

        Unless a message about the payment has come in meanwhile, or another start has taken over.
        """
        # An order that was never fit to be sent leaves its reference free, where nothing else is known of it.
        if not isinstance(error, GatewayError) and row.version == 0 and records.delete(connection, row):
            return
        now = clock(connection)
        check = now + records.FIRST_CHECK if state is State.UNKNOWN else None
        while (found := records.again(connection, row)).state != State.CREATED and found.lease == self.lease:
            changed = records.change(connection, found, now, state=state.value, next_check_at=check)
            if changed is not None:
                records.note(connection, changed, "create", state.value, now, {"reason": error.message})
                break

    def release(self, connection: Connection, _tell: records.Tell | None = None) -> None:
        """Gives the lease back, on every row that has it."""
        for account in sorted(self.route):
            while (row := records.find(connection, account, self.order.reference)) and row.lease == self.lease:
                if records.change(connection, row, _now(), lease=None, lease_until=None):
                    break


def _now() -> datetime:
    return datetime.now(UTC)
