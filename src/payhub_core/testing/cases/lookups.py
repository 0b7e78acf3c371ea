"""Cases about look-ups: what is asked before a refund or a close, and after a number that is taken."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from payhub_core.errors import NotFound, OutcomeUnknown, Refused
from payhub_core.flow import Request, Response, is_harmless
from payhub_core.models import PaymentStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import NotApplicable, case
from payhub_core.testing.cases.refunds import CLOSE, REFUND, acting, asking
from payhub_core.testing.faults import FAULTS, NOES, Answer, alike, in_doubt, page, saying
from payhub_core.testing.outcome import Call, Outcome, expect, optional, says


def acted_upon(bench: Bench, hook: str) -> Iterator[tuple[Call, Outcome]]:
    """A refund or a close that succeeds, and where it goes by the gateway's number, one to which it is not known."""
    for name in (None, "gateway_id"):
        call = bench.refund_call() if hook == "refund" else bench.close_call()
        if name is None:
            yield call, bench.play(call)[0]
        elif name in bench.hooks[hook]:
            call.arguments[name] = None
            outcome = bench.play(call, fresh=True)[0]
            if outcome.error is None:
                yield call, outcome


def _nothing_after_another(bench: Bench, hook: str) -> None:
    """Raises Mismatch where a refund or a close is sent after a look-up that told of another order."""
    reference, number = bench.another().reference, bench.contract.gateway_ids[1]
    played = unnamed = False
    for call, plain in acted_upon(bench, hook):
        acts = acting(bench, hook, plain.tried)
        for at in range(acts.index(True) if any(acts) else 0):
            for other in (reference, f"{bench.order().reference}1"):  # a search may go by how a number begins
                fault = _told_of(reference=other, gateway_id=number)
                outcome = bench.play(replace(call, fault=fault, at=at))[0]
                if outcome.answers[at : at + 1] == plain.answers[at : at + 1]:
                    continue  # a token, which is about no order
                if not call.arguments.get("gateway_id") or "gateway_id" not in bench.hooks[hook]:
                    named = bench.play(replace(call, fault=_told_of(reference=other), at=at))[0]
                    if named.answers[at : at + 1] == plain.answers[at : at + 1]:
                        unnamed = True
                        continue
                played = True
                behind = [request for request in outcome.tried[at + 1 :] if not is_harmless(request)]
                sent = [request for request in behind if hook == "close" or bench.asks(request, call.sale)]
                expect(not sent, f"no {hook} after look-up {at + 1} about the order {other!r}", f"{len(sent)} of them")
    if not played:
        raise NotApplicable("no look-up names the order" if unnamed else f"{hook} looks nothing up")


def _told_of(**changes: Any) -> Answer:
    return lambda _, honest: honest(**changes)


@case(
    "refund.looked_up",
    "after a look-up about another order nothing is paid back, and an order that nobody has paid is not said to be",
    "The money of the other order would go back: the core sees the end of a flow, not what it looked up.",
    REFUND,
)
def _looked_up(bench: Bench) -> None:
    plain = asking(bench)
    if len(plain.tried) > 1 and bench.asked(plain):
        with suppress(NotApplicable):
            unpaid = bench.refund(bench.paid(status=PaymentStatus.PENDING, paid=None, refund=bench.order().amount))
            expect(unpaid.error or bench.asked(unpaid), "an error where the look-up says that nobody has paid", unpaid)
    _nothing_after_another(bench, "refund")


@case(
    "close.looked_up",
    "after a look-up about another order nothing is closed",
    "The other order is closed while its payer pays, and this one can still be paid: its answer seldom names an order.",
    CLOSE,
)
def _close_looked_up(bench: Bench) -> None:
    bench.need("close")
    _nothing_after_another(bench, "close")


@case(
    "refund.look_up_no",
    "what the gateway says no to in a look-up is no refusal of the refund",
    "Called refused, the sum is free to be paid back once more: a lost answer, or this very try, may have done it.",
    REFUND,
)
def _look_up_no(bench: Bench) -> None:
    asking(bench)
    _no_to_look_ups(bench, "refund")


def _no_to_look_ups(bench: Bench, hook: str) -> None:
    """Raises Mismatch where a look-up that is answered with a no ends the call as a no to the call itself."""
    found = [(call, plain, acting(bench, hook, plain.tried)) for call, plain in acted_upon(bench, hook)]
    found = [(call, plain, acts) for call, plain, acts in found if any(acts) and not all(acts)]
    if not found:
        raise NotApplicable(f"{hook} looks nothing up")
    for call, plain, acts in found:
        for at, no in itertools.product((at for at, act in enumerate(acts) if not act), NOES):
            with suppress(NotApplicable):
                outcome = bench.play(replace(call, fault=saying(no), at=at))[0]
                if outcome.answers[at : at + 1] == plain.answers[at : at + 1]:
                    continue  # a token, which is about no order
                error = outcome.error
                refused = isinstance(error, Refused | NotFound) and not error.unsent
                where = f"where request {at + 1}, a look-up, is answered {no!r}"
                expect(
                    not refused,
                    f"a GatewayError that leaves all open {where}; one before the {hook} is marked harmless",
                    outcome,
                )
                sent = any(acting(bench, hook, outcome.requests))
                expect(error or sent, f"an error {where}", outcome)


@case(
    "close.look_up_no",
    "what the gateway says no to in a look-up is no refusal of the close",
    "The order may be closed, or never was asked to be: the shop must not take the one for the other.",
    CLOSE,
)
def _close_look_up_no(bench: Bench) -> None:
    bench.need("close")
    _no_to_look_ups(bench, "close")


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
