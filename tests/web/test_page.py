"""The payer's plain page: what it says, and that nothing of it can be made to say or do anything else."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from payhub_core import Money, Payment, PaymentStatus
from payhub_core.web.answers import page

PAID, PENDING, FAILED = PaymentStatus.PAID, PaymentStatus.PENDING, PaymentStatus.FAILED
EXPIRED, PARTIALLY_PAID = PaymentStatus.EXPIRED, PaymentStatus.PARTIALLY_PAID


def payment(status: PaymentStatus, claimed: PaymentStatus | None, reference: str = "A1001") -> Payment:
    return Payment(reference=reference, status=status, claimed_status=claimed, amount=Money.of("100.00", "CNY"))


@pytest.mark.parametrize(
    ("status", "claimed", "heading", "heading_zh"),
    [
        (PAID, PAID, "Payment received", "支付成功"),
        (PAID, FAILED, "Payment received", "支付成功"),
        (PaymentStatus.PARTIALLY_REFUNDED, PAID, "Payment refunded", "已退款"),
        (PENDING, PAID, "Thank you", "感谢您的付款"),
        (FAILED, PAID, "Thank you", "感谢您的付款"),
        (PENDING, FAILED, "Payment not completed", "付款未完成"),
        (EXPIRED, PENDING, "Payment not completed", "付款未完成"),
        (PENDING, PENDING, "We are checking your payment", "正在确认您的付款"),
        (PARTIALLY_PAID, PENDING, "We are checking your payment", "正在确认您的付款"),
    ],
)
def test_it_says_received_only_of_what_is_known_to_be_paid(
    status: PaymentStatus, claimed: PaymentStatus | None, heading: str, heading_zh: str
) -> None:
    """What a return claims is thanked for, in both languages, and never confirmed."""
    html = page(payment(status, claimed)).body.decode()
    assert re.findall("<h1>(.*?)</h1>", html) == [heading, heading_zh]
    assert "A1001 · 100.00 CNY" in html


@pytest.mark.parametrize(
    ("status", "heading"),
    [
        (PAID, "Payment received"),
        (FAILED, "Payment not completed"),
        (PENDING, "We are checking your payment"),
    ],
)
def test_where_nothing_was_proved_it_shows_the_status_and_no_more(status: PaymentStatus, heading: str) -> None:
    """Whoever looks may have guessed the reference: neither it nor the sum is for them."""
    html = page(payment(status, None)).body.decode()
    assert re.findall("<h1>(.*?)</h1>", html)[0] == heading
    assert "A1001" not in html
    assert "100.00" not in html


def test_what_a_message_says_is_text_and_never_markup() -> None:
    """A reference is somebody else's word."""
    html = page(payment(PENDING, PAID, reference="<script>alert('1')</script>&\"")).body.decode()
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&amp;&quot;" in html


def test_it_is_self_contained_and_its_policy_allows_its_own_style_alone() -> None:
    """No script, no frame, no font or image from elsewhere, nothing kept and nothing passed on."""
    answer = page(None, 400)
    html = answer.body.decode()
    style = re.search("<style>(.*?)</style>", html)
    assert style is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == str(len(answer.body))
    for word in ("http://", "https://", "src=", "href=", "url(", "@import", "<script"):
        assert word not in html


def test_its_languages_are_marked_for_a_screen_reader() -> None:
    """English as a whole, with the Chinese part marked."""
    languages: list[str | None] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            languages.extend(value for name, value in attrs if name == "lang")

    Parser().feed(page(None).body.decode())
    assert languages == ["en", "zh-CN"]
