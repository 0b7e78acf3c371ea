"""Cases about what goes wrong on the way: a fault at every request of every flow."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import httpx

from payhub_core.errors import CallbackError, GatewayError, NotFound, NotSent, OutcomeUnknown, Refused
from payhub_core.flow import Request, Response, is_harmless
from payhub_core.models import PaymentStatus, Refund, RefundStatus
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.faults import ELSEWHERE, FAULTS, Answer, alike, in_doubt, page
from payhub_core.testing.meaning import meaning
from payhub_core.testing.messages import carried, rewritten
from payhub_core.testing.outcome import Call, Outcome, expect, storable

PAGE = "hooks.md#failures-inside-a-flow"
#: So many requests more are few, where a token is refused.
_FEW = 4
TOKENS = "writing-a-provider.md#a-token-before-the-call"


def calls(bench: Bench) -> Iterator[tuple[Call, Outcome]]:
    """Every flow of the provider that sends requests, with how it ends where nothing goes wrong.

    Those of hooks that are excused are left out.
    """
    for call in [*flows(bench), *(bench.hear_call(told.genuine, told.sale) for told in bench.messages())]:
        if call.hook in bench.without:
            continue
        outcome = bench.play(call, fresh=True)[0]
        if outcome.tried:
            expect(outcome.error is None, f"{call.hook} to succeed where nothing goes wrong", outcome)
            yield call, outcome


def flows(bench: Bench) -> list[Call]:
    """A call of each hook that the shop begins itself, but for those that are excused."""
    order = bench.order()
    found = [bench.create_call(order), bench.query_call(bench.paid(order), order)]
    found += [bench.refund_call()] if "refund" in bench.hooks else []
    found += [bench.close_call()] if "close" in bench.hooks else []
    return [call for call in found if call.hook not in bench.without]


def at_every_request(bench: Bench, fault: Answer, named: str, *, strict: bool = False) -> None:
    """Plays every flow with ``fault`` at each of its requests in turn; a ``strict`` one must not be survived."""
    played = False
    for call, fine in calls(bench):
        for at in range(len(fine.tried)):
            with suppress(NotApplicable):
                faulty = replace(call, fault=fault, at=at)
                outcome = bench.play(faulty)[0]
                played = True
                if taken_before(bench, call, fine, outcome, at):
                    continue
                judge(bench, call.hook, outcome, fine, f"{named} at request {at + 1} of {call.hook}", strict=strict)
    if not played:
        raise NotApplicable("there is no such answer")


def taken_before(bench: Bench, call: Call, fine: Outcome, outcome: Outcome, at: int) -> bool:
    """Whether a refund was accepted before the request ``at``, and is said to be under way."""
    acted = [place for place, request in enumerate(fine.tried) if bench.asks(request, call.sale)]
    pending = isinstance(outcome.result, Refund) and outcome.result.status is RefundStatus.PENDING
    return call.hook == "refund" and pending and bool(acted) and acted[-1] < at


def judge(bench: Bench, hook: str, outcome: Outcome, fine: Outcome, fault: str, *, strict: bool = False) -> None:
    """Raises Mismatch unless the call ended as one may whose answer was lost."""
    error = outcome.error
    sent = Outcome(outcome.sale, requests=outcome.requests, denied=outcome.denied)
    asked = bench.asked(sent) if hook in {"create_payment", "refund"} else []
    expect(len(asked) <= 1, f"{fault}: at most one request for money", f"{len(asked)} of them")
    if hook in {"create_payment", "refund"} and not outcome.requests:
        expect(isinstance(error, NotSent), f"{fault}: NotSent, since nothing has left", outcome)
    elif error is None:
        anew = len(outcome.tried) > len(fine.tried) or (meaning(outcome) == meaning(fine) and not strict)
        expect(anew, f"{fault}: an error, or a result that was asked for anew", outcome)
        expect(storable(outcome.result), f"{fault}: an error, or a result that can be stored", outcome)
    elif hook == "parse_callback":
        expect(isinstance(error, GatewayError), f"{fault}: a GatewayError, so that the message is sent again", outcome)
    elif hook == "query":
        silent = isinstance(error, GatewayError) and not isinstance(error, NotFound | Refused)
        expect(silent, f"{fault}: a GatewayError that says nothing about the payment", outcome)
    else:
        # What is marked harmless closes nothing: a look-up before the call that does.
        closing = [request for request in outcome.requests if not is_harmless(request)]
        left = asked or (hook == "close" and closing)
        unknown = isinstance(error, OutcomeUnknown) or (isinstance(error, NotSent) and not left)
        expect(unknown, f"{fault}: OutcomeUnknown, since it may have happened", outcome)


def each(bench: Bench, *names: str, strict: bool = False) -> None:
    """Plays every flow with each of the faults of these names; raises NotApplicable where there is none of them."""
    reasons: list[str] = []
    for name in names:
        try:
            at_every_request(bench, FAULTS[name], f"the fault {name!r}", strict=strict)
        except NotApplicable as reason:
            reasons.append(str(reason))
    if len(reasons) == len(names):
        raise NotApplicable(reasons[0])


@case(
    "fault.connect",
    "a request that never left is NotSent",
    "Nothing happened, so the shop may try again at once; called unknown, the payer waits for nothing.",
    PAGE,
)
def _connect(bench: Bench) -> None:
    each(bench, "connect")


@case(
    "fault.read",
    "an answer that does not come in time leaves the outcome unknown, and nothing is sent twice",
    "The payment may exist: called a failure, the payer pays twice.",
    PAGE,
)
def _read(bench: Bench) -> None:
    each(bench, "read")


@case(
    "fault.reset",
    "a connection that breaks leaves the outcome unknown, and nothing is sent twice",
    "The gateway has the request, and only its answer is lost.",
    PAGE,
)
def _reset(bench: Bench) -> None:
    each(bench, "reset", "cut")


@case(
    "fault.redirect",
    "a redirect is no answer, and is not followed",
    "It leads what was signed, and whoever is paid, to wherever the answer says.",
    PAGE,
)
def _redirect(bench: Bench) -> None:
    for call, fine in calls(bench):
        for at in range(len(fine.tried)):
            outcome = bench.play(replace(call, fault=FAULTS["redirect"], at=at))[0]
            followed = [request for request in outcome.tried if request.url.host == ELSEWHERE]
            expect(not followed, f"no request to where a redirect leads, in {call.hook}", f"{len(followed)} of them")
    each(bench, "redirect")


@case(
    "fault.links",
    "an address in an answer leads no request to another host",
    "Each request carries the account's key, or what it signs: whoever writes an answer would be sent it.",
    "writing-a-provider.md#kinds-of-gateways",
)
def _links(bench: Bench) -> None:
    played = False
    for call, fine in itertools.chain(calls(bench), without_number(bench)):
        for at, fault in itertools.product(range(len(fine.tried)), (_astray, _written_astray)):
            with suppress(NotApplicable):
                outcome = bench.play(replace(call, fault=fault, at=at))[0]
                played = True
                followed = [request for request in outcome.tried if request.url.host == ELSEWHERE]
                expected = f"no request to the host that the answer to request {at + 1} of {call.hook} names"
                expect(not followed, expected, f"{len(followed)} of them")
    if not played:
        raise NotApplicable("no answer has an address")


def _astray(_: Request, honest: Callable[..., Response]) -> Response:
    """The answer with an address elsewhere, signed where answers are."""
    answer = honest(url=f"https://{ELSEWHERE}/1")
    if alike(answer, honest()):
        raise NotApplicable("no address in the answer")
    return answer


def _written_astray(_: Request, honest: Callable[..., Response]) -> Response:
    """The answer with each of its addresses elsewhere."""
    answer = honest()
    body = re.sub(rb"https?:(\\?/){2}[^/\\\"'<&\s]+", f"https://{ELSEWHERE}".encode(), answer.content)
    if body == answer.content:
        raise NotApplicable("no address in the answer")
    return rewritten(answer, body)


def without_number(bench: Bench) -> Iterator[tuple[Call, Outcome]]:
    """The flows that look up by the order's number, since the gateway's is not known."""
    order = bench.order()
    found = [bench.query_call(bench.paid(order), order)]
    found += [bench.refund_call()] if "refund" in bench.hooks else []
    found += [bench.close_call()] if "close" in bench.hooks else []
    for call in found:
        if call.hook in bench.without or "gateway_id" not in bench.hooks[call.hook]:
            continue
        call.arguments["gateway_id"] = None
        outcome = bench.play(call, fresh=True)[0]
        if outcome.tried and outcome.error is None:
            yield call, outcome


@case(
    "fault.client_error",
    "a page with HTTP 400, 404 or 409 is neither a refusal nor proof that an order does not exist",
    "It may be a proxy's: the gateway itself refuses in its own words.",
    PAGE,
)
def _client_error(bench: Bench) -> None:
    each(bench, "400", "404", "409")


@case(
    "fault.unknown",
    "an answer that says that nobody knows what became of it leaves the outcome unknown",
    "'System error' under HTTP 200 is no refusal: the payment, or the refund, may be there, and is made twice.",
    PAGE,
)
def _unknown(bench: Bench) -> None:
    played = False
    for word, (call, fine) in itertools.product(bench.words("unknown"), calls(bench)):
        for at in range(len(fine.tried)):
            with suppress(NotApplicable):
                outcome = bench.play(replace(call, fault=in_doubt(word), at=at))[0]
                played = True
                said = f"{word or 'nobody knows'!r} at request {at + 1} of {call.hook}"
                if taken_before(bench, call, fine, outcome, at):
                    continue
                if call.hook != "query":
                    judge(bench, call.hook, outcome, fine, said, strict=True)
                elif outcome.error is not None:  # it may be refused: the question, and not the payment
                    open_still = isinstance(outcome.error, GatewayError) and not isinstance(outcome.error, NotFound)
                    expect(open_still, f"{said}: a GatewayError other than NotFound", outcome)
                elif len(outcome.tried) == len(fine.tried) and outcome.answers != fine.answers:
                    paid = outcome.payment.status is PaymentStatus.PAID
                    expect(not paid, f"{said}: an error, or a payment that is not paid", outcome)
    if not played:
        raise NotApplicable("the gateway never says that it does not know")


@case(
    "fault.renewed",
    "what is asked for again after HTTP 401 carries the same number",
    "A token had run out, says the gateway. If it had not, a second number is a second payment, or a second refund.",
    PAGE,
)
def _renewed(bench: Bench) -> None:
    again = False
    for call, fine in calls(bench):
        for at, request in enumerate(fine.tried):
            if call.hook in {"create_payment", "refund"} and bench.asks(request, call.sale):
                outcome = bench.play(replace(call, fault=page(401), at=at))[0]
                again = again or len(bench.asked(replace(outcome, denied=[]))) > 1
                bench.one_key(outcome, f"HTTP 401 in answer to request {at + 1} of {call.hook}")
    if not again:
        raise NotApplicable("nothing is asked for again after HTTP 401")


@case(
    "fault.revoked",
    "where a token that was kept is refused with HTTP 401, the call is made again by another, once",
    "A token may be revoked early: until it had run out every order would be refused, and every refund.",
    TOKENS,
)
def _revoked(bench: Bench) -> None:
    kept = False
    for call, fine in calls(bench):
        if not _fetches(bench, fine):
            continue
        warm = bench.play(call, call)[1]
        if len(warm.tried) >= len(fine.tried):
            continue  # each call has a token of its own
        kept = True
        refusals = [page(401), *(_unauthorized(word) for word in bench.words("account"))]
        ends: list[Outcome] = []
        for refusal in refusals:
            with suppress(NotApplicable):
                ends.append(bench.play(call, replace(call, fault=refusal, at=0))[1])
        renewed = any(end.error is None for end in ends)
        expect(renewed, f"{call.hook} by a new token, after HTTP 401 for the one that was kept", ends[0])
        denied = bench.play(call, replace(call, fault=partial(_denied, bench), onward=True))[1]
        few = len(denied.tried) <= len(fine.tried) + _FEW
        expect(few, f"an error once a new token is refused too, in {call.hook}", f"{len(denied.tried)} requests")
    if not kept:
        raise NotApplicable("no token is kept")


def _denied(bench: Bench, request: Request, honest: Callable[..., Response]) -> Response:
    """HTTP 401 for every token, however new."""
    return page(401)(request, honest) if carried(request) in bench.tokens else honest()


def _unauthorized(word: str) -> Answer:
    """The gateway's own no to the account, where that is HTTP 401."""

    def fault(_: Request, honest: Callable[..., Response]) -> Response:
        answer = honest(no="account", word=word)
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            raise NotApplicable("another status")
        return answer

    return fault


