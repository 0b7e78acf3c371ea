"""Records: every change of a stored payment. One body for threads and asyncio: each function takes a sync `Connection`.

A change is conditional on the row's version. Who loses a race reads again and merges again, which ends because every
winner has added to facts that are finite.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from payhub_core.errors import LedgerError, WrongAccount
from payhub_core.ledger import database
from payhub_core.ledger.facts import Anomaly, Facts, observed
from payhub_core.ledger.rows import Row, State, Transition, anomaly_text, order_texts
from payhub_core.ledger.statements import CHANGE, CLAIM, FIND, INSERT, NOTE, RESTART, TELL
from payhub_core.ledger.tables import payments
from payhub_core.models import Order, Payment, PaymentStatus

__all__ = [
    "FIRST_CHECK",
    "HandlerFailed",
    "Tell",
    "again",
    "change",
    "claim",
    "delete",
    "find",
    "heard",
    "insert",
    "next_check",
    "note",
    "record",
    "restart",
    "says_nothing_new",
    "transition",
]

Tell = Callable[[Transition], object]

FIRST_CHECK = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(days=1)
PATIENCE = timedelta(days=7)
_LONGEST_RAW = 32 * 1024
_json = json.JSONEncoder(default=str).encode  # made once: making one costs more than most of its uses
_NEVER_KEPT = {"sign", "signature", "secret"}
_SETTLED = {PaymentStatus.PAID, PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED}


class HandlerFailed(Exception):
    """The application's handler raised: its error is the cause."""


def find(connection: Connection, account: str, reference: str) -> Row | None:
    """The stored payment, or None."""
    rows = FIND(connection, account=account, reference=reference).rows
    return Row._make(rows[0]) if rows else None


def insert(
    connection: Connection, account: str, provider: str, order: Order, *, lease: str, until: datetime, now: datetime
) -> Row | None:
    """Writes the order down, leased, before the gateway hears of it; None where its reference is taken."""
    content, content_hash = order_texts(order)
    row = Row(
        id=0,
        account=account,
        reference=order.reference,
        provider=provider,
        amount_minor=order.amount.minor,
        currency=order.amount.currency,
        order_json=content,
        order_hash=content_hash,
        state=State.STARTING.value,
        status=PaymentStatus.PENDING.value,
        facts="{}",
        gateway_id=None,
        paid_minor=None,
        paid_at=None,
        next_action=None,
        next_check_at=now + FIRST_CHECK,
        attempts=0,
        lease=lease,
        lease_until=until,
        version=0,
        created_at=now,
        updated_at=now,
    )
    rows = INSERT.of(connection, row).rows
    return row._replace(id=rows[0][0]) if rows else None


def change(connection: Connection, row: Row, now: datetime, **values: Any) -> Row | None:
    """The row with ``values``, or None where someone else changed it since ``row`` was read."""
    new = row._replace(**values, updated_at=now, version=row.version + 1)
    return new if CHANGE.of(connection, new).changed == 1 else None


def restart(connection: Connection, row: Row, *, lease: str, until: datetime, now: datetime) -> Row | None:
    """As `insert`, for an order that is created once more; None where someone else changed the row."""
    new = row._replace(
        state=State.STARTING.value,
        next_check_at=now + FIRST_CHECK,
        attempts=0,
        lease=lease,
        lease_until=until,
        version=row.version + 1,
        created_at=now,
        updated_at=now,
    )
    return new if RESTART.of(connection, new).changed == 1 else None


def delete(connection: Connection, row: Row) -> bool:
    """Takes back an `insert`, unless something became known since; says whether it did."""
    gone = payments.delete().where(payments.c.id == row.id, payments.c.version == row.version)
    return connection.execute(gone).rowcount == 1


def again(connection: Connection, row: Row) -> Row:
    """The row as it is now."""
    found = find(connection, row.account, row.reference)
    if found is None:
        raise LedgerError("the stored payment is gone", account=row.account, reference=row.reference)
    return found


def claim(
    connection: Connection, account: str, *, lease: str, until: datetime, now: datetime, older: datetime
) -> Row | None:
    """Leases the payment of ``account`` that has been due the longest; None where nothing is due."""
    rows = CLAIM(connection, account=account, lease=lease, until=until, now=now, older=older).rows
    return Row._make(rows[0]) if rows else None


def heard(row: Row, payment: Payment) -> Facts:
    """The facts in ``payment``; raises WrongAccount or WrongAmount where it is about another order."""
    if payment.provider != row.provider:
        raise WrongAccount(
            f"the order was started at provider {row.provider!r}, the message is of {payment.provider!r}",
            account=row.account,
            reference=row.reference,
        )
    return observed(payment, row.due)


