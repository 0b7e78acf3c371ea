"""Facts merge: whatever order messages come in, and however often, the same is known in the end."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from operator import or_

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payhub_core import Money, Payment, PaymentStatus, WrongAmount
from payhub_core.ledger import AnomalyKind
from payhub_core.ledger.facts import Facts, observed

DUE = Money(10_000, "CNY")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def heard(status: PaymentStatus, gateway_id: str | None = "P1", paid: int | None = None, **fields: object) -> Payment:
    """One message about the order."""
    received = None if paid is None else Money(paid, "CNY")
    return Payment(reference="A1", gateway_id=gateway_id, status=status, amount=DUE, paid=received, **fields)


messages = st.builds(
    heard,
    st.sampled_from(PaymentStatus),
    st.sampled_from([None, "P1", "P2", "P3"]),
    st.sampled_from([None, 4_000, 10_000, 15_000]),
    paid_at=st.sampled_from([None, NOON, NOON + timedelta(hours=1)]),
)


def known(*heard_of: Payment) -> Facts:
    return reduce(or_, (observed(payment, DUE) for payment in heard_of), Facts())


@given(st.lists(messages, min_size=1, max_size=6), st.data())
@settings(max_examples=150)
def test_every_order_and_every_duplication_of_messages_ends_in_the_same_facts(
    heard_of: list[Payment], data: st.DataObject
) -> None:
    """All permutations, each with some messages repeated."""
    expected = known(*heard_of)
    repeated = data.draw(st.lists(st.sampled_from(heard_of), max_size=3))
    for permutation in itertools.permutations(heard_of):
        facts = known(*permutation, *repeated)
        assert facts == expected
        assert facts.dump() == expected.dump()
        assert facts.status(DUE) is expected.status(DUE)
        assert facts.anomalies(DUE) == expected.anomalies(DUE)


@given(st.lists(messages, max_size=4), st.lists(messages, max_size=4), st.lists(messages, max_size=4))
def test_merging_is_a_join(one: list[Payment], two: list[Payment], three: list[Payment]) -> None:
    """Commutative, associative, idempotent."""
    a, b, c = known(*one), known(*two), known(*three)
    assert a | b == b | a
    assert (a | b) | c == a | (b | c)
    assert a | a == a
    assert (a >= b) == (a | b == a)


@given(st.lists(messages, max_size=6))
def test_facts_survive_the_database(heard_of: list[Payment]) -> None:
    """What is written is what is read, and reads the same again."""
    facts = known(*heard_of)
    assert Facts.load(facts.dump()) == facts
    assert Facts.load(facts.dump()).dump() == facts.dump()


@given(st.lists(messages, max_size=5))
def test_paid_absorbs_failed_expired_and_canceled(heard_of: list[Payment]) -> None:
    """Whatever else was said, short of a refund, a full exact sum makes it paid."""
    facts = known(heard(PaymentStatus.PAID, paid=10_000), *heard_of)
    refunds = {PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED}
    assert facts.status(DUE) is PaymentStatus.PAID or facts.said & refunds


@pytest.mark.parametrize(
    ("heard_of", "status"),
    [
        ((), PaymentStatus.PENDING),
        ((heard(PaymentStatus.FAILED),), PaymentStatus.FAILED),
        ((heard(PaymentStatus.FAILED), heard(PaymentStatus.EXPIRED)), PaymentStatus.EXPIRED),
        ((heard(PaymentStatus.FAILED), heard(PaymentStatus.PAID, paid=10_000)), PaymentStatus.PAID),
        ((heard(PaymentStatus.PAID),), PaymentStatus.PAID),
        ((heard(PaymentStatus.PAID, paid=9_999),), PaymentStatus.PARTIALLY_PAID),
        ((heard(PaymentStatus.PARTIALLY_PAID),), PaymentStatus.PARTIALLY_PAID),
        ((heard(PaymentStatus.PAID, "P1", 4_000), heard(PaymentStatus.PAID, "P2", 6_000)), PaymentStatus.PAID),
        ((heard(PaymentStatus.PAID, paid=10_000), heard(PaymentStatus.REFUNDED)), PaymentStatus.REFUNDED),
    ],
)
def test_the_status_is_read_off_the_facts(heard_of: tuple[Payment, ...], status: PaymentStatus) -> None:
    """One line for each rule."""
    assert known(*heard_of).status(DUE) is status


def test_an_exact_short_sum_is_more_than_the_bare_word_paid() -> None:
    """A query says "paid" without a sum; the notify tells that it was less than is due."""
    for gateway_id in ("P1", None):
        facts = known(heard(PaymentStatus.PAID), heard(PaymentStatus.PAID, gateway_id, 4_000))
        assert facts.status(DUE) is PaymentStatus.PARTIALLY_PAID


def test_a_message_without_the_gateways_id_is_no_second_payment() -> None:
    """A notify may leave the id out, where the query has it."""
    facts = known(heard(PaymentStatus.PAID, None, 10_000), heard(PaymentStatus.PAID, "P1"))
    assert facts.received(DUE) == DUE
    assert facts.anomalies(DUE) == ()


@pytest.mark.parametrize(
    ("heard_of", "names"),
    [
        ((heard(PaymentStatus.PAID, paid=10_000),), []),
        ((heard(PaymentStatus.PAID, paid=10_001),), [AnomalyKind.OVERPAID]),
        ((heard(PaymentStatus.PAID, paid=9_999),), [AnomalyKind.UNDERPAID]),
        ((heard(PaymentStatus.PAID, "P1", 10_000), heard(PaymentStatus.PAID, "P2", 10_000)), ["paid_again:2"]),
        ((heard(PaymentStatus.PAID), heard(PaymentStatus.FAILED)), [AnomalyKind.PAID_AFTER_FAILED]),
        ((heard(PaymentStatus.EXPIRED), heard(PaymentStatus.PAID)), [AnomalyKind.PAID_AFTER_EXPIRED]),
    ],
)
def test_what_is_odd_is_data(heard_of: tuple[Payment, ...], names: list[str]) -> None:
    """With both numbers and the gateway's ids."""
    facts = known(*heard_of)
    assert [anomaly.name for anomaly in facts.anomalies(DUE)] == names
    for anomaly in facts.anomalies(DUE):
        assert (anomaly.due, anomaly.received) == (DUE, facts.received(DUE))
        assert anomaly.gateway_ids == tuple(sorted(facts.receipts))
        assert str(DUE) in str(anomaly)


def test_a_hint_is_no_fact() -> None:
    """A return, or a query over plain http, is pending and claims more."""
    assert observed(heard(PaymentStatus.PENDING, claimed_status=PaymentStatus.PAID), DUE) == Facts()


def test_another_amount_is_another_order() -> None:
    """The sum due and the currency are the stored order's."""
    with pytest.raises(WrongAmount, match=r"100\.00 CNY.*99\.99 CNY"):
        observed(heard(PaymentStatus.PAID).model_copy(update={"amount": Money(9_999, "CNY")}), DUE)
    with pytest.raises(WrongAmount, match="USD"):
        observed(heard(PaymentStatus.PAID).model_copy(update={"paid": Money(10_000, "USD")}), DUE)


def test_the_first_time_of_payment_stands() -> None:
    """In whatever zone it was told."""
    later = NOON.astimezone(timezone(timedelta(hours=8))) + timedelta(minutes=1)
    facts = known(heard(PaymentStatus.PAID, paid_at=later), heard(PaymentStatus.PAID, paid_at=NOON))
    assert facts.paid_at == NOON
