"""Refunds and closing: paid back once, never more than was received, and written down before the gateway hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import httpx
import hypothesis.strategies as st
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from sqlalchemy import text
from tests.checkouts import lose_the_history

from payhub_core import (
    AccountRefused,
    AsyncHub,
    Callback,
    CallbackKind,
    ConfigError,
    Flow,
    Hub,
    InvalidOrder,
    LedgerError,
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
    Refund,
    RefundStatus,
    Refused,
    Request,
    Unsupported,
    hookimpl,
)
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.checkout.steps import Close, Record, SendRefund
from payhub_core.cli.commands import payhub
from payhub_core.ledger import Ledger, Transition, changes, verdicts

FORTY, SIXTY, HUNDRED = (Money.of(sum_, "CNY") for sum_ in ("40.00", "60.00", "100.00"))
LOST = OutcomeUnknown("no answer")
CLIENT = httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(200)))


class Gateway:
    """Takes every order and pays back as it is told: a status, or an error; the refund's number is the key.

    What it refuses, it refuses when it is asked to pay back. With ``looks_up`` a look-up is all that is sent.
    """

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="gateway", identity=(), currencies=frozenset({"CNY"}), methods=frozenset(PaymentMethod)
    )
    timeout = 1.0

    def __init__(self) -> None:
        self.outcomes: list[Any] = []
        self.sent: list[tuple[str, int]] = []
        self.seen: list[Any] = []
        self.ledger: Ledger | None = None
        self.looks_up = False

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        return Payment(reference=order.reference, gateway_id="P1", status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if callback.query:
            refund = Refund.model_validate_json(callback.body)
            return Notification(CallbackKind.NOTIFY, None, refund=refund)
        payment = Payment.model_validate_json(callback.body)
        return Notification(CallbackKind.NOTIFY, payment)

    @hookimpl
    def query(self, reference: str) -> Payment:
        return Payment(reference=reference, gateway_id="P1", status=PaymentStatus.PENDING)

    @hookimpl
    def refund(self, reference: str, gateway_id: str | None, amount: Money, refund_reference: str) -> Flow[Refund]:
        assert gateway_id == "P1"
        self.sent.append((refund_reference, amount.minor))
        outcome = self.outcomes.pop(0) if self.outcomes else RefundStatus.REFUNDED
        if self.ledger is not None:
            self.seen.append(self.ledger.history("shop", reference)[-1])
        if isinstance(outcome, Refused | NotFound) or self.looks_up:
            yield Request("POST", "https://gateway.example", harmless=self.looks_up)
        if isinstance(outcome, Exception):
            raise outcome
        return Refund(
            reference=reference,
            refund_reference=refund_reference,
            refund_id=f"G{refund_reference}",
            status=outcome,
            refunded_at=NOON if outcome is RefundStatus.REFUNDED else None,
        )

    @hookimpl
    def close(self, reference: str) -> Payment:
        outcome = self.outcomes.pop(0) if self.outcomes else PaymentStatus.CANCELED
        if isinstance(outcome, Exception):
            raise outcome
        return Payment(reference=reference, gateway_id="P1", status=outcome)


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def till(gateway: Gateway, ledger: Ledger, shop: Any, order: Order) -> Checkout:
    """A checkout with the order started."""
    checkout = Checkout(Hub({"shop": gateway}, client=CLIENT), ledger, handler=shop.handle)
    checkout.start("shop", order)
    return checkout


def notify(
    checkout: Checkout, status: PaymentStatus = PaymentStatus.PAID, *, gateway_id: str = "P1", **sums: Money
) -> None:
    message = Payment(reference="A1001", gateway_id=gateway_id, status=status, **sums)
    assert checkout.receive("shop", Callback("POST", {}, b"", message.model_dump_json().encode())).status_code == 200


def tell(checkout: Checkout, status: RefundStatus, number: str = "R1", **more: Any) -> int:
    """The answer to a message about a refund."""
    message = Refund(reference="A1001", refund_reference=number, status=status, **more)
    body = message.model_dump_json().encode()
    return checkout.receive("shop", Callback("POST", {}, b"refund", body)).status_code


@pytest.fixture
def paid(till: Checkout) -> Checkout:
    """The same, its order paid."""
    notify(till, paid=HUNDRED)
    return till


def stored(ledger: Ledger) -> Payment:
    found = ledger.payment("shop", "A1001")
    assert found is not None
    return found.payment


def asked_next(ledger: Ledger) -> datetime | None:
    found = ledger.payment("shop", "A1001")
    assert found is not None
    return found.next_check_at


def said(ledger: Ledger) -> list[str]:
    return [item.said for item in ledger.history("shop", "A1001") if item.source in {"refund", "close"}]


def test_a_refund_is_told_once_and_shown_with_the_payment(
    paid: Checkout, ledger: Ledger, shop: Any, gateway: Gateway
) -> None:
    """Partially, then whole."""
    first = paid.refund("shop", "A1001", FORTY, "R1")
    assert (first.status, first.amount, first.refund_id) == (RefundStatus.REFUNDED, FORTY, "GR1")
    assert (stored(ledger).status, stored(ledger).refunded) == (PaymentStatus.PARTIALLY_REFUNDED, FORTY)
    paid.refund("shop", "A1001", SIXTY, "R2")
    assert (stored(ledger).status, stored(ledger).refunded) == (PaymentStatus.REFUNDED, HUNDRED)
    assert stored(ledger).paid == HUNDRED
    assert shop.delivered == [f"shop/A1001/{name}" for name in ("paid", "partially_refunded", "refunded")]
    row = ledger._store.find("shop", "A1001")
    assert row is not None
    assert row.refunded_minor == HUNDRED.minor


def test_the_intention_is_written_down_before_the_gateway_hears_of_it(
    paid: Checkout, ledger: Ledger, gateway: Gateway
) -> None:
    """And the outcome after it, both under the refund's number."""
    gateway.ledger = ledger
    paid.refund("shop", "A1001", FORTY, "R1")
    (asked,) = gateway.seen
    assert (asked.source, asked.said) == ("refund", "asked")
    assert asked.raw == {"refund_reference": "R1", "amount": "40.00 CNY"}
    assert said(ledger) == ["asked", "refunded"]


def test_a_refund_has_one_time_however_often_it_is_asked_for(ledger: Ledger, shop: Any, order: Order) -> None:
    """A gateway that knows it by its number and time would pay back twice by the clock's."""
    times: list[datetime | None] = []

    class ByTime(Gateway):
        @hookimpl
        def refund(  # type: ignore[override]
            self, reference: str, amount: Money, refund_reference: str, refund_created_at: datetime | None
        ) -> Flow[Refund]:
            yield Request("POST", "https://gateway.example")
            times.append(refund_created_at)
            if len(times) in {1, 2}:
                raise OutcomeUnknown("lost")
            return Refund(reference=reference, refund_reference=refund_reference, status=RefundStatus.REFUNDED)

    checkout = Checkout(Hub({"shop": ByTime()}, client=CLIENT), ledger, handler=shop.handle)
    checkout.start("shop", order)
    notify(checkout, paid=HUNDRED)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            checkout.refund("shop", "A1001", order.amount, "R1")
    assert checkout.refund("shop", "A1001", order.amount, "R1").status is RefundStatus.REFUNDED
    assert times[0] is not None
    assert times == [times[0]] * 3
    assert abs((datetime.now(UTC) - times[0]).total_seconds()) < 60


