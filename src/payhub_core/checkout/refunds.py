"""Refunds: paying back once, and never more than was received, whatever fails in between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

from sqlalchemy import Connection

from payhub_core.checkout.checks import recorded
from payhub_core.checkout.lease import lease_time
from payhub_core.checkout.outcomes import is_final, said_after
from payhub_core.checkout.steps import AnyHub, SendRefund, Steps, Write
from payhub_core.errors import (
    InvalidOrder,
    OutcomeUnknown,
    PayhubError,
    Unsupported,
    plain,
)
from payhub_core.ledger import changes, history
from payhub_core.ledger.database import clock
from payhub_core.ledger.facts import Facts
from payhub_core.ledger.refunds import Refunding
from payhub_core.ledger.rows import Row
from payhub_core.models import Refund, RefundStatus
from payhub_core.money import Money

__all__ = ["refund"]


def refund(
    hub: AnyHub, account: str, reference: str, amount: Money, refund_reference: str, handler: object
) -> Steps[Refund]:
    """Pays ``amount`` back, once for each ``refund_reference``.

    What was sent ends in one of three ways, each of which is recorded:

    - An error. It is raised where it is conclusive, else OutcomeUnknown.
    - Money that went back before this refund was sent, and so may be another refund: InvalidOrder.
    - The gateway's answer, which is returned; OutcomeUnknown where this attempt failed, and an earlier one may arrive.
    """
    bound = hub[account]
    if not bound.supports("refund"):
        raise Unsupported(f"the provider {bound.info.name!r} has no refund", account=account, reference=reference)
    asked = _Asked(account, reference, amount, refund_reference)
    begun = yield Write(partial(_begun, asked=asked, provider=bound.info.name, time=lease_time(bound.timeout)))
    if isinstance(begun, Refund):
        return begun
    unknown = asked.unknown("what came of the refund could not be recorded")
    record = partial(recorded, begun.row, handler=handler, unknown=unknown)
    try:
        result: Refund = yield begun.send()
    except PayhubError as error:
        yield from record(begun.after(error))
        if begun.is_conclusive(error):
            raise
        raise asked.unknown("what was sent before may still pay it back", also=error.hint) from error
    if begun.was_made_elsewhere(result):
        other = asked.invalid(
            "the gateway says that money went back, and nothing was sent for this refund, so it may be another",
            "see in the gateway's back office which sum went back, and pay the rest back there; "
            f"where it is this refund, {asked.settled_by_hand}",
        )
        yield from record(begun.after(other))
        raise other
    yield from record(begun.told(result))
    if begun.may_be_another_try(result):
        raise asked.unknown("what was sent before may still pay it back")
    return result


@dataclass(frozen=True, slots=True)
class _Asked:
    """A refund as the application asks for it."""

    account: str
    reference: str
    amount: Money
    refund_reference: str

    def __post_init__(self) -> None:
        number = self.refund_reference
        if not isinstance(self.amount, Money) or self.amount.minor <= 0:
            raise self.invalid(f"expected a sum above zero, as Money, not {plain(self.amount)}")
        if not isinstance(number, str) or not number or plain(number) != number:
            raise self.invalid("expected a refund_reference of 1 to 80 printable characters")

    @property
    def raw(self) -> dict[str, Any]:
        """What the history keeps of it."""
        return {"refund_reference": self.refund_reference, "amount": str(self.amount)}

    @property
    def settled_by_hand(self) -> str:
        """What notes the end of the refund that a person has found out."""
        return f"payhub payments settle-refund {self.account} {self.reference} {self.refund_reference}"

    def invalid(self, reason: str, hint: str = "") -> InvalidOrder:
        return InvalidOrder(reason, hint=hint, account=self.account, reference=self.reference)

    def unknown(
        self, reason: str, hint: str = "make the same call again, with the same refund_reference", also: str = ""
    ) -> OutcomeUnknown:
        hint += f"; {also}" if also else ""
        return OutcomeUnknown(reason, hint=hint, account=self.account, reference=self.reference)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A refund that is written down as sent: with this ``attempt``, and as it was ``earlier``.

    With ``doubt``, an earlier attempt may still be under way. After ``until``, in monotonic seconds, nothing is sent:
    by then another process may have found that this attempt came to nothing.
    """

    asked: _Asked
    row: Row
    earlier: Refunding
    attempt: Refunding
    doubt: bool
    until: float

    def send(self) -> SendRefund:
        """The call to the gateway."""
        row, asked, gateway_id = self.row, self.asked, self.attempt.gateway_id or None
        created_at = row.time("created_at")
        about = asked.account, row.order(), gateway_id, created_at, asked.amount, asked.refund_reference
        return SendRefund(*about, self.attempt.first_sent_at, self.until)

    def is_conclusive(self, error: PayhubError) -> bool:
        """Whether ``error`` tells the end of the refund, and not only of this attempt.

        While an earlier attempt may be under way, a gateway that refuses this one may mean that it has the refund
        already.
        """
        return not self.earlier.under_way or (is_final(error) and not self.doubt)

    def after(self, error: PayhubError) -> changes.RefundNews:
        """What an attempt that ended in ``error`` leaves.

        - It was not sent: this attempt came to nothing.
        - It was refused, and that is conclusive: every attempt came to nothing.
        - Anything else: nobody knows, and the sum stays taken.
        """
        said, attempt = said_after(error), self.attempt
        if said == "not_sent":
            attempt = attempt._replace(failures=attempt.failures + 1)
        elif said == "refused":
            if self.is_conclusive(error):
                attempt = attempt._replace(failures=attempt.tries)
            else:
                said = "unknown"
        return self._news(attempt, said, {"reason": error.message})

    def was_made_elsewhere(self, result: Refund) -> bool:
        """Whether the money in ``result`` went back before this refund was ever sent."""
        return result.status is RefundStatus.REFUNDED and result.looked_up and not self.earlier.under_way

    def may_be_another_try(self, result: Refund) -> bool:
        """Whether ``result`` tells that this attempt failed, while an earlier one that was lost may still arrive.

        None was lost where the gateway has given the refund a number, and has answered every attempt.
        """
        none_lost = self.earlier.is_taken and self.earlier.answered == self.earlier.tries
        return result.status is RefundStatus.FAILED and self.doubt and not none_lost

    def told(self, result: Refund) -> changes.RefundNews:
        """What the gateway's answer leaves."""
        if self.may_be_another_try(result):  # the number is that of what came to nothing
            return self._news(self.attempt, result.status.value, result.raw)
        attempt = self.attempt._replace(refund_id=result.refund_id or "", answered=self.earlier.answered + 1)
        if result.status is RefundStatus.REFUNDED:
            attempt = attempt._replace(done=True, refunded_at=result.refunded_at)
        elif result.status is RefundStatus.FAILED:
            attempt = attempt._replace(failures=attempt.tries)
        return self._news(attempt, result.status.value, result.raw)

    def _news(self, attempt: Refunding, said: str, raw: dict[str, Any]) -> changes.RefundNews:
        facts = Facts(refunds={self.asked.refund_reference: attempt})
        return changes.RefundNews(facts, said, {**raw, **self.asked.raw})


