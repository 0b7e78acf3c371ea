"""Reconciliation: what no callback settles, asking does, without hurry and without holding anything up."""

from __future__ import annotations

import functools
import os
import signal
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest
from sqlalchemy import text, update

from payhub_core import (
    AccountRefused,
    Callback,
    ConfigError,
    GatewayError,
    Hub,
    NotFound,
    Notification,
    Order,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    WrongOrder,
    hookimpl,
    load_accounts,
)
from payhub_core.checkout import Checkout
from payhub_core.checkout.reconciliation import Progress, Summary
from payhub_core.ledger import Creation, Ledger, Transition, changes, schedule
from payhub_core.ledger.tables import payments
from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess, Settings


class Platforms:
    """A gateway that takes every order; a query says what ``status`` says, ``broken`` appids get no answer."""

    def __init__(self, platform: Any) -> None:
        self.platform = platform
        self.status: dict[str, int] = {}
        self.broken: set[str] = set()
        self.unreadable: set[str] = set()
        self.lost_creates = False
        self.queries: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        fields = dict(httpx.QueryParams(request.content.decode() or request.url.query.decode()))
        reference = fields["order_no"]
        reply: httpx.Response
        if request.method == "POST":
            if self.lost_creates:
                raise httpx.ReadTimeout("lost")
            reply = self.platform.create_reply(order_no=reference, platform_order_no=f"P{reference}")
            return reply
        self.queries.append((fields["appid"], reference))
        if fields["appid"] in self.broken:
            raise httpx.ConnectError("down")
        status: Any = [] if reference in self.unreadable else self.status.get(reference, -1)
        reply = self.platform.query_reply(order_no=reference, platform_order_no=f"P{reference}", pay_status=status)
        return reply


@pytest.fixture
def platforms(platform: Any) -> Platforms:
    return Platforms(platform)


@pytest.fixture
def till(open_checkout: Callable[..., Any], platforms: Platforms, settings: dict[str, Any], shop: Any) -> Any:
    """Two accounts at that gateway."""
    accounts = {"shop": settings, "other": {**settings, "appid": "gpu10000001"}}
    return open_checkout(platforms, accounts=accounts, handler=shop.handle)


def test_an_order_whose_notifies_were_all_lost_is_settled_once(
    till: Any, ledger: Ledger, shop: Any, platforms: Platforms, order: Order, make_due: Callable[[], None]
) -> None:
    """And then never asked about again."""
    till.start("shop", order)
    platforms.status["A1001"] = 1
    make_due()
    assert till.reconcile() == Summary(asked=1, changed=1, paid=1)
    make_due()
    assert till.reconcile() == Summary()
    assert shop.delivered == ["shop/A1001/paid"]
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert stored.payment.paid == order.amount


def test_a_pass_begins_nothing_after_its_time(
    till: Any, platforms: Platforms, order: Order, make_due: Callable[[], None]
) -> None:
    """Or a slow account, however few its answers, would keep the next pass of all others waiting."""
    till.start("shop", order)
    make_due()
    assert till.reconcile(time_limit=timedelta(0)) == Summary(due=1)
    assert platforms.queries == []
    assert till.reconcile(time_limit=timedelta(minutes=1)).asked == 1
    for seconds in (30, 0):
        with pytest.raises(ConfigError, match="time_limit: expected a timedelta, not int"):
            till.reconcile(time_limit=seconds)


def test_an_order_is_settled_once_where_the_gateway_has_given_up_resending(
    ledger: Ledger,
    shop: Any,
    certificate: tuple[str, str],
    make_order: Callable[..., Order],
    make_due: Callable[[], None],
) -> None:
    """A real gateway that sends its notify six times to a shop that is not there, and then no more."""
    certfile, keyfile = certificate
    gone = "http://127.0.0.1:9/shop/notify"
    impatient = Settings(certfile=certfile, keyfile=keyfile, resends=5, resend_interval=0.05)
    appid, merchant = next(iter(PUBLIC_MERCHANTS.items()))
    with (
        SandboxProcess(impatient) as gateway,
        httpx.Client(verify=ssl.create_default_context(cafile=certfile)) as client,
    ):
        account = {"provider": "gpu", "base_url": gateway.url, "appid": appid, "secret": merchant.secret}
        hub = Hub(load_accounts({"accounts": {"shop": account}}), client=client)
        checkout = Checkout(hub, ledger, handler=shop.handle)
        payment = checkout.start("shop", make_order(notify_url=gone, return_url=gone))
        gateway.pay(payment.gateway_id)
        deadline = time.monotonic() + 30
        while len(gateway.deliveries(payment.gateway_id or "")) < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [delivery["acknowledged"] for delivery in gateway.deliveries(payment.gateway_id or "")] == [False] * 6
        assert shop.delivered == []
        make_due()
        assert checkout.reconcile().paid == 1
        make_due()
        assert checkout.reconcile().asked == 0
    assert shop.delivered == ["shop/A1001/paid"]


