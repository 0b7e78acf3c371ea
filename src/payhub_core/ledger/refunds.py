"""What is known of one refund, as a value that merges: whatever is heard in whichever order, it only ever grows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

__all__ = ["Refunding"]


class Refunding(NamedTuple):
    """One refund, by the shop's number of it: ``minor`` units to be paid back.

    ``tries`` counts how often it was sent, ``failures`` how many of these are known to have come to nothing;
    ``first_sent_at`` and ``sent_at`` are the times of the first and of the last one. ``done`` says that the gateway has
    paid back. ``gateway_id`` is the payment that it was first sent for, and so is every time: an order may be paid
    again under another. ``answered`` counts the tries that the gateway has answered; where several were under way at
    once, fewer.
    """

    minor: int
    tries: int = 0
    failures: int = 0
    done: bool = False
    sent_at: datetime | None = None
    refund_id: str = ""
    refunded_at: datetime | None = None
    gateway_id: str = ""
    answered: int = 0
    first_sent_at: datetime | None = None

    def __or__(self, other: Refunding) -> Refunding:
        sent = [r.sent_at for r in (self, other) if r.sent_at is not None]
        first = [r.first_sent_at for r in (self, other) if r.first_sent_at is not None]
        refunded = [r.refunded_at for r in (self, other) if r.refunded_at is not None]
        return Refunding(
            max(self.minor, other.minor),
            max(self.tries, other.tries),
            max(self.failures, other.failures),
            self.done or other.done,
            max(sent, default=None),
            max(self.refund_id, other.refund_id),
            min(refunded, default=None),
            max(self.gateway_id, other.gateway_id),
            max(self.answered, other.answered),
            min(first, default=None),
        )

    @property
    def under_way(self) -> bool:
        """Whether the gateway may be paying back, or may yet."""
        return not self.done and self.tries > self.failures

    @property
    def is_taken(self) -> bool:
        """Whether the gateway has it: it has given it a number, and no try of it has come to nothing."""
        return bool(self.refund_id) and not self.failures

    def sent(self, now: datetime, gateway_id: str | None) -> Refunding:
        """As it is once it is sent (again), for the payment ``gateway_id`` if for none yet."""
        first = self.first_sent_at or self.sent_at or now
        gateway_id = self.gateway_id or gateway_id or ""
        return self._replace(tries=self.tries + 1, sent_at=now, gateway_id=gateway_id, first_sent_at=first)

    def dump(self) -> list[Any]:
        """What JSON can hold."""
        return [value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value for value in self]

    @classmethod
    def load(cls, values: list[Any]) -> Refunding:
        """What `dump` gave; raises ValueError or TypeError for anything else."""
        found = cls(*values)
        sent, refunded, first = found.sent_at, found.refunded_at, found.first_sent_at
        return found._replace(
            sent_at=sent and datetime.fromisoformat(str(sent)),
            refunded_at=refunded and datetime.fromisoformat(str(refunded)),
            first_sent_at=first and datetime.fromisoformat(str(first)),
        )