def _begun(connection: Connection, asked: _Asked, provider: str, time: timedelta) -> _Begun | Refund:
    """Writes the refund down before it is sent; one that is done already is returned as it was."""
    until = monotonic() + time.total_seconds()
    while True:
        row = changes.find(connection, asked.account, asked.reference)
        if row is None:
            raise asked.invalid("no such order was started here")
        changes.check_provider(row, provider)
        known, now = row.known(), clock(connection)
        earlier = known.refunds.get(asked.refund_reference, Refunding(asked.amount.minor))
        if earlier.done and asked.amount == Money(earlier.minor, row.due.currency):
            return _done(row, asked, earlier)
        _check(row, known, earlier, asked)
        attempt = earlier.sent(now, row.gateway_id)
        facts = known | Facts(refunds={asked.refund_reference: attempt})
        new = changes.change(connection, row, now, facts=facts.dump())
        if new is not None:
            history.add(connection, history.values(new, "refund", "asked", now, asked.raw))
            recent = earlier.sent_at is None or now - earlier.sent_at < time
            return _Begun(asked, new, earlier, attempt, doubt=earlier.under_way and recent, until=until)


def _check(row: Row, known: Facts, earlier: Refunding, asked: _Asked) -> None:
    """Raises InvalidOrder for a refund that is not to be sent, OutcomeUnknown for one not to be sent again."""
    received = known.received(row.due)
    if asked.amount.currency != row.due.currency:
        raise asked.invalid(f"the order is in {row.due.currency}, the refund in {asked.amount.currency}")
    if earlier.minor != asked.amount.minor:
        sum_ = Money(earlier.minor, row.due.currency)
        hint = "use a refund_reference of its own for each refund"
        raise asked.invalid(f"refund {asked.refund_reference!r} is about {sum_}, not {asked.amount}", hint)
    if not received.minor:
        raise asked.invalid(
            "nothing was received for this order, as far as the ledger knows", "refresh asks the gateway"
        )
    if not earlier.tries and known.has_lost_an_unknown_sum(row.due):
        raise asked.invalid(
            "the gateway says that money went back, and not how much, so nobody knows what is left",
            "see in the gateway's back office how much went back, and pay the rest back there",
        )
    left, gone = known.refundable(row.due, asked.refund_reference), known.known_back(row.due)
    if earlier.under_way and asked.amount > left and gone:
        if earlier.is_taken:
            return  # the gateway has it, so asking again pays nothing more back
        reason = f"the gateway says that {gone} went back, which may hold this refund"
        hint = "look for it in the gateway's back office: sent again, it could be one too many"
        raise asked.unknown(reason, f"{hint}; then {asked.settled_by_hand}")
    if asked.amount > left:
        others = [key for key, it in known.refunds.items() if it.under_way and key != asked.refund_reference]
        under_way = f"; make these calls again to learn what became of them: {', '.join(others)}" if others else ""
        raise asked.invalid(
            f"{left} of the {received} received are left to pay back, not {asked.amount}",
            f"refund {left} at most{under_way}" if left.minor else under_way.removeprefix("; "),
        )


def _done(row: Row, asked: _Asked, done: Refunding) -> Refund:
    return Refund(
        account=row.account,
        provider=row.provider,
        reference=row.reference,
        gateway_id=done.gateway_id or row.gateway_id,
        refund_reference=asked.refund_reference,
        refund_id=done.refund_id or None,
        status=RefundStatus.REFUNDED,
        amount=asked.amount,
        refunded_at=done.refunded_at,
    )