def test_orders_whose_replies_cannot_be_read_hold_up_no_other(
    till: Any, ledger: Ledger, platforms: Platforms, platform: Any, make_order: Callable[..., Order], make_due: Any
) -> None:
    """A field that makes no sense is about its order; a page instead of a reply would be about the account."""
    for number in range(6):
        till.start("shop", make_order(reference=f"A{number}"))
        platforms.unreadable.add(f"A{number}")
    make_due()
    till.start("shop", make_order(reference="B1"))
    platforms.status["B1"] = 1
    ledger.write(lambda c: c.execute(text("UPDATE payhub_payments SET next_check_at = created_at")))
    summary = till.reconcile(rate=1000)
    assert (summary.asked, summary.paid, summary.unanswered) == (7, 1, 6)


def test_an_unknown_outcome_is_resolved_by_asking(
    till: Any, ledger: Ledger, platforms: Platforms, order: Order, make_due: Callable[[], None]
) -> None:
    """The create's answer was lost; the gateway has the order."""
    platforms.lost_creates = True
    with pytest.raises(GatewayError):
        till.start("shop", order)
    make_due()
    till.reconcile()
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert stored.creation is Creation.CREATED


def test_nothing_is_asked_before_it_is_due(till: Any, platforms: Platforms, order: Order) -> None:
    """A fresh order has half a minute for its notify."""
    till.start("shop", order)
    assert till.reconcile() == Summary()
    assert platforms.queries == []


def test_young_orders_are_left_out(till: Any, platforms: Platforms, order: Order, make_due: Callable[[], None]) -> None:
    """With older_than."""
    till.start("shop", order)
    make_due()
    assert till.reconcile(older_than=timedelta(hours=1)) == Summary()
    assert till.reconcile(older_than=timedelta(0)).asked == 1


def test_a_pending_order_is_asked_about_less_and_less_often(
    till: Any, ledger: Ledger, order: Order, make_due: Callable[[], None]
) -> None:
    """The pause doubles."""
    till.start("shop", order)
    pauses = []
    for _ in range(4):
        make_due()
        assert till.reconcile().asked == 1
        stored = ledger.payment("shop", "A1001")
        assert stored is not None
        assert stored.next_check_at is not None
        pauses.append(round((stored.next_check_at - datetime.now(UTC)).total_seconds() / 30))
    assert pauses == [2, 4, 8, 16]


def test_after_a_week_nobody_asks_any_more(
    till: Any, ledger: Ledger, order: Order, make_due: Callable[[], None]
) -> None:
    """Unless by hand."""
    till.start("shop", order)
    ledger.write(
        lambda c: c.execute(text("UPDATE payhub_payments SET created_at = '2020-01-01T00:00:00.000000+00:00'"))
    )
    ledger.write(lambda c: c.execute(update(payments).values(attempts=9)))
    make_due()
    assert till.reconcile().asked == 1
    make_due()
    assert till.reconcile().asked == 0
    assert till.refresh("shop", "A1001").status is PaymentStatus.PENDING


def test_an_order_that_only_looks_old_is_asked_about_ten_times_all_the_same(
    till: Any, ledger: Ledger, order: Order, make_due: Callable[[], None]
) -> None:
    """No pass was made for a week, or one was made while the clock was wrong."""
    till.start("shop", order)
    ledger.write(lambda c: c.execute(update(payments).values(created_at=datetime.now(UTC) - timedelta(days=8))))
    asked = 0
    for _ in range(12):
        make_due()
        asked += till.reconcile().asked
    assert asked == 10


