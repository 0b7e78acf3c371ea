"""Checks: asking the gateway about one payment, and recording the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from payhub_core.checkout.steps import AnyHub, Find, Record, Steps, Write, query
from payhub_core.errors import CallbackError, GatewayError, LedgerError, OutcomeUnknown, PayhubError, WrongOrder, plain
from payhub_core.ledger import changes, failures
from payhub_core.ledger.rows import Row
from payhub_core.ledger.schedule import is_due, next_check
from payhub_core.models import Payment, PaymentStatus

__all__ = ["check", "handlers_own_error", "recorded", "refresh", "stored"]


def stored(account: str, reference: str) -> Steps[Row]:
    """The stored payment; raises WrongOrder where there is none."""
    row: Row | None = yield Find(account, reference)
    if row is None:
        raise WrongOrder("no such order was started here", account=account, reference=plain(reference))
    return row


def refresh(hub: AnyHub, account: str, reference: str, handler: object) -> Steps[Payment]:
    """Asks now, whether it is due or not."""
    row = yield from stored(account, reference)
    _ = hub[account]  # one that is not there is asked nothing, and that is no try
    with handlers_own_error():
        new, claimed_status = yield from check(hub, row, "", handler)
    payment: Payment = new.payment()
    # A claim is for the payer who waits: it says that this try failed, where the status goes on to be pending.
    claims = payment.status is PaymentStatus.PENDING
    return payment.model_copy(update={"claimed_status": claimed_status}) if claims else payment


def check(hub: AnyHub, row: Row, lease: str, handler: object) -> Steps[tuple[Row, PaymentStatus]]:
    """Asks about one payment and records the answer, or that there was none that could be recorded.

    It counts as a turn of the payment's schedule with a ``lease``, or where it is due.
    Returns the payment as it is now, and what the gateway claims. Raises HandlerFailed besides payhub's errors.
    """
    try:
        changes.check_provider(row, hub[row.account].info.name)
        payment: Payment = yield query(row, row.order())
        news = changes.heard(row, payment, "query")

        def body(connection: Connection, handle: changes.Handle | None) -> Row:
            fresh = changes.again(connection, row)
            checked = bool(lease) or is_due(fresh, datetime.now(UTC))
            return changes.record(connection, fresh, news, handle, lease=lease, checked=checked)

        new: Row = yield Record(body, handler)
    except (PayhubError, changes.HandlerFailed) as error:
        yield Write(partial(_unanswered, row=row, lease=lease, error=error))
        raise
    return new, payment.claimed_status or payment.status


def recorded(row: Row, news: changes.News | changes.RefundNews, handler: object, unknown: OutcomeUnknown) -> Steps[Row]:
    """Records what came of a request that was sent; raises ``unknown`` where that fails, or what the handler raised."""

    def body(connection: Connection, handle: changes.Handle | None) -> Row:
        return changes.record(connection, changes.again(connection, row), news, handle)

    try:
        with handlers_own_error():
            new: Row = yield Record(body, handler)
    except LedgerError as error:
        raise unknown from error
    return new


@contextmanager
def handlers_own_error() -> Iterator[None]:
    """Raises what the handler raised, as where the application had called it."""
    try:
        yield
    except changes.HandlerFailed as failed:
        raise failed.error from None


def _unanswered(connection: Connection, row: Row, lease: str, error: Exception) -> None:
    """Gives the lease back, lets the payment be asked about later and later, and notes why in its history.

    Whoever asks before its turn puts nothing off: a payer who looks again and again would.
    """
    if isinstance(error, changes.HandlerFailed):
        note = partial(failures.note, connection, row.account, row.reference)
        note(source=failures.HANDLER, error=error.error, of=error.transition)
    elif isinstance(error, GatewayError | CallbackError):
        failures.note(connection, row.account, row.reference, source="query", error=error)
    while True:
        row, now = changes.again(connection, row), datetime.now(UTC)
        checked = bool(lease) or is_due(row, now)
        attempts, later = row.attempts + checked, row.next_check_at
        if checked and later:
            later = next_check(row, attempts, now)
        values = changes.given_back(row, lease)
        if changes.change(connection, row, now, attempts=attempts, next_check_at=later, **values):
            return
