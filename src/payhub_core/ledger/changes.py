"""Every change of a stored payment. One body for threads and asyncio: each function takes a sync `Connection`.

A change is conditional on the row's version. Who loses a race reads again and merges again, which ends because every
winner has added to facts that are finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from payhub_core.errors import ConfigError, InvalidOrder, LedgerError, PayhubError, WrongAccount
from payhub_core.ledger import anomalies, history, outbox
from payhub_core.ledger.database import check_open
from payhub_core.ledger.facts import Anomaly, AnomalyKind, Facts, observed, observed_refund
from payhub_core.ledger.models import Creation, Transition
from payhub_core.ledger.orders import can_be_stored, order_text, same_order
from payhub_core.ledger.rows import Row
from payhub_core.ledger.schedule import FIRST_CHECK, SETTLED, next_check
from payhub_core.ledger.sql import ADD_TRANSITION, CHANGE, FIND, INSERT, WAIT_BEHIND, several
from payhub_core.ledger.tables import payments
from payhub_core.models import Order, Payment, PaymentStatus, Refund

__all__ = [
    "Handle",
    "HandlerFailed",
    "Merged",
    "News",
    "RefundNews",
    "again",
    "change",
    "check_provider",
    "delete",
    "find",
    "given_back",
    "hand",
    "heard",
    "heard_of_refund",
    "insert",
    "merge",
    "observation",
    "record",
    "resolve_what_passed",
    "restart",
    "says_nothing_new",
]

#: Calls the application's handler with a transition, in the transaction that records it.
Handle = Callable[[Transition], object]

_UNCLEAR = {Creation.STARTING, Creation.UNKNOWN}


class HandlerFailed(Exception):
    """The application's handler raised, given ``transition``, by its name: its error is the cause."""

    def __init__(self, transition: str) -> None:
        super().__init__(transition)
        self.transition = transition

    @property
    def error(self) -> BaseException:
        """What the handler raised."""
        return self.__cause__ or self


class News(NamedTuple):
    """What a message brings: the ``facts`` in its ``payment``; ``source`` is create, notify, query or close."""

    payment: Payment
    facts: Facts
    source: str

    @property
    def said(self) -> str:
        """What the message claims, a hint's too."""
        return (self.payment.claimed_status or self.payment.status).value

    @property
    def raw(self) -> Mapping[str, Any]:
        return self.payment.raw

    @property
    def gateway_id(self) -> str | None:
        return self.payment.gateway_id

    @property
    def paid_minor(self) -> int | None:
        return self.payment.paid.minor if self.payment.paid else None


class RefundNews(NamedTuple):
    """What the gateway says of a refund; the rest is as in `News`."""

    facts: Facts
    said: str
    raw: Mapping[str, Any]
    source: str = "refund"
    payment: Payment | None = None
    gateway_id: str | None = None
    paid_minor: int | None = None


def find(connection: Connection, account: str, reference: str) -> Row | None:
    """The stored payment, or None."""
    if not can_be_stored(reference):
        if not isinstance(reference, str):
            raise InvalidOrder(f"reference: expected text, not {type(reference).__name__}")
        return None
    rows = FIND(connection, account=account, reference=reference).rows
    return Row._make(rows[0]) if rows else None


def again(connection: Connection, row: Row) -> Row:
    """The row as it is now."""
    found = find(connection, row.account, row.reference)
    if found is None:
        raise LedgerError("the stored payment is gone", account=row.account, reference=row.reference)
    return found


def insert(
    connection: Connection, account: str, provider: str, order: Order, *, lease: str, until: datetime, now: datetime
) -> Row | None:
    """Writes the order down, leased, before the gateway hears of it; None where its reference is taken."""
    row = Row(
        id=0,
        account=account,
        reference=order.reference,
        provider=provider,
        amount_minor=order.amount.minor,
        currency=order.amount.currency,
        order_json=order_text(order),
        creation=Creation.STARTING.value,
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
        refunded_minor=None,
        expires_at=None,
    )
    rows = INSERT.of(connection, row).rows
    return row._replace(id=rows[0][0]) if rows else None


def restart(
    connection: Connection, row: Row, order: Order, *, lease: str, until: datetime, now: datetime
) -> Row | None:
    """As `insert`, for an order that is created once more; None where someone else changed the row.

    A try that left nothing at the gateway binds nobody: the ``order`` may say something else by now.
    """
    if not same_order(row.order_as_given(), order):
        content: dict[str, Any] = {
            "amount_minor": order.amount.minor,
            "currency": order.amount.currency,
            "order_json": order_text(order),
        }
        connection.execute(
            payments.update().where(payments.c.id == row.id, payments.c.version == row.version).values(content)
        )
        row = row._replace(**content)
    starting = Creation.STARTING.value
    first = now + FIRST_CHECK
    return change(
        connection,
        row,
        now,
        creation=starting,
        next_check_at=first,
        attempts=0,
        created_at=now,
        lease=lease,
        lease_until=until,
    )


