"""The outcomes: the last two digits of a sum, in minor units, say what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from payhub_core import AccountRefused, GatewayError, Money, NotSent, OutcomeUnknown, PaymentStatus, Refused

__all__ = ["OUTCOMES", "PAID", "Outcome", "outcome_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of an order.

    ``error`` is what creating it ends in, None where it is accepted. ``story`` is what the gateway says of it, one
    status after another. ``excess`` is paid beyond the sum due, ``misstated`` is added to the sum due in every message,
    both in minor units. ``repeated`` notifies come a second time, ``doubled`` ones under a second number.
    """

    error: type[GatewayError] | None = None
    story: tuple[PaymentStatus, ...] = (PaymentStatus.PAID,)
    excess: int = 0
    misstated: int = 0
    repeated: bool = False
    doubled: bool = False

    @property
    def known(self) -> bool:
        """Whether the gateway took the order, whatever it answered."""
        return self.error in {None, OutcomeUnknown}


#: What becomes of any sum that is not among `OUTCOMES`.
PAID = Outcome()

#: By the last two digits of the sum in minor units.
OUTCOMES: Mapping[int, Outcome] = {
    1: Outcome(story=(PaymentStatus.PENDING, PaymentStatus.PAID)),
    2: Outcome(story=(PaymentStatus.FAILED,)),
    3: Outcome(error=Refused),
    4: Outcome(error=AccountRefused),
    5: Outcome(error=NotSent),
    6: Outcome(error=OutcomeUnknown),
    7: Outcome(repeated=True),
    8: Outcome(excess=-1),
    9: Outcome(excess=1),
    10: Outcome(misstated=1),
    11: Outcome(story=(PaymentStatus.EXPIRED, PaymentStatus.PAID)),
    12: Outcome(doubled=True),
    13: Outcome(story=(PaymentStatus.PAID, PaymentStatus.REFUNDED)),
}


def outcome_of(amount: Money) -> Outcome:
    """What becomes of a sum: 10.03 CNY, 1003 JPY and 1.003 KWD all end in 03."""
    return OUTCOMES.get(amount.minor % 100, PAID)
