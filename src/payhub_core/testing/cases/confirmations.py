"""Cases about confirmations: a gateway that keeps a payment only once the shop has confirmed it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from payhub_core.errors import NotFound
from payhub_core.flow import Request
from payhub_core.models import Payment, PaymentStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.money import orders
from payhub_core.testing.faults import FAULTS, Answer, in_doubt, saying
from payhub_core.testing.outcome import Call, Outcome, expect, says
from payhub_core.testing.sale import Sale

PAGE = "testing-a-provider.md#payments-that-have-to-be-confirmed"
#: A confirmation that was made before is for a look-up to tell.
REFUSALS = ("refused", "missing", "account")
FAILURES = ("connect", "read", "cut", "400", "500", "html", "empty", "truncated")


def waiting(bench: Bench) -> Iterator[tuple[Call, Outcome]]:
    """Every flow that hears of a payment that waits for its confirmation, with how it ends where all goes well."""
    if not bench.contract.confirming:
        raise NotApplicable("the gateway asks for no confirmation")
    order, sale = bench.order(), bench.paid()
    call = bench.hear_call(bench.notify(sale), sale)
    yield call, bench.play(call, fresh=True)[0]
    with suppress(NotApplicable):
        call = bench.query_call(bench.paid(status=PaymentStatus.AUTHORIZED), order)
        yield call, bench.play(call, fresh=True)[0]


def paid(outcome: Outcome) -> bool:
    """Whether it ended in a payment that is paid."""
    return outcome.error is None and outcome.payment.status is PaymentStatus.PAID


@case(
    "confirm.paid",
    "a payment that has to be confirmed is confirmed, and is paid only then",
    "What nobody confirms goes back to the payer, when the goods are delivered already.",
    PAGE,
)
def _paid(bench: Bench) -> None:
    for call, outcome in waiting(bench):
        confirmed = bench.confirmed(outcome)
        if call.hook == "parse_callback" or confirmed:
            expect(paid(outcome), "a payment that is paid once it is confirmed", outcome)
        expect(confirmed or not paid(outcome), "a request that confirms(), before it is paid", f"{outcome} without any")


@case(
    "confirm.asks",
    "a confirmation is about the payment that waits, and names the exact sum, in every currency that is declared",
    "The gateway keeps what is named: a hundredth of it in the wrong unit, or another order's money.",
    PAGE,
)
def _asks(bench: Bench) -> None:
    next(waiting(bench))
    for order in orders(bench):
        sale = bench.paid(order)
        calls = [bench.hear_call(bench.notify(sale), sale, order)]
        calls += [bench.query_call(sale.but(status=PaymentStatus.AUTHORIZED), order)]
        for call in calls:
            with suppress(NotApplicable):
                outcome = bench.play(call)[0]
                for request in filter(bench.contract.confirms, outcome.requests):
                    _about(bench, request, sale)


def _about(bench: Bench, request: Request, sale: Sale) -> None:
    asked = bench.contract.asked(request)
    if asked is None:
        raise Mismatch("an asked() that says which payment a confirmation names, and which sum", "None")
    number, told = asked
    sum_ = Money(told, sale.amount.currency) if isinstance(told, int) else told
    right = number in {sale.reference, sale.gateway_id} and sum_ in {None, sale.amount}
    expect(right, f"a confirmation of {sale.reference!r} or {sale.gateway_id!r}, {sale.amount}", f"{number!r}, {sum_}")


@case(
    "confirm.refused",
    "a confirmation that is refused or fails pays nothing",
    "The gateway has not kept the money: the payer gets it back.",
    PAGE,
)
def _refused(bench: Bench) -> None:
    for call, fine in waiting(bench):
        sent = [at for at, request in enumerate(fine.tried) if bench.contract.confirms(request)]
        for at in sent[:1]:
            noes = {f"{no} {word}".strip(): saying(no, word) for no in REFUSALS for word in bench.words(no)}
            noes |= {f"unknown {word}".strip(): in_doubt(word) for word in bench.words("unknown")}
            for name, fault in {**noes, **{name: FAULTS[name] for name in FAILURES}}.items():
                with suppress(NotApplicable):
                    outcome = bench.play(replace(call, fault=fault, at=at))[0]
                    anew = len(outcome.tried) > len(fine.tried)
                    where = f"where the answer to the confirmation is {name!r}"
                    not_found = isinstance(outcome.error, NotFound)
                    expect(not not_found, f"no NotFound, after which the order is sent anew, {where}", outcome)
                    expect(anew or not paid(outcome), f"an error, or a payment that is not paid, {where}", outcome)


@case(
    "confirm.status",
    "a confirmation is what its answer says: under way, or come to nothing; one that was made before is neither",
    "The gateway takes the request, and not the money yet: the goods are given away. Or it has the money, and the shop "
    "is told that it failed.",
    PAGE,
)
def _status(bench: Bench) -> None:
    played = False
    for call, fine in waiting(bench):
        for at in [at for at, request in enumerate(fine.tried) if bench.contract.confirms(request)][:1]:
            for status, word in bench.statuses(PaymentStatus.PENDING, PaymentStatus.FAILED):
                with suppress(NotApplicable):
                    fault = _coming_to(status, word)
                    outcome = bench.play(replace(call, fault=fault, at=at))[0]
                    if outcome.answers[at : at + 1] == fine.answers[at : at + 1]:
                        continue  # it says no more than that the request has come
                    played = True
                    told = f"a payment that is not paid, where the confirmation is {word or status.value!r}"
                    expect(not paid(outcome) or len(outcome.tried) > len(fine.tried), told, outcome)
            for word in bench.words("duplicate"):
                with suppress(NotApplicable):
                    outcome = bench.play(replace(call, fault=saying("duplicate", word), at=at))[0]
                    played = True
                    over = isinstance(outcome.error, NotFound) or (outcome.error is None and _over(outcome.payment))
                    expect(not over, f"no end of the payment, where it was confirmed before{says(word)}", outcome)
    if not played:
        raise NotApplicable("the answer to a confirmation says no more than that it has come")


def _over(payment: Payment) -> bool:
    return payment.status in {PaymentStatus.FAILED, PaymentStatus.CANCELED}


def _coming_to(status: PaymentStatus, word: str) -> Answer:
    return lambda _, honest: honest(status=status, word=word, paid=None)


@case(
    "confirm.other",
    "nothing is confirmed of another order, of another sum, or of a message that another key signed",
    "To confirm is to keep the money: what is not the shop's order is left to go back.",
    PAGE,
)
def _other(bench: Bench) -> None:
    next(waiting(bench))
    order, another = bench.order(), bench.another()
    reserved, whole = PaymentStatus.AUTHORIZED, order.amount
    less, more = (Money(minor, whole.currency) for minor in (max(1, whole.minor // 100), whole.minor + 1))
    smaller, larger = (bench.paid(amount=sum_, paid=sum_) for sum_ in (less, more))
    genuine, forged = bench.notify(bench.paid()), bench.notify(bench.foreign(bench.paid()))
    calls = {
        "a notify whose order is not known yet, which is for query to ask about": bench.hear_call(
            genuine, expected=None
        ),
        "a notify about another order": bench.hear_call(genuine, bench.paid(), another),
        "a notify about a smaller sum": bench.hear_call(bench.notify(smaller), smaller),
        "an answer about another order": bench.query_call(bench.paid(another, status=reserved), order),
        "an answer about a smaller sum": bench.query_call(smaller.but(status=reserved), order),
        "a notify about a larger sum": bench.hear_call(bench.notify(larger), larger),
        "an answer about a larger sum": bench.query_call(larger.but(status=reserved), order),
    }
    unexpected = bench.query_call(bench.paid(status=reserved), order)
    unexpected.arguments["expect"] = None
    calls["an answer where the order's sum is not known"] = unexpected
    for currency in sorted(bench.info.currencies - {whole.currency}):
        same = Money(whole.minor, currency)
        calls[f"an answer in {currency}"] = bench.query_call(bench.paid(amount=same, paid=same, status=reserved), order)
    if forged != genuine:
        calls["a message that another key signed"] = bench.hear_call(forged)
    for about, call in calls.items():
        with suppress(NotApplicable):
            outcome = bench.play(call)[0]
            sent = [request for request in outcome.tried if bench.contract.confirms(request)]
            expect(not sent, f"no confirmation for {about}", f"{len(sent)} of them, and {outcome}")