def _fetches(bench: Bench, fine: Outcome) -> list[int]:
    """The places of the requests for a token that later ones carry."""
    bench.learn(fine)
    tokens = [carried(request) for request in fine.tried]
    return [
        at
        for at, answer in enumerate(fine.answers)
        if any(token in bench.tokens and token.encode() in answer for token in tokens[at + 1 :])
    ]


@case(
    "fault.token",
    "where no token comes, nothing was asked for: NotSent",
    "Called unknown, the payer waits for an order, or for his money, that nobody was asked for.",
    TOKENS,
)
def _token(bench: Bench) -> None:
    played = False
    for call, fine in calls(bench):
        for at in _fetches(bench, fine) if call.hook in {"create_payment", "refund", "close"} else ():
            played = True
            for name in ("read", "502", "html"):
                outcome = bench.play(replace(call, fault=FAULTS[name], at=at))[0]
                unsent = isinstance(outcome.error, NotSent)
                expect(unsent, f"NotSent, where the request for a token, marked harmless, ends as {name!r}", outcome)
    if not played:
        raise NotApplicable("no token is asked for")


@case(
    "fault.server_error",
    "HTTP 500, 502 and 504 leave the outcome unknown",
    "A gateway that fails after it has booked the payment answers like this.",
    PAGE,
)
def _server_error(bench: Bench) -> None:
    each(bench, "500", "502", "504")


