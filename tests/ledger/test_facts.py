"""Facts merge: whatever order messages come in, and however often, the same is known in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from itertools import permutations
from operator import or_
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payhub_core import Money, Payment, PaymentStatus, Refund, RefundStatus, WrongAmount
from payhub_core.ledger.facts import PARTS, Facts, Receipt, RefundedSum, observed, observed_refund
from payhub_core.ledger.refunds import Refunding

DUE = Money(10_000, "CNY")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def heard(
    status: PaymentStatus,
    gateway_id: str | None = "P1",
    paid: int | None = None,
    refunded: int | None = None,
    **fields: object,
) -> Payment:
    """One message about the order."""
    sums = {"paid": paid, "refunded": refunded}
    money = {key: None if minor is None else Money(minor, "CNY") for key, minor in sums.items()}
    return Payment(reference="A1", gateway_id=gateway_id, status=status, amount=DUE, **money, **fields)


REFUNDED_HERE = Facts(refunds={"R1": Refunding(4_000, tries=1, done=True)})

messages = st.builds(
    heard,
    st.sampled_from(PaymentStatus),
    st.sampled_from([None, "P1", "P2", "P3"]),
    st.sampled_from([None, 4_000, 10_000, 15_000]),
    st.sampled_from([None, None, 4_000, 10_000]),
    paid_at=st.sampled_from([None, NOON, NOON + timedelta(hours=1)]),
)


#: What a refund's own messages bring, as the checkout records it.
refundings = st.builds(
    Refunding,
    st.sampled_from([3_000, 4_000, 10_000]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([None, NOON, NOON + timedelta(hours=1)]),
    st.sampled_from(["", "R7"]),
    st.sampled_from([None, NOON, NOON + timedelta(hours=1)]),
    first_sent_at=st.sampled_from([None, NOON, NOON + timedelta(hours=1)]),
)
#: Of what explains a sum, hearing it has left no more than the sum itself.
totals = st.builds(
    lambda stated, elsewhere, explained: RefundedSum(stated, elsewhere if explained is None else stated, explained),
    st.sampled_from([4_000, 10_000]),
    st.sampled_from([0, 0, 1_000]),
    st.sampled_from([None, frozenset[str](), frozenset({"R1"}), frozenset({"R1", "R2"})]),
)
refunds = st.builds(
    lambda key, refund, totals, whole: Facts(refunds={key: refund}, totals=totals, whole=whole),
    st.sampled_from(["R1", "R2"]),
    refundings,
    st.dictionaries(st.sampled_from(["", "P1", "P2"]), totals, max_size=2),
    st.sampled_from([frozenset[str](), frozenset({""}), frozenset({"P1"})]),
)


def known(*heard_of: Payment | Facts) -> Facts:
    return reduce(or_, (it if isinstance(it, Facts) else observed(it, DUE) for it in heard_of), Facts())


def merged(facts: Facts, others: list[Facts]) -> Iterator[Facts]:
    """``facts`` and the others, in every order of the others; what begins alike is merged once."""
    if not others:
        yield facts
    for number, other in enumerate(others):
        yield from merged(facts | other, others[:number] + others[number + 1 :])


@pytest.mark.proof
@given(st.lists(messages | refunds, min_size=1, max_size=6), st.data())
@settings(max_examples=150)
def test_every_order_and_every_duplication_of_messages_ends_in_the_same_facts(
    heard_of: list[Payment | Facts], data: st.DataObject
) -> None:
    """All permutations, each with some messages repeated."""
    expected = known(*heard_of)
    repeated = data.draw(st.lists(st.sampled_from(heard_of), max_size=3))
    for facts in merged(known(*repeated), [known(it) for it in heard_of]):
        assert facts == expected
        assert facts.dump() == expected.dump()
        assert facts.status(DUE) is expected.status(DUE)
        assert facts.anomalies(DUE) == expected.anomalies(DUE)
        assert facts.gone_back(DUE) == expected.gone_back(DUE)


some = st.lists(messages | refunds, max_size=4)


@given(some, some, some)
def test_merging_is_a_join(
    one: list[Payment | Facts], two: list[Payment | Facts], three: list[Payment | Facts]
) -> None:
    """Commutative, associative, idempotent."""
    a, b, c = known(*one), known(*two), known(*three)
    assert a | b == b | a
    assert (a | b) | c == a | (b | c)
    assert a | a == a
    assert (a >= b) == (a | b == a)


@given(some)
def test_facts_survive_the_database(heard_of: list[Payment | Facts]) -> None:
    """What is written is what is read, and reads the same again."""
    facts = known(*heard_of)
    assert Facts.load(facts.dump()) == facts
    assert Facts.load(facts.dump()).dump() == facts.dump()


@given(some)
def test_paid_absorbs_failed_expired_canceled_and_authorized(heard_of: list[Payment | Facts]) -> None:
    """Whatever else was said, short of a refund, a full exact sum makes it paid."""
    facts = known(heard(PaymentStatus.PAID, paid=10_000), *heard_of)
    words = {PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN}
    assert facts.status(DUE) is PaymentStatus.PAID or facts.said & words or facts.gone_back(DUE)


@given(some, st.sampled_from(["R1", "R2", "R3"]))
def test_what_may_go_back_is_never_more_than_what_came_in(heard_of: list[Payment | Facts], reference: str) -> None:
    """Together with what has gone back, or may be going back under another number."""
    facts = known(*heard_of)
    gone = facts.gone_back(DUE) or Money(0, "CNY")
    others = sum(r.minor for key, r in facts.refunds.items() if key != reference and r.under_way)
    left = facts.refundable(DUE, reference)
    assert left.minor == 0 or left.minor + gone.minor + others == facts.received(DUE).minor


@given(some, some)
def test_the_refunded_sum_only_ever_grows(before: list[Payment | Facts], after: list[Payment | Facts]) -> None:
    """As long as the sum received does: a refund is never taken back.

    Of a payment that is told as refunded, and not yet as paid, all that came in counts until it is known.
    """
    first, both = known(*before), known(*before, *after)
    is_known = first.whole - {""} <= first.receipts.keys()
    if is_known and both.received(DUE) >= first.received(DUE):
        nothing = Money(0, "CNY")
        assert (both.gone_back(DUE) or nothing) >= (first.gone_back(DUE) or nothing)


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
        ((heard(PaymentStatus.AUTHORIZED, paid=10_000),), PaymentStatus.AUTHORIZED),
        ((heard(PaymentStatus.AUTHORIZED), heard(PaymentStatus.FAILED)), PaymentStatus.AUTHORIZED),
        ((heard(PaymentStatus.AUTHORIZED), heard(PaymentStatus.CANCELED)), PaymentStatus.CANCELED),
        ((heard(PaymentStatus.AUTHORIZED), heard(PaymentStatus.PAID)), PaymentStatus.PAID),
        ((heard(PaymentStatus.PENDING, paid=10_000, refunded=4_000),), PaymentStatus.PENDING),
        ((heard(PaymentStatus.PAID), heard(PaymentStatus.REFUND_SUM_UNKNOWN)), PaymentStatus.REFUND_SUM_UNKNOWN),
        (
            (heard(PaymentStatus.REFUND_SUM_UNKNOWN), heard(PaymentStatus.PARTIALLY_REFUNDED)),
            PaymentStatus.PARTIALLY_REFUNDED,
        ),
        ((heard(PaymentStatus.PARTIALLY_REFUNDED), heard(PaymentStatus.REFUNDED)), PaymentStatus.REFUNDED),
        ((heard(PaymentStatus.PAID, refunded=4_000),), PaymentStatus.PARTIALLY_REFUNDED),
        ((heard(PaymentStatus.PAID), heard(PaymentStatus.REFUND_SUM_UNKNOWN, refunded=10_000)), PaymentStatus.REFUNDED),
        ((heard(PaymentStatus.PAID), REFUNDED_HERE), PaymentStatus.PARTIALLY_REFUNDED),
        ((heard(PaymentStatus.PAID, paid=4_000), REFUNDED_HERE), PaymentStatus.REFUNDED),
        ((heard(PaymentStatus.PAID), Facts(refunds={"R1": Refunding(4_000, tries=1)})), PaymentStatus.PAID),
        ((REFUNDED_HERE,), PaymentStatus.PARTIALLY_REFUNDED),
        ((heard(PaymentStatus.REFUNDED, refunded=4_000),), PaymentStatus.REFUNDED),
    ],
)
def test_the_status_is_read_off_the_facts(heard_of: tuple[Payment | Facts, ...], status: PaymentStatus) -> None:
    """One line for each rule."""
    assert known(*heard_of).status(DUE) is status


@pytest.mark.parametrize(
    ("heard_of", "gone"),
    [
        ((heard(PaymentStatus.PAID),), None),
        ((heard(PaymentStatus.PAID, paid=15_000), heard(PaymentStatus.REFUNDED)), 15_000),
        ((heard(PaymentStatus.REFUND_SUM_UNKNOWN),), None),
        ((heard(PaymentStatus.PAID, refunded=3_000), heard(PaymentStatus.PAID, refunded=5_000)), 5_000),
        ((heard(PaymentStatus.PAID, refunded=3_000), REFUNDED_HERE), 4_000),
        ((heard(PaymentStatus.PAID, refunded=9_000), REFUNDED_HERE), 9_000),
    ],
)
def test_the_refunded_sum_is_the_greater_of_what_was_asked_for_and_what_messages_state(
    heard_of: tuple[Payment | Facts, ...], gone: int | None
) -> None:
    """The gateway's total holds refunds made elsewhere too; a word without a sum is about the whole."""
    assert known(*heard_of).gone_back(DUE) == (None if gone is None else Money(gone, "CNY"))


