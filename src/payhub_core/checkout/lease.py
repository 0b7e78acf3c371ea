"""The lease of a start on its order, and what the start writes down under it: each method is one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from sqlalchemy import Connection

from payhub_core.errors import GatewayError, InvalidOrder, PayhubError
from payhub_core.ledger import changes, history
from payhub_core.ledger.database import clock, exclusive
from payhub_core.ledger.models import Creation
from payhub_core.ledger.orders import same_order
from payhub_core.ledger.rows import Row
from payhub_core.ledger.schedule import FIRST_CHECK
from payhub_core.models import Order

__all__ = ["Lease", "Leased", "Usable", "lease_time"]

_MAY_BE_AT_GATEWAY = {Creation.STARTING, Creation.UNKNOWN}
_NOTHING_AT_GATEWAY = {Creation.NOT_SENT, Creation.REFUSED}


def lease_time(*timeouts: float) -> timedelta:
    """How long asking accounts with these time-outs may take: eight of each, and ten seconds for the pauses; a day."""
    return timedelta(seconds=min(sum(8 * timeout + 10 for timeout in timeouts), 86_400))


@dataclass(frozen=True, slots=True)
class Usable:
    """An account of the route that orders may be created at."""

    provider: str
    timeout: float


@dataclass(frozen=True, slots=True)
class Leased:
    """The order is ours to start: ``sent`` are the rows that a gateway may have, ``row`` is ready to be created.

    With ``doubt``, what was sent last may still be under way.
    """

    sent: list[Row]
    row: Row | None = None
    doubt: bool = False


class Lease:
    """The lease of one start, on every row of its order along the route, so that no other start sends anything."""

    def __init__(self, route: tuple[str, ...], usable: Mapping[str, Usable], order: Order) -> None:
        self.route = route
        self.usable = usable
        self.order = order
        self.token: str = secrets.token_hex(8)
        self.time: timedelta = lease_time(*(account.timeout for account in usable.values()))
        #: When it ends here, in monotonic seconds: whoever was stopped for longer sends nothing, for others may have.
        self.ends: float = 0.0

    def take(self, connection: Connection) -> Leased | Row | None:
        """The payment where it is known, None while someone else has the order; else the order is ours."""
        if len(self.route) > 1:
            # Another process may use other accounts of the route, and so meet this one in no row.
            exclusive(connection, f"payhub {self.order.reference}")
        rows = self._rows(connection)
        for row in rows.values():
            if row.creation not in _NOTHING_AT_GATEWAY and not same_order(row.order_as_given(), self.order):
                raise InvalidOrder(
                    "this reference was started with other content",
                    hint="use a new reference for a new order",
                    account=row.account,
                    reference=row.reference,
                )
        if known := [row for row in rows.values() if row.creation == Creation.CREATED]:
            self.release(connection)
            return next((row for row in known if row.known().receipts), known[0])
        for row in rows.values():
            if row.account in self.usable:
                changes.check_provider(row, self.usable[row.account].provider)
        now = clock(connection)
        if any(row.busy(now, self.token) for row in rows.values()) or not self._leased(connection, rows, now):
            self.release(connection)  # whoever waits holds up nobody
            return None
        sent = [row for row in rows.values() if row.creation in _MAY_BE_AT_GATEWAY]
        if sent:
            times = [row.time("created_at") for row in sent]
            return Leased(sent, doubt=any(time is None or now - time < self.time for time in times))
        first = next(iter(self.usable))
        ready = self.begin(connection, first) if rows else self._begun(connection, first, rows)
        if ready is None:
            self.release(connection)
            return None
        return Leased([], ready)

    def begin(self, connection: Connection, account: str) -> Row | None:
        """Writes down that the order is being created at ``account``; None where someone else has got ahead."""
        return self._begun(connection, account, self._rows(connection))

    def fail(self, connection: Connection, row: Row, error: PayhubError, creation: Creation) -> None:
        """Writes down how a create failed, and what became of it.

        Unless a message about the payment has come in meanwhile, or another start has taken over.
        """
        # An order that was never fit to be sent leaves its reference free, where nothing else is known of it.
        if not isinstance(error, GatewayError) and row.version == 0 and changes.delete(connection, row):
            return
        now = clock(connection)
        check = now + FIRST_CHECK if creation is Creation.UNKNOWN else None
        while (found := changes.again(connection, row)).creation != Creation.CREATED and found.lease == self.token:
            changed = changes.change(connection, found, now, creation=creation.value, next_check_at=check)
            if changed is not None:
                history.add(
                    connection, history.values(changed, "create", creation.value, now, {"reason": error.message})
                )
                break

    def release(self, connection: Connection) -> None:
        """Gives the lease back, on every row that has it."""
        for account in sorted(self.route):
            while (row := changes.find(connection, account, self.order.reference)) and row.lease == self.token:
                if changes.change(connection, row, datetime.now(UTC), lease=None, lease_until=None):
                    break

    def _rows(self, connection: Connection) -> dict[str, Row]:
        """What is written down of the order, by account."""
        found = {name: changes.find(connection, name, self.order.reference) for name in self.route}
        return {name: row for name, row in found.items() if row is not None}

    def _leased(self, connection: Connection, rows: Mapping[str, Row], now: datetime) -> bool:
        """Takes or renews the lease on ``rows``, always in one sequence; False where someone else was quicker."""
        until = now + self.time
        return all(
            changes.change(connection, rows[name], now, lease=self.token, lease_until=until) for name in sorted(rows)
        )

    def _begun(self, connection: Connection, account: str, rows: Mapping[str, Row]) -> Row | None:
        now = clock(connection)
        for row in rows.values():
            if row.creation == Creation.CREATED:
                return None
            if row.lease != self.token and (row.busy(now, "") or row.creation in _MAY_BE_AT_GATEWAY):
                return None
        others = {name: row for name, row in rows.items() if name != account}
        if not self._leased(connection, others, now):
            return None
        until, self.ends = now + self.time, monotonic() + self.time.total_seconds()
        if account in rows:
            return changes.restart(connection, rows[account], self.order, lease=self.token, until=until, now=now)
        provider = self.usable[account].provider
        return changes.insert(connection, account, provider, self.order, lease=self.token, until=until, now=now)
