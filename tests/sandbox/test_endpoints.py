"""The two endpoints a merchant calls."""

from __future__ import annotations

import re
from hashlib import md5

import pytest
from tests.sandbox.parties import Customer

from payhub_sandbox import SandboxProcess


def test_a_create_answers_as_section_5_1(customer: Customer) -> None:
    """The reply names the order, says that it is being paid, and leads to the pay page twice."""
    response = customer.post()
    assert response.status_code == 200
    assert response.json()["status"] == 1
    data = response.json()["data"]
    number = data["platform_order_no"]
    assert re.fullmatch(r"A[0-9]{24}", number)
    page = f"{customer.url}/pay/{number}"
    content = data.pop("content")
    assert content.startswith(f'<form id="pay" action="{page}"')
    assert data == {
        "order_no": "A1001",
        "platform_order_no": number,
        "pay_status": -1,
        "bank_code": "901",
        "amount": "10000",
        "redirect_url": page,
    }


def test_messages_are_escaped_as_php_escapes_them(customer: Customer) -> None:
    """Chinese arrives as escapes in both replies."""
    assert '"message":"\\u4e0b\\u5355\\u6210\\u529f"' in customer.post().text
    assert '"message":"\\u67e5\\u8be2\\u6210\\u529f"' in customer.check().text


@pytest.mark.parametrize("bank_code", ["904", "905"])
def test_an_app_code_has_parameters_and_no_page(customer: Customer, bank_code: str) -> None:
    """A wallet's SDK gets text, and the literal ``no_redirect`` stands where an address would."""
    data = customer.create(bank_code=bank_code)
    assert data["redirect_url"] == "no_redirect"
    assert data["content"] == f"sandbox=1&out_trade_no={data['platform_order_no']}&total_fee=10000"


def test_a_fresh_order_is_reported_as_the_sample_reports_it(customer: Customer) -> None:
    """Unpaid is ``pay_status`` 0 with no time, and the status is text."""
    number = customer.create(attach="%E8%8C%B6")["platform_order_no"]
    reply = customer.check().json()
    assert reply["status"] == "1"
    created_at = reply["data"].pop("created_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", created_at)
    assert reply["data"] == {
        "order_no": "A1001",
        "amount": "10000.00",
        "attach": "%E8%8C%B6",
        "bank_code": "901",
        "pay_status": 0,
        "platform_order_no": number,
        "pay_time": None,
    }


def test_a_paid_order_is_reported_with_its_time(customer: Customer, sandbox: SandboxProcess) -> None:
    """Payment shows in ``pay_status`` and ``pay_time``; the sum actually paid does not show at all."""
    sandbox.pay(customer.create()["platform_order_no"], amount=9999)
    data = customer.check().json()["data"]
    assert data["pay_status"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", data["pay_time"])
    assert data["amount"] == "10000.00"
    assert "actual_amount" not in data


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"appid": ""}, "参数错误: appid"),
        ({"product_name": ""}, "参数错误: product_name"),
        ({"return_url": ""}, "参数错误: return_url"),
        ({"appid": "gpu99999999"}, "商户不存在"),
        ({"appid": "gpu10000001"}, "签名错误"),
        ({"amount": "100.00"}, "amount 错误"),
        ({"amount": "0"}, "amount 错误"),
        ({"amount": "-1"}, "amount 错误"),
        ({"amount": "１００"}, "amount 错误"),
        ({"amount": "1" * 13}, "amount 错误"),
        ({"order_no": "A 1"}, "参数错误: order_no"),
        ({"order_no": "A" * 65}, "参数错误: order_no"),
        ({"notify_url": "/notify"}, "参数错误: notify_url"),
        ({"notify_url": "http://[::1/notify"}, "参数错误: notify_url"),
        ({"return_url": "javascript:alert(1)"}, "参数错误: return_url"),
        ({"return_url": "http://shop.example/\r\nx"}, "参数错误: return_url"),
        ({"bank_code": "alipay_h5"}, "参数错误: bank_code"),
        ({"bank_code": "９０１"}, "参数错误: bank_code"),
        ({"bank_code": "901\n"}, "参数错误: bank_code"),
        ({"bank_code": "902"}, "参数错误: openid"),
        ({"secret": "chosen by the sender"}, "签名错误"),
    ],
)
def test_a_bad_create_is_refused_as_php_platforms_refuse(
    customer: Customer, sandbox: SandboxProcess, changes: dict[str, str], message: str
) -> None:
    """HTTP 200, status 0, a reason, an empty list; and no order."""
    response = customer.post(**changes)
    assert response.status_code == 200
    assert response.json() == {"status": 0, "message": message, "data": []}
    assert sandbox.orders() == []


