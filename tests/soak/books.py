"""The books of gateway, ledger and shop, compared order by order."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import text

from payhub_core import PaymentStatus
from payhub_core.ledger import Creation, Ledger

TRANSITIONS = """
SELECT p.account || '/' || p.reference || '/' || t.name, t.delivered_at IS NULL
 FROM payhub_transitions t JOIN payhub_payments p ON p.id = t.payment_id
"""


@dataclass
class Books:
    """What was found; money in fen. The lists name what is wrong, and are empty where all agree."""

    paid_at_gateway: int = 0
    money_at_gateway: int = 0
    paid_in_ledger: int = 0
    money_in_ledger: int = 0
    transitions: int = 0
    effects: int = 0
    #: Paid at the gateway, and not known so in the ledger; known with another sum; known without having been paid.
    lost: list[str] = field(default_factory=list)
    other_sum: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    #: At the gateway, and the ledger does not know whether it is.
    stuck: list[str] = field(default_factory=list)
    #: Transitions that wait; of which the shop never heard; of which it heard twice; which it has, and the ledger not.
    waiting: list[str] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    without_transition: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """The references of all that is wrong."""
        lists = [value for value in vars(self).values() if isinstance(value, list)]
        return sorted({name.split("/")[1] if "/" in name else name for names in lists for name in names})

    @property
    def agree(self) -> bool:
        """Nothing lost, nothing twice, nothing invented, nothing left to do."""
        sums = (self.paid_at_gateway, self.money_at_gateway) == (self.paid_in_ledger, self.money_in_ledger)
        return sums and not self.wrong


def compare(ledger: Ledger, gateway: str) -> Books:
    """Reads all the books; ``gateway`` is the file of the sandbox."""
    books = Books()
    with sqlite3.connect(gateway) as platform:
        rows = platform.execute("SELECT order_no, pay_status, actual_amount, amount FROM orders").fetchall()
    due = {reference: (received, amount) for reference, status, received, amount in rows if status == 1}
    stored = {it.payment.reference: it for it in ledger.payments(limit=10**9)}
    received = {ref: it.payment for ref, it in stored.items() if it.payment.status in _RECEIVED}
    books.paid_at_gateway, books.money_at_gateway = len(due), sum(sum_ for sum_, _ in due.values())
    books.paid_in_ledger = len(received)
    books.money_in_ledger = sum(payment.paid.minor for payment in received.values() if payment.paid)
    for reference, (sum_, amount) in due.items():
        payment = received.get(reference)
        status = PaymentStatus.PAID if sum_ >= amount else PaymentStatus.PARTIALLY_PAID
        if payment is None or payment.status is not status:
            books.lost.append(reference)
        elif payment.paid is None or payment.paid.minor != sum_:
            books.other_sum.append(reference)
    books.invented = sorted(received.keys() - due.keys())
    at_gateway = {reference for reference, *_ in rows}
    books.stuck = [ref for ref, it in stored.items() if it.creation in _UNCLEAR and ref in at_gateway]
    _compare_effects(ledger, books)
    return books


def _compare_effects(ledger: Ledger, books: Books) -> None:
    transitions = {name: bool(waits) for name, waits in ledger.read(lambda c: c.execute(text(TRANSITIONS)).all())}
    both = text("SELECT id FROM handled UNION ALL SELECT id FROM delivered")
    effects = Counter(ledger.read(lambda c: c.execute(both).scalars().all()))
    books.transitions, books.effects = len(transitions), effects.total()
    books.waiting = [name for name, waits in transitions.items() if waits]
    books.without_effect = sorted(transitions.keys() - effects.keys())
    books.without_transition = sorted(effects.keys() - transitions.keys())
    books.twice = [name for name, times in effects.items() if times > 1]


_RECEIVED = {PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID}
_UNCLEAR = {Creation.STARTING, Creation.UNKNOWN}
