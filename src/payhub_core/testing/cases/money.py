"""Cases about sums: exact, in every currency that is declared, on every way that a sum takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import reduce

from payhub_core.errors import InvalidOrder
from payhub_core.flow import Request, Response
from payhub_core.models import Order, PaymentStatus, Refund
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.creates import asks
from payhub_core.testing.faults import Answer
from payhub_core.testing.meaning import meaning
from payhub_core.testing.messages import altered_reply, reply_parts
from payhub_core.testing.outcome import Outcome, expect

PAGE = "hooks.md#create_payment"
#: Sums that floats get wrong in one way or another, in minor units, and round ones for gateways that take no cents.
SUMS = (1, 29, 1001, 1999, 111111, 10000, 1_000_000)
ROUND = SUMS[-2:]
#: Of more currencies, those that have as many decimals as one before are tried with these.
FEW = 10
SOME = (1999, *ROUND)


def orders(bench: Bench) -> Iterator[Order]:
    """Orders of these sums in every currency that the provider declares; it may refuse sums, but no currency."""
    known: set[object] = set()
    for currency in sorted(bench.info.currencies):
        decimals = Money(1, currency).amount.as_tuple().exponent
        many = len(bench.info.currencies) > FEW and decimals in known
        known.add(decimals)
        taken = False
        for minor in SOME if many else SUMS:
            if minor <= bench.info.largest_amount:
                order = bench.order(amount=Money(minor, currency))
                if isinstance(bench.create(order).error, InvalidOrder):
                    continue
                taken = True
                yield order
        expect(taken, f"sums in {currency}, which is declared, to be taken", "InvalidOrder for each of them")


@case(
    "money.asked",
    "the gateway is asked for the exact sum, in every currency that is declared, and in no other",
    "A cent that is lost in a float is lost on every order; a yen is not a hundredth of anything.",
    PAGE,
)
def _asked(bench: Bench) -> None:
    for order in orders(bench):
        asks(bench, bench.create(order), str(order.amount))
    undeclared = next(code for code in ("XAF", "CLF", "BHD", "USD", "EUR") if code not in bench.info.currencies)
    outcome = bench.create(bench.order(amount=Money(10000, undeclared)))
    refused = isinstance(outcome.error, InvalidOrder) and not outcome.tried
    expect(refused, f"InvalidOrder for {undeclared}, which is not declared, and nothing sent", outcome)


@case(
    "money.notified",
    "a notify's sums are read exactly, in every currency that is declared",
    "One cent less is underpaid, and one yen read as a hundredth is paid for nothing.",
    PAGE,
)
def _notified(bench: Bench) -> None:
    for order in orders(bench):
        sale = bench.paid(order)
        try:
            callback = bench.notify(sale)
        except NotApplicable:
            raise Mismatch(
                f"a notify in {order.amount.currency}, which the provider declares", "no word for it"
            ) from None
        outcome = bench.hear(callback, sale, order)
        payment = outcome.payment
        exact = payment.amount == order.amount and payment.paid in {None, order.amount}
        expect(exact and payment.status is PaymentStatus.PAID, f"a payment of {order.amount} that is paid", outcome)


@case(
    "money.queried",
    "a query's sums are read exactly, in every currency that is declared, and none that is finer than the currency",
    "One cent less is underpaid, and one yen read as a hundredth is paid for nothing.",
    PAGE,
)
def _queried(bench: Bench) -> None:
    for order in orders(bench):
        outcome = bench.query(bench.paid(order), order)
        payment = outcome.payment
        exact = payment.amount == order.amount and payment.paid in {None, order.amount}
        expect(exact and payment.status is PaymentStatus.PAID, f"a payment of {order.amount} that is paid", outcome)
    call = bench.query_call(bench.paid(), bench.order())
    fine, whole = bench.play(call, fresh=True)[0], f"{bench.order().amount.amount:f}".encode()
    for at in range(len(fine.tried)):
        with suppress(NotApplicable):
            another = bench.play(replace(call, fault=_written(whole), at=at))[0]
            if meaning(another) == meaning(fine):
                continue  # a sum that nobody reads
            finer = whole + (b"1" if b"." in whole else b".1")
            outcome = bench.play(replace(call, fault=_written(whole, finer), at=at))[0]
            expect(
                outcome.error, f"an error for an answer of {finer.decode()}, which is no sum in this currency", outcome
            )


def _written(whole: bytes, other: bytes = b"") -> Answer:
    """An answer with another text for its sums in major units; raises NotApplicable where it has none."""

    def fault(_: Request, honest: Callable[..., Response]) -> Response:
        answer = honest()
        names = [name for name, value in reply_parts(answer).items() if value == whole]
        if not names:
            raise NotApplicable("the answer has no sum in major units")
        return reduce(lambda changed, name: altered_reply(changed, name, other), names, answer)

    return fault


@case(
    "money.refunded",
    "a refund is asked for of the exact sum, in every currency that is declared",
    "A refund of yen that is written in hundredths pays back a hundred times too much.",
    "hooks.md#refund",
)
def _refunded(bench: Bench) -> None:
    bench.need("refund")
    for order in orders(bench):
        call = bench.refund_call(bench.paid(order, refund=order.amount))
        call.arguments |= {"reference": order.reference, "expect": order}
        outcome = bench.play(call)[0]
        asked = [money for _, money in bench.asked(outcome)]
        if isinstance(outcome.result, Refund) and not outcome.tried:
            raise NotApplicable("refund asks nobody")
        expect(asked == [order.amount], f"one request for {order.amount}", ", ".join(map(str, asked)) or outcome)
        expect(isinstance(outcome.result, Refund), "a Refund", outcome)


@case(
    "money.largest",
    "the largest sum that is declared is asked for and read exactly",
    "A number that is too long for a field is cut, not refused.",
    "hooks.md#the-declaration",
)
def _largest(bench: Bench) -> None:
    order = bench.order(amount=Money(bench.info.largest_amount, min(bench.info.currencies)))
    outcome = bench.create(order)
    expect(outcome.error is None, f"{order.amount}, which is declared, to be taken", outcome)
    asks(bench, outcome, str(order.amount))
    heard = bench.hear(bench.notify(bench.paid(order)), bench.paid(order), order)
    expect(heard.payment.status is PaymentStatus.PAID, f"a payment of {order.amount} that is paid", heard)


@case(
    "values.json",
    "every result survives being written as JSON and read again",
    "Task queues, tables and other processes get it as JSON; what does not come back equal is another payment.",
    "reference.md",
)
def _json(bench: Bench) -> None:
    _same_after_json(bench.create())
    _same_after_json(bench.hear(bench.notify(bench.paid())))
    asked: list[Callable[[], Outcome]] = [bench.query, bench.refund, bench.close]
    for play in asked:
        with suppress(NotApplicable):
            if (outcome := play()).tried:
                _same_after_json(outcome)


def _same_after_json(outcome: Outcome) -> None:
    value = outcome.result if isinstance(outcome.result, Refund) else outcome.payment
    try:
        again = type(value).model_validate_json(value.model_dump_json())
    except Exception as error:
        raise Mismatch("a result that is written as JSON and read again", f"{outcome}: {error}") from None
    expect(again == value, "a result that is equal after JSON", f"{outcome}, raw {value.raw!r} and {again.raw!r}")
