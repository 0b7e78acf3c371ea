"""The dummy beside its table: the switch, its messages, refunds and closing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from payhub_core import (
    BadSignature,
    Callback,
    CallbackKind,
    ConfigError,
    InvalidOrder,
    MalformedCallback,
    Money,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PaymentMethod,
    PaymentStatus,
    RefundStatus,
    Refused,
    WrongAccount,
    load_accounts,
)
from payhub_core.money import CURRENCIES
from payhub_dummy import Dummy, messages, notify


@pytest.fixture
def hub(open_hub: Any) -> Any:
    return open_hub(accounts={"shop": Dummy(development=True), "outlet": Dummy(development=True)})


@pytest.mark.parametrize("settings", [{}, {"development": False}])
def test_it_does_not_start_unless_the_configuration_says_it_is_development(settings: dict[str, Any]) -> None:
    """With the reason, since it would ship what nobody paid."""
    with pytest.raises(ConfigError, match=r"account shop.*development: .*calls orders paid that nobody paid"):
        load_accounts({"accounts": {"shop": {"provider": "dummy", **settings}}})


def test_words_of_the_environment_are_read() -> None:
    """Its words are text."""
    accounts: Any = load_accounts({"accounts": {"shop": {"provider": "dummy", "development": "true", "delay": "0.5"}}})
    assert accounts["shop"].delay == 0.5


def test_it_takes_every_currency_and_method(hub: Any, make_order: Any) -> None:
    """An application's own orders go through as they are."""
    for currency in CURRENCIES:
        order = make_order(amount=Money(1980, currency), method=PaymentMethod.CARD, extra={"any": "thing"})
        assert hub.create_payment("shop", order).status is PaymentStatus.PENDING
    assert hub.create_payment("shop", make_order(method="a code of another gateway")).gateway_id


def test_the_payer_is_sent_straight_back_with_a_claim_that_settles_nothing(hub: Any, make_order: Any) -> None:
    """The address keeps its own query; the claim is found behind it."""
    order = make_order(return_url="https://shop.example/thanks?lang=zh#top", attach="table=7&x 茶")
    url = hub.create_payment("shop", order).next_action.url
    assert url.startswith("https://shop.example/thanks?lang=zh&dummy=")
    query = urlsplit(url).query.encode()
    back = hub.parse_callback("shop", Callback("GET", {}, query, b"", CallbackKind.RETURN), expect=order)
    assert (back.payment.status, back.payment.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.PAID)
    assert back.payment.attach == order.attach


def test_a_notify_states_the_sum_that_is_asked_for(hub: Any, order: Any) -> None:
    """In the order's own currency."""
    payment = hub.parse_callback("shop", notify("shop", order, paid=Money(1, "CNY")), expect=order).payment
    assert (payment.status, payment.paid) == (PaymentStatus.PARTIALLY_PAID, Money(1, "CNY"))
    with pytest.raises(InvalidOrder, match="CNY, not in EUR"):
        notify("shop", order, paid=Money(1, "EUR"))


def test_a_notify_of_another_account_is_refused(hub: Any, order: Any) -> None:
    """All accounts share one key, so the message names its account."""
    with pytest.raises(WrongAccount):
        hub.parse_callback("outlet", notify("shop", order), expect=order)


def test_every_changed_byte_of_a_notify_is_refused(hub: Any, order: Any) -> None:
    """Content and signature alike."""
    genuine = notify("shop", order)
    assert hub.parse_callback("shop", genuine, expect=order).payment.status is PaymentStatus.PAID
    for place in range(len(genuine.body)):
        body = bytearray(genuine.body)
        body[place] ^= 1
        with pytest.raises((BadSignature, MalformedCallback)):
            hub.parse_callback("shop", replace(genuine, body=bytes(body)), expect=order)


@pytest.mark.parametrize("body", [b"", b"dummy=", b"dummy=.", b"xdummy=e30.00", b"dummy=\xff.\xff", b"a=1&dummy=e30."])
def test_bytes_that_are_no_notify_are_refused(hub: Any, body: bytes) -> None:
    """As errors of payhub."""
    with pytest.raises((BadSignature, MalformedCallback)):
        hub.parse_callback("shop", Callback("POST", {}, b"", body))


@pytest.mark.parametrize("content", [b"e30=", b"W10=", b"!!!!", b"e30"])
def test_a_signed_message_of_no_known_form_is_malformed(hub: Any, content: bytes) -> None:
    """Everyone has the key."""
    body = b"dummy=" + content + b"." + messages._signature(content)
    with pytest.raises(MalformedCallback):
        hub.parse_callback("shop", Callback("POST", {}, b"", body))


def test_a_signed_message_about_no_money_is_malformed(hub: Any, order: Any) -> None:
    """A currency that is none."""
    message = messages.said("shop", "A1001", order.amount, PaymentStatus.PAID).model_copy(update={"currency": "RMB"})
    with pytest.raises(MalformedCallback):
        hub.parse_callback("shop", Callback("POST", {}, b"", messages.write(message)))


def test_a_number_or_the_order_finds_a_payment_again(hub: Any, make_order: Any) -> None:
    """In any process, since the number holds the sum; another order's number finds nothing."""
    order = make_order(reference="A-1-2")
    number = hub.create_payment("shop", order).gateway_id
    assert hub.query("shop", order.reference, gateway_id=number).status is PaymentStatus.PAID
    assert hub.query("shop", order.reference, expect=order).gateway_id == number
    for reference, gateway_id in (("A-1-2", None), ("A-1", number), ("A-1-2", "P1")):
        with pytest.raises(NotFound):
            hub.query("shop", reference, gateway_id=gateway_id)


@pytest.mark.parametrize(
    ("minor", "end"),
    [
        (1001, RefundStatus.PENDING),
        (1002, RefundStatus.FAILED),
        (1003, Refused),
        (1005, NotSent),
        (1006, OutcomeUnknown),
        (1000, RefundStatus.REFUNDED),
    ],
)
def test_a_refund_goes_by_its_own_sum(hub: Any, minor: int, end: Any) -> None:
    """The same twice, since nothing is kept."""
    for _ in range(2):
        if isinstance(end, RefundStatus):
            refund = hub.refund("shop", "A1001", "D-A1001-5000-CNY", Money(minor, "CNY"), "R1")
            assert (refund.status, refund.refund_id) == (end, "R-R1")
        else:
            with pytest.raises(end):
                hub.refund("shop", "A1001", None, Money(minor, "CNY"), "R1")


def test_an_order_is_closed_unless_it_is_paid_at_once(hub: Any) -> None:
    """Refused where it is, not found where there was none."""
    assert hub.close_payment("shop", "A1001", "D-A1001-1001-CNY").status is PaymentStatus.CANCELED
    with pytest.raises(Refused):
        hub.close_payment("shop", "A1001", "D-A1001-1000-CNY")
    with pytest.raises(NotFound):
        hub.close_payment("shop", "A1001", "D-A1001-1003-CNY")