def test_any_digits_are_a_code(customer: Customer) -> None:
    """A platform opens channels whenever it likes."""
    assert customer.create(bank_code="20009")["bank_code"] == "20009"


def test_an_official_account_order_needs_its_payer(customer: Customer) -> None:
    """With ``openid`` code 902 is accepted."""
    assert customer.create(bank_code="902", openid="o-1")["bank_code"] == "902"


def test_an_order_number_is_used_once(customer: Customer, sandbox: SandboxProcess) -> None:
    """A repeated create changes nothing, whatever it asks for."""
    customer.create()
    assert customer.post(amount="20000").json() == {"status": 0, "message": "订单号重复", "data": []}
    assert [order["amount"] for order in sandbox.orders()] == [10000]


@pytest.mark.parametrize("position", [0, 31])
def test_a_sign_with_one_character_changed_is_refused(customer: Customer, position: int) -> None:
    """Both ends of the sign count."""
    fields = customer.sign(customer.order())
    sign = fields["sign"]
    other = "1" if sign[position] == "0" else "0"
    fields["sign"] = sign[:position] + other + sign[position + 1 :]
    assert customer.http.post("/api/order/unified", data=fields).json()["message"] == "签名错误"


def test_another_dialect_is_spoken_to_its_merchant(customer: Customer, sandbox: SandboxProcess) -> None:
    """Secret last in requests, empties dropped in callbacks: the strings written out."""
    url = customer.shop.url
    text = (
        f"amount=500&appid=gpu10000002&bank_code=911&notify_url={url}/notify&order_no=B1&product_name=x"
        f"&return_url={url}/thanks&trade_type=web&secret=another-secret-not-for-money"
    )
    fields = customer.order(
        appid="gpu10000002", amount="500", bank_code="911", order_no="B1", product_name="x", trade_type="web"
    ) | {"sign": md5(text.encode()).hexdigest()}
    number = customer.http.post("/api/order/unified", data=fields).json()["data"]["platform_order_no"]
    sandbox.pay(number)
    (notify,) = customer.shop.notifies()
    text = (
        "actual_amount=500.00&amount=500.00&appid=gpu10000002&order_no=B1&pay_status=1"
        f"&pay_time={notify['pay_time']}&platform_order_no={number}&secret=another-secret-not-for-money"
    )
    assert notify["attach"] == ""
    assert notify["sign"] == md5(text.encode()).hexdigest()


def test_a_query_for_an_unknown_order_is_refused(customer: Customer) -> None:
    """Status 0 says no more than that."""
    assert customer.check("nobody").json() == {"status": 0, "message": "订单不存在", "data": []}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"appid": "gpu10000000"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"appid"),
        ("application/x-www-form-urlencoded", b"appid=%ff"),
        ("application/x-www-form-urlencoded", b"appid=\xff"),
        ("application/x-www-form-urlencoded", b"appid=1&appid=2"),
        ("application/x-www-form-urlencoded", b"a=1&" * 70 + b"b=1"),
        ("application/x-www-form-urlencoded", b"appid=" + b"x" * 70_000),
        ("", b"\x00" * 100),
    ],
)
def test_an_unreadable_form_is_refused(customer: Customer, content_type: str, body: bytes) -> None:
    """Never a traceback: bytes of any kind end in the platform's own refusal."""
    headers = {"content-type": content_type}
    response = customer.http.post("/api/order/unified", content=body, headers=headers)
    assert response.json() == {"status": 0, "message": "参数错误: appid", "data": []}
    query = customer.http.get("/api/order/check_order?" + "a=1&a=2")
    assert query.json() == {"status": 0, "message": "参数错误: appid", "data": []}


def test_the_wrong_method_is_refused(customer: Customer) -> None:
    """A create is a POST and a query a GET."""
    fields = customer.sign(customer.order())
    assert customer.http.get("/api/order/unified", params=fields).json()["message"] == "请求方式错误"
    assert customer.http.post("/api/order/check_order", data=fields).json()["message"] == "请求方式错误"


def test_the_journal_counts_what_was_asked(customer: Customer, sandbox: SandboxProcess) -> None:
    """Refused requests count like the others, under the number they carried."""
    customer.create()
    customer.post()
    customer.check("A1001")
    customer.check("nobody")
    assert sandbox.requests() == [
        {"endpoint": "unified", "method": "POST", "order_no": "A1001", "count": 2},
        {"endpoint": "check_order", "method": "GET", "order_no": "A1001", "count": 1},
        {"endpoint": "check_order", "method": "GET", "order_no": "nobody", "count": 1},
    ]