class Remembering(Gateway):
    """Wants an order's sum and time with everything that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, tuple[Order, datetime | None]] = {}

    @hookimpl
    def create_payment(self, order: Order, created_at: datetime | None) -> Payment:
        self.told["create"] = (order, created_at)
        return super().create_payment(order)

    @hookimpl
    def query(self, reference: str, expect: Order, created_at: datetime | None) -> Payment:
        self.told["query"] = (expect, created_at)
        return super().query(reference)

    @hookimpl
    def refund(  # type: ignore[override]
        self,
        reference: str,
        gateway_id: str | None,
        amount: Money,
        refund_reference: str,
        expect: Order,
        created_at: datetime | None,
    ) -> Flow[Refund]:
        self.told["refund"] = (expect, created_at)
        return super().refund(reference, gateway_id, amount, refund_reference)

    @hookimpl
    def close(self, reference: str, expect: Order, created_at: datetime | None) -> Payment:
        self.told["close"] = (expect, created_at)
        return super().close(reference)


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_each_hook_is_told_the_same_order_and_the_same_moment(colour: str, url: str, order: Order) -> None:
    """A gateway that wants the time of an order in a create wants that very one in a refund."""
    gateway = Remembering()
    if colour == "sync":
        with Ledger(url) as ledger:
            checkout = Checkout(Hub({"shop": gateway}, client=CLIENT), ledger, handler=lambda *_: None)
            checkout.start("shop", order)
            checkout.refresh("shop", "A1001")
            checkout.close_payment("shop", "A1001")
            notify(checkout, paid=HUNDRED)
            checkout.refund("shop", "A1001", FORTY, "R1")
            created_at = stored(ledger).created_at
    else:

        async def play() -> datetime | None:
            ledger = Ledger(url)
            checkout = AsyncCheckout(AsyncHub({"shop": gateway}), ledger, handler=_ignored)
            await checkout.start("shop", order)
            await checkout.refresh("shop", "A1001")
            await checkout.close_payment("shop", "A1001")
            message = Payment(reference="A1001", gateway_id="P1", status=PaymentStatus.PAID, paid=HUNDRED)
            await checkout.receive("shop", Callback("POST", {}, b"", message.model_dump_json().encode()))
            await checkout.refund("shop", "A1001", FORTY, "R1")
            found = await ledger.apayment("shop", "A1001")
            await ledger.aclose()
            assert found is not None
            return found.payment.created_at

        created_at = asyncio.run(play())
    assert created_at is not None
    assert gateway.told == dict.fromkeys(["create", "query", "close", "refund"], (order, created_at))


async def _ignored(*_: object) -> None: ...


def test_a_refund_that_is_done_is_not_sent_again(paid: Checkout, ledger: Ledger, shop: Any, gateway: Gateway) -> None:
    """The same call returns what is known of it."""
    first = paid.refund("shop", "A1001", FORTY, "R1")
    again = paid.refund("shop", "A1001", FORTY, "R1")
    assert again.model_copy(update={"gateway_id": first.gateway_id}) == first
    assert gateway.sent == [("R1", FORTY.minor)]
    assert shop.delivered.count("shop/A1001/partially_refunded") == 1


@pytest.mark.parametrize("number", ["R1", "退款-1", 'R"1\\'])
def test_a_payment_is_found_by_the_number_of_its_refund(paid: Checkout, ledger: Ledger, number: str) -> None:
    """Of whichever script."""
    paid.refund("shop", "A1001", FORTY, number)
    assert [stored.payment.reference for stored in ledger.payments(text=number)] == ["A1001"]


def test_a_refund_is_sent_for_the_same_payment_each_time(paid: Checkout, gateway: Gateway) -> None:
    """For another one that was made meanwhile it would be another refund to the gateway, and be paid back twice."""
    gateway.outcomes = [LOST]
    with pytest.raises(OutcomeUnknown):
        paid.refund("shop", "A1001", FORTY, "R1")
    again = Payment(reference="A1001", gateway_id="A1", status=PaymentStatus.PAID, paid=HUNDRED)
    paid.receive("shop", Callback("POST", {}, b"", again.model_dump_json().encode()))
    for _ in range(2):  # the gateway asserts which payment it is; the second time it is known
        assert paid.refund("shop", "A1001", FORTY, "R1").status is RefundStatus.REFUNDED
    assert gateway.sent == [("R1", FORTY.minor)] * 2


@pytest.mark.parametrize(
    ("amount", "number", "reason"),
    [
        (Money.of("100.01", "CNY"), "R2", r"60\.00 CNY of the 100\.00 CNY received are left"),
        (Money.of("60.01", "CNY"), "R2", "refund 60.00 CNY at most"),
        (SIXTY, "R1", r"'R1' is about 40\.00 CNY"),
        (Money.of("1.00", "USD"), "R2", "in CNY"),
        (Money.of("40.00", "USD"), "R1", "in CNY"),
        (Money.of("0.00", "CNY"), "R2", "above zero"),
        (FORTY, "", "printable"),
        (FORTY, "R\n2", "printable"),
        ("40.00", "R2", "as Money"),
    ],
)
def test_a_refund_that_cannot_be_is_refused_before_anything_is_sent(
    paid: Checkout, ledger: Ledger, gateway: Gateway, amount: Any, number: str, reason: str
) -> None:
    """More than is left, another sum under the same number, and what is no refund at all."""
    paid.refund("shop", "A1001", FORTY, "R1")
    before = ledger._store.find("shop", "A1001"), ledger.history("shop", "A1001")
    with pytest.raises(InvalidOrder, match=reason):
        paid.refund("shop", "A1001", amount, number)
    assert (ledger._store.find("shop", "A1001"), ledger.history("shop", "A1001")) == before
    assert len(gateway.sent) == 1


def test_nothing_is_paid_back_that_was_not_received(till: Checkout, gateway: Gateway) -> None:
    """Of an order that is pending, and of one that is not there."""
    with pytest.raises(InvalidOrder, match="nothing was received"):
        till.refund("shop", "A1001", FORTY, "R1")
    with pytest.raises(InvalidOrder, match="no such order"):
        till.refund("shop", "A9999", FORTY, "R1")
    assert gateway.sent == []


@pytest.mark.parametrize("outcome", [LOST, RefundStatus.PENDING])
def test_what_may_be_under_way_counts_until_the_same_call_learns_what_became_of_it(
    paid: Checkout, ledger: Ledger, gateway: Gateway, outcome: Any
) -> None:
    """No other refund takes its place; the number is the idempotency key."""
    gateway.outcomes = [outcome]
    if isinstance(outcome, Exception):
        with pytest.raises(OutcomeUnknown):
            paid.refund("shop", "A1001", SIXTY, "R1")
    else:
        assert paid.refund("shop", "A1001", SIXTY, "R1").status is RefundStatus.PENDING
    assert (stored(ledger).status, stored(ledger).refunded) == (PaymentStatus.PAID, None)
    with pytest.raises(InvalidOrder, match="what became of them: R1"):
        paid.refund("shop", "A1001", SIXTY, "R2")
    assert paid.refund("shop", "A1001", SIXTY, "R1").status is RefundStatus.REFUNDED
    assert stored(ledger).refunded == SIXTY
    assert gateway.sent == [("R1", SIXTY.minor)] * 2


@pytest.mark.parametrize(
    "outcome", [Refused("no"), AccountRefused("revoked"), NotSent("down"), NotFound("none"), RefundStatus.FAILED]
)
def test_a_refund_that_came_to_nothing_leaves_the_sum_free(
    paid: Checkout, ledger: Ledger, shop: Any, gateway: Gateway, outcome: Any
) -> None:
    """It may be tried again under its number, or another one."""
    gateway.outcomes = [outcome]
    if isinstance(outcome, Exception):
        with pytest.raises(type(outcome)):
            paid.refund("shop", "A1001", HUNDRED, "R1")
    else:
        assert paid.refund("shop", "A1001", HUNDRED, "R1").status is RefundStatus.FAILED
    assert stored(ledger).status is PaymentStatus.PAID
    assert paid.refund("shop", "A1001", HUNDRED, "R2").status is RefundStatus.REFUNDED
    assert shop.delivered == ["shop/A1001/paid", "shop/A1001/refunded"]


@pytest.mark.parametrize(
    "second", [Refused("used number"), NotSent("down"), NotFound("none"), AccountRefused("no"), RefundStatus.FAILED]
)
def test_after_an_unknown_outcome_no_failure_is_certain(
    paid: Checkout, ledger: Ledger, gateway: Gateway, second: Any
) -> None:
    """What was sent first may still be carried out: the sum stays taken."""
    gateway.outcomes = [LOST, second]
    for reason in ("no answer", "what was sent before.*same refund_reference"):
        with pytest.raises(OutcomeUnknown, match=reason):
            paid.refund("shop", "A1001", SIXTY, "R1")
    with pytest.raises(InvalidOrder, match=r"40\.00 CNY of the 100\.00 CNY"):
        paid.refund("shop", "A1001", SIXTY, "R2")


def test_a_failure_of_a_refund_that_the_gateway_has_is_believed_at_once(paid: Checkout, gateway: Gateway) -> None:
    """A shop that asks again and again how it stands loses nothing on the way."""
    gateway.outcomes = [RefundStatus.PENDING, RefundStatus.FAILED]
    found = [paid.refund("shop", "A1001", SIXTY, "R1").status for _ in range(2)]
    assert found == [RefundStatus.PENDING, RefundStatus.FAILED]
    assert paid.refund("shop", "A1001", HUNDRED, "R2").status is RefundStatus.REFUNDED


def test_what_a_provider_advises_is_told_where_the_outcome_stays_unknown(paid: Checkout, gateway: Gateway) -> None:
    """Making the same call again helps nobody whose key was revoked."""
    gateway.outcomes = [LOST, AccountRefused("revoked", hint="enter the new key")]
    with pytest.raises(OutcomeUnknown):
        paid.refund("shop", "A1001", HUNDRED, "R1")
    with pytest.raises(OutcomeUnknown, match="with the same refund_reference; enter the new key"):
        paid.refund("shop", "A1001", HUNDRED, "R1")


def test_a_failure_tells_nothing_of_a_lost_try_however_often_it_is_asked_for(paid: Checkout, gateway: Gateway) -> None:
    """The number that the gateway gives what failed is none of the try that may arrive yet, and be carried out."""
    gateway.outcomes = [LOST, RefundStatus.FAILED, RefundStatus.FAILED, RefundStatus.PENDING, RefundStatus.FAILED]
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            paid.refund("shop", "A1001", HUNDRED, "R1")
    assert paid.refund("shop", "A1001", HUNDRED, "R1").status is RefundStatus.PENDING
    with pytest.raises(OutcomeUnknown, match="what was sent before"):
        paid.refund("shop", "A1001", HUNDRED, "R1")
    with pytest.raises(InvalidOrder, match=r"0\.00 CNY of the 100\.00 CNY"):
        paid.refund("shop", "A1001", HUNDRED, "R2")


def test_a_refusal_is_believed_once_what_was_lost_cannot_arrive_any_more(
    paid: Checkout, ledger: Ledger, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with orders: after eight time-outs and ten seconds."""
    gateway.outcomes = [LOST, Refused("no")]
    with pytest.raises(OutcomeUnknown):
        paid.refund("shop", "A1001", SIXTY, "R1")
    monkeypatch.setattr(
        "payhub_core.checkout.refunds.clock", lambda _connection: datetime.now(UTC) + timedelta(seconds=19)
    )
    with pytest.raises(Refused):
        paid.refund("shop", "A1001", SIXTY, "R1")
    assert paid.refund("shop", "A1001", HUNDRED, "R2").status is RefundStatus.REFUNDED


