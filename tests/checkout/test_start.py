"""Starting: written down before it is sent, created once, and never again while the outcome is not known."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text, update
from tests.checkouts import lose_the_history

from payhub_core import (
    AccountRefused,
    Accounts,
    Callback,
    ConfigError,
    Flow,
    GatewayError,
    Hub,
    InvalidOrder,
    Money,
    NotFound,
    Notification,
    NotSent,
    Order,
    OutcomeUnknown,
    PayhubError,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Refused,
    Request,
    hookimpl,
    load_accounts,
)
from payhub_core.checkout import Checkout
from payhub_core.checkout.steps import Ask, Query, Record, Step, Write
from payhub_core.errors import LedgerError
from payhub_core.ledger import Creation, Ledger, Transition, changes
from payhub_core.ledger.tables import payments

UNREACHABLE = httpx.ConnectError("refused")
LOST = httpx.ReadTimeout("no answer")
CLIENT = httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(200)))


def creation_of(ledger: Ledger, account: str = "shop", reference: str = "A1001") -> Creation | None:
    stored = ledger.payment(account, reference)
    return None if stored is None else stored.creation


def asked(gateway: Any) -> list[str]:
    """What the gateway was asked: POST is a create, GET a query."""
    return [request.method for request in gateway.requests]


def test_an_order_is_written_down_before_the_gateway_hears_of_it(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order
) -> None:
    """While the request is under way, the row is there."""
    seen: list[object] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(creation_of(ledger))
        return platform.create_reply()  # type: ignore[no-any-return]

    payment = open_checkout(gateway(answer)).start("shop", order)
    assert seen == [Creation.STARTING]
    assert creation_of(ledger) is Creation.CREATED
    assert payment.next_action == Redirect(url="https://gateway.example/pay/P2019081800134100001")


def test_starting_again_returns_what_is_known_and_sends_nothing(
    open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Order
) -> None:
    """With the same thing to do next."""
    answers = gateway(platform.create_reply())
    checkout = open_checkout(answers)
    first = checkout.start("shop", order)
    again = checkout.start("shop", order)
    assert again.next_action == first.next_action
    assert again.model_copy(update={"raw": first.raw}) == first
    assert asked(answers) == ["POST"]


def test_another_order_under_the_same_reference_is_invalid(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, make_order: Any
) -> None:
    """Nothing is sent, nothing changes."""
    answers = gateway(platform.create_reply())
    checkout = open_checkout(answers)
    checkout.start("shop", make_order())
    before = ledger._store.find("shop", "A1001")
    with pytest.raises(InvalidOrder, match="other content"):
        checkout.start("shop", make_order(description="Coffee"))
    assert ledger._store.find("shop", "A1001") == before
    assert asked(answers) == ["POST"]


def test_a_sum_that_no_column_holds_is_invalid(
    open_checkout: Callable[..., Any], ledger: Ledger, gateway: Any, make_order: Any
) -> None:
    """A sum of sums is of any length. Nothing is sent or stored, on either database."""
    answers = gateway()
    order = make_order(amount=Money.total(2**63, "CNY"))
    with pytest.raises(InvalidOrder, match="at most 15 digits") as caught:
        open_checkout(answers).start("shop", order)
    assert (caught.value.account, caught.value.reference) == ("shop", "A1001")
    assert (asked(answers), ledger.payments()) == ([], [])


@pytest.mark.parametrize("failure", ["refused", "not sent"])
def test_a_try_that_left_nothing_does_not_bind_the_next_one(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, make_order: Any, failure: str
) -> None:
    """The payer picks another way to pay, the shop mends the sum; what was created then binds."""
    tries = [platform.reply(None, status=0, message="unsupported")] if failure == "refused" else [UNREACHABLE] * 3
    answers = gateway(*tries, platform.create_reply(bank_code="903", amount=9900))
    checkout = open_checkout(answers)
    with pytest.raises((Refused, NotSent)):
        checkout.start("shop", make_order())
    other = make_order(method="wechat_h5", amount=Money.of("99.00", "CNY"))
    assert checkout.start("shop", other).amount == other.amount
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert (stored.payment.method, stored.payment.amount) == (other.method, other.amount)
    assert [said.said for said in ledger.history("shop", "A1001")][-1] == "pending"
    with pytest.raises(InvalidOrder, match="other content"):
        checkout.start("shop", make_order())


def test_a_route_takes_other_content_where_no_account_has_the_order(route: Any, routed: Order) -> None:
    """And keeps to it where one has."""
    checkout, asked = route([NotSent("unreachable"), NotSent("unreachable")], [UNAVAILABLE, "P2"])
    with pytest.raises(Refused):
        checkout.start("any", routed)
    other = routed.model_copy(update={"description": "Coffee"})
    assert checkout.start("any", other).gateway_id == "P2"
    assert asked == ["create first", "create second"] * 2
    with pytest.raises(InvalidOrder, match="other content"):
        checkout.start("any", routed)


def test_an_order_that_was_not_sent_can_be_started_again(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order
) -> None:
    """The gateway cannot know of it, so nobody asks."""
    answers = gateway(*[UNREACHABLE] * 3, platform.create_reply())
    checkout = open_checkout(answers)
    with pytest.raises(NotSent):
        checkout.start("shop", order)
    assert creation_of(ledger) is Creation.NOT_SENT
    assert checkout.start("shop", order).status is PaymentStatus.PENDING
    assert creation_of(ledger) is Creation.CREATED
    assert set(asked(answers)) == {"POST"}


def test_a_refusal_is_kept_with_its_reason(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order
) -> None:
    """And may be tried again, by whoever mended its cause."""
    answers = gateway(platform.reply(None, status=0, message="channel closed"), platform.create_reply())
    checkout = open_checkout(answers)
    with pytest.raises(Refused, match="channel closed"):
        checkout.start("shop", order)
    assert creation_of(ledger) is Creation.REFUSED
    (refusal,) = ledger.history("shop", "A1001")
    assert (refusal.source, refusal.said) == ("create", "refused")
    assert "channel closed" in refusal.raw["reason"]
    checkout.start("shop", order)
    assert creation_of(ledger) is Creation.CREATED


def test_a_lost_answer_is_resolved_by_asking_not_by_sending_again(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order
) -> None:
    """The gateway has it: one create was sent."""
    answers = gateway(LOST, platform.query_reply(pay_status=-1))
    checkout = open_checkout(answers)
    with pytest.raises(OutcomeUnknown):
        checkout.start("shop", order)
    assert creation_of(ledger) is Creation.UNKNOWN
    payment = checkout.start("shop", order)
    assert payment.gateway_id == "P2019081800134100001"
    assert payment.next_action is None  # a query has none: docs/ledger.md says what a shop then does
    assert asked(answers) == ["POST", "GET"]
    assert creation_of(ledger) is Creation.CREATED


def test_an_order_that_the_gateway_does_not_know_is_created_with_the_same_reference(
    open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Order
) -> None:
    """Only once the query has said so."""
    answers = gateway(LOST, platform.reply(None, status=0, message="订单不存在"), platform.create_reply())
    checkout = open_checkout(answers)
    with pytest.raises(OutcomeUnknown):
        checkout.start("shop", order)
    assert checkout.start("shop", order).next_action is not None
    assert asked(answers) == ["POST", "GET", "POST"]
    references = [dict(parse_qsl(answers.requests[n].content.decode()))["order_no"] for n in (0, 2)]
    assert references == ["A1001", "A1001"]


def test_while_the_gateway_cannot_tell_the_outcome_stays_unknown(
    open_checkout: Callable[..., Any], ledger: Ledger, gateway: Any, order: Order
) -> None:
    """No second create."""
    answers = gateway(LOST)
    checkout = open_checkout(answers)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown) as caught:
            checkout.start("shop", order)
        assert caught.value.reference == "A1001"
    assert asked(answers).count("POST") == 1
    assert creation_of(ledger) is Creation.UNKNOWN


def test_what_a_provider_advises_is_told_where_the_gateway_cannot_tell(route: Any, order: Order) -> None:
    """Starting the order again helps nobody whose key was revoked."""
    checkout, _asked = route([OutcomeUnknown("lost"), AccountRefused("revoked", hint="enter the new key")], [])
    with pytest.raises(OutcomeUnknown):
        checkout.start("first", order)
    with pytest.raises(OutcomeUnknown, match="again in a moment; enter the new key"):
        checkout.start("first", order)


def test_an_order_left_half_started_by_a_crash_is_asked_about(
    open_checkout: Callable[..., Any],
    ledger: Ledger,
    platform: Any,
    gateway: Any,
    order: Order,
    make_due: Callable[[], None],
) -> None:
    """Once its lease is over; the process that held it died after sending."""
    now = datetime.now(UTC)
    ledger.write(
        lambda c: changes.insert(c, "shop", "gpu", order, lease="dead", until=now + timedelta(hours=1), now=now)
    )
    assert creation_of(ledger) is Creation.STARTING
    make_due()
    answers = gateway(platform.query_reply(pay_status=-1))
    open_checkout(answers).start("shop", order)
    assert asked(answers) == ["GET"]


def test_an_order_unfit_to_be_sent_leaves_its_reference_free(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, make_order: Any
) -> None:
    """The provider said so before any request; the mended order may have the same number."""
    answers = gateway(platform.create_reply())
    checkout = open_checkout(answers)
    with pytest.raises(InvalidOrder, match="method"):
        checkout.start("shop", make_order(method=None))
    assert ledger.payment("shop", "A1001") is None
    checkout.start("shop", make_order())
    assert asked(answers) == ["POST"]


@pytest.mark.parametrize("order", [None, {"reference": "A1001"}])
def test_what_is_no_order_is_invalid(open_checkout: Callable[..., Any], ledger: Ledger, order: Any) -> None:
    """And nothing is written down."""
    with pytest.raises(InvalidOrder):
        open_checkout().start("shop", order)
    assert ledger.payments() == []


def test_an_unknown_account_is_a_configuration_error(
    open_checkout: Callable[..., Any], ledger: Ledger, order: Order
) -> None:
    """With a hint, and nothing written down."""
    with pytest.raises(ConfigError, match="shop"):
        open_checkout().start("shpo", order)
    assert ledger.payments() == []


def test_without_the_database_nothing_is_sent(
    open_checkout: Callable[..., Any], ledger: Ledger, gateway: Any, platform: Any, order: Order
) -> None:
    """No write-ahead, no request."""
    ledger.write(lambda c: c.execute(text("ALTER TABLE payhub_payments RENAME TO gone")))
    answers = gateway(platform.create_reply())
    with pytest.raises(LedgerError):
        open_checkout(answers).start("shop", order)
    assert answers.requests == []


def test_a_payer_goes_on_where_only_the_answer_could_not_be_recorded(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order, paid: Any
) -> None:
    """The order is written down already: its notify finds it."""

    def answer(_request: httpx.Request) -> httpx.Response:
        ledger.write(lambda c: c.execute(text("ALTER TABLE payhub_observations RENAME TO gone")))
        return platform.create_reply()  # type: ignore[no-any-return]

    checkout = open_checkout(answer)
    assert checkout.start("shop", order).next_action is not None
    ledger.write(lambda c: c.execute(text("ALTER TABLE gone RENAME TO payhub_observations")))
    assert creation_of(ledger) is Creation.STARTING
    assert checkout.receive("shop", paid.notify()).body == b"SUCCESS"


def test_a_callback_may_come_before_the_answer_to_the_create(
    open_checkout: Callable[..., Any],
    ledger: Ledger,
    platform: Any,
    gateway: Any,
    order: Order,
    paid: Any,
    blocking: Checkout,
) -> None:
    """The payer was quick; start returns that it is paid."""
    answers: list[Any] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        answers.append(blocking.receive("shop", paid.notify()))
        return platform.create_reply()  # type: ignore[no-any-return]

    payment = open_checkout(answer).start("shop", order)
    assert answers[0].body == b"SUCCESS"
    assert payment.status is PaymentStatus.PAID
    assert payment.next_action is None  # nobody pays twice
    assert [transition.id for transition in ledger.outbox()] == ["shop/A1001/paid"]


def test_parallel_starts_of_one_order_send_one_create(
    url: str, settings: dict[str, Any], platform: Any, order: Order
) -> None:
    """Everyone gets the same payment."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        threading.Event().wait(0.1)
        return platform.create_reply()  # type: ignore[no-any-return]

    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as client,
        Hub(load_accounts({"accounts": {"shop": settings}}), client=client) as hub,
        Ledger(url) as ledger,
        ThreadPoolExecutor(8) as threads,
    ):
        checkout = Checkout(hub, ledger)
        started = list(threads.map(lambda _: checkout.start("shop", order), range(8)))
    assert len(sent) == 1
    assert len({payment.next_action.url for payment in started}) == 1


