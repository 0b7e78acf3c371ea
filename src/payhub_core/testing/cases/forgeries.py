"""Cases about forgeries: messages that another key, nobody, or somebody for another purpose has signed."""

from __future__ import annotations

import itertools
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from urllib.parse import quote_from_bytes, unquote_plus, unquote_to_bytes, urlencode

from payhub_core.errors import CallbackError
from payhub_core.flow import Request, Response
from payhub_core.models import Callback, CallbackKind, PaymentStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.notifies import FORM, PAGE, genuine, refused, refused_or_same, signed
from payhub_core.testing.cases.texts import MARK
from payhub_core.testing.faults import Answer
from payhub_core.testing.meaning import meaning
from payhub_core.testing.messages import (
    Part,
    altered_reply,
    differing,
    enclosed,
    parts,
    reply_parts,
    reply_without,
    request_fields,
    rewritten,
    texts,
    with_fields,
    with_values,
    written_anew,
)
from payhub_core.testing.outcome import expect
from payhub_core.testing.sale import Sale


def merged(callback: Callback, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of ``callback``, those of another message in place of its own of the same name."""
    theirs = {name.lower() for name in headers}
    return {**{name: value for name, value in callback.headers.items() if name.lower() not in theirs}, **headers}


@case(
    "notify.foreign_key",
    "a message that another key signed is refused; one that nothing signs is believed by asking the gateway",
    "Or whoever knows an order's number marks it paid.",
    PAGE,
)
def _foreign_key(bench: Bench) -> None:
    _, outcome = genuine(bench)
    if not signed(bench):
        _ = outcome.payment
        expect(
            outcome.requests,
            "a request to the gateway, since notify() writes the same bytes with any key. Where the gateway signs, "
            "sign with sale.settings, and give `other` another key",
            f"{outcome} without any request",
        )
        raise NotApplicable("the callback is not signed, it is believed by asking the gateway")
    refused(bench.hear(bench.notify(bench.foreign(bench.paid()))), "a message that another key signed")
    for status in PaymentStatus:
        with suppress(NotApplicable):
            paid = {} if status is PaymentStatus.PAID else {"paid": None}
            forged = bench.notify(bench.foreign(bench.paid(status=status, **paid)))
            if forged != bench.notify(bench.paid(status=status, **paid)):
                refused(bench.hear(forged), f"a message that another key signed, which says {status.value}")
    named = {name: str(value) for name, value in bench.contract.other.items() if isinstance(value, str | int)}
    forged = bench.notify(bench.foreign(bench.paid()))
    said = {part.name.rpartition(" ")[2] for part in parts(forged)}
    claiming = with_fields(forged, {name: value for name, value in named.items() if name not in said})
    refused(bench.hear(claiming), f"a message that another key signed, and that says itself what {', '.join(named)} is")


#: What a message says of its own signature, where a provider lets it choose: "sign_type=NONE", "alg": "none".
DOWNGRADES = (None, b"", b"none", b"NONE", b"0")


@case(
    "notify.downgraded",
    "a message that another key signed is refused, whatever else it says or leaves out",
    "A message that names how it is signed must not choose that nobody checks it (CVE-2015-9235).",
    PAGE,
)
def _downgraded(bench: Bench) -> None:
    if not signed(bench):
        raise NotApplicable("the callback is not signed")
    sale = bench.paid()
    forged = bench.notify(bench.foreign(sale))
    for part in parts(forged):
        for value in (*DOWNGRADES, part.other):
            message = f"a message that another key signed, {_without(part.name, value)}"
            refused(bench.hear(part.written(value)), message)
    known = {"an empty key": "", **{f"its {name} for a key": str(bench.settings[name]) for name in bench.info.identity}}
    for what, key in known.items():
        guessed = sale.but(settings={**bench.settings, **{name: key for name, _ in bench.secrets()}})
        callback = written_with(bench, guessed)
        if callback is not None:
            refused(bench.hear(callback), f"a message that is signed with {what}")


def written_with(bench: Bench, sale: Sale) -> Callback | None:
    """The notify that is signed with another sale's keys; None where keys of that kind are never like these."""
    with suppress(Exception):
        callback = bench.notify(sale)
        return None if callback == bench.notify(bench.paid()) else callback
    return None


def _without(name: str, value: bytes | None) -> str:
    return f"without its {name}" if value is None else f"whose {name} is {value!r}"


@case(
    "notify.pasted",
    "a message's texts never change which address of the gateway is asked",
    "Unescaped in an address, a number such as '../refunds' asks for something else, with the account's own key.",
    PAGE,
)
def _pasted(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    if not accepted.requests:
        raise NotApplicable("parse_callback asks nobody")
    asked = {_place(request) for request in accepted.requests}
    for part in parts(callback):
        for text in (b"%2E%2E%2Fc1277", b"../c1277", b"c1277/../c1277", b"c1277%3Fa=1", b"c1277?a=1", b"c1277%23"):
            outcome = bench.hear(part.written(part.value + text))
            strange = sorted({_place(request) for request in outcome.tried} - asked)
            expect(not strange, f"no request but to {sorted(asked)} for {part.name} {text!r}", f"one to {strange}")
        # A body may be handed on as it came, to be verified; what a header says is written into something.
        for text in (b'","c1277":"1', b"&c1277=1", b"<c1277>1</c1277>") if part.name.startswith("header ") else ():
            outcome = bench.hear(part.written(part.value + text))
            fields = {name for request in outcome.tried for name, _ in request_fields(request)}
            expect("c1277" not in fields, f"no field of its own for {part.name} {text!r}", "the field 'c1277'")


def _place(request: Request) -> str:
    """Where a request goes: the address without what its last segment holds, and the names in its query."""
    path = request.url.raw_path.partition(b"?")[0]
    return f"{request.method} {request.url.host}{path.rpartition(b'/')[0].decode()} {sorted(request.url.params)}"


@case(
    "notify.compared",
    "a signature is compared in constant time",
    "'==' ends at the first character that differs, and so tells a forger how far he got: use made_by_any.",
    "kit.md#signatures",
)
def _compared(bench: Bench) -> None:
    callback = bench.notify(bench.paid())
    carriers = [part.name for part in differing(callback, bench.notify(bench.foreign(bench.paid())))]
    named = {name.removeprefix("header ") for name in carriers if name.startswith("header ")}
    if not named:
        raise NotApplicable("the signature is in no header, and how it is compared cannot be seen")
    compared: list[str] = []

    class Watched(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            if isinstance(other, str) and len(other) == len(self):
                compared.append(other)
            return str.__eq__(self, other)

        def __ne__(self, other: object) -> bool:
            return not self == other

        def lower(self) -> Watched:
            return Watched(str.lower(self))

        def upper(self) -> Watched:
            return Watched(str.upper(self))

        def strip(self, chars: str | None = None, /) -> Watched:
            return Watched(str.strip(self, chars))

        __hash__ = str.__hash__

    headers = {name: Watched(value) if name in named else value for name, value in callback.headers.items()}
    _ = bench.hear(replace(callback, headers=headers)).payment
    expect(not compared, "made_by_any, verified_by_any or hmac.compare_digest", "'==' on a signature")


@case(
    "notify.unproved",
    "a message that another key signed is not believed, whatever is missing in the answer of a gateway that is asked",
    "An answer without its verdict, or with a word that nobody knows yet, proves nothing.",
    PAGE,
)
def _unproved(bench: Bench) -> None:
    forged = bench.notify(bench.foreign(bench.paid()))
    if not bench.hear(bench.notify(bench.paid())).tried or not signed(bench):
        raise NotApplicable("parse_callback asks nobody, or the callback is not signed")
    call = bench.hear_call(forged)
    fine = bench.play(call, fresh=True)[0]
    for at, request in enumerate(fine.tried):
        answer = bench.answer(request, call.sale, call.hook)
        cut: dict[str, Callable[[Response], Response]] = {"{}": lambda it: rewritten(it, b"{}")}
        cut |= {f"one without {name}": partial(reply_without, name=name) for name in reply_parts(answer)}
        cut |= {f"one with another {name}": partial(altered_reply, name=name) for name in reply_parts(answer)}
        for what, change in cut.items():
            try:
                outcome = bench.play(replace(call, fault=_changed(change), at=at))[0]
            except Mismatch:  # the contract refuses what is made of it, such as a token
                continue
            expect(outcome.error is not None, f"an error, where the answer to request {at + 1} is {what}", outcome)


def _changed(change: Callable[[Response], Response]) -> Answer:
    return lambda _, honest: change(honest())


@case(
    "notify.unsigned",
    "a message without its signature, or with a piece of it, is refused",
    "A check that is skipped where there is nothing to check is no check (CVE-2026-41432).",
    PAGE,
)
def _unsigned(bench: Bench) -> None:
    callback = bench.notify(bench.paid())
    carriers = differing(callback, bench.notify(bench.foreign(bench.paid())))
    if not carriers:
        raise NotApplicable("the callback is not signed")
    said = meaning(bench.hear(callback))
    for what, piece in PIECES.items():
        left = {part.name: piece(part.value) for part in carriers}
        refused(bench.hear(with_values(callback, left)), f"a message whose {' and '.join(left)} is {what}")
        for part in carriers if len(carriers) > 1 else ():  # a copy of the signature may be left
            refused_or_same(bench, part.written(left[part.name]), said, f"a message whose {part.name} is {what}")
    if all(_is_base64(part.value) for part in carriers):
        swapped: dict[str, bytes | None] = {}
        for part in carriers:
            text = unquote_to_bytes(part.value).swapcase()
            swapped[part.name] = quote_from_bytes(text, safe="").encode() if b"%" in part.value else text
        refused(bench.hear(with_values(callback, swapped)), "a signature in Base64 with its letters in the other case")


def _is_base64(value: bytes) -> bool:
    """Whether a signature is Base64, where the case of letters counts, and not hex."""
    text = unquote_to_bytes(value)
    with suppress(ValueError):
        return len(b64decode(text, validate=True)) > 0 and text.lower() != text != text.upper()
    return False


#: What may be left of a signature.
PIECES: Mapping[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "cut": lambda value: value[: len(value) // 2],
    "cut to one": lambda value: value[:1],
}


@case(
    "notify.altered",
    "a message with any of its parts altered is refused, or means what it meant",
    "A field that the signature does not cover is the payer's to choose: the sum, the order, the status.",
    PAGE,
)
def _altered(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    said = meaning(accepted)
    for part in parts(callback):
        refused_or_same(bench, part.written(part.other), said, f"a message whose {part.name} is {part.other!r}")
        refused_or_same(bench, part.written(None), said, f"a message without its {part.name}")
        # Some gateways hash a text without regard to the case of its letters.
        refused_or_same(bench, part.written(part.value.swapcase()), said, f"a message with {part.value.swapcase()!r}")
        refused_or_same(bench, part.written(b""), said, f"a message whose {part.name} is empty")


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


@case(
    "notify.added",
    "what a message says in further fields, which nobody signed, changes nothing",
    "Where the signature covers some fields and not all, anyone adds one that says paid, or failed.",
    PAGE,
)
def _added(bench: Bench) -> None:
    if not signed(bench):
        raise NotApplicable("the callback is not signed")
    names, words = {*STANDING}, [*PAID_WORDS, "failed"]
    sale, elsewhere = bench.paid(), _elsewhere(bench)
    for change in ({}, {"status": PaymentStatus.PENDING, "paid": None}, {"status": PaymentStatus.FAILED, "paid": None}):
        with suppress(NotApplicable):
            callback = bench.notify(sale.but(**change))
            said = meaning(bench.play(bench.hear_call(callback, expected=None))[0])
            present = {part.name.rpartition(" ")[2] for part in parts(callback)}
            for query in _queries(bench, elsewhere) if callback.body and not callback.query else ():
                outcome = bench.play(bench.hear_call(replace(callback, query=query), expected=None))[0]
                fine = isinstance(outcome.error, CallbackError) or meaning(outcome) == said
                expect(
                    fine, "a CallbackError, or the same payment, with another message's fields in the query", outcome
                )
            for added in (*(dict.fromkeys(names - present, word) for word in words), elsewhere):
                added = {name: value for name, value in added.items() if name not in present}  # noqa: PLW2901
                outcome = bench.play(bench.hear_call(with_fields(callback, added), expected=None))[0]
                fine = isinstance(outcome.error, CallbackError) or meaning(outcome) == said
                expect(fine, f"a CallbackError, or the same payment, with {_shown(added)}", outcome)


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
                fine = isinstance(outcome.error, CallbackError) or meaning(outcome) == said
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
    later = {name: value for name, value in sorted(wanted.items()) if name > carrier and wanted[name] != given[name]}
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


@case(
    "notify.other_account",
    "a genuine message of another merchant is refused",
    "Anyone can be a merchant of the gateway: he would pay himself and have your goods.",
    PAGE,
)
def _other_account(bench: Bench) -> None:
    mine = bench.notify(bench.paid())
    theirs = bench.notify(bench.paid(settings=bench.other))
    if mine == theirs:
        raise NotApplicable("the callback names no merchant and is not signed")
    refused(bench.hear(theirs), "a genuine message of another merchant")
    for name in bench.info.identity:
        misnamed = bench.notify(bench.misnamed(bench.paid(), name))
        if misnamed != mine:
            refused(bench.hear(misnamed), f"a message with another merchant's {name}, made with a key of this account")


@case(
    "notify.own_words",
    "the account's own requests, and the gateway's replies to them, are no messages about a payment",
    "One key signs several kinds of messages: whoever sees one must not be able to use it as another (SYSS-2015-022).",
    PAGE,
)
def _own_words(bench: Bench) -> None:
    callback = bench.notify(bench.paid())
    if not signed(bench):
        raise NotApplicable("the callback is not signed")
    heard = False
    for hook, outcome in (("create_payment", bench.create()), ("query", bench.query())):
        for request in bench.sent(outcome):
            texts = {request.content, request.url.query} - {b""}
            for body, headers in itertools.product(texts, (merged(callback, request.headers), callback.headers)):
                heard = True
                refused(bench.hear(replace(callback, headers=headers, body=body)), "a request of the shop's own")
                refused(bench.hear(replace(callback, headers=headers, query=body, body=b"")), "a request of its own")
        for request in outcome.requests:
            with suppress(NotApplicable):
                reply = bench.answer(request, bench.sale(), hook)
                again = replace(callback, headers=merged(callback, reply.headers), body=reply.content)
                told = bench.hear(again, bench.sale())  # where the provider asks, the order is still open
                harmless = told.error is not None or told.payment.status is not PaymentStatus.PAID
                expect(harmless, "nothing that is paid out of a reply about an open order", told)
    if not heard:
        raise NotApplicable("the provider sends nothing")


@case(
    "notify.return",
    "what the payer's browser brings back is no notify, unless it says the same",
    "A return is in the payer's hands, and often says less: no sum, or none that is signed.",
    PAGE,
)
def _return(bench: Bench) -> None:
    said = meaning(genuine(bench)[1])
    returned = bench.returned(bench.paid())
    data = returned.query or returned.body
    headers = {**returned.headers, "Content-Type": FORM}
    for callback in (
        replace(returned, kind=CallbackKind.NOTIFY),
        replace(returned, kind=CallbackKind.NOTIFY, method="POST", headers=headers, query=b"", body=data),
    ):
        refused_or_same(bench, callback, said, "a return at the address of notifies")
