"""A payer with a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from tests.sandbox.parties import Customer, Shop

from payhub_sandbox import SandboxProcess

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 390, "height": 844}
PC: ViewportSize = {"width": 1280, "height": 900}
ARGUMENTS = (
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, sandbox: SandboxProcess, shop: Shop) -> Iterator[Page]:
    """A tab; whatever a page complains about, or fetches from elsewhere, fails the test."""
    page = browser.new_page(viewport=PHONE)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    yield page
    page.close()
    assert complaints == []
    assert [url for url in addresses if not url.startswith((sandbox.url, shop.url))] == []


def test_a_payer_pays_and_returns_to_the_shop(page: Page, customer: Customer, shop: Shop) -> None:
    """One click: the shop is notified, and the browser posts itself back to it."""
    page.goto(customer.create(product_name="Longjing tea 西湖龙井 250g", amount="12800")["redirect_url"])
    page.set_viewport_size(PC)
    page.get_by_role("button", name="Pay 支付 ¥128.00").click()
    page.wait_for_url(f"{shop.url}/thanks")
    assert page.get_by_role("heading").inner_text() == "Thank you"
    assert [request.path for request in shop.received if request.path != "/favicon.ico"] == ["/notify", "/thanks"]
    (back,) = shop.returns()
    assert (back.method, back.content_type) == ("POST", "application/x-www-form-urlencoded")
    assert back.fields["pay_status"] == "1"


def test_a_payer_fails_and_then_pays_another_sum(page: Page, customer: Customer, shop: Shop) -> None:
    """The second try goes through the same page."""
    url = customer.create()["redirect_url"]
    page.goto(url)
    page.get_by_role("button", name="Let it fail 支付失败").click()
    page.wait_for_url(f"{shop.url}/thanks")
    page.goto(url)
    page.get_by_label("Another amount").fill("88.88")
    page.get_by_role("button", name="Pay this").click()
    page.wait_for_url(f"{shop.url}/thanks")
    page.goto(url)
    assert [fields["actual_amount"] for fields in shop.notifies()] == ["0.00", "8888.00"]


def test_a_payer_returns_by_get(page: Page, customer: Customer, shop: Shop, sandbox: SandboxProcess) -> None:
    """The fields are in the address then, beside the shop's own."""
    sandbox.fault("return", "get")
    page.goto(customer.create(return_url=f"{shop.url}/thanks?lang=zh")["redirect_url"])
    page.get_by_role("button", name="Pay 支付").first.click()
    page.wait_for_url(f"{shop.url}/thanks?**")
    (back,) = shop.returns()
    assert back.method == "GET"
    assert back.fields.keys() == {"lang", "order_no", "pay_status", "sign"}


def test_a_payer_without_script_returns_by_a_button(browser: Browser, customer: Customer, shop: Shop) -> None:
    """The form waits for a click."""
    with browser.new_context(java_script_enabled=False, viewport=PHONE) as context:
        page = context.new_page()
        page.goto(customer.create()["redirect_url"])
        page.get_by_role("button", name="Pay 支付 ¥100.00").click()
        assert shop.returns() == []
        page.get_by_role("button", name="Back to the shop").click()
        page.wait_for_url(f"{shop.url}/thanks")
    assert len(shop.returns()) == 1


def test_content_leads_to_the_pay_page(page: Page, customer: Customer) -> None:
    """The form in ``content``, printed on a page of its own, goes there by itself."""
    data = customer.create()
    page.set_content(data["content"])
    page.wait_for_url(f"{data['redirect_url']}**")
    assert page.get_by_role("button", name="Pay 支付 ¥100.00").is_visible()


def test_the_front_page_fits_a_phone(page: Page, customer: Customer, sandbox: SandboxProcess) -> None:
    """Nothing sticks out to the side; a click leads to the order."""
    number = customer.create(product_name="Longjing tea 西湖龙井 250g")["platform_order_no"]
    sandbox.pay(number)
    sandbox.fault("unified", "drip", seconds=3)
    page.goto(sandbox.url)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(PC)
    page.get_by_role("link", name="A1001").click()
    assert page.url == f"{sandbox.url}/pay/{number}"


def test_a_long_sum_fits_a_phone_which_shows_no_code_of_itself(page: Page, customer: Customer) -> None:
    """The code is for a phone beside a desktop's screen."""
    page.goto(customer.create(amount="99999999900")["redirect_url"])
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not page.locator(".qr").is_visible()
    page.set_viewport_size(PC)
    assert page.locator(".qr").is_visible()


def test_less_than_the_sum_is_not_green(page: Page, customer: Customer, sandbox: SandboxProcess) -> None:
    """On the pay page and on the front page."""
    data = customer.create()
    sandbox.pay(data["platform_order_no"], amount=8888)
    for url in (data["redirect_url"], sandbox.url):
        page.goto(url)
        assert page.locator(".short").is_visible()
        assert page.locator(".paid").count() == 0
