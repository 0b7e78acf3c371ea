"""Health: what a ledger shows of how payments are doing, in figures, and what of it a person should look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Subquery, case, exists, func, select

from payhub_core.errors import plain
from payhub_core.findings import Finding
from payhub_core.ledger import failures, heartbeats, queries
from payhub_core.ledger.database import clock
from payhub_core.ledger.facts import Facts
from payhub_core.ledger.models import Creation
from payhub_core.ledger.queries import count_where
from payhub_core.ledger.refunds import Refunding
from payhub_core.ledger.tables import UNCLEAR, observations, payments, transitions
from payhub_core.models import PaymentStatus, RefundStatus
from payhub_core.times import when

__all__ = ["AccountHealth", "Health", "health"]

#: How many of the last messages are looked through: it takes as long in a large ledger as in a small one.
RECENT = 20_000
_DAY = timedelta(days=1)
#: What has been due for so long is not asked about, or not handed out, by anyone.
_OVERDUE = timedelta(minutes=10)
#: So many orders found paid by asking, and none by a notify, are no accident.
_ONLY_ASKED = 3
#: Nor are so many creates that came to nothing, and none since that the gateway took.
_REFUSED = 3


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """The figures of one account.

    ``notified_at``: the last notify that said something new, among the ledger's last 20,000 messages.
    ``answered_at`` and ``unanswered_at``: when a pass last had an answer, and none, for the reason ``unanswered``.
    ``unsettled``: orders that are asked about until they are settled. ``stuck``: orders *starting* or *unknown* for
    a quarter of an hour. ``refunding``: refunds whose end is not known, a quarter of an hour after they were last sent,
    or a day where the gateway has them, ``refunding_reference`` an order of one; looked for where a refund stands among
    the ledger's last 20,000 messages. ``due``: orders to be asked about by now, ``due_since`` the first. ``waiting``:
    transitions that no handler has had, ``waiting_since`` the first. ``anomalies``: those of a day;
    ``open_anomalies``: all that nobody has resolved. Of a day, too: ``failing``, orders whose handler failed and
    has had nothing of theirs since, ``failing_reference`` one of them; ``refused``, orders refused or not sent
    since the last that the gateway took, ``refusal`` the reason of the last; ``paid_by_notify`` and
    ``paid_by_query``, the words "paid" heard either way.
    """

    account: str
    notified_at: datetime | None = None
    answered_at: datetime | None = None
    unanswered_at: datetime | None = None
    unanswered: str = ""
    unsettled: int = 0
    stuck: int = 0
    refunding: int = 0
    refunding_reference: str = ""
    due: int = 0
    due_since: datetime | None = None
    waiting: int = 0
    waiting_since: datetime | None = None
    anomalies: int = 0
    open_anomalies: int = 0
    failing: int = 0
    failing_reference: str = ""
    refused: int = 0
    refusal: str = ""
    paid_by_notify: int = 0
    paid_by_query: int = 0

    @property
    def is_silent(self) -> bool:
        """Whether the last pass had no usable answer from the account's gateway."""
        return self.unanswered_at is not None and (self.answered_at is None or self.unanswered_at > self.answered_at)


@dataclass(frozen=True, slots=True)
class Health:
    """How payments are doing ``at`` a time: the last pass over what was due, each account, and the ``findings``."""

    at: datetime
    passed_at: datetime | None
    accounts: tuple[AccountHealth, ...]
    findings: tuple[Finding, ...] = field(default=())


def health(connection: Connection) -> Health:
    """The figures by now; raises LedgerError."""
    now = clock(connection)
    found: dict[str, dict[str, Any]] = {account: {} for account in queries.accounts(connection)}
    seen = heartbeats.read(connection)
    for (account, kind), (at, reason) in seen.items():
        if account:
            told = {"unanswered": reason} if kind == heartbeats.UNANSWERED else {}
            found.setdefault(account, {}).update({f"{kind}_at": at, **told})
    for account, values in _figures(connection, now):
        found.setdefault(account, {}).update(values)
    accounts = tuple(AccountHealth(account, **values) for account, values in sorted(found.items()))
    passed_at, _ = seen.get(("", heartbeats.PASS), (None, ""))
    figures = Health(now, passed_at, accounts)
    return replace(figures, findings=tuple(_findings(figures)))