def refunded(stated: int) -> Facts:
    """What a message brings that states so much as gone back in all."""
    return observed(heard(PaymentStatus.PAID, paid=10_000, refunded=stated), DUE)


def here(key: str, minor: int, **known: Any) -> Facts:
    """A refund that was asked for here, and is done unless ``known`` says otherwise."""
    return Facts(refunds={key: Refunding(minor, **{"tries": 1, "done": True, **known})})


@pytest.mark.parametrize(
    ("events", "gone", "left"),
    [
        # Of the back office, then one of the shop's own: the message cannot be about what was not asked for yet.
        ([refunded(3_000), here("R1", 5_000)], 8_000, 2_000),
        ([refunded(3_000), here("R1", 5_000), here("R2", 2_000)], 10_000, 0),
        ([refunded(3_000), here("R1", 5_000), refunded(8_000), here("R2", 1_000)], 9_000, 1_000),
        # The shop's own one, then what the gateway says of it, late or more than once.
        ([here("R1", 5_000), refunded(5_000)], 5_000, 5_000),
        ([here("R1", 2_000), here("R2", 3_000), refunded(2_000)], 5_000, 5_000),
        ([here("R1", 2_000), here("R2", 3_000), refunded(3_000), refunded(5_000)], 5_000, 5_000),
        ([here("R1", 5_000), refunded(5_000), refunded(5_000), here("R2", 1_000)], 6_000, 4_000),
        # Both: more than the shop's own ones explain, or less than either of them.
        ([here("R1", 5_000), refunded(8_000), here("R2", 1_000)], 9_000, 1_000),
        ([here("R1", 5_000), refunded(3_000)], 8_000, 2_000),
        ([here("R1", 5_000), refunded(3_000), refunded(8_000)], 8_000, 2_000),
        # One that is under way may be what the message is about; one that came to nothing is not.
        ([here("R1", 5_000, done=False), refunded(5_000), here("R1", 5_000)], 5_000, 5_000),
        ([here("R1", 5_000, done=False), refunded(3_000)], 3_000, 2_000),
        ([here("R1", 5_000, done=False, failures=1), refunded(5_000), here("R2", 2_000)], 7_000, 3_000),
        # And one that is seen to have come to nothing only afterwards was not what the message was about.
        (
            [here("R1", 4_000, done=False), refunded(4_000), here("R1", 4_000, done=False, failures=1)],
            4_000,
            6_000,
        ),
        (
            [
                here("R1", 4_000, done=False),
                refunded(4_000),
                here("R1", 4_000, done=False, failures=1),
                here("R2", 4_000),
            ],
            8_000,
            2_000,
        ),
    ],
)
def test_what_went_back_in_the_back_office_is_added_to_what_was_asked_for_here(
    events: list[Facts], gone: int, left: int
) -> None:
    """As far as the gateway's totals prove it, in the sequence in which they came."""
    facts = reduce(Facts.hearing, events, known(heard(PaymentStatus.PAID, paid=10_000)))
    assert facts.gone_back(DUE) == Money(gone, "CNY")
    assert facts.refundable(DUE, "R9") == Money(left, "CNY")
    again = reduce(Facts.hearing, events, facts)
    assert (again.gone_back(DUE), again.refundable(DUE, "R9")) == (Money(gone, "CNY"), Money(left, "CNY"))
    assert Facts.load(facts.dump()) == facts


