"""Facts: what is known of one payment, merged so that the order and the number of messages cannot matter. Pure.

`Facts` form a join-semilattice: ``|`` is commutative, associative and idempotent, because every part is a union or a
maximum. The status and the anomalies are projections of the facts, computed anew and never merged themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from payhub_core.errors import WrongAmount
from payhub_core.ledger.refunds import Refunding
from payhub_core.models import Payment, PaymentStatus, Refund, RefundStatus
from payhub_core.money import Money

__all__ = ["PARTS", "Anomaly", "AnomalyKind", "Facts", "Receipt", "observed", "observed_refund"]

PartT = TypeVar("PartT", "Receipt", "RefundedSum", Refunding)

_json = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
#: Words that are facts beside the sums; of several, the first one stands.
_GONE_BACK = (PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN)
_SUM_UNKNOWN = PaymentStatus.REFUND_SUM_UNKNOWN
_NOT_PAID = (PaymentStatus.CANCELED, PaymentStatus.EXPIRED, PaymentStatus.AUTHORIZED, PaymentStatus.FAILED)
_NOTHING_RECEIVED = {PaymentStatus.PENDING, PaymentStatus.AUTHORIZED}
_RECEIVED = {PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID}
#: How far the clocks of gateway and shop may differ: a whole time zone, and more.
_TOLERANCE = timedelta(days=1)
#: So many sums of refunds are tried for one message.
_MOST_SUMS = 10_000


class AnomalyKind(StrEnum):
    """What is odd about the money or the messages of a payment."""

    OVERPAID = "overpaid"
    UNDERPAID = "underpaid"
    PAID_AGAIN = "paid_again"
    PAID_AFTER_FAILED = "paid_after_failed"
    PAID_AFTER_EXPIRED = "paid_after_expired"
    PAID_BEFORE_CREATED = "paid_before_created"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something a person should look at: ``received`` of ``due``, under the gateway's ids ``gateway_ids``.

    PAID_AGAIN tells of a further gateway id that was paid for one order, and that the sum due did not need.
    PAID_AFTER_FAILED and PAID_AFTER_EXPIRED say that the gateway has stated both, in whichever order the two arrived.
    PAID_BEFORE_CREATED says that the gateway's time of payment is more than a day before the order was created here, as
    in an old message about a number that was used before. ``name`` tells an anomaly from the payment's others.
    """

    kind: AnomalyKind
    name: str
    due: Money
    received: Money
    gateway_ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.received} of {self.due}"


class Receipt(NamedTuple):
    """What came in under one gateway id: minor units (None: the bare word "paid") and the earliest time."""

    minor: int | None = None
    at: datetime | None = None

    def __or__(self, other: Receipt) -> Receipt:
        if self == other:
            return self
        # An exact sum is more than the bare word "paid": None is the bottom of the order.
        sums = [r.minor for r in (self, other) if r.minor is not None]
        times = [r.at for r in (self, other) if r.at is not None]
        return Receipt(max(sums, default=None), min(times, default=None))


