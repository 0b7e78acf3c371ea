"""Cases about what a provider claims and what it does: the one is the other."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any, Never
from urllib.parse import unquote

from payhub_core.declaration import may_set
from payhub_core.errors import ConfigError, InvalidOrder
from payhub_core.flow import Request, Response
from payhub_core.hub import Hub
from payhub_core.models import Order, PaymentMethod, PaymentStatus
from payhub_core.registry import GROUP
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.creates import asks
from payhub_core.testing.cases.faults import flows
from payhub_core.testing.cases.notifies import nothing_received
from payhub_core.testing.cases.texts import MARK
from payhub_core.testing.messages import carries, fields_of, parts, request_fields, unpacked
from payhub_core.testing.outcome import Call, Outcome, expect

PAGE = "hooks.md#the-declaration"
LONGEST = 64
#: What the core takes at most.
REFUNDS_LONGEST = 80


def written(bench: Bench, outcome: Outcome) -> list[bytes]:
    """What was sent, to be compared."""
    return [str(request.url).encode() + request.content for request in bench.sent(outcome)]


@case(
    "claims.methods",
    "every method that is declared is taken and makes a difference, and no other is taken",
    "The shop offers the payer what is declared; the core refuses the rest before anything is sent.",
    PAGE,
)
def _methods(bench: Bench) -> None:
    methods = sorted(bench.info.methods)
    sent = []
    for method in methods:
        outcome = bench.create(order := bench.order(method=method))
        expect(outcome.error is None, f"the method {method.value!r}, which is declared, to be taken", outcome)
        _ = outcome.payment
        sent.append(written(bench, outcome))
        asks(bench, outcome, str(order.amount))
    if len(methods) > 1:
        differs = any(one != sent[0] for one in sent)
        expect(differs, "other requests for other methods", f"the same one for all {len(methods)}")
    for method in sorted(set(PaymentMethod) - bench.info.methods)[:1]:
        outcome = bench.create(bench.order(method=method, payer="openid-1001"))
        refused = isinstance(outcome.error, InvalidOrder) and not outcome.tried
        expect(refused, f"InvalidOrder for {method.value!r}, which is not declared, and nothing sent", outcome)


@case(
    "claims.entry_point",
    "the installed package offers the provider under the name that it declares",
    "An application that names it in its configuration is the first to find out, on the day of the launch.",
    "writing-a-provider.md#7-the-package",
)
def _entry_point(bench: Bench) -> None:
    packages = {cls.__module__.partition(".")[0] for cls in bench.provider.__mro__}
    points = [it for it in entry_points(group=GROUP) if it.module.partition(".")[0] in packages]
    if not points:
        raise NotApplicable("it is not installed as a plugin")
    offered = {it.name: it for it in points}
    name = bench.info.name
    expect(name in offered, f"an entry point {name!r} in {GROUP}", ", ".join(offered))
    try:
        found: object = offered[name].load()
    except Exception as error:
        expected = f"an entry point {name!r} that can be loaded: {offered[name].value}"
        raise Mismatch(expected, f"{type(error).__name__}: {error}") from error
    right = isinstance(found, type) and issubclass(bench.provider, found)
    expect(right, f"the entry point {name!r} to be {bench.provider.__name__}", repr(found))


@case(
    "claims.method_needed",
    "an order without a method is taken, unless the provider declares that one is needed",
    "A shop that leaves the choice to the gateway's page would be refused with every order.",
    PAGE,
)
def _method_needed(bench: Bench) -> None:
    outcome = bench.create(bench.order(method=None))
    if bench.info.method_needed:
        refused = isinstance(outcome.error, InvalidOrder) and not outcome.tried
        expect(refused, "InvalidOrder for an order without a method, and nothing sent", outcome)
        return
    expect(outcome.error is None, "an order without a method to be taken", outcome)


@case(
    "claims.payer",
    "where a payer is needed, an order without one is refused, and the payer's id reaches the gateway",
    "The gateway would bind the payment to nobody, or to whoever comes first.",
    PAGE,
)
def _payer(bench: Bench) -> None:
    if not bench.info.payer_needed:
        raise NotApplicable("no method needs a payer")
    for method in sorted(bench.info.payer_needed):
        outcome = bench.create(bench.order(method=method, payer=None))
        refused = isinstance(outcome.error, InvalidOrder) and not outcome.tried
        expect(refused, f"InvalidOrder for {method.value!r} without a payer, and nothing sent", outcome)
        payer = str(bench.order(method=method).payer)
        another = payer[:-1] + ("2" if payer[-1] == "1" else "1")  # of the shape that the contract's has, as a phone's
        sent = [written(bench, bench.create(bench.order(method=method, payer=one))) for one in (payer, another)]
        expect(sent[0] != sent[1], "other requests for other payers", "the same one for both")


@case(
    "claims.reference",
    "every order number that is declared goes to the gateway and comes back whole",
    "A number that is cut to what fits, or written in other letters, is another order's number.",
    PAGE,
)
def _reference(bench: Bench) -> None:
    keys: set[str] = set()
    queries: dict[str, Request] = {}
    numbers = list(dict.fromkeys(_numbers(bench)))
    if not numbers:
        raise NotApplicable("the pattern of order numbers is too particular")
    for number in numbers:
        order = bench.order(reference=number)
        keys.add(asks(bench, bench.create(order), str(order.amount)))
        for outcome in (
            bench.hear(bench.notify(bench.paid(order)), bench.paid(order), order),
            bench.query(None, order),
        ):
            found = outcome.payment.reference
            expect(found == number, f"the order number {number!r}", repr(found))
        _in_its_place(bench, order, outcome)
        queries[number] = outcome.tried[-1]
    expect(len(keys) == len(numbers), f"{len(numbers)} keys for {len(numbers)} orders", f"{len(keys)}")
    longest = max(numbers, key=len)
    if "gateway_id" in bench.hooks["query"] and not carries(queries[longest], [longest]):
        return  # it asks by the gateway's number, which is the same here, at the clock's time
    # A search names no order, and asks for all of them alike.
    asked = {(str(request.url), request.content) for request in queries.values()}
    expect(len(asked) in {1, len(numbers)}, f"{len(numbers)} queries for {len(numbers)} orders", f"{len(asked)}")


def _in_its_place(bench: Bench, order: Order, outcome: Outcome) -> None:
    """Raises Mismatch where an order's number changes which address is asked: unescaped, "a/../b" does."""
    usual = bench.order()
    for request, one in zip(bench.query(None, usual).tried, outcome.tried, strict=False):
        plain, asked = (each.url.raw_path.partition(b"?")[0].decode().split("/") for each in (request, one))
        expected = [unquote(part).replace(usual.reference, order.reference) for part in plain]
        named = any(usual.reference in unquote(part) for part in plain)
        escaped = [unquote(part) for part in asked] == expected
        expect(escaped or not named, f"the order number {order.reference!r} escaped in the path", "/".join(asked))