TWICE = (heard(PaymentStatus.PAID, "P1", 10_000), heard(PaymentStatus.PAID, "P2", 10_000))
BACK = PaymentStatus.REFUNDED


@pytest.mark.parametrize(
    ("heard_of", "gone"),
    [
        ((*TWICE, heard(BACK, "P2")), 10_000),
        ((*TWICE, heard(BACK, "P2", refunded=10_000)), 10_000),
        ((*TWICE, heard(BACK, "P2", refunded=9_000)), 10_000),
        ((*TWICE, heard(BACK, "P1"), heard(BACK, "P2")), 20_000),
        # Which one it is about is not known, or was not written down.
        ((*TWICE, heard(BACK, None)), 20_000),
        ((*TWICE, heard(BACK, "P3")), 20_000),
        ((*TWICE, heard(BACK, "P2"), heard(BACK, None)), 20_000),
        ((*TWICE, Facts(said=frozenset({BACK}))), 20_000),
        ((heard(PaymentStatus.PAID, None, 10_000), heard(BACK, "P1")), 10_000),
        ((*TWICE, heard(PaymentStatus.PAID, None, 10_000), heard(BACK, None)), 20_000),
        ((heard(PaymentStatus.PAID, "P1", 10_000), heard(PaymentStatus.PAID, None, 15_000), heard(BACK, "P1")), 10_000),
        # A bare word "paid" is what is due, and no more than what came in.
        ((heard(PaymentStatus.PAID, "P1"), heard(PaymentStatus.PAID, "P2", 4_000), heard(BACK, "P1")), 4_000),
        ((heard(PaymentStatus.PAID, "P1"), heard(PaymentStatus.PAID, "P2", 15_000), heard(BACK, "P1")), 10_000),
        # With what was paid back here, of the same payment and of the other.
        ((*TWICE, here("R1", 6_000, gateway_id="P2"), heard(BACK, "P2")), 10_000),
        ((*TWICE, here("R1", 6_000, gateway_id="P1"), heard(BACK, "P2")), 16_000),
        ((*TWICE, here("R1", 6_000, gateway_id="P1", done=False), heard(BACK, "P2")), 10_000),
        ((*TWICE, here("R1", 6_000), heard(BACK, "P2")), 10_000),
        ((*TWICE, here("R1", 15_000, gateway_id="P1"), heard(BACK, "P2")), 20_000),
    ],
)
def test_of_an_order_that_was_paid_twice_one_payment_is_refunded(
    heard_of: tuple[Payment | Facts, ...], gone: int
) -> None:
    """That is the remedy of paid_again; what the shop has delivered stays paid for."""
    facts = known(*heard_of)
    received = facts.received(DUE)
    assert facts.gone_back(DUE) == Money(gone, "CNY")
    assert facts.status(DUE) is (BACK if gone >= received.minor else PaymentStatus.PARTIALLY_REFUNDED)
    assert Facts.load(facts.dump()) == facts


@pytest.mark.parametrize(
    ("sent_for", "about", "gone"),
    [
        ("P1", "P2", 8_000),  # the other one's
        ("P1", "P1", 4_000),
        ("P1", None, 4_000),
        ("P1", "P3", 4_000),  # nobody knows what that is
        ("P3", "P2", 4_000),
        ("", "P2", 4_000),
    ],
)
def test_a_sum_that_went_back_of_another_payment_is_no_refund_of_this_one(
    sent_for: str, about: str | None, gone: int
) -> None:
    """A message is about the payment that it names."""
    events = [
        here("R1", 4_000, gateway_id=sent_for),
        observed(heard(PaymentStatus.PARTIALLY_REFUNDED, about, refunded=4_000), DUE),
    ]
    for unnamed in ((), (heard(PaymentStatus.PAID, None, 10_000),)):
        assert reduce(Facts.hearing, events, known(*TWICE, *unnamed)).gone_back(DUE) == Money(gone, "CNY")


def back(about: str | None, stated: int, status: PaymentStatus = PaymentStatus.PARTIALLY_REFUNDED) -> Facts:
    """What a message brings of one of two payments."""
    return observed(heard(status, about, 10_000, stated), DUE)