def test_what_a_wrong_clock_has_put_off_is_asked_about_after_the_longest_pause(
    till: Any, ledger: Ledger, order: Order
) -> None:
    """A pass brings it back; a pause that may be is left as it is."""
    till.start("shop", order)
    now = datetime.now(UTC)
    for put_off, kept in ((timedelta(days=8), timedelta(days=1)), (timedelta(hours=17), timedelta(hours=17))):
        ledger.write(lambda c, at=now + put_off: c.execute(update(payments).values(next_check_at=at)))
        till.reconcile()
        stored = ledger.payment("shop", "A1001")
        assert stored is not None
        assert stored.next_check_at is not None
        assert abs(stored.next_check_at - now - kept) < timedelta(minutes=5)


def test_a_lease_of_a_wrong_clock_is_ended(till: Any, ledger: Ledger, order: Order, make_due: Any) -> None:
    """Or the order could neither be asked about nor started again until then."""
    till.start("shop", order)
    make_due()
    for taken, asked in ((timedelta(days=8), 1), (timedelta(hours=1), 0)):
        make_due()
        lease = {"lease": "lost", "lease_until": datetime.now(UTC) + taken}
        ledger.write(lambda c, lease=lease: c.execute(update(payments).values(lease)))
        assert till.reconcile().asked == asked


def test_a_failing_account_does_not_hold_up_the_others(
    till: Any, platforms: Platforms, make_order: Callable[..., Order], make_due: Callable[[], None]
) -> None:
    """After three failures in a row it is left alone for the pass."""
    for number in range(8):
        till.start("shop", make_order(reference=f"A{number}"))
        till.start("other", make_order(reference=f"B{number}"))
        platforms.status[f"B{number}"] = 1
    platforms.broken.add("gpu10000000")
    make_due()
    summary = till.reconcile(rate=1000)
    assert (summary.asked, summary.paid, summary.unanswered) == (11, 8, 3)
    assert list(summary.errors) == ["shop"]
    assert "could not reach" in summary.errors["shop"]
    assert len({reference for appid, reference in platforms.queries if appid == "gpu10000000"}) == 3


