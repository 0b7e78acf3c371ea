"""Cases about notifies: which are believed, and what they then say."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from payhub_core.errors import CallbackError, InvalidOrder, PayhubError, WrongAmount, WrongOrder
from payhub_core.models import Callback, Order, PaymentStatus, Reply
from payhub_core.money import Money
from payhub_core.testing.bench import Bench, Message
from payhub_core.testing.case import NotApplicable, case
from payhub_core.testing.meaning import meaning
from payhub_core.testing.messages import Part, differing
from payhub_core.testing.outcome import Outcome, expect, optional, says
from payhub_core.testing.sale import Sale
from payhub_core.testing.words import TOMORROW, around

PAGE = "hooks.md#parse_callback"
FORM = "application/x-www-form-urlencoded"
#: Statuses that a message may state beside paid.
STATED = (
    PaymentStatus.PENDING,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.FAILED,
    PaymentStatus.EXPIRED,
    PaymentStatus.CANCELED,
    PaymentStatus.REFUNDED,
)


def refused(outcome: Outcome, message: str) -> None:
    """Raises Mismatch unless the message was refused as no callback of the account's."""
    expect(isinstance(outcome.error, CallbackError), f"a CallbackError for {message}", outcome)


def refused_or_same(
    bench: Bench, callback: Callback, said: dict[str, object], message: str, sale: Sale | None = None
) -> None:
    """Raises Mismatch where an altered message, of ``sale``, is taken for something else than the genuine one."""
    outcome = bench.hear(callback, sale)
    same = outcome.error is None and meaning(outcome) == said
    # What is not signed is asked for, and an answer about something else is no answer.
    believed_by_asking = outcome.requests and isinstance(outcome.error, PayhubError)
    expect(
        same or believed_by_asking or isinstance(outcome.error, CallbackError),
        f"a CallbackError for {message}, or the meaning of the genuine message",
        outcome,
    )
    if isinstance(outcome.error, WrongOrder | WrongAmount):
        # Refused for this order's sake alone: for another one, whose payer altered it, it is believed.
        elsewhere = bench.play(bench.hear_call(callback, sale, expected=None))[0]
        believed = elsewhere.error is None and not elsewhere.requests and meaning(elsewhere) != {**said, "bound": False}
        expect(not believed, f"a CallbackError for {message}, whichever order is expected", elsewhere)


def genuine(bench: Bench) -> tuple[Callback, Outcome]:
    """A genuine notify of an order paid in full, and what was made of it."""
    callback = bench.notify(bench.paid())
    return callback, bench.hear(callback)


def signed(bench: Bench, told: Message | None = None) -> bool:
    """Whether a message, the notify where no other is given, depends on the account's keys."""
    return bool(carriers(bench, told or bench.payment_told()))


def carriers(bench: Bench, told: Message) -> list[Part]:
    """The parts that carry a message's signature."""
    return differing(told.genuine, told.write(bench.foreign(told.sale)))


def confirmed(bench: Bench, outcome: Outcome, status: PaymentStatus) -> bool:
    """Whether a payment that waited for its confirmation was confirmed, and so is paid."""
    waited = status is PaymentStatus.AUTHORIZED and outcome.payment.status is PaymentStatus.PAID
    return waited and bench.confirmed(outcome)


def nothing_received(bench: Bench, outcome: Outcome) -> None:
    """Raises Mismatch where a sum was received of an order that nobody has paid."""
    payment = outcome.payment
    if not bench.confirmed(outcome) and payment.status not in {PaymentStatus.PAID, PaymentStatus.REFUNDED}:
        expect(not payment.paid, f"no sum received, since the order is {payment.status.value}", outcome)


