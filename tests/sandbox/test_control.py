"""The control API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.sandbox.parties import Customer, Shop

from payhub_sandbox import SandboxProcess, Settings
from payhub_sandbox.journal import Journal


def test_health_names_the_merchants_and_no_secret(customer: Customer) -> None:
    """What a script may know before it starts."""
    response = customer.http.get("/_sandbox/health")
    assert response.json() == {"status": "ok", "merchants": ["gpu10000000", "gpu10000001", "gpu10000002"]}


def test_orders_are_listed_newest_first(customer: Customer, sandbox: SandboxProcess) -> None:
    """With the address of each one's pay page."""
    for order_no in ("A1", "A2"):
        customer.create(order_no=order_no)
    assert [order["order_no"] for order in sandbox.orders()] == ["A2", "A1"]
    assert all(order["pay_url"] == f"{sandbox.url}/pay/{order['platform_order_no']}" for order in sandbox.orders())


def test_an_order_is_found_by_the_merchants_number(customer: Customer, sandbox: SandboxProcess) -> None:
    """The number is the merchant's own: another merchant's order does not answer to it."""
    number = customer.create()["platform_order_no"]
    assert [order["platform_order_no"] for order in sandbox.orders("gpu10000000", "A1001")] == [number]
    assert sandbox.orders("gpu10000001", "A1001") == []
    assert sandbox.orders("gpu10000000", "A1") == []


def test_a_failed_order_can_be_paid_later(customer: Customer, sandbox: SandboxProcess) -> None:
    """Failed is not the last word."""
    number = customer.create()["platform_order_no"]
    assert sandbox.pay(number, action="fail")["pay_status"] == 0
    order = sandbox.pay(number, amount=12345)
    assert (order["pay_status"], order["actual_amount"]) == (1, 12345)


@pytest.mark.parametrize("action", ["pay", "fail"])
def test_a_paid_order_stays_paid(customer: Customer, sandbox: SandboxProcess, action: Any) -> None:
    """Neither a failure nor another payment changes it."""
    number = customer.create()["platform_order_no"]
    paid = sandbox.pay(number)
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        sandbox.pay(number, action=action, amount=1)
    assert sandbox.order(number) == paid


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "orders/A0"), ("POST", "orders/A0/pay"), ("POST", "orders/A0/notify"), ("GET", "nothing")],
)
def test_what_does_not_exist_is_404(customer: Customer, method: str, path: str) -> None:
    """With a JSON body that says so."""
    response = customer.http.request(method, f"/_sandbox/{path}", json={"action": "pay"})
    assert response.status_code == 404
    assert response.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"action": "refund"}',
        b'{"action": "pay", "amount": 0}',
        b'{"action": "pay", "amount": "100"}',
        b'{"action": "pay", "amount": 1.5}',
        b'{"action": "pay", "amount": 1000000000000}',
        b'{"action": "pay", "amout": 1}',
        b"[" * 100_000,
    ],
)
def test_a_payment_that_makes_no_sense_is_400(customer: Customer, sandbox: SandboxProcess, body: bytes) -> None:
    """And pays nothing."""
    number = customer.create()["platform_order_no"]
    response = customer.http.post(f"/_sandbox/orders/{number}/pay", content=body)
    assert response.status_code == 400
    assert response.json()["error"]
    assert sandbox.order(number)["pay_status"] == -1


@pytest.mark.parametrize(
    ("endpoint", "fault", "parameters", "reason"),
    [
        ("refund", "cut", {}, "endpoint"),
        ("unified", "earthquake", {}, "cut_before"),
        ("unified", "http_404", {}, "http_5xx"),
        ("notify", "http_500", {}, "concurrent"),
        ("check_order", "no_redirect", {}, "no fault"),
        ("unified", "slow", {"second": 1}, "second"),
        ("unified", "slow", {"seconds": -1}, "seconds"),
        ("unified", "cut", {"times": 0}, "times"),
    ],
)
def test_a_fault_that_makes_no_sense_is_400(
    customer: Customer, endpoint: str, fault: str, parameters: dict[str, Any], reason: str
) -> None:
    """The answer says what would."""
    body = {"endpoint": endpoint, "fault": fault, **parameters}
    response = customer.http.post("/_sandbox/faults", json=body)
    assert response.status_code == 400
    assert reason in response.json()["error"]


def test_a_reset_forgets_everything(customer: Customer, sandbox: SandboxProcess) -> None:
    """Orders, faults and the journal."""
    customer.create()
    sandbox.fault("unified", "cut")
    sandbox.reset()
    assert (sandbox.orders(), sandbox.requests()) == ([], [])
    customer.create()


def test_a_file_keeps_the_orders_and_is_never_emptied(shop: Shop, tmp_path: Path) -> None:
    """Another process goes on where the first one ended."""
    settings = Settings(database=str(tmp_path / "sandbox.db"))
    with SandboxProcess(settings) as sandbox:
        customer = Customer(sandbox.url, shop)
        number = customer.create()["platform_order_no"]
        order = sandbox.pay(number)
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            sandbox.reset()
        customer.http.close()
    with SandboxProcess(settings) as sandbox:
        assert sandbox.order(number) == order | {"pay_url": f"{sandbox.url}/pay/{number}"}


def test_the_journal_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run does not fill the memory, and the newest requests are the ones a test asks about."""
    monkeypatch.setattr("payhub_sandbox.journal.KEPT_REQUESTS", 2)
    journal = Journal()
    for order_no in ("A1", "A2", "A2", "A3" * 100):
        journal.note("unified", "POST", order_no)
    assert [(entry["order_no"], entry["count"]) for entry in journal.entries()] == [("A2", 2), ("A3" * 50, 1)]
