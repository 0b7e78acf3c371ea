"""The demonstration, as a newcomer runs it."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from payhub_core import PaymentStatus
from payhub_core.cli.commands import payhub
from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess
from payhub_sandbox.demo.shop import ACCOUNT, Shop

APPID, MERCHANT = next(iter(PUBLIC_MERCHANTS.items()))


def test_the_demo_plays_one_whole_order_and_ends_by_itself() -> None:
    """Every step of the timeline comes out, in order, with exit status 0."""
    result = CliRunner().invoke(payhub, ["demo"])
    assert result.exit_code == 0, result.output
    steps = re.findall(r"^ *\d+  (.+)$", result.output, re.MULTILINE)
    assert [step.split()[-1] for step in steps] == [
        "servers",
        "payment",
        "page",
        "acknowledged",
        "more",
        "notify",
        "shop",
        "agrees",
    ]
    assert "'SUCCESS'" in result.output
    assert "HTTP 400" in result.output


def test_the_demo_plays_an_order_without_a_gateway_too() -> None:
    """The dummy's notify takes the gateway's place."""
    result = CliRunner().invoke(payhub, ["demo", "--provider", "dummy"])
    assert result.exit_code == 0, result.output
    steps = re.findall(r"^ *\d+  (.+)$", result.output, re.MULTILINE)
    assert [step.split()[-1] for step in steps] == [
        "server",
        "payment",
        "dummy",
        "acknowledged",
        "more",
        "notify",
        "agrees",
    ]
    assert "'OK'" in result.output


def test_a_step_that_comes_out_otherwise_ends_the_demo_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop that ships nothing is noticed."""
    monkeypatch.setattr(Shop, "ship", lambda *_: None)
    result = CliRunner().invoke(payhub, ["demo"])
    assert result.exit_code == 1
    assert "it came out otherwise" in result.output


def test_a_browser_can_buy_tea_from_the_shop(tmp_path: Path) -> None:
    """The page, the purchase and the gateway's pay page hang together by links alone."""
    with (
        SandboxProcess() as gateway,
        Shop({"provider": "gpu", "base_url": gateway.url, "appid": APPID, "secret": MERCHANT.secret}, tmp_path) as shop,
        httpx.Client(trust_env=False) as browser,
    ):
        assert "/buy" in browser.get(shop.url).text
        assert browser.get(f"{shop.url}/elsewhere").status_code == 404
        bought = browser.post(f"{shop.url}/buy")
        assert bought.status_code == 303
        browser.post(bought.headers["location"], data={"action": "pay"}).raise_for_status()
        stored = shop.ledger.payment(ACCOUNT, "A1001")
        assert stored is not None
        assert stored.payment.status is PaymentStatus.PAID
        assert shop.shipped == ["A1001"]


def test_what_is_bought_from_the_dummys_shop_is_shipped_when_it_asks(tmp_path: Path) -> None:
    """The payer is back at once; reconciliation stands in for the notify."""
    with (
        Shop({"provider": "dummy", "development": True}, tmp_path) as shop,
        httpx.Client(trust_env=False, follow_redirects=True) as browser,
    ):
        assert "please do not pay again" in browser.post(f"{shop.url}/buy").text
        assert shop.shipped == []
        shop.checkout.refresh(ACCOUNT, "A1001")
        assert shop.shipped == ["A1001"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stay_keeps_both_servers_until_it_is_ended(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM alike end shop and gateway, and leave no process behind."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from payhub_core.cli import main; main()", "demo", "--stay"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that runs this suite in the background has Ctrl-C ignored, and so would the child.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    assert process.stdout is not None
    killer = threading.Timer(60, process.kill)
    killer.start()
    try:
        output = ""
        while "Ctrl-C" not in output:
            line = process.stdout.readline()
            assert line, output
            output += line
        found = re.search(r"Buy tea at (\S+); the gateway's own page is\s+(\S+)", output)
        assert found is not None, output
        shop, gateway = found.groups()
        assert "Tea" in httpx.get(shop, trust_env=False).text
        assert "SANDBOX" in httpx.get(gateway, trust_env=False).text
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
        for url in (shop, gateway):
            with pytest.raises(httpx.ConnectError):
                httpx.get(url, trust_env=False)
    finally:
        killer.cancel()
        process.kill()
        process.stdout.close()