class Asked:
    """A provider that takes every order, and whose query answers as it is told."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="asked", identity=(), currencies=frozenset({"CNY"}), methods=frozenset(PaymentMethod)
    )
    timeout = 0.5

    def __init__(self, answer: Payment | Exception) -> None:
        self.answer = answer
        self.queries: list[tuple[str, datetime | None]] = []

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        action = Redirect(url="https://gateway.example/pay")
        return Payment(
            reference=order.reference, status=PaymentStatus.PENDING, next_action=action, expires_at=IN_AN_HOUR
        )

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        raise AssertionError

    @hookimpl
    def query(self, reference: str, created_at: datetime | None) -> Payment:
        self.queries.append((reference, created_at))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer.model_copy(update={"reference": reference})


IN_AN_HOUR = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


def test_an_account_that_its_gateway_refuses_is_left_alone_at_once(
    ledger: Ledger, make_order: Callable[..., Order], make_due: Callable[[], None]
) -> None:
    """The next payment would be refused as well; whoever operates it is told what to look at."""
    provider = Asked(AccountRefused("invalid key"))
    checkout = Checkout(Hub({"shop": provider}), ledger)
    for number in range(5):
        checkout.start("shop", make_order(reference=f"A{number}"))
    make_due()
    summary = checkout.reconcile(rate=1000)
    assert (summary.asked, summary.unanswered, len(provider.queries)) == (1, 1, 1)
    assert (
        "the gateway refuses the account: invalid key. Hint: see whether its key was revoked"
        in (summary.errors["shop"])
    )
    with pytest.raises(AccountRefused):
        checkout.refresh("shop", "A4")
    provider.answer = AccountRefused("too many requests", hint="wait a minute")
    make_due()
    assert checkout.reconcile().errors["shop"].endswith("too many requests. Hint: wait a minute")


def test_an_authorized_payment_is_asked_about_until_it_is_paid(
    ledger: Ledger, order: Order, make_due: Callable[[], None]
) -> None:
    """Nothing was received yet; the query is told when the order was sent."""
    provider = Asked(Payment(reference="", status=PaymentStatus.AUTHORIZED, paid=order.amount))
    checkout = Checkout(Hub({"shop": provider}), ledger)
    checkout.start("shop", order)
    make_due()
    assert checkout.reconcile() == Summary(asked=1, changed=1)
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert (stored.payment.status, stored.payment.paid) == (PaymentStatus.AUTHORIZED, None)
    assert provider.queries == [("A1001", stored.payment.created_at)]
    provider.answer = Payment(reference="", status=PaymentStatus.PAID)
    make_due()
    assert checkout.reconcile() == Summary(asked=1, changed=1, paid=1)
    assert [transition.status for transition in ledger.outbox()] == [PaymentStatus.AUTHORIZED, PaymentStatus.PAID]


def test_until_when_a_payment_can_be_made_is_stored_with_it(ledger: Ledger, order: Order) -> None:
    """As what the payer does next, and for as long."""
    checkout = Checkout(Hub({"shop": Asked(Payment(reference="", status=PaymentStatus.PENDING))}), ledger)
    assert checkout.start("shop", order).expires_at == IN_AN_HOUR
    checkout.refresh("shop", "A1001")
    again = checkout.start("shop", order)
    assert (again.expires_at, again.next_action) == (IN_AN_HOUR, Redirect(url="https://gateway.example/pay"))


def test_an_order_that_the_gateway_does_not_know_is_no_failing_account(
    open_checkout: Callable[..., Any],
    platform: Any,
    make_order: Callable[..., Order],
    ledger: Ledger,
    make_due: Callable[[], None],
) -> None:
    """Not found is an answer; the others are asked all the same."""

    def answers(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            raise httpx.ReadTimeout("lost")
        return platform.reply(None, status=0, message="订单不存在")  # type: ignore[no-any-return]

    checkout = open_checkout(answers)
    for number in range(5):
        with pytest.raises(GatewayError):
            checkout.start("shop", make_order(reference=f"A{number}"))
    make_due()
    assert checkout.reconcile(rate=1000) == Summary(asked=5)
    stored = ledger.payment("shop", "A0")
    assert stored is not None
    assert stored.creation is Creation.UNKNOWN
    with pytest.raises(NotFound):
        checkout.refresh("shop", "A0")


def test_a_pass_is_limited_and_reports_its_progress(
    till: Any, make_order: Callable[..., Order], make_due: Callable[[], None]
) -> None:
    """One report for each payment asked about."""
    for number in range(5):
        till.start("shop", make_order(reference=f"A{number}"))
    make_due()
    seen: list[Progress] = []
    assert till.reconcile(limit=3, rate=1000, progress=seen.append).asked == 3
    assert [(step.account, step.status, step.error, step.due) for step in seen] == [
        ("shop", PaymentStatus.PENDING, "", 5)
    ] * 3


@pytest.mark.parametrize(
    ("options", "reason"), [({"rate": 0}, "a rate above zero"), ({"limit": -1}, "a limit of zero")]
)
def test_a_pass_that_could_not_go_on_is_refused(till: Any, options: dict[str, Any], reason: str) -> None:
    """At the call, not half-way."""
    with pytest.raises(ConfigError, match=f"expected {reason}"):
        till.reconcile(**options)


def test_an_account_that_is_no_longer_configured_is_reported(
    till: Any, open_checkout: Callable[..., Any], platforms: Platforms, order: Order, make_due: Callable[[], None]
) -> None:
    """Its orders stay as they are."""
    till.start("other", order)
    make_due()
    summary = open_checkout(platforms).reconcile()
    assert summary.asked == 0
    assert "no account 'other'" in summary.errors["other"]


def test_a_leased_payment_is_left_to_whoever_holds_it(
    till: Any, ledger: Ledger, platforms: Platforms, order: Order, make_due: Callable[[], None]
) -> None:
    """Until the lease is over."""
    till.start("shop", order)
    make_due()
    held = ledger.write(
        lambda c: schedule.claim(c, "shop", lease="mine", lease_time=timedelta(hours=1), older_than=timedelta(0))
    )
    assert held is not None
    assert till.reconcile().asked == 0
    make_due()
    assert till.reconcile().asked == 1


def test_refresh_asks_now(till: Any, shop: Any, platforms: Platforms, order: Order) -> None:
    """And runs the handler; an order not started here is WrongOrder."""
    till.start("shop", order)
    assert till.refresh("shop", "A1001").status is PaymentStatus.PENDING
    platforms.status["A1001"] = 1
    assert till.refresh("shop", "A1001").status is PaymentStatus.PAID
    assert shop.delivered == ["shop/A1001/paid"]
    with pytest.raises(WrongOrder):
        till.refresh("shop", "A9999")


@pytest.mark.parametrize("answers", [True, False])
def test_a_payer_who_looks_again_and_again_puts_no_pass_off(
    till: Any, ledger: Ledger, platforms: Platforms, order: Order, make_due: Callable[[], None], answers: bool
) -> None:
    """Whether the gateway answers or not; where it is due, a look is its turn."""

    def schedule() -> tuple[int, datetime | None]:
        stored = ledger.payment("shop", "A1001")
        assert stored is not None
        return stored.attempts, stored.next_check_at

    till.start("shop", order)
    started = schedule()
    if not answers:
        platforms.unreadable.add("A1001")
    for _ in range(12):
        with suppress(GatewayError):
            till.refresh("shop", "A1001")
    assert schedule() == started
    make_due()
    with suppress(GatewayError):
        till.refresh("shop", "A1001")
    attempts, later = schedule()
    assert attempts == 1
    assert later is not None
    assert timedelta(seconds=50) < later - datetime.now(UTC) < timedelta(minutes=1)


def test_a_payer_who_looks_again_and_again_fills_no_history(
    till: Any, ledger: Ledger, platforms: Platforms, order: Order, make_due: Callable[[], None]
) -> None:
    """What the gateway repeats is kept once, and once more for each turn; another word is kept."""

    def said() -> list[str]:
        return [item.said for item in ledger.history("shop", "A1001") if item.source == "query"]

    till.start("shop", order)
    platforms.status["A1001"] = 0
    for _ in range(5):
        till.refresh("shop", "A1001")
    assert said() == ["failed"]
    make_due()
    till.reconcile()
    till.refresh("shop", "A1001")
    assert said() == ["failed", "failed"]
    platforms.status["A1001"] = 1
    till.refresh("shop", "A1001")
    assert said() == ["failed", "failed", "paid"]


def aged(ledger: Ledger, **age: float) -> None:
    """Lets every order have been started so long ago."""
    then = datetime.now(UTC) - timedelta(**age)
    ledger.write(lambda c: c.execute(update(payments).values(created_at=then)))


def test_an_order_that_is_asked_about_before_it_is_paid_is_no_failed_one(
    till: Any, ledger: Ledger, shop: Any, platforms: Platforms, order: Order
) -> None:
    """The gateway says 0 of all that is unpaid: a payer is shown that at once, the handler hears of the payment."""
    till.start("shop", order)
    platforms.status["A1001"] = 0
    asked = till.refresh("shop", "A1001")
    assert (asked.status, asked.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.FAILED)
    platforms.status["A1001"] = 1
    till.refresh("shop", "A1001")
    assert shop.delivered == ["shop/A1001/paid"]
    assert ledger.anomalies() == []


def test_an_old_order_that_the_gateway_calls_failed_is_failed(
    till: Any, shop: Any, ledger: Ledger, platforms: Platforms, order: Order
) -> None:
    """After a day; a payment that comes after all contradicts what the handler was told."""
    till.start("shop", order)
    platforms.status["A1001"] = 0
    aged(ledger, hours=23)
    assert till.refresh("shop", "A1001").status is PaymentStatus.PENDING
    aged(ledger, hours=25)
    assert till.refresh("shop", "A1001").status is PaymentStatus.FAILED
    assert shop.delivered == ["shop/A1001/failed"]
    platforms.status["A1001"] = 1
    assert till.refresh("shop", "A1001").status is PaymentStatus.PAID
    assert shop.delivered == ["shop/A1001/failed", "shop/A1001/paid", "shop/A1001/paid_after_failed"]


@pytest.mark.parametrize(("failed_after", "status"), [(60, PaymentStatus.FAILED), (7200, PaymentStatus.PENDING)])
def test_the_account_sets_the_age_of_a_failed_order(
    open_checkout: Callable[..., Any],
    platforms: Platforms,
    settings: dict[str, Any],
    ledger: Ledger,
    order: Order,
    failed_after: float,
    status: PaymentStatus,
) -> None:
    """In seconds."""
    checkout = open_checkout(platforms, accounts={"shop": {**settings, "failed_after": failed_after}})
    checkout.start("shop", order)
    platforms.status["A1001"] = 0
    aged(ledger, hours=1)
    assert checkout.refresh("shop", "A1001").status is status


def test_a_handler_that_fails_while_asking_raises_to_whoever_asked(
    till: Any, shop: Any, platforms: Platforms, order: Order, make_due: Callable[[], None], caplog: Any
) -> None:
    """A pass says which order it was and goes on; nothing is recorded."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    till.start("shop", order)
    platforms.status["A1001"] = 1
    shop.fails = fail
    with pytest.raises(ZeroDivisionError):
        till.refresh("shop", "A1001")
    make_due()
    summary = till.reconcile()
    assert (summary.asked, summary.unanswered, summary.handler_failed) == (1, 0, 1)  # the gateway has answered
    error = summary.errors["shop"]
    assert error.startswith("[account shop, order A1001] the handler raised ZeroDivisionError")
    assert "in fail" in caplog.text  # with the traceback
    assert shop.delivered == []
    shop.fails = None
    make_due()
    assert till.reconcile().paid == 1
    assert shop.delivered == ["shop/A1001/paid"]


