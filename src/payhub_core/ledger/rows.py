"""The row of a payment. Its fields are the columns of ``payhub_payments``: the table and the SQL are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeAlias

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Integer, String, Text

from payhub_core.errors import InvalidOrder, LedgerError
from payhub_core.ledger.facts import Anomaly, Facts
from payhub_core.ledger.models import Creation, StoredPayment
from payhub_core.ledger.orders import addressed
from payhub_core.ledger.times import UtcTime, utc
from payhub_core.models import NextAction, Order, Payment, PaymentStatus
from payhub_core.money import Money

__all__ = ["FIXED", "KEY", "Row", "foreign"]

KEY = BigInteger().with_variant(Integer, "sqlite")

#: Text or a time, as the database gives it: `Row.time` reads it.
Time: TypeAlias = Annotated[object, UtcTime()]
Minor: TypeAlias = Annotated[int, BigInteger()]
Count: TypeAlias = Annotated[int, Integer()]
LongText: TypeAlias = Annotated[str, Text()]

_action: TypeAdapter[Any] = TypeAdapter(NextAction)


class Row(NamedTuple):
    """A payment as it is stored; each annotation holds the column's type, ``| None`` that it may be NULL."""

    id: Annotated[int, KEY]
    account: LongText
    reference: Annotated[str, String(64)]
    provider: LongText
    amount_minor: Minor
    currency: Annotated[str, String(3)]
    order_json: LongText
    #: What became of creating it, a `Creation`.
    creation: Annotated[str, String(16)]
    #: A projection of the facts, as are gateway_id, paid_minor, paid_at and refunded_minor.
    status: Annotated[str, String(32)]
    facts: LongText
    gateway_id: LongText | None
    paid_minor: Minor | None
    paid_at: Time | None
    next_action: LongText | None
    #: When to ask the gateway next; NULL where there is nothing to ask.
    next_check_at: Time | None
    attempts: Count
    #: Who is talking to the gateway about it right now, and until when that holds.
    lease: Annotated[str, String(32)] | None
    lease_until: Time | None
    #: Counts the changes; every change is conditional on it.
    version: Count
    created_at: Time
    updated_at: Time
    refunded_minor: Minor | None
    #: Until when next_action is good, where the gateway said so.
    expires_at: Time | None

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

    def anomalies(self, facts: Facts | None = None) -> tuple[Anomaly, ...]:
        """What is odd about the payment by ``facts``, or else by those that are stored."""
        return (self.known() if facts is None else facts).anomalies(self.due, self.time("created_at"))

    def order(self) -> Order:
        """The order as the account was sent it; raises LedgerError where it is none."""
        return addressed(self.order_as_given(), self.account)

    def order_as_given(self) -> Order:
        """The order as the application started it; raises LedgerError where it is none."""
        try:
            return Order.model_validate_json(self.order_json)
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

    def payment(self, raw: Mapping[str, Any] | None = None, facts: Facts | None = None) -> Payment:
        """What is known by ``facts``, or else by those that are stored, in the words of every other payment."""
        order, due = self.order_as_given(), self.due
        if facts is None:
            facts = self.known()
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
            refunded=facts.gone_back(due),
            method=order.method,
            attach=order.attach,
            created_at=self.time("created_at"),
            paid_at=self.time("paid_at"),
            next_action=action if status in _PAYABLE else None,
            expires_at=self.time("expires_at") if status in _PAYABLE else None,
            raw=dict(raw or {}),
        )

    def stored(self) -> StoredPayment:
        """The payment with what the ledger knows besides; raises LedgerError for a row that payhub did not write."""
        try:
            creation = Creation(self.creation)
        except ValueError:
            raise self.foreign("creation") from None
        facts = self.known()
        return StoredPayment(
            self.payment(facts=facts),
            creation,
            self.anomalies(facts),
            self.attempts,
            self.time("next_check_at"),
            self.time("updated_at"),
        )

    def foreign(self, what: str) -> LedgerError:
        return foreign(what, self.account, self.reference)


#: While the payer can still pay: some gateways say of a fresh order that it has failed.
_PAYABLE = {PaymentStatus.PENDING, PaymentStatus.FAILED}
#: What never changes once a payment is written down.
FIXED: frozenset[str] = frozenset(Row._fields[: Row._fields.index("creation")])


def foreign(what: str, account: str, reference: str) -> LedgerError:
    """The error for a row that holds what payhub never writes."""
    return LedgerError(
        f"the ledger holds {what} that payhub did not write",
        hint="mend the row from the payment's observations or a backup; nothing was changed",
        account=account,
        reference=reference,
    )