class RefundedSum(NamedTuple):
    """How much has gone back of one payment, as far as messages say.

    ``stated`` is the largest sum that a message has stated, in minor units. ``explained`` are the refunds, by number,
    that had been asked for here when that message came: the sum may contain any of them (None: not known).
    ``elsewhere`` is the largest part of a stated sum that these refunds cannot make up: so much, at least, went back in
    the gateway's back office.
    """

    stated: int = 0
    elsewhere: int = 0
    explained: frozenset[str] | None = None

    def __or__(self, other: RefundedSum) -> RefundedSum:
        # A sum that is stated twice contains no refund that was asked for between the two messages.
        larger, smaller = (self, other) if self.stated >= other.stated else (other, self)
        explained = larger.explained
        if larger.stated == smaller.stated:
            explained = _common(larger.explained, smaller.explained)
        return RefundedSum(larger.stated, max(self.elsewhere, other.elsewhere), explained)

    def dump(self) -> tuple[Any, ...]:
        """What JSON can hold."""
        return (self.stated, self.elsewhere, None if self.explained is None else sorted(self.explained))

    @classmethod
    def load(cls, stated: int, elsewhere: int, explained: Iterable[str] | None) -> RefundedSum:
        """What `dump` gave."""
        return cls(stated, elsewhere, None if explained is None else frozenset(explained))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a payment. A gateway id is "" where the message named none.

    ``receipts`` are what came in, by gateway id, ``said`` the words of messages that are no receipts, and
    ``gateway_ids`` all ids that messages named. ``refunds`` are those that were asked for here, by the shop's number.
    ``totals`` are the sums that messages state as gone back in all, by gateway id. ``whole`` are the gateway ids of
    payments that a message called REFUNDED. ``told`` are single refunds that messages told of and that were not asked
    for here, by gateway id and number. A total may contain such a refund, so it is added to no sum that went back; it
    leaves less for further refunds.
    """

    receipts: Mapping[str, Receipt] = field(default_factory=dict)
    said: frozenset[PaymentStatus] = frozenset()
    gateway_ids: frozenset[str] = frozenset()
    refunds: Mapping[str, Refunding] = field(default_factory=dict)
    totals: Mapping[str, RefundedSum] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()
    told: Mapping[str, RefundedSum] = field(default_factory=dict)

    def __or__(self, other: Facts) -> Facts:
        return Facts(
            _joined(self.receipts, other.receipts),
            self.said | other.said,
            self.gateway_ids | other.gateway_ids,
            _joined(self.refunds, other.refunds),
            _joined(self.totals, other.totals),
            self.whole | other.whole,
            _joined(self.told, other.told),
        )

    def hearing(self, message: Facts) -> Facts:
        """These facts and those of ``message``. A sum that it states contains no refund that is asked for later."""
        if not message.totals and not message.told:
            return self | message
        asked = self._counting(key for key, it in self.refunds.items() if not self._is_of_another(it, message))
        totals = {
            key: RefundedSum(it.stated, _unexplained(it.stated, asked.values()), frozenset(asked))
            for key, it in message.totals.items()
        }
        told = {key: self._hearing_one(it, asked) for key, it in message.told.items()}
        return self | replace(message, totals=totals, told=told)

    def _hearing_one(self, told: RefundedSum, asked: Mapping[str, int]) -> RefundedSum:
        """One refund that a message told of; without a number it may be any of that sum that was ``asked`` for."""
        if told.explained is not None:
            return told
        may_be = frozenset(key for key, minor in asked.items() if minor == told.stated)
        return RefundedSum(told.stated, 0 if may_be else told.stated, may_be)

    def _counting(self, keys: Iterable[str]) -> dict[str, int]:
        """The sums of the refunds of these numbers, without those that came to nothing."""
        refunds = {key: self.refunds[key] for key in keys if key in self.refunds}
        return {key: it.minor for key, it in refunds.items() if it.done or it.under_way}

    def _is_of_another(self, refund: Refunding, message: Facts) -> bool:
        """Whether the order was paid several times, and ``refund`` is of a payment that ``message`` is not about."""
        ids = message.gateway_ids
        known = ids <= self.receipts.keys() and refund.gateway_id in self.receipts
        return bool(ids) and known and bool(refund.gateway_id) and refund.gateway_id not in ids

    def __ge__(self, other: Facts) -> bool:
        """Whether ``other`` adds nothing to these facts."""
        return (
            self.said >= other.said
            and self.gateway_ids >= other.gateway_ids
            and self.whole >= other.whole
            and _covers(self.totals, other.totals)
            and _covers(self.told, other.told)
            and _covers(self.receipts, other.receipts)
            and _covers(self.refunds, other.refunds)
        )

    def received(self, due: Money) -> Money:
        """The sum received. Words "paid" without a sum stand for the sum due, once, unless others state one."""
        return Money.total(self._received(due.minor), due.currency)

    def _received(self, due: int) -> int:
        exact = {key: receipt.minor for key, receipt in self.receipts.items() if receipt.minor is not None}
        if not exact:
            return due if self.receipts else 0
        unnamed = exact.pop("", 0)  # a message without an id is about payments that the others name
        return max(sum(exact.values()), unnamed)

    def gone_back(self, due: Money) -> Money | None:
        """The sum that has gone back in all. None where nothing has gone back, or no message says how much."""
        gone = self._gone_back(due.minor)
        return Money.total(gone, due.currency) if gone else None

    def known_back(self, due: Money) -> Money | None:
        """As `gone_back`, with the refunds in ``told``: at least this much has gone back."""
        gone = self._known_back(due.minor)
        return Money.total(gone, due.currency) if gone else None

    def _known_back(self, due: int) -> int:
        gone = self._gone_back(due)
        return max(gone, self._summed(self._told())) if self.told else gone

    def _told(self) -> dict[str, RefundedSum]:
        """The sums of ``told`` by gateway id. A refund without a number may be one of the others: it is not added."""
        found: dict[str, RefundedSum] = {}
        for key, it in sorted(self.told.items(), reverse=True):
            gateway_id, _, number = key.partition("\n")
            sums = found.get(gateway_id, _NO_SUM)
            stated, elsewhere = sums.stated, sums.elsewhere
            one = it.stated, self._elsewhere(it, number)
            both = (stated + one[0], elsewhere + one[1]) if number else (max(stated, one[0]), max(elsewhere, one[1]))
            found[gateway_id] = RefundedSum(*both)
        return found

    def _gone_back(self, due: int) -> int:
        if not self.refunds and not self.totals and not self._is_whole(due):
            return 0
        return max(self._summed(self.totals), self._whole(due))

    def _summed(self, totals: Mapping[str, RefundedSum]) -> int:
        """What went back here, and elsewhere as ``totals`` prove; or what ``totals`` state, where that is more."""
        done = sum(refund.minor for refund in self.refunds.values() if refund.done)
        # Totals of several payments add up. One of a payment that is not known may repeat any of these: it is compared.
        known = [it for key, it in totals.items() if key and key in self.receipts]
        elsewhere = max(sum(map(self._elsewhere, known)), *map(self._elsewhere, totals.values()), 0)
        stated = max(sum(it.stated for it in known), *(it.stated for it in totals.values()), 0)
        return max(done + elsewhere, stated)

    def _elsewhere(self, total: RefundedSum, number: str = "") -> int:
        """What of ``total`` went back elsewhere; a refund that has come to nothing by now explains no part of it.

        Nor does one that the gateway has given another ``number`` than the one that ``total`` is about.
        """
        if total.explained is None:
            return total.elsewhere
        explained = total.explained
        if number:
            refunds = self.refunds
            explained = frozenset(key for key in explained & refunds.keys() if refunds[key].refund_id in {"", number})
        return max(total.elsewhere, _unexplained(total.stated, self._counting(explained).values()))

    def _is_whole(self, due: int) -> bool:
        return PaymentStatus.REFUNDED in self.said or bool(self.told and self._told_whole(due))

    def _told_whole(self, due: int) -> frozenset[str]:
        """The ids of payments of which the refunds in ``told`` make up all that came in."""
        receipts = self.receipts
        return frozenset(
            key for key, it in self._told().items() if key in receipts and it.stated >= (receipts[key].minor or due)
        )

    def _whole(self, due: int) -> int:
        """The sum that REFUNDED stands for: what came in under the ids it was said of, and went back under the others.

        It is all that was received where the word came without an id, or with one under which nothing came in.
        """
        if not self._is_whole(due):
            return 0
        received = self._received(due)
        sums = {key: due if it.minor is None else it.minor for key, it in self.receipts.items() if key}
        whole = self.whole | self._told_whole(due)
        if not whole or not whole <= sums.keys():
            return received
        others = (self._gone_back_of(key) for key in sums.keys() - whole)
        return min(received, sum(sums[key] for key in whole) + sum(others))

    def _gone_back_of(self, key: str) -> int:
        """What went back of the payment ``key``, as far as refunds and totals name it."""
        done = sum(it.minor for it in self.refunds.values() if it.done and it.gateway_id == key)
        total = self.totals.get(key, _NO_SUM)
        return max(done + self._elsewhere(total), total.stated)

    def has_lost_an_unknown_sum(self, due: Money) -> bool:
        """Whether money went back, no message says how much, and it is no refund of the shop's, since none was sent."""
        said = bool(self.told) or not self.said.isdisjoint(_GONE_BACK)
        return said and not self._gone_back(due.minor) and not any(refund.tries for refund in self.refunds.values())

    def refundable(self, due: Money, refund_reference: str) -> Money:
        """The most that may go back under that number: what was received, less what has gone back, or may be."""
        others = (refund.minor for key, refund in self.refunds.items() if key != refund_reference and refund.under_way)
        left = self._received(due.minor) - self._known_back(due.minor) - sum(others)
        return Money.total(max(left, 0), due.currency)

    def status(self, due: Money) -> PaymentStatus:
        """Where the payment stands: paid absorbs all that says "not paid"; PAID means at least ``due`` came in.

        PAID is left only by a refund, or where "paid" was a bare word and the exact sum, a smaller one, came later.
        """
        gone, received = self._gone_back(due.minor), self._received(due.minor)
        if gone and gone >= (received or due.minor):
            return PaymentStatus.REFUNDED
        back = next((word for word in _GONE_BACK if word in self.said), _SUM_UNKNOWN if self.told else None)
        if gone and (received or back is not PaymentStatus.REFUNDED):
            return PaymentStatus.PARTIALLY_REFUNDED
        if back is not None:
            return back
        if self.receipts:
            return PaymentStatus.PAID if received >= due.minor else PaymentStatus.PARTIALLY_PAID
        return next((word for word in _NOT_PAID if word in self.said), PaymentStatus.PENDING)

    def covers(self, due: Money) -> bool:
        """Whether what came in, less what has gone back, is at least ``due``; not where no message says how much."""
        gone = self._gone_back(due.minor)
        if _SUM_UNKNOWN in self.said or not self._told().keys() <= self._told_whole(due.minor):
            return False
        return (gone > 0 or self.said.isdisjoint(_GONE_BACK)) and self._received(due.minor) - gone >= due.minor

    def is_short(self, due: Money) -> bool:
        """Whether money came in, and less than is due: the rest may follow, whatever has gone back of it."""
        return bool(self.receipts) and self._received(due.minor) < due.minor

    def anomalies(self, due: Money, created_at: datetime | None = None) -> tuple[Anomaly, ...]:
        """What is odd about a payment of ``due`` that was created then, always in the same sequence."""
        if not self.receipts:
            return ()
        received, named = self._received(due.minor), tuple(sorted(key for key in self.receipts if key))
        names: list[tuple[AnomalyKind, str]] = []
        if created_at and self.paid_at and self.paid_at < created_at - _TOLERANCE:
            names.append((AnomalyKind.PAID_BEFORE_CREATED, ""))
        needed, is_over = self._needed(due.minor)
        if is_over:
            names.append((AnomalyKind.OVERPAID, ""))
        if received < due.minor:
            names.append((AnomalyKind.UNDERPAID, ""))
        names += [(AnomalyKind.PAID_AGAIN, f":{count}") for count in range(needed + 1, len(named) + 1)]
        if PaymentStatus.FAILED in self.said:
            names.append((AnomalyKind.PAID_AFTER_FAILED, ""))
        if self.said & {PaymentStatus.EXPIRED, PaymentStatus.CANCELED}:
            names.append((AnomalyKind.PAID_AFTER_EXPIRED, ""))
        if not names:
            return ()
        total = Money.total(received, due.currency)
        return tuple(Anomaly(kind, kind + number, due, total, named) for kind, number in names)

    def _needed(self, due: int) -> tuple[int, bool]:
        """How many payments make up what is due, as many as can, and whether they, or a single one, are more."""
        is_over = any(it.minor is not None and it.minor > due for it in self.receipts.values())
        sums = [it.minor for key, it in self.receipts.items() if key]
        exact = sorted((minor for minor in sums if minor is not None), reverse=True)
        if len(exact) < len(sums):  # a bare word is what is due, or nothing
            return 1, is_over
        total, needed = sum(exact), len(exact)
        for minor in exact:
            if total - minor >= due:
                total, needed = total - minor, needed - 1
        return needed, is_over or total > due

    @property
    def gateway_id(self) -> str | None:
        """The gateway's id: a paid one where there is one."""
        paid = [key for key in self.receipts if key]
        return min(paid or self.gateway_ids, default=None)

    @property
    def paid_at(self) -> datetime | None:
        """When money first came in, as far as the gateway said."""
        return min((r.at for r in self.receipts.values() if r.at is not None), default=None)

    def dump(self) -> str:
        """The facts as JSON, the same text for the same facts."""
        receipts = {key: (minor, at and at.astimezone(UTC).isoformat()) for key, (minor, at) in self.receipts.items()}
        data: dict[str, Any] = {"receipts": receipts, "said": sorted(self.said), "ids": sorted(self.gateway_ids)}
        if self.refunds:
            data["refunds"] = {key: refund.dump() for key, refund in self.refunds.items()}
        if self.totals:
            data["totals"] = {key: it.dump() for key, it in self.totals.items()}
        if self.whole:
            data["whole"] = sorted(self.whole)
        if self.told:
            data["told"] = {key: it.dump() for key, it in self.told.items()}
        return _json(data)

    @classmethod
    def load(cls, text: str) -> Facts:
        """What `dump` wrote; raises ValueError, TypeError or KeyError for anything else."""
        if text == "{}":
            return _NOTHING
        data = json.loads(text)
        if not data.keys() <= PARTS:
            raise ValueError  # another version's: half of it read would forget money
        return cls(
            {key: Receipt(minor, at and datetime.fromisoformat(at)) for key, (minor, at) in data["receipts"].items()},
            frozenset(map(PaymentStatus, data["said"])),
            frozenset(data["ids"]),
            {key: Refunding.load(values) for key, values in data["refunds"].items()} if "refunds" in data else {},
            {key: RefundedSum.load(*values) for key, values in data.get("totals", {}).items()},
            frozenset(data.get("whole", ())),
            {key: RefundedSum.load(*values) for key, values in data.get("told", {}).items()},
        )