def _figures(connection: Connection, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    unclear = (UNCLEAR, payments.c.created_at < now - queries.STUCK)
    stuck = select(payments.c.account, func.count()).where(*unclear).group_by(payments.c.account)
    for account, count in connection.execute(stuck):
        yield account, {"stuck": count}
    asked = select(
        payments.c.account,
        func.count(),
        count_where(payments.c.next_check_at <= now),
        func.min(payments.c.next_check_at),
    )
    for account, count, due, first in connection.execute(
        asked.where(payments.c.next_check_at.is_not(None)).group_by(payments.c.account)
    ):
        yield account, {"unsettled": count, "due": due, "due_since": queries.time(first) if due else None}
    ofs = transitions.join(payments, payments.c.id == transitions.c.payment_id)
    told = select(payments.c.account, func.count(), func.min(transitions.c.at)).select_from(ofs)
    for account, count, first in connection.execute(
        told.where(transitions.c.delivered_at.is_(None)).group_by(payments.c.account)
    ):
        yield account, {"waiting": count, "waiting_since": queries.time(first)}
    odd = select(
        payments.c.account,
        count_where(transitions.c.at >= now - _DAY),
        count_where(transitions.c.resolved_at.is_(None)),
    ).select_from(ofs)
    for account, count, still in connection.execute(
        odd.where(transitions.c.anomaly.is_not(None)).group_by(payments.c.account)
    ):
        yield account, {"anomalies": count, "open_anomalies": still}
    yield from _heard(connection, now)


def _heard(connection: Connection, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the last messages tell."""
    recent = select(observations).order_by(observations.c.id.desc()).limit(RECENT).subquery()
    of_a_day, notify = recent.c.at >= now - _DAY, recent.c.source == "notify"
    paid = (recent.c.said == PaymentStatus.PAID.value) & of_a_day
    query = (
        select(
            payments.c.account,
            func.max(case((notify, recent.c.at))),
            count_where(paid & notify),
            count_where(paid & (recent.c.source == "query")),
        )
        .join_from(recent, payments, payments.c.id == recent.c.payment_id)
        .group_by(payments.c.account)
    )
    for account, notified_at, by_notify, by_query in connection.execute(query):
        yield (
            account,
            {"notified_at": queries.time(notified_at), "paid_by_notify": by_notify, "paid_by_query": by_query},
        )
    # A copy of the message that waited for the failed one has an earlier time, and has brought the same transition.
    same = recent.c.raw.contains('"of": "' + transitions.c.name + '"')
    had_since = (
        transitions.c.payment_id == recent.c.payment_id,
        (transitions.c.delivered_at > recent.c.at) | (transitions.c.delivered_at.is_not(None) & same),
    )
    failing = (
        select(payments.c.account, func.count(payments.c.id.distinct()), func.max(payments.c.reference))
        .join_from(recent, payments, payments.c.id == recent.c.payment_id)
        .where(of_a_day, recent.c.source == failures.HANDLER, ~exists().where(*had_since))
        .group_by(payments.c.account)
    )
    for account, count, reference in connection.execute(failing):
        yield account, {"failing": count, "failing_reference": reference}
    yield from _refused(connection, recent, of_a_day)
    yield from _refunding(connection, recent, now)


def _refused(
    connection: Connection, recent: Subquery, of_a_day: ColumnElement[bool]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The creates that came to nothing since the last that came to something."""
    nothing = recent.c.said.in_([Creation.REFUSED.value, Creation.NOT_SENT.value])
    created = (
        select(payments.c.account, func.max(case((~nothing & (recent.c.said != Creation.UNKNOWN.value), recent.c.id))))
        .join_from(recent, payments, payments.c.id == recent.c.payment_id)
        .where(recent.c.source == "create")
        .group_by(payments.c.account)
    )
    for account, taken in connection.execute(created).all():
        since = (
            payments.c.account == account,
            recent.c.source == "create",
            nothing,
            of_a_day,
            recent.c.id > (taken or 0),
        )
        of = select(func.count(payments.c.id.distinct()), func.max(recent.c.id))
        count, last = connection.execute(
            of.join_from(recent, payments, payments.c.id == recent.c.payment_id).where(*since)
        ).one()
        if count:
            raw = connection.execute(select(observations.c.raw).where(observations.c.id == last)).scalar_one()
            reason = ""
            with suppress(ValueError, AttributeError):  # a shop may have taken out what payers typed
                reason = str(json.loads(raw).get("reason", ""))
            yield account, {"refused": count, "refusal": reason}


def _refunding(connection: Connection, recent: Subquery, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The refunds of which the last that is known is that they were sent."""
    ends = [RefundStatus.REFUNDED.value, RefundStatus.FAILED.value, Creation.REFUSED.value, Creation.NOT_SENT.value]
    # Of most payments each refund that was asked for has ended at once: their facts are not looked at.
    in_doubt = recent.c.said.in_([Creation.UNKNOWN.value, RefundStatus.PENDING.value])
    may_be_open = (count_where(in_doubt) > 0) | (
        count_where(recent.c.said == "asked") > count_where(recent.c.said.in_(ends))
    )
    of_refunds = select(recent.c.payment_id).where(recent.c.source == "refund").group_by(recent.c.payment_id)
    open_ = of_refunds.having(may_be_open)
    asked = select(payments.c.account, payments.c.reference, payments.c.facts).order_by(payments.c.id)
    found: dict[str, dict[str, Any]] = {}
    for account, reference, facts in connection.execute(asked.where(payments.c.id.in_(open_))):
        with suppress(ValueError, TypeError, KeyError, AttributeError):  # who opens a row that is not payhub's is told
            count = sum(_is_open(refund, now) for refund in Facts.load(facts).refunds.values())
            if count:
                of_account = found.setdefault(account, {"refunding": 0, "refunding_reference": reference})
                of_account["refunding"] += count
    yield from found.items()


def _is_open(refund: Refunding, now: datetime) -> bool:
    """Whether nobody has learnt in time what became of ``refund``; a gateway that has it may take a day."""
    return refund.under_way and now - (refund.sent_at or now) > (_DAY if refund.is_taken else queries.STUCK)


def _findings(found: Health) -> Iterator[Finding]:
    for it in found.accounts:
        ago = found.at - _OVERDUE
        if it.stuck:
            yield Finding(
                it.account,
                f"orders whose creation is not clear after {queries.STUCK.seconds // 60} minutes: {it.stuck}",
                f"payhub payments list --stuck --account {it.account}, then for each payhub payments refresh "
                "--checkout MODULE:NAME",
            )
        yield from _refunds(it)
        if it.refused >= _REFUSED:
            yield Finding(
                it.account,
                f"orders refused or not sent since the last that the gateway took: {it.refused}, the last for: "
                f"{plain(it.refusal, 300)}",
                f"payhub doctor --connect --account {it.account}; payhub dry-run {it.account} shows the request",
            )
        if it.due_since and it.due_since < ago:
            yield Finding(
                it.account,
                f"orders that nobody asks about: {it.due}, the first was due at {when(it.due_since)}",
                "let a scheduler run payhub reconcile every minute",
            )
        if it.is_silent and it.unanswered_at:
            reason = plain(it.unanswered, 300).replace(". Hint: ", "; ")  # this line has a hint of its own
            yield Finding(
                it.account,
                f"the last pass learnt nothing, at {when(it.unanswered_at)}: {reason}",
                f"payhub doctor --connect --account {it.account}",
            )
        if it.waiting_since and it.waiting_since < ago:
            yield Finding(
                it.account,
                f"transitions that no handler has had: {it.waiting}, the first since {when(it.waiting_since)}",
                "payhub outbox list, then payhub outbox deliver --checkout MODULE:NAME, or --handler MODULE:FUNCTION",
            )
        if it.failing:
            yield Finding(
                it.account,
                f"orders whose handler failed in the last day, and has not had them since: {it.failing}",
                f"see the application's log, and payhub payments show {it.account} {it.failing_reference}",
            )
        if it.paid_by_query >= _ONLY_ASKED and not it.paid_by_notify:
            yield Finding(
                it.account,
                f"payments were found by asking in the last day: {it.paid_by_query}, and none by a notify",
                "see that the gateway reaches the orders' notify_url, and what it is answered there",
            )
        if it.open_anomalies:
            yield Finding(
                it.account,
                f"anomalies that nobody has resolved: {it.open_anomalies}",
                f"payhub payments anomalies --account {it.account}, then payhub payments resolve",
            )


def _refunds(it: AccountHealth) -> Iterator[Finding]:
    if it.refunding:
        yield Finding(
            it.account,
            f"refunds whose end is not known: {it.refunding}",
            f"payhub payments show {it.account} {it.refunding_reference}, then the same call of refund again; "
            "where that does not tell, payhub payments settle-refund",
        )
