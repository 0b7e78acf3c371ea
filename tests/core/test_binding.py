"""A signed message still has to be about this order; a hint never says paid; paid means at least the sum due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payhub_core import (
    Callback,
    CallbackKind,
    GatewayError,
    MalformedCallback,
    Money,
    Notification,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
    Reply,
    WrongAccount,
    WrongAmount,
    WrongOrder,
)
from payhub_core.binding import believe_failed, bind_payment, bind_refund

CALLBACK = Callback("POST", {}, b"", b"")


def test_a_notify_with_the_order_at_hand_is_bound(hub: Any, platform: Any, order: Any) -> None:
    """Account, provider, reference, sum and currency compared."""
    notification = hub.parse_callback("shop", platform.callback(platform.notify()), expect=order)
    assert notification.bound
    assert (notification.payment.account, notification.payment.provider) == ("shop", "gpu")
    assert notification.payment.status is PaymentStatus.PAID
    assert notification.reply.body == b"SUCCESS"


def test_a_notify_without_an_order_says_that_it_is_unbound(hub: Any, platform: Any) -> None:
    """The caller has to compare."""
    assert not hub.parse_callback("shop", platform.callback(platform.notify())).bound


def test_a_message_about_a_refund_may_name_no_sum(open_hub: Any, make_provider: Any, order: Any) -> None:
    """It is bound all the same; one in another currency than the order's is not."""
    told: dict[str, Any] = {"reference": order.reference, "refund_reference": "R1", "status": RefundStatus.REFUNDED}
    sums = iter([None, Money(100, "USD")])

    def parse(callback: Callback) -> Notification:
        return Notification(callback.kind, None, refund=Refund(**told, amount=next(sums)))

    hub = open_hub(accounts={"shop": make_provider(parse_callback=parse)})
    notification = hub.parse_callback("shop", CALLBACK, expect=order)
    assert (notification.bound, notification.refund.status) == (True, RefundStatus.REFUNDED)
    with pytest.raises(WrongAmount, match="the sum refunded in USD"):
        hub.parse_callback("shop", CALLBACK, expect=order)


def test_a_provider_cannot_claim_that_a_notification_is_bound(open_hub: Any, make_provider: Any) -> None:
    """The core says it, and nobody else."""
    payment = Payment(reference="A1001", status=PaymentStatus.PAID)
    provider = make_provider(parse_callback=lambda _: Notification(CallbackKind.NOTIFY, payment, bound=True))
    assert not open_hub(accounts={"shop": provider}).parse_callback("shop", CALLBACK).bound


def refund_of(**changes: Any) -> Refund:
    """What a provider tells of one refund."""
    usual = {"reference": "A1001", "refund_reference": "R1", "status": RefundStatus.REFUNDED}
    return Refund.model_validate({**usual, **changes})


def telling(open_hub: Any, make_provider: Any, refund: Refund, **more: Any) -> Any:
    """A hub whose provider tells of ``refund``."""
    made = {"kind": CallbackKind.OTHER, "payment": None, "refund": refund, **more}
    return open_hub(accounts={"shop": make_provider(parse_callback=lambda _: Notification(**made))})