class Scripted(BaseModel):
    """A provider that answers a create as it is told."""

    model_config = ConfigDict(frozen=True)
    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="scripted", identity=("name",), methods=frozenset(PaymentMethod), currencies=frozenset({"CNY"})
    )
    name: str
    outcomes: list[Any]
    asked: list[str]
    timeout: float = 1.0

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        self.asked.append(f"create {self.name}")
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Refused):
            token = outcome.reason == "no token"
            yield Request("POST", "https://gateway.example", harmless=token)
        if isinstance(outcome, Exception):
            raise outcome
        return Payment(reference=order.reference, gateway_id=outcome, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        raise NotImplementedError

    @hookimpl
    def query(self, reference: str) -> Payment:
        self.asked.append(f"query {self.name}")
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Payment(reference=reference, gateway_id=outcome, status=PaymentStatus.PENDING)


@pytest.fixture
def route(ledger: Ledger) -> Callable[..., tuple[Checkout, list[str]]]:
    """A checkout with the route ``any``: first, then second, each with its outcomes."""

    def open_route(first: list[Any], second: list[Any]) -> tuple[Checkout, list[str]]:
        asked: list[str] = []
        accounts = {
            name: Scripted.model_construct(name=name, outcomes=outcomes, asked=asked, timeout=1.0)
            for name, outcomes in (("first", first), ("second", second))
        }
        checkout = Checkout(Hub(accounts, client=CLIENT), ledger, routes={"any": ["first", "second"]})
        return checkout, asked

    return open_route


@pytest.fixture
def routed(make_order: Callable[..., Order]) -> Order:
    """An order that any account can be sent."""
    addresses = {f"{name}_url": f"https://shop.example/pay/{{account}}/{name}" for name in ("notify", "return")}
    return make_order(**addresses)


UNAVAILABLE = AccountRefused("the channel is closed")


@pytest.mark.parametrize("failure", [NotSent("unreachable"), UNAVAILABLE])
def test_a_route_tries_the_next_account_where_nothing_is_at_the_first(
    route: Any, ledger: Ledger, routed: Order, failure: Exception
) -> None:
    """And remembers which one holds the order."""
    checkout, asked = route([failure], ["P2"])
    assert checkout.start("any", routed).account == "second"
    assert checkout.start("any", routed).account == "second"
    assert asked == ["create first", "create second"]
    assert creation_of(ledger, "first") in {Creation.NOT_SENT, Creation.REFUSED}
    assert creation_of(ledger, "second") is Creation.CREATED


@pytest.mark.parametrize("failure", [OutcomeUnknown("lost"), Refused("no such product")])
def test_a_route_ends_where_the_next_account_could_make_it_payable_twice_or_would_refuse_too(
    route: Any, ledger: Ledger, routed: Order, failure: Exception
) -> None:
    """OutcomeUnknown above all."""
    checkout, asked = route([failure], ["P2"])
    with pytest.raises(type(failure)):
        checkout.start("any", routed)
    assert asked == ["create first"]
    assert ledger.payment("second", routed.reference) is None


def test_a_route_asks_the_account_that_may_hold_the_order(route: Any, routed: Order) -> None:
    """Not the first one, which it was not sent to."""
    checkout, asked = route([NotSent("unreachable")], [OutcomeUnknown("lost"), "P2"])
    with pytest.raises(OutcomeUnknown):
        checkout.start("any", routed)
    assert checkout.start("any", routed).gateway_id == "P2"
    assert asked == ["create first", "create second", "query second"]


def test_a_route_creates_again_where_the_answer_was_lost(route: Any, routed: Order) -> None:
    """That account does not know the order: it is the one to send it to, not the first."""
    checkout, asked = route([NotSent("unreachable")], [OutcomeUnknown("lost"), NotFound("no such order"), "P2"])
    with pytest.raises(OutcomeUnknown):
        checkout.start("any", routed)
    assert checkout.start("any", routed).gateway_id == "P2"
    assert asked == ["create first", "create second", "query second", "create second"]


def test_a_route_that_failed_everywhere_starts_over(route: Any, ledger: Ledger, routed: Order) -> None:
    """The last account's error is raised; nothing stays leased."""
    checkout, asked = route([NotSent("unreachable"), "P1"], [UNAVAILABLE])
    with pytest.raises(Refused):
        checkout.start("any", routed)
    assert checkout.start("any", routed).account == "first"
    assert asked == ["create first", "create second", "create first"]
    assert all(
        row is not None and row.lease is None
        for row in (ledger._store.find("first", "A1001"), ledger._store.find("second", "A1001"))
    )


@pytest.mark.parametrize(
    ("routes", "reason"),
    [
        ({"first": ["second"]}, "name of an account"),
        ({"any": []}, "each once"),
        ({"any": ["first", "first"]}, "each once"),
        ({"any": ["first", "third"]}, "no account 'third'"),
    ],
)
def test_a_route_names_configured_accounts(ledger: Ledger, routes: Any, reason: str) -> None:
    """Checked when the checkout is made."""
    accounts: Any = {
        name: Scripted.model_construct(name=name, outcomes=[], asked=[], timeout=1.0) for name in ("first", "second")
    }
    with Hub(accounts) as hub, pytest.raises(ConfigError, match=reason):
        Checkout(hub, ledger, routes=routes)


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        ({"alipay": ["first"]}, "there is no account or route 'alipai'. Hint: did you mean 'alipay'?"),
        ({"card": ["first"]}, "there is no account or route 'alipai'. Hint: known are: card, first"),
        ({}, "there is no account 'alipai'. Hint: known are: first"),
    ],
)
def test_a_misspelt_route_is_told_the_routes_too(ledger: Ledger, order: Order, routes: Any, told: str) -> None:
    """An order is started at either."""
    accounts: Any = {"first": Scripted.model_construct(name="first", outcomes=[], asked=[], timeout=1.0)}
    with Hub(accounts) as hub, pytest.raises(ConfigError) as error:
        Checkout(hub, ledger, routes=routes).start("alipai", order)
    assert str(error.value) == told


