"""Cases about forgeries: messages that another key, nobody, or somebody for another purpose has signed."""

from __future__ import annotations

import itertools
import json
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from urllib.parse import quote_from_bytes, unquote_to_bytes

from payhub_core.flow import Request, Response
from payhub_core.models import Callback, CallbackKind, Notification, PaymentStatus, RefundStatus
from payhub_core.money import Money
from payhub_core.testing.bench import Bench, Message
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.notifies import FORM, PAGE, carriers, genuine, refused, refused_or_same, signed
from payhub_core.testing.faults import Answer, alike
from payhub_core.testing.meaning import meaning
from payhub_core.testing.messages import (
    altered_reply,
    emptied,
    of_crc,
    parts,
    reply_parts,
    reply_without,
    request_fields,
    rewritten,
    with_fields,
    with_values,
)
from payhub_core.testing.outcome import about, expect, says
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
    foreign_key(bench, bench.payment_told())


def foreign_key(bench: Bench, told: Message) -> None:
    """Raises Mismatch where a message is believed that another key signed, or nothing."""
    outcome = bench.hear(told.genuine, told.sale)
    if not signed(bench, told):
        expect(outcome.error is None and about(outcome.result), "a genuine message to be believed", outcome)
        expect(
            outcome.requests,
            f"a request to the gateway, since {told.write.__name__}() writes the same bytes with any key. Where the "
            "gateway signs, sign with sale.settings, and give `other` another key",
            f"{outcome} without any request",
        )
        raise NotApplicable("the callback is not signed, it is believed by asking the gateway")
    for sale in (told.sale, *told.further):
        with suppress(NotApplicable):
            forged = told.write(bench.foreign(sale))
            if forged != told.write(sale):
                status = sale.status if sale.refund is None else sale.refund_status
                about_it = f"a message that another key signed, which says {status.value}{says(sale.refund_word)}"
                refused(bench.hear(forged, sale), about_it)
    named = {name: str(value) for name, value in bench.contract.other.items() if isinstance(value, str | int)}
    forged = told.write(bench.foreign(told.sale))
    said = {part.name.rpartition(" ")[2] for part in parts(forged)}
    claiming = with_fields(forged, {name: value for name, value in named.items() if name not in said})
    refused(
        bench.hear(claiming, told.sale),
        f"a message that another key signed, and that says itself what {', '.join(named)} is",
    )


#: What a message says of its own signature, where a provider lets it choose: "sign_type=NONE", "alg": "none".
DOWNGRADES = (None, b"", b"none", b"NONE", b"0")


@case(
    "notify.downgraded",
    "a message that another key signed is refused, whatever else it says or leaves out",
    "A message that names how it is signed must not choose that nobody checks it (CVE-2015-9235).",
    PAGE,
)
def _downgraded(bench: Bench) -> None:
    downgraded(bench, bench.payment_told())


def downgraded(bench: Bench, told: Message) -> None:
    """Raises Mismatch where a message that another key signed is believed for what else it says, or leaves out."""
    carrying = [part.name for part in carriers(bench, told)]
    if not carrying:
        raise NotApplicable("the callback is not signed")
    sale = told.sale
    forged = told.write(bench.foreign(sale))
    for part in parts(forged):
        for value in (*DOWNGRADES, part.other):
            message = f"a message that another key signed, {_without(part.name, value)}"
            refused(bench.hear(part.written(value), sale), message)
    kinds = _kinds(carrying) - {part.name.rpartition(" ")[2] for part in parts(forged)}
    bare = with_values(forged, dict.fromkeys(carrying))
    for claimed, word in itertools.product((forged, bare), ("none", "NONE", "0", "")):
        message = f"a message that no key of this account signed, with {word!r} for {', '.join(sorted(kinds))}"
        refused(bench.hear(with_fields(claimed, dict.fromkeys(sorted(kinds), word)), sale), message)
    known = {"an empty key": "", **{f"its {name} for a key": str(bench.settings[name]) for name in bench.info.identity}}
    for what, key in known.items():
        guessed = sale.but(settings={**bench.settings, **{name: key for name, _ in bench.secrets()}})
        callback = written_with(told, guessed)
        if callback is not None:
            refused(bench.hear(callback, sale), f"a message that is signed with {what}")