#: The names of the parts in what `Facts.dump` writes.
PARTS = {"receipts", "said", "ids", "refunds", "totals", "whole", "told"}
_NOTHING = Facts()
_NO_SUM = RefundedSum()


def observed(payment: Payment, due: Money) -> Facts:
    """The facts in one message about an order of ``due``; a hint holds none. Raises WrongAmount."""
    wrong = None
    if payment.amount is not None and payment.amount != due:
        wrong = f"order {payment.reference!r} is about {due}, the message about {payment.amount}"
    elif payment.paid is not None and payment.paid.currency != due.currency:
        wrong = f"the sum due is in {due.currency}, the sum received in {payment.paid.currency}"
    elif payment.refunded is not None and payment.refunded.currency != due.currency:
        wrong = f"the sum due is in {due.currency}, the sum refunded in {payment.refunded.currency}"
    if wrong:
        raise WrongAmount(wrong, account=payment.account, reference=payment.reference)
    status = payment.status
    if status is PaymentStatus.PENDING and payment.claimed_status not in {None, status}:
        return _NOTHING
    key = payment.gateway_id or ""
    receipts, refunded = {}, 0
    if status not in _NOTHING_RECEIVED:
        refunded = payment.refunded.minor if payment.refunded is not None else 0
        if status in _RECEIVED or payment.paid:
            minor = 0 if status is PaymentStatus.PARTIALLY_PAID else None
            receipts[key] = Receipt(payment.paid.minor if payment.paid is not None else minor, payment.paid_at)
    said = frozenset({status}) if status in _GONE_BACK or status in _NOT_PAID else frozenset[PaymentStatus]()
    whole = frozenset({key} if status is PaymentStatus.REFUNDED else ())
    totals = {key: RefundedSum(refunded)} if refunded else {}
    return Facts(receipts, said, frozenset({key} if key else ()), {}, totals, whole)