def test_each_account_of_a_route_is_sent_an_address_of_its_own(
    ledger: Ledger, settings: dict[str, Any], platform: Any, routed: Order, paid: Any
) -> None:
    """So that its notify comes to where its own key verifies it; the order itself stays the same."""
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        fields = dict(httpx.QueryParams(request.content.decode()))
        sent.append(fields["notify_url"])
        if fields["appid"] == "gpu10000000":
            raise UNREACHABLE
        reply: httpx.Response = platform.create_reply(appid=fields["appid"])
        return reply

    accounts = {"shop": settings, "backup": {**settings, "appid": "gpu10000001"}}
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        hub = Hub(load_accounts({"accounts": accounts}), client=client)
        checkout = Checkout(hub, ledger, routes={"any": ["shop", "backup"]})
        assert checkout.start("any", routed).account == "backup"
        assert checkout.start("any", routed).account == "backup"
        assert set(sent) == {"https://shop.example/pay/shop/notify", "https://shop.example/pay/backup/notify"}
        assert checkout.receive("backup", paid.notify(appid="gpu10000001")).body == b"SUCCESS"


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("any", {}),
        ("any", {"notify_url": "https://shop.example/{account}"}),
        ("any", {"return_url": "https://shop.example/{account}"}),
        ("first", {"notify_url": "https://shop.example/{acount}/notify"}),
        ("first", {"return_url": "https://shop.example/{account"}),
        ("first", {"notify_url": "https://shop.example/{account}/notify/{reference}"}),
        ("first", {"return_url": "https://shop.example/{account}/return/{refrence}"}),
    ],
)
def test_an_order_whose_addresses_lack_or_misspell_the_accounts_place_is_invalid(
    route: Any, ledger: Ledger, make_order: Callable[..., Order], name: str, addresses: dict[str, str]
) -> None:
    """Else no notify of the second account could ever be verified."""
    checkout, asked = route(["P1"], [])
    with pytest.raises(InvalidOrder, match=r"\{account\}"):
        checkout.start(name, make_order(**addresses))
    assert (asked, ledger.payments()) == ([], [])