@case(
    "fault.status",
    "what an HTTP status of failure says, the body does not undo",
    "A proxy or a cache may serve an old answer with it; a gateway that fails may have written it half-way.",
    PAGE,
)
def _status(bench: Bench) -> None:
    for code in (404, 409, 500):
        at_every_request(bench, _under(code), f"the right answer under HTTP {code}", strict=True)


def _under(code: int) -> Answer:
    def fault(_: Request, honest: Callable[..., Response]) -> Response:
        answer = honest()
        if answer.is_error:  # a look-up that finds nothing
            raise NotApplicable("the right answer is a no")
        answer.status_code = code
        return answer

    return fault


@case(
    "fault.entities",
    "XML that declares entities is refused, as a message and as an answer",
    "An entity can stand for a file of the server, or for a thousand others until memory is gone (CWE-776, CWE-611).",
    "kit.md#read_xmldata-kind-root-lists",
)
def _entities(bench: Bench) -> None:
    found = False
    order = bench.order()
    callback = bench.notify(bench.paid(order))
    if _is_xml(callback.body):
        found = True
        outcome = bench.hear(replace(callback, body=_with_entity(callback.body, order.reference)))
        expect(
            isinstance(outcome.error, CallbackError), "a CallbackError for a message that declares entities", outcome
        )

    def fault(_: Request, honest: Callable[..., Response]) -> Response:
        answer = honest()
        if not _is_xml(answer.content):
            raise NotApplicable("no XML")
        return rewritten(answer, _with_entity(answer.content, order.reference))

    with suppress(NotApplicable):
        at_every_request(bench, fault, "an answer that declares entities", strict=True)
        found = True
    if not found:
        raise NotApplicable("no XML")