def _numbers(bench: Bench) -> Iterator[str]:
    """Order numbers as long as can be, and odd ones."""
    info = bench.info
    if info.largest_reference is not None:
        yield from map(str, sorted({1, info.largest_reference - 1, info.largest_reference} - {0}))
        return
    longest = info.reference_length
    longest = min(LONGEST, getattr(bench.account(), longest) if isinstance(longest, str) else longest)
    # A gateway's own number may be of 32 bits, and has no zeros in front.
    odd = ("9" * min(longest, 10), "1", "1".rjust(min(longest, 10), "0"), "..", "../a")
    for text in (*_filled(info.reference, longest), *odd):
        if len(text) <= longest and _fits(info.reference, text):
            yield text


def _filled(pattern: str, length: int) -> list[str]:
    """Texts of this length with every character that the pattern allows; two differ at the end, others by case."""
    characters = string.digits + string.ascii_letters + string.punctuation
    allowed = [char for char in characters if _fits(pattern, char) or _fits(pattern, char * length)]
    texts = ["".join(allowed[start:])[:length].ljust(length, allowed[-1]) for start in range(0, len(allowed), length)]
    if texts:
        texts.append(texts[0][:-1] + next((char for char in allowed if char != texts[0][-1]), allowed[0]))
        texts += [text.swapcase() for text in texts]
    return [text for text in dict.fromkeys(texts) if _fits(pattern, text)]


@case(
    "claims.refund_reference",
    "every number of a refund that is declared goes to the gateway whole",
    "Two numbers that are cut to the same are one refund: the second never goes back, and is said to be done.",
    PAGE,
)
def _refund_reference(bench: Bench) -> None:
    def key(number: str) -> str:
        outcome = bench.play(bench.refund_call(bench.paid(refund=bench.order().amount, refund_reference=number)))[0]
        expect(
            outcome.error is None, f"the refund {number!r}, which info.refund_reference takes, to be asked for", outcome
        )
        return next((key for key, _ in bench.asked(outcome)), "")

    bench.need("refund")
    usual = bench.contract.refund_references[0]
    if key(usual) != usual:
        raise NotApplicable("a refund carries no number of its own")
    pattern = bench.info.refund_reference
    for length in range(REFUNDS_LONGEST, 0, -1):
        if numbers := _filled(pattern, length):
            break
    else:
        raise NotApplicable("the pattern of refunds' numbers is too particular")
    for number in numbers:
        expect(key(number) == number, f"a request for the refund {number!r}", repr(key(number)))


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