@pytest.mark.parametrize(
    ("reference", "filled"), [("A1001", "A1001"), ("2026/7 %", "2026%2F7%20%25"), ("茶", "%E8%8C%B6")]
)
def test_the_reference_is_filled_into_the_return_address(
    ledger: Ledger, make_order: Callable[..., Order], reference: str, filled: str
) -> None:
    """Percent-encoded; the stored order keeps the place, and starting it again is the same order."""
    sent: list[str] = []

    class Open(Scripted):
        info: ClassVar[ProviderInfo] = replace(Scripted.info, reference=".+")

        @hookimpl
        def create_payment(self, order: Order) -> Payment:  # type: ignore[override]
            sent.append(order.return_url)
            return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    checkout = Checkout(Hub({"shop": Open.model_construct(name="shop", outcomes=[], asked=[], timeout=1.0)}), ledger)
    order = make_order(reference=reference, return_url="https://shop.example/pay/{account}/return/{reference}")
    for _ in range(2):
        checkout.start("shop", order)
    assert sent == [f"https://shop.example/pay/shop/return/{filled}"]


@pytest.mark.parametrize("reference", ["notify", "return", "..", "a/", "a/return/b"])
def test_a_reference_that_cannot_stand_in_an_address_is_invalid_there(
    route: Any, ledger: Ledger, make_order: Callable[..., Order], reference: str
) -> None:
    """The endpoint would take it for its own words, or a browser for a step up the path."""
    checkout, asked = route(["P1"], [])
    with pytest.raises(InvalidOrder, match="cannot stand in an address"):
        checkout.start("first", make_order(reference=reference, return_url="https://shop.example/{reference}"))
    assert (asked, ledger.payments()) == ([], [])


