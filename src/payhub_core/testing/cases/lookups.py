"""Cases about look-ups: what is asked before a refund or a close, and after a number that is taken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from payhub_core.errors import NotFound, OutcomeUnknown, Refused
from payhub_core.flow import Request, Response
from payhub_core.models import PaymentStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import NotApplicable, case
from payhub_core.testing.cases.refunds import CLOSE, REFUND, acting, asking
from payhub_core.testing.faults import FAULTS, NOES, Answer, alike, in_doubt, page, saying
from payhub_core.testing.outcome import Call, Outcome, expect, optional, says


@case(
    "refund.looked_up",
    "after a look-up about another order nothing is paid back, and an order that nobody has paid is not said to be",
    "The money of the other order would go back: the core sees the end of a flow, not what it looked up.",
    REFUND,
)
def _looked_up(bench: Bench) -> None:
    plain = asking(bench)
    if len(plain.tried) == 1 or not bench.asked(plain):
        raise NotApplicable("refund looks nothing up")
    with suppress(NotApplicable):
        unpaid = bench.refund(bench.paid(status=PaymentStatus.PENDING, paid=None, refund=bench.order().amount))
        expect(unpaid.error or bench.asked(unpaid), "an error where the look-up says that nobody has paid", unpaid)
    other = {"reference": bench.another().reference, "gateway_id": bench.contract.gateway_ids[1]}
    played = False
    for at, request in enumerate(plain.tried):
        if bench.asks(request, plain.sale):
            break
        call = bench.refund_call(fault=lambda _, honest: honest(**other), at=at)
        outcome = bench.play(call)[0]
        if outcome.answers[at : at + 1] == plain.answers[at : at + 1]:
            continue  # a token, which is about no order
        played = True
        asked = [str(money) for _, money in bench.asked(outcome)]
        expect(not asked, f"no request for a refund after look-up {at + 1}", f"a request for {', '.join(asked)}")
    if not played:
        raise NotApplicable("what is looked up is about no order")


@case(
    "refund.look_up_no",
    "what the gateway says no to in a look-up is no refusal of the refund",
    "Called refused, the sum is free to be paid back once more: a lost answer, or this very try, may have done it.",
    REFUND,
)
def _look_up_no(bench: Bench) -> None:
    _no_to_look_ups(bench, bench.refund_call(), asking(bench))


def _no_to_look_ups(bench: Bench, call: Call, plain: Outcome) -> None:
    """Raises Mismatch where a look-up that is answered with a no ends the call as a no to the call itself."""
    acts = acting(bench, call.hook, plain.tried)
    if all(acts) or not any(acts):
        raise NotApplicable(f"{call.hook} looks nothing up")
    for at in (at for at, act in enumerate(acts) if not act):
        for no in NOES:
            with suppress(NotApplicable):
                outcome = bench.play(replace(call, fault=saying(no), at=at))[0]
                if outcome.answers[at : at + 1] == plain.answers[at : at + 1]:
                    continue  # a token, which is about no order
                error = outcome.error
                refused = isinstance(error, Refused | NotFound) and not error.unsent
                where = f"where request {at + 1}, a look-up, is answered {no!r}"
                expect(
                    not refused,
                    f"a GatewayError that leaves all open {where}; one before the {call.hook} is marked harmless",
                    outcome,
                )
                sent = any(acting(bench, call.hook, outcome.requests))
                expect(error or sent, f"an error {where}", outcome)


@case(
    "close.look_up_no",
    "what the gateway says no to in a look-up is no refusal of the close",
    "The order may be closed, or never was asked to be: the shop must not take the one for the other.",
    CLOSE,
)
def _close_look_up_no(bench: Bench) -> None:
    _no_to_look_ups(bench, bench.close_call(), bench.close())


@case(
    "create.taken",
    "after an order's number that is taken, a look-up that fails or finds nothing leaves the outcome unknown",
    "The first try may be there, and paid: called refused, or not found, the payer pays the order twice.",
    "writing-a-provider.md#which-error-means-what",
)
def _taken(bench: Bench) -> None:
    call = bench.create_call()
    _after_taken(bench, call, bench.play(call)[0])


@case(
    "refund.taken",
    "after a refund's number that is taken, a look-up that fails or finds nothing leaves the outcome unknown",
    "The first try may have paid it back: called refused, or not found, the money goes back twice.",
    REFUND,
)
def _refund_taken(bench: Bench) -> None:
    _after_taken(bench, bench.refund_call(), asking(bench))


def _after_taken(bench: Bench, call: Call, plain: Outcome) -> None:
    """Raises Mismatch where the look-up after "this number is taken" proves more than it can."""
    asking_for_it = [at for at, request in enumerate(plain.tried) if bench.asks(request, call.sale)]
    if not asking_for_it:
        raise NotApplicable(f"{call.hook} asks nobody")
    looked_up = False
    lookups: dict[str, Answer] = {no: saying(no) for no in NOES}
    lookups |= {f"HTTP {code}": page(code) for code in (401, 403, 404, 409, 429)}
    lookups |= {name: FAULTS[name] for name in ("connect", "read", "reset", "500", "html", "empty")}
    lookups |= {
        "another's": _about(reference=bench.another().reference, gateway_id=bench.contract.gateway_ids[1]),
        "that of another refund": _about(refund_reference=bench.contract.refund_references[1]),
        "that of a smaller refund": _about(refund=call.sale.refund and Money(1, call.sale.amount.currency)),
        "that of another key": _about(settings=bench.foreign(call.sale).settings),
    }
    at = asking_for_it[0]
    doubts = [(word, saying("duplicate", word)) for word in bench.words("duplicate")]
    doubts += [(word or "unknown", in_doubt(word)) for word in bench.words("unknown")]
    for word, doubt in doubts:
        for name, lookup in lookups.items():
            fault = _taken_then(bench, call, doubt, lookup)
            with optional(word or name):
                outcome = bench.play(replace(call, fault=fault, at=at, onward=True))[0]
                if len(outcome.tried) <= at + 1:
                    break
                looked_up = True
                bench.one_key(outcome, f"a look-up that is answered by {name!r}")
                expected = f"OutcomeUnknown where the answer to the look-up after it is {name!r}{says(word)}"
                expect(isinstance(outcome.error, OutcomeUnknown), expected, outcome)
    if not looked_up:
        raise NotApplicable("nothing is looked up after a number that is taken")


def _about(**changes: Any) -> Answer:
    """An answer about something else; raises NotApplicable where it would say the same."""

    def answer(_: Request, honest: Callable[..., Response]) -> Response:
        said = honest(no="", **changes)
        if alike(said, honest(no="")):
            raise NotApplicable("it says the same")
        return said

    return answer


def _taken_then(bench: Bench, call: Call, doubt: Answer, lookup: Answer) -> Answer:
    """Says that the number is taken, or that nobody knows, and answers what is asked after it by ``lookup``.

    Where the gateway says the same of an order that it refuses, what is not there was refused: that is left out.
    """
    one_word = False

    def fault(request: Request, honest: Callable[..., Response]) -> Response:
        nonlocal one_word
        if bench.asks(request, call.sale):
            taken = doubt(request, honest)
            with suppress(NotApplicable):
                one_word = alike(taken, honest(no="refused"))
            return taken
        answer = lookup(request, honest)
        if one_word and alike(answer, honest(no="missing")):
            raise NotApplicable("one word for both")
        return answer

    return fault