def change(connection: Connection, row: Row, now: datetime, **values: Any) -> Row | None:
    """The row with ``values``, or None where someone else changed it since ``row`` was read."""
    new = row._replace(**values, updated_at=now, version=row.version + 1)
    return new if CHANGE.of(connection, new).changed == 1 else None


def delete(connection: Connection, row: Row) -> bool:
    """Takes back an `insert`, unless something became known since; says whether it did."""
    gone = payments.delete().where(payments.c.id == row.id, payments.c.version == row.version)
    return connection.execute(gone).rowcount == 1


def check_provider(row: Row, provider: str, error: type[PayhubError] = ConfigError) -> None:
    """Raises ``error`` where the account of ``row`` has another provider than the one it was started at."""
    if provider != row.provider:
        raise error(
            f"the order was started at provider {row.provider!r}, the account is now {provider!r}",
            hint="give the new one a name of its own, and the old one its name back until its orders are settled; "
            f"where it is gone for good: payhub ledger retire {row.account}",
            account=row.account,
            reference=row.reference,
        )


def heard(row: Row, payment: Payment, source: str) -> News:
    """What ``payment`` brings; raises WrongAccount or WrongAmount where it is about another order."""
    check_provider(row, payment.provider, WrongAccount)
    return News(payment, observed(payment, row.due), source)


def heard_of_refund(row: Row, refund: Refund) -> RefundNews:
    """What a message about one ``refund`` brings; raises WrongAccount or WrongAmount where it is about another."""
    check_provider(row, refund.provider, WrongAccount)
    raw = {"refund_reference": refund.refund_reference, "amount": str(refund.amount or "")}
    return RefundNews(observed_refund(refund, row.known(), row.due), refund.status.value, {**refund.raw, **raw})


def says_nothing_new(row: Row, news: News | RefundNews) -> bool:
    """Whether all of ``news`` is stored already: then there is nothing to write, and it can be acknowledged at once."""
    if row.creation != Creation.CREATED:
        return False
    known, facts = row.known(), news.facts
    return known >= (known.hearing(facts) if facts.totals or facts.told else facts)


def record(
    connection: Connection,
    row: Row,
    news: News | RefundNews,
    handle: Handle | None,
    *,
    lease: str = "",
    checked: bool = False,
    commit: bool = False,
) -> Row:
    """Merges ``news``, hands each new transition to ``handle``, and adds what was said to the history.

    ``handle`` runs in this transaction; without it the transitions wait in the outbox, and so they do behind one of the
    payment that waits there. ``lease`` is given back, ``checked`` sets when to ask next. With ``commit`` the
    transaction may be committed already on return. Raises HandlerFailed or LedgerError, also for whatever goes wrong
    that is no error of the database's: roll back.
    """
    with _Recording(row):
        now = datetime.now(UTC)
        while True:
            merged = merge(row, news, now, checked=checked)
            new = merged.row._replace(**given_back(row, lease))
            # Those after the first wait until it is their turn: a handler that commits, which it must not, loses none.
            transitions = [
                (ADD_TRANSITION, outbox.values(new, *it, now, handled=handle is not None and not place))
                for place, it in enumerate(merged.became_true)
            ]
            if handle is not None and transitions:
                first = merged.became_true[0][0]
                transitions.append((WAIT_BEHIND, WAIT_BEHIND.values(payment_id=new.id, name=first, at=now)))
            changed, *added = several(connection, [(CHANGE, CHANGE.values_of(new)), *transitions])
            if changed:
                break
            row = again(connection, row)
        if handle is not None and transitions and not added[-1]:
            for place, (name, anomaly) in enumerate(merged.became_true):
                if not added[place]:  # it was known
                    continue
                if place:
                    outbox.mark_handled(connection, new, name, now)
                hand(connection, outbox.transition(new, merged.facts, name, anomaly, now), handle)
        resolve_what_passed(connection, merged)
        # A payer may look again and again: what a query said last is kept again only where it was its turn.
        is_look = news.source == "query" and not checked and not merged.is_news
        if merged.says_something and not (is_look and history.said_last(connection, new, news.source, news.said)):
            # Last on purpose, since it says whether all of this still stands: a handler may have rolled it back.
            history.add(connection, observation(new, news, now), commit=commit)
        return new


class _Recording:
    """Raises LedgerError for what a provider's result has that cannot be merged, or written down."""

    def __init__(self, row: Row) -> None:
        self.row = row

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError | TypeError | AttributeError | ArithmeticError | RecursionError):
            raise LedgerError(
                f"what the gateway said cannot be recorded: {type(error).__name__}",
                hint="see what the provider put into its result",
                account=self.row.account,
                reference=self.row.reference,
            ) from error


