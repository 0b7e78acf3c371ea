"""Queries: lists of stored payments, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, TextClause, case, func, literal_column, or_, select, text

from payhub_core.errors import InvalidOrder, LedgerError
from payhub_core.ledger.arguments import check_aware, check_limit, check_word
from payhub_core.ledger.database import clock
from payhub_core.ledger.facts import PARTS
from payhub_core.ledger.models import Creation, StoredPayment, Total
from payhub_core.ledger.rows import Row
from payhub_core.ledger.tables import UNCLEAR, payments
from payhub_core.ledger.times import utc
from payhub_core.models import PaymentStatus
from payhub_core.money import Money

__all__ = ["MEND", "STUCK", "Wanted", "accounts", "count_where", "list_payments", "money", "time", "totals"]

#: How long an order may be starting or unknown: by then it has been asked about five times.
STUCK = timedelta(minutes=15)

MEND = "mend the row, or see a backup"
#: What stands in the facts of any payment.
_WORDS_OF_FACTS = PARTS | {*PaymentStatus}

#: Walks the index of (account, reference) from one account to the next, whatever number of orders each has.
_ACCOUNTS = text(
    "WITH RECURSIVE named(name) AS (SELECT min(account) FROM payhub_payments UNION ALL "
    "SELECT (SELECT min(account) FROM payhub_payments WHERE account > name) FROM named WHERE name IS NOT NULL) "
    "SELECT name FROM named WHERE name IS NOT NULL"
)


class Wanted(TypedDict, total=False):
    """Which payments are wanted; what is left out, or None, does not matter."""

    account: str | None
    status: PaymentStatus | None
    creation: Creation | None
    since: datetime | None
    until: datetime | None
    unsettled: bool
    stuck: bool
    text: str | None


def list_payments(connection: Connection, *, limit: int = 100, **wanted: Unpack[Wanted]) -> list[StoredPayment]:
    """The newest payments, newest first."""
    check_limit(limit)
    query = select(payments).where(*_conditions(connection, wanted)).order_by(payments.c.id.desc()).limit(limit)
    return [Row._make(row).stored() for row in connection.execute(query)]


def totals(connection: Connection, **wanted: Unpack[Wanted]) -> list[Total]:
    """How many there are and about which sums, by status, creation and currency."""
    by = (payments.c.status, payments.c.creation, payments.c.currency)
    paid = func.coalesce(func.sum(payments.c.paid_minor), 0)
    sums = select(*by, func.count(), func.sum(payments.c.amount_minor), paid)
    query = sums.where(*_conditions(connection, wanted)).group_by(*by).order_by(*by)
    return [_total(*row) for row in connection.execute(query)]


def accounts(connection: Connection) -> list[str]:
    """The accounts that orders were started at."""
    return list(connection.execute(_ACCOUNTS).scalars())


def _conditions(connection: Connection, wanted: Wanted) -> Iterator[ColumnElement[bool] | TextClause]:
    check_aware(since=wanted.get("since"), until=wanted.get("until"))
    check_word(PaymentStatus, status=wanted.get("status"))
    check_word(Creation, creation=wanted.get("creation"))
    if account := wanted.get("account"):
        yield payments.c.account == account
    if status := wanted.get("status"):
        yield payments.c.status == PaymentStatus(status).value
    if creation := wanted.get("creation"):
        yield payments.c.creation == Creation(creation).value
    if since := wanted.get("since"):
        yield payments.c.created_at >= since
    if until := wanted.get("until"):
        yield payments.c.created_at < until
    if wanted.get("unsettled"):
        yield payments.c.next_check_at.is_not(None)
    if wanted.get("stuck"):
        yield UNCLEAR
        yield payments.c.created_at < clock(connection) - STUCK
    if words := wanted.get("text"):
        numbers = [payments.c.reference, payments.c.gateway_id]
        found = [number.contains(words, autoescape=True) for number in numbers]
        if words not in _WORDS_OF_FACTS:
            # They name every number that the gateway gave, those of refunds too.
            found.append(payments.c.facts.contains(json.dumps(words), autoescape=True))
        yield or_(*found)


def count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Of how many rows ``condition`` holds."""
    return func.count(case((condition, literal_column("1"))))


def money(minor: Any, currency: str) -> Money:
    """A sum as a database adds it up, to an int or a whole Decimal; raises LedgerError."""
    try:
        return Money.total(int(minor), currency)
    except InvalidOrder:
        raise LedgerError("the ledger holds a currency that payhub did not write", hint=MEND) from None


def time(value: Any) -> datetime | None:
    """A time as a database gives it; raises LedgerError."""
    try:
        return utc(value)
    except ValueError:
        raise LedgerError("the ledger holds a time that payhub did not write", hint=MEND) from None


def _total(status: str, creation: str, currency: str, count: int, due: Any, paid: Any) -> Total:
    try:
        return Total(PaymentStatus(status), Creation(creation), count, money(due, currency), money(paid, currency))
    except ValueError:
        raise LedgerError("the ledger holds a status that payhub did not write", hint=MEND) from None