def test_a_handler_that_always_fails_keeps_no_other_payment_waiting(
    till: Any,
    ledger: Ledger,
    shop: Any,
    platforms: Platforms,
    make_order: Callable[..., Order],
    make_due: Callable[[], None],
) -> None:
    """However small the limit: whoever failed is asked about later and later."""
    for number in range(3):
        till.start("shop", make_order(reference=f"A{number}"))
        platforms.status[f"A{number}"] = 1

    def fail(transition: Transition, _connection: object) -> None:
        if transition.reference != "A2":
            raise ZeroDivisionError

    shop.fails = fail
    make_due()
    for _ in range(3):
        till.reconcile(limit=1)
    assert sorted(reference for _appid, reference in platforms.queries) == ["A0", "A1", "A2"]
    assert shop.delivered == ["shop/A2/paid"]
    assert [stored.attempts for stored in ledger.payments()] == [1, 1, 1]


@pytest.mark.parametrize("kind", [ZeroDivisionError, ConfigError])
def test_a_handler_that_always_fails_is_a_line_for_each_payment_and_one_traceback(
    till: Any,
    shop: Any,
    platforms: Platforms,
    make_order: Callable[..., Order],
    make_due: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
    kind: type[Exception],
) -> None:
    """In each pass, for each account and type; an error of payhub's is the handler's as well where it raised that."""

    def fail(transition: Transition, _connection: object) -> None:
        raise kind("out of stock")

    for number in range(5):
        till.start("shop", make_order(reference=f"A{number}"))
        platforms.status[f"A{number}"] = 1
    shop.fails = fail
    for _ in range(2):
        make_due()
        caplog.clear()
        summary = till.reconcile(rate=1000)
        assert (summary.asked, summary.unanswered, summary.handler_failed, summary.due) == (5, 0, 5, 0)
        assert sorted(record.getMessage() for record in caplog.records) == [
            f"[account shop, order A{number}] the handler failed: {kind.__name__}: out of stock" for number in range(5)
        ]
        assert [bool(record.exc_info) for record in caplog.records] == [True, False, False, False, False]