@pytest.mark.parametrize(
    ("events", "gone"),
    [
        # Each payment's own total, in the back office: the same sum twice is not one.
        ([back("P1", 4_000), back("P2", 4_000)], 8_000),
        ([back("P1", 4_000), back("P2", 3_000)], 7_000),
        ([back("P1", 9_900), back("P2", 9_900)], 19_800),
        ([back("P1", 4_000), back("P2", 4_000), back("P1", 5_000)], 9_000),
        # Here, one of each payment; nothing of it is counted twice.
        (
            [
                here("R1", 4_000, gateway_id="P2"),
                here("R2", 4_000, gateway_id="P1"),
                back("P1", 4_000),
                back("P2", 4_000),
            ],
            8_000,
        ),
        ([here("R1", 4_000, gateway_id="P2"), back("P1", 4_000), back("P2", 4_000)], 8_000),
        ([here("R1", 4_000), back("P1", 4_000), back("P2", 4_000)], 8_000),
        # The second one whole, as paid_again asks for, and a part of the first.
        ([back("P2", 10_000, BACK), back("P1", 4_000)], 14_000),
        ([observed(heard(BACK, "P2"), DUE), back("P1", 4_000)], 14_000),
        ([observed(heard(BACK, "P2"), DUE), here("R1", 3_000, gateway_id="P1"), back("P1", 4_000)], 14_000),
        ([observed(heard(BACK, "P2"), DUE), here("R1", 3_000, gateway_id="P1"), back("P1", 3_000)], 13_000),
        ([observed(heard(BACK, "P2"), DUE), back("P1", 4_000), here("R1", 3_000, gateway_id="P1")], 17_000),
        # A total of no payment that is known may be about either.
        ([back(None, 4_000), back("P1", 4_000)], 4_000),
        ([back(None, 9_000), back("P1", 4_000), back("P2", 4_000)], 9_000),
        ([back("P1", 4_000), observed(heard(PaymentStatus.PARTIALLY_REFUNDED, "P3", None, 4_000), DUE)], 4_000),
    ],
)
def test_what_went_back_of_two_payments_adds_up(events: list[Facts], gone: int) -> None:
    """Each message states the total of the payment that it names."""
    facts = reduce(Facts.hearing, events, known(*TWICE))
    assert facts.gone_back(DUE) == Money(gone, "CNY")
    assert facts.refundable(DUE, "R9") == Money(20_000 - gone, "CNY")
    again = reduce(Facts.hearing, events, facts)
    assert again.gone_back(DUE) == Money(gone, "CNY")
    assert Facts.load(facts.dump()) == facts


def test_the_same_sum_stated_again_is_explained_by_no_refund_that_was_asked_for_in_between() -> None:
    """What was stated first stands."""
    paid = known(heard(PaymentStatus.PAID, paid=10_000))
    events = [here("R1", 1_000), refunded(4_000), here("R2", 4_000), refunded(4_000)]
    facts = reduce(Facts.hearing, events, paid)
    assert facts.totals["P1"].explained == {"R1"}
    assert facts.gone_back(DUE) == Money(8_000, "CNY")
    assert facts | refunded(4_000) == facts
    assert not facts >= Facts(totals={"P1": RefundedSum(4_000, explained=frozenset())})
    assert not facts >= Facts(whole=frozenset({"P1"}))
    assert facts >= facts.hearing(refunded(4_000))
    larger = Facts(totals={"P1": RefundedSum(5_000, explained=frozenset({"R2"}))})
    assert (facts | larger).totals["P1"].explained == (larger | facts).totals["P1"].explained == {"R2"}


def test_a_message_about_a_hundred_refunds_is_heard_in_no_time() -> None:
    """Where too many sums of them could be meant, it proves nothing."""
    facts = known(*[here(f"R{number}", 2**number % 1_009 + 1) for number in range(100)])
    assert facts.hearing(refunded(9_999)).totals["P1"].elsewhere == 0
    ones = known(*[here(f"R{number}", 1) for number in range(100)])
    assert ones.hearing(refunded(120)).totals["P1"].elsewhere == 20


@pytest.mark.parametrize(("last", "elsewhere"), [(1_808, 10_001), (1_809, 0)])
def test_of_more_than_ten_thousand_sums_that_could_be_meant_none_is_taken(last: int, elsewhere: int) -> None:
    """Thirteen refunds add up to any sum until 8191, and with the last one to any until 8191 and ``last``."""
    facts = known(*[here(f"R{number}", 2**number) for number in range(13)], here("R13", last))
    assert facts.hearing(refunded(20_000)).totals["P1"].elsewhere == elsewhere


def test_an_exact_short_sum_is_more_than_the_bare_word_paid() -> None:
    """A query says "paid" without a sum; the notify tells that it was less than is due."""
    for gateway_id in ("P1", None):
        facts = known(heard(PaymentStatus.PAID), heard(PaymentStatus.PAID, gateway_id, 4_000))
        assert facts.status(DUE) is PaymentStatus.PARTIALLY_PAID


def test_a_message_without_the_gateways_id_is_no_second_payment() -> None:
    """A notify may leave the id out, where the query has it; nor is a failure one."""
    for paid in (None, 10_000):
        facts = known(heard(PaymentStatus.PAID, None, 10_000), heard(PaymentStatus.PAID, "P1", paid))
        assert facts.received(DUE) == DUE
        assert facts.anomalies(DUE) == ()
    assert known(heard(PaymentStatus.FAILED)).received(DUE) == Money(0, "CNY")


@pytest.mark.parametrize("exact", [0, 1, 10_000])
def test_beside_an_exact_sum_the_bare_word_paid_of_another_id_adds_no_money(exact: int) -> None:
    """One fen by a notify, then "paid" by a query under another id: a person looks, and nothing is made up."""
    notify, query = heard(PaymentStatus.PAID, "P1", exact), heard(PaymentStatus.PAID, "P2")
    for facts in (known(notify, query), known(query, notify)):
        assert facts.received(DUE) == Money(exact, "CNY")
        assert facts.status(DUE) is (PaymentStatus.PAID if exact == DUE.minor else PaymentStatus.PARTIALLY_PAID)
        assert "paid_again:2" in {anomaly.name for anomaly in facts.anomalies(DUE)}


