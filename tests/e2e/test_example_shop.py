"""The shop that a newcomer copies, bought from with a real browser: desktop and phone, light and dark."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from sqlalchemy import text

from payhub_core import PaymentStatus
from payhub_sandbox import SandboxProcess
from payhub_sandbox.demo.shop import EXAMPLE, Shop, open_shop

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1100, "height": 480}
PICTURES = os.environ.get("PICTURES")
#: Width and colours have nothing to do with each other, so two of the four tell; for pictures all are wanted.
LOOKS = ["phone-dark", "desktop-light", *(["phone-light", "desktop-dark"] if PICTURES else [])]

# The ratio of WCAG 2.2 (1.4.3) between each text and what is painted behind it; what is below 4.5 is returned.
LOW_CONTRAST = """() => {
  const rgb = (c) => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = (c) => { const [r, g, b] = rgb(c).map((v) => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if ((rgb(c)[3] ?? 1) > 0) return c; } return "rgb(255,255,255)"; };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType == 3 && n.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(e.textContent.slice(0, 40));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--headless", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def gateway() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def shop(gateway: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The example, with its own configuration but for the gateway's port."""
    written = (EXAMPLE / "payhub.toml").read_text("utf-8").replace("http://127.0.0.1:8787", gateway.url)
    with open_shop(tmp_path_factory.mktemp("shop"), written) as shop:
        yield shop


@pytest.fixture(scope="module")
def url(shop: Shop) -> str:
    return shop.url


@pytest.fixture(params=LOOKS)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    device, scheme = request.param.split("-")
    options: dict[str, Any] = {"color_scheme": scheme, "locale": "en-GB"}
    with browser.new_context(viewport=PHONE if device == "phone" else DESKTOP, **options) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        assert complaints == []


def can_read(page: Page) -> None:
    """Everything can be read, nothing sticks out to the side."""
    assert page.evaluate(LOW_CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def stays_in_view(page: Page, selector: str) -> None:
    """Nobody has to scroll sideways, inside the page either."""
    boxes = [box for cell in page.locator(selector).all() if (box := cell.bounding_box())]
    assert boxes
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= page.evaluate("innerWidth") for box in boxes)


def look(page: Page, name: str, request: pytest.FixtureRequest) -> None:
    """It can be read; and a picture of it, where they are wanted."""
    can_read(page)
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}-{request.node.callspec.params['page']}.png")


def test_tea_is_bought_with_the_keyboard_alone(page: Page, url: str, request: pytest.FixtureRequest) -> None:
    """From the shop to the gateway, to the payer's page, and home."""
    page.goto(url)
    look(page, "shop", request)
    for _ in range(3):  # past the two links, to the first product
        page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Alipay 支付宝"
    assert page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pay 支付 ¥128.00").press("Enter")
    page.wait_for_url("**/pay/shop/return/**")
    assert page.get_by_role("heading").inner_text() == "Payment received"
    assert "128.00 CNY" in page.get_by_role("main").inner_text()
    look(page, "paid", request)
    page.get_by_role("link", name="中文").press("Enter")
    assert page.get_by_role("heading").inner_text() == "支付成功"
    page.get_by_role("link", name="返回“Tea House 茶舍”").press("Enter")
    page.wait_for_url(f"{url}/")
    page.goto(f"{url}/orders")
    assert "paid 已付" in page.get_by_role("row").nth(1).inner_text()
    assert "yes 已发货" in page.get_by_role("row").nth(1).inner_text()
    assert page.title() == "Orders 订单 · Tea House 茶舍"
    stays_in_view(page, "td")
    look(page, "orders", request)


def test_a_part_of_the_sum_is_not_thanked_for(page: Page, url: str, request: pytest.FixtureRequest) -> None:
    """Fifty of eighty-eight."""
    page.goto(url)
    page.get_by_role("button", name="Alipay").nth(1).click()
    page.get_by_label("Another amount").fill("50")
    page.get_by_role("button", name="Pay this").click()
    page.wait_for_url("**/pay/shop/return/**")
    said = page.get_by_role("main").inner_text()
    assert "Only a part was received" in said
    assert "50.00 CNY" in said
    assert "88.00 CNY" in said
    assert "not pay again" not in said
    look(page, "short", request)


def test_the_code_waits_until_it_was_paid(
    page: Page, url: str, gateway: SandboxProcess, request: pytest.FixtureRequest
) -> None:
    """The payer pays on a phone; the page on the desktop goes on by itself."""
    page.goto(url)
    page.get_by_role("button", name="WeChat").first.click()
    page.wait_for_url("**/wait/shop/**")
    assert "128.00 CNY" in page.get_by_role("main").inner_text()
    assert page.title() == "Scan to pay 扫码支付 · Tea House 茶舍"
    assert page.get_by_role("img", name="QR code 二维码").is_visible()
    number = gateway.orders()[0]["platform_order_no"]
    here = page.get_by_role("link", name="Pay on this device")  # whoever shops on a phone cannot scan its own screen
    assert here.get_attribute("href") == f"{gateway.url}/pay/{number}"
    here.focus()
    look(page, "wait", request)
    with page.expect_response("**/wait/shop/**"):
        pass
    page.wait_for_load_state()
    assert "Pay on this device" in page.evaluate("document.activeElement.textContent")
    gateway.pay(number)
    page.wait_for_url("**/pay/shop/return/**")
    assert page.get_by_role("heading").inner_text() == "Payment received"
    assert "CNY" not in page.get_by_role("main").inner_text()  # nothing was proved