@case(
    "notify.genuine",
    "a genuine message is accepted, and says that the order is paid",
    "An order whose message is refused is paid and never delivered.",
    PAGE,
)
def _genuine(bench: Bench) -> None:
    order = bench.order()
    for word in bench.words(PaymentStatus.PAID):
        with optional(word):
            sale = bench.paid(word=word)
            payment = (outcome := bench.hear(bench.notify(sale), sale)).payment
            paid = payment.status is PaymentStatus.PAID
            expect(paid, f"a payment of {order.reference!r} that is paid{says(word)}", outcome)
            expect(payment.reference == order.reference, f"a payment of {order.reference!r}", outcome)
            expect(
                not payment.refunded, "a payment of which nothing has gone back", f"{outcome}, {payment.refunded} back"
            )


@case(
    "notify.acknowledged",
    "the reply is the acknowledgement that the gateway wants, byte for byte, and no declared refusal is",
    "A gateway that is not answered in its own words sends again and again; one that is hears of no refusal.",
    PAGE,
)
def _acknowledged(bench: Bench) -> None:
    for order in (bench.order(), bench.another()):
        sale = bench.paid(order)
        outcome = bench.hear(bench.notify(sale), sale, order)
        _ = outcome.payment
        acknowledged(bench, outcome, order)
    for status in STATED:
        sale = bench.sale(status=status)
        with suppress(NotApplicable):
            acknowledged(bench, bench.hear(bench.notify(sale), sale), bench.order())
    info = bench.info
    declared = {"refused": info.refused, "retry": info.retry}
    declared |= {f"refusals, for {kind.__name__}": reply for kind, reply in info.refusals.items()}
    # Where no body is wanted, the status alone counts.
    wanted = re.escape(wanted_reply(bench).body).replace(re.escape(b"{reference}"), b".*") or b".*"
    for name, reply in declared.items():
        same = re.fullmatch(wanted, reply.body, re.DOTALL) and reply.status_code in range(200, 300)
        expect(not same, f"another answer than the acknowledgement in info.{name}", repr(reply.body))


def wanted_reply(bench: Bench) -> Reply:
    """The acknowledgement that the contract says, whatever the order is."""
    said = bench.contract.acknowledged
    return said if isinstance(said, Reply) else Reply(said)


def acknowledged(bench: Bench, outcome: Outcome, order: Order) -> None:
    """Raises Mismatch unless the reply to a message about ``order`` is the gateway's own."""
    expect(outcome.error is None, "a message to be acknowledged", outcome)
    _as_wanted(bench, outcome.result.reply, order)


def _as_wanted(bench: Bench, reply: Reply, order: Order, to: str = "") -> None:
    """Raises Mismatch unless ``reply`` is the acknowledgement; a contract that says a whole Reply has all compared."""
    wanted = wanted_reply(bench)
    body = wanted.body.replace(b"{reference}", order.reference.encode())
    expect(reply.body == body, f"a reply of {body!r}{to}", repr(reply.body))
    if wanted is bench.contract.acknowledged:
        one, two = (f"{it.content_type}, HTTP {it.status_code}" for it in (wanted, reply))
        expect(one == two, f"a reply of {one}{to}", two)
    expect(reply.status_code in range(200, 300), f"a reply of HTTP 2xx{to}", reply.status_code)


@case(
    "notify.wrong_order",
    "a message about another order is WrongOrder",
    "A payer who paid a small order must not have a large one delivered for it.",
    PAGE,
)
def _wrong_order(bench: Bench) -> None:
    outcome = bench.hear(bench.notify(bench.paid()), bench.paid(), bench.another())
    expect(isinstance(outcome.error, WrongOrder), "WrongOrder", outcome)


