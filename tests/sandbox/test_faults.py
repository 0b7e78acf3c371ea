"""Faults of the API's replies, each seen through a real client."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from tests.sandbox.parties import Customer

from payhub_sandbox import SandboxProcess

BOTH = ("unified", "check_order")


def call(customer: Customer, endpoint: str) -> httpx.Response:
    """Creates an order or queries it."""
    return customer.post() if endpoint == "unified" else customer.check()


@pytest.fixture(params=BOTH)
def endpoint(request: pytest.FixtureRequest, customer: Customer) -> str:
    """Both endpoints in turn; for the query there is an order to ask for."""
    if request.param == "check_order":
        customer.create()
    return str(request.param)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_any_5xx(customer: Customer, sandbox: SandboxProcess, endpoint: str, status: int) -> None:
    """Servers behind proxies have their days; the order exists all the same."""
    sandbox.fault(endpoint, f"http_{status}")
    response = call(customer, endpoint)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert len(sandbox.orders()) == 1


def test_html_with_status_200(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """A maintenance page pretends to be a reply."""
    sandbox.fault(endpoint, "html")
    response = call(customer, endpoint)
    assert response.status_code == 200
    assert response.text.startswith("<html>")


def test_a_php_warning_stands_before_the_json(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """The JSON is whole, and no parser will have it."""
    sandbox.fault(endpoint, "php_warning")
    text = call(customer, endpoint).text
    assert "<b>Warning</b>" in text
    assert json.loads(text[text.index("{") :])["data"]["order_no"] == "A1001"


def test_a_byte_order_mark(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """Three bytes from an editor, before good JSON."""
    sandbox.fault(endpoint, "bom")
    content = call(customer, endpoint).content
    assert content[:3] == b"\xef\xbb\xbf"
    assert json.loads(content[3:])["data"]["order_no"] == "A1001"


def test_truncated_json(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """Half a reply, complete as far as HTTP can tell."""
    sandbox.fault(endpoint, "truncated")
    with pytest.raises(json.JSONDecodeError):
        call(customer, endpoint).json()


def test_invalid_utf8(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """GBK from an older part of the platform."""
    sandbox.fault(endpoint, "invalid_utf8")
    with pytest.raises(UnicodeDecodeError):
        call(customer, endpoint).content.decode()


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_a_reply_that_takes_its_time(customer: Customer, sandbox: SandboxProcess, endpoint: str, fault: str) -> None:
    """First nothing and then all, or byte by byte: complete in the end."""
    sandbox.fault(endpoint, fault, seconds=0.3)
    started = time.monotonic()
    assert call(customer, endpoint).json()["data"]["order_no"] == "A1001"
    assert time.monotonic() - started >= 0.29


def test_a_drip_resets_a_clients_read_timeout(customer: Customer, sandbox: SandboxProcess) -> None:
    """Each byte is a sign of life: only a limit on the whole reply helps."""
    sandbox.fault("unified", "drip", seconds=1.0)
    customer.http.timeout = httpx.Timeout(0.5)
    assert customer.post().json()["status"] == 1


def test_an_oversized_reply_is_streamed(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """Good JSON of at least the size asked for, without a length in the header."""
    sandbox.fault(endpoint, "oversized", size=2_000_000)
    response = call(customer, endpoint)
    assert "content-length" not in response.headers
    assert len(response.content) >= 2_000_000
    assert response.json()["data"]["order_no"] == "A1001"


def test_a_redirect(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """HTTP 302 to a page that is no reply."""
    sandbox.fault(endpoint, "redirect")
    response = call(customer, endpoint)
    assert (response.status_code, response.headers["location"]) == (302, "/")


@pytest.mark.parametrize(("fault", "orders"), [("cut", 1), ("cut_before", 0)])
def test_a_cut_connection(customer: Customer, sandbox: SandboxProcess, fault: str, orders: int) -> None:
    """The client cannot tell the two apart, and only in one of them an order exists."""
    sandbox.fault("unified", fault)
    with pytest.raises(httpx.RemoteProtocolError, match="disconnected without sending a response"):
        customer.post()
    assert len(sandbox.orders()) == orders
    assert sandbox.requests()[0]["count"] == 1


def test_a_cut_query(customer: Customer, sandbox: SandboxProcess) -> None:
    """Queries break as well."""
    sandbox.fault("check_order", "cut")
    with pytest.raises(httpx.RemoteProtocolError):
        customer.check()


def test_a_reply_about_another_order(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """Everything is right about it but the order."""
    sandbox.fault(endpoint, "other_order")
    data = call(customer, endpoint).json()["data"]
    assert data["order_no"] == "OTHER-1"
    assert data["platform_order_no"] != sandbox.orders()[0]["platform_order_no"]


@pytest.mark.parametrize(("fault", "data"), [("data_list", []), ("data_null", None), ("data_empty_string", "")])
def test_data_of_another_type(
    customer: Customer, sandbox: SandboxProcess, endpoint: str, fault: str, data: object
) -> None:
    """PHP has many ways to say nothing."""
    sandbox.fault(endpoint, fault)
    reply = call(customer, endpoint).json()
    assert int(reply["status"]) == 1
    assert reply["data"] == data


def test_absent_data(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """And one way not to say it."""
    sandbox.fault(endpoint, "data_absent")
    assert set(call(customer, endpoint).json()) == {"status", "message"}


def test_a_refusal_can_have_other_data_too(customer: Customer, sandbox: SandboxProcess) -> None:
    """Faults meet refusals as they meet successes."""
    for fault in ("data_null", "data_absent", "other_order", "no_redirect"):
        sandbox.fault("unified", fault)
    replies = [customer.post(amount="0").json() for _ in range(4)]
    refusal = {"status": 0, "message": "amount 错误", "data": []}
    assert replies == [refusal | {"data": None}, {"status": 0, "message": "amount 错误"}, refusal, refusal]


@pytest.mark.parametrize(
    ("fault", "status"), [("status_text", "1"), ("status_int", 1), ("status_bool", True), ("status_null", None)]
)
def test_status_of_another_type(
    customer: Customer, sandbox: SandboxProcess, endpoint: str, fault: str, status: object
) -> None:
    """Two of these are legal, and two are garbage."""
    sandbox.fault(endpoint, fault)
    received = call(customer, endpoint).json()["status"]
    assert received == status
    assert type(received) is type(status)


def test_no_redirect(customer: Customer, sandbox: SandboxProcess) -> None:
    """Only ``content`` leads to the payment then."""
    sandbox.fault("unified", "no_redirect")
    data = customer.create()
    assert data["redirect_url"] == "no_redirect"
    assert data["content"].startswith("<form")


def test_a_redirect_url_with_an_evil_scheme(customer: Customer, sandbox: SandboxProcess) -> None:
    """A gateway that was broken into could send this."""
    sandbox.fault("unified", "redirect_scheme")
    assert customer.create()["redirect_url"].startswith("javascript:")


def test_a_refusal_on_demand(customer: Customer, sandbox: SandboxProcess, endpoint: str) -> None:
    """Nothing is processed, and the message is whatever a test needs."""
    sandbox.fault(endpoint, "refuse", message="余额不足")
    before = len(sandbox.orders())
    assert call(customer, endpoint).json() == {"status": 0, "message": "余额不足", "data": []}
    assert len(sandbox.orders()) == before


def test_a_fault_happens_as_often_as_asked(customer: Customer, sandbox: SandboxProcess) -> None:
    """Twice, and not a third time; other endpoints are not concerned."""
    customer.create()
    sandbox.fault("check_order", "http_500", times=2)
    assert customer.post(order_no="A1002").status_code == 200
    assert [customer.check().status_code for _ in range(3)] == [500, 500, 200]


def test_faults_happen_in_the_order_they_were_armed(customer: Customer, sandbox: SandboxProcess) -> None:
    """The first one armed is served first."""
    customer.create()
    sandbox.fault("check_order", "http_502")
    sandbox.fault("check_order", "http_503")
    assert [customer.check().status_code for _ in range(3)] == [502, 503, 200]


def test_faults_can_be_disarmed(customer: Customer, sandbox: SandboxProcess) -> None:
    """All of them at once."""
    sandbox.fault("unified", "http_500", times=100)
    sandbox.clear_faults()
    assert customer.post().status_code == 200
