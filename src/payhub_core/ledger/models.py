"""What the ledger tells an application: stored payments, what was heard of them, and what became true of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from payhub_core.ledger.facts import Anomaly
from payhub_core.models import Payment, PaymentStatus
from payhub_core.money import Money

__all__ = ["Creation", "Observation", "StoredAnomaly", "StoredPayment", "Total", "Transition"]


class Creation(StrEnum):
    """What became of creating a payment at the gateway.

    STARTING is written before the gateway hears of it. CREATED: the gateway knows it. NOT_SENT and REFUSED: there is
    nothing at the gateway. UNKNOWN: only a query can tell.
    """

    STARTING = "starting"
    CREATED = "created"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StoredPayment:
    """A payment with what the ledger knows besides.

    ``creation`` says what became of creating it, ``anomalies`` what is odd about it, ``attempts`` how often the gateway
    was asked about it, and ``next_check_at`` when it is asked next (None: no more).
    """

    payment: Payment
    creation: Creation
    anomalies: tuple[Anomaly, ...]
    attempts: int
    next_check_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Total:
    """How many payments of one status, creation and currency there are, what was ``due``, and what was ``paid``.

    One whose creation was refused is pending as well: nothing is at the gateway, and nothing was paid.
    """

    status: PaymentStatus
    creation: Creation
    count: int
    due: Money
    paid: Money


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was heard or done: ``source`` is create, notify, query, refund or close, ``said`` what it came to.

    A refund and a close are there twice: "asked" before they are sent, and what came of them. A query that brought no
    answer which could be used, and a handler that failed (``source`` handler), are there with the error's type in
    ``said``; ``raw`` holds how many ``times`` in a row, ``since`` when.

    ``paid_minor`` is the sum it stated as received, in minor units of the order's currency; None where it stated none.
    """

    at: datetime
    source: str
    said: str
    gateway_id: str | None
    paid_minor: int | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredAnomaly:
    """An ``anomaly`` of a payment and when it was found out; ``resolved_at``, by whom and how, or None: it is open."""

    account: str
    reference: str
    anomaly: Anomaly
    at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that became true of a payment: its ``status``, or else an ``anomaly``. Each comes once in its life.

    So ``if transition.status is PaymentStatus.PAID`` holds once for each payment, whatever else arrives. ``id`` is the
    same for every delivery: use it as an idempotency key. ``anomalies`` is all that is odd about the payment by now.
    One from the outbox was handed out ``attempts`` times, and is again at ``due_at`` where it is not taken. At
    ``delivered_at`` a handler took it, with ``attempts`` at 0 in the transaction that recorded it; None: it waits.
    """

    id: str
    account: str
    reference: str
    status: PaymentStatus | None
    anomaly: Anomaly | None
    payment: Payment
    at: datetime
    anomalies: tuple[Anomaly, ...] = ()
    attempts: int = field(default=0, compare=False)
    due_at: datetime | None = field(default=None, compare=False)
    delivered_at: datetime | None = field(default=None, compare=False)
