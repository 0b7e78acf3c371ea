"""Rows: one stored payment as the database has it, and as the application sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from payhub_core.errors import InvalidOrder, LedgerError
from payhub_core.ledger.facts import Anomaly, AnomalyKind, Facts
from payhub_core.ledger.tables import utc
from payhub_core.models import NextAction, Order, Payment, PaymentStatus
from payhub_core.money import Money

__all__ = [
    "PLACE",
    "Observation",
    "Row",
    "State",
    "StoredPayment",
    "Transition",
    "addressed",
    "anomaly_text",
    "foreign",
    "order_texts",
    "parse_anomaly",
]

#: Stands for the account's name in an order's addresses.
PLACE = "{account}"

_action: TypeAdapter[Any] = TypeAdapter(NextAction)


class State(StrEnum):
    """What became of creating a payment at the gateway.

    STARTING is written before the gateway hears of it. CREATED: the gateway knows it. NOT_SENT and REFUSED: there is
    nothing at the gateway. UNKNOWN: only a query can tell.
    """

    STARTING = "starting"
    CREATED = "created"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Row(NamedTuple):
    """A row of ``payhub_payments``, in the sequence of its columns."""

    id: int
    account: str
    reference: str
    provider: str
    amount_minor: int
    currency: str
    order_json: str
    order_hash: str
    state: str
    status: str
    facts: str
    gateway_id: str | None
    paid_minor: int | None
    paid_at: object
    next_action: str | None
    next_check_at: object
    attempts: int
    lease: str | None
    lease_until: object
    version: int
    created_at: object
    updated_at: object

    @property
    def due(self) -> Money:
        try:
            return Money(self.amount_minor, self.currency)
        except (InvalidOrder, TypeError):
            raise self.foreign("amount_minor and currency") from None

    def known(self) -> Facts:
        """The stored facts; raises LedgerError where they are not what payhub wrote."""
        try:
            return Facts.load(self.facts)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self.foreign("facts") from None

    def order(self) -> Order:
        """The order as the account was sent it; raises LedgerError where it is none."""
        try:
            return addressed(Order.model_validate_json(self.order_json), self.account)
        except (InvalidOrder, ValueError):
            raise self.foreign("order_json") from None

    def busy(self, now: datetime, mine: str) -> bool:
        """Whether anyone holds the lease but ``mine``."""
        until = self.time("lease_until")
        return until is not None and until > now and self.lease != mine

    def time(self, column: str) -> datetime | None:
        """One of the row's times, aware; raises LedgerError where it is none."""
        try:
            return utc(getattr(self, column))
        except ValueError:
            raise self.foreign(column) from None

    def payment(self, raw: Mapping[str, Any] | None = None) -> Payment:
        """What is known, in the words of every other payment."""
        order, facts, due = self.order(), self.known(), self.due
        try:
            status = PaymentStatus(self.status)
            action = None if self.next_action is None else _action.validate_json(self.next_action)
        except ValueError:
            raise self.foreign("status or next_action") from None
        return Payment(
            account=self.account,
            provider=self.provider,
            reference=self.reference,
            gateway_id=self.gateway_id,
            status=status,
            claimed_status=status,
            amount=due,
            paid=facts.received(due) if facts.receipts else None,
            method=order.method,
            attach=order.attach,
            created_at=self.time("created_at"),
            paid_at=self.time("paid_at"),
            next_action=action,
            raw=dict(raw or {}),
        )

    def foreign(self, what: str) -> LedgerError:
        return foreign(what, self.account, self.reference)


def foreign(what: str, account: str, reference: str) -> LedgerError:
    """The error for a row that holds what payhub never writes."""
    return LedgerError(
        f"the ledger holds {what} that payhub did not write",
        hint="mend the row from the payment's observations or a backup; nothing was changed",
        account=account,
        reference=reference,
    )


@dataclass(frozen=True, slots=True)
class StoredPayment:
    """A payment with what the ledger knows besides.

    That is what became of creating it, what is odd about it, how often the gateway was asked, and when it is next.
    """

    payment: Payment
    state: State
    anomalies: tuple[Anomaly, ...]
    attempts: int
    next_check_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> StoredPayment:
        """The stored payment in ``row``; raises LedgerError for one that payhub did not write."""
        stored = Row._make(row)
        try:
            state = State(stored.state)
        except ValueError:
            raise stored.foreign("a state") from None
        return cls(
            stored.payment(),
            state,
            stored.known().anomalies(stored.due),
            stored.attempts,
            stored.time("next_check_at"),
            stored.time("updated_at"),
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was heard or done: ``source`` is create, notify or query, ``said`` what it came to.

    ``paid_minor`` is the sum it stated as received, in minor units of the order's currency; None where it stated none.
    """

    at: datetime
    source: str
    said: str
    gateway_id: str | None
    paid_minor: int | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that became true of a payment: its ``status``, or else an ``anomaly``. Each is told once in its life.

    So ``if transition.status is PaymentStatus.PAID`` holds once for each payment, whatever else arrives. ``id`` is the
    same for every delivery: use it as an idempotency key.
    """

    id: str
    account: str
    reference: str
    status: PaymentStatus | None
    anomaly: Anomaly | None
    payment: Payment
    at: datetime


def addressed(order: Order, account: str) -> Order:
    """The order as ``account`` is sent it: ``{account}`` in its addresses becomes that name."""
    if PLACE not in order.notify_url + order.return_url:
        return order
    urls = {key: getattr(order, key).replace(PLACE, account) for key in ("notify_url", "return_url")}
    return order.model_copy(update=urls)


def order_texts(order: Order) -> tuple[str, str]:
    """The order as JSON and the hash of its content, by which the same order is recognized."""
    content = json.dumps(order.model_dump(mode="json"), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return content, sha256(content.encode()).hexdigest()


def anomaly_text(anomaly: Anomaly) -> str:
    """An anomaly as JSON."""
    return json.dumps([anomaly.kind, anomaly.due.minor, anomaly.received.minor, list(anomaly.gateway_ids)])


def parse_anomaly(name: str, text: str, currency: str) -> Anomaly:
    """What `anomaly_text` wrote; raises ValueError, TypeError or InvalidOrder for anything else."""
    kind, due, received, gateway_ids = json.loads(text)
    return Anomaly(AnomalyKind(kind), name, Money(due, currency), Money(received, currency), tuple(gateway_ids))
