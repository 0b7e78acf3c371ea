"""Cases about messages that tell where one refund stands: which are believed, and what they then say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from payhub_core.errors import WrongOrder
from payhub_core.models import Callback, Notification, Refund, RefundStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.forgeries import altered, downgraded, foreign_key, other_account, unsigned
from payhub_core.testing.cases.notifies import acknowledged
from payhub_core.testing.messages import parts, with_fields
from payhub_core.testing.outcome import Outcome, expect, says
from payhub_core.testing.sale import Sale
from payhub_core.testing.words import TOMORROW, around

PAGE = "writing-a-provider.md#kinds-of-gateways"


def told(outcome: Outcome) -> Refund:
    """The refund that a message is about, which is about no payment; raises Mismatch where there is none."""
    result = outcome.result
    if not isinstance(result, Notification) or result.payment is not None or result.refund is None:
        raise Mismatch("a notification with a refund and no payment", outcome)
    return result.refund


def heard(bench: Bench, sale: Sale) -> Outcome:
    """What is made of the message about the refund of ``sale``."""
    return bench.hear(bench.refund_notify(sale), sale, bench.order(reference=sale.reference, amount=sale.amount))


@case(
    "refund_notify.genuine",
    "a message about a refund is accepted, and is about that refund of that order's payment, and about no payment",
    "A refund that only a message ends stays open for ever where it is not heard, or is heard of another payment.",
    PAGE,
)
def _genuine(bench: Bench) -> None:
    for order, number in zip((bench.order(), bench.another()), bench.contract.gateway_ids, strict=True):
        sale = bench.refund_told(order, gateway_id=number).sale
        outcome = heard(bench, sale)
        refund = told(outcome)
        expect(refund.reference == order.reference, f"a refund of {order.reference!r}", outcome)
        own = f"the payment's number {number!r}, or none: {sale.refund_id!r} is the refund's"
        expect(refund.gateway_id in {None, number}, own, repr(refund.gateway_id))
        acknowledged(bench, outcome, order)
    message = bench.refund_told()
    outcome = bench.hear(message.genuine, message.sale, bench.another())
    expect(isinstance(outcome.error, WrongOrder), "WrongOrder for a refund of another order", outcome)


@case(
    "refund_notify.status",
    "a message says of a refund that it is done, failed or under way, as the gateway does",
    "Read as done, the payer never has the money; read as failed, the shop pays it back twice.",
    PAGE,
)
def _status(bench: Bench) -> None:
    usual = bench.refund_told().sale
    for status, word in bench.refund_statuses():
        with suppress(NotApplicable):
            outcome = heard(bench, usual.but(refund_status=status, refund_word=word))
            expect(told(outcome).status is status, f"a refund that is {status.value}{says(word)}", outcome)


@case(
    "refund_notify.unknown_status",
    "a message about a refund in a word that nobody knows yet is an error, about nothing, or says that it is under way",
    "A gateway adds words without asking. An end that was none frees the sum, or keeps the payer's money.",
    PAGE,
)
def _unknown_status(bench: Bench) -> None:
    usual = bench.refund_told().sale
    unknown = usual.but(refund_word=TOMORROW)
    plain, outcome = heard(bench, usual), heard(bench, unknown)
    known, written = _bytes(bench, usual, plain), _bytes(bench, unknown, outcome)
    if known == written:
        raise NotApplicable("the contract writes no refund_word")
    further = bench.contract.refund_words.get(RefundStatus.REFUNDED, ())
    for word in (TOMORROW, *around(known, written, further)):
        with suppress(NotApplicable):
            outcome = heard(bench, usual.but(refund_word=word))
            nothing = outcome.error is not None or outcome.result.refund is None
            open_ = nothing or told(outcome).status is RefundStatus.PENDING
            expect(open_, f"an error, a refund that is under way, or none{says(word)}", outcome)


def _bytes(bench: Bench, sale: Sale, outcome: Outcome) -> list[bytes]:
    """All that was told of ``sale``, by the message and by the answers to what it made ask for."""
    callback = bench.refund_notify(sale)
    return [callback.query, callback.body, *outcome.answers]


@case(
    "refund_notify.number",
    "a message about a refund has the shop's number of it, none where it carries none, and never another's",
    "By it the shop knows which refund has ended. One of the back office, taken for the shop's, ends the wrong one.",
    PAGE,
)
def _number(bench: Bench) -> None:
    usual = bench.refund_told().sale
    for number in (*bench.contract.refund_references, ""):
        with suppress(NotApplicable):
            outcome = heard(bench, usual.but(refund_reference=number))
            found = told(outcome).refund_reference
            expect(found == number, f"the refund {number!r}" if number else "no number of the shop's", repr(found))


@case(
    "refund_notify.sum",
    "a message about a refund states the sum of this refund, exactly, in every currency that is declared",
    "The shop compares it with what it asked for: the order's sum, or one a hundred times as much, is never found.",
    PAGE,
)
def _sum(bench: Bench) -> None:
    stated = False
    for currency in sorted(bench.info.currencies):
        whole = Money(bench.order().amount.minor, currency)
        usual = bench.refund_told(bench.order(amount=whole)).sale
        plain = _bytes(bench, usual, heard(bench, usual))
        for minor in (whole.minor, whole.minor // 4 + 1, 1):
            sale = usual.but(refund=Money(minor, currency))
            with suppress(NotApplicable):
                outcome = heard(bench, sale)
                stated = stated or _bytes(bench, sale, outcome) != plain
                found = told(outcome).amount
                expect(
                    found == sale.refund or not (found or stated), f"a refund of {sale.refund}", f"{outcome}, {found}"
                )
        for other in sorted({*bench.info.currencies, "USD", "EUR"} - {currency}):
            foreign = Money(whole.minor, other)
            sale = usual.but(amount=foreign, paid=foreign, refund=foreign)
            with suppress(NotApplicable):
                callback = bench.refund_notify(sale)
                if callback != bench.refund_notify(usual):
                    outcome = bench.hear(callback, sale, bench.order(amount=whole))
                    expect(
                        outcome.error is not None,
                        f"an error for a refund of {foreign} of an order in {currency}",
                        outcome,
                    )
    if not stated:
        raise NotApplicable("the message does not state the sum of the refund")


@case(
    "refund_notify.refused",
    "a message about a refund that another key signed, or nobody, or that is another merchant's, is refused",
    "Whoever says 'refunded' keeps the payer from his money; whoever says 'failed' has the shop pay it twice.",
    PAGE,
)
def _refused(bench: Bench) -> None:
    message, reasons = bench.refund_told(), []
    forgeries = (foreign_key, downgraded, unsigned, other_account)
    for forged in forgeries:
        try:
            forged(bench, message)
        except NotApplicable as reason:
            reasons.append(reason)
    if len(reasons) == len(forgeries):
        raise reasons[0]


@case(
    "refund_notify.altered",
    "a message about a refund with any of its parts altered is refused, or means what it meant",
    "A field that the signature does not cover is anybody's to choose: the sum, the refund, where it stands.",
    PAGE,
)
def _altered(bench: Bench) -> None:
    altered(bench, bench.refund_told())


@case(
    "refund_notify.apart",
    "a message about a payment is none about a refund, nor the other way, whatever it is given of the other's parts",
    "Both say 'success'. A refund that is taken for a payment pays an order; the reverse ends a refund that never was.",
    PAGE,
)
def _apart(bench: Bench) -> None:
    refund, payment = bench.refund_told(), bench.payment_told()
    for callback in (refund.genuine, *_given(refund.genuine, payment.genuine)):
        outcome = bench.hear(callback, refund.sale)
        paid = outcome.error is None and outcome.result.payment is not None
        believed = paid and (
            callback == refund.genuine or not outcome.requests
        )  # else the gateway says what it is about
        expect(not believed, "no payment out of a message about a refund", outcome)
    for sale in (payment.sale, *payment.further):
        with suppress(NotApplicable):
            own = payment.write(sale)
            for callback in (own, *_given(own, refund.genuine)):
                outcome = bench.hear(callback, sale)
                back = outcome.error is None and outcome.result.refund is not None
                believed = back and (callback == own or not outcome.requests)
                expect(not believed, "no refund out of a message about a payment", outcome)


def _given(one: Callback, other: Callback) -> Iterator[Callback]:
    """The message ``one`` with each of the parts of ``other`` in place of its own, or beside them."""
    present = {part.name: part for part in parts(one)}
    more: dict[str, str] = {}
    for part in parts(other):
        where, _, name = part.name.rpartition(" ")
        if part.name in present:
            yield present[part.name].written(part.value)
        elif where == "header":
            yield replace(one, headers={**one.headers, name: part.value.decode("latin-1")})
        else:
            more[name] = part.value.decode("utf-8", "replace").strip('"')
    if more:
        yield with_fields(one, more)
    if other.query != one.query:
        yield replace(one, query=other.query)
