"""A sale: one order as a gateway has it, in payhub's words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from payhub_core.models import PaymentMethod, PaymentStatus, RefundStatus
from payhub_core.money import Money

__all__ = ["Sale"]


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, kw_only=True)
class Sale:
    """What the gateway is to say of one order; a contract puts it into the gateway's own words.

    ``status`` is where the payment stands; ``word``, where it is not empty, is written in place of the status's own
    word, or of that for ``no``: one of the contract's ``words``, or one that nobody knows yet. ``amount`` is the sum
    due, ``paid`` the sum received, None until it is paid. ``gateway_id`` is the gateway's number, one of the contract's
    ``gateway_ids``. ``description`` is the order's, where messages bring it back. ``url`` is where the payer goes.
    ``at`` is when the message is written, ``created_at`` when the order was sent, both aware.

    ``no`` is "" unless the gateway says no: "missing" (there is no such order), "refused" (the order is not accepted),
    "duplicate" (its number is taken), "account" (the account is not accepted) or "unknown" (nobody knows what became of
    it, such as "system error").

    ``refund`` is the sum of one refund, with ``refund_reference`` (the shop's number, "" in a message about one that it
    did not ask for), ``refund_id`` (the gateway's) and ``refund_status``; ``refund_word``, where it is not empty, is
    written in place of that status's own word. It is ``refund_made`` where it was made before it is asked for: a
    look-up shows it.

    ``hook`` is the hook whose request is answered, such as "refund"; "" in a message of the gateway's own.

    ``refunded`` is the sum of all that has gone back so far, None where nothing has.

    ``settings`` are those of the account that it belongs to: sign and name the merchant with these and no others.
    """

    reference: str
    amount: Money
    status: PaymentStatus = PaymentStatus.PENDING
    word: str = ""
    paid: Money | None = None
    gateway_id: str = "70010001"
    method: PaymentMethod | str | None = None
    description: str = ""
    attach: str = ""
    url: str = "https://pay.example/70010001"
    at: datetime = field(default_factory=_now)
    created_at: datetime = field(default_factory=_now)
    no: Literal["", "missing", "refused", "duplicate", "account", "unknown"] = ""
    refund: Money | None = None
    refund_reference: str = "R1001"
    refund_id: str = "80010001"
    refund_status: RefundStatus = RefundStatus.REFUNDED
    refund_word: str = ""
    refund_made: bool = False
    refunded: Money | None = None
    hook: str = ""
    settings: dict[str, Any] = field(default_factory=dict, repr=False)

    def but(self, **changes: Any) -> Sale:
        """The same sale with some fields changed."""
        return replace(self, **changes)