def test_two_bare_words_are_the_sum_due_once() -> None:
    """That it was received twice nobody has said."""
    facts = known(heard(PaymentStatus.PAID, "P1"), heard(PaymentStatus.PAID, "P2"))
    assert facts.received(DUE) == DUE
    assert [anomaly.name for anomaly in facts.anomalies(DUE)] == ["paid_again:2"]


def test_paid_long_before_the_order_was_created_is_odd() -> None:
    """An old message about a number that was used before; clocks may differ by a day."""
    facts = known(heard(PaymentStatus.PAID, paid=10_000, paid_at=NOON))
    assert facts.anomalies(DUE) == facts.anomalies(DUE, NOON + timedelta(hours=24)) == ()
    (anomaly,) = facts.anomalies(DUE, NOON + timedelta(hours=25))
    assert anomaly.name == "paid_before_created"
    assert known(heard(PaymentStatus.PAID)).anomalies(DUE, NOON) == ()


@pytest.mark.parametrize(
    ("heard_of", "names"),
    [
        ((), []),
        ((heard(PaymentStatus.FAILED),), []),
        ((heard(PaymentStatus.PAID, paid=10_000),), []),
        ((heard(PaymentStatus.PAID, paid=10_001),), ["overpaid"]),
        ((heard(PaymentStatus.PAID, paid=9_999),), ["underpaid"]),
        ((heard(PaymentStatus.PAID, "P1", 10_000), heard(PaymentStatus.PAID, "P2", 10_000)), ["paid_again:2"]),
        # Parts that the sum due needs are no second payment; what they are more than it is overpaid.
        ((heard(PaymentStatus.PAID, "P1", 4_000), heard(PaymentStatus.PAID, "P2", 6_000)), []),
        ((heard(PaymentStatus.PAID, "P1", 4_000), heard(PaymentStatus.PAID, "P2", 5_000)), ["underpaid"]),
        ((heard(PaymentStatus.PAID, "P1", 6_000), heard(PaymentStatus.PAID, "P2", 6_000)), ["overpaid"]),
        (tuple(heard(PaymentStatus.PAID, f"P{n}", 5_000) for n in (1, 2, 3)), ["paid_again:3"]),
        (tuple(heard(PaymentStatus.PAID, f"P{n}", 6_000) for n in (1, 2, 3)), ["overpaid", "paid_again:3"]),
        ((heard(PaymentStatus.PAID, "P1", 4_000), heard(PaymentStatus.PAID, "P2", 10_000)), ["paid_again:2"]),
        (
            (
                heard(PaymentStatus.PAID, "P1", 4_000),
                heard(PaymentStatus.PAID, "P2", 6_000),
                heard(PaymentStatus.PAID, "P3", 10_000),
            ),
            ["paid_again:3"],
        ),
        (
            (heard(PaymentStatus.PAID, "P1", 10_000), heard(PaymentStatus.PAID, "P2", 15_000)),
            ["overpaid", "paid_again:2"],
        ),
        ((heard(PaymentStatus.PAID, "P1", 10_000), heard(PaymentStatus.PARTIALLY_PAID, "P2")), ["paid_again:2"]),
        # A message that names none is about one of the others; nobody knows how much the bare word is about.
        ((heard(PaymentStatus.PAID, "P1", 6_000), heard(PaymentStatus.PAID, None, 6_000)), ["underpaid"]),
        (
            (
                heard(PaymentStatus.PAID, "P1", 4_000),
                heard(PaymentStatus.PAID, "P2", 6_000),
                heard(PaymentStatus.PAID, "P3"),
            ),
            ["paid_again:2", "paid_again:3"],
        ),
        ((heard(PaymentStatus.PAID), heard(PaymentStatus.FAILED)), ["paid_after_failed"]),
        ((heard(PaymentStatus.EXPIRED), heard(PaymentStatus.PAID)), ["paid_after_expired"]),
    ],
)
def test_what_is_odd_is_data(heard_of: tuple[Payment, ...], names: list[str]) -> None:
    """With both numbers and the gateway's ids, under names that databases and alerts already hold."""
    facts = known(*heard_of)
    assert [anomaly.name for anomaly in facts.anomalies(DUE)] == names
    for anomaly in facts.anomalies(DUE):
        assert (anomaly.due, anomaly.received) == (DUE, facts.received(DUE))
        assert anomaly.gateway_ids == tuple(sorted(filter(None, facts.receipts)))
        assert str(DUE) in str(anomaly)


@pytest.mark.parametrize(
    ("heard_of", "covers", "short"),
    [
        ((), False, False),
        ((heard(PaymentStatus.FAILED),), False, False),
        ((heard(PaymentStatus.REFUNDED),), False, False),
        ((heard(PaymentStatus.PAID),), True, False),
        ((heard(PaymentStatus.PAID, paid=9_999),), False, True),
        ((heard(PaymentStatus.PAID, paid=10_000),), True, False),
        ((heard(PaymentStatus.PAID, paid=10_000, refunded=1),), False, False),
        ((heard(PaymentStatus.PAID, paid=10_001, refunded=1),), True, False),
        ((heard(PaymentStatus.PAID, paid=4_000, refunded=4_000),), False, True),
        ((heard(PaymentStatus.PAID, paid=4_000, refunded=4_000), heard(PaymentStatus.PAID, "P2", 10_000)), True, False),
        # Nobody says how much of it has gone back, and it may be all.
        ((heard(PaymentStatus.PAID), heard(PaymentStatus.REFUND_SUM_UNKNOWN)), False, False),
        ((heard(PaymentStatus.REFUND_SUM_UNKNOWN), heard(PaymentStatus.PAID, paid=10_000)), False, False),
        ((heard(PaymentStatus.PARTIALLY_REFUNDED), heard(PaymentStatus.PAID, paid=10_000)), False, False),
    ],
)
def test_what_is_left_covers_the_sum_due_or_the_rest_may_follow(
    heard_of: tuple[Payment, ...], covers: bool, short: bool
) -> None:
    """The one ships, though something went back; the other is asked about, whatever went back."""
    facts = known(*heard_of)
    assert (facts.covers(DUE), facts.is_short(DUE)) == (covers, short)


