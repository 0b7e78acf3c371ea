"""The gateway's own answers, recorded from the simulator over TLS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from payhub_core import (
    AccountRefused,
    InvalidOrder,
    Money,
    NotFound,
    OutcomeUnknown,
    PaymentMethod,
    PaymentStatus,
    QrCode,
    Redirect,
    RefundStatus,
)

NOON = datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC)


def test_a_redirect(open_hub: Any, recorded: Any, order: Any) -> None:
    """The payer's address, and the gateway's number."""
    payment = open_hub().create_payment("shop", order)
    assert payment.gateway_id is not None
    assert payment.next_action == Redirect(url=f"https://gateway.example/pay/{payment.gateway_id}")
    assert payment.status is PaymentStatus.PENDING


def test_a_code_to_scan(open_hub: Any, recorded: Any, make_order: Any) -> None:
    """On a desktop, a wallet's page is scanned."""
    payment = open_hub().create_payment("shop", make_order(method=PaymentMethod.WECHAT_QR))
    assert payment.next_action == QrCode(content=f"https://gateway.example/pay/{payment.gateway_id}")


def test_a_wrong_key(open_hub: Any, recorded: Any, order: Any) -> None:
    """No to the account, whatever is asked; the sentence is the gateway's."""
    hub = open_hub(key="another-key-of-no-value")
    with pytest.raises(AccountRefused, match="签名校验失败"):
        hub.create_payment("shop", order)
    with pytest.raises(AccountRefused, match="商户密钥错误"):
        hub.query("shop", "A1001")


def test_another_merchant(open_hub: Any, recorded: Any, order: Any) -> None:
    """No to the account."""
    with pytest.raises(AccountRefused, match="商户ID不存在"):
        open_hub(pid="1002").create_payment("shop", order)


def test_a_number_used_twice(open_hub: Any, recorded: Any, order: Any) -> None:
    """It may be this very order, whose answer was lost."""
    hub = open_hub()
    hub.create_payment("shop", order)
    with pytest.raises(OutcomeUnknown, match="has an order of this number already"):
        hub.create_payment("shop", order)


def test_a_fresh_order(open_hub: Any, recorded: Any, make_order: Any) -> None:
    """Nobody has paid it."""
    hub, order = open_hub(), make_order(attach="table=7&cups=2 100% 茶")
    hub.create_payment("shop", order)
    payment = hub.query("shop", "A1001", expect=order)
    assert (payment.status, payment.paid, payment.paid_at, payment.created_at) == ("pending", None, None, NOON)
    assert payment.attach == order.attach


def test_a_paid_order(open_hub: Any, recorded: Any, pay: Any, order: Any) -> None:
    """With the sum and the time."""
    hub = open_hub()
    pay(hub.create_payment("shop", order).gateway_id)
    payment = hub.query("shop", "A1001", expect=order)
    assert (payment.status, payment.paid, payment.paid_at) == (PaymentStatus.PAID, order.amount, NOON)
    assert payment.method is PaymentMethod.ALIPAY


def test_an_unknown_order(open_hub: Any, recorded: Any) -> None:
    """Not found is not failed."""
    with pytest.raises(NotFound):
        open_hub().query("shop", "A9999")


def test_a_refund(open_hub: Any, recorded: Any, pay: Any, order: Any) -> None:
    """Of the whole sum; the same call again sends no second one."""
    hub = open_hub()
    pay(hub.create_payment("shop", order).gateway_id)
    for _ in range(2):
        refund = hub.refund("shop", "A1001", None, order.amount, "R1")
        assert (refund.status, refund.amount) == (RefundStatus.REFUNDED, order.amount)
    assert hub.query("shop", "A1001").status is PaymentStatus.REFUND_SUM_UNKNOWN
    assert recorded().count("POST /api.php") == 1


def test_a_refund_of_a_part(open_hub: Any, recorded: Any, pay: Any, order: Any) -> None:
    """Refused before anything is sent: twice, it could be paid back twice."""
    hub = open_hub()
    pay(hub.create_payment("shop", order).gateway_id)
    with pytest.raises(InvalidOrder, match=r"whole sum, 100\.50 CNY"):
        hub.refund("shop", "A1001", None, Money.of("1.00", "CNY"), "R1")
    assert "POST /api.php" not in recorded()


def test_a_refund_of_what_is_not_paid(open_hub: Any, recorded: Any, order: Any) -> None:
    """Nothing is sent."""
    hub = open_hub()
    hub.create_payment("shop", order)
    with pytest.raises(InvalidOrder, match="does not call the order paid"):
        hub.refund("shop", "A1001", None, order.amount, "R1")
    assert "POST /api.php" not in recorded()
