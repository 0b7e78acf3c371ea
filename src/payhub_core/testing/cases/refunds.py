"""Cases about refund and close: money that goes back, once, and orders that nobody can pay any more."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from payhub_core.errors import AccountRefused, InvalidOrder, OutcomeUnknown, PayhubError, Refused
from payhub_core.flow import Request, Response, is_harmless
from payhub_core.models import PaymentStatus, Refund, RefundStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.creates import addresses
from payhub_core.testing.faults import FAULTS, NOES, Answer, saying
from payhub_core.testing.messages import fields_of, unpacked
from payhub_core.testing.outcome import Call, Outcome, expect, optional, says
from payhub_core.testing.sale import Sale
from payhub_core.testing.words import TOMORROW, around

REFUND = "hooks.md#refund"
CLOSE = "hooks.md#close"


def refunded(outcome: Outcome) -> Refund:
    """The refund that it ended in; raises Mismatch where there is none."""
    if not isinstance(outcome.result, Refund):
        raise Mismatch("a Refund", outcome)
    return outcome.result


def asking(bench: Bench) -> Outcome:
    """A refund that the gateway takes; raises NotApplicable where there is none, or nobody is asked."""
    outcome = bench.refund()
    if not outcome.tried:
        raise NotApplicable("refund asks nobody")
    return outcome


def acting(bench: Bench, hook: str, requests: list[Request]) -> list[bool]:
    """Which of the requests of a refund or a close are the thing itself, and no look-up."""
    if hook == "refund":
        return [bench.asks(request, bench.paid()) for request in requests]
    unmarked = [request for request in requests if not is_harmless(request)]
    closing = [request for request in unmarked if request.method != "GET"] or unmarked[-1:]
    return [request in closing for request in requests]


@case(
    "refund.accepted",
    "a refund that the gateway takes is that refund, of that sum",
    "A refund that is not recognised is asked for again.",
    REFUND,
)
def _accepted(bench: Bench) -> None:
    refund = refunded(outcome := bench.refund())
    taken = outcome.sale.refund_status
    expect(taken is not RefundStatus.FAILED, "a contract whose refund_status is REFUNDED or PENDING", taken.value)
    expect(refund.status is taken, f"a refund that is {taken.value}", outcome)
    expect(refund.reference == bench.order().reference, "a refund of the order", outcome)
    expect(outcome.tried, "a request to the gateway", f"{outcome} without any request")


@case(
    "refund.asks",
    "the gateway is asked once, for the sum of the refund; a part that cannot be refunded is InvalidOrder",
    "A part that goes back as the whole is money given away; what is told at the address for payers proves nothing.",
    REFUND,
)
def _asks(bench: Bench) -> None:
    asking(bench)
    amount = bench.order().amount
    for part in (amount, Money(amount.minor // 4, amount.currency)):
        outcome = bench.refund(bench.paid(refund=part))
        if part != amount and isinstance(outcome.error, InvalidOrder) and not bench.asked(outcome):
            continue  # it refunds whole sums, and says so before anything moves
        _ = refunded(outcome)
        asked = [money for _, money in bench.asked(outcome)]
        expect(asked == [part], f"one request for {part}", ", ".join(map(str, asked)) or "none")
        # No payer comes back from a refund: its message would be the server's, at an address where it proves nothing.
        order = bench.order()
        for name, text in addresses(outcome.requests):
            expect(text != order.return_url, f"{order.notify_url} or nothing in the field {name!r}", text)
        call = bench.refund_call(bench.paid(refund=part))
        call.arguments["expect"] = None
        asked = [money for _, money in bench.asked(bench.play(call)[0])]
        expect(
            asked in ([part], []), f"one request for {part}, where the order is not at hand", ", ".join(map(str, asked))
        )


@case(
    "refund.key",
    "a refund carries its own number as its key: the same again for the same, another for another",
    "Sent again after a lost answer, it must not pay back twice; a second part must not be taken for the first.",
    REFUND,
)
def _key(bench: Bench) -> None:
    asking(bench)
    one, two = bench.contract.refund_references
    keys = _keys(bench, one, one, two)
    expect(keys == [one, one, two], f"the keys {one}, {one} and {two}", keys)


def _keys(bench: Bench, *numbers: str) -> list[str]:
    """The keys that refunds of these numbers are asked for with."""
    keys = []
    for number in numbers:
        call = bench.refund_call(bench.paid(refund=bench.order().amount, refund_reference=number))
        outcome = bench.play(call)[0]
        _ = refunded(outcome)
        keys += [key for key, _ in bench.asked(outcome)]
    return keys


@case(
    "refund.again",
    "without a key of its own, a refund is sent only after a look-up that says that its sum has not gone back",
    "It is made again after a lost answer, and the gateway takes it for another: the payer has the money twice.",
    REFUND,
)
def _again(bench: Bench) -> None:
    plain = asking(bench)
    one, two = bench.contract.refund_references
    keys = _keys(bench, one, one, two)
    if len(keys) == len((one, one, two)) and keys[0] == keys[1] != keys[2]:
        raise NotApplicable("a refund carries its own number")
    acts = acting(bench, "refund", plain.tried)
    if not any(acts):
        raise NotApplicable("asked() knows no request for a refund")
    first = acts.index(True)
    expect(first, "a look-up before the request for a refund", "none")
    whole = bench.order().amount
    part = Money(whole.minor // 4, whole.currency)
    gone = {
        "all of it has gone back": (whole, (PaymentStatus.REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN)),
        "this part has gone back": (part, (PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN)),
    }
    for what, (sum_, statuses) in gone.items():
        outcome = bench.refund(bench.paid(refund=sum_))
        if not bench.asked(outcome):
            continue  # it refunds whole sums
        said = False
        for status in statuses:
            with suppress(NotApplicable):
                outcome = bench.refund(bench.paid(status=status, refunded=sum_, refund=sum_))
                said = True
                _unasked(bench, outcome, f"a look-up which says that {what}")
                if sum_ != whole:
                    done = isinstance(outcome.result, Refund) and outcome.result.status is RefundStatus.REFUNDED
                    expect(not done, "an error, since it may have been another refund of this sum", outcome)
        words = " or ".join(status.name for status in statuses)
        expect(said, f"an answer() that can say {words}, or InvalidOrder for a refund of {sum_}", outcome)
    with suppress(NotApplicable):
        left = bench.refund(bench.paid(status=PaymentStatus.PARTIALLY_REFUNDED, refunded=part, refund=whole))
        done = isinstance(left.result, Refund) and left.result.status is RefundStatus.REFUNDED
        expect(not done or bench.asked(left), f"an error for {whole} after a look-up which says {part} is back", left)
    for at in range(first):
        faults: dict[str, Answer] = {no: saying(no) for no in NOES}
        for name, fault in {**faults, "read": FAULTS["read"], "html": FAULTS["html"]}.items():
            with suppress(NotApplicable):
                outcome = bench.play(bench.refund_call(fault=fault, at=at))[0]
                if outcome.answers[at : at + 1] != plain.answers[at : at + 1]:
                    _unasked(bench, outcome, f"look-up {at + 1} whose answer is {name!r}")


@case(
    "refund.made",
    "a refund that a look-up shows is not asked for again: it is what the look-up says, of its own number and sum",
    "A key that the gateway has forgotten is no key: the call that is made again a day later pays back twice.",
    REFUND,
)
def _made(bench: Bench) -> None:
    plain = asking(bench)
    acts = acting(bench, "refund", plain.tried)
    first, expires = acts.index(True) if any(acts) else 0, bench.contract.refund_keys_expire
    if not first:
        expect(not expires, "a look-up before the request for a refund, since refund_keys_expire", "none")
        raise NotApplicable("refund looks nothing up")
    call = bench.refund_call(bench.paid(refund=bench.order().amount, refund_made=True))
    looked_up = bench.play(call)[0].answers[:first]
    if looked_up == plain.answers[:first]:
        expect(not expires, "an answer() to the look-up that shows the refund of a sale that is refund_made", "none")
        raise NotApplicable("no look-up shows a refund that was made")

    def shown_as(shown: str, **changes: Any) -> Outcome:
        def unasked(request: Request, honest: Callable[..., Response]) -> Response:
            # Before it is answered: the contract may say that the gateway never answers so.
            expect(not bench.asks(request, call.sale), f"no request for a refund after {shown}", "one")
            return honest()

        return bench.play(replace(call, sale=call.sale.but(**changes), fault=unasked, onward=True))[0]

    for status, word in bench.refund_statuses():
        with suppress(NotApplicable):
            shown = f"a look-up that shows it {status.value}{says(word)}"
            outcome = shown_as(shown, refund_status=status, refund_word=word)
            if status is not RefundStatus.FAILED or outcome.error is None:
                expect(refunded(outcome).status is status, f"a refund that is {status.value} after {shown}", outcome)
    shown = "a look-up that shows it in a word that nobody knows yet"
    unknown = shown_as(shown, refund_word=TOMORROW)
    ended = isinstance(unknown.result, Refund) and unknown.result.status is not RefundStatus.PENDING
    expect(not ended, f"an error, or a refund that is pending, after {shown}", unknown)
    _another_made(bench, call, looked_up)
    faults: dict[str, Answer] = {no: saying(no) for no in NOES}
    for at, (name, fault) in itertools.product(range(first), {**faults, "read": FAULTS["read"]}.items()):
        with suppress(NotApplicable):
            outcome = bench.play(replace(call, fault=fault, at=at))[0]
            if outcome.answers[at : at + 1] != plain.answers[at : at + 1]:
                _unasked(bench, outcome, f"look-up {at + 1} whose answer is {name!r}")


def _another_made(bench: Bench, call: Call, looked_up: list[bytes]) -> None:
    """Raises Mismatch where a refund that is not the one is taken for it, once it is looked up."""
    whole, number = call.sale.amount, bench.contract.refund_references[1]
    numbered = False
    for what, change in (
        ("number", {"refund_reference": number}),
        ("sum", {"refund": Money(whole.minor // 2, whole.currency)}),
    ):

        def another(request: Request, honest: Callable[..., Response], change: dict[str, Any] = change) -> Response:
            return honest(**({} if bench.asks(request, call.sale) else change))

        outcome = bench.play(replace(call, fault=another, onward=True))[0]
        if outcome.answers[: len(looked_up)] == looked_up:
            continue
        asked = bench.asked(outcome)
        numbered = numbered or what == "number"
        expected = (
            f"an error{', or a request for it,' * (what == 'number')} where a look-up shows one of another {what}"
        )
        expect(outcome.error or asked, expected, outcome)
        if numbered and what == "sum":
            _unasked(bench, outcome, "a look-up that shows it of another sum")


def _unasked(bench: Bench, outcome: Outcome, after: str) -> None:
    asked = [str(money) for _, money in bench.asked(outcome)]
    expect(not asked, f"no request for a refund after {after}", f"a request for {', '.join(asked)}")


@case(
    "refund.refused",
    "a refund that the gateway refuses ends as Refused",
    "The money is still with the shop, and it must be able to say so.",
    REFUND,
)
def _refused(bench: Bench) -> None:
    plain = asking(bench)
    for word in bench.words("refused"):
        with optional(word):
            call = bench.refund_call(fault=lambda _, honest, word=word: honest(no="refused", word=word))
            outcome = bench.play(replace(call, at=_asking_for_it(bench, plain)))[0]
            expect(isinstance(outcome.error, Refused), f"Refused{says(word)}", outcome)
    for word in bench.words("account"):
        with suppress(NotApplicable):
            call = bench.refund_call(fault=saying("account", word), at=_asking_for_it(bench, plain), onward=True)
            outcome = bench.play(call)[0]
            expect(isinstance(outcome.error, AccountRefused), f"AccountRefused{says(word or 'account')}", outcome)


def _asking_for_it(bench: Bench, plain: Outcome, hook: str = "refund") -> int:
    """Which request is the refund, or the close, itself: what is looked up first is answered."""
    acts = acting(bench, hook, plain.tried)
    return max((at for at, act in enumerate(acts) if act), default=len(acts) - 1)


@case(
    "refund.duplicate",
    "a refund's number that is taken, or a refund that was made already, is no refusal, and by itself no end of it",
    "It may be this very refund, whose answer was lost: called refused, the money goes back twice.",
    REFUND,
)
def _duplicate(bench: Bench) -> None:
    plain = asking(bench)
    amount = bench.order().amount
    for word in bench.words("duplicate"):
        with optional(word):
            sale = bench.paid(refund=amount)
            call = bench.refund_call(sale, fault=lambda _, honest, word=word: honest(no="duplicate", word=word))
            at = _asking_for_it(bench, plain)
            outcome = bench.play(replace(call, at=at))[0]
            bench.one_key(outcome, f"a number that is taken{says(word)}")
            # "Failed" frees the sum as much as "refused" does.
            ended = isinstance(outcome.result, Refund) and outcome.result.status is not RefundStatus.PENDING
            found = isinstance(outcome.result, Refund) and (not ended or len(outcome.tried) > at + 1)
            known = isinstance(outcome.error, OutcomeUnknown) or found
            expect(known, f"OutcomeUnknown, or the refund that is there{says(word)}", outcome)


@case(
    "refund.other",
    "an answer about another refund leaves the outcome unknown",
    "The refund that was asked for may have been made or not; the answer does not say.",
    REFUND,
)
def _other(bench: Bench) -> None:
    amount = bench.order().amount
    plain = asking(bench)
    _ = refunded(plain)
    less = Money(amount.minor - 1, amount.currency)
    for change in ({"refund_reference": bench.contract.refund_references[1]}, {"refund": less}):
        call = bench.refund_call(bench.paid(refund=amount))
        call.sale = call.sale.but(**change)
        if _same_answer(bench, call.sale, plain):
            continue
        outcome = bench.play(call)[0]
        expect(isinstance(outcome.error, OutcomeUnknown), f"OutcomeUnknown for an answer with {change}", outcome)


def _same_answer(bench: Bench, sale: Sale, plain: Outcome) -> bool:
    request = plain.requests[-1]
    honest = bench.answer(request, bench.paid(refund=bench.order().amount), "refund")
    return honest.content == bench.answer(request, sale, "refund").content


@case(
    "refund.unknown_status",
    "a refund whose word nobody knows yet, whatever that is made of, is neither done nor failed",
    "Read as done, the payer never has the money; read as failed, the shop pays it back twice.",
    REFUND,
)
def _unknown_status(bench: Bench) -> None:
    plain = asking(bench)
    amount = bench.order().amount
    outcome = bench.play(bench.refund_call(bench.paid(refund=amount, refund_word=TOMORROW)))[0]
    if outcome.answers == plain.answers:
        raise NotApplicable("the contract writes no refund_word")
    open_ = isinstance(outcome.result, Refund) and outcome.result.status is RefundStatus.PENDING
    unknown = isinstance(outcome.error, OutcomeUnknown) or (outcome.error is not None and not bench.asked(outcome))
    expect(open_ or unknown, "OutcomeUnknown, or a refund that is under way", outcome)
    done = bench.paid(refund=amount, refund_status=RefundStatus.REFUNDED)
    with suppress(NotApplicable):  # the gateway says it elsewhere alone
        said, other = (bench.refund(sale).answers for sale in (done, done.but(refund_word=TOMORROW)))
        for word in around(said, other, bench.contract.refund_words.get(RefundStatus.REFUNDED, ())):
            outcome = bench.refund(done.but(refund_word=word))
            back = isinstance(outcome.result, Refund) and outcome.result.status is RefundStatus.REFUNDED
            expect(not back, f"an error, or a refund that is not done{says(word)}", outcome)


@case(
    "refund.second",
    "a further part is paid back as that part, whatever has gone back before",
    "Its answer may state all that is back. Read as this part, it is unknown for ever, and somebody pays it once more.",
    REFUND,
)
def _second(bench: Bench) -> None:
    at = _asking_for_it(bench, asking(bench))
    amount = bench.order().amount
    part, before, behind = (Money(amount.minor // 4 * parts, amount.currency) for parts in (1, 2, 3))
    for status in (PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.PAID):
        sale = bench.paid(status=status, refund=part, refunded=before)
        call = bench.refund_call(sale, fault=lambda _, honest: honest(refunded=behind), at=at, onward=True)
        with suppress(NotApplicable):
            outcome = bench.play(call)[0]
            if not bench.asked(outcome):
                raise NotApplicable("no part is paid back after another")
            refund = refunded(outcome)
            expect(refund.amount in {None, part}, f"a refund of {part}", f"{outcome}, {refund.amount}")
            return
    raise NotApplicable("no part is paid back after another")


@case(
    "refund.time",
    "a refund is asked for at the time at which it was first asked for, where the hook names that time",
    "A gateway that knows a refund by number and time takes the clock's for another refund, and pays back twice.",
    REFUND,
)
def _time(bench: Bench) -> None:
    asking(bench)
    if "refund_created_at" not in bench.hooks["refund"]:
        raise NotApplicable("refund names no time of its own")

    def sent(at: datetime) -> set[tuple[str, bytes]]:
        call = bench.refund_call()
        call.arguments["refund_created_at"] = at
        outcome = bench.play(call)[0]
        expect(outcome.error is None, "refund to succeed", outcome)
        return fields_of(*(request for request in outcome.tried if bench.asks(request, call.sale)))

    one, other, again = (sent(at) for at in (bench.at, bench.at - timedelta(days=1, seconds=77), bench.at))
    told = (one & again) - other  # a nonce, or the clock, is another every time
    expect(told, "refund_created_at in the request for a refund, and not the clock", "the same one, whatever it is")


@case(
    "refund.order",
    "a refund is asked for of the order that it is about",
    "The money of one order must not go back for another: the answer would show it, when it is too late.",
    REFUND,
)
def _order(bench: Bench) -> None:
    bench.need("refund")
    names_order(bench, "refund")


def _named(request: Request, call: Call, *numbers: str) -> None:
    """Raises Mismatch where a request that can be read holds none of the numbers of its order, whole."""
    written = f"{request.url} {request.content.decode(errors='replace')}"
    sent = " ".join(unpacked(unquote_plus(written)))
    readable = call.hook == "close" or call.arguments["refund_reference"] in sent or not request.content
    told = any(re.search(rf"(?<![A-Za-z0-9]){re.escape(number)}(?![A-Za-z0-9])", sent) for number in numbers)
    if readable and not told and (call.hook == "refund" or any(number in sent for number in numbers)):
        raise Mismatch(f"the order's number in the request, {' or '.join(map(repr, numbers))}", "another, or none")


def names_order(bench: Bench, hook: str) -> None:
    """Raises Mismatch where the last request of ``hook`` is the same whichever order it is about."""
    one, two = (bench.order(), bench.contract.gateway_ids[0]), (bench.another(), bench.contract.gateway_ids[1])
    seen = []
    for order, number in (one, one, two):
        call = bench.refund_call() if hook == "refund" else bench.close_call()
        call.arguments |= {"reference": order.reference, "expect": order, "gateway_id": number}
        call.sale = call.sale.but(reference=order.reference, gateway_id=number)
        outcome = bench.play(call)[0]
        if not outcome.tried:
            raise NotApplicable(f"{hook} asks nobody")
        expect(outcome.error is None, f"{hook} to succeed", outcome)
        acts = acting(bench, hook, outcome.tried)
        acted = [request for request, act in zip(outcome.tried, acts, strict=True) if act] or outcome.tried[-1:]
        seen.append(fields_of(*acted))
        if outcome.tried[0] in acted:  # a look-up before it may tell of another number, such as a capture's
            _named(outcome.tried[0], call, order.reference, number)
    steady = seen[0] & seen[1]  # a nonce is another every time
    expect(not steady <= seen[2], "another request for another order", "the same one")


@case(
    "refund.status",
    "a refund is under way, done or failed as the gateway says",
    "Money that is said to be back and is not makes a customer angry; the reverse makes the shop pay twice.",
    REFUND,
)
def _status(bench: Bench) -> None:
    asking(bench)
    for status, word in bench.refund_statuses():
        with suppress(NotApplicable):
            sale = bench.paid(refund=bench.order().amount, refund_status=status, refund_word=word)
            outcome = bench.play(bench.refund_call(sale))[0]
            if status is RefundStatus.FAILED and isinstance(outcome.error, PayhubError):
                continue
            expect(refunded(outcome).status is status, f"a refund that is {status.value}{says(word)}", outcome)


@case(
    "close.accepted",
    "an order that the gateway closes is canceled",
    "The shop sells the goods to another only when nobody can pay the first order any more.",
    CLOSE,
)
def _closed(bench: Bench) -> None:
    outcome = bench.close()
    expect(outcome.payment.status is PaymentStatus.CANCELED, "a payment that is canceled", outcome)
    expect(outcome.tried, "a request to the gateway", f"{outcome} without any request")


@case(
    "close.order",
    "the order that is asked about is the one that is closed",
    "Its answer seldom names an order: another one is closed, and this one can still be paid.",
    CLOSE,
)
def _closes_order(bench: Bench) -> None:
    bench.need("close")
    names_order(bench, "close")


@case(
    "close.paid",
    "an order that turns out to be paid is not canceled",
    "The payer was faster: called canceled, the goods are sold to another and the money is kept.",
    CLOSE,
)
def _paid_meanwhile(bench: Bench) -> None:
    plain = bench.close()
    if not plain.tried:
        raise NotApplicable("close asks nobody")
    outcome = bench.close(bench.paid())
    if outcome.answers == plain.answers:
        raise NotApplicable("the answer to a close does not say where the order stands")
    canceled = outcome.error is None and outcome.payment.status is PaymentStatus.CANCELED
    expect(not canceled, "an error, or a payment that is paid", outcome)


@case(
    "close.refused",
    "an order that the gateway does not close ends as Refused",
    "It may be paid already; called closed, it is paid and never delivered.",
    CLOSE,
)
def _not_closed(bench: Bench) -> None:
    plain = bench.close()
    if not plain.tried:
        raise NotApplicable("close asks nobody")
    paid = {"status": PaymentStatus.PAID, "paid": bench.order().amount}

    def answered(no: str, word: str) -> Outcome:
        at = _asking_for_it(bench, plain, "close")
        return bench.close(fault=lambda _, honest: honest(no=no, word=word, **paid), at=at, onward=True)

    for word in bench.words("refused"):
        with optional(word):
            outcome = answered("refused", word)
            expect(isinstance(outcome.error, Refused), f"Refused{says(word)}", outcome)
    for word in bench.words("account"):
        with suppress(NotApplicable):
            outcome = answered("account", word)
            expect(isinstance(outcome.error, AccountRefused), f"AccountRefused{says(word or 'account')}", outcome)
    with suppress(NotApplicable):
        # Its page may be signed and not yet opened: whoever opens it can pay.
        outcome = bench.close(bench.sale(no="missing"))
        expect(outcome.error, "an error where the gateway does not know the order", outcome)