def _kinds(carrying: Iterable[str]) -> set[str]:
    """What a message may call the field that says how it is signed: as gateways do, and after its signature."""
    named = {name.rpartition(" ")[2] for name in carrying if not name.startswith("header ")}
    return {"sign_type", "signType", "alg", "SignMethod"} | {
        f"{name}{ending}" for name in named for ending in ("Type", "_type", "Method", "_method")
    }


def written_with(told: Message, sale: Sale) -> Callback | None:
    """The message that is signed with another sale's keys; None where keys of that kind are never like these."""
    with suppress(Exception):
        callback = told.write(sale)
        return None if callback == told.genuine else callback
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
    carrying = [part.name for part in carriers(bench, bench.payment_told())]
    named = {name.removeprefix("header ") for name in carrying if name.startswith("header ")}
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
    unsigned(bench, bench.payment_told())


def unsigned(bench: Bench, told: Message) -> None:
    """Raises Mismatch where a message is believed of whose signature a piece is left, or nothing."""
    callback, sale, carrying = told.genuine, told.sale, carriers(bench, told)
    if not carrying:
        raise NotApplicable("the callback is not signed")
    said = meaning(bench.hear(callback, sale))
    for what, piece in PIECES.items():
        left = {part.name: piece(part.value) for part in carrying}
        refused(bench.hear(with_values(callback, left), sale), f"a message whose {' and '.join(left)} is {what}")
        for part in carrying if len(carrying) > 1 else ():  # a copy of the signature may be left
            refused_or_same(bench, part.written(left[part.name]), said, f"a message whose {part.name} is {what}", sale)
    for name, hollow in emptied(callback, carrying):
        refused(
            bench.hear(hollow, sale), f"a message whose {name}, in which the signature stands, is left out or empty"
        )
    if all(_is_base64(part.value) for part in carrying):
        swapped: dict[str, bytes | None] = {}
        for part in carrying:
            text = unquote_to_bytes(part.value).swapcase()
            swapped[part.name] = quote_from_bytes(text, safe="").encode() if b"%" in part.value else text
        refused(
            bench.hear(with_values(callback, swapped), sale), "a signature in Base64 with its letters in the other case"
        )


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
    altered(bench, bench.payment_told())


def altered(bench: Bench, told: Message) -> None:
    """Raises Mismatch where a message of which a part is altered means something else."""
    callback, sale = told.genuine, told.sale
    said = meaning(bench.hear(callback, sale))
    for part in parts(callback):
        refused_or_same(bench, part.written(part.other), said, f"a message whose {part.name} is {part.other!r}", sale)
        refused_or_same(bench, part.written(None), said, f"a message without its {part.name}", sale)
        # Some gateways hash a text without regard to the case of its letters.
        swapped = part.value.swapcase()
        refused_or_same(bench, part.written(swapped), said, f"a message with {swapped!r}", sale)
        refused_or_same(bench, part.written(b""), said, f"a message whose {part.name} is empty", sale)


