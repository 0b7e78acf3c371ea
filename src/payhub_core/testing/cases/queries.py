"""Cases about query: what the gateway knows of an order."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from payhub_core.errors import AccountRefused, GatewayError, NotFound, WrongOrder
from payhub_core.models import PaymentStatus, RefundStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.notifies import STATED, confirmed, nothing_received, words_alike
from payhub_core.testing.messages import fields_of
from payhub_core.testing.outcome import Call, Outcome, expect, optional, says
from payhub_core.testing.sale import Sale
from payhub_core.testing.words import TOMORROW

GONE_BACK = {PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN}
PAGE = "hooks.md#query"


@case(
    "query.paid",
    "an order that the gateway reports as paid is paid",
    "A query is how an order whose message was lost is found.",
    PAGE,
)
def _paid(bench: Bench) -> None:
    for word in bench.words(PaymentStatus.PAID):
        with optional(word):
            outcome = bench.play(bench.query_call(bench.paid(word=word), bench.order()))[0]
            payment = outcome.payment
            expect(payment.status is PaymentStatus.PAID, f"a payment that is paid{says(word)}", outcome)
            expect(outcome.tried, "a request to the gateway", f"{outcome} without any request")
            expect(
                not payment.refunded, "a payment of which nothing has gone back", f"{outcome}, {payment.refunded} back"
            )


@case(
    "query.asks_for_nothing",
    "a query moves no money, and what it tells it has asked for",
    "Queries are sent by timers, again and again.",
    PAGE,
)
def _asks_for_nothing(bench: Bench) -> None:
    plain = bench.play(bench.query_call(bench.paid(), bench.order()))[0]
    expect(plain.tried or plain.error, "a request to the gateway, or an error where it cannot be asked", plain)
    _ = bench.query()
    for status in (PaymentStatus.PAID, PaymentStatus.AUTHORIZED, PaymentStatus.PENDING):
        with suppress(NotApplicable):
            outcome = bench.query(bench.paid(status=status))
            asked = bench.asked(Outcome(outcome.sale, requests=outcome.tried))
            expect(not asked, "no request for a payment", f"a request for {asked[0][1] if asked else ''}")


@case(
    "query.status",
    "an order that is not paid is what the gateway says of it",
    "Failed is for the payer to try again, pending to wait: mixed up, he pays twice or not at all.",
    PAGE,
)
def _status(bench: Bench) -> None:
    said = False
    for status, word in bench.statuses(*STATED):
        with suppress(NotApplicable):
            outcome = bench.query(bench.sale(status=status, word=word))
            said = True
            found = outcome.payment
            # Of an order that is young, a gateway may say "failed" and mean "not paid yet".
            claim = found.status is PaymentStatus.PENDING and found.claimed_status is PaymentStatus.FAILED is status
            right = found.status is status or claim or confirmed(bench, outcome, status)
            expect(right, f"a payment that is {status.value}{says(word)}", outcome)
            nothing_received(bench, outcome)
    if not said:
        raise NotApplicable("no answer about an order that is not paid")


@case(
    "query.refunded",
    "an order that was paid back is not reported as paid",
    "A refund made in the gateway's back office is seen by a query alone: goods would be shipped for nothing.",
    PAGE,
)
def _refunded(bench: Bench) -> None:
    bench.need("refund")
    outcome, told = None, None
    for status in (PaymentStatus.REFUNDED, PaymentStatus.REFUND_SUM_UNKNOWN):
        with suppress(NotApplicable):
            outcome = bench.query(bench.paid(status=status))
            told = outcome.payment
            break
    if told is None:
        _ = bench.query()
        raise Mismatch("an answer() that can say REFUNDED or REFUND_SUM_UNKNOWN, since the provider refunds", "none")
    expect(told.status in GONE_BACK or told.refunded, "a payment that is refunded", outcome)
    plain, whole = bench.query(), bench.order().amount
    in_full: list[bytes] = []
    with suppress(NotApplicable):
        in_full = bench.query(bench.paid(status=PaymentStatus.REFUNDED)).answers
    for status, word in bench.statuses(*GONE_BACK):
        with suppress(NotApplicable):
            part = status is PaymentStatus.PARTIALLY_REFUNDED
            back = Money(whole.minor // 4, whole.currency) if part else None
            outcome = bench.query(bench.paid(status=status, word=word, refunded=back))
            if outcome.answers == plain.answers:
                continue  # the gateway calls it paid
            found = outcome.payment
            gone = found.status in GONE_BACK or found.refunded
            expect(gone, f"a payment that is refunded, where the gateway says {word or status.value!r}", outcome)
            open_ = part or (status is PaymentStatus.REFUND_SUM_UNKNOWN and outcome.answers != in_full)
            all_of_it = open_ and found.status is PaymentStatus.REFUNDED
            expect(not all_of_it, f"{PaymentStatus.REFUND_SUM_UNKNOWN.value} where a part may be left", outcome)


@case(
    "query.refund_open",
    "a refund that is under way, or came to nothing, has not gone back",
    "The sum is counted as gone: the shop takes the goods back, and pays nothing back any more.",
    PAGE,
)
def _refund_open(bench: Bench) -> None:
    bench.need("refund")
    whole = bench.order().amount
    plain, played = bench.query(), False
    for status, word in bench.refund_statuses():
        if status is RefundStatus.REFUNDED:
            continue
        with suppress(NotApplicable):
            outcome = bench.query(bench.paid(refund=whole, refund_made=True, refund_status=status, refund_word=word))
            if outcome.answers == plain.answers:
                continue
            played = True
            found = outcome.payment
            kept = found.status not in GONE_BACK and not (found.refunded and found.refunded.minor)
            expect(kept, f"a payment that is paid, where a refund of it is {word or status.value!r}", outcome)
    if not played:
        raise NotApplicable("the answer lists no refunds")


@case(
    "query.refunded_sum",
    "of an order that was paid back in part, what has gone back is reported, and not what is left",
    "What is left, read as what has gone back, pays the rest back once more or never.",
    PAGE,
)
def _refunded_sum(bench: Bench) -> None:
    gone_back(bench, bench.query, lambda _, outcome: outcome.answers[-1:])


def gone_back(bench: Bench, play: Callable[[Sale], Outcome], said: Callable[[Sale, Outcome], object]) -> None:
    """Raises Mismatch where a part that has gone back is reported as another; NotApplicable where none is ``said``."""
    amount = bench.order().amount
    part = Money(amount.minor // 4, amount.currency)
    sales = [bench.paid(status=PaymentStatus.PARTIALLY_REFUNDED, refunded=sum_) for sum_ in (part, part + part + part)]
    outcomes = [play(sale) for sale in sales]
    if said(sales[0], outcomes[0]) == said(sales[1], outcomes[1]):
        raise NotApplicable("it is not said how much has gone back")
    for sale, outcome in zip(sales, outcomes, strict=True):
        found = outcome.payment
        unknown = found.status is PaymentStatus.REFUND_SUM_UNKNOWN
        part_of_it = found.status not in {PaymentStatus.REFUNDED, PaymentStatus.PAID}
        right = unknown or (found.refunded == sale.refunded and part_of_it)
        expect(right, f"{sale.refunded} that has gone back, and a part is left", f"{outcome}, {found.refunded} back")
        expect(found.paid in {None, amount}, f"{amount} received, whatever has gone back", outcome)


@case(
    "notify.refunded_sum",
    "of an order that was paid back in part, a message reports what has gone back, and not what is left",
    "Read as all of it, the goods are taken back; read as nothing, the rest is paid back once more.",
    "hooks.md#parse_callback",
)
def _told_back(bench: Bench) -> None:
    def said(sale: Sale, outcome: Outcome) -> object:
        return bench.notify(sale), outcome.answers[-1:]

    gone_back(bench, lambda sale: bench.hear(bench.notify(sale), sale), said)


@case(
    "notify.refunded",
    "a message that money went back is told as that, of the payment it came from, and as all of it only where it is",
    "A refund of the back office and a chargeback are told by a message: read as paid, what went back is sent for.",
    "hooks.md#parse_callback",
)
def _told_refunded(bench: Bench) -> None:
    def heard(sale: Sale) -> tuple[object, Outcome]:
        callback = bench.notify(sale)
        outcome = bench.hear(callback, sale)
        return (callback, outcome.answers[-1:]), outcome

    paid, _ = heard(bench.paid())
    in_full: object = None
    with suppress(NotApplicable):
        in_full, _ = heard(bench.paid(status=PaymentStatus.REFUNDED))
    quarter = Money(bench.order().amount.minor // 4, bench.order().amount.currency)
    written = False
    for status, word in bench.statuses(*GONE_BACK):
        part = status is PaymentStatus.PARTIALLY_REFUNDED
        sums: dict[str, Any] = {"refund": quarter, "refunded": quarter * 3} if part else {}
        with suppress(NotApplicable):
            sale = bench.paid(status=status, word=word, **sums)
            message, outcome = heard(sale)
            if message == paid:
                continue  # the gateway calls it paid
            written = True
            found = outcome.payment
            gone = found.status in GONE_BACK or found.refunded
            expect(gone, f"a payment that is refunded, where the gateway says {word or status.value!r}", outcome)
            open_ = part or (status is PaymentStatus.REFUND_SUM_UNKNOWN and message != in_full)
            all_of_it = open_ and found.status is PaymentStatus.REFUNDED
            expect(not all_of_it, f"{PaymentStatus.REFUND_SUM_UNKNOWN.value} where a part may be left", outcome)
            known = not part or found.refunded in {None, sale.refunded}
            back = f"no sum but that of all that went back, {sale.refunded}"
            expect(known, back, f"{outcome}, {found.refunded} back")
            number = f"the payment's own number {sale.gateway_id} or none, and not the refund's"
            expect(found.gateway_id in {None, sale.gateway_id}, number, outcome)
    if not written:
        raise NotApplicable("no message that money went back")


@case(
    "query.paid_sum",
    "the sum received is reported as the answer states it, less or more than the sum due",
    "An order whose message was lost is settled by a query: underpaid is not paid there either.",
    PAGE,
)
def _paid_sum(bench: Bench) -> None:
    amount, in_full = bench.order().amount, bench.query()
    for paid, status in (
        (Money(amount.minor // 2, amount.currency), PaymentStatus.PARTIALLY_PAID),
        (Money(amount.minor - 1, amount.currency), PaymentStatus.PARTIALLY_PAID),
        (Money(amount.minor + 100, amount.currency), PaymentStatus.PAID),
    ):
        outcome = bench.query(bench.paid(paid=paid))
        if outcome.answers[-1:] == in_full.answers[-1:]:
            raise NotApplicable("the answer does not state the sum received")
        payment = outcome.payment
        expect(payment.paid == paid and payment.status is status, f"{paid} received and {status.value}", outcome)


@case(
    "query.unknown_status",
    "a status that nobody knows yet says nothing, whatever it is made of",
    "A gateway adds words without asking. Read as paid they give goods away, read as failed they turn money away.",
    PAGE,
)
def _unknown_status(bench: Bench) -> None:
    outcome, plain = bench.query(bench.paid(word=TOMORROW)), bench.query()
    if outcome.answers == plain.answers:
        raise NotApplicable("the contract writes no word of tomorrow")
    pending = outcome.error is not None or outcome.payment.status is PaymentStatus.PENDING
    expect(pending, "an error, or a payment that is pending", outcome)
    words_alike(bench, bench.query, plain.answers, outcome.answers)


@case(
    "query.missing",
    "an order that the gateway does not know is NotFound",
    "Not found is what lets the shop send the order anew; it is no failed payment.",
    PAGE,
)
def _missing(bench: Bench) -> None:
    for word in bench.words("missing"):
        with optional(word):
            outcome = bench.query(bench.paid(no="missing", word=word))
            expect(isinstance(outcome.error, NotFound), f"NotFound{says(word)}", outcome)


@case(
    "query.refused",
    "a query that the gateway refuses for another reason is not NotFound",
    "A wrong key would make every paid order one that does not exist, and each would be asked about all the same.",
    PAGE,
)
def _refused(bench: Bench) -> None:
    for word in bench.words("duplicate"):
        with suppress(NotApplicable):
            outcome, missing = (
                bench.query(it) for it in (bench.paid(no="duplicate", word=word), bench.paid(no="missing"))
            )
            fine = outcome.answers == missing.answers or not isinstance(outcome.error, NotFound)
            expect(fine, f"another error than NotFound, where the gateway says {word or 'duplicate'!r}", outcome)
    played = False
    for sale in [bench.paid(no=no, word=word) for no in ("refused", "account") for word in bench.words(no)]:
        with suppress(NotApplicable):
            outcome = bench.query(sale)
            played = True
            said = f", where the gateway says {sale.word or sale.no!r}"
            if sale.no == "account":
                expect(isinstance(outcome.error, AccountRefused), f"AccountRefused{said}", outcome)
            fine = isinstance(outcome.error, GatewayError) and not isinstance(outcome.error, NotFound)
            expect(fine, f"a GatewayError other than NotFound{said}", outcome)
    if not played:
        raise NotApplicable("the gateway refuses no query")


@case(
    "query.unknown_no",
    "a no in a word that nobody knows yet is not NotFound",
    "Not found lets the shop send the order anew: said of a fault of the gateway's, a paid order is paid twice.",
    PAGE,
)
def _unknown_no(bench: Bench) -> None:
    known = bench.query(bench.paid(no="missing"))
    sale = bench.paid(no="missing", word=TOMORROW)
    outcome = bench.query(sale)
    if outcome.answers == known.answers:
        raise NotApplicable("the contract writes no word of tomorrow for a no")
    others = []
    for one in (sale, bench.paid(no="refused"), bench.paid(no="account")):
        with suppress(NotApplicable):
            others.append(bench.answer(outcome.requests[-1], one, "query").is_success)
    if not others[0] or not any(others[1:]):
        raise NotApplicable("the gateway says no by its HTTP status")
    expect(not isinstance(outcome.error, NotFound), "a GatewayError other than NotFound", outcome)


@case(
    "query.by_reference",
    "an order whose number at the gateway, or whose time, is not known is looked up by the shop's, or stays open",
    "After a lost answer the shop knows no other number. Not found lets it send the order anew, when it is there.",
    PAGE,
)
def _by_reference(bench: Bench) -> None:
    asks = bench.play(bench.query_call(bench.paid(), bench.order()))[0].tried
    for name in ("gateway_id", "created_at") if asks else ("gateway_id",):
        call = bench.query_call(bench.paid(), bench.order())
        call.arguments[name] = None
        outcome = bench.play(call)[0]
        open_still = isinstance(outcome.error, GatewayError) and not isinstance(outcome.error, NotFound)
        found = outcome.error is None and outcome.payment.status is PaymentStatus.PAID
        expect(found or open_still, f"the payment without a {name}, or a GatewayError other than NotFound", outcome)
        asked = [request for request in outcome.tried if "None" in str(request.url) or b"None" in request.content]
        expect(not asked, "no request about an order 'None'", f"{len(asked)} of them")
        for other in (bench.another().reference, f"{bench.order().reference}1") if found else ():
            again = bench.play(replace(call, sale=call.sale.but(reference=other)))[0]
            same = again.answers == outcome.answers
            expect(again.error or same, f"an error where what is found is of the order {other!r}", again)


@case(
    "query.created_at",
    "where create sends the order's time, a query, a refund and a close send it as create wrote it",
    "The gateway looks the order up by it: a clock in another zone, or of this moment, finds a paid order nowhere.",
    PAGE,
)
def _created_at(bench: Bench) -> None:
    if "created_at" not in bench.hooks["create_payment"]:
        raise NotApplicable("create sends no time of the order")
    made = _times(bench, bench.create_call())
    calls = [bench.query_call(bench.paid(), bench.order())]
    calls += [bench.refund_call()] if "refund" in bench.hooks else []
    calls += [bench.close_call()] if "close" in bench.hooks else []
    told = {call.hook: _times(bench, call) for call in calls if "created_at" in bench.hooks[call.hook]}
    if not any(told.values()):
        raise NotApplicable("nothing but create sends the order's time")
    shapes = {_shape(text) for text in made}
    for hook, times in told.items():
        # What is written otherwise may be another time, such as the day from which is searched.
        strange = {text for text in times if not made or _shape(text) in shapes} - made
        came = f"{', '.join(sorted(strange))}, and of create {', '.join(sorted(made)) or 'none'}"
        expect(not strange or times & made, f"the order's time in a request of {hook}, as create wrote it", came)


def _times(bench: Bench, call: Call) -> set[str]:
    """What is otherwise in a call's requests where the order was sent at another time."""
    seen = []
    for passed in (timedelta(), timedelta(), timedelta(days=1, seconds=77)):
        at = bench.created_at - passed
        told = replace(call, arguments={**call.arguments, "created_at": at}, sale=call.sale.but(created_at=at))
        outcome = bench.play(told)[0]
        seen.append(fields_of(*(bench.sent(outcome) if call.hook == "create_payment" else outcome.tried)))
    steady = seen[0] & seen[1]  # a nonce is another every time
    found = {value.decode("latin-1") for name, value in steady - seen[2] if name and not name.startswith("header ")}
    return {text for text in found if not _SIGNATURE.fullmatch(text)}