def test_an_order_started_once_more_is_written_down_first_again(
    open_checkout: Callable[..., Any],
    ledger: Ledger,
    platform: Any,
    gateway: Any,
    order: Order,
    make_due: Callable[[], None],
) -> None:
    """While it is sent it is *starting*, and afterwards it is due to be asked about, as the first time."""
    seen: list[object] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        seen.append(creation_of(ledger))
        return platform.create_reply()  # type: ignore[no-any-return]

    checkout = open_checkout(gateway(*[UNREACHABLE] * 3, answer, platform.query_reply()))
    with pytest.raises(NotSent):
        checkout.start("shop", order)
    checkout.start("shop", order)
    assert seen == [Creation.STARTING]
    make_due()
    assert checkout.reconcile().asked == 1


class Died(BaseException):
    """The process ends here."""


def dying(checkout: Checkout, at: type[Step]) -> None:
    """Lets the process die once it has done a step of that kind; what it has leased is free later."""
    do = checkout._do

    def die(step: Any) -> object:
        result = do(step)
        if isinstance(step, at):
            checkout._do = do  # type: ignore[method-assign]
            raise Died
        return result

    checkout._do = die  # type: ignore[method-assign]


@pytest.mark.parametrize("failure", [NotSent("unreachable"), Refused("closed")])
def test_an_order_whose_second_start_died_is_asked_about(
    route: Any, ledger: Ledger, order: Order, make_due: Callable[[], None], failure: Exception
) -> None:
    """The gateway may have taken it, whatever became of the first start."""
    checkout, asked = route([failure, "P1", "P1"], [])
    with pytest.raises(type(failure)):
        checkout.start("first", order)
    dying(checkout, Ask)
    with pytest.raises(Died):
        checkout.start("first", order)
    assert creation_of(ledger, "first") is Creation.STARTING
    make_due()
    assert checkout.start("first", order).gateway_id == "P1"
    assert asked == ["create first", "create first", "query first"]


