"""``payhub report``: a page that stands by itself, in either language, and that nobody else can write in."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from playwright.sync_api import sync_playwright
from sqlalchemy import update
from tests.cli.conftest import failure, one_checkout
from tests.sandbox.test_browser import ARGUMENTS

from payhub_core import Money, PaymentStatus
from payhub_core.cli.report_page import STYLE, page
from payhub_core.cli.report_words import CHINESE, ENGLISH
from payhub_core.ledger import AccountHealth, Anomaly, AnomalyKind, Finding, Health, Ledger, StoredAnomaly
from payhub_core.ledger.report import AGES, Changed, Pending, Received, Report, Taken
from payhub_core.ledger.tables import payments
from payhub_core.web.pages import digest

NOW = datetime(2026, 11, 26, 2, 30, tzinfo=UTC)
DAYS = tuple(NOW.date() - timedelta(days=13 - number) for number in range(14))
EMPTY = Report(Health(NOW, None, ()), DAYS, (), (), (), (), ())


def read(pipe: int) -> bytes:
    """What waits in ``pipe``, which nobody may have opened yet."""
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return b""


def cny(minor: int) -> Money:
    return Money(minor, "CNY")


def full(account: str = "shop", reference: str = "A1001", reason: str = "no answer") -> Report:
    """Something of everything."""
    anomaly = Anomaly(AnomalyKind.PAID_AGAIN, "paid_again:2", cny(10_000), cny(20_000), ("P1", "P2"))
    return Report(
        Health(NOW, NOW, (AccountHealth(account, unanswered_at=NOW, unanswered=reason, open_anomalies=1),)),
        DAYS,
        (StoredAnomaly(account, reference, anomaly, NOW, None, None, None),),
        (
            Received(account, DAYS[0], 2, cny(123_456_789), cny(0)),
            Received("other", DAYS[0], 1, cny(1), cny(1)),
            Received(account, DAYS[-1], 1, Money(500, "JPY"), Money(0, "JPY")),
        ),
        (Pending(account, 3, 7, cny(70_000)),),
        (Taken(account, cny(10_000), cny(30_000)), Taken(account, Money(500, "JPY"), Money(0, "JPY"))),
        (Changed(account, "started", 5, 8), Changed(account, "partially_paid", 1, 0)),
    )


def busy() -> Report:
    """Two weeks of three accounts in two currencies, as a shop may have them; the same each time."""
    prices = {"books": Money(2_570, "CNY"), "tea": Money(5_090, "CNY"), "travel": Money(690, "EUR")}
    silent = {"answered_at": NOW - timedelta(hours=3), "unanswered_at": NOW - timedelta(minutes=2)}
    silent["unanswered"] = "the gateway did not answer within 10 seconds"
    chance = random.Random(7)

    def sold(account: str, count: int) -> Money:
        return Money(count * prices[account].minor, prices[account].currency)

    def odd(kind: AnomalyKind, name: str, reference: str, due: int, received: int, hours: int) -> StoredAnomaly:
        anomaly = Anomaly(kind, name, cny(due), cny(received), (f"P{reference}",))
        return StoredAnomaly("tea", reference, anomaly, NOW - timedelta(hours=hours), None, None, None)

    def changed(account: str) -> list[Changed]:
        words = (("started", 102, 113), ("paid", 92, 101), ("failed", 2, 3), ("refunded", 1, 2))
        return [Changed(account, what, last, before) for what, last, before in words]

    def received(account: str) -> list[Received]:
        counts = [*(chance.randint(60, 140) for _ in DAYS[1:]), 12]
        return [
            Received(account, day, it, sold(account, it), sold(account, 0))
            for day, it in zip(DAYS, counts, strict=True)
        ]

    accounts = (AccountHealth("tea", open_anomalies=3), AccountHealth("travel", **silent))
    findings = tuple(Finding(it.account, "something to look at", "see to it") for it in accounts)
    return Report(
        Health(NOW, NOW, accounts, findings),
        DAYS,
        (
            odd(AnomalyKind.OVERPAID, "overpaid", "A10700", 4_900, 5_900, 20),
            odd(AnomalyKind.PAID_AGAIN, "paid_again:2", "A10040", 980, 1_960, 18),
            odd(AnomalyKind.UNDERPAID, "underpaid", "A10005", 980, 480, 15),
        ),
        tuple(it for account in prices for it in received(account)),
        tuple(
            Pending(account, age, it, sold(account, it)) for account in prices for age, it in enumerate((1, 3, 16, 15))
        ),
        tuple(Taken(account, sold(account, 90), sold(account, 95 + len(account))) for account in prices),
        (*(it for account in prices for it in changed(account)), Changed("tea", "odd", 3, 0)),
    )


def shown(html: str) -> str:
    """What a reader reads, cell by cell."""
    return re.sub(r"(\s*<[^>]*>\s*)+", "|", html.partition("</style>")[2])


def test_what_needs_a_person_comes_first() -> None:
    """The anomalies, then the accounts that gave no answer, then what there is to know."""
    html = page(full(), "en")
    assert re.findall('<section id="(.*?)"( class=bad)?>', html) == [
        ("odd", " class=bad"),
        ("silent", " class=bad"),
        ("changed", ""),
        ("received", ""),
        ("pending", ""),
    ]
    text = shown(html)
    assert "|paid_again:2|shop|A1001|200.00 CNY|100.00 CNY|2026-11-26 02:30|" in text
    assert "|payhub doctor --connect --account shop|" in text


def test_sums_are_exact_and_never_added_across_currencies() -> None:
    """Each has its own row and its own picture; a difference has its sign."""
    text = shown(page(full(), "en"))
    for cells in (
        "|All accounts|1,234,567.90 CNY|",
        "|shop|1,234,567.89 CNY|",
        "|other|0.01 CNY|",
        "|All accounts|500 JPY|",
        "|sum received|100.00 CNY|300.00 CNY|-200.00 CNY|",
        "|sum received|500 JPY|0 JPY|+500 JPY|",
        "|started|5|8|-3|",
        "|partially paid|1|0|+1|",
    ):
        assert cells in text


def test_a_bar_is_as_high_as_its_day_and_the_least_is_still_seen() -> None:
    """One fen beside a million is one unit high; today's bar is of a part."""
    html = page(full(), "en")
    assert 'x="1" y="0" width="8" height="100"><title>2026-11-13: 1,234,567.90 CNY (3)</title>' in html
    assert 'height="100"><title>2026-11-13: 0.01 CNY (1)</title>' in html  # of its own account the highest
    assert '<rect class="part" x="131"' in html
    least = replace(full(), received=(*full().received, Received("shop", DAYS[1], 1, cny(1), cny(0))))
    assert 'y="99" width="8" height="1"><title>2026-11-14: 0.01 CNY (1)</title>' in page(least, "en")