@case(
    "claims.extra",
    "what an order's extra sets reaches the gateway, and replaces no field but one that extra_fields names in full",
    "Extra may come from a form of the shop's: it must not set the sum.",
    PAGE,
)
def _extra(bench: Bench) -> None:
    info = bench.info
    if not (info.extra_fields or info.extra_needed):
        raise NotApplicable("no extra fields")
    plain = bench.create()
    more = {"attach": MARK} if info.attach else {}  # some fields are sent where there is something in them
    whole = bench.create(bench.order(**more)) if more else plain
    fields = {field for request in bench.sent(whole) for field in request_fields(request)}
    fresh = next(
        (name for name in ("remark_1", "remark", "x-remark", "remark1") if _fits(info.extra_fields, name)), None
    )
    named = {*info.extra_fields.split("|"), *info.extra_needed}  # what the author lets an order set, name by name
    for name in sorted({name for name, _ in fields}):
        if may_set(info, name):
            order = bench.order(extra={name: "1"}, **more)
            outcome = bench.create(order)
            if name in named and outcome.error is None:
                asks(bench, outcome, str(order.amount))
                sent = {field for request in bench.sent(outcome) for field in request_fields(request)}
                expect(sent != fields, f"{name!r} of extra in the request", "the request without it")
                expect(outcome.payment.reference == order.reference, "a payment of the order", outcome)
            elif not isinstance(outcome.error, InvalidOrder):
                raise Mismatch(
                    f"InvalidOrder for {name!r} in extra, a field of the provider's own: put it in reserved_fields, or "
                    "in extra_fields by its full name where an order may set it",
                    outcome,
                )
    if fresh is not None:
        outcome = bench.create(bench.order(extra={fresh: "1"}))
        expect(
            written(bench, outcome) != written(bench, plain),
            f"{fresh!r} of extra in the request",
            "the request without it",
        )


@case(
    "claims.hooks",
    "what the provider can do, it declares by @hookimpl",
    "A refund that is written and not declared is a refund that the shop cannot make.",
    "hooks.md",
)
def _hooks(bench: Bench) -> None:
    for hook in ("refund", "close"):
        if hook not in bench.hooks and callable(getattr(bench.provider, hook, None)):
            raise Mismatch(f"@hookimpl on {hook}", f"a method {hook} that no hub calls")


@case(
    "claims.callback_headers",
    "the headers that a notify is verified by are declared",
    "A recorder keeps those that are declared: without them no message that was recorded can be verified again.",
    PAGE,
)
def _callback_headers(bench: Bench) -> None:
    named = {name.lower() for name in bench.info.callback_headers}
    callback = bench.notify(bench.paid())
    needed = []
    for part in parts(callback):
        name = part.name.removeprefix("header ")
        if name != part.name and bench.hear(part.written(None)).error is not None:
            needed.append(name)
    if not needed:
        raise NotApplicable("the callback is verified by no header")
    missing = [name for name in needed if name.lower() not in named]
    expect(not missing, f"callback_headers=frozenset({set(needed)}) in info", sorted(named) or "none")


@case(
    "claims.identity",
    "the declared identity tells merchants apart: one under two names is refused, and neither asks in the other's name",
    "Two accounts of one merchant take each other's messages; asked for in another's name, an order is paid to him.",
    PAGE,
)
def _identity(bench: Bench) -> None:
    one, again, other = bench.account(), bench.account(), bench.account(bench.other)
    try:
        Hub({"one": one, "again": again}, client=_Unused())
    except ConfigError:
        pass
    else:
        raise Mismatch(
            "ConfigError for one merchant under two names", f"two accounts, with identity {bench.info.identity}"
        )
    try:
        Hub({"one": one, "other": other}, client=_Unused())
    except ConfigError as error:
        raise Mismatch("two merchants in one hub", error) from None
    named = {
        name: str(value)
        for name, value in bench.settings.items()
        if name in {*bench.info.identity} & {*bench.contract.other}
    }
    told = [*named.items(), *bench.secrets()]
    for call in flows(bench):
        _ = _requests(bench, call, bench.settings)  # what is read once for all accounts is read by now
        for request, (name, value) in itertools.product(_requests(bench, call, bench.other), told):
            where = _holding(request, value, str(bench.other[name]))
            expect(
                where is None,
                f"no {name} of another account in a request of {call.hook}",
                f"it, in {where or 'the address'!r}",
            )


def _requests(bench: Bench, call: Call, settings: dict[str, Any]) -> list[Request]:
    """What a call sends of an account with these ``settings``, whatever the contract makes of it."""
    seen: list[Request] = []

    def watched(request: Request, honest: Callable[..., Response]) -> Response:
        seen.append(request)
        return honest()

    told = replace(call, sale=call.sale.but(settings=bench.sending(settings)), fault=watched, onward=True)
    with suppress(Mismatch, NotApplicable):  # a contract may know one account alone
        seen += bench.sent(bench.play(told, settings=settings)[0])
    return seen


def _holding(request: Request, value: str, others: str) -> str | None:
    """The name of the field that is ``value``, or of the header, or "" for the address, that holds it as a word."""
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])")
    for name, data in fields_of(request):
        text = data.decode("latin-1") if name else request.url.path
        whole = name and not name.startswith("header ")
        if any(one == value if whole else word.search(one.replace(others, "")) for one in unpacked(text)):
            return name
    return None


class _Unused:
    def send(self, *_: object, **__: object) -> Never:
        raise AssertionError("nothing is to be sent")


@case(
    "create.pending",
    "a fresh order is not paid, in whole or in part, because an address was made for it",
    "Create says what the payer does next; only the gateway says that he did it.",
    "hooks.md#create_payment",
)
def _unsettled(bench: Bench) -> None:
    outcome = bench.create(sale=bench.sale())
    expect(outcome.payment.status is PaymentStatus.PENDING, "a payment that is pending", outcome)
    nothing_received(bench, outcome)