@pytest.mark.parametrize(
    ("heard_of", "gateway_id"),
    [
        ((), None),
        ((heard(PaymentStatus.PENDING, None),), None),
        ((heard(PaymentStatus.PENDING),), "P1"),
        ((heard(PaymentStatus.FAILED, "P1"), heard(PaymentStatus.PAID, "P2")), "P2"),
        ((heard(PaymentStatus.FAILED, "P1"), heard(PaymentStatus.PAID, None)), "P1"),
    ],
)
def test_the_gateways_id_is_a_paid_one_or_else_any(heard_of: tuple[Payment, ...], gateway_id: str | None) -> None:
    """A message that names none adds none, not even one without letters."""
    assert known(*heard_of).gateway_id == gateway_id


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (heard(PaymentStatus.PAID, paid=1), '{"ids":["P1"],"receipts":{"P1":[1,null]},"said":[]}'),
        (heard(PaymentStatus.PARTIALLY_PAID, None), '{"ids":[],"receipts":{"":[0,null]},"said":[]}'),
    ],
)
def test_the_text_in_the_database_holds_only_what_is_known(message: Payment, text: str) -> None:
    """A row is read by the next version of payhub too; a new one knows nothing."""
    assert known(message).dump() == text
    assert Facts.load("{}") == Facts()


@pytest.mark.parametrize("part", ['"refunded":4000', '"later":{}'])
def test_facts_of_another_version_are_not_half_read(part: str) -> None:
    """What this one does not know may be money that went back."""
    with pytest.raises(ValueError, match=r"^$"):
        Facts.load(f'{{"ids":[],"receipts":{{}},"said":[],{part}}}')


@pytest.mark.parametrize(
    "facts",
    [
        Facts(receipts={"": Receipt()}),
        Facts(said=frozenset({PaymentStatus.FAILED})),
        Facts(gateway_ids=frozenset({"P1"})),
        Facts(refunds={"R1": Refunding(1)}),
        Facts(totals={"P1": RefundedSum(1)}),
        Facts(totals={"P1": RefundedSum(0, 1)}),
    ],
)
def test_each_part_is_news_by_itself(facts: Facts) -> None:
    """What is taken for nothing new is never written down."""
    assert not Facts() >= facts
    assert facts >= Facts()


def test_a_hint_is_no_fact() -> None:
    """A return, or a query over plain http, is pending and claims more."""
    assert observed(heard(PaymentStatus.PENDING, claimed_status=PaymentStatus.PAID), DUE) == Facts()


def test_another_amount_is_another_order() -> None:
    """The sum due and the currency are the stored order's."""
    with pytest.raises(WrongAmount, match=r"100\.00 CNY.*99\.99 CNY"):
        observed(heard(PaymentStatus.PAID).model_copy(update={"amount": Money(9_999, "CNY")}), DUE)
    with pytest.raises(WrongAmount, match="USD"):
        observed(heard(PaymentStatus.PAID).model_copy(update={"paid": Money(10_000, "USD")}), DUE)
    with pytest.raises(WrongAmount, match="refunded in USD"):
        observed(heard(PaymentStatus.PAID).model_copy(update={"refunded": Money(10_000, "USD")}), DUE)


def test_the_first_time_of_payment_stands() -> None:
    """In whatever zone it was told."""
    later = NOON.astimezone(timezone(timedelta(hours=8))) + timedelta(minutes=1)
    facts = known(heard(PaymentStatus.PAID, paid_at=later), heard(PaymentStatus.PAID, paid_at=NOON))
    assert facts.paid_at == NOON