def test_whoever_watches_does_not_stop_the_work(
    till: Any, make_order: Callable[..., Order], make_due: Callable[[], None]
) -> None:
    """A progress bar that fails is logged."""
    for number in range(3):
        till.start("shop", make_order(reference=f"A{number}"))
    make_due()
    assert till.reconcile(rate=1000, progress=lambda _step: 1 / 0).asked == 3


def test_an_account_with_nothing_left_uses_nothing_of_the_limit(
    till: Any, make_order: Callable[..., Order], make_due: Callable[[], None]
) -> None:
    """As many are asked about as are due and allowed."""
    till.start("other", make_order(reference="B"))
    for number in range(5):
        till.start("shop", make_order(reference=f"A{number}"))
    make_due()
    assert till.reconcile(limit=6, rate=1000).asked == 6


def test_an_interrupted_pass_begins_nothing_more(
    ledger: Ledger,
    settings: dict[str, Any],
    platforms: Platforms,
    make_order: Callable[..., Order],
    make_due: Callable[[], None],
) -> None:
    """Ctrl-C ends it after what is being asked."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has none
    for number in range(20):
        order, now = make_order(reference=f"A{number}"), datetime.now(UTC)
        insert = functools.partial(changes.insert, account="shop", provider="gpu", order=order, lease="")
        ledger.write(functools.partial(insert, until=now, now=now))
    make_due()

    steps: list[Progress] = []

    def interrupt(step: Progress) -> None:
        steps.append(step)
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with httpx.Client(transport=httpx.MockTransport(platforms)) as client:
        checkout = Checkout(Hub(load_accounts({"accounts": {"shop": settings}}), client=client), ledger)
        with pytest.raises(KeyboardInterrupt):
            checkout.reconcile(rate=10, progress=interrupt)
    signal.signal(signal.SIGINT, before)
    assert 2 <= len(platforms.queries) <= 4


@pytest.mark.parametrize(("status", "claimed"), [(1, "paid"), (0, "failed")])
def test_a_query_over_plain_http_never_settles(
    open_checkout: Callable[..., Any],
    platforms: Platforms,
    settings: dict[str, Any],
    ledger: Ledger,
    shop: Any,
    order: Order,
    status: int,
    claimed: str,
) -> None:
    """Its answer proves nothing, however old the order is; what it claims is kept in the history."""
    accounts = {"shop": {**settings, "base_url": "http://127.0.0.1:8787"}}
    checkout = open_checkout(platforms, accounts=accounts, handler=shop.handle)
    checkout.start("shop", order)
    platforms.status["A1001"] = status
    aged(ledger, days=3)
    asked = checkout.refresh("shop", "A1001")
    assert (asked.status, asked.claimed_status) == (PaymentStatus.PENDING, claimed)
    assert shop.delivered == []
    assert [(item.source, item.said) for item in ledger.history("shop", "A1001")][-1] == ("query", claimed)


def test_a_callback_between_asking_and_recording_is_not_lost(
    open_checkout: Callable[..., Any],
    blocking: Any,
    platform: Any,
    ledger: Ledger,
    shop: Any,
    order: Order,
    paid: Any,
) -> None:
    """Either order, one transition."""

    def answers(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return platform.create_reply()  # type: ignore[no-any-return]
        Checkout(blocking.hub, ledger, handler=shop.handle).receive("shop", paid.notify())
        return platform.query_reply(pay_status=0)  # type: ignore[no-any-return]

    checkout = open_checkout(answers, handler=shop.handle)
    checkout.start("shop", order)
    assert checkout.refresh("shop", "A1001").status is PaymentStatus.PAID
    assert Counter(shop.delivered)["shop/A1001/paid"] == 1


def test_an_order_turns_paid_once_even_where_the_word_paid_was_taken_back(
    till: Any, shop: Any, platforms: Platforms, order: Order, paid: Any
) -> None:
    """The query's bare word, then the notify's short sum, then the rest: ship once."""
    till.start("shop", order)
    platforms.status["A1001"] = 1
    assert till.refresh("shop", "A1001").status is PaymentStatus.PAID
    till.receive("shop", paid.notify(actual_amount="4000", platform_order_no="PA1001"))
    assert till.view("shop", paid.back()).status is PaymentStatus.PARTIALLY_PAID
    till.receive("shop", paid.notify(actual_amount="6000", platform_order_no="P2"))
    assert till.view("shop", paid.back()).status is PaymentStatus.PAID
    assert [name.removeprefix("shop/A1001/") for name in shop.delivered] == [
        "paid",
        "partially_paid",
        "underpaid",
    ]