@case(
    "notify.checksum",
    "a message of another content and the same CRC-32 is refused, or means what the genuine one meant",
    "Some gateways sign a checksum of the body: whoever has one genuine message writes any other under its signature. "
    "Believe the signature that there is a message, and ask the gateway what it is about.",
    "writing-a-provider.md#kinds-of-gateways",
)
def _checksum(bench: Bench) -> None:
    half = Money(bench.order().amount.minor // 2, bench.order().amount.currency)
    of_payment = (
        {"paid": half},
        {"status": PaymentStatus.FAILED, "paid": None},
        {"gateway_id": bench.contract.gateway_ids[1]},
    )
    of_refund = {"refund": half}, {"refund_status": RefundStatus.FAILED}, {"refund_status": RefundStatus.PENDING}
    played = False
    for told in bench.messages():
        if not signed(bench, told):
            continue
        # As someone would write it who has no key: a signature in the body is of another one.
        aim = told.write(bench.foreign(told.sale)).body.rstrip()
        for change in of_payment if told.sale.refund is None else of_refund:
            with suppress(NotApplicable):
                sale = told.sale.but(**change)
                genuine = told.write(sale)
                if genuine.body.rstrip() == aim or not _is_object(aim):
                    continue
                played = True
                forged = of_crc(zlib.crc32(genuine.body), aim[:-1] + b', "filling": "', b'"}')
                said = meaning(bench.hear(genuine, sale))
                message = "a message of another content and the same CRC-32"
                refused_or_same(bench, replace(genuine, body=forged), said, message, sale)
    if not played:
        raise NotApplicable("no message is JSON that is signed, or it says nothing")


def _is_object(data: bytes) -> bool:
    with suppress(ValueError):
        return isinstance(json.loads(data), dict)
    return False


@case(
    "notify.other_account",
    "a genuine message of another merchant is refused, and so is an answer about one of his payments",
    "Anyone can be a merchant of the gateway: he would pay himself and have your goods.",
    PAGE,
)
def _other_account(bench: Bench) -> None:
    other_account(bench, bench.payment_told())


def other_account(bench: Bench, told: Message) -> None:
    """Raises Mismatch where a message of another merchant is believed, or an answer about one of his payments."""
    mine = told.genuine
    theirs = told.write(told.sale.but(settings=bench.other))
    if mine != theirs:
        refused(bench.hear(theirs, told.sale), "a genuine message of another merchant")
    for name in bench.info.identity:
        for whose in (bench.misnamed(told.sale, name), *_named_alike(bench, told.sale, name)):
            misnamed = told.write(whose)
            if misnamed != mine:
                whose_it_is = f"a message of the {name} {whose.settings[name]!r}, made with a key of this account"
                refused(bench.hear(misnamed, told.sale), whose_it_is)
    named = _asked_about_theirs(bench, told)
    if mine == theirs and not named:
        raise NotApplicable("the callback names no merchant and is not signed, nor does an answer name one")


def _named_alike(bench: Bench, sale: Sale, name: str) -> Iterator[Sale]:
    """The sale of a merchant whose name is the beginning of this one's, or begins as it."""
    own = bench.settings.get(name)
    if isinstance(own, str) and len(own) > 1 and "://" not in own:
        for other in (f"{own}1", own[:-1]):
            yield sale.but(settings={**bench.settings, name: other})


def _asked_about_theirs(bench: Bench, told: Message) -> bool:
    """Whether the answer that a message is believed by names the merchant; raises Mismatch where any is taken."""
    named = False
    callback, sale = told.genuine, told.sale
    for (at, request), name in itertools.product(enumerate(bench.hear(callback, sale).tried), bench.info.identity):
        theirs = bench.misnamed(sale, name)
        if alike(*(bench.answer(request, one, "parse_callback") for one in (sale, theirs))):
            continue
        named = True

        def answer(_: Request, honest: Callable[..., Response], theirs: Sale = theirs) -> Response:
            return honest(settings=theirs.settings)

        outcome = bench.hear(callback, sale, fault=answer, at=at)
        expect(outcome.error, f"an error where the answer to request {at + 1} names another merchant's {name}", outcome)
    return named


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
    with suppress(NotApplicable):
        _replies_to_refunds(bench, callback)


def _replies_to_refunds(bench: Bench, callback: Callback) -> None:
    """Raises Mismatch where the reply that a refund is under way is heard as the message that it is done."""
    outcome = bench.refund(bench.paid(refund=bench.order().amount, refund_status=RefundStatus.PENDING))
    for request in outcome.requests:
        reply = bench.answer(request, outcome.sale, "refund")
        again = replace(callback, headers=merged(callback, reply.headers), body=reply.content)
        told = bench.hear(again, outcome.sale)
        refund = told.result.refund if isinstance(told.result, Notification) else None
        done = refund is not None and refund.status is RefundStatus.REFUNDED
        expect(not done, "no refund that is done, out of a reply that it is under way", told)


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
