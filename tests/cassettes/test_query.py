"""Querying a payment: every answer of the gateway that can be recorded, and what payhub makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from payhub_core import (
    AccountRefused,
    GatewayError,
    Money,
    NotFound,
    PaymentMethod,
    PaymentStatus,
    WrongAmount,
    WrongOrder,
)

NOON = datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC)


def test_a_fresh_order(hub: Any, order: Any) -> None:
    """The gateway claims that an order which nobody has paid yet has failed; its sum and its time are right."""
    created = hub.create_payment("shop", order)
    payment = hub.query("shop", "A1001", expect=order)
    assert (payment.status, payment.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.FAILED)
    assert (payment.paid_at, payment.created_at) == (None, NOON)
    assert (payment.gateway_id, payment.amount) == (created.gateway_id, order.amount)


@pytest.mark.parametrize("account", ["shop", "last"])
def test_a_paid_order(hub: Any, sandbox: Any, order: Any, account: str) -> None:
    """Over TLS a query says paid, and does not claim to know what sum was received."""
    created = hub.create_payment(account, order)
    sandbox.pay(created.gateway_id, notify=False)
    payment = hub.query(account, "A1001", expect=order)
    assert (payment.status, payment.paid_at, payment.paid) == (PaymentStatus.PAID, NOON, None)
    assert (payment.method, payment.amount) == (PaymentMethod.ALIPAY_H5, Money(10000, "CNY"))


def test_a_failed_order_that_is_paid_later(hub: Any, sandbox: Any, order: Any) -> None:
    """Failed is never the last word."""
    created = hub.create_payment("shop", order)
    sandbox.pay(created.gateway_id, action="fail", notify=False)
    failed = hub.query("shop", "A1001")
    assert (failed.status, failed.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.FAILED)
    sandbox.pay(created.gateway_id, notify=False)
    assert hub.query("shop", "A1001").status is PaymentStatus.PAID


def test_an_underpaid_order(hub: Any, sandbox: Any, order: Any) -> None:
    """A query cannot see that too little was paid: it states the sum due, and no other."""
    created = hub.create_payment("shop", order)
    sandbox.pay(created.gateway_id, amount=1, notify=False)
    payment = hub.query("shop", "A1001")
    assert (payment.status, payment.amount, payment.paid) == (PaymentStatus.PAID, order.amount, None)


def test_another_amount_than_ordered(hub: Any, order: Any, make_order: Any) -> None:
    """A query about another sum than the shop's order is refused with both."""
    hub.create_payment("shop", order)
    with pytest.raises(WrongAmount, match=r"99\.99 CNY.*100\.00 CNY"):
        hub.query("shop", "A1001", expect=make_order(amount=Money.of("99.99", "CNY")))


def test_an_unknown_order(hub: Any) -> None:
    """An order that the gateway does not know is not a failed payment."""
    with pytest.raises(NotFound) as missing:
        hub.query("shop", "A9999")
    assert (missing.value.account, missing.value.reference) == ("shop", "A9999")


def test_another_merchants_order(hub: Any, order: Any) -> None:
    """An order belongs to the account that it was created through."""
    hub.create_payment("shop", order)
    with pytest.raises(NotFound):
        hub.query("last", "A1001")


def test_a_query_with_a_wrong_secret(hub: Any) -> None:
    """A refused query says why, and nothing about the payment."""
    with pytest.raises(AccountRefused) as refused:
        hub.query("wrong", "A1001")
    assert (type(refused.value), refused.value.reason) == (AccountRefused, "签名错误")


@pytest.mark.parametrize("oddity", ["status_text", "status_int", "bom"])
def test_a_clear_answer(hub: Any, sandbox: Any, order: Any, oddity: str) -> None:
    """A status in quotes or not, a byte order mark: it is an answer."""
    created = hub.create_payment("shop", order)
    sandbox.pay(created.gateway_id, notify=False)
    sandbox.fault("check_order", oddity)
    assert hub.query("shop", "A1001").status is PaymentStatus.PAID


@pytest.mark.parametrize(
    "garbage",
    [
        "html",
        "php_warning",
        "truncated",
        "invalid_utf8",
        "data_list",
        "data_null",
        "data_empty_string",
        "data_absent",
        "status_bool",
        "status_null",
        "redirect",
    ],
)
def test_an_unreadable_answer(hub: Any, sandbox: Any, order: Any, garbage: str) -> None:
    """Whatever cannot be understood proves nothing; the next query answers."""
    created = hub.create_payment("shop", order)
    sandbox.pay(created.gateway_id, notify=False)
    sandbox.fault("check_order", garbage)
    with pytest.raises(GatewayError) as proves_nothing:
        hub.query("shop", "A1001")
    assert type(proves_nothing.value) is GatewayError
    assert hub.query("shop", "A1001").status is PaymentStatus.PAID


def test_an_answer_about_another_order(hub: Any, sandbox: Any, order: Any) -> None:
    """The answer must be about the order asked for."""
    hub.create_payment("shop", order)
    sandbox.fault("check_order", "other_order")
    with pytest.raises(WrongOrder, match=r"'A1001'.*'OTHER-1'"):
        hub.query("shop", "A1001")


def test_a_gateway_that_is_down_for_a_moment(hub: Any, sandbox: Any, order: Any) -> None:
    """A query is sent up to three times, so two answers of 503 go unnoticed."""
    hub.create_payment("shop", order)
    sandbox.fault("check_order", "http_503", times=2)
    assert hub.query("shop", "A1001").reference == "A1001"


def test_a_gateway_that_is_down(hub: Any, sandbox: Any, order: Any) -> None:
    """After three answers of 503 a query gives up, and the next one may ask again."""
    hub.create_payment("shop", order)
    sandbox.fault("check_order", "http_503", times=3)
    with pytest.raises(GatewayError, match="503"):
        hub.query("shop", "A1001")
    assert hub.query("shop", "A1001").reference == "A1001"