def test_the_payers_page_is_live(page: Page, url: str, gateway: SandboxProcess, request: pytest.FixtureRequest) -> None:
    """It changes once the notify has come; nobody reloads."""
    page.goto(url)
    page.get_by_role("button", name="Alipay").first.click()
    page.wait_for_url(f"{gateway.url}/pay/**")
    number = page.url.rpartition("/")[2].partition("?")[0]
    order = next(order for order in gateway.orders() if order["platform_order_no"] == number)
    page.goto(f"{url}/pay/shop/return/{order['order_no']}")
    look(page, "checking", request)
    gateway.pay(number)
    page.get_by_role("heading", name="Payment received").wait_for()
    assert page.title() == "Payment received · Tea House 茶舍"


@pytest.mark.parametrize(("fault", "asked", "more"), [("refuse", 0, 0), ("cut_before", 1, 1), ("cut", 1, 1)])
def test_a_buyer_is_told_what_to_do_where_a_payment_cannot_be_started(
    browser: Browser, url: str, gateway: SandboxProcess, fault: str, asked: int, more: int
) -> None:
    """Refused: order again. Unknown: go on with the same order, which the gateway then has once."""
    before = len(gateway.orders())
    with browser.new_context(viewport=PHONE, color_scheme="dark") as context:
        page = context.new_page()
        page.goto(url)
        gateway.fault("unified", fault)
        page.get_by_role("button", name="Alipay").first.click()
        can_read(page)
        for _ in range(asked):
            assert "We do not know yet" in page.get_by_role("heading", level=2).inner_text()
            page.get_by_role("button", name="Go on").press("Enter")
        if fault == "cut_before":
            page.wait_for_url(f"{gateway.url}/pay/**")
        else:
            page.get_by_text("This order cannot be paid").wait_for()
            can_read(page)
            page.get_by_role("link", name="Back to the shop").press("Enter")
            page.wait_for_url(f"{url}/")
    assert len(gateway.orders()) == before + more


def test_there_is_a_word_for_every_status_in_the_table_of_orders() -> None:
    """A status that lacks one would be an empty cell."""
    page = (EXAMPLE / "pages" / "orders.html").read_text("utf-8")
    assert re.findall(r'"(\w+)": ', page) == [status.value for status in PaymentStatus]


def test_a_buyer_is_told_while_the_database_is_down_that_nothing_was_charged(browser: Browser, shop: Shop) -> None:
    """And one who may have paid, not to pay again: neither is shown a bare error."""
    down, up = text("ALTER TABLE orders RENAME TO orders_away"), text("ALTER TABLE orders_away RENAME TO orders")
    with browser.new_context(viewport=PHONE, color_scheme="dark") as context:
        page = context.new_page()
        page.goto(shop.url)
        page.get_by_role("button", name="Alipay").first.click()  # so that the table has an order to look up
        page.get_by_role("button", name="Pay 支付").first.wait_for()
        page.goto(shop.url)
        shop.ledger.write(lambda connection: connection.execute(down))
        try:
            with page.expect_response("**/buy/**") as answer:
                page.get_by_role("button", name="Alipay").first.click()
            assert answer.value.status == 503
            assert "Nothing was charged" in page.get_by_role("main").inner_text()
            can_read(page)
            page.goto(f"{shop.url}/orders")
            said = page.get_by_role("main").inner_text()
            assert "Do not pay again" in said
            assert "Nothing was charged" not in said
            can_read(page)
        finally:
            shop.ledger.write(lambda connection: connection.execute(up))


def test_thanks_for_a_posted_return_stay_until_the_money_is_there(
    page: Page, url: str, gateway: SandboxProcess
) -> None:
    """The browser's proof goes with each look: it still says what it said, and then what was received, to the sum."""
    gateway.fault("notify", "lost", times=9)
    page.goto(url)
    page.get_by_role("button", name="Alipay").first.click()
    page.wait_for_url(f"{gateway.url}/pay/**")
    number = page.url.rpartition("/")[2].partition("?")[0]
    page.get_by_role("button", name="Pay 支付").first.click()
    page.wait_for_url("**/pay/shop/return/**")
    with page.expect_response("**/pay/shop/return/**"):
        assert page.get_by_role("heading").inner_text() == "Thank you"
    assert page.get_by_role("heading").inner_text() == "Thank you"
    gateway.clear_faults()
    gateway.notify(number)
    page.get_by_role("heading", name="Payment received").wait_for()
    assert "128.00 CNY" in page.get_by_role("main").inner_text()


def test_a_part_that_was_paid_replaces_the_thanks(page: Page, url: str, gateway: SandboxProcess) -> None:
    """A payer who is thanked for good believes that all is paid."""
    gateway.fault("notify", "lost", times=9)
    page.goto(url)
    page.get_by_role("button", name="Alipay").first.click()
    page.wait_for_url(f"{gateway.url}/pay/**")
    number = page.url.rpartition("/")[2].partition("?")[0]
    page.get_by_label("Another amount in yuan").fill("50")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pay/shop/return/**")
    assert page.get_by_role("heading").inner_text() == "Thank you"
    gateway.clear_faults()
    gateway.notify(number)
    page.get_by_role("heading", name="Only a part was received").wait_for()
    assert "50.00 CNY" in page.get_by_role("main").inner_text()