def test_of_two_payments_the_one_with_a_time_says_when_money_came() -> None:
    """A gateway may state the time in a notify and leave it out of a query."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    assert Facts(receipts={"P1": Receipt(100), "P2": Receipt(100, at)}).paid_at == at
    assert Facts(receipts={"P1": Receipt(100)}).paid_at is None


def test_what_came_in_twice_may_have_more_digits_than_one_sum() -> None:
    """Else the second notify of a very large order could never be recorded."""
    most = Money(10**15 - 1, "CNY")
    receipts = {key: Receipt(most.minor) for key in ("P1", "P2")}
    facts = Facts(receipts=receipts)
    assert facts.received(most) == most + most
    (again,) = facts.anomalies(most)
    assert again.received == most + most
    assert facts.refundable(most, "R1") == most + most


ASKED = Facts(refunds={"R1": Refunding(4_000, tries=1), "R2": Refunding(3_000, tries=2)})


def told(status: RefundStatus, number: str = "R1", minor: int | None = 4_000, **fields: Any) -> Refund:
    """One message about a refund of the order."""
    amount = None if minor is None else Money(minor, fields.pop("currency", "CNY"))
    return Refund(account="shop", reference="A1", refund_reference=number, status=status, amount=amount, **fields)


@pytest.mark.parametrize(
    ("refund", "facts"),
    [
        (
            told(RefundStatus.REFUNDED, refund_id="G1", refunded_at=NOON, gateway_id="P9"),
            Facts(refunds={"R1": Refunding(4_000, done=True, refund_id="G1", refunded_at=NOON)}),
        ),
        (told(RefundStatus.REFUNDED, minor=None), Facts(refunds={"R1": Refunding(4_000, done=True)})),
        (told(RefundStatus.FAILED, refunded_at=NOON), Facts(refunds={"R1": Refunding(4_000, failures=1)})),
        (told(RefundStatus.FAILED, "R2", 3_000), Facts(refunds={"R2": Refunding(3_000, failures=1)})),
        (told(RefundStatus.PENDING, refund_id="G1"), Facts(refunds={"R1": Refunding(4_000, refund_id="G1")})),
        (told(RefundStatus.PENDING, "B1", gateway_id="P1"), Facts()),
        (told(RefundStatus.FAILED, ""), Facts()),
        (told(RefundStatus.REFUNDED, "B1", None), Facts(said=frozenset({PaymentStatus.REFUND_SUM_UNKNOWN}))),
        (
            told(RefundStatus.REFUNDED, "B1", gateway_id="P1"),
            Facts(told={"P1\nB1": RefundedSum(4_000, 4_000, frozenset())}),
        ),
        (
            told(RefundStatus.REFUNDED, "B1", refund_id="G1"),
            Facts(told={"\nG1": RefundedSum(4_000, 4_000, frozenset())}),
        ),
        (told(RefundStatus.REFUNDED, "", gateway_id="P1"), Facts(told={"P1\n": RefundedSum(4_000)})),
    ],
)
def test_what_a_message_about_one_refund_holds(refund: Refund, facts: Facts) -> None:
    """By the number that the shop asked with; of others only that they went back, and how much."""
    assert observed_refund(refund, ASKED, DUE) == facts


@pytest.mark.parametrize(
    ("refund", "said"),
    [
        (told(RefundStatus.REFUNDED, minor=4_001), "'R1' is about 40.00 CNY, the message about 40.01 CNY"),
        (told(RefundStatus.PENDING, "R2"), "'R2' is about 30.00 CNY, the message about 40.00 CNY"),
        (told(RefundStatus.FAILED, currency="USD"), "'R1' is about 40.00 CNY, the message about 40.00 USD"),
        (told(RefundStatus.REFUNDED, "B1", currency="USD"), "'B1' is about 100.00 CNY, the message about 40.00 USD"),
    ],
)
def test_a_message_about_another_refund_holds_nothing(refund: Refund, said: str) -> None:
    """It names both sums, the account and the order."""
    with pytest.raises(WrongAmount) as caught:
        observed_refund(refund, ASKED, DUE)
    assert said in caught.value.message
    assert (caught.value.account, caught.value.reference) == ("shop", "A1")


def back(minor: int, number: str = "B1", gateway_id: str | None = "P1") -> Facts:
    """That a refund of the back office is done."""
    return observed_refund(told(RefundStatus.REFUNDED, number, minor, gateway_id=gateway_id), Facts(), DUE)


IN_FULL = heard(PaymentStatus.PAID, "P1", 10_000)
HERE = Facts(refunds={"R1": Refunding(3_000, tries=1, done=True)})


@pytest.mark.parametrize(
    ("parts", "status", "gone", "left", "covers"),
    [
        ([IN_FULL, back(4_000)], PaymentStatus.REFUND_SUM_UNKNOWN, None, 6_000, False),
        ([IN_FULL, back(9_999)], PaymentStatus.REFUND_SUM_UNKNOWN, None, 1, False),
        ([IN_FULL, back(10_000)], PaymentStatus.REFUNDED, 10_000, 0, False),
        ([heard(PaymentStatus.PAID), back(10_000)], PaymentStatus.REFUNDED, 10_000, 0, False),
        ([IN_FULL, back(4_000), back(6_000, "B2")], PaymentStatus.REFUNDED, 10_000, 0, False),
        ([IN_FULL, back(4_000, ""), back(4_000)], PaymentStatus.REFUND_SUM_UNKNOWN, None, 6_000, False),
        ([IN_FULL, back(5_000, ""), back(4_000)], PaymentStatus.REFUND_SUM_UNKNOWN, None, 5_000, False),
        ([IN_FULL, back(4_000), HERE], PaymentStatus.PARTIALLY_REFUNDED, 3_000, 3_000, False),
        ([IN_FULL, back(4_000, "B1", None)], PaymentStatus.REFUND_SUM_UNKNOWN, None, 6_000, False),
        ([back(4_000)], PaymentStatus.REFUND_SUM_UNKNOWN, None, 0, False),
        (
            [IN_FULL, back(4_000), heard(PaymentStatus.PARTIALLY_REFUNDED, "P1", 10_000, 4_000)],
            *(PaymentStatus.PARTIALLY_REFUNDED, 4_000, 6_000, False),
        ),
        (
            [
                heard(PaymentStatus.PAID, "P1", 4_000),
                heard(PaymentStatus.PAID, "P2", 6_000),
                back(6_000, gateway_id="P2"),
            ],
            *(PaymentStatus.PARTIALLY_REFUNDED, 6_000, 4_000, False),
        ),
        (
            [
                heard(PaymentStatus.PAID, "P1", 6_000),
                heard(PaymentStatus.PAID, "P2", 10_000),
                back(6_000, gateway_id="P1"),
            ],
            *(PaymentStatus.PARTIALLY_REFUNDED, 6_000, 10_000, True),
        ),
    ],
)
def test_what_is_known_of_refunds_that_are_told_one_by_one(
    parts: list[Payment | Facts], status: PaymentStatus, gone: int | None, left: int, covers: bool
) -> None:
    """They count against further refunds; in what went back only where they are all of a payment."""
    for order in permutations(parts):
        facts = known(*order)
        assert facts.status(DUE) is status
        assert facts.gone_back(DUE) == (None if gone is None else Money(gone, "CNY"))
        assert facts.refundable(DUE, "R9") == Money(left, "CNY")
        assert facts.covers(DUE) is covers
        assert Facts.load(facts.dump()) == facts
        assert facts >= known(*order[:1])
        assert not known(*order[:1]) >= facts or len(parts) == 1


def test_a_refund_told_without_a_number_may_be_one_that_was_asked_for() -> None:
    """Of the same sum, and before it was heard."""
    asked = known(IN_FULL, Facts(refunds={"R1": Refunding(4_000, tries=1, done=True)}))
    same, other = back(4_000, ""), back(3_000, "")
    assert asked.hearing(same).refundable(DUE, "R9") == Money(6_000, "CNY")
    assert asked.hearing(other).refundable(DUE, "R9") == Money(3_000, "CNY")
    assert known(IN_FULL).hearing(same).told == {"P1\n": RefundedSum(4_000, 4_000, frozenset())}
    assert asked.hearing(same).told == {"P1\n": RefundedSum(4_000, 0, frozenset({"R1"}))}
    assert asked.hearing(same) >= asked.hearing(same)
    assert asked.known_back(DUE) == Money(4_000, "CNY")
    assert asked.hearing(other).known_back(DUE) == Money(7_000, "CNY")
    assert known(IN_FULL).known_back(DUE) is None


UNKNOWN = heard(PaymentStatus.REFUND_SUM_UNKNOWN)
ASKED_ONCE = Facts(refunds={"R1": Refunding(3_000, tries=1)})


@pytest.mark.parametrize(
    ("parts", "lost"),
    [
        ([IN_FULL], False),
        ([IN_FULL, UNKNOWN], True),
        ([IN_FULL, back(4_000)], True),
        ([IN_FULL, UNKNOWN, ASKED_ONCE], False),
        ([IN_FULL, ASKED_ONCE], False),
        ([IN_FULL, UNKNOWN, heard(PaymentStatus.PARTIALLY_REFUNDED, "P1", 10_000, 4_000)], False),
        ([IN_FULL, back(10_000)], False),
    ],
)
def test_whether_money_went_back_of_which_nobody_says_how_much(parts: list[Payment | Facts], lost: bool) -> None:
    """A refund of the shop's that was sent may be what it was."""
    assert known(*parts).has_lost_an_unknown_sum(DUE) is lost


