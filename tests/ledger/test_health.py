"""Health: the figures of each account, and what of them a person should look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text, update
from tests.checkouts import opening

from payhub_core import AccountRefused, Order
from payhub_core.ledger import AccountHealth, Finding, Ledger
from payhub_core.ledger.tables import observations, payments, transitions


@pytest.fixture
def open_checkout(url: str, ledger: Ledger, settings: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Of one colour: both write the same rows."""
    with opening("Checkout", url, ledger, settings) as open_checkout:
        yield open_checkout


def at(**age: float) -> datetime:
    """The time so long ago."""
    return datetime.now(UTC) - timedelta(**age)


def changed(ledger: Ledger, table: Any, **values: Any) -> None:
    """Sets columns of every row."""
    ledger.write(lambda c: c.execute(update(table).values(values)))


@pytest.fixture
def till(open_checkout: Callable[..., Any], platform: Any, shop: Any) -> Any:
    """Takes orders, and says of each that it is paid when it is asked about."""

    def answer(request: Any) -> Any:
        query = dict(request.url.params)
        if request.method == "GET":
            return platform.query_reply(order_no=query["order_no"], platform_order_no=f"P{query['order_no']}")
        reference = dict(part.split("=") for part in request.content.decode().split("&"))["order_no"]
        return platform.create_reply(order_no=reference, platform_order_no=f"P{reference}")

    return open_checkout(answer, handler=shop.handle)


@pytest.fixture
def start(till: Any, make_order: Callable[..., Order]) -> Callable[..., None]:
    """Starts orders."""

    def start(*references: str) -> None:
        for reference in references:
            till.start("shop", make_order(reference=reference))

    return start


def of_shop(ledger: Ledger) -> AccountHealth:
    """The figures of the only account."""
    (account,) = ledger.health().accounts
    assert account.account == "shop"
    return account


def only(ledger: Ledger) -> str:
    """The one finding, in words."""
    (finding,) = ledger.health().findings
    assert finding.account == "shop"
    assert finding.hint
    return finding.what


def test_a_ledger_in_which_nothing_happened_has_nothing_to_find(ledger: Ledger, open_checkout: Any) -> None:
    """Nor any account; once it was reconciled, there is a last pass."""
    health = ledger.health()
    assert (health.passed_at, health.accounts, health.findings) == (None, (), ())
    open_checkout().reconcile()
    passed = ledger.health().passed_at
    assert passed is not None
    assert datetime.now(UTC) - passed < timedelta(minutes=1)


def test_a_shop_that_is_well_has_figures_and_no_finding(
    till: Any, start: Any, ledger: Ledger, paid: Any, make_due: Callable[[], None]
) -> None:
    """When a notify was heard last, and when the gateway last answered; as JSON in one line."""
    start("A1", "A2")
    till.receive("shop", paid.notify("A1"))
    make_due()
    assert till.reconcile().paid == 1
    found = of_shop(ledger)
    assert found.notified_at is not None
    assert found.answered_at is not None
    assert max(datetime.now(UTC) - time for time in (found.notified_at, found.answered_at)) < timedelta(minutes=1)
    assert (found.paid_by_notify, found.paid_by_query, found.due, found.stuck, found.waiting) == (1, 1, 0, 0, 0)
    assert ledger.health().findings == ()
    assert json.loads(json.dumps(asdict(ledger.health()), default=str))["accounts"][0]["paid_by_notify"] == 1


@pytest.mark.parametrize("creation", ["starting", "unknown"])
def test_an_order_whose_creation_is_not_clear_is_found_after_a_quarter_of_an_hour(
    start: Any, ledger: Ledger, creation: str
) -> None:
    """Not before."""
    start("A1")
    changed(ledger, payments, creation=creation, created_at=at(minutes=14))
    assert ledger.health().findings == ()
    changed(ledger, payments, created_at=at(minutes=16))
    assert only(ledger) == "orders whose creation is not clear after 15 minutes: 1"
    assert of_shop(ledger).stuck == 1


def test_a_gateway_that_takes_no_order_any_more_is_found(
    open_checkout: Callable[..., Any], make_order: Callable[..., Order], platform: Any, ledger: Ledger
) -> None:
    """With its own words; one refusal or two are a payer's, and an order that is taken ends it."""
    answers = [platform.create_reply(order_no="A1"), *[platform.reply([], 0, "签名错误")] * 3, "later"]

    def answer(request: Any) -> Any:
        return answers.pop(0)

    checkout = open_checkout(answer)
    checkout.start("shop", make_order(reference="A1"))
    for count, reference in enumerate(("A2", "A3", "A4"), start=1):
        with pytest.raises(AccountRefused):
            checkout.start("shop", make_order(reference=reference))
        found = of_shop(ledger)
        assert (found.refused, found.refusal) == (count, "the gateway refused the account: 签名错误")
        assert (len(ledger.health().findings) == 1) is (count == 3)
    assert only(ledger).endswith(
        "since the last that the gateway took: 3, the last for: the gateway refused the account: 签名错误"
    )
    answers[:] = [platform.create_reply(order_no="A4")]
    checkout.start("shop", make_order(reference="A4"))
    assert (of_shop(ledger).refused, ledger.health().findings) == (0, ())


def test_that_nobody_asks_is_found(start: Any, ledger: Ledger) -> None:
    """By the order that has been due the longest."""
    start("A1", "A2")
    changed(ledger, payments, next_check_at=at(minutes=9))
    assert (of_shop(ledger).due, ledger.health().findings) == (2, ())
    changed(ledger, payments, next_check_at=at(minutes=11))
    assert only(ledger).startswith("orders that nobody asks about: 2, the first was due at ")