def test_a_day_that_a_gateways_clock_is_ahead_has_a_bar_too() -> None:
    """Money is not left out for the time it came with."""
    ahead = Received("shop", NOW.date() + timedelta(days=1), 1, cny(5), cny(0))
    assert "2026-11-27: 0.05 CNY" in page(replace(EMPTY, received=(ahead,)), "en")


@pytest.mark.parametrize("found", [EMPTY, full()])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_stands_by_itself_and_its_policy_allows_its_own_style_alone(found: Report, language: str) -> None:
    """No script, nothing from elsewhere, no style in an element."""
    html = page(found, language)
    (style,) = re.findall("<style>(.*?)</style>", html)
    (policy,) = re.findall('Content-Security-Policy" content="(.*?)"', html)
    assert style == STYLE
    assert policy == f"default-src 'none'; style-src {digest(style)}; base-uri 'none'; form-action 'none'"
    for word in ("<script", "http://", "https://", "src=", "url(", "@import", "style=", "<link", "onload"):
        assert word not in html


def test_what_others_wrote_is_text_and_never_markup() -> None:
    """An account's name, an order's number, and what a gateway said when it gave no answer."""
    word = "<script>alert('1')</script>\""
    html = page(full(account=word, reference=word, reason=word), "en")
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;") == 9


def test_of_very_many_accounts_the_busiest_are_shown_and_the_others_counted() -> None:
    """The sum of the currency is that of all."""
    many = tuple(Received(f"shop{number}", DAYS[0], number, cny(1), cny(0)) for number in range(60))
    text = shown(page(replace(EMPTY, received=many), "en"))
    assert "|All accounts|0.60 CNY|" in text
    assert "|shop59|" in text
    assert "|shop9|" not in text
    assert "|Further accounts that are not shown: 10|" in text


def test_both_languages_say_all_of_it() -> None:
    """As many ages and columns; a name for each status and anomaly in Chinese."""
    for field in fields(ENGLISH):
        english, chinese = getattr(ENGLISH, field.name), getattr(CHINESE, field.name)
        assert len(english) == len(chinese) or not isinstance(english, tuple), field.name
        if isinstance(english, str):
            assert re.findall("{.*?}", english) == re.findall("{.*?}", chinese), field.name
    assert len(ENGLISH.ages) == len(AGES) + 1
    words = {*AnomalyKind, *PaymentStatus, "started", "odd"}
    assert [it for it in words if CHINESE.name(it).isascii()] == []