def says_nothing_new(row: Row, news: Facts) -> bool:
    """Whether all of ``news`` is stored already: then there is nothing to write, and it can be acknowledged at once."""
    return row.state == State.CREATED and row.known() >= news


def record(
    connection: Connection,
    row: Row,
    payment: Payment,
    news: Facts,
    source: str,
    now: datetime,
    tell: Tell | None,
    *,
    release: str = "",
    checked: bool = False,
) -> Row:
    """Merges ``news``, which is what was `heard` in ``payment``, tells each new transition, notes the observation.

    ``tell`` runs in this transaction; without it the transitions wait in the outbox. ``release`` gives that lease back,
    ``checked`` sets when to ask next. Raises HandlerFailed or LedgerError: roll back.
    """
    due = row.due
    while True:
        before = row.known()
        facts = before | news
        learned = facts != before
        status, mine = facts.status(due), bool(release) and row.lease == release
        attempts = row.attempts + checked
        next_check_at = next_check(row, attempts, now) if checked else row.next_check_at or now + FIRST_CHECK
        new = change(
            connection,
            row,
            now,
            state=State.CREATED.value,
            status=status.value,
            facts=facts.dump() if learned else row.facts,
            next_action=_action_text(payment) or row.next_action,
            gateway_id=facts.gateway_id or row.gateway_id or payment.gateway_id,
            paid_minor=facts.received(due).minor if facts.receipts else None,
            paid_at=facts.paid_at,
            next_check_at=None if status in _SETTLED else next_check_at,
            attempts=attempts,
            lease=None if mine else row.lease,
            lease_until=None if mine else row.lease_until,
        )
        if new is not None:
            break
        row = again(connection, row)
    known = {anomaly.name for anomaly in before.anomalies(due)}
    true: list[tuple[str, Anomaly | None]] = [(new.status, None)] if new.status != row.status else []
    true += [(anomaly.name, anomaly) for anomaly in facts.anomalies(due) if anomaly.name not in known]
    # All are written down before the first is told: a handler that commits, which it must not, loses none of them.
    told = [pair for pair in true if _first(connection, new, *pair, now, tell)]
    if tell is not None:
        for name, anomaly in told:
            _tell(connection, transition(new, name, anomaly, now), tell)
    said = payment.claimed_status or payment.status
    if learned or row.state != State.CREATED or said is not PaymentStatus.PENDING:
        # Last on purpose, since it says whether all of this still stands: a handler may have rolled it back.
        note(connection, new, source, said.value, now, payment.raw, payment)
    return new


def note(
    connection: Connection,
    row: Row,
    source: str,
    said: str,
    now: datetime,
    raw: Mapping[str, Any],
    payment: Payment | None = None,
) -> None:
    """Appends an observation; signatures and overlong content are left out."""
    text = _json({key: value for key, value in raw.items() if key.lower() not in _NEVER_KEPT})
    noted = NOTE(
        connection,
        payment_id=row.id,
        version=row.version,
        at=now,
        source=source,
        said=said,
        gateway_id=payment.gateway_id if payment else None,
        paid_minor=payment.paid.minor if payment and payment.paid else None,
        raw=text if len(text) <= _LONGEST_RAW else _json({"left_out": f"{len(text)} characters"}),
    )
    if not noted.changed:
        raise LedgerError("what was recorded has been undone inside the transaction", hint="see what the handler does")


def next_check(row: Row, attempts: int, now: datetime) -> datetime | None:
    """When to ask again: after 30 s, 1 min, 2 min ... a day; None once the order is a week old."""
    created = row.time("created_at")
    if created is None or now - created > PATIENCE:
        return None
    pause: timedelta = min(FIRST_CHECK * (1 << min(attempts, 12)), LONGEST_PAUSE)
    return now + pause


def _action_text(payment: Payment) -> str | None:
    return None if payment.next_action is None else payment.next_action.model_dump_json()


def _first(
    connection: Connection, row: Row, name: str, anomaly: Anomaly | None, now: datetime, tell: Tell | None
) -> bool:
    """Writes a transition down; False where it was before, and so is not told again."""
    told = TELL(
        connection,
        payment_id=row.id,
        name=name,
        anomaly=None if anomaly is None else anomaly_text(anomaly),
        at=now,
        delivered_at=None if tell is None else now,
    )
    return bool(told.changed)


def _tell(connection: Connection, item: Transition, tell: Tell) -> None:
    try:
        tell(item)
    except Exception as error:
        raise HandlerFailed from error
    database.check_open(connection)


def transition(row: Row, name: str, anomaly: Anomaly | None, at: datetime) -> Transition:
    """The transition ``name`` of the payment in ``row``."""
    status = PaymentStatus(name) if anomaly is None else None
    return Transition(
        f"{row.account}/{row.reference}/{name}", row.account, row.reference, status, anomaly, row.payment(), at
    )
