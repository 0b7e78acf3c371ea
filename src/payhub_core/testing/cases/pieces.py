"""Cases about the pieces of a notify: what is put beside them, what comes twice, how they are cut."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote_plus, urlencode

from payhub_core.errors import CallbackError, GatewayError
from payhub_core.models import Callback, PaymentStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import NotApplicable, case
from payhub_core.testing.cases.notifies import PAGE, genuine, refused_or_same, signed
from payhub_core.testing.cases.texts import MARK
from payhub_core.testing.faults import ELSEWHERE
from payhub_core.testing.meaning import meaning
from payhub_core.testing.messages import (
    Part,
    differing,
    enclosed,
    leaves,
    listed,
    parts,
    texts,
    with_fields,
    with_fields_within,
    with_values,
    written_anew,
)
from payhub_core.testing.outcome import Outcome, expect


@case(
    "notify.beside",
    "what stands beside an envelope, under the name of a field inside it, changes nothing",
    "The signature covers the envelope alone: anyone writes 'paid' beside it.",
    PAGE,
)
def _beside(bench: Bench) -> None:
    sale = bench.paid()
    callback = bench.notify(sale)
    inside = enclosed(callback.body) | enclosed(callback.query)
    if not inside or not signed(bench):
        raise NotApplicable("the message has no envelope that can be read, or is not signed")
    amount = bench.order().amount
    less = Money(max(1, amount.minor // 2), amount.currency)
    for change in (
        {"status": PaymentStatus.PENDING, "paid": None},
        {"status": PaymentStatus.FAILED, "paid": None},
        {"amount": less, "paid": less},
    ):
        with suppress(NotApplicable):
            other = bench.notify(sale.but(**change))
            said = meaning(bench.play(bench.hear_call(other, expected=None))[0])
            outcome = bench.play(bench.hear_call(with_fields(other, inside), expected=None))[0]
            fine = isinstance(outcome.error, CallbackError) or meaning(outcome) == said
            expect(fine, f"a CallbackError, or the same payment, with {', '.join(inside)} beside the envelope", outcome)


def _elsewhere(bench: Bench) -> dict[str, str]:
    """The fields that some of the gateway's messages have, with what they say there."""
    whole = bench.order().amount
    half = Money(whole.minor // 2, whole.currency)
    found: dict[str, str] = {}
    for change in (
        {"status": PaymentStatus.PARTIALLY_PAID, "paid": half},
        {"status": PaymentStatus.PARTIALLY_REFUNDED, "refunded": half},
        {"status": PaymentStatus.REFUNDED, "refunded": whole},
        {"status": PaymentStatus.REFUNDED},
    ):
        with suppress(NotApplicable):
            for part in parts(bench.notify(bench.paid(**change))):
                where, _, name = part.name.rpartition(" ")
                if where != "header":
                    found[name] = unquote_plus(part.value.decode("utf-8", "replace")).strip('"')
    return found


def _shown(fields: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in sorted(fields.items())[:20])


def _queries(bench: Bench, elsewhere: Mapping[str, str]) -> Iterator[bytes]:
    """The fields of other messages as a query, which nobody signs: paid, of a smaller sum, and all the rest."""
    amount = bench.order().amount
    less = Money(max(1, amount.minor // 2), amount.currency)
    for sale in (bench.paid(), bench.paid(amount=less, paid=less)):
        body = [part for part in parts(bench.notify(sale)) if part.name.startswith("body ")]
        pairs = [part.name.removeprefix("body ").encode() + b"=" + part.value.strip(b'"') for part in body]
        yield b"&".join([*pairs, *(name.encode() + b"=paid" for name in STANDING)])
    yield urlencode(elsewhere).encode()


#: What gateways call where a payment stands, and what they write for paid.
STANDING = ("status", "state", "paid", "result", "trade_status", "pay_status", "payment_status", "order_status", "code")
PAID_WORDS = ("paid", "PAID", "success", "SUCCESS", "TRADE_SUCCESS", "completed", "1", "true")
#: What they call an order's number, and where more is said.
ORDERS = ("reference", "order", "order_id", "orderId", "order_no", "out_trade_no")
ADDRESSES = ("url", "href", "link", "resource", "resource_url", "self")


@case(
    "notify.added",
    "what a message says in further fields, which nobody signed, changes neither its meaning nor who is asked about it",
    "Where the signature covers some fields and not all, or none, anyone adds one that says paid, or failed.",
    PAGE,
)
def _added(bench: Bench) -> None:
    accepted = genuine(bench)[1]
    if not signed(bench) and not accepted.tried:
        raise NotApplicable("the callback is not signed")
    names, words = {*STANDING}, [*PAID_WORDS, "failed"]
    sale, elsewhere = bench.paid(), [_elsewhere(bench), *_of_answers(bench, accepted)]
    for change in ({}, {"status": PaymentStatus.PENDING, "paid": None}, {"status": PaymentStatus.FAILED, "paid": None}):
        with suppress(NotApplicable):
            told = sale.but(**change)
            callback = bench.notify(told)
            said = meaning(bench.play(bench.hear_call(callback, told, expected=None))[0])
            present = {part.name.rpartition(" ")[2] for part in parts(callback)}
            for query in _queries(bench, elsewhere[0]) if callback.body and not callback.query else ():
                outcome = bench.play(bench.hear_call(replace(callback, query=query), told, expected=None))[0]
                _the_same(outcome, said, "another message's fields in the query")
            for added in (*(dict.fromkeys(names - present, word) for word in words), *elsewhere):
                more = {name: value for name, value in added.items() if name not in present}
                outcome = bench.play(bench.hear_call(with_fields(callback, more), told, expected=None))[0]
                _the_same(outcome, said, _shown(more))
            for name, within in with_fields_within(callback, _of_another(bench)):
                outcome = bench.play(bench.hear_call(within, told, expected=None))[0]
                _the_same(outcome, said, f"another order's fields inside {name}")
            for spelt in _spelled_otherwise(bench):
                more = {name: value for name, value in spelt.items() if name not in present}
                outcome = bench.play(bench.hear_call(with_fields(callback, more), told, expected=None))[0]
                _the_same(outcome, said, _shown(more))


def _another(bench: Bench) -> Callback:
    """A message about another order, another sum and another text that the shop attached."""
    less = Money(max(1, bench.order().amount.minor // 2), bench.order().amount.currency)
    other = bench.paid(bench.another(), amount=less, paid=less, gateway_id=bench.contract.gateway_ids[1])
    return bench.notify(other.but(attach=f"{other.attach}0") if bench.info.attach else other)


def _of_another(bench: Bench) -> dict[str, object]:
    """The fields of a message about another order, wherever they stand, by their names and by these spelt otherwise."""
    found = dict(leaves(_another(bench).body))
    return {other: value for name, value in found.items() for other in (name, *_spelt(name))} | found


def _spelled_otherwise(bench: Bench) -> Iterator[dict[str, str]]:
    """Each text of a message about another order, under names that a gateway may have had before: some send both."""
    other = _another(bench)
    for name, text in texts(other.query, other.body).items():
        yield dict.fromkeys(_spelt(name), text)


def _spelt(name: str) -> set[str]:
    """``InvId`` as ``inv_id``, ``invid``, ``INVID`` and ``invId``; ``inv_id`` as ``InvId``."""
    words = [word for word in re.split(r"[_.-]|(?<=[a-z0-9])(?=[A-Z])", name.partition("[")[0]) if word]
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    found = {"_".join(words).lower(), "".join(words).lower(), name.upper(), joined, joined[:1].lower() + joined[1:]}
    return found - {name, ""}


def _the_same(outcome: Outcome, said: Mapping[str, object], beside: str) -> None:
    """Raises Mismatch where what stands ``beside`` a message has changed what it means, or who is asked."""
    fine = isinstance(outcome.error, CallbackError) or meaning(outcome) == said
    expect(fine, f"a CallbackError, or the same payment, with {beside}", outcome)
    astray = [request for request in outcome.tried if request.url.host == ELSEWHERE]
    expect(not astray, f"no request to where the message says, with {beside}", f"one to {ELSEWHERE}")


def _of_answers(bench: Bench, accepted: Outcome) -> Iterator[dict[str, str]]:
    """What an answer says that is asked for, as fields of the message: paid, and of another order; and where to ask."""
    own, another = bench.order().reference, bench.another().reference
    fields = {name.partition("[")[0]: text for name, text in texts(*accepted.answers).items() if text}
    yield fields
    yield {name: another if text == own else text for name, text in fields.items()}
    yield dict.fromkeys(ORDERS, another)
    yield dict.fromkeys(ADDRESSES, f"https://{ELSEWHERE}/payments/1")


@case(
    "notify.several",
    "a message that lists several payments, each signed by itself, is refused, and so is one that another key signed",
    "One notification tells of one payment: of a list that is acknowledged for its first, the rest is never delivered.",
    PAGE,
)
def _several(bench: Bench) -> None:
    one = bench.paid()
    other = bench.paid(bench.another(), gateway_id=bench.contract.gateway_ids[1])
    mine, theirs, forged = bench.notify(one), bench.notify(other), bench.notify(bench.foreign(other))
    carriers = differing(mine, bench.notify(bench.foreign(one)))
    for pair, what in (
        ((mine, theirs), "a genuine one about another order"),
        ((mine, forged), "one that another key signed"),
        ((forged, mine), "one that another key signed before it"),
    ):
        several = listed(pair, carriers if pair[0] is mine else differing(forged, theirs))
        if several is None:
            raise NotApplicable("the message lists nothing that is signed by itself")
        outcome = bench.play(bench.hear_call(several, one, expected=None))[0]
        expect(
            isinstance(outcome.error, CallbackError), f"a CallbackError for a message that lists also {what}", outcome
        )


@case(
    "notify.recut",
    "a message whose values are cut otherwise, and join to the same text, is refused, or means what it meant",
    "Where nothing stands between them, the last digit of an order's number becomes the first of the sum.",
    "kit.md#values-that-are-joined",
)
def _recut(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    if not signed(bench):
        raise NotApplicable("the callback is not signed")
    said = meaning(accepted)
    for one, two in itertools.permutations(_deciding(bench, callback), 2):
        for text, at in ((one.value + two.value, cut) for cut in (len(one.value) - 1, len(one.value) + 1)):
            message = f"a message whose {one.name} and {two.name} are {text[:at]!r} and {text[at:]!r}"
            cut = with_values(callback, {one.name: text[:at], two.name: text[at:]})
            refused_or_same(bench, cut, said, message)
    half = Money(bench.order().amount.minor // 2, bench.order().amount.currency)
    for change in (
        {},
        {"status": PaymentStatus.PARTIALLY_PAID, "paid": half},
        {"status": PaymentStatus.PENDING, "paid": None},
        {"status": PaymentStatus.REFUNDED},
    ):
        with suppress(NotApplicable):
            told = bench.notify(bench.paid(**change))
            said = meaning(bench.play(bench.hear_call(told, expected=None))[0])
            for message, swallowed in _swallowed(told):
                outcome = bench.play(bench.hear_call(swallowed, expected=None))[0]
                asked = outcome.requests and isinstance(outcome.error, GatewayError)
                fine = asked or isinstance(outcome.error, CallbackError) or meaning(outcome) == said
                expect(fine, f"a CallbackError, or the same payment, for a message {message}", outcome)
    cut_out = _cut_out(bench) if bench.info.attach else None
    if cut_out is not None:
        outcome = bench.play(bench.hear_call(cut_out, expected=None))[0]
        believed = outcome.error is None and outcome.payment.reference == bench.order().reference
        expect(not believed, "a CallbackError for a message that is cut out of what the payer attached", outcome)


def _swallowed(callback: Callback) -> Iterator[tuple[str, Callback]]:
    """The message of a form with each pair moved into the value before it, as written and as sorted."""
    written = [part for part in parts(callback) if part.name.startswith(("body ", "query ")) and part.twice]
    if not all(b"&" not in part.value and b'"' not in part.value for part in written):
        return
    sorted_ = sorted(written, key=lambda part: part.name)
    joints = (b"&amp;%b=%b", b"&%b=%b") if callback.body.lstrip().startswith(b"<") else (b"%%26%b%%3D%b",)
    for one, two in (*itertools.pairwise(written), *itertools.pairwise(sorted_)):
        name = two.name.rpartition(" ")[2].encode()
        for joint in joints:
            yield (
                f"whose {two.name} stands inside {one.name}",
                with_values(callback, {one.name: one.value + joint % (name, two.value), two.name: None}),
            )


def _signature(bench: Bench) -> set[str]:
    """The names of the fields that carry the signature."""
    theirs = bench.notify(bench.foreign(bench.paid()))
    return {part.name.rpartition(" ")[2] for part in differing(bench.notify(bench.paid()), theirs)}


def _pairs(callback: Callback) -> dict[str, str]:
    return texts(callback.query, callback.body)


def _cut_out(bench: Bench) -> Callback | None:
    """A message about a small order, whose attach holds the pairs of a larger one, cut so that these are its fields.

    The text of its sorted pairs is the same; None where nothing that the shop attaches could be cut so.
    """
    small = bench.another(amount=Money(1, bench.order().amount.currency), attach=MARK)
    wanted, given = (_pairs(bench.notify(bench.paid(order))) for order in (bench.order(), small))
    carriers = [name for name, value in given.items() if value == MARK]
    if len(carriers) != 1:
        return None
    (carrier,) = carriers
    later = {name: value for name, value in sorted(wanted.items()) if name > carrier}
    inside = "".join(f"&{name}={value}" for name, value in later.items() if name not in _signature(bench))
    told = bench.notify(bench.paid(small.model_copy(update={"attach": f"{MARK}{inside}&zz="})))
    fields = _pairs(told)
    behind = [(name, value) for name, value in sorted(fields.items()) if name > carrier]
    signature = {name: fields.pop(name) for name in _signature(bench) & fields.keys()}
    swallowed = "&".join(f"{name}={value}" for name, value in behind if name not in signature)
    kept = {name: value for name, value in fields.items() if name < carrier}
    moved = {name: value for name, value in later.items() if name not in signature}
    return written_anew(told, {**kept, carrier: MARK, **moved, "zz": f"&{swallowed}", **signature})


def _deciding(bench: Bench, callback: Callback) -> list[Part]:
    """The parts of a notify that say which order it is, which sum and whether it is paid."""
    sale, amount = bench.paid(), bench.order().amount
    signature = {part.name for part in differing(callback, bench.notify(bench.foreign(sale)))}
    less = Money(max(1, amount.minor // 2), amount.currency)
    found: dict[str, Part] = {}
    for changes in (
        {"reference": bench.another().reference},
        {"amount": less, "paid": less},
        {"status": PaymentStatus.PENDING, "paid": None},
        {"status": PaymentStatus.FAILED, "paid": None},
    ):
        with suppress(NotApplicable):
            found |= {part.name: part for part in differing(callback, bench.notify(sale.but(**changes)))}
    return [part for name, part in found.items() if name not in signature]


@case(
    "notify.doubled",
    "a message with a part that comes twice is refused, or means what it meant",
    "Where the check reads the first and the shop the second, the second is the payer's to choose.",
    PAGE,
)
def _doubled(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    said = meaning(accepted)
    doubles = [part for part in parts(callback) if part.twice is not None]
    if not doubles:
        raise NotApplicable("the message has no names")
    for part in doubles:
        for before in (True, False):
            if part.twice is not None:
                second = part.twice(part.other, before)
                refused_or_same(bench, second, said, f"a message whose {part.name} comes twice")
