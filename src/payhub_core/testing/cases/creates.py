"""Cases about create_payment: what the gateway is asked for, and what is made of its answer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote_plus, urlencode

from payhub_core.errors import AccountRefused, InvalidOrder, OutcomeUnknown, Refused
from payhub_core.flow import Request
from payhub_core.models import FormPost, HtmlPage, NextAction, Order, Payment, PaymentMethod, PaymentStatus, Redirect
from payhub_core.money import Money
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.texts import LONG, MARK, TEXTS
from payhub_core.testing.meaning import meaning
from payhub_core.testing.messages import altered_requests, carries, fields_of, request_fields, texts, unpacked
from payhub_core.testing.outcome import Outcome, expect, optional, says

PAGE = "hooks.md#create_payment"


@case(
    "create.accepted",
    "an order that the gateway takes becomes a payment of that order, with what the payer does next",
    "Without a next action nobody can pay; under another reference nobody can deliver.",
    PAGE,
)
def _accepted(bench: Bench) -> None:
    outcome = bench.create()
    payment = outcome.payment
    order = bench.order()
    expect(payment.reference == order.reference, f"a payment of {order.reference!r}", outcome)
    at_once = payment.status is not PaymentStatus.PENDING
    # A payer who is named may be asked on his own phone: then the answer brings no address.
    done = payment.next_action is not None or at_once
    done = done or (order.method in bench.info.payer_needed and not _brings_address(bench))
    expect(done, "a next action for the payer", f"{outcome}, without one")
    if any(str(value).startswith("http://") for value in bench.settings.values()):
        return  # a gateway in the merchant's own network
    for method in methods(bench):
        created = bench.create(bench.order(method=method))
        action = created.payment.next_action
        if isinstance(action, Redirect | FormPost) and action.url.startswith("http://"):
            told = any(action.url.encode() in answer for answer in created.answers)
            expect(told, "a next action over https, or the address that the answer says", action.url)


def _brings_address(bench: Bench) -> bool:
    """Whether the gateway's answer says where the payer goes, if by a token alone."""
    outcome = bench.create(sale=bench.sale(url="https://pay.example/oolong1277"))
    return any(b"oolong1277" in answer for answer in outcome.answers)


@case(
    "create.asks",
    "the gateway is asked once, for the order's own sum, under the order's own number",
    "A sum in the wrong unit is a hundred times too much or too little; two requests are two payments.",
    PAGE,
)
def _asks(bench: Bench) -> None:
    outcome = bench.create()
    _ = outcome.payment
    expect(bench.asked(outcome), "one request for a payment", "none")
    for order in (bench.order(), bench.another()):
        key = asks(bench, bench.create(order), str(order.amount))
        expect(key == order.reference, f"a request for the order {order.reference!r}", f"{key!r}")


def sending(bench: Bench) -> None:
    """Raises NotApplicable where create sends nothing, and Mismatch where it ends in an error."""
    outcome = bench.create()
    _ = outcome.payment
    if not outcome.requests:
        raise NotApplicable("create sends nothing")


Methods: TypeAlias = Sequence[PaymentMethod | str | None]


def methods(bench: Bench) -> Methods:
    """The methods that the provider declares, None alone where it declares none."""
    return [*sorted(bench.info.methods)] or [None]


def asks(bench: Bench, outcome: Outcome, amount: str) -> str:
    """The key of the one payment that was asked for; raises Mismatch unless it is one, of ``amount``."""
    _ = outcome.payment
    asked = bench.asked(outcome)
    if not asked and not outcome.tried:
        raise NotApplicable("create asks nobody")
    expect(len(asked) == 1, "one request for a payment", f"{len(asked)} of them")
    expect(str(asked[0][1]) == amount, f"a request for {amount}", asked[0][1])
    return asked[0][0]


@case(
    "create.key",
    "the same order is the same payment at the gateway, another order another",
    "An order that is sent again after a lost answer must not become a second payment.",
    PAGE,
)
def _key(bench: Bench) -> None:
    for method in methods(bench):
        order, another = bench.order(method=method), bench.another(method=method)
        by = f" by {method}" if method else ""
        same = [asks(bench, bench.create(order), str(order.amount)) for _ in range(2)]
        expect(same[0] == same[1], f"one key for one order{by}", f"{same[0]!r} and {same[1]!r}")
        other = asks(bench, bench.create(another), str(another.amount))
        expect(other != same[0], f"another key for another order{by}", repr(other))