@one_checkout
@pytest.mark.usefixtures("stored")
def test_the_command_writes_what_the_ledger_holds(
    command: Callable[..., Result], ledger: Ledger, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """An overpaid order: odd, and received; nothing of it is a secret."""
    path = tmp_path / "report.html"
    ledger.write(lambda c: c.execute(update(payments).values(paid_at=datetime.now(UTC))))
    result = command("report", "-o", str(path), "--lang", "zh")
    assert (result.exit_code, result.output) == (0, "")
    html = path.read_text("utf-8")
    assert "|多付 (overpaid)|shop|A1001|100.01 CNY|100.00 CNY|" in shown(html)
    assert "|shop|100.01 CNY|" in shown(html)
    assert settings["secret"] not in html
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    assert command("report", "-o", str(path)).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o640
    assert [it.name for it in tmp_path.iterdir() if it.name.startswith(".report")] == []
    missing = tmp_path / "no folder" / "report.html"
    assert f"cannot write {missing}: No such file or directory" in failure(command("report", "-o", str(missing)))
    printed = command("report", "-o", "-", "--lang", "en")
    assert "|overpaid|shop|A1001|" in shown(printed.output)


def test_a_report_that_fails_leaves_the_last_one_in_place(
    command: Callable[..., Result], config: Path, tmp_path: Path
) -> None:
    """Whoever opens it never sees half a page."""
    path = tmp_path / "report.html"
    path.write_text("yesterday's")
    config.write_text("")
    assert "no ledger is configured" in failure(command("report", "-o", str(path)))
    assert path.read_text() == "yesterday's"


@one_checkout
@pytest.mark.usefixtures("stored")
def test_what_is_no_file_is_written_to_and_a_link_stays(command: Callable[..., Result], tmp_path: Path) -> None:
    """A pipe, a link to a file, a link to one that is not there yet, a link to itself."""
    pipe, link, new, loop = (tmp_path / name for name in ("pipe", "link.html", "new.html", "loop.html"))
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with ThreadPoolExecutor() as pool:
        written = pool.submit(command, "report", "-o", str(pipe))
        came = b""
        while not written.done():
            came += read(reader)
        while more := read(reader):
            came += more
    os.close(reader)
    assert written.result().exit_code == 0
    assert came.startswith(b"<!doctype html>")
    assert pipe.is_fifo()

    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target.html"
    target.write_text("yesterday's")
    target.chmod(0o640)
    link.symlink_to(Path("folder", "target.html"))
    new.symlink_to(Path("folder", "made.html"))
    loop.symlink_to(loop)
    for path, file, mode in ((link, target, 0o640), (new, tmp_path / "folder" / "made.html", 0o600)):
        assert command("report", "-o", str(path)).exit_code == 0
        assert path.is_symlink()
        assert file.read_bytes().startswith(b"<!doctype html>")
        assert (file.stat().st_mode & 0o777, file.is_symlink()) == (mode, False)
    assert "cannot write" in failure(command("report", "-o", str(loop)))
    assert loop.is_symlink()


@pytest.mark.browser
def test_a_busy_report_is_whole_in_a_narrow_window(tmp_path: Path) -> None:
    """No column and no command is cut; a picture of it, where one is wanted."""
    (tmp_path / "report.html").write_text(page(busy(), "en"), "utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": 860, "height": 900})
        tab.goto((tmp_path / "report.html").as_uri())
        assert "payhub doctor --connect --account travel" in tab.locator("#silent").inner_text()
        assert tab.evaluate("[...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)")
        if folder := os.environ.get("PICTURES"):
            tab.screenshot(path=f"{folder}/report.png", full_page=True)
        browser.close()


@pytest.mark.browser
def test_a_browser_shows_it_without_a_network_or_a_complaint(tmp_path: Path) -> None:
    """Light and dark, on a phone and on a desk, in both languages: nothing is wider than the window."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for language in ("en", "zh"):
            found = replace(full(reference="A" * 64), taken=(Taken("shop", cny(673_098_578), cny(0)),))
            (tmp_path / f"{language}.html").write_text(page(found, language), "utf-8")
            for width in (390, 1280):
                for scheme, colour in (("light", "rgb(243, 245, 249)"), ("dark", "rgb(18, 22, 29)")):
                    opened = browser.new_context(
                        viewport={"width": width, "height": 900},
                        color_scheme=scheme,  # type: ignore[arg-type]
                        offline=True,
                        java_script_enabled=False,
                    )
                    tab = opened.new_page()
                    tab.on("console", lambda message: complaints.append(message.text))
                    tab.goto((tmp_path / f"{language}.html").as_uri())
                    assert tab.evaluate("document.documentElement.scrollWidth") == width
                    lines = "[...document.querySelectorAll('.card b')].every(e => e.offsetHeight < 30)"
                    assert tab.evaluate(lines)  # no sum is broken
                    if width == 390:  # nothing is out of sight in a box that scrolls
                        boxes = "[...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)"
                        assert tab.evaluate(boxes)
                    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == colour
                    bar = tab.locator("#received rect").first.bounding_box()
                    assert bar is not None
                    assert bar["height"] > 50
                    opened.close()
        browser.close()
    assert complaints == []
