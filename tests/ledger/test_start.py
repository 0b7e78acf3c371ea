"""Starting: written down before it is sent, created once, and never again while the outcome is not known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from payhub_core import (
    Callback,
    ConfigError,
    Flow,
    Hub,
    InvalidOrder,
    NotFound,
    Notification,
    NotSent,
    Order,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Refused,
    hookimpl,
)
from payhub_core.checkout import Checkout
from payhub_core.errors import LedgerError
from payhub_core.ledger import Ledger, State, records

UNREACHABLE = httpx.ConnectError("refused")
LOST = httpx.ReadTimeout("no answer")


def state_of(ledger: Ledger, account: str = "shop", reference: str = "A1001") -> State | None:
    stored = ledger.payment(account, reference)
    return None if stored is None else stored.state


def asked(gateway: Any) -> list[str]:
    """What the gateway was asked: POST is a create, GET a query."""
    return [request.method for request in gateway.requests]


def test_an_order_is_written_down_before_the_gateway_hears_of_it(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order
) -> None:
    """While the request is under way, the row is there."""
    seen: list[object] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(state_of(ledger))
        return platform.create_reply()  # type: ignore[no-any-return]

    payment = open_checkout(gateway(answer)).start("shop", order)
    assert seen == [State.STARTING]
    assert state_of(ledger) is State.CREATED
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
    before = ledger.find("shop", "A1001")
    with pytest.raises(InvalidOrder, match="other content"):
        checkout.start("shop", make_order(description="Coffee"))
    assert ledger.find("shop", "A1001") == before
    assert asked(answers) == ["POST"]


def test_an_order_that_was_not_sent_can_be_started_again(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order
) -> None:
    """The gateway cannot know of it, so nobody asks."""
    answers = gateway(*[UNREACHABLE] * 3, platform.create_reply())
    checkout = open_checkout(answers)
    with pytest.raises(NotSent):
        checkout.start("shop", order)
    assert state_of(ledger) is State.NOT_SENT
    assert checkout.start("shop", order).status is PaymentStatus.PENDING
    assert state_of(ledger) is State.CREATED
    assert set(asked(answers)) == {"POST"}


def test_a_refusal_is_kept_with_its_reason(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order
) -> None:
    """And may be tried again, by whoever mended its cause."""
    answers = gateway(platform.reply(None, status=0, message="channel closed"), platform.create_reply())
    checkout = open_checkout(answers)
    with pytest.raises(Refused, match="channel closed"):
        checkout.start("shop", order)
    assert state_of(ledger) is State.REFUSED
    (refusal,) = ledger.history("shop", "A1001")
    assert (refusal.source, refusal.said) == ("create", "refused")
    assert "channel closed" in refusal.raw["reason"]
    checkout.start("shop", order)
    assert state_of(ledger) is State.CREATED


def test_a_lost_answer_is_resolved_by_asking_not_by_sending_again(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order
) -> None:
    """The gateway has it: one create was sent."""
    answers = gateway(LOST, platform.query_reply(pay_status=-1))
    checkout = open_checkout(answers)
    with pytest.raises(OutcomeUnknown):
        checkout.start("shop", order)
    assert state_of(ledger) is State.UNKNOWN
    payment = checkout.start("shop", order)
    assert payment.gateway_id == "P2019081800134100001"
    assert asked(answers) == ["POST", "GET"]
    assert state_of(ledger) is State.CREATED


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
    assert state_of(ledger) is State.UNKNOWN


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
        lambda c: records.insert(c, "shop", "gpu", order, lease="dead", until=now + timedelta(hours=1), now=now)
    )
    assert state_of(ledger) is State.STARTING
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
    assert state_of(ledger) is State.STARTING
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
    assert payment.next_action is not None
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

    from payhub_core import load_accounts  # noqa: PLC0415

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
        name="scripted", title="Scripted", methods=frozenset(), currencies=frozenset({"CNY"})
    )
    name: str
    outcomes: list[Any]
    asked: list[str]
    timeout: float = 1.0

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        self.asked.append(f"create {self.name}")
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Payment(reference=order.reference, gateway_id=outcome, status=PaymentStatus.PENDING)  # type: ignore[return-value]

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
        checkout = Checkout(Hub(accounts), ledger, routes={"any": ["first", "second"]})
        return checkout, asked

    return open_route


UNAVAILABLE = Refused("the channel is closed", unavailable=True)


@pytest.mark.parametrize("failure", [NotSent("unreachable"), UNAVAILABLE])
def test_a_route_tries_the_next_account_where_nothing_is_at_the_first(
    route: Any, ledger: Ledger, order: Order, failure: Exception
) -> None:
    """And remembers which one holds the order."""
    checkout, asked = route([failure], ["P2"])
    assert checkout.start("any", order).account == "second"
    assert checkout.start("any", order).account == "second"
    assert asked == ["create first", "create second"]
    assert state_of(ledger, "first") in {State.NOT_SENT, State.REFUSED}
    assert state_of(ledger, "second") is State.CREATED


@pytest.mark.parametrize("failure", [OutcomeUnknown("lost"), Refused("no such product")])
def test_a_route_ends_where_the_next_account_could_make_it_payable_twice_or_would_refuse_too(
    route: Any, ledger: Ledger, order: Order, failure: Exception
) -> None:
    """OutcomeUnknown above all."""
    checkout, asked = route([failure], ["P2"])
    with pytest.raises(type(failure)):
        checkout.start("any", order)
    assert asked == ["create first"]
    assert ledger.payment("second", order.reference) is None


def test_a_route_asks_the_account_that_may_hold_the_order(route: Any, order: Order) -> None:
    """Not the first one, which it was not sent to."""
    checkout, asked = route([NotSent("unreachable")], [OutcomeUnknown("lost"), "P2"])
    with pytest.raises(OutcomeUnknown):
        checkout.start("any", order)
    assert checkout.start("any", order).gateway_id == "P2"
    assert asked == ["create first", "create second", "query second"]


def test_a_route_creates_again_where_the_answer_was_lost(route: Any, order: Order) -> None:
    """That account does not know the order: it is the one to send it to, not the first."""
    checkout, asked = route([NotSent("unreachable")], [OutcomeUnknown("lost"), NotFound("no such order"), "P2"])
    with pytest.raises(OutcomeUnknown):
        checkout.start("any", order)
    assert checkout.start("any", order).gateway_id == "P2"
    assert asked == ["create first", "create second", "query second", "create second"]


def test_a_route_that_failed_everywhere_starts_over(route: Any, ledger: Ledger, order: Order) -> None:
    """The last account's error is raised; nothing stays leased."""
    checkout, asked = route([NotSent("unreachable"), "P1"], [UNAVAILABLE])
    with pytest.raises(Refused):
        checkout.start("any", order)
    assert checkout.start("any", order).account == "first"
    assert asked == ["create first", "create second", "create first"]
    assert all(
        row is not None and row.lease is None for row in (ledger.find("first", "A1001"), ledger.find("second", "A1001"))
    )


@pytest.mark.parametrize(
    ("routes", "reason"),
    [
        ({"first": ["second"]}, "account of that name"),
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