@case(
    "create.repeated",
    "an order that is sent again, and gets the same answer, is the same payment",
    "After a restart the shop asks again for what it has; it must get it.",
    PAGE,
)
def _repeated(bench: Bench) -> None:
    order = bench.order()
    calls = [bench.create_call(order) for _ in range(3)]
    outcomes = bench.play(*calls)
    for outcome in outcomes:
        _ = outcome.payment
        same = meaning(outcome) == meaning(outcomes[0]) and bench.asked(outcome) == bench.asked(outcomes[0])
        expect(same, "the same payment, asked for in the same way", outcome)


@case(
    "create.refused",
    "an order that the gateway refuses ends as Refused, after one request",
    "The shop may offer the payer another way only when it is certain that nothing came of this one.",
    PAGE,
)
def _refused(bench: Bench) -> None:
    sending(bench)
    for word in bench.words("refused"):
        with optional(word):
            outcome = bench.create(sale=bench.sale(no="refused", word=word))
            expect(isinstance(outcome.error, Refused), f"Refused{says(word)}", outcome)
            expect(len(bench.asked(outcome)) == 1, "one request for a payment", f"{len(bench.asked(outcome))} of them")


@case(
    "create.duplicate",
    "an order's number that is taken is no refusal",
    "It may be this very order, whose answer was lost: called refused, the payer pays it twice.",
    "writing-a-provider.md#which-error-means-what",
)
def _duplicate(bench: Bench) -> None:
    sending(bench)
    for word in bench.words("duplicate"):
        with optional(word):
            outcome = bench.create(sale=bench.sale(no="duplicate", word=word))
            bench.one_key(outcome, f"a number that is taken{says(word)}")
            known = isinstance(outcome.error, OutcomeUnknown) or _there(bench, outcome)
            expect(known, f"OutcomeUnknown, or the payment that is there{says(word)}", outcome)


def _there(bench: Bench, outcome: Outcome) -> bool:
    """Whether it ended in a payment that the gateway has shown: what the payer does next, or where it stands."""
    if not isinstance(outcome.result, Payment):
        return False
    shown = outcome.result.next_action is not None or outcome.result.status is not PaymentStatus.PENDING
    return shown or not bench.asks(outcome.tried[-1], outcome.sale)


@case(
    "create.description",
    "the order's description reaches the gateway",
    "It is what the payer sees on the gateway's page, and on his statement.",
    PAGE,
)
def _description(bench: Bench) -> None:
    order = bench.order(description="Oolong1277")
    outcome = bench.create(order)
    _ = outcome.payment
    written = [f"{request.url} {request.content.decode(errors='replace')}" for request in bench.sent(outcome)]
    sent = " ".join(text for one in written for text in unpacked(one))
    if order.reference not in sent:
        raise NotApplicable("what is sent cannot be read here")
    expect("Oolong1277" in sent, "a request that has the description 'Oolong1277'", "requests without it")


@case(
    "create.account_refused",
    "an account that the gateway refuses ends as AccountRefused, an order that it refuses does not",
    "Another account takes the same order; a refused order is refused by all of them.",
    PAGE,
)
def _account_refused(bench: Bench) -> None:
    sending(bench)
    with suppress(NotApplicable):
        outcome = bench.create(sale=bench.sale(no="refused"))
        expect(not isinstance(outcome.error, AccountRefused), "Refused, and not AccountRefused", outcome)
    for word in bench.words("account"):
        with optional(word):
            outcome = bench.create(sale=bench.sale(no="account", word=word))
            expect(isinstance(outcome.error, AccountRefused), f"AccountRefused{says(word)}", outcome)


@case(
    "create.text",
    "an order's texts reach the gateway as texts, and change nothing beside them",
    "A description that is pasted into a form can bring a sum of its own.",
    PAGE,
)
def _text(bench: Bench) -> None:
    name = min(sum_fields(bench), default="amount")
    element = f"<{name}>1</{name}>"
    address = f"https://shop.example/notify?a=1&{name}=1&b=茶"
    addressed = {} if _takes_no_query(bench, address) else {"notify_url": address}
    for text in (*TEXTS, f"Tea&{name}=1", f'","{name}":1,"a":"', f"</a>{element}<a>", f"x]]></a>{element}<a>"):
        attached = {"attach": text} if bench.info.attach else {}
        order = bench.order(description=text, **addressed, **attached)
        outcome = bench.create(order)
        if text.isascii() or outcome.tried or not isinstance(outcome.error, InvalidOrder):
            asks(bench, outcome, str(order.amount))