def test_a_refund_told_with_a_number_is_heard_as_it_is() -> None:
    """It is none of those that were asked for, whatever their sums."""
    asked = known(IN_FULL, Facts(refunds={"R1": Refunding(4_000, tries=1), "R2": Refunding(3_000, tries=1)}))
    assert asked.hearing(back(4_000)).told == back(4_000).told
    assert asked.hearing(back(4_000, "")).told == {"P1\n": RefundedSum(4_000, 0, frozenset({"R1"}))}


@pytest.mark.parametrize(
    ("number", "left"), [("F1", 6_000), ("F2", 2_000), (None, 6_000)], ids=["its own", "another's", "none"]
)
def test_a_refund_told_under_the_gateways_number_is_none_of_another_number(number: str | None, left: int) -> None:
    """However equal the sums, and whichever of the two is heard first: both went back."""
    message = observed_refund(told(RefundStatus.REFUNDED, "", refund_id=number, gateway_id="P1"), Facts(), DUE)
    sent, done = Refunding(4_000, tries=1), Refunding(4_000, done=True, refund_id="F1")
    before = known(IN_FULL, Facts(refunds={"R1": sent})).hearing(message) | Facts(refunds={"R1": done})
    after = known(IN_FULL, Facts(refunds={"R1": sent | done})).hearing(message)
    for facts in (before, after):
        assert facts.refundable(DUE, "R9") == Money(left, "CNY")
        assert facts.gone_back(DUE) == Money(4_000, "CNY")


def test_a_number_tells_only_refunds_apart_that_are_told_one_by_one() -> None:
    """A total names none, a refund without one may be any, and one that is asked for later is no part of either."""
    total = heard(PaymentStatus.PARTIALLY_REFUNDED, "P1", 10_000, 4_000)
    done = Refunding(4_000, tries=1, done=True, refund_id="F1")
    facts = known(IN_FULL, Facts(refunds={"R1": done})).hearing(known(total))
    assert facts.gone_back(DUE) == Money(4_000, "CNY")
    one = observed_refund(told(RefundStatus.REFUNDED, "", refund_id="F2", gateway_id="P1"), Facts(), DUE)
    sent = known(IN_FULL, Facts(refunds={"R1": Refunding(4_000, tries=1)})).hearing(one)
    assert sent.refundable(DUE, "R1") == Money(6_000, "CNY")
    assert sent.known_back(DUE) == Money(4_000, "CNY")
    unnamed = known(IN_FULL, Facts(refunds={"R1": Refunding(4_000, tries=1, done=True)})).hearing(one)
    assert unnamed.known_back(DUE) == Money(4_000, "CNY")
    later = sent | Facts(refunds={"R1": done, "R2": Refunding(1_000, tries=1)})
    assert later.refundable(DUE, "R9") == Money(1_000, "CNY")
    assert (later | Facts(refunds={"R2": Refunding(4_000, tries=1)})).known_back(DUE) == Money(8_000, "CNY")


def test_a_refund_of_all_that_is_told_under_a_number_is_all_of_it() -> None:
    """Also where it may be one that was asked for here."""
    asked = known(IN_FULL, Facts(refunds={"R1": Refunding(10_000, tries=1)}))
    message = observed_refund(told(RefundStatus.REFUNDED, "", 10_000, refund_id="F1", gateway_id="P1"), Facts(), DUE)
    assert asked.hearing(message).status(DUE) is PaymentStatus.REFUNDED


def test_one_fen_that_went_back_of_what_was_paid_too_much_leaves_the_order_covered() -> None:
    """The smallest sum is a sum."""
    assert known(heard(PaymentStatus.PARTIALLY_REFUNDED, "P1", 10_001, 1)).covers(DUE)


def test_facts_with_all_their_parts_survive_the_database() -> None:
    """None of them is needed, and none is too many."""
    parts = heard(PaymentStatus.REFUNDED, "P1", 10_000, 10_000), back(4_000), ASKED_ONCE
    facts = known(*parts)
    assert {*json.loads(facts.dump())} == PARTS
    assert Facts.load(facts.dump()) == facts