def observed_refund(refund: Refund, known: Facts, due: Money) -> Facts:
    """The facts in one message about a refund of an order of ``due``, of which ``known`` is known.

    That it failed ends a refund that was sent once: of one that was sent again, nobody knows which try it is about.
    Raises WrongAmount.
    """
    asked = known.refunds.get(refund.refund_reference)
    expected = due if asked is None else Money(asked.minor, due.currency)
    sum_ = refund.amount or expected
    if sum_.currency != due.currency or (asked is not None and sum_ != expected):
        raise WrongAmount(
            f"refund {refund.refund_reference!r} is about {expected}, the message about {sum_}",
            account=refund.account,
            reference=refund.reference,
        )
    if asked is not None:
        told = Refunding(asked.minor, refund_id=refund.refund_id or "")
        if refund.status is RefundStatus.REFUNDED:
            told = told._replace(done=True, refunded_at=refund.refunded_at)
        elif refund.status is RefundStatus.FAILED:
            told = told._replace(failures=1)
        return Facts(refunds={refund.refund_reference: told})
    if refund.status is not RefundStatus.REFUNDED:
        return _NOTHING
    if refund.amount is None:
        return Facts(said=frozenset({_SUM_UNKNOWN}))
    # A number that is not known here is no refund's that was asked for here.
    elsewhere = (refund.amount.minor, frozenset[str]()) if refund.refund_reference else (0, None)
    key = f"{refund.gateway_id or ''}\n{refund.refund_id or refund.refund_reference}"  # neither holds a line's end
    return Facts(told={key: RefundedSum(refund.amount.minor, *elsewhere)})


def _unexplained(stated: int, asked: Iterable[int]) -> int:
    """What is left of the sum that a message states, whichever of the refunds that were ``asked`` for it holds.

    Nothing where there are too many ways to tell.
    """
    sums = {0}
    for minor in asked:
        sums |= {total + minor for total in sums if total + minor <= stated}
        if len(sums) > _MOST_SUMS:
            return 0
    return stated - max(sums)


def _common(mine: frozenset[str] | None, theirs: frozenset[str] | None) -> frozenset[str] | None:
    """What both have; None is whatever there may be."""
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    return mine & theirs


def _joined(mine: Mapping[str, PartT], theirs: Mapping[str, PartT]) -> Mapping[str, PartT]:
    """Both, and what both have joined."""
    if not theirs:
        return mine
    joined = dict(mine)
    for key, part in theirs.items():
        joined[key] = joined[key] | part if key in joined else part
    return joined


def _covers(mine: Mapping[str, PartT], theirs: Mapping[str, PartT]) -> bool:
    return not theirs or all(key in mine and mine[key] | part == mine[key] for key, part in theirs.items())