def _takes_no_query(bench: Bench, address: str) -> bool:
    """Whether the gateway takes no notify address with a query, and the provider says so before anything is sent."""
    outcome = bench.create(bench.order(notify_url=address))
    return isinstance(outcome.error, InvalidOrder) and not outcome.tried


def sum_fields(bench: Bench) -> set[str]:
    """The names of the fields that hold the sum in what a create sends: as a number of whatever unit."""
    whole = bench.order().amount
    found = []
    for amount in (Money(whole.minor // 2, whole.currency), whole):
        sent = bench.sent(bench.create(bench.order(amount=amount)))
        fields = {field for request in sent for field in request_fields(request)}
        found.append({name for name, value in fields if _digits(value.decode("latin-1")) == _digits(str(amount.minor))})
    return found[0] & found[1]


def _digits(text: str) -> str:
    """What two ways to write a sum have in common: no point, and no zeros at the ends."""
    return text.replace(".", "", 1).strip("0")


@case(
    "create.cut",
    "a page that the payer's browser carries cannot be cut into other fields under its signature",
    "Joined unescaped, a text such as 'Tea&total=0.01' is the shop's signature over a page with another sum.",
    "writing-a-provider.md#kinds-of-gateways",
)
def _cut(bench: Bench) -> None:
    plain = bench.create(bench.order(description=MARK, **_attached(bench, MARK)))
    fields = _page_fields(bench, plain)
    held = [name for name, value in fields.items() if value == MARK]
    if plain.tried or not held:
        raise NotApplicable("the payer's browser carries no text of the order")
    covered = [name for name in held if _noticed(bench, plain, {**fields, name: f"{MARK}1"})]
    if not covered:
        raise NotApplicable("no signature covers the order's texts")
    for name, joint in itertools.product(covered, JOINTS):
        text = f"{MARK}&{name}0=1" if joint == "&" else f"{MARK}{joint}1"
        outcome = bench.create(bench.order(description=text, **_attached(bench, text)))
        if outcome.error is None and (found := _page_fields(bench, outcome)).get(name) == text:
            noticed = all(_noticed(bench, outcome, cut) for cut in _cuts(found, name, joint))
            expected = (
                f"another signature once {name} {text!r} is cut into two fields: escape or replace {joint!r} in it"
            )
            expect(noticed, expected, "the same one")


#: What values are joined with: as pairs, or in a row.
JOINTS = "&|:;,"


def _cuts(fields: dict[str, str], name: str, joint: str) -> list[dict[str, str]]:
    """The page's fields with one text cut in two at the joint: into a pair of its own, or into each other value."""
    if joint == "&":
        return [{**fields, name: MARK, f"{name}0": "1"}]
    others = sorted(fields.keys() - {name})
    return [{**fields, name: MARK, other: f"1{joint}{fields[other]}"} for other in others]


def _attached(bench: Bench, text: str) -> dict[str, str]:
    return {"attach": text} if bench.info.attach else {}


def _page_fields(bench: Bench, outcome: Outcome) -> dict[str, str]:
    """The fields of the page that the payer's browser goes to."""
    page = bench.page(outcome)
    if page is None:
        return {}
    return dict(parse_qsl((page.content or page.url.query).decode(), keep_blank_values=True))


def _noticed(bench: Bench, outcome: Outcome, fields: dict[str, str]) -> bool:
    """Whether the contract's gateway takes the page with these fields for none that this account made."""
    page = bench.page(outcome)
    if page is None:
        return True
    written = urlencode(fields).encode()
    if page.method == "POST":
        return bench.objects(Request("POST", page.url, data=fields), outcome.sale, answered=False)
    return bench.objects(Request("GET", page.url.copy_with(query=written)), outcome.sale, answered=False)


@case(
    "create.attach",
    "what the shop attached reaches the gateway, whose messages bring it back",
    "Shops attach what they deliver by: never sent, it never comes back, and the order is paid for nobody knows what.",
    PAGE,
)
def _attach(bench: Bench) -> None:
    if not bench.info.attach:
        raise NotApplicable("the gateway does not bring back what the shop attached")
    sent(bench, "attach", "Oolong1277", "Sencha1277", ", or attach=False in info")
    if not bench.sent(bench.create()):
        return
    for text in TEXTS:
        plain, order = bench.order(attach=MARK), bench.order(attach=text)
        asked = _moved(_asked_texts(bench, plain), _asked_texts(bench, order))
        told = _moved(_told_texts(bench, plain), _told_texts(bench, order))
        if asked and told:
            expected = f"attach {text!r} written to the gateway as its notify writes it"
            expect(asked & told, expected, f"{_shown(asked)}, and in the notify {_shown(told)}")
    long = bench.order(attach=LONG)
    if bench.create(long).error is None:
        asked = _moved(_asked_texts(bench, bench.order(attach=MARK)), _asked_texts(bench, long))
        expected = f"InvalidOrder, or an attach of {len(LONG)} characters as it is"
        expect(not asked or LONG in asked, expected, f"{len(max(asked, key=len, default=''))} of them")


def _asked_texts(bench: Bench, order: Order) -> dict[str, str]:
    sent = bench.sent(bench.create(order))
    return texts(*(data for request in sent for data in (request.url.query, request.content)))


def _told_texts(bench: Bench, order: Order) -> dict[str, str]:
    notify = bench.notify(bench.paid(order))
    return texts(notify.query, notify.body)


def _moved(plain: dict[str, str], other: dict[str, str]) -> set[str]:
    """What stands in ``other`` in each field that holds the plain text."""
    return {other[name] for name, text in plain.items() if text == MARK and name in other}


def _shown(found: set[str]) -> str:
    return " and ".join(map(repr, sorted(found)))


def sent(bench: Bench, name: str, one: str, other: str, otherwise: str = "", by: Methods = ()) -> None:
    """Raises Mismatch where a create by one of these methods is the same whatever the order's ``name`` is."""
    readable = False
    for method in by or methods(bench):
        seen = []
        for text in (one, one, other):
            outcome = bench.create(bench.order(**{name: text}, method=method))
            _ = outcome.payment
            seen.append(fields_of(*bench.sent(outcome)))
        steady = seen[0] & seen[1]  # a nonce is another every time
        if any(field and not field.startswith("header ") for field, _ in steady):
            readable = True
            how = f" by {method}" if method else ""
            missing = f"the order's {name} in the request{how}{otherwise}"
            expect(not steady <= seen[2], missing, "the same request for another")
    if not readable:
        raise NotApplicable("what is sent cannot be read here")


@case(
    "create.notify_url",
    "the order's notify_url reaches the gateway",
    "A gateway that is not told where to send notifies sends none. Where a merchant enters it there, excuse this case.",
    "writing-a-provider.md#kinds-of-gateways",
)
def _notify_url(bench: Bench) -> None:
    _address(bench, "notify_url")


@case(
    "create.return_url",
    "the order's return_url reaches the gateway, where the payer's browser leaves the shop",
    "A payer who is not sent back sees nothing of what he paid. Where a merchant enters it there, excuse this case.",
    "writing-a-provider.md#kinds-of-gateways",
)
def _return_url(bench: Bench) -> None:
    leaving = [
        method for method in methods(bench) if isinstance(_action(bench, method), Redirect | FormPost | HtmlPage)
    ]
    if not leaving:
        raise NotApplicable("the payer's browser goes nowhere")
    _address(bench, "return_url", leaving)


def _action(bench: Bench, method: PaymentMethod | str | None) -> NextAction | None:
    return bench.create(bench.order(method=method)).payment.next_action


def _address(bench: Bench, name: str, by: Methods = ()) -> None:
    if not bench.sent(bench.create()):
        raise NotApplicable("create sends nothing")
    folder = "notify" if name == "notify_url" else "thanks"
    for paths in (("oolong", "sencha"), ("oolong", "Oolong"), ("oolong?a=1", "oolong?a=2")):
        one, other = (f"https://shop.example/{folder}/{path}" for path in paths)
        if "?" in one and name == "notify_url" and _takes_no_query(bench, one):
            continue
        # A contract's order has no query where the gateway takes none.
        if getattr(bench.order(**{name: one}), name) != getattr(bench.order(**{name: other}), name):
            sent(bench, name, one, other, by=by)


@case(
    "create.addresses",
    "no field that is named after the one address holds the other",
    "The server's messages at the address for payers prove nothing: every order is paid and none is delivered.",
    "writing-a-provider.md#which-field-holds-which-address",
)
def _addresses(bench: Bench) -> None:
    order = bench.order(notify_url="https://shop.example/notify/oolong", return_url="https://shop.example/thanks")
    outcome = bench.create(order)
    _ = outcome.payment
    found = False
    for name, text in addresses(bench.sent(outcome)):
        for mark, address, other in (
            (_FOR_SERVERS, order.notify_url, order.return_url),
            (_FOR_BROWSERS, order.return_url, order.notify_url),
        ):
            found = found or text in {address, other}
            if mark.search(name) and not (mark is _FOR_BROWSERS and _FOR_SERVERS.search(name)):
                expect(text != other, f"{address} in the field {name!r}", other)
    if not found:
        raise NotApplicable("no field of what is sent is an address alone")


def addresses(requests: Sequence[Request]) -> list[tuple[str, str]]:
    """The fields of these requests by their names, as text in which an address is readable."""
    fields = fields_of(*requests)
    return [(name, unquote_plus(value.decode("utf-8", "replace")).replace("\\/", "/")) for name, value in fields]


#: What gateways name a field after that holds the address for their server, and for the payer's browser.
_FOR_SERVERS = re.compile("notif|webhook|server|ipn|background", re.IGNORECASE)
_FOR_BROWSERS = re.compile("return|redirect|success|front|landing", re.IGNORECASE)


@case(
    "create.signed",
    "the contract's gateway notices a request for a payment that was altered on its way",
    "What it does not check no case can: a provider whose signature is wrong, or missing, would pass. Check it in "
    "answer(), and in asked() where the payer's browser sends it. Where the gateway wants no signature, excuse this.",
    "testing-a-provider.md#the-contract",
)
def _signed(bench: Bench) -> None:
    outcome = bench.create()
    _ = outcome.payment
    # A token is asked for with the key itself; another key may sign.
    carried = [name for name, text in bench.secrets() if any(carries(it, [text]) for it in outcome.requests)]
    unsent = {name for name, _ in bench.secrets()} - {*carried}
    if not unsent or (carried and not _makes(bench, unsent)):
        raise NotApplicable("requests carry the key itself, or there is none")
    for request in bench.sent(outcome):
        if not bench.asks(request, outcome.sale):
            continue
        order, answered = bench.order(), request in outcome.requests
        unnoticed: list[str] = []
        # What nothing but a signature holds. Some gateways sign no texts: then both sum and number have to be noticed.
        for forged, enough in (
            (altered_requests(request, {order.description, order.notify_url, order.return_url}), any),
            (altered_requests(request, {order.reference}, sum_fields(bench)), all),
            (altered_requests(request), any),
        ):
            noticed = [bench.objects(altered, outcome.sale, answered=answered) for _, altered in forged]
            if forged and enough(noticed):
                return
            unnoticed += [name for (name, _), seen in zip(forged, noticed, strict=True) if not seen]
            if unnoticed and enough is all:
                break
        if not unnoticed:
            raise NotApplicable("what is sent cannot be altered here")
        expected = f"an AssertionError of {'answer' if answered else 'asked'}() for a request that was altered"
        raise Mismatch(expected, f"none, where it is altered in {', '.join(dict.fromkeys(unnoticed))}")
    raise NotApplicable("create asks nobody")


def _makes(bench: Bench, names: set[str]) -> bool:
    """Whether a create is another where these settings are another merchant's."""

    def sent(settings: dict[str, Any]) -> set[tuple[str, bytes]]:
        sale = bench.sale(settings=bench.sending(settings))
        return fields_of(*bench.sent(bench.play(bench.create_call(None, sale), settings=settings)[0]))

    mine = sent(bench.settings) & sent(bench.settings)  # a nonce is another every time
    return not mine <= sent({**bench.settings, **{name: bench.other[name] for name in names}})