def _is_xml(body: bytes) -> bool:
    return body.lstrip().startswith(b"<") and not body.lstrip().lower().startswith(b"<!doctype html")


def _with_entity(body: bytes, text: str) -> bytes:
    """The document with ``text`` behind an entity of its own; what it says stays the same."""
    declaration, end, root = body.rpartition(b"?>")
    entity = f'<!DOCTYPE message [<!ENTITY e "{text}">]>'.encode()
    section = f"<![CDATA[{text}]]>".encode()  # where an entity would be text
    written = section if section in root else text.encode()
    return declaration + end + entity + root.lstrip().replace(written, b"&e;", 1)


@case(
    "fault.html",
    "a page instead of an answer leaves the outcome unknown",
    "A proxy's page says nothing about the payment, neither that it is made nor that it is not.",
    PAGE,
)
def _html(bench: Bench) -> None:
    each(bench, "html")


@case("fault.empty", "an empty answer leaves the outcome unknown", "Nothing was said, not even yes.", PAGE)
def _empty(bench: Bench) -> None:
    each(bench, "empty")


@case(
    "fault.truncated",
    "an answer that is cut short leaves the outcome unknown",
    "What is missing may be the status, or half of the sum.",
    PAGE,
)
def _truncated(bench: Bench) -> None:
    def fault(request: Request, honest: Callable[..., Response]) -> Response:
        if not honest().content:
            raise NotApplicable("an answer without a body cannot be cut")
        return FAULTS["truncated"](request, honest)

    at_every_request(bench, fault, "the fault 'truncated'", strict=True)