@pytest.mark.parametrize(
    ("refusal", "looks_up"),
    [
        (Refused("no"), True),
        (NotFound("none"), True),
        (AccountRefused("revoked"), True),
        (AccountRefused("busy"), False),
    ],
)
def test_a_refusal_that_is_not_about_the_refund_never_frees_what_may_be_paid_back(
    paid: Checkout,
    ledger: Ledger,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    refusal: PayhubError,
    looks_up: bool,
) -> None:
    """What the gateway says of the account, or to a look-up before anything was sent, is about that try alone."""
    gateway.outcomes, gateway.looks_up = [LOST, refusal], looks_up
    with pytest.raises(OutcomeUnknown):
        paid.refund("shop", "A1001", SIXTY, "R1")
    monkeypatch.setattr("payhub_core.checkout.refunds.clock", lambda _: datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(OutcomeUnknown, match=r"what was sent before.*same refund_reference"):
        paid.refund("shop", "A1001", SIXTY, "R1")
    assert said(ledger) == ["asked", "unknown", "asked", "unknown"]
    with pytest.raises(InvalidOrder, match=r"40\.00 CNY of the 100\.00 CNY"):
        paid.refund("shop", "A1001", SIXTY, "R2")
    assert paid.refund("shop", "A1001", SIXTY, "R1").status is RefundStatus.REFUNDED


def test_a_refund_that_was_stopped_for_longer_than_others_wait_for_it_is_not_sent(
    paid: Checkout, gateway: Gateway, late: Callable[[float], None], ledger: Ledger
) -> None:
    """They may have found meanwhile that it came to nothing, and paid the sum back under another number."""
    gateway.outcomes = [Refused("no")]
    late(8 * 1 + 10 + 1)
    with pytest.raises(NotSent, match="the time for this call is over"):
        paid.refund("shop", "A1001", HUNDRED, "R1")
    assert said(ledger) == ["asked", "not_sent"]
    late(0)
    assert paid.refund("shop", "A1001", HUNDRED, "R2").status is RefundStatus.REFUNDED


def test_what_the_gateway_says_went_back_counts_too(paid: Checkout, ledger: Ledger, shop: Any) -> None:
    """Somebody paid back in the gateway's own console."""
    notify(paid, PaymentStatus.PARTIALLY_REFUNDED, paid=HUNDRED, refunded=SIXTY)
    assert stored(ledger).refunded == SIXTY
    with pytest.raises(InvalidOrder, match=r"40\.00 CNY of the 100\.00 CNY"):
        paid.refund("shop", "A1001", SIXTY, "R1")
    paid.refund("shop", "A1001", FORTY, "R1")
    assert (stored(ledger).status, stored(ledger).refunded) == (PaymentStatus.REFUNDED, HUNDRED)
    with pytest.raises(InvalidOrder, match=r"0\.00 CNY of the 100\.00 CNY"):
        paid.refund("shop", "A1001", FORTY, "R2")
    notify(paid, PaymentStatus.PARTIALLY_REFUNDED, paid=HUNDRED, refunded=HUNDRED)
    assert shop.delivered == [f"shop/A1001/{name}" for name in ("paid", "partially_refunded", "refunded")]


@pytest.mark.parametrize("outcome", [LOST, RefundStatus.PENDING])
def test_a_message_tells_that_a_refund_is_done(
    paid: Checkout, ledger: Ledger, gateway: Gateway, shop: Any, outcome: Any
) -> None:
    """Of a gateway that carries refunds out later; however often it comes."""
    gateway.outcomes = [outcome]
    with suppress(OutcomeUnknown):
        paid.refund("shop", "A1001", FORTY, "R1")
    for _ in range(2):
        assert tell(paid, RefundStatus.REFUNDED, amount=FORTY, refund_id="GR1", refunded_at=NOON, raw={"a": "b"}) == 200
    assert (stored(ledger).status, stored(ledger).refunded) == (PaymentStatus.PARTIALLY_REFUNDED, FORTY)
    assert shop.delivered == ["shop/A1001/paid", "shop/A1001/partially_refunded"]
    told = ledger.history("shop", "A1001")[-1]
    assert (told.source, told.said) == ("refund", "refunded")
    assert told.raw == {"a": "b", "refund_reference": "R1", "amount": "40.00 CNY"}
    done = paid.refund("shop", "A1001", FORTY, "R1")
    assert (done.status, done.refund_id, done.refunded_at) == (RefundStatus.REFUNDED, "GR1", NOON)
    assert len(gateway.sent) == 1


def test_a_message_tells_that_a_refund_came_to_nothing(paid: Checkout, ledger: Ledger, gateway: Gateway) -> None:
    """Then the sum is free for another, and what the message says once more changes nothing."""
    gateway.outcomes = [RefundStatus.PENDING]
    paid.refund("shop", "A1001", HUNDRED, "R1")
    assert tell(paid, RefundStatus.FAILED) == 200
    assert paid.refund("shop", "A1001", HUNDRED, "R2").status is RefundStatus.REFUNDED
    for _ in range(2):
        assert tell(paid, RefundStatus.FAILED, "R2") == 200  # of one that is done
    assert (stored(ledger).status, stored(ledger).refunded) == (PaymentStatus.REFUNDED, HUNDRED)
    assert said(ledger) == ["asked", "pending", "failed", "asked", "refunded", "failed"]


@pytest.mark.parametrize("late", [False, True])
def test_a_failure_of_a_refund_that_was_sent_again_may_be_the_first_tries(
    paid: Checkout, gateway: Gateway, late: bool
) -> None:
    """The second may pay back yet: another refund in its place would be one too many."""
    gateway.outcomes = [RefundStatus.PENDING, RefundStatus.PENDING]
    paid.refund("shop", "A1001", HUNDRED, "R1")
    if not late:
        tell(paid, RefundStatus.FAILED)
    paid.refund("shop", "A1001", HUNDRED, "R1")
    for _ in range(2):
        assert tell(paid, RefundStatus.FAILED) == 200
    with pytest.raises(InvalidOrder, match=r"0\.00 CNY of the 100\.00 CNY received are left"):
        paid.refund("shop", "A1001", HUNDRED, "R2")


@pytest.mark.parametrize(
    ("amount", "status"),
    [
        (FORTY, PaymentStatus.REFUND_SUM_UNKNOWN),
        (None, PaymentStatus.REFUND_SUM_UNKNOWN),
        (HUNDRED, PaymentStatus.REFUNDED),
    ],
)
def test_a_message_about_a_refund_of_the_back_office_says_that_money_went_back(
    paid: Checkout, ledger: Ledger, amount: Money | None, status: PaymentStatus
) -> None:
    """Whether its sum is a part of what another message states, nobody can tell."""
    for number in ("", "B1"):
        assert tell(paid, RefundStatus.PENDING, number, amount=amount) == 200
        assert tell(paid, RefundStatus.FAILED, number, amount=amount) == 200
    assert stored(ledger).status is PaymentStatus.PAID
    assert tell(paid, RefundStatus.REFUNDED, "B1", amount=amount, gateway_id="P1") == 200
    assert stored(ledger).status is status


def test_a_refund_of_the_back_office_is_told_before_the_payment_or_after(till: Checkout, ledger: Ledger) -> None:
    """The same messages end in the same status."""
    tell(till, RefundStatus.REFUNDED, "B1", amount=HUNDRED, gateway_id="P1")
    assert stored(ledger).status is PaymentStatus.REFUND_SUM_UNKNOWN
    notify(till, paid=HUNDRED)
    assert (stored(ledger).status, stored(ledger).refunded) == (PaymentStatus.REFUNDED, HUNDRED)


def test_refunds_of_the_back_office_count_beside_the_shops(paid: Checkout, ledger: Ledger) -> None:
    """So much, at least, has gone back, though nobody knows whether a total holds it."""
    ten, twenty, thirty = (Money.of(sum_, "CNY") for sum_ in ("10.00", "20.00", "30.00"))
    paid.refund("shop", "A1001", FORTY, "R1")
    for number, sum_ in (("B1", thirty), ("B2", ten), ("", ten), ("B1", thirty)):
        tell(paid, RefundStatus.REFUNDED, number, amount=sum_, gateway_id="P1")
    with pytest.raises(InvalidOrder, match=r"20\.00 CNY of the 100\.00 CNY received are left"):
        paid.refund("shop", "A1001", SIXTY, "R2")
    assert stored(ledger).refunded == FORTY
    assert paid.refund("shop", "A1001", twenty, "R2").status is RefundStatus.REFUNDED


def test_a_refund_told_without_a_number_may_be_the_shops(paid: Checkout) -> None:
    """Where one of its sum was asked for before."""
    paid.refund("shop", "A1001", FORTY, "R1")
    for _ in range(2):
        tell(paid, RefundStatus.REFUNDED, "", amount=FORTY)
    assert paid.refund("shop", "A1001", SIXTY, "R2").status is RefundStatus.REFUNDED
    tell(paid, RefundStatus.REFUNDED, "", amount=FORTY)


@pytest.mark.parametrize(
    ("number", "more", "reason"),
    [
        ("R1", {"amount": SIXTY}, "'R1' is about 40.00 CNY, the message about 60.00 CNY"),
        ("R1", {"amount": Money.of("40.00", "USD")}, "the message about 40.00 USD"),
        ("B1", {"amount": Money.of("40.00", "USD")}, "'B1' is about 100.00 CNY, the message about 40.00 USD"),
        ("R1", {"amount": Money.of("0.00", "CNY")}, "above zero"),
        ("R" * 200, {}, "refund_reference: expected at most 128"),
        ("R1", {"account": "other"}, "the provider returned a Refund with an account"),
    ],
)
def test_a_message_about_another_refund_is_refused(
    paid: Checkout, ledger: Ledger, caplog: pytest.LogCaptureFixture, number: str, more: Any, reason: str
) -> None:
    """And nothing is changed by it."""
    paid.refund("shop", "A1001", FORTY, "R1")
    before = ledger._store.find("shop", "A1001"), ledger.history("shop", "A1001")
    assert tell(paid, RefundStatus.REFUNDED, number, **more) >= 400
    assert reason in caplog.text
    assert (ledger._store.find("shop", "A1001"), ledger.history("shop", "A1001")) == before


def test_a_refund_that_came_in_at_the_return_address_is_a_hint(paid: Checkout, ledger: Ledger) -> None:
    """Whoever has a browser can have it sent there."""
    message = Refund(reference="A1001", refund_reference="B1", status=RefundStatus.REFUNDED, amount=HUNDRED)
    callback = Callback("POST", {}, b"refund", message.model_dump_json().encode(), kind=CallbackKind.RETURN)
    assert paid.receive("shop", callback).status_code == 200
    assert stored(ledger).status is PaymentStatus.PAID
    found = paid.hub["shop"].parse_callback(callback).refund
    assert found is not None
    assert (found.status, found.account) == (RefundStatus.PENDING, "shop")


def test_a_message_about_a_refund_of_an_order_that_is_not_here_is_refused(till: Checkout) -> None:
    """As one about its payment is."""
    message = Refund(reference="A9", refund_reference="R1", status=RefundStatus.REFUNDED)
    assert till.receive("shop", Callback("POST", {}, b"refund", message.model_dump_json().encode())).status_code == 400


@pytest.mark.parametrize("word", [PaymentStatus.REFUND_SUM_UNKNOWN, PaymentStatus.PARTIALLY_REFUNDED])
def test_what_had_gone_back_by_the_first_message_is_not_told_as_paid_where_nobody_says_how_much(
    till: Checkout, ledger: Ledger, shop: Any, word: PaymentStatus
) -> None:
    """A chargeback whose message overtook the one that says paid: what is left may be nothing."""
    notify(till, word)
    notify(till, paid=HUNDRED)
    assert (stored(ledger).status, stored(ledger).paid) == (word, HUNDRED)
    assert shop.delivered == [f"shop/A1001/{word}"]


def test_what_went_back_here_makes_no_chargeback_of_an_unknown_sum_known(till: Checkout, shop: Any) -> None:
    """What is paid after it would be the sum due, were it not for the chargeback."""
    notify(till, PaymentStatus.PARTIALLY_PAID, paid=SIXTY)
    till.refund("shop", "A1001", FORTY, "R1")
    notify(till, PaymentStatus.REFUND_SUM_UNKNOWN)
    notify(till, PaymentStatus.PARTIALLY_PAID, gateway_id="P2", paid=Money.of("80.00", "CNY"))
    assert "shop/A1001/paid" not in shop.delivered


@pytest.mark.parametrize("before", [[], [NotSent("down")]])
def test_what_a_look_up_finds_refunded_is_not_a_refund_that_was_never_sent(
    paid: Checkout, ledger: Ledger, shop: Any, gateway: Gateway, before: list[Exception]
) -> None:
    """Somebody paid a sum back in the back office, and the gateway does not say which."""
    gateway.outcomes, gateway.looks_up = [*before], True
    for _ in before:
        with pytest.raises(NotSent):
            paid.refund("shop", "A1001", HUNDRED, "R1")
    for _ in range(2):
        with pytest.raises(InvalidOrder, match="nothing was sent for this refund") as caught:
            paid.refund("shop", "A1001", HUNDRED, "R1")
        assert "back office" in caught.value.hint
    assert (stored(ledger).status, stored(ledger).refunded) == (PaymentStatus.PAID, None)
    assert said(ledger)[-2:] == ["asked", "not_sent"]
    assert shop.delivered == ["shop/A1001/paid"]


def test_where_nobody_knows_how_much_went_back_nothing_more_does(
    paid: Checkout, ledger: Ledger, gateway: Gateway
) -> None:
    """As after a chargeback: the rest is paid back where the sum is seen. A refund of the shop's may be what it was."""
    notify(paid, PaymentStatus.REFUND_SUM_UNKNOWN)
    with pytest.raises(InvalidOrder, match="not how much, so nobody knows what is left"):
        paid.refund("shop", "A1001", FORTY, "R1")
    assert gateway.sent == []
    notify(paid, PaymentStatus.PARTIALLY_REFUNDED, refunded=SIXTY)
    assert paid.refund("shop", "A1001", FORTY, "R1").status is RefundStatus.REFUNDED


def test_a_refund_of_the_shops_that_is_told_without_a_sum_hinders_no_other(paid: Checkout, gateway: Gateway) -> None:
    """Of a gateway whose messages name the one refund's sum alone."""
    paid.refund("shop", "A1001", FORTY, "R1")
    notify(paid, PaymentStatus.REFUND_SUM_UNKNOWN)
    assert paid.refund("shop", "A1001", SIXTY, "R2").status is RefundStatus.REFUNDED


def test_what_a_look_up_finds_refunded_is_believed_of_a_refund_that_was_sent(
    paid: Checkout, ledger: Ledger, gateway: Gateway
) -> None:
    """Its answer was lost, and the same call looks for it."""
    gateway.outcomes = [LOST]
    with pytest.raises(OutcomeUnknown):
        paid.refund("shop", "A1001", HUNDRED, "R1")
    gateway.looks_up = True
    assert paid.refund("shop", "A1001", HUNDRED, "R1").status is RefundStatus.REFUNDED
    assert stored(ledger).refunded == HUNDRED


def test_what_is_lost_and_may_be_in_what_went_back_is_not_sent_again(paid: Checkout, gateway: Gateway) -> None:
    """Nor is it refused, as if it had never been sent; where there is room, the same call tells."""
    for number, sum_ in (("R1", FORTY), ("R2", SIXTY)):
        gateway.outcomes = [LOST]
        with pytest.raises(OutcomeUnknown):
            paid.refund("shop", "A1001", sum_, number)
    notify(paid, PaymentStatus.PARTIALLY_REFUNDED, paid=HUNDRED, refunded=SIXTY)
    sent = len(gateway.sent)
    with pytest.raises(OutcomeUnknown, match=r"60\.00 CNY went back, which may hold this refund") as caught:
        paid.refund("shop", "A1001", SIXTY, "R2")
    assert "back office" in caught.value.hint
    assert len(gateway.sent) == sent


@pytest.mark.parametrize(
    ("outcome", "before", "after"),
    [(LOST, {"minutes": 14}, {"minutes": 16}), (RefundStatus.PENDING, {"hours": 23}, {"hours": 25})],
)
def test_a_refund_whose_end_nobody_knows_is_found_until_the_same_call_tells(
    paid: Checkout,
    ledger: Ledger,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Any,
    before: dict[str, int],
    after: dict[str, int],
) -> None:
    """A lost answer after a quarter of an hour, one that the gateway has after a day; not those that have ended."""
    paid.refund("shop", "A1001", Money.of("10.00", "CNY"), "R0")
    gateway.outcomes = [outcome]
    with suppress(OutcomeUnknown):
        paid.refund("shop", "A1001", SIXTY, "R1")
    found = []
    for time in (before, after):
        now = datetime.now(UTC) + timedelta(**time)
        monkeypatch.setattr("payhub_core.ledger.health.clock", lambda _, now=now: now)
        found.append([it.what for it in ledger.health().findings if "refund" in it.what])
    assert found == [[], ["refunds whose end is not known: 1"]]
    (health,) = ledger.health().accounts
    assert (health.refunding, health.refunding_reference) == (1, "A1001")
    paid.refund("shop", "A1001", SIXTY, "R1")
    assert [it.what for it in ledger.health().findings if "refund" in it.what] == []


def test_a_refund_that_died_is_found_beside_one_that_a_person_has_ended(
    paid: Checkout, ledger: Ledger, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was heard of it but that it was asked for; a row that payhub did not write hides no other."""
    gateway.outcomes = [LOST]
    with pytest.raises(OutcomeUnknown):
        paid.refund("shop", "A1001", FORTY, "R1")
    by_li(ledger, "R1", RefundStatus.REFUNDED)
    do = paid._do

    def die(step: Any) -> object:
        if isinstance(step, SendRefund):
            raise KeyboardInterrupt
        return do(step)

    monkeypatch.setattr(paid, "_do", die)
    with pytest.raises(KeyboardInterrupt):
        paid.refund("shop", "A1001", FORTY, "R2")
    later = datetime.now(UTC) + timedelta(minutes=16)
    monkeypatch.setattr("payhub_core.ledger.health.clock", lambda _: later)
    assert ledger.health().accounts[0].refunding == 1
    ledger.write(lambda c: c.execute(text("UPDATE payhub_payments SET facts = 'no facts'")))
    assert ledger.health().accounts[0].refunding == 0


@pytest.fixture
def held(paid: Checkout, gateway: Gateway) -> Checkout:
    """The answer to R1, sixty, was lost; then the gateway says that sixty went back."""
    gateway.outcomes = [LOST]
    with pytest.raises(OutcomeUnknown):
        paid.refund("shop", "A1001", SIXTY, "R1")
    notify(paid, PaymentStatus.PARTIALLY_REFUNDED, paid=HUNDRED, refunded=SIXTY)
    with pytest.raises(InvalidOrder, match="what became of them: R1"):
        paid.refund("shop", "A1001", FORTY, "R2")
    with pytest.raises(OutcomeUnknown, match=r"payhub payments settle-refund shop A1001 R1$"):
        paid.refund("shop", "A1001", SIXTY, "R1")
    return paid


def by_li(ledger: Ledger, number: str, status: RefundStatus, **who: str) -> None:
    """What Li has found in the back office."""
    ledger.settle_refund("shop", "A1001", number, status, **{"by": "Li", "reason": "seen there", **who})


@pytest.mark.usefixtures("held")
def test_a_person_says_that_what_went_back_holds_a_refund(paid: Checkout, ledger: Ledger, gateway: Gateway) -> None:
    """Nothing is sent for it, and what is left can go back."""
    by_li(ledger, "R1", RefundStatus.REFUNDED)
    assert ledger.history("shop", "A1001")[-1].raw == {
        "refund_reference": "R1",
        "amount": "60.00 CNY",
        "by": "Li",
        "reason": "seen there",
    }
    assert paid.refund("shop", "A1001", SIXTY, "R1").status is RefundStatus.REFUNDED
    assert paid.refund("shop", "A1001", FORTY, "R2").status is RefundStatus.REFUNDED
    assert gateway.sent == [("R1", SIXTY.minor), ("R2", FORTY.minor)]
    assert stored(ledger).refunded == HUNDRED


@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
def test_what_a_person_says_is_checked_with_what_is_recorded_meanwhile(
    paid: Checkout, ledger: Ledger, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite nobody writes meanwhile."""
    gateway.outcomes = [RefundStatus.FAILED]
    paid.refund("shop", "A1001", SIXTY, "R1")
    news = verdicts._news

    def slow(*arguments: Any) -> changes.RefundNews:
        made = news(*arguments)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(paid.refund, "shop", "A1001", SIXTY, "R2").result()
        return made

    monkeypatch.setattr(verdicts, "_news", slow)
    with pytest.raises(InvalidOrder, match="would have gone back of the"):
        ledger.settle_refund("shop", "A1001", "R1", RefundStatus.REFUNDED, by="Li", reason="seen")


@pytest.mark.usefixtures("held")
def test_a_person_says_that_a_refund_came_to_nothing(
    paid: Checkout, ledger: Ledger, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it cannot arrive any more; what went back is another's."""
    with pytest.raises(InvalidOrder, match="less than 15 minutes ago"):
        by_li(ledger, "R1", RefundStatus.FAILED)
    monkeypatch.setattr("payhub_core.ledger.verdicts.clock", lambda _: datetime.now(UTC) + timedelta(minutes=16))
    by_li(ledger, "R1", RefundStatus.FAILED)
    with pytest.raises(InvalidOrder, match=r"40\.00 CNY of the 100\.00 CNY"):
        paid.refund("shop", "A1001", SIXTY, "R1")
    assert paid.refund("shop", "A1001", FORTY, "R2").status is RefundStatus.REFUNDED
    assert gateway.sent == [("R1", SIXTY.minor), ("R2", FORTY.minor)]
    assert stored(ledger).refunded == HUNDRED


def test_what_a_person_says_of_a_refund_is_told_from_the_outbox(
    paid: Checkout, ledger: Ledger, shop: Any, gateway: Gateway
) -> None:
    """Once, as what the gateway says."""
    gateway.outcomes = [LOST]
    with pytest.raises(OutcomeUnknown):
        paid.refund("shop", "A1001", SIXTY, "R1")
    by_li(ledger, "R1", RefundStatus.REFUNDED)
    assert [it.id for it in ledger.outbox()] == ["shop/A1001/partially_refunded"]
    paid.deliver()
    assert shop.delivered == ["shop/A1001/paid", "shop/A1001/partially_refunded"]


@pytest.mark.parametrize(
    ("number", "status", "who", "reason"),
    [
        ("R1", RefundStatus.REFUNDED, {"by": " "}, "who has found out"),
        ("R1", RefundStatus.REFUNDED, {"reason": ""}, "who has found out"),
        ("R1", RefundStatus.PENDING, {}, "REFUNDED or FAILED"),
        ("R9", RefundStatus.REFUNDED, {}, r"no refund 'R9'.*there are: R1, R2, R3, R4"),
        ("R2", RefundStatus.REFUNDED, {}, "'R2' has gone back"),
        ("R3", RefundStatus.FAILED, {}, "'R3' has come to nothing"),
        ("R3", RefundStatus.REFUNDED, {}, r"110\.00 CNY would have gone back of the 100\.00 CNY"),
    ],
)
def test_what_a_person_cannot_have_found_out_is_refused(
    paid: Checkout, ledger: Ledger, gateway: Gateway, number: str, status: RefundStatus, who: Any, reason: str
) -> None:
    """Nothing is changed by it."""
    fifty, ten = Money.of("50.00", "CNY"), Money.of("10.00", "CNY")
    for key, sum_, outcome in (
        ("R1", ten, LOST),
        ("R2", fifty, RefundStatus.REFUNDED),
        ("R3", FORTY, RefundStatus.FAILED),
        ("R4", ten, RefundStatus.REFUNDED),
    ):
        gateway.outcomes = [outcome]
        with suppress(OutcomeUnknown):
            paid.refund("shop", "A1001", sum_, key)
    if "would have" in reason:
        by_li(ledger, "R1", RefundStatus.REFUNDED)
    before = ledger._store.find("shop", "A1001")
    with pytest.raises(InvalidOrder, match=reason):
        by_li(ledger, number, status, **who)
    with pytest.raises(InvalidOrder, match="no such order"):
        ledger.settle_refund("shop", "A9999", number, RefundStatus.REFUNDED, by="Li", reason="seen")
    assert ledger._store.find("shop", "A1001") == before


@pytest.mark.usefixtures("held")
def test_the_command_notes_what_became_of_a_refund(
    ledger: Ledger, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whom and why; a second time there is nothing to note."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYHUB_LEDGER", url)
    command = ["payments", "settle-refund", "shop", "A1001", "R1", "refunded", "--by", "Li", "--why", "seen there"]
    result = CliRunner().invoke(payhub, command)
    assert (result.exit_code, result.output) == (
        0,
        "shop A1001: refund R1 is noted; the payment is partially_refunded\n",
    )
    assert ledger.history("shop", "A1001")[-1].raw["by"] == "Li"
    again = CliRunner().invoke(payhub, [*command, "--json"])
    assert again.exit_code == 1
    assert "'R1' has gone back" in again.output.replace("\n", " ")


def test_a_refund_that_the_gateway_has_is_asked_about_whatever_went_back(
    paid: Checkout, ledger: Ledger, gateway: Gateway
) -> None:
    """The notify about it comes before the shop asks again."""
    gateway.outcomes = [RefundStatus.PENDING]
    assert paid.refund("shop", "A1001", HUNDRED, "R1").status is RefundStatus.PENDING
    notify(paid, PaymentStatus.REFUNDED, paid=HUNDRED, refunded=HUNDRED)
    assert paid.refund("shop", "A1001", HUNDRED, "R1").status is RefundStatus.REFUNDED
    assert stored(ledger).refunded == HUNDRED


def test_a_refund_that_failed_at_the_gateway_and_was_lost_when_sent_again_is_not_taken_for_one_it_has(
    paid: Checkout, gateway: Gateway
) -> None:
    """The number that the gateway gave it is that of the try that failed."""
    for outcome in (RefundStatus.PENDING, RefundStatus.FAILED, LOST):
        gateway.outcomes = [outcome]
        with suppress(OutcomeUnknown):
            paid.refund("shop", "A1001", SIXTY, "R1")
    notify(paid, PaymentStatus.PARTIALLY_REFUNDED, paid=HUNDRED, refunded=SIXTY)
    with pytest.raises(OutcomeUnknown, match="may hold this refund"):
        paid.refund("shop", "A1001", SIXTY, "R1")
    assert len(gateway.sent) == 3


def test_what_the_gateway_says_of_a_refund_of_the_shops_own_counts_once(paid: Checkout, ledger: Ledger) -> None:
    """Before and after the shop knows what became of it."""
    paid.refund("shop", "A1001", FORTY, "R1")
    for _ in range(2):
        notify(paid, PaymentStatus.PARTIALLY_REFUNDED, paid=HUNDRED, refunded=FORTY)
    assert stored(ledger).refunded == FORTY
    paid.refund("shop", "A1001", SIXTY, "R2")
    assert stored(ledger).refunded == HUNDRED


def test_what_is_paid_in_full_after_a_part_was_paid_back_is_told_as_paid(
    till: Checkout, ledger: Ledger, shop: Any
) -> None:
    """The shop has the whole sum: it ships, once."""
    notify(till, PaymentStatus.PARTIALLY_PAID, paid=FORTY)
    till.refund("shop", "A1001", FORTY, "R1")
    notify(till, paid=HUNDRED, gateway_id="P2")
    assert (stored(ledger).status, stored(ledger).paid) == (PaymentStatus.PARTIALLY_REFUNDED, FORTY + HUNDRED)
    assert shop.delivered.count("shop/A1001/paid") == 1
    till.refund("shop", "A1001", SIXTY, "R2")
    notify(till, paid=HUNDRED, gateway_id="P3")
    assert shop.delivered.count("shop/A1001/paid") == 1


def test_the_rest_of_what_was_paid_in_part_is_asked_about_whatever_went_back(till: Checkout, ledger: Ledger) -> None:
    """Its notify may be lost; an order that was paid in full and went back is not asked about again."""
    notify(till, PaymentStatus.PARTIALLY_PAID, paid=FORTY)
    for refund, sum_ in (("R1", Money.of("10.00", "CNY")), ("R2", Money.of("30.00", "CNY"))):
        till.refund("shop", "A1001", sum_, refund)
        assert asked_next(ledger)
    notify(till, paid=HUNDRED, gateway_id="P2")
    assert not asked_next(ledger)


def test_a_handler_that_fails_leaves_the_refund_to_be_asked_about_again(
    paid: Checkout, ledger: Ledger, shop: Any, gateway: Gateway
) -> None:
    """Its error is raised, nothing of the outcome is kept, and the sum stays taken."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    shop.fails = fail
    with pytest.raises(ZeroDivisionError):
        paid.refund("shop", "A1001", FORTY, "R1")
    assert stored(ledger).refunded is None
    shop.fails = None
    assert paid.refund("shop", "A1001", FORTY, "R1").status is RefundStatus.REFUNDED
    assert shop.delivered == ["shop/A1001/paid", "shop/A1001/partially_refunded"]


def test_an_outcome_that_cannot_be_recorded_is_unknown(paid: Checkout, ledger: Ledger, gateway: Gateway) -> None:
    """The gateway has it: whoever is told that the database failed would take it for not sent."""
    do = paid._do

    def fail(step: Any) -> object:
        if isinstance(step, Record):
            raise LedgerError("gone for a moment")
        return do(step)

    paid._do = fail  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown, match="could not be recorded"):
        paid.refund("shop", "A1001", FORTY, "R1")
    paid._do = do  # type: ignore[method-assign]
    assert paid.refund("shop", "A1001", FORTY, "R1").status is RefundStatus.REFUNDED


def test_without_the_database_nothing_is_paid_back(paid: Checkout, ledger: Ledger, gateway: Gateway) -> None:
    """No write-ahead, no request."""
    ledger.write(lambda c: c.execute(text("ALTER TABLE payhub_observations RENAME TO gone")))
    with pytest.raises(LedgerError):
        paid.refund("shop", "A1001", FORTY, "R1")
    assert gateway.sent == []


def test_a_process_that_died_while_refunding_leaves_the_sum_taken(
    paid: Checkout, ledger: Ledger, gateway: Gateway
) -> None:
    """The same call goes on; another one finds too little left."""

    class Died(BaseException):
        pass

    do = paid._do

    def die(step: Any) -> object:
        result = do(step)
        if isinstance(step, SendRefund):
            raise Died
        return result

    paid._do = die  # type: ignore[method-assign]
    with pytest.raises(Died):
        paid.refund("shop", "A1001", SIXTY, "R1")
    paid._do = do  # type: ignore[method-assign]
    with pytest.raises(InvalidOrder, match="R1"):
        paid.refund("shop", "A1001", SIXTY, "R2")
    assert paid.refund("shop", "A1001", SIXTY, "R1").status is RefundStatus.REFUNDED


def test_parallel_refunds_never_pay_back_more_than_was_received(
    paid: Checkout, ledger: Ledger, gateway: Gateway
) -> None:
    """Eight at once, of forty each."""

    def refund(number: int) -> str:
        try:
            return paid.refund("shop", "A1001", FORTY, f"R{number}").status
        except InvalidOrder:
            return "refused"

    with ThreadPoolExecutor(8) as threads:
        ends = list(threads.map(refund, range(8)))
    assert sorted(ends) == ["refunded"] * 2 + ["refused"] * 6
    assert sum(minor for _number, minor in gateway.sent) == 8_000


calls = st.tuples(
    st.sampled_from(["R1", "R2", "R3", "back office"]),
    st.sampled_from([2_000, 4_000, 6_000]),
    st.sampled_from([RefundStatus.REFUNDED, RefundStatus.PENDING, RefundStatus.FAILED, LOST, Refused("no")]),
)


@given(calls=st.lists(calls, max_size=8))
@example(calls=[("back office", 2_000, None), ("R1", 6_000, RefundStatus.REFUNDED), ("R2", 4_000, LOST)])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_gateway_answers_no_more_goes_back_than_came_in(
    ledger: Ledger, make_order: Callable[..., Order], calls: list[tuple[str, int, Any]]
) -> None:
    """A gateway that carries out what it says is lost, pays each number back once, and tells of its back office."""
    gateway = Gateway()
    checkout = Checkout(Hub({"shop": gateway}, client=CLIENT), ledger)
    ledger.write(lambda c: c.execute(text("DELETE FROM payhub_payments")))
    checkout.start("shop", make_order())
    notify(checkout, paid=HUNDRED)
    may_be_back: dict[str, int] = {}
    for number, minor, outcome in calls:
        if number == "back office":
            total = sum(may_be_back.values()) + minor
            if total <= HUNDRED.minor:
                may_be_back[number] = may_be_back.get(number, 0) + minor
                notify(checkout, PaymentStatus.PARTIALLY_REFUNDED, paid=HUNDRED, refunded=Money(total, "CNY"))
            continue
        gateway.outcomes, sent = [outcome], len(gateway.sent)
        with suppress(PayhubError):
            checkout.refund("shop", "A1001", Money(minor, "CNY"), number)
        if len(gateway.sent) == sent or isinstance(outcome, Refused):
            continue
        if outcome is RefundStatus.FAILED:
            may_be_back.pop(number, None)
        else:
            may_be_back[number] = minor
        assert sum(may_be_back.values()) <= HUNDRED.minor
    gone = stored(ledger).refunded
    assert gone is None or gone <= HUNDRED


def test_refunds_are_shown_by_the_command(
    paid: Checkout, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum with the payment, each refund in its history."""
    paid.refund("shop", "A1001", FORTY, "R1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYHUB_LEDGER", url)
    shown = CliRunner().invoke(payhub, ["payments", "show", "shop", "A1001"]).output
    for words in ("partially_refunded", "asked: R1, 40.00 CNY", "refunded: R1, 40.00 CNY"):
        assert words in shown


def test_an_order_is_closed_and_what_comes_of_it_is_told(
    till: Checkout, ledger: Ledger, shop: Any, gateway: Gateway
) -> None:
    """The intention first; a payer who was quicker is paid."""
    assert till.close_payment("shop", "A1001").status is PaymentStatus.CANCELED
    assert said(ledger) == ["asked", "canceled"]
    assert shop.delivered == ["shop/A1001/canceled"]
    gateway.outcomes = [PaymentStatus.PAID]
    assert till.close_payment("shop", "A1001").status is PaymentStatus.PAID
    with pytest.raises(InvalidOrder, match="refund it instead"):
        till.close_payment("shop", "A1001")
    with pytest.raises(InvalidOrder, match="no such order"):
        till.close_payment("shop", "A9999")


@pytest.mark.parametrize(
    ("outcome", "word"),
    [(Refused("paid"), "refused"), (NotFound("none"), "refused"), (NotSent("down"), "not_sent"), (LOST, "unknown")],
)
def test_an_order_that_is_not_closed_says_why_in_its_history(
    till: Checkout, ledger: Ledger, gateway: Gateway, outcome: PayhubError, word: str
) -> None:
    """The status stands."""
    gateway.outcomes = [outcome]
    with pytest.raises(type(outcome)):
        till.close_payment("shop", "A1001")
    assert said(ledger) == ["asked", word]
    assert stored(ledger).status is PaymentStatus.PENDING


@pytest.mark.parametrize("outcome", [LOST, Refused("paid")])
def test_a_close_that_could_not_be_written_down_is_still_told_as_it_is(
    till: Checkout, ledger: Ledger, gateway: Gateway, outcome: PayhubError
) -> None:
    """Whoever is told that the database failed, and nothing was changed, would take it for not sent."""
    gateway.outcomes = [outcome]
    lose_the_history(till, ledger, Close)
    with pytest.raises(type(outcome)):
        till.close_payment("shop", "A1001")


def test_a_gateway_that_can_do_neither_is_not_asked(ledger: Ledger, hub_of_gpu: Hub, order: Order) -> None:
    """And nothing is written down."""
    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "gpu", order, lease="", until=now, now=now))
    checkout = Checkout(hub_of_gpu, ledger)
    with pytest.raises(Unsupported):
        checkout.refund("shop", "A1001", FORTY, "R1")
    with pytest.raises(Unsupported):
        checkout.close_payment("shop", "A1001")
    assert ledger.history("shop", "A1001") == []


@pytest.fixture
def hub_of_gpu(blocking: Checkout) -> Hub:
    return blocking.hub


def test_an_account_that_has_another_provider_now_pays_nothing_back(
    paid: Checkout, ledger: Ledger, gateway: Gateway
) -> None:
    """The money went through another gateway."""
    ledger.write(lambda c: c.execute(text("UPDATE payhub_payments SET provider = 'former'")))
    for call in (
        lambda: paid.refund("shop", "A1001", FORTY, "R1"),
        lambda: paid.close_payment("shop", "A1001"),
    ):
        with pytest.raises(ConfigError, match="'former'"):
            call()
    assert gateway.sent == []


def test_asyncio_refunds_and_closes_too(url: str, gateway: Gateway, make_order: Callable[..., Order]) -> None:
    """The same steps, an async handler."""
    told: list[str] = []

    async def handle(transition: Transition, _connection: object) -> None:
        told.append(transition.id)

    async def main() -> None:
        async with Ledger(url) as ledger, AsyncHub({"shop": gateway}) as hub:
            checkout = AsyncCheckout(hub, ledger, handler=handle)
            for reference in ("A1001", "A1002"):
                await checkout.start("shop", make_order(reference=reference))
            body = Payment(reference="A1001", status=PaymentStatus.PAID, paid=HUNDRED).model_dump_json().encode()
            await checkout.receive("shop", Callback("POST", {}, b"", body))
            assert (await checkout.refund("shop", "A1001", HUNDRED, "R1")).status is RefundStatus.REFUNDED
            assert (await checkout.close_payment("shop", "A1002")).status is PaymentStatus.CANCELED
            with pytest.raises(InvalidOrder, match="'R1' has gone back"):
                await ledger.asettle_refund("shop", "A1001", "R1", RefundStatus.REFUNDED, by="Li", reason="seen")

    asyncio.run(main())
    assert told == ["shop/A1001/paid", "shop/A1001/refunded", "shop/A1002/canceled"]