@pytest.mark.parametrize("kind", [CallbackKind.NOTIFY, CallbackKind.RETURN])
@pytest.mark.parametrize("known", [True, False])
def test_a_message_about_a_refund_is_bound(
    open_hub: Any, make_provider: Any, order: Any, kind: CallbackKind, known: bool
) -> None:
    """Account and provider filled in; at the return address it is a hint. A time that no calendar has is none."""
    made = refund_of(amount=Money(1, "CNY"), refunded_at=datetime(3000, 1, 1, tzinfo=UTC))
    hub = telling(open_hub, make_provider, made)
    heard = hub.parse_callback("shop", Callback("POST", {}, b"", b"", kind), expect=order if known else None)
    assert (heard.kind, heard.bound, heard.payment) == (kind, known, None)
    returned = kind is CallbackKind.RETURN
    assert heard.refund == refund_of(
        account="shop",
        provider="scripted",
        amount=Money(1, "CNY"),
        status=RefundStatus.PENDING if returned else RefundStatus.REFUNDED,
    )


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"reference": "B2"}, WrongOrder, "expected order 'A1001', the message is about 'B2'"),
        ({"amount": Money(0, "CNY")}, MalformedCallback, "above zero"),
        ({"amount": Money(-1, "CNY")}, MalformedCallback, "above zero"),
        ({"amount": Money(1, "USD")}, WrongAmount, "due is in CNY, the sum refunded in USD"),
        *(
            ({name: "x" * 129}, MalformedCallback, f"{name}: expected at most 128 printable characters")
            for name in ("gateway_id", "refund_reference", "refund_id")
        ),
    ],
)
def test_a_message_about_a_refund_that_cannot_be_is_refused(
    open_hub: Any, make_provider: Any, order: Any, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    """Of another order, of no sum, in another currency, of numbers that nobody could store."""
    with pytest.raises(error, match=said):
        telling(open_hub, make_provider, refund_of(**changes)).parse_callback("shop", CALLBACK, expect=order)


def test_a_refund_without_an_order_at_hand_still_has_numbers_that_can_be_stored(
    open_hub: Any, make_provider: Any
) -> None:
    """Which order it is about nobody has said."""
    hub = telling(open_hub, make_provider, refund_of(reference="x" * 129))
    with pytest.raises(MalformedCallback, match="reference: expected at most 128"):
        hub.parse_callback("shop", CALLBACK)


def test_a_message_is_about_a_payment_or_about_a_refund(open_hub: Any, make_provider: Any) -> None:
    """A provider that tells of both is told so."""
    payment = Payment(reference="A1001", status=PaymentStatus.PAID)
    hub = telling(open_hub, make_provider, refund_of(), payment=payment)
    with pytest.raises(MalformedCallback, match="told of a payment and of a refund") as caught:
        hub.parse_callback("shop", CALLBACK)
    assert caught.value.hint == "a message is about one"


def test_another_order_is_refused_with_both_numbers(hub: Any, platform: Any, order: Any) -> None:
    """Authentic, but about another order: CVE-2026-9189."""
    with pytest.raises(WrongOrder, match=r"A1001.*B2"):
        hub.parse_callback("shop", platform.callback(platform.notify(order_no="B2")), expect=order)


def test_the_sum_of_another_order_is_refused_with_both_numbers(hub: Any, platform: Any, order: Any) -> None:
    """The sum due, not the sum paid, has to be the order's."""
    with pytest.raises(WrongAmount, match=r"100\.00 CNY.*0\.01 CNY"):
        hub.parse_callback("shop", platform.callback(platform.notify(amount="1", actual_amount="1")), expect=order)


def test_another_currency_is_refused(hub: Any, platform: Any, make_order: Any) -> None:
    """The same digits in dollars."""
    expect = make_order(amount=Money.of("100.00", "USD"))
    with pytest.raises(WrongAmount, match=r"100\.00 USD.*100\.00 CNY"):
        hub.parse_callback("shop", platform.callback(platform.notify()), expect=expect)


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize(
    ("received", "status"),
    [
        ("9999", PaymentStatus.PARTIALLY_PAID),
        ("0", PaymentStatus.PARTIALLY_PAID),
        ("10000", PaymentStatus.PAID),
        ("10001.00", PaymentStatus.PAID),
    ],
)
def test_paid_means_at_least_the_sum_due(
    hub: Any, platform: Any, order: Any, received: str, status: PaymentStatus, bound: bool
) -> None:
    """Overpaid and underpaid are data: both sums are there, acknowledged, never swallowed, never plainly paid."""
    callback = platform.callback(platform.notify(actual_amount=received))
    notification = hub.parse_callback("shop", callback, expect=order if bound else None)
    assert notification.payment.status is status
    assert notification.payment.amount == Money(10000, "CNY")
    assert notification.payment.paid == Money(int(received.partition(".")[0]), "CNY")
    assert notification.reply.body == b"SUCCESS"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_return_never_settles(hub: Any, platform: Any, order: Any, method: str) -> None:
    """Verified, and even then a hint: what it claims is apart, for the payer's page."""
    message = {"order_no": "A1001", "pay_status": "1"}
    callback = platform.callback(message, kind=CallbackKind.RETURN, method=method)
    for expect in (order, None):
        notification = hub.parse_callback("shop", callback, expect=expect)
        assert notification.kind is CallbackKind.RETURN
        assert notification.payment.status is PaymentStatus.PENDING
        assert notification.payment.claimed_status is PaymentStatus.PAID
        assert notification.payment.amount == (order.amount if expect else None)
        assert notification.payment.paid is None


def test_a_complete_notify_at_the_return_address_is_only_a_hint(hub: Any, platform: Any, order: Any) -> None:
    """The address decides, never the looks."""
    callback = platform.callback(platform.notify(), kind=CallbackKind.RETURN)
    notification = hub.parse_callback("shop", callback, expect=order)
    assert notification.kind is CallbackKind.RETURN
    assert notification.payment.status is PaymentStatus.PENDING
    assert notification.payment.claimed_status is PaymentStatus.PAID


def test_a_provider_cannot_make_a_notify_of_a_return(open_hub: Any, make_provider: Any) -> None:
    """Whatever kind it reports, the address rules."""
    payment = Payment(reference="A1001", status=PaymentStatus.PAID)
    provider = make_provider(parse_callback=lambda _: Notification(CallbackKind.NOTIFY, payment))
    callback = Callback("POST", {}, b"", b"", CallbackKind.RETURN)
    notification = open_hub(accounts={"shop": provider}).parse_callback("shop", callback)
    assert notification.kind is CallbackKind.RETURN
    assert notification.payment.status is PaymentStatus.PENDING


@pytest.mark.parametrize("status", PaymentStatus)
def test_a_hint_says_nothing_but_pending(status: PaymentStatus) -> None:
    """Neither paid nor failed nor refunded is proved by it."""
    payment = bind_payment(Payment(reference="A", status=status), "shop", "gpu", reference="A", expect=None, hint=True)
    assert (payment.status, payment.claimed_status) == (PaymentStatus.PENDING, status)


def test_a_message_about_no_payment_is_acknowledged(open_hub: Any, make_provider: Any, order: Any) -> None:
    """A ping, or an event that is not modelled."""
    provider = make_provider(parse_callback=lambda _: Notification(CallbackKind.OTHER, None, Reply(b"pong")))
    notification = open_hub(accounts={"shop": provider}).parse_callback("shop", CALLBACK, expect=order)
    assert (notification.kind, notification.payment, notification.reply.body) == (CallbackKind.OTHER, None, b"pong")


def test_a_notify_about_no_payment_is_malformed(open_hub: Any, make_provider: Any) -> None:
    """Only OTHER may be about none."""
    provider = make_provider(parse_callback=lambda _: Notification(CallbackKind.NOTIFY, None))
    with pytest.raises(MalformedCallback, match="names no payment"):
        open_hub(accounts={"shop": provider}).parse_callback("shop", CALLBACK)


def test_a_time_without_a_zone_is_no_time(open_hub: Any, make_provider: Any) -> None:
    """A plugin's mistake, found before anything is compared with it."""

    def notified(_callback: Callback) -> Notification:
        payment = Payment(reference="A1001", status=PaymentStatus.PAID, paid_at=datetime(2026, 1, 1))  # noqa: DTZ001
        return Notification(CallbackKind.NOTIFY, payment)

    hub = open_hub(accounts={"shop": make_provider(parse_callback=notified)})
    with pytest.raises(MalformedCallback):
        hub.parse_callback("shop", CALLBACK)


@pytest.mark.parametrize("changes", [{"account": "other"}, {"provider": "other"}])
def test_a_provider_cannot_say_whose_payment_it_is(
    open_hub: Any, make_provider: Any, order: Any, changes: dict[str, str]
) -> None:
    """The core knows which account it has called."""
    payment = Payment(reference="A1001", status=PaymentStatus.PAID, **changes)
    provider = make_provider(parse_callback=lambda _: Notification(CallbackKind.NOTIFY, payment))
    with pytest.raises(GatewayError, match="leaves account and provider out"):
        open_hub(accounts={"shop": provider}).parse_callback("shop", CALLBACK, expect=order)


def test_a_sum_received_in_another_currency_is_refused(open_hub: Any, make_provider: Any, order: Any) -> None:
    """It cannot be compared with the sum due."""
    payment = Payment(reference="A1001", status=PaymentStatus.PAID, paid=Money(10000, "JPY"))
    provider = make_provider(parse_callback=lambda _: Notification(CallbackKind.NOTIFY, payment))
    with pytest.raises(WrongAmount, match=r"CNY.*JPY"):
        open_hub(accounts={"shop": provider}).parse_callback("shop", CALLBACK, expect=order)


MONEY = st.none() | st.builds(Money, st.integers(0, 5), st.sampled_from(["CNY", "USD"]))


@given(
    reference=st.sampled_from(["A1001", "B2"]),
    amount=MONEY,
    paid=MONEY,
    status=st.sampled_from(PaymentStatus),
    due=st.builds(Money, st.integers(1, 5), st.sampled_from(["CNY", "USD"])),
    hint=st.booleans(),
)
def test_paid_is_this_order_and_at_least_this_sum(
    make_order: Any, reference: str, amount: Any, paid: Any, status: PaymentStatus, due: Money, hint: bool
) -> None:
    """Over all fields: either an error of ours, or a payment of this order whose PAID is covered."""
    order = make_order(amount=due)
    message = Payment(reference=reference, status=status, amount=amount, paid=paid)
    try:
        payment = bind_payment(message, "shop", "gpu", reference="A1001", expect=order, hint=hint)
    except (WrongOrder, WrongAmount):
        assert reference != "A1001" or amount not in {None, due} or (paid is not None and paid.currency != due.currency)
        return
    assert (payment.reference, payment.amount) == ("A1001", due)
    if payment.status is PaymentStatus.PAID:
        assert not hint
        assert status is PaymentStatus.PAID
        assert paid is None or paid >= due


def bound(payment: Payment, **how: Any) -> Payment:
    """``payment``, bound to its account and order."""
    values: dict[str, Any] = {"reference": payment.reference, "expect": None, "hint": False, **how}
    return bind_payment(payment, "shop", "gpu", **values)


def test_an_answer_to_another_question_is_refused_though_the_order_is_at_hand(order: Any) -> None:
    """A query for one order, with the shop's copy of another."""
    with pytest.raises(WrongOrder, match=r"A1001.*B2"):
        bound(Payment(reference="B2", status=PaymentStatus.PAID), expect=order)


def test_a_sum_refunded_in_another_currency_is_refused(order: Any) -> None:
    """It cannot be compared with the sum due; in the same one it stands."""
    with pytest.raises(WrongAmount, match=r"CNY.*refunded in JPY"):
        bound(Payment(reference="A1001", status=PaymentStatus.PAID, refunded=Money(1, "JPY")), expect=order)
    mine = bound(Payment(reference="A1001", status=PaymentStatus.PAID, refunded=Money(1, "CNY")), expect=order)
    assert mine.refunded == Money(1, "CNY")


def test_without_a_sum_due_nothing_is_compared(order: Any) -> None:
    """The sum received is shown as it came."""
    payment = bound(Payment(reference="A1001", status=PaymentStatus.PAID, paid=Money(1, "CNY")))
    assert (payment.amount, payment.paid, payment.status) == (None, Money(1, "CNY"), PaymentStatus.PAID)


def test_what_the_core_fills_in_counts_as_set() -> None:
    """So that a payment is stored whole where only what is set is stored."""
    dumped = bound(Payment(reference="A1001", status=PaymentStatus.PENDING)).model_dump(exclude_unset=True)
    assert dumped.keys() == {"account", "provider", "reference", "amount", "status", "claimed_status"}


@pytest.mark.parametrize(("year", "kept"), [(999, False), (1000, True), (2999, True), (3000, False)])
def test_times_of_no_calendar_are_left_out(year: int, kept: bool) -> None:
    """Of payments and of refunds: beyond these years a change of the zone overflows."""
    time = datetime(year, 6, 1, tzinfo=UTC)
    payment = bound(Payment(reference="A1001", status=PaymentStatus.PENDING, paid_at=time))
    assert payment.paid_at == (time if kept else None)
    assert refund_bound(refunded_at=time).refunded_at == (time if kept else None)


@pytest.mark.parametrize(("length", "kept"), [(16 * 1024, True), (16 * 1024 + 1, False)])
def test_an_attached_text_is_bounded(length: int, kept: bool) -> None:
    """What is longer is left out; it decides nothing."""
    payment = bound(Payment(reference="A1001", status=PaymentStatus.PENDING, attach="x" * length))
    assert payment.attach == ("x" * length if kept else "")


def refund_bound(**changes: Any) -> Refund:
    """A refund, bound to what was asked for."""
    values = {"reference": "A1001", "refund_reference": "R1", "status": RefundStatus.REFUNDED, **changes}
    asked = {"reference": "A1001", "refund_reference": "R1", "amount": Money(1, "CNY")}
    return bind_refund(Refund(**values), "shop", "gpu", asked, "P1", hint=False)


def test_what_the_core_fills_into_a_refund_counts_as_set() -> None:
    """And nothing else does."""
    dumped = refund_bound().model_dump(exclude_unset=True)
    assert dumped.keys() == {"account", "provider", "reference", "refund_reference", "amount", "status"}
    assert dumped["amount"] == {"minor": 1, "currency": "CNY"}


@pytest.mark.parametrize("field", ["gateway_id", "refund_id"])
def test_an_unfit_number_of_a_refund_is_refused(field: str) -> None:
    """Nobody could store it, show it or send it again."""
    with pytest.raises(GatewayError, match=f"{field}: expected at most 128 printable characters"):
        refund_bound(**{field: "P\x00"})


@pytest.mark.parametrize("whose", [{"account": "other"}, {"provider": "other"}])
def test_a_payment_of_another_account_is_refused(whose: dict[str, str]) -> None:
    """By the account's name and by the provider's."""
    with pytest.raises(WrongAccount):
        bound(Payment(reference="A1001", status=PaymentStatus.PAID, **whose))


def test_a_number_has_at_most_128_characters() -> None:
    """And so has a method; the one is refused, the other left out."""
    longest = "x" * 128
    fine = bound(Payment(reference="A1001", gateway_id=longest, method=longest, status=PaymentStatus.PENDING))
    assert (fine.gateway_id, fine.method) == (longest, longest)
    assert bound(Payment(reference="A1001", method=f"{longest}x", status=PaymentStatus.PENDING)).method is None
    with pytest.raises(GatewayError):
        bound(Payment(reference="A1001", gateway_id=f"{longest}x", status=PaymentStatus.PENDING))


DAY = 86_400.0


@pytest.mark.parametrize(
    ("status", "claimed", "age", "comes_to"),
    [
        (PaymentStatus.PENDING, PaymentStatus.FAILED, DAY + 60, PaymentStatus.FAILED),
        (PaymentStatus.PENDING, PaymentStatus.FAILED, DAY - 60, PaymentStatus.PENDING),
        (PaymentStatus.PENDING, PaymentStatus.FAILED, None, PaymentStatus.PENDING),
        (PaymentStatus.PENDING, PaymentStatus.PAID, DAY + 60, PaymentStatus.PENDING),
        (PaymentStatus.PAID, PaymentStatus.FAILED, DAY + 60, PaymentStatus.PAID),
    ],
)
def test_failed_is_believed_of_an_order_that_is_old(
    status: PaymentStatus, claimed: PaymentStatus, age: float | None, comes_to: PaymentStatus
) -> None:
    """And of no other, nor where something else is claimed or known."""
    payment = Payment(reference="A1001", status=status, claimed_status=claimed)
    believe_failed(payment, None if age is None else datetime.now(UTC) - timedelta(seconds=age), DAY)
    assert payment.status is comes_to


@pytest.mark.parametrize("field", ["paid", "refunded"])
@pytest.mark.parametrize("amount", [None, Money.of("1.00", "CNY")])
def test_a_sum_below_zero_is_refused(field: str, amount: Money | None) -> None:
    """It would take away from what was received under the order's other numbers."""
    sums: dict[str, Any] = {"amount": amount, field: Money(-1, "CNY")}
    payment = Payment(reference="A1001", status=PaymentStatus.PAID, **sums)
    with pytest.raises(MalformedCallback, match="below zero"):
        bind_payment(payment, "shop", "gpu", "A1001", None, False, None, MalformedCallback)


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("field", ["paid", "refunded"])
def test_nothing_and_the_least_sum_are_sums(field: str, minor: int) -> None:
    """Many gateways write that nothing went back with every order."""
    sums: dict[str, Any] = {field: Money(minor, "CNY")}
    payment = bound(Payment(reference="A1001", status=PaymentStatus.PENDING, **sums))
    assert getattr(payment, field) == Money(minor, "CNY")
