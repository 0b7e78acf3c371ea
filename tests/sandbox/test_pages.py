"""The pay page and the way back to the shop, as a browser without script sees them."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest
from tests.sandbox.parties import Customer, Shop, digest

from payhub_sandbox import Merchant, SandboxProcess, Settings


def inputs(response: httpx.Response) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', response.text)
    return {unescape(name): unescape(value) for name, value in found}


def test_the_pay_page_shows_what_is_bought(customer: Customer) -> None:
    """Product, sum in yuan, a QR code, and that nothing is real."""
    data = customer.create(product_name='<b onclick="x">"Tea" & 茶', amount="1234567")
    page = customer.http.get(data["redirect_url"])
    assert page.status_code == 200
    assert "SANDBOX" in page.text
    assert "沙箱" in page.text
    assert "¥12345.67" in page.text
    assert "<svg" in page.text
    assert "<b onclick" not in page.text
    assert "&lt;b onclick=&#34;x&#34;&gt;&#34;Tea&#34; &amp; 茶" in page.text


@pytest.mark.parametrize("path", ["/", "/pay/{number}", "/pay/A0"])
def test_pages_allow_nothing_from_elsewhere(customer: Customer, path: str) -> None:
    """A strict policy, and not one address of another host in the page."""
    number = customer.create()["platform_order_no"]
    page = customer.http.get(path.format(number=number))
    policy = page.headers["content-security-policy"]
    nonce = re.search(r"style-src 'nonce-([^']+)'", policy)
    assert nonce is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert f'nonce="{nonce[1]}"' in page.text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page.text)


def test_paying_notifies_the_shop_and_sends_the_payer_back(customer: Customer, shop: Shop) -> None:
    """The form that returns carries order_no, pay_status and their sign (section 5.3), and nothing about money."""
    data = customer.create(return_url=f"{shop.url}/thanks?lang=zh")
    back = customer.http.post(data["redirect_url"], data={"action": "pay"})
    assert [fields["pay_status"] for fields in shop.notifies()] == ["1"]
    assert f'method="post" action="{shop.url}/thanks?lang=zh"' in back.text
    sign = digest("order_no=A1001&pay_status=1&secret=sandbox-secret-0-not-for-money")
    assert inputs(back) == {"order_no": "A1001", "pay_status": "1", "sign": sign}


def test_a_payer_can_pay_another_amount(customer: Customer, shop: Shop) -> None:
    """As on personal-code channels, where payers type the sum."""
    customer.http.post(customer.create()["redirect_url"], data={"action": "pay", "yuan": "99.9"})
    assert [(fields["amount"], fields["actual_amount"]) for fields in shop.notifies()] == [("10000.00", "9990.00")]


@pytest.mark.parametrize("yuan", ["", "0", "0.00", "-1", "1.234", "1e3", "NaN", "１", "1,000", "1" * 10])
def test_what_is_no_amount_is_not_paid(customer: Customer, shop: Shop, sandbox: SandboxProcess, yuan: str) -> None:
    """The page comes back and says so."""
    page = customer.http.post(customer.create()["redirect_url"], data={"action": "pay", "yuan": yuan})
    assert page.status_code == 400
    assert "金额有误" in page.text
    assert sandbox.orders()[0]["pay_status"] == -1
    assert shop.received == []


@pytest.mark.parametrize("body", [b"", b"action=steal", b"\xff", b"action=pay&action=fail"])
def test_an_unknown_choice_does_nothing(customer: Customer, sandbox: SandboxProcess, body: bytes) -> None:
    """Only the page's own buttons settle an order."""
    url = customer.create()["redirect_url"]
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert customer.http.post(url, content=body, headers=headers).status_code == 400
    assert sandbox.orders()[0]["pay_status"] == -1


def test_a_failed_payment_can_be_made_good(customer: Customer, shop: Shop) -> None:
    """The payer returns with a failure, finds the page again, and pays."""
    url = customer.create()["redirect_url"]
    assert inputs(customer.http.post(url, data={"action": "fail"}))["pay_status"] == "0"
    assert "可重新支付" in customer.http.get(url).text
    assert inputs(customer.http.post(url, data={"action": "pay"}))["pay_status"] == "1"
    assert [fields["pay_status"] for fields in shop.notifies()] == ["0", "1"]


@pytest.mark.parametrize("action", ["pay", "fail", "return"])
def test_a_paid_order_only_leads_back(customer: Customer, shop: Shop, action: str) -> None:
    """A second click in an old tab pays nothing and notifies nobody."""
    url = customer.create()["redirect_url"]
    customer.http.post(url, data={"action": "pay"})
    assert "Back to the shop" in customer.http.get(url).text
    assert inputs(customer.http.post(url, data={"action": action}))["pay_status"] == "1"
    assert len(shop.notifies()) == 1