def test_a_start_that_lost_its_lease_sends_nothing(route: Any, ledger: Ledger, routed: Order) -> None:
    """It slept too long between asking and creating; someone else has begun."""
    checkout, asked = route([OutcomeUnknown("lost"), NotFound("no such order"), "P1", "P1"], [])
    with pytest.raises(OutcomeUnknown):
        checkout.start("first", routed)
    do = checkout._do

    def overtaken(step: Any) -> object:
        if isinstance(step, Query):
            checkout._do = do  # type: ignore[method-assign]
            result: object = NotFound("no such order")
            ledger.write(lambda c: c.execute(text("UPDATE payhub_payments SET lease_until = NULL")))
            assert checkout.start("first", routed).gateway_id == "P1"
            raise result  # type: ignore[misc]
        return do(step)

    checkout._do = overtaken  # type: ignore[method-assign]
    assert checkout.start("first", routed).gateway_id == "P1"
    assert asked.count("create first") == 2


def test_a_route_goes_nowhere_that_another_start_has_got_to(route: Any, routed: Order) -> None:
    """The order was started at the second account while the first one was asked."""
    checkout, asked = route([NotSent("unreachable")], ["P2", "P3"])
    do = checkout._do

    def meanwhile(step: Any) -> object:
        if isinstance(step, Ask):
            checkout._do = do  # type: ignore[method-assign]
            checkout.start("second", routed)
        return do(step)

    checkout._do = meanwhile  # type: ignore[method-assign]
    assert checkout.start("any", routed).gateway_id == "P2"
    assert asked.count("create second") == 1


def test_every_account_that_may_hold_the_order_is_asked(route: Any, ledger: Ledger, routed: Order) -> None:
    """Started at the second one first, then along the route; none is made payable twice."""
    checkout, asked = route(["P1"], [OutcomeUnknown("lost"), GatewayError("down"), "P2"])
    for name in ("second", "any"):
        with pytest.raises(OutcomeUnknown):
            checkout.start(name, routed)
    assert checkout.start("any", routed).gateway_id == "P2"
    assert asked == ["create second", "query second", "query second"]
    assert ledger.payment("first", routed.reference) is None


def lost_long_ago(ledger: Ledger) -> None:
    """Whatever was sent has arrived by now, or never will."""
    ledger.write(lambda c: c.execute(update(payments).values(created_at=datetime.now(UTC) - timedelta(hours=1))))


@pytest.mark.parametrize("failure", [NotSent("unreachable"), InvalidOrder("unfit"), ConfigError("broken")])
def test_an_order_whose_outcome_was_unknown_stays_with_its_account(
    route: Any, ledger: Ledger, routed: Order, failure: Exception
) -> None:
    """What was sent may still be under way, and only there it is the same order: nothing else is certain meanwhile."""
    checkout, asked = route([OutcomeUnknown("lost"), NotFound("none"), failure, NotFound("none"), "P1"], ["P2"])
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            checkout.start("any", routed)
        assert creation_of(ledger, "first") is Creation.UNKNOWN
    assert checkout.start("any", routed).gateway_id == "P1"
    assert "create second" not in asked


@pytest.mark.parametrize("failure", [NotSent("unreachable"), AccountRefused("busy"), Refused("no", reason="no token")])
def test_a_failure_that_is_not_about_the_order_never_ends_an_unknown_outcome(
    route: Any, ledger: Ledger, routed: Order, failure: Exception
) -> None:
    """However long ago it was lost: the gateway may only be slow to know it."""
    answers = [OutcomeUnknown("lost"), NotFound("none"), failure, NotFound("none"), "P1"]
    checkout, asked = route(answers, ["P2"])
    with pytest.raises(OutcomeUnknown):
        checkout.start("any", routed)
    lost_long_ago(ledger)
    if isinstance(failure, Refused):
        answers.insert(3, NotFound("none"))  # asked once more: a refusal may mean that it has the order
    with pytest.raises(OutcomeUnknown):
        checkout.start("any", routed)
    assert creation_of(ledger, "first") is Creation.UNKNOWN
    assert checkout.start("any", routed).gateway_id == "P1"
    assert "create second" not in asked


@pytest.mark.parametrize(
    ("answer", "long_ago", "outcome", "state"),
    [
        ("P1", False, "P1", Creation.CREATED),
        (NotFound("none"), False, OutcomeUnknown, Creation.UNKNOWN),
        (GatewayError("down"), False, OutcomeUnknown, Creation.UNKNOWN),
        (None, True, Refused, Creation.REFUSED),
    ],
)
def test_a_refusal_after_an_unknown_outcome_may_mean_that_the_gateway_has_it(
    route: Any, ledger: Ledger, order: Order, answer: Any, long_ago: bool, outcome: Any, state: Creation
) -> None:
    """Some say so of an order number that is taken; it is believed once what was lost cannot arrive any more."""
    checkout, asked = route([OutcomeUnknown("lost"), NotFound("none"), Refused("duplicate order number"), answer], [])
    with pytest.raises(OutcomeUnknown):
        checkout.start("first", order)
    if long_ago:
        lost_long_ago(ledger)
    if isinstance(outcome, str):
        assert checkout.start("first", order).gateway_id == outcome
    else:
        with pytest.raises(outcome):
            checkout.start("first", order)
    assert creation_of(ledger, "first") is state
    assert asked.count("query first") == (1 if long_ago else 2)
    row = ledger._store.find("first", order.reference)
    assert row is not None
    assert row.lease is None


