"""The payer's plain page: what it says to whom, and that nothing of it can be made to say or do anything else."""

from __future__ import annotations

import re
import shutil
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from payhub_core import ConfigError, Money, Payment, PaymentStatus, Reply
from payhub_core.web.endpoint import Endpoint, RequestHead
from payhub_core.web.pages import STYLE, Pages
from payhub_core.web.words import language, payment_state

PAID, PENDING, FAILED = PaymentStatus.PAID, PaymentStatus.PENDING, PaymentStatus.FAILED
EXPIRED, PARTIALLY_PAID = PaymentStatus.EXPIRED, PaymentStatus.PARTIALLY_PAID


def payment(
    status: PaymentStatus, claimed: PaymentStatus | None, reference: str = "A1001", paid: str | None = None
) -> Payment:
    return Payment(
        reference=reference,
        status=status,
        claimed_status=claimed,
        amount=Money.of("88.00", "CNY"),
        paid=Money.of(paid, "CNY") if paid else None,
    )


@pytest.mark.parametrize(
    ("status", "claimed", "state", "heading"),
    [
        (PAID, PAID, "paid", "Payment received"),
        (PAID, FAILED, "paid", "Payment received"),
        (PaymentStatus.PARTIALLY_REFUNDED, PAID, "refunded", "Payment refunded"),
        (PENDING, PAID, "claimed", "Thank you"),
        (FAILED, PAID, "claimed", "Thank you"),
        (PENDING, FAILED, "failed", "Payment not completed"),
        (EXPIRED, PENDING, "failed", "Payment not completed"),
        (PENDING, PENDING, "checking", "We are checking your payment"),
        (PARTIALLY_PAID, PAID, "short", "Only a part was received"),
        (PARTIALLY_PAID, FAILED, "short", "Only a part was received"),
    ],
)
def test_it_says_received_only_of_what_is_known_to_be_paid(
    status: PaymentStatus, claimed: PaymentStatus | None, state: str, heading: str
) -> None:
    """What a return claims is thanked for and never confirmed; each state has its own mark and colour."""
    html = Pages().payment(payment(status, claimed), "en").body.decode()
    assert re.findall("<h1>(.*?)</h1>", html)[1] == heading
    assert f'<main class="{state}"' in html
    assert html.count("<dd>A1001</dd>") == 2


def test_after_a_part_of_the_sum_it_shows_both_sums_and_thanks_for_nothing() -> None:
    """Fifty of eighty-eight: the payer is not told that all is done."""
    html = Pages().payment(payment(PARTIALLY_PAID, PAID, paid="50.00"), "en").body.decode()
    assert "<dt>Received</dt><dd>50.00 CNY</dd><dt>Due</dt><dd>88.00 CNY</dd>" in html
    assert "<dt>实收</dt><dd>50.00 CNY</dd><dt>应付</dt><dd>88.00 CNY</dd>" in html
    assert "Thank you" not in html
    assert "do not pay again" not in html


def test_whoever_guessed_a_reference_sees_of_a_part_what_they_see_of_no_order() -> None:
    """Without a proof a payment in part looks as a pending one does, to the byte."""
    guessed = Pages().payment(payment(PARTIALLY_PAID, None, paid="50.00"), "en")
    assert guessed == Pages().payment(payment(PENDING, None), "en") == Pages().payment(None, "en")
    assert "do not pay again" not in guessed.body.decode()


@pytest.mark.parametrize("status", PaymentStatus)
def test_where_nothing_was_proved_it_shows_the_status_and_no_more(status: PaymentStatus) -> None:
    """Whoever looks may have guessed the reference: neither it nor a sum is for them."""
    html = Pages().payment(payment(status, None, paid="50.00"), "en").body.decode()
    for secret in ("A1001", "88.00", "50.00"):
        assert secret not in html


def test_what_others_wrote_is_text_and_never_markup() -> None:
    """A reference is somebody else's word; a shop may have a name with a sign in it."""
    word = "<script>alert('1')</script>&\""
    html = Pages(shop=word, home="/?a=\"'><b").payment(payment(PAID, PAID, reference=word), "en").body.decode()
    assert html.count("<script") == 1
    assert "<b" + '"' not in html
    assert html.count("&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&amp;&quot;") == 7
    assert 'href="/?a=&quot;&#x27;&gt;&lt;b"' in html


