"""Verdicts: what a person has found out of a refund whose end the gateway does not tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from payhub_core.errors import InvalidOrder, plain
from payhub_core.ledger import changes
from payhub_core.ledger.database import clock
from payhub_core.ledger.facts import Facts
from payhub_core.ledger.history import noted
from payhub_core.ledger.models import StoredPayment
from payhub_core.ledger.queries import STUCK
from payhub_core.ledger.refunds import Refunding
from payhub_core.ledger.rows import Row
from payhub_core.models import RefundStatus
from payhub_core.money import Money

__all__ = ["settle_refund"]


def settle_refund(
    connection: Connection,
    account: str,
    reference: str,
    refund_reference: str,
    status: RefundStatus,
    *,
    by: str,
    reason: str,
) -> StoredPayment:
    """Records that a refund went back, or came to nothing, as ``by`` has found out; sends nothing."""
    found = {"by": noted(by), "reason": noted(reason)}
    try:
        row = _started(changes.find(connection, account, reference))
        news = _news(row, refund_reference, status, found, clock(connection))
        new = changes.record(connection, row, news, None)
        if status is RefundStatus.REFUNDED:
            _check_sum(new)  # with what others have recorded meanwhile
    except InvalidOrder as error:
        error.account, error.reference = account, reference
        raise
    return new.stored()


def _started(row: Row | None) -> Row:
    if row is None:
        raise InvalidOrder("no such order was started here")
    return row


def _news(
    row: Row, refund_reference: str, status: RefundStatus, found: Mapping[str, str], now: datetime
) -> changes.RefundNews:
    """What is recorded; raises InvalidOrder."""
    if not all(found.values()):
        raise InvalidOrder("expected who has found out what became of the refund, and how")
    ended = _ended(row, refund_reference, status, now)
    raw = {"refund_reference": refund_reference, "amount": str(Money(ended.minor, row.currency)), **found}
    return changes.RefundNews(Facts(refunds={refund_reference: ended}), status.value, raw)


def _ended(row: Row, refund_reference: str, status: RefundStatus, now: datetime) -> Refunding:
    """The refund as it is by that ``status``; raises InvalidOrder where nobody can have found that out."""
    refunds = row.known().refunds
    refund, name = refunds.get(refund_reference), plain(refund_reference)
    if refund is None:
        hint = f"there are: {', '.join(refunds)}" if refunds else ""
        raise InvalidOrder(f"there is no refund {name!r} of this order", hint=hint)
    if refund.done:
        raise InvalidOrder(f"refund {name!r} has gone back")
    if status is RefundStatus.REFUNDED:
        return refund._replace(done=True)
    if status is not RefundStatus.FAILED:
        raise InvalidOrder(f"expected REFUNDED or FAILED, not {plain(status)}")
    if not refund.under_way:
        raise InvalidOrder(f"refund {name!r} has come to nothing")
    if refund.sent_at is not None and now - refund.sent_at < STUCK:
        raise InvalidOrder(
            f"refund {name!r} was sent less than {STUCK.seconds // 60} minutes ago, and may still arrive",
            hint="look for it in the gateway's back office once more, later",
        )
    return refund._replace(failures=refund.tries)


def _check_sum(row: Row) -> None:
    """Raises InvalidOrder where more has gone back than came in."""
    facts = row.known()
    gone, received = facts.gone_back(row.due), facts.received(row.due)
    if gone is not None and gone > received:
        raise InvalidOrder(
            f"with this refund {gone} would have gone back of the {received} received",
            hint="see in the gateway's back office which of the refunds it holds",
        )