def test_a_slow_gateway_and_an_impatient_payer_make_no_order_payable_twice(route: Any, routed: Order) -> None:
    """Lost, not found, busy, not found: what was lost arrives last."""
    closed = AccountRefused("busy")
    nothing = NotFound("none")
    checkout, asked = route([OutcomeUnknown("lost"), nothing, closed, nothing, nothing, closed, nothing], ["P2"])
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            checkout.start("any", routed)
    assert "create second" not in asked


def interrupted(checkout: Checkout, account: str, meanwhile: Callable[[], object]) -> None:
    """Lets something happen before the answer of ``account`` is heard, once."""
    do = checkout._do

    def act(step: Any) -> object:
        if isinstance(step, Ask) and step.account == account:
            checkout._do = do  # type: ignore[method-assign]
            meanwhile()
        return do(step)

    checkout._do = act  # type: ignore[method-assign]


def test_a_route_ends_where_a_message_has_made_the_order_paid(route: Any, ledger: Ledger, routed: Order) -> None:
    """The first account says that it is unavailable, and has taken the order all the same."""
    checkout, asked = route([UNAVAILABLE], ["P2"])
    paid_row = update(payments).values(creation="created", status="paid", version=payments.c.version + 1)
    interrupted(checkout, "first", lambda: ledger.write(lambda c: c.execute(paid_row)))
    assert checkout.start("any", routed).status is PaymentStatus.PAID
    assert asked == ["create first"]


def test_a_start_that_slept_past_its_lease_goes_no_further_along_the_route(
    route: Any, ledger: Ledger, routed: Order
) -> None:
    """Someone else has begun at the first account meanwhile, and was accepted."""
    checkout, asked = route([NotFound("none"), "P1", NotSent("unreachable")], ["P2"])

    def overtake() -> None:
        ledger.write(lambda c: c.execute(update(payments).values(lease_until=None)))
        assert checkout.start("any", routed).gateway_id == "P1"

    interrupted(checkout, "first", overtake)
    assert checkout.start("any", routed).gateway_id == "P1"
    assert "create second" not in asked


def test_a_start_that_was_stopped_for_longer_than_its_lease_sends_nothing(
    open_checkout: Callable[..., Any],
    gateway: Any,
    platform: Any,
    order: Order,
    late: Callable[[float], None],
    ledger: Ledger,
) -> None:
    """Others may have begun meanwhile. It was not sent, so it can be started again."""
    answers = gateway(platform.create_reply())
    checkout = open_checkout(answers)
    late(8 * 15 + 10 + 1)
    with pytest.raises(NotSent, match="the time for this call is over"):
        checkout.start("shop", order)
    assert (asked(answers), creation_of(ledger)) == ([], Creation.NOT_SENT)
    late(0)
    checkout.start("shop", order)
    assert asked(answers) == ["POST"]


def leases(ledger: Ledger) -> list[str]:
    """Which rows are still leased."""
    rows = [ledger._store.find(stored.payment.account, stored.payment.reference) for stored in ledger.payments()]
    return [row.account for row in rows if row is not None and row.lease is not None]


def failing(checkout: Checkout, number: int) -> None:
    """Lets the ``number``-th transaction fail, as a database does that is gone for a moment, but for the very last."""
    do, counted = checkout._do, itertools.count(1)

    def fail(step: Any) -> object:
        last = getattr(getattr(step, "body", None), "__name__", "") == "release"
        if isinstance(step, Write | Record) and not last and next(counted) == number:
            raise LedgerError("gone for a moment")
        return do(step)

    checkout._do = fail  # type: ignore[method-assign]


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize(
    "first", [["P1"], [NotSent("unreachable")], [Refused("no")], [UNAVAILABLE], [OutcomeUnknown("lost")]]
)
def test_a_start_that_has_ended_leaves_no_lease(
    route: Any, ledger: Ledger, routed: Order, first: list[Any], number: int
) -> None:
    """However it ended, and whichever transaction failed on the way: the next one need not wait."""
    checkout, _asked = route(list(first), ["P2"])
    failing(checkout, number)
    with suppress(PayhubError):
        checkout.start("any", routed)
    assert leases(ledger) == []


def test_a_handler_that_fails_while_starting_holds_up_nobody(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order, shop: Any, caplog: Any
) -> None:
    """The payer goes on; what failed is logged, and the row can be asked about at once."""

    def fail(_transition: Transition, _connection: object) -> None:
        raise RuntimeError("out of stock")

    shop.fails = fail
    answers = gateway(LOST, platform.query_reply(pay_status=1))
    checkout = open_checkout(answers, handler=shop.handle)
    with pytest.raises(OutcomeUnknown):
        checkout.start("shop", order)
    checkout.start("shop", order)
    assert "out of stock" in caplog.text
    assert leases(ledger) == []


