"""Cases about what goes wrong on the way: a fault at every request of every flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

from payhub_core.errors import GatewayError, NotFound, NotSent, OutcomeUnknown, Refused
from payhub_core.flow import Request, Response
from payhub_core.testing.bench import Answer, Bench, Call, Outcome, expect, meaning
from payhub_core.testing.case import NotApplicable, case

PAGE = "hooks.md#failures-inside-a-flow"


def calls(bench: Bench) -> Iterator[tuple[Call, Outcome]]:
    """Every flow of the provider that sends requests, with how it ends where nothing goes wrong."""
    order = bench.order()
    found = [Call("create_payment", {"order": order}, bench.sale(order)), bench.query_call(bench.paid(order), order)]
    found += [bench.refund_call()] if "refund" in bench.hooks else []
    found += [bench.close_call()] if "close" in bench.hooks else []
    found += [bench.hear_call(bench.notify(bench.paid(order)))]
    for call in found:
        outcome = bench.play(call)[0]
        if outcome.requests:
            expect(outcome.error is None, f"{call.hook} to succeed where nothing goes wrong", outcome)
            yield call, outcome


def at_every_request(bench: Bench, fault: Answer, named: str) -> None:
    """Plays every flow with ``fault`` at each of its requests in turn."""
    played = False
    for call, fine in calls(bench):
        for at in range(len(fine.tried)):
            played = True
            faulty = Call(call.hook, call.arguments, call.sale, fault, at)
            try:
                outcome = bench.play(faulty)[0]
            except NotApplicable:
                continue
            judge(bench, call.hook, outcome, fine, f"{named} at request {at + 1} of {call.hook}")
    if not played:
        raise NotApplicable("the provider sends no requests")


def judge(bench: Bench, hook: str, outcome: Outcome, fine: Outcome, fault: str) -> None:
    """Raises Mismatch unless the call ended as one may whose answer was lost."""
    error = outcome.error
    if hook in {"create_payment", "refund"}:
        asked = bench.asked(Outcome(requests=outcome.requests))
        expect(len(asked) <= 1, f"{fault}: at most one request for money", f"{len(asked)} of them")
        if not asked and not outcome.requests:
            expect(isinstance(error, NotSent), f"{fault}: NotSent, since nothing has left", outcome)
            return
    if error is None:
        recovered = len(outcome.tried) > len(fine.tried) or meaning(outcome) == meaning(fine)
        expect(recovered, f"{fault}: an error, or a result that was asked for anew", outcome)
        return
    if hook == "parse_callback":
        expect(isinstance(error, GatewayError), f"{fault}: a GatewayError, so that the message is sent again", outcome)
    elif hook == "query":
        fitting = isinstance(error, GatewayError) and not isinstance(error, NotFound | Refused)
        expect(fitting, f"{fault}: a GatewayError that says nothing about the payment", outcome)
    else:
        asked_for = hook == "close" or bench.asked(Outcome(requests=outcome.requests))
        unknown = isinstance(error, OutcomeUnknown) or (isinstance(error, NotSent) and not asked_for)
        expect(unknown, f"{fault}: OutcomeUnknown, since it may have happened", outcome)


def _raising(error: Callable[[str], Exception]) -> Answer:
    def fault(_: Request, __: Callable[..., Response]) -> Response:
        raise error("a fault of the conformance kit")

    return fault


@case(
    "fault.connect",
    "a request that never left is NotSent",
    "Nothing happened, so the shop may try again at once; called unknown, the payer waits for nothing.",
    PAGE,
)
def _connect(bench: Bench) -> None:
    at_every_request(bench, _raising(httpx.ConnectError), "no connection")


@case(
    "fault.read",
    "an answer that does not come in time leaves the outcome unknown, and nothing is sent twice",
    "The payment may exist: called a failure, the payer pays twice.",
    PAGE,
)
def _read(bench: Bench) -> None:
    at_every_request(bench, _raising(httpx.ReadTimeout), "no answer")


@case(
    "fault.html",
    "a page instead of an answer leaves the outcome unknown",
    "A proxy's page says nothing about the payment, neither that it is made nor that it is not.",
    PAGE,
)
def _html(bench: Bench) -> None:
    page = "<!doctype html><title>Maintenance</title><h1>Please come back later</h1>"
    at_every_request(bench, lambda *_: Response(200, html=page), "a page")