class Merged(NamedTuple):
    """What a row becomes by news: the row, the facts in it, its new transitions; and whether the history holds them.

    It does where there is anything that ``is_news``, and where the news has a word of its own. With ``made_up`` the
    rest of what was short came in.
    """

    row: Row
    facts: Facts
    became_true: list[tuple[str, Anomaly | None]]
    says_something: bool
    is_news: bool
    made_up: bool


def merge(row: Row, news: News | RefundNews, now: datetime, *, checked: bool = False) -> Merged:
    """What ``row`` becomes once ``news`` is known of it; ``checked`` sets when to ask next."""
    known = row.known()
    facts = known.hearing(news.facts)
    new = row._replace(**_values(row, news, facts, now, checked=checked), updated_at=now, version=row.version + 1)
    new_word = isinstance(news, RefundNews) or news.said != PaymentStatus.PENDING
    is_news = facts != known or row.creation != Creation.CREATED
    made_up = known.is_short(row.due) and not facts.is_short(row.due)
    return Merged(new, facts, list(_became_true(row, known, new, facts)), new_word or is_news, is_news, made_up)


def resolve_what_passed(connection: Connection, merged: Merged) -> None:
    """Notes that a payment is short no more: no person has to see to that."""
    if merged.made_up:
        row, why = merged.row, "the rest came in"
        anomalies.resolve(connection, row.account, row.reference, AnomalyKind.UNDERPAID, by="payhub", reason=why)


def observation(row: Row, news: News | RefundNews, now: datetime) -> tuple[Any, ...]:
    """What the history keeps of ``news``."""
    return history.values(
        row, news.source, news.said, now, news.raw, gateway_id=news.gateway_id, paid_minor=news.paid_minor
    )


def given_back(row: Row, lease: str) -> dict[str, Any]:
    """The values that end ``lease`` on a row that has it, and none on any other."""
    return {"lease": None, "lease_until": None} if lease and row.lease == lease else {}


def _values(row: Row, news: News | RefundNews, facts: Facts, now: datetime, *, checked: bool) -> dict[str, Any]:
    """What the row holds once ``facts``, the old and the new, are known of it."""
    due = row.due
    status, attempts, gone = facts.status(due), row.attempts + checked, facts.gone_back(due)
    if _is_given_up(row, checked=checked):
        later = None
    else:
        later = next_check(row, attempts, now) if checked else row.next_check_at or now + FIRST_CHECK
    values = {
        "creation": Creation.CREATED.value,
        "status": status.value,
        "facts": facts.dump(),
        "gateway_id": facts.gateway_id or row.gateway_id or news.gateway_id,
        "paid_minor": facts.received(due).minor if facts.receipts else None,
        "paid_at": facts.paid_at,
        "refunded_minor": gone.minor if gone else None,
        "next_check_at": None if status in SETTLED and not facts.is_short(due) else later,
        "attempts": attempts,
    }
    if news.payment is not None and news.payment.next_action is not None:
        values["next_action"] = news.payment.next_action.model_dump_json()
        values["expires_at"] = news.payment.expires_at
    return values


def _is_given_up(row: Row, *, checked: bool) -> bool:
    """Whether nobody was to ask about ``row`` any more, since its account was retired, or it was asked long enough.

    An order that only now turns out to exist is asked about, and so is one that was settled and comes open again.
    """
    was_asked = row.creation == Creation.CREATED or (checked and row.creation in _UNCLEAR)
    return row.next_check_at is None and was_asked and row.status not in SETTLED


def _became_true(row: Row, known: Facts, new: Row, facts: Facts) -> Iterator[tuple[str, Anomaly | None]]:
    """The transitions from ``row`` to ``new``: the status, where it is another one, then each new anomaly.

    That of an old message comes first: it says that the status may be another order's. PAID is told as well where what
    is left of it covers the sum due, though a part of what came in has gone back.
    """
    before = {anomaly.name for anomaly in row.anomalies(known)}
    odd = [(anomaly.name, anomaly) for anomaly in new.anomalies(facts) if anomaly.name not in before]
    early = [it for it in odd if it[1].kind is AnomalyKind.PAID_BEFORE_CREATED]
    yield from early
    paid = PaymentStatus.PAID.value
    if new.status != paid and facts.covers(new.due) and not known.covers(row.due):
        yield paid, None
    if new.status != row.status:
        yield new.status, None
    yield from odd[len(early) :]


def hand(connection: Connection, transition: Transition, handle: Handle) -> None:
    """Calls ``handle``; raises HandlerFailed, also where it ended the transaction."""
    try:
        handle(transition)
    except Exception as error:
        raise HandlerFailed(transition.id.rpartition("/")[2]) from error
    check_open(connection)
