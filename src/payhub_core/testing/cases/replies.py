"""Cases about the signatures of answers: what another key signed, what was altered, what stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from typing import Any

from payhub_core.errors import AccountRefused, NotFound, Refused
from payhub_core.flow import Request, Response
from payhub_core.models import PaymentStatus, RefundStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import NotApplicable, case
from payhub_core.testing.cases.faults import calls, taken_before
from payhub_core.testing.faults import Answer
from payhub_core.testing.meaning import meaning
from payhub_core.testing.messages import added, altered_reply, enclosed, reply_parts, reply_without, rewritten
from payhub_core.testing.outcome import Call, expect
from payhub_core.testing.words import TOMORROW


@case(
    "replies.signed",
    "an answer that another key signed, or that was altered, is no answer, where answers are signed",
    "A signature that nobody checks protects nobody.",
    "writing-a-provider.md#kinds-of-gateways",
)
def _signed(bench: Bench) -> None:
    found = False
    for call, fine in calls(bench):
        for at in range(len(fine.tried)):

            def forged(_: Request, honest: Callable[..., Response], call: Call = call) -> Response:
                return honest(settings=bench.foreign(call.sale).settings)

            request = fine.tried[at]
            mine = bench.answer(request, call.sale, call.hook)
            theirs = bench.answer(request, bench.foreign(call.sale), call.hook)
            if (mine.content, dict(mine.headers)) == (theirs.content, dict(theirs.headers)):
                continue
            found = True
            where = f"request {at + 1} of {call.hook}"
            outcome = bench.play(replace(call, fault=forged, at=at))[0]
            ended = isinstance(outcome.error, NotFound | Refused) and not outcome.error.unsent
            open_still = (outcome.error is not None and not ended) or taken_before(bench, call, fine, outcome, at)
            expect(open_still, f"an error that leaves all open for an answer of another key at {where}", outcome)
            _believes_no_forged_no(bench, call, at, where)
            for name in reply_parts(theirs):

                def unsigned(
                    request: Request, honest: Callable[..., Response], name: str = name, forged: Answer = forged
                ) -> Response:
                    return reply_without(forged(request, honest), name)

                outcome = bench.play(replace(call, fault=unsigned, at=at))[0]
                unproved = outcome.error is not None or taken_before(bench, call, fine, outcome, at)
                expect(unproved, f"an error for another key's answer without {name} at {where}", outcome)
            for name in reply_parts(mine).keys() - _unsigned(bench, call, request):

                def altered(_: Request, honest: Callable[..., Response], name: str = name) -> Response:
                    return altered_reply(honest(), name)

                outcome = bench.play(replace(call, fault=altered, at=at))[0]
                same = outcome.error is not None or meaning(outcome) == meaning(fine)
                same = same or taken_before(bench, call, fine, outcome, at)
                expect(same, f"an error for an answer whose {name} was altered at {where}", outcome)
    if not found:
        raise NotApplicable("the gateway does not sign its answers")


@case(
    "replies.beside",
    "what stands in an answer beside what is signed, under the name of a field inside it, changes nothing",
    "The signature covers the envelope alone: whoever is between writes 'paid' beside it.",
    "kit.md#raw_memberdata-name",
)
def _beside(bench: Bench) -> None:
    played = False
    for call, fine in calls(bench):
        for at, request in enumerate(fine.tried):
            mine = bench.answer(request, call.sale, call.hook)
            theirs = bench.answer(request, bench.foreign(call.sale), call.hook)
            inside = enclosed(mine.content)
            if mine.content == theirs.content or not inside:
                continue

            def beside(_: Request, honest: Callable[..., Response], inside: dict[str, str] = inside) -> Response:
                answer = honest()
                return rewritten(answer, added(answer.content, inside))

            for change in _told_otherwise(bench, call):
                with suppress(NotApplicable):
                    other = replace(call, sale=call.sale.but(**change))
                    plain = bench.play(other)[0]
                    outcome = bench.play(replace(other, fault=beside, at=at))[0]
                    played = True
                    same = outcome.error is not None or (plain.error is None and meaning(outcome) == meaning(plain))
                    where = f"beside what is signed in the answer to request {at + 1} of {call.hook}"
                    expect(same, f"an error, or the same, with {', '.join(inside)} {where}", outcome)
    if not played:
        raise NotApplicable("no answer has an envelope that is signed")


def _told_otherwise(bench: Bench, call: Call) -> Iterator[dict[str, Any]]:
    """What an answer may say in place of what would be nicer."""
    amount = call.sale.amount
    less = Money(max(1, amount.minor // 2), amount.currency)
    yield {"reference": bench.another().reference}
    yield {"amount": less, "paid": less}
    for status in (PaymentStatus.PENDING, PaymentStatus.FAILED):
        yield {"status": status, "paid": None}
    for refund_status in (RefundStatus.PENDING, RefundStatus.FAILED):
        yield {"refund_status": refund_status}


def _unsigned(bench: Bench, call: Call, request: Request) -> set[str]:
    """The parts of an answer that may change while its signature stays: TLS alone proves them."""
    sale, ids = call.sale, bench.contract.gateway_ids
    less = Money(max(1, sale.amount.minor // 2), sale.amount.currency)
    sums: list[dict[str, Any]] = [{name: less} for name in ("amount", "paid", "refund", "refunded")]
    words = [{name: TOMORROW} for name in ("word", "refund_word", "attach", "refund_id")]
    mine, theirs = (reply_parts(bench.answer(request, one, call.hook)) for one in (sale, bench.foreign(sale)))
    signature = {name for name in mine if theirs.get(name) != mine[name]}
    found: set[str] = set()
    for change in (*sums, *words, {"url": f"{sale.url}1"}, {"gateway_id": ids[1]}):
        with suppress(NotApplicable):
            told = reply_parts(bench.answer(request, sale.but(**change), call.hook))
            changed = {name for name in mine if told.get(name) != mine[name]}
            found |= set() if changed & signature else changed
    return found


def _believes_no_forged_no(bench: Bench, call: Call, at: int, where: str) -> None:
    """Raises Mismatch where another key's "no such order", or its refusal, is believed."""
    for no, believed in (("missing", NotFound), ("refused", Refused), ("account", AccountRefused)):

        def forged(_: Request, honest: Callable[..., Response], no: str = no) -> Response:
            answer = honest(no=no, settings=bench.foreign(call.sale).settings)
            if answer.content == (mine := honest(no=no)).content and answer.headers == mine.headers:
                raise NotApplicable("the gateway does not sign it")
            return answer

        with suppress(NotApplicable):
            outcome = bench.play(replace(call, fault=forged, at=at))[0]
            fine = type(outcome.error) is not believed
            expect(fine, f"another error than {believed.__name__} for a {no!r} of another key at {where}", outcome)

        def unsigned(_: Request, honest: Callable[..., Response], no: str = no) -> Response:
            mine = honest(no=no)
            theirs = reply_parts(honest(no=no, settings=bench.foreign(call.sale).settings))
            signature = [name for name, value in reply_parts(mine).items() if theirs.get(name) != value]
            if not signature:
                raise NotApplicable("the gateway does not sign it")
            return reduce(reply_without, signature, mine)

        # A no to a question is harmless.
        with suppress(NotApplicable):
            outcome = bench.play(replace(call, fault=unsigned, at=at))[0]
            ended = isinstance(outcome.error, NotFound | Refused) and not outcome.error.unsent
            acts = call.hook in {"create_payment", "refund", "close"}
            expect(not (acts and ended), f"an error that leaves all open for an unsigned {no!r} at {where}", outcome)