def test_a_closed_hub_leaves_the_reference_free(ledger: Ledger, order: Order, route: Any) -> None:
    """Nothing was sent."""
    checkout, _asked = route(["P1"], [])
    checkout.hub.close()
    with pytest.raises(PayhubError, match="closed"):
        checkout.start("first", order)
    assert ledger.payments() == []


def test_routes_in_opposite_directions_keep_nobody_waiting(ledger: Ledger, routed: Order) -> None:
    """Two that meet on the way wait for each other neither for ever nor in the database."""
    asked: list[str] = []
    accounts = {
        name: Scripted.model_construct(name=name, outcomes=[UNAVAILABLE] * 1000, asked=asked, timeout=0.5)
        for name in ("a", "b")
    }
    checkout = Checkout(Hub(accounts, client=CLIENT), ledger, routes={"there": ["a", "b"], "back": ["b", "a"]})
    orders = [routed.model_copy(update={"reference": f"D{n}"}) for n in range(10)]

    def start(number: int) -> str:
        try:
            checkout.start(("there", "back")[number % 2], orders[number // 4])
        except PayhubError as error:
            return type(error).__name__
        return "started"

    with ThreadPoolExecutor(4) as threads:
        ends = set(threads.map(start, range(40)))
    assert ends <= {"AccountRefused", "OutcomeUnknown"}
    assert leases(ledger) == []


def test_an_order_found_after_a_long_time_is_asked_about_again(
    route: Any, ledger: Ledger, order: Order, make_due: Callable[[], None]
) -> None:
    """Over a week old, it is known to exist only now."""
    checkout, _asked = route([OutcomeUnknown("lost"), "P1", "P1"], [])
    with pytest.raises(OutcomeUnknown):
        checkout.start("first", order)
    long_ago = datetime.now(UTC) - timedelta(days=30)
    ledger.write(lambda c: c.execute(update(payments).values(created_at=long_ago, next_check_at=None)))
    assert checkout.start("first", order).gateway_id == "P1"
    make_due()
    assert checkout.reconcile().asked == 1


@pytest.mark.parametrize("failure", [OutcomeUnknown("lost"), Refused("no")])
def test_a_failure_that_could_not_be_written_down_is_still_told_as_it_is(
    ledger: Ledger, route: Any, order: Order, failure: Exception
) -> None:
    """Whoever is told that the database failed would take it for not sent."""
    checkout, _asked = route([failure], [])
    lose_the_history(checkout, ledger, Ask)
    with pytest.raises(type(failure)):
        checkout.start("first", order)
    assert creation_of(ledger, "first") is Creation.STARTING


def test_an_account_that_has_another_provider_now_is_not_asked_about_the_old_ones_orders(
    route: Any, ledger: Ledger, order: Order
) -> None:
    """Neither by starting nor by refreshing."""
    checkout, asked = route([OutcomeUnknown("lost")], [])
    with pytest.raises(OutcomeUnknown):
        checkout.start("first", order)
    ledger.write(lambda c: c.execute(text("UPDATE payhub_payments SET provider = 'former'")))
    with pytest.raises(ConfigError, match=r"'former'.*the old one its name back"):
        checkout.start("first", order)
    with pytest.raises(ConfigError, match="'former'"):
        checkout.refresh("first", order.reference)
    assert asked == ["create first"]


def test_a_broken_plugin_stops_only_its_own_account_of_a_route(ledger: Ledger, routed: Order) -> None:
    """The route goes along the others; alone, it is the error that is raised."""
    asked: list[str] = []
    works = Scripted.model_construct(name="works", outcomes=["P1"], asked=asked, timeout=1.0)
    accounts = Accounts({"broken": ConfigError("cannot be imported", account="broken"), "works": works})  # type: ignore[dict-item]
    checkout = Checkout(Hub(accounts), ledger, routes={"any": ["broken", "works"]})
    assert checkout.start("any", routed).account == "works"
    with pytest.raises(ConfigError, match="cannot be imported"):
        checkout.start("broken", routed)


def test_whoever_waits_for_another_start_waits_no_longer_than_the_time_out(ledger: Ledger, order: Order) -> None:
    """And is told to come again: the other one may be dead."""
    provider = Scripted.model_construct(name="shop", outcomes=[], asked=[], timeout=0.2)
    now = datetime.now(UTC)
    until = now + timedelta(hours=1)
    ledger.write(lambda c: changes.insert(c, "shop", "scripted", order, lease="other", until=until, now=now))
    checkout, waited = Checkout(Hub({"shop": provider}), ledger), 0.0
    do = checkout._do

    def watch(step: Any) -> object:
        nonlocal waited
        waited += getattr(step, "seconds", 0.0)
        return do(step)

    checkout._do = watch  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match=r"another start.*in a moment"):
        checkout.start("shop", order)
    assert 0.2 <= waited < 0.4