@case(
    "fault.oversized",
    "an answer of more than a megabyte leaves the outcome unknown",
    "Whoever answers without end would fill the shop's memory.",
    PAGE,
)
def _oversized(bench: Bench) -> None:
    each(bench, "oversized", strict=True)


@case(
    "fault.compressed",
    "a compressed answer leaves the outcome unknown",
    "A kilobyte unpacks to a gigabyte, and no limit on bytes sees it.",
    PAGE,
)
def _compressed(bench: Bench) -> None:
    each(bench, "compressed", strict=True)


@case(
    "fault.charset",
    "an answer in another encoding leaves the outcome unknown, or means what it means in UTF-8",
    "Bytes that are replaced to be readable are other bytes: another order's number, another address.",
    PAGE,
)
def _charset(bench: Bench) -> None:
    each(bench, "utf-16", "bytes")


@case(
    "fault.surrogates",
    "an answer with half a character leaves the outcome unknown, or is kept without it",
    "It is read without complaint, and then nothing can store it: the payment is lost between two tables.",
    PAGE,
)
def _surrogates(bench: Bench) -> None:
    each(bench, "surrogates")


@case(
    "fault.deep",
    "an answer that is nested without end leaves the outcome unknown",
    "A reader that runs out of stack says nothing about the payment.",
    PAGE,
)
def _deep(bench: Bench) -> None:
    each(bench, "deep")


@case(
    "fault.other_order",
    "an answer about another order leaves the outcome unknown",
    "Answers are swapped by proxies and by races: another order's page takes another order's money.",
    PAGE,
)
def _other_order(bench: Bench) -> None:
    another, number = bench.another().reference, bench.contract.gateway_ids[1]
    played = False
    for call, fine in itertools.chain(calls(bench), _of_what_has_gone_back(bench)):
        for at, change in itertools.product(range(len(fine.tried)), ({"gateway_id": number}, {})):

            def fault(_: Request, honest: Callable[..., Response], change: dict[str, str] = change) -> Response:
                if honest().content == honest(reference=another).content:
                    raise NotApplicable("the answer does not name the order")
                return honest(reference=another, **change)

            with suppress(NotApplicable):
                outcome = bench.play(replace(call, fault=fault, at=at))[0]
                played = True
                open_still = outcome.error is not None and not isinstance(outcome.error, NotFound | Refused)
                anew = len(outcome.tried) > len(fine.tried) or taken_before(bench, call, fine, outcome, at)
                under = "" if change else ", under this payment's number,"
                named = f"another order's answer{under} at request {at + 1} of {call.hook}"
                expect(open_still or anew, f"{named}: an error that leaves everything open", outcome)
    if not played:
        raise NotApplicable("the answers do not name the order")


def _of_what_has_gone_back(bench: Bench) -> Iterator[tuple[Call, Outcome]]:
    """Queries that look further, since something has gone back."""
    if "query" in bench.without:
        return
    order = bench.order()
    for status in (PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN):
        with suppress(NotApplicable):
            call = bench.query_call(bench.paid(order, status=status), order)
            fine = bench.play(call, fresh=True)[0]
            if len(fine.tried) > 1 and fine.error is None:
                yield call, fine


@case(
    "fault.slow",
    "an answer that trickles ends within twice the time-out of the account's settings",
    "Each open call holds a worker; a gateway that is slow on a busy day would stop the shop.",
    PAGE,
)
def _slow(bench: Bench) -> None:
    settings = {**bench.settings, "timeout": 0.05}
    try:
        bench.account(settings)
    except Exception:
        timeout = bench.account().timeout
        expect(timeout <= 120, "a time-out of at most 120 seconds", f"{timeout} seconds")  # noqa: PLR2004
        return

    for call, fine in calls(bench):
        for at in range(len(fine.tried)):
            try:
                _trickled(bench, call, fine, at, settings)
            except Mismatch:  # on a busy machine another exchange may have taken as long
                _trickled(bench, call, fine, at, settings)


def _trickled(bench: Bench, call: Call, fine: Outcome, at: int, settings: dict[str, Any]) -> None:
    outcome = bench.play(replace(call, fault=FAULTS["slow"], at=at), settings=settings)[0]
    if taken_before(bench, call, fine, outcome, at):
        return
    judge(bench, call.hook, outcome, fine, f"a slow answer at request {at + 1} of {call.hook}", strict=True)