@pytest.mark.parametrize("found", [None, payment(PAID, PAID)])
def test_it_is_self_contained_and_its_policy_allows_its_own_style_and_script_alone(found: Payment | None) -> None:
    """No frame, no font or image from elsewhere, nothing kept and nothing passed on."""
    answer = Pages().payment(found, "en")
    html = answer.body.decode()
    policy = answer.headers["content-security-policy"]
    for name in ("style", "script"):
        for text in re.findall(f"<{name}>(.*?)</{name}>", html):
            assert f"{name}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert ("connect-src" in policy) == ("fetch(" in html) == (found is None)
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == str(len(answer.body))
    for word in ("http://", "https://", "src=", "url(", "@import", "<script ", "style="):
        assert word not in html


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de, ZH-Hant;q=0.3", "zh"),
        ("zh;q=0", "en"),
        ("zh;q=much, en;q=0.1", "en"),
        ("fr", "en"),
    ],
)
def test_it_speaks_the_language_that_the_browser_prefers(accepted: str, chosen: str) -> None:
    """One language; the other is a link away, and both are marked for a screen reader."""
    assert language(accepted) == chosen
    languages: list[str | None] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in {"html", "section"}:
                languages.append(dict(attrs)["lang"])

    html = Pages().payment(None, accepted).body.decode()
    Parser().feed(html)
    assert languages == (["en", "zh-CN", "en"] if chosen == "en" else ["zh-CN", "en", "zh-CN"])
    assert '<a href="#zh"' in html
    assert '<a href="#en"' in html


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("accepted", ["en", "zh"])
@pytest.mark.parametrize("found", [None, payment(PAID, PAID)])
def test_the_tab_and_a_screen_reader_have_the_language_that_is_shown(
    browser: Browser, found: Payment | None, accepted: str
) -> None:
    """By Accept-Language at first, then by the link to the other one, and back."""
    answer = Pages("Tea House").payment(found, accepted)
    tab = browser.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.route("**/*", lambda route: route.fulfill(body=answer.body, headers=dict(answer.headers)))
    tab.goto("https://shop.example/pay/return/A1001")
    links = {"en": "中文", "zh-CN": "English"}
    for lang in ("en", "zh-CN", "en") if accepted == "en" else ("zh-CN", "en", "zh-CN"):
        heading = tab.get_by_role("heading").inner_text()
        assert heading.isascii() == (lang == "en")
        expect(tab.locator("html")).to_have_attribute("lang", lang)  # told a little after the click
        expect(tab).to_have_title(f"{heading} · Tea House")
        tab.get_by_role("link", name=links[lang]).click()
    tab.close()
    assert complaints == []


def test_it_names_the_shop_and_leads_home() -> None:
    """Both are settings of the endpoint; without them neither is mentioned."""
    html = Pages("Tea House", "https://shop.example/").missing("en").body.decode()
    assert "<title>There is no such page · Tea House</title>" in html
    assert 'href="https://shop.example/">Back to Tea House</a>' in html
    assert 'class="home"' not in Pages().missing("en").body.decode()


@pytest.mark.parametrize(
    "home", ["javascript:alert(1)", "//elsewhere.example", "/\\elsewhere.example", "shop", "http:"]
)
def test_a_way_home_that_leads_elsewhere_is_refused(home: str) -> None:
    """When the shop starts, not when a payer clicks."""
    with pytest.raises(ConfigError, match="home: expected the shop's address"):
        Pages(home=home)


def endpoint(record: list[str]) -> Endpoint:
    return Endpoint(
        receive=lambda *_: Reply(b"OK", "text/plain"),
        view=lambda *_, **__: None,
        record=lambda account, *_: record.append(account),
        on_return=None,
        pages=Pages("Tea House", "/"),
        limit=1024,
    )


def ask(served: Endpoint, method: str, path: str, **headers: str) -> tuple[int, str, str]:
    steps = served.answer(
        RequestHead(method, path, {k.replace("_", "-"): v for k, v in headers.items()}, b""), lambda _: b""
    )
    try:
        step = next(steps)
        while True:
            step = steps.send(step())
    except StopIteration as stop:
        answer = stop.value
        return answer.status_code, answer.headers["content-type"].partition(";")[0], answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "status", "heading", "line"),
    [
        ("GET", "/elsewhere", 404, "页面不存在", "not found"),
        ("DELETE", "/shop/notify", 405, "此地址不供浏览器访问", "method not allowed"),
    ],
)
def test_a_browser_that_is_lost_gets_a_page_and_a_machine_a_line(
    method: str, path: str, status: int, heading: str, line: str
) -> None:
    """In the same dress as the payer's page, in its language and with the way home."""
    assert ask(endpoint([]), method, path) == (status, "text/plain", line)
    code, kind, html = ask(endpoint([]), method, path, accept="text/html,*/*;q=0.8", accept_language="zh-CN")
    assert (code, kind) == (status, "text/html")
    assert heading in html
    assert "返回“Tea House”" in html


def test_a_page_that_looks_again_is_not_recorded_each_time() -> None:
    """Else an open tab would push what the gateway sent out of the recordings."""
    record: list[str] = []
    served = endpoint(record)
    ask(served, "GET", "/shop/return/A1", x_payhub_again="1")
    assert record == []
    ask(served, "GET", "/shop/return/A1")
    ask(served, "POST", "/shop/notify", x_payhub_again="1")
    assert record == ["shop", "shop"]


def _luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "soft", "green", "amber", "red", "blue"])
def test_every_colour_can_be_read_on_its_card(scheme: str, ink: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1; a mark is the card's colour on its own, which is the same ratio."""
    light, dark = (dict(re.findall(r"--(\w+):#(\w+)", part)) for part in STYLE.split("@media")[:2])
    colours = light if scheme == "light" else light | dark
    one, two = sorted((_luminance(colours[ink]), _luminance(colours["card"])))
    assert (two + 0.05) / (one + 0.05) >= 4.5


def test_every_status_has_a_state() -> None:
    """None falls through to an error."""
    assert {payment_state(payment(status, PENDING)) for status in PaymentStatus} == {
        "paid",
        "refunded",
        "short",
        "failed",
        "checking",
    }