#: What is otherwise as well, since it is made of the time among the rest.
_SIGNATURE = re.compile("[0-9A-Za-z+/=]{32,}")


def _shape(text: str) -> str:
    return re.sub("[0-9]", "0", text)


@case(
    "query.wrong_amount",
    "an answer about a smaller sum never pays the order",
    "An order number that was used twice, or an answer that was swapped, must not deliver goods.",
    PAGE,
)
def _wrong_amount(bench: Bench) -> None:
    amount = bench.order().amount
    less = Money(max(1, amount.minor // 100), amount.currency)
    outcome = bench.query(bench.paid(amount=less, paid=less))
    harmless = outcome.error is not None or outcome.payment.status is not PaymentStatus.PAID
    expect(harmless, f"WrongAmount, or a payment of {less} that is not paid in full", outcome)


@case(
    "query.number",
    "an answer about another payment than the one that was asked for is no answer",
    "An order may have several payments; one of them that is paid says nothing about another.",
    PAGE,
)
def _number(bench: Bench) -> None:
    if "gateway_id" not in bench.hooks["query"]:
        raise NotApplicable("the provider looks up by the order's number")
    outcome = bench.query(bench.paid(gateway_id=bench.contract.gateway_ids[1]))
    told = isinstance(outcome.error, WrongOrder | GatewayError)
    expect(told, "WrongOrder, or GatewayError where the provider compares the numbers itself", outcome)


@case(
    "query.agrees",
    "query and notify call a payment by the same number",
    "Two numbers look like two payments, and one of them like money to be returned.",
    PAGE,
)
def _agrees(bench: Bench) -> None:
    outcomes = {
        "create": bench.create(),
        "notify": bench.hear(bench.notify(bench.paid())),
        "query": bench.query(),
    }
    numbers = {hook: outcome.payment.gateway_id for hook, outcome in outcomes.items()}
    stated = {number for number in numbers.values() if number is not None}
    if not stated:
        raise NotApplicable("the gateway has no number of its own")
    expect(len(stated) == 1, "one number for one payment", numbers)
    number = bench.contract.gateway_ids[1]
    created = bench.create(sale=bench.sale(gateway_id=number))
    if "gateway_id" in bench.hooks["query"] and any(number.encode() in answer for answer in created.answers):
        told = created.payment.gateway_id
        expect(told == number, f"the gateway's number {number} of create, by which a query looks up", told)