def test_a_payer_does_not_wait_for_a_slow_notify(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The browser may be back before the shop has heard of the payment."""
    sandbox.fault("notify", "slow", seconds=60)
    back = customer.http.post(customer.create()["redirect_url"], data={"action": "pay"})
    assert inputs(back)["pay_status"] == "1"
    assert shop.received == []


def test_a_return_may_be_a_get(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """As gateways of this family do it; the query of the shop's own address survives."""
    sandbox.fault("return", "get")
    data = customer.create(return_url=f"{shop.url}/thanks?lang=zh&x=")
    back = customer.http.post(data["redirect_url"], data={"action": "pay"})
    assert f'method="get" action="{shop.url}/thanks"' in back.text
    assert inputs(back).keys() == {"lang", "x", "order_no", "pay_status", "sign"}


def test_a_forged_return(customer: Customer, sandbox: SandboxProcess) -> None:
    """A payer can write anything into a form."""
    sandbox.fault("return", "forged")
    fields = inputs(customer.http.post(customer.create()["redirect_url"], data={"action": "pay"}))
    assert fields["sign"] != digest("order_no=A1001&pay_status=1&secret=sandbox-secret-0-not-for-money")


def test_a_return_with_extra_fields(customer: Customer, sandbox: SandboxProcess) -> None:
    """They are signed too."""
    sandbox.fault("return", "extra_fields", fields={"zzz": "1"})
    fields = inputs(customer.http.post(customer.create()["redirect_url"], data={"action": "pay"}))
    assert fields["sign"] == digest("order_no=A1001&pay_status=1&secret=sandbox-secret-0-not-for-money&zzz=1")


def test_a_return_about_another_order(customer: Customer, sandbox: SandboxProcess) -> None:
    """Validly signed, and not this order's."""
    sandbox.fault("return", "other_order")
    fields = inputs(customer.http.post(customer.create()["redirect_url"], data={"action": "pay"}))
    assert fields["sign"] == digest("order_no=OTHER-1&pay_status=1&secret=sandbox-secret-0-not-for-money")


def test_a_lost_return(customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The payer never comes back; the shop is notified all the same."""
    sandbox.fault("return", "lost")
    back = customer.http.post(customer.create()["redirect_url"], data={"action": "pay"})
    assert "<form" not in back.text
    assert "--allow-remote" not in back.text
    assert len(shop.notifies()) == 1


def test_a_broken_return(customer: Customer, sandbox: SandboxProcess) -> None:
    """The platform fails after the payment."""
    sandbox.fault("return", "http_502")
    assert customer.http.post(customer.create()["redirect_url"], data={"action": "pay"}).status_code == 502
    assert sandbox.orders()[0]["pay_status"] == 1


def test_a_payer_is_not_sent_beyond_this_machine(customer: Customer) -> None:
    """Like the notify, the return stays here unless told otherwise."""
    data = customer.create(return_url="https://shop.example/thanks")
    back = customer.http.post(data["redirect_url"], data={"action": "pay"})
    assert "<form" not in back.text
    assert "https://shop.example/thanks" in back.text
    assert "start it with --allow-remote" in back.text


def test_a_page_for_no_order(customer: Customer) -> None:
    """An address that means nothing (any more) says so."""
    page = customer.http.get("/pay/A0")
    assert page.status_code == 404
    assert "订单不存在" in page.text
    assert customer.http.post("/pay/A0", data={"action": "pay"}).status_code == 404


def test_the_front_page_shows_what_is_going_on(customer: Customer, sandbox: SandboxProcess) -> None:
    """Orders, faults, and a configuration to copy."""
    number = customer.create()["platform_order_no"]
    sandbox.fault("unified", "cut_before", times=3)
    page = customer.http.get("/").text
    assert f'base_url = "{customer.url}"' in page
    assert f'<a class="number" href="/pay/{number}">A1001</a>' in page
    assert re.search(r"<td>unified</td><td>cut_before</td><td>3</td>", page)


def test_only_public_keys_are_on_the_front_page(customer: Customer, shop: Shop) -> None:
    """Somebody's own secret stays out of it, even under a public merchant's name."""
    page = customer.http.get("/").text
    assert "sandbox-secret-0-not-for-money" in page
    assert "another-secret-not-for-money" not in page
    with SandboxProcess(Settings(merchants={"gpu10000000": Merchant("somebodys-own-secret")})) as sandbox:
        other = Customer(sandbox.url, shop)
        assert "somebodys-own-secret" not in other.http.get("/").text
        other.http.close()