def test_a_gateway_that_gives_no_answer_is_found_until_it_does(
    open_checkout: Any, till: Any, start: Any, ledger: Ledger, platform: Any, gateway: Any, make_due: Any
) -> None:
    """With what went wrong; an order that it does not know is an answer."""
    start("A1")
    make_due()
    open_checkout(gateway(platform.query_reply(pay_status=[]))).reconcile()
    assert only(ledger).startswith("the last pass learnt nothing, at ")
    assert "pay_status" in of_shop(ledger).unanswered
    make_due()
    open_checkout(gateway(platform.reply(None, status=0, message="订单不存在"))).reconcile()
    assert ledger.health().findings == ()


def test_transitions_that_nobody_has_had_are_found(
    open_checkout: Any, accept: Any, order: Order, paid: Any, ledger: Ledger
) -> None:
    """Once they have waited for ten minutes."""
    checkout = open_checkout(accept)
    checkout.start("shop", order)
    checkout.receive("shop", paid.notify())
    assert (of_shop(ledger).waiting, ledger.health().findings) == (1, ())
    changed(ledger, transitions, at=at(minutes=11))
    assert only(ledger).startswith("transitions that no handler has had: 1, the first since ")


def test_a_handler_that_failed_is_found_for_a_day(till: Any, start: Any, shop: Any, paid: Any, ledger: Ledger) -> None:
    """By its orders, however often it failed for each."""
    start("A1", "A2")

    def fail(*_arguments: object) -> None:
        raise RuntimeError

    shop.fails = fail
    for reference in ("A1", "A1", "A2"):
        till.receive("shop", paid.notify(reference))
    assert only(ledger) == "orders whose handler failed in the last day, and has not had them since: 2"
    assert of_shop(ledger).failing_reference == "A2"
    changed(ledger, observations, at=at(hours=25))
    assert ledger.health().findings == ()


@pytest.mark.parametrize("mended", ["notify", "refresh", "deliver"])
def test_a_handler_that_has_had_an_order_since_is_not_found(
    mended: str, till: Any, open_checkout: Any, accept: Any, start: Any, shop: Any, paid: Any, ledger: Ledger
) -> None:
    """What was mended is not told for the rest of the day."""
    start("A1")

    def fail(*_arguments: object) -> None:
        raise RuntimeError

    if mended == "deliver":
        later = open_checkout(accept)
        later.receive("shop", paid.notify("A1"))
        later.deliver(fail)
    else:
        shop.fails = fail
        till.receive("shop", paid.notify("A1"))
    assert of_shop(ledger).failing == 1
    if mended == "deliver":
        changed(ledger, transitions, due_at=at(minutes=1))
        later.deliver(lambda transition: None)
    else:
        shop.fails = lambda *_arguments: None
        till.receive("shop", paid.notify("A1")) if mended == "notify" else till.refresh("shop", "A1")
    assert (of_shop(ledger).failing, ledger.health().findings) == (0, ())


@pytest.mark.parametrize(("later", "failing"), [("10000", 0), ("4000", 1)])
def test_a_handler_that_had_a_copy_of_the_message_is_not_found(
    later: str, failing: int, till: Any, start: Any, shop: Any, paid: Any, ledger: Ledger
) -> None:
    """One that waited for the failed one began before that failed, so its time is the earlier one."""
    start("A1")

    def fail(*_arguments: object) -> None:
        raise RuntimeError

    shop.fails = fail
    till.receive("shop", paid.notify("A1"))
    shop.fails = None
    till.receive("shop", paid.notify("A1", actual_amount=later))
    changed(ledger, transitions, delivered_at=at(minutes=1))
    assert of_shop(ledger).failing == failing


def test_payments_that_are_only_ever_found_by_asking_are_found(
    till: Any, start: Any, ledger: Ledger, paid: Any
) -> None:
    """The gateway does not reach the shop; one notify that did ends it."""
    start("A1", "A2", "A3", "A4")
    for reference in ("A1", "A2"):
        till.refresh("shop", reference)
    assert ledger.health().findings == ()
    till.refresh("shop", "A3")
    assert only(ledger) == "payments were found by asking in the last day: 3, and none by a notify"
    till.receive("shop", paid.notify("A4"))
    assert ledger.health().findings == ()


def test_an_anomaly_is_found_until_it_is_resolved(till: Any, start: Any, paid: Any, ledger: Ledger) -> None:
    """Those of the last day are counted beside."""
    start("A1")
    till.receive("shop", paid.notify("A1", actual_amount="10001"))
    assert only(ledger) == "anomalies that nobody has resolved: 1"
    changed(ledger, transitions, at=at(hours=25))
    assert (of_shop(ledger).anomalies, of_shop(ledger).open_anomalies) == (0, 1)
    ledger.resolve("shop", "A1", by="Li", reason="the payer was told")
    assert (of_shop(ledger).open_anomalies, ledger.health().findings) == (0, ())


def test_a_finding_reads_as_a_line() -> None:
    """With what to do."""
    assert str(Finding("shop", "it is odd", "look")) == "account shop: it is odd. Hint: look"
    assert str(Finding("", "it is odd", "look")) == "it is odd. Hint: look"


def test_what_is_not_clear_is_found_by_index(ledger: Ledger) -> None:
    """Costs by what is not clear, not by what is stored."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    ledger.health()
    event.remove(ledger.engine, "before_cursor_execute", note)
    ((statement, parameters),) = [one for one in asked if "creation" in one[0]]
    explain = "EXPLAIN QUERY PLAN" if ledger.engine.dialect.name == "sqlite" else "EXPLAIN"

    def plan(connection: Connection) -> object:
        if explain == "EXPLAIN":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        return connection.exec_driver_sql(f"{explain} {statement}", parameters).all()

    assert "payhub_payments_unclear_ix" in str(ledger.read(plan))