@case(
    "notify.wrong_amount",
    "a message about a smaller sum never pays the order, and one that says paid says how much",
    "The gateway's signature says that the message is genuine, not that it is about the sum you asked for.",
    PAGE,
)
def _wrong_amount(bench: Bench) -> None:
    order = bench.order()
    heard = bench.play(bench.hear_call(bench.notify(bench.paid()), expected=None))[0].payment
    expect(heard.amount or heard.paid, "a sum due or a sum received in a payment that is paid", "neither")
    less = Money(max(1, order.amount.minor // 100), order.amount.currency)
    outcome = bench.hear(bench.notify(bench.paid(amount=less, paid=less)), bench.paid(amount=less, paid=less))
    harmless = outcome.error is not None or outcome.payment.status is not PaymentStatus.PAID
    expect(harmless, f"WrongAmount, or a payment of {less} that is not paid in full", outcome)


@case(
    "notify.wrong_currency",
    "a message in another currency never pays the order",
    "10,000 yen are not 10,000 yuan.",
    PAGE,
)
def _wrong_currency(bench: Bench) -> None:
    amount = bench.order().amount
    written = False
    for currency in sorted({*bench.info.currencies, "USD", "EUR"} - {amount.currency}):
        for foreign in _looks_like(amount, currency):
            with suppress(NotApplicable):
                sale = bench.paid(amount=foreign, paid=foreign)
                callback = bench.notify(sale)
                if callback != bench.notify(bench.paid()):
                    written = True
                    outcome = bench.hear(callback, sale)
                    expect(outcome.error is not None, f"an error for a message about {foreign}", outcome)
    if not written:
        raise NotApplicable("the message names no currency")


def _looks_like(amount: Money, currency: str) -> Iterator[Money]:
    """Sums of another currency that are the same number, in minor or in major units."""
    yield Money(amount.minor, currency)
    with suppress(InvalidOrder):
        yield Money.of(amount.amount, currency)


@case(
    "notify.paid_sum",
    "the sum received is reported as the message states it, less or more than the sum due",
    "Underpaid is not paid, and overpaid is for the shop to see.",
    PAGE,
)
def _paid_sum(bench: Bench) -> None:
    amount = bench.order().amount
    for paid, status in (
        (Money(amount.minor // 2, amount.currency), PaymentStatus.PARTIALLY_PAID),
        (Money(amount.minor - 1, amount.currency), PaymentStatus.PARTIALLY_PAID),
        (Money(amount.minor + 100, amount.currency), PaymentStatus.PAID),
    ):
        sale = bench.paid(paid=paid)
        callback = bench.notify(sale)
        outcome, in_full = bench.hear(callback, sale), genuine(bench)
        if (callback, outcome.answers[-1:]) == (in_full[0], in_full[1].answers[-1:]):
            raise NotApplicable("neither message nor answer states the sum received")
        payment = outcome.payment
        expect(payment.paid == paid and payment.status is status, f"{paid} received and {status.value}", outcome)


@case(
    "notify.status",
    "a message says of an order that is not paid what the gateway says of it",
    "Failed is for the payer to try again, pending to wait: mixed up, he pays twice or not at all.",
    PAGE,
)
def _status(bench: Bench) -> None:
    said = False
    for status, word in bench.statuses(*STATED):
        sale = bench.sale(status=status, word=word)
        with suppress(NotApplicable):
            outcome = bench.hear(bench.notify(sale), sale)
            said = True
            right = outcome.payment.status is status or confirmed(bench, outcome, status)
            expect(right, f"a payment that is {status.value}{says(word)}", outcome)
            nothing_received(bench, outcome)
    if not said:
        raise NotApplicable("no message about an order that is not paid")


@case(
    "notify.others",
    "a genuine message that is about no payment is acknowledged, and ends none",
    "A message about a dispute says 'success' as well; refused, it makes the gateway switch the address off.",
    "writing-a-provider.md#kinds-of-gateways",
)
def _others(bench: Bench) -> None:
    others = bench.contract.others(bench.paid())
    if not others:
        raise NotApplicable("the contract has no others()")
    for number, callback in enumerate(others, 1):
        outcome = bench.hear(callback)
        expect(outcome.error is None, f"message {number} of others() to be acknowledged", outcome)
        if b"{reference}" not in wanted_reply(bench).body:
            _as_wanted(bench, outcome.result.reply, bench.order(), f" to message {number} of others()")
        payment = outcome.result.payment
        ended = payment is not None and (payment.status is not PaymentStatus.PENDING or payment.paid)
        expect(not ended, f"no payment out of message {number} of others(), or one that is pending", outcome)
        status = outcome.result.reply.status_code
        expect(status in range(200, 300), "a reply of HTTP 2xx", status)


@case(
    "notify.unknown_status",
    "a status that nobody knows yet says nothing, whatever it is made of: it is pending, about no payment, or refused",
    "A gateway adds words without asking. Read as paid they give goods away, read as failed they turn money away.",
    PAGE,
)
def _unknown_status(bench: Bench) -> None:
    sale = bench.paid(word=TOMORROW)
    outcome = bench.hear(bench.notify(sale), sale)
    plain = bench.hear(bench.notify(bench.paid()))
    if bench.notify(sale) == bench.notify(bench.paid()) and outcome.answers == plain.answers:
        raise NotApplicable("the contract writes no word of tomorrow")
    pending = _says_nothing(outcome) or outcome.payment.status is PaymentStatus.PENDING
    expect(pending, "an error, a payment that is pending, or none", outcome)

    def told(sale: Sale, outcome: Outcome) -> list[bytes]:
        callback = bench.notify(sale)
        return [callback.query, callback.body, *outcome.answers]

    words_alike(
        bench, lambda sale: bench.hear(bench.notify(sale), sale), told(bench.paid(), plain), told(sale, outcome)
    )


def words_alike(
    bench: Bench, play: Callable[[Sale], Outcome], plain: Iterable[bytes], unknown: Iterable[bytes]
) -> None:
    """Raises Mismatch where a word that holds one for paid, such as "unpaid", is taken for it."""
    for word in around(plain, unknown, bench.words(PaymentStatus.PAID)):
        with suppress(NotApplicable):
            outcome = play(bench.paid(word=word))
            unpaid = _says_nothing(outcome) or outcome.payment.status is not PaymentStatus.PAID
            expect(unpaid, f"an error, or a payment that is not paid{says(word)}", outcome)


def _says_nothing(outcome: Outcome) -> bool:
    """Whether it is an error, or a notification about no payment, as of an event that nobody knows yet."""
    return outcome.error is not None or getattr(outcome.result, "payment", outcome.result) is None


@case(
    "notify.two_payments",
    "each message carries the gateway's own number of its payment",
    "A payer who pays one order twice is owed one payment; only the two numbers show it.",
    PAGE,
)
def _two_payments(bench: Bench) -> None:
    one, two = bench.paid(), bench.paid(gateway_id=bench.contract.gateway_ids[1])
    if bench.notify(one) == bench.notify(two):
        raise NotApplicable("the message does not carry the gateway's number")
    signing = {part.name for part in carriers(bench, bench.payment_told())}
    covered = signing & {part.name for part in differing(bench.notify(one), bench.notify(two))}
    for sale in (one, two):
        outcome = bench.hear(bench.notify(sale), sale)
        found = outcome.payment.gateway_id
        if signing and not covered and found is None:
            raise NotApplicable("no signature covers the gateway's number")
        expect(found == sale.gateway_id, f"the gateway's number {sale.gateway_id}", f"{outcome}, with {found}")


@case(
    "notify.headers",
    "the names of headers are read in any case of letters",
    "HTTP/2 and many proxies send them in lower case: then every message is refused.",
    PAGE,
)
def _headers(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    said = meaning(accepted)
    for change in (str.lower, str.upper, str.title):
        headers = {change(name): value for name, value in callback.headers.items()}
        outcome = bench.hear(replace(callback, headers=headers))
        same = outcome.error is None and meaning(outcome) == said
        expect(same, f"the genuine message with headers named as in {change('x-header')!r} to be accepted", outcome)


@case(
    "notify.repeated",
    "a message that comes again means the same again",
    "Gateways send until they are acknowledged. Whether it is new is for the ledger to say, not for the provider.",
    PAGE,
)
def _repeated(bench: Bench) -> None:
    callback = bench.notify(bench.paid())
    heard = bench.play(*[bench.hear_call(callback) for _ in range(3)])
    for outcome in heard:
        same = outcome.error is None and meaning(outcome) == meaning(heard[0])
        expect(same, "the same notification for the same message", outcome)


@case(
    "notify.sequence",
    "each message means what it says, in whatever order messages come",
    "They do come late and out of order. A provider that remembers contradicts the ledger, which knows better.",
    PAGE,
)
def _sequence(bench: Bench) -> None:
    calls = [bench.hear_call(bench.notify(bench.paid()))]
    alone = [meaning(bench.play(calls[0], fresh=True)[0])]
    for status in (PaymentStatus.PENDING, PaymentStatus.FAILED):
        with suppress(NotApplicable):
            sale = bench.sale(status=status)
            call = bench.hear_call(bench.notify(sale), sale)
            alone.append(meaning(bench.play(call, fresh=True)[0]))
            calls.append(call)
    for turn in itertools.permutations(range(len(calls))):
        heard = bench.play(*[calls[n] for n in turn])
        for n, outcome in zip(turn, heard, strict=True):
            expect(meaning(outcome) == alone[n], "the message to mean what it means alone", outcome)


@case(
    "notify.time",
    "the time of a payment is the one that the message states",
    "By it an old message about a number that was used before is known. A clock read in another zone is hours away.",
    PAGE,
)
def _time(bench: Bench) -> None:
    sale = bench.paid()
    earlier = sale.but(at=sale.at - timedelta(seconds=77))
    stated = _right_times(bench, "notify", lambda one: bench.hear(bench.notify(one), one), sale, earlier)
    with suppress(NotApplicable):
        stated = _right_times(bench, "query", bench.query, sale, earlier) or stated
    if not stated:
        raise NotApplicable("no time of payment, or the contract always writes the same one")


def _right_times(bench: Bench, hook: str, play: Callable[[Sale], Outcome], *sales: Sale) -> bool:
    """Whether a time of payment is stated; raises Mismatch where it is read wrong."""
    if hook in bench.without:
        return False
    outcomes = [play(one) for one in sales]
    times = [outcome.payment.paid_at for outcome in outcomes]
    if times[0] == times[1]:
        return False
    # Some gateways write whole minutes.
    minutes = all(found is not None and not found.second for found in times)
    exact = timedelta(minutes=1) if minutes else timedelta(seconds=1)
    for one, outcome, found in zip(sales, outcomes, times, strict=True):
        right = found is not None and abs(found - one.at) < exact
        expect(right, f"paid at {one.at}, in a {hook}", f"{outcome}, at {found}")
    return True


@case(
    "notify.late",
    "a message older than the tolerance is refused; without one, a late message is accepted",
    "A signed time bounds for how long a stolen message can be sent again. Where there is none, resends are late.",
    PAGE,
)
def _late(bench: Bench) -> None:
    tolerance = bench.contract.tolerance
    sale = bench.paid()
    if tolerance is None:
        late = sale.but(at=sale.at - timedelta(days=3))
        outcome = bench.hear(bench.notify(late), late)
        expect(outcome.error is None, "a message of three days ago to be accepted", outcome)
        return
    for at, when in ((sale.at - 1.5 * tolerance, "ago"), (sale.at + 1.5 * tolerance, "ahead")):
        refused(bench.hear(bench.notify(sale.but(at=at))), f"a message whose time is {1.5 * tolerance} {when}")
    outcome = bench.hear(bench.notify(sale.but(at=sale.at - tolerance / 2)))
    expect(outcome.error is None, f"a message of {tolerance / 2} ago to be accepted", outcome)
