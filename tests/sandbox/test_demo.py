"""The demonstration, as a newcomer runs it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from payhub_core.cli.commands import payhub
from payhub_sandbox.demo.dummy import DUMMY
from payhub_sandbox.demo.shop import EXAMPLE, open_shop, run


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the language of whoever runs the tests."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def test_the_demo_plays_one_whole_order_and_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step comes out, in order, with exit status 0; the settings of whoever starts it have no part in it."""
    monkeypatch.setenv("PAYHUB_ACCOUNTS__SHOP__SECRET", "c1277-another-key-altogether")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")  # httpx cannot speak to it
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
    assert re.search(r"pending; next: http://127\.0\.0\.1:[0-9]+/pay/A[0-9]+$", result.output, re.MULTILINE)


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
    assert max(map(len, result.output.splitlines())) <= 140


@pytest.mark.parametrize("provider", ["gpu", "dummy"])
def test_the_demo_speaks_chinese(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step, and what comes next."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    result = CliRunner().invoke(payhub, ["demo", "--provider", provider])
    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.output.splitlines() if line.strip()]
    assert [line for line in lines if not re.search("[一-鿿]", line)] == []


def test_a_step_that_comes_out_otherwise_ends_the_demo_with_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A shop that ships nothing is noticed."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    code = (tmp_path / "shop.py").read_text("utf-8")
    (tmp_path / "shop.py").write_text(code.replace("SET shipped = 1", "SET shipped = 0"), "utf-8")
    monkeypatch.setattr("payhub_sandbox.demo.shop.EXAMPLE", tmp_path)
    result = CliRunner().invoke(payhub, ["demo"])
    assert result.exit_code == 1
    assert "it came out otherwise" in result.output


def test_a_shop_that_does_not_start_ends_the_demo_with_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The shop's own process says why."""
    (tmp_path / "shop.py").write_text("raise SystemExit('out of tea')", "utf-8")
    (tmp_path / "payhub.toml").touch()
    monkeypatch.setattr("payhub_sandbox.demo.shop.EXAMPLE", tmp_path)
    result = CliRunner().invoke(payhub, ["demo", "--provider", "dummy"])
    assert result.exit_code == 1
    assert "the shop did not start" in result.output


@pytest.mark.proof
def test_what_is_bought_from_the_dummys_shop_is_shipped_when_it_asks() -> None:
    """The payer is back at once; reconciliation stands in for the notify, half a minute later. SIGTERM ends it all."""
    with (
        staying("--provider", "dummy") as (process, output),
        httpx.Client(trust_env=False, follow_redirects=True) as payer,
    ):
        shop = re.findall(r"Buy tea at (\S+);", output)[0]
        back = payer.post(f"{shop}/buy/puer/alipay_h5")
        assert "Thank you" in back.text
        deadline = time.monotonic() + 90
        while payer.get(f"{shop}/orders").text.count("yes 已发货") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        end(process, signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            payer.get(shop)


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Sends a signal to the demo's whole group, as a terminal does; it ends well and says nothing more."""
    os.killpg(process.pid, number)
    rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "")


@contextmanager
def staying(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo that stays, and what it wrote until then."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from payhub_core.cli import main; main()", "demo", "--stay", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell that runs this suite in the background has Ctrl-C ignored, and so would the child.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    assert process.stdout is not None
    killer = threading.Timer(120, process.kill)
    killer.start()
    try:
        output = ""
        while "Ctrl-C" not in output:
            line = process.stdout.readline()
            assert line, output
            output += line
        yield process, output
    finally:
        killer.cancel()
        process.terminate()
        process.wait()
        process.stdout.close()


def test_what_the_demo_starts_hears_no_ctrl_c_of_the_terminal(tmp_path: Path) -> None:
    """A terminal sends it to a whole group, and two of them would complain of it."""
    with run(tmp_path, "-c", "import os; print(os.getpgrp())", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.read()) == process.pid


def test_stay_keeps_both_servers_until_ctrl_c() -> None:
    """Which ends shop and gateway alike, and leaves no process behind."""
    with staying() as (process, output):
        found = re.search(r"Buy tea at (\S+); the gateway's own page is\s+(\S+)", output)
        assert found is not None, output
        shop, gateway = found.groups()
        assert "Tea House" in httpx.get(shop, trust_env=False).text
        assert "SANDBOX" in httpx.get(gateway, trust_env=False).text
        end(process, signal.SIGINT)
        for url in (shop, gateway):
            with pytest.raises(httpx.ConnectError):
                httpx.get(url, trust_env=False)


def test_the_example_keeps_what_came_where_its_configuration_says_so(tmp_path: Path) -> None:
    """One setting, as docs/signature-mismatch.md has it."""
    dummy = 'recorder = "callbacks"\n' + DUMMY
    with open_shop(tmp_path, dummy) as shop, httpx.Client(trust_env=False) as anyone:
        assert anyone.post(f"{shop.url}/pay/shop/notify", content=b"forged").status_code == 400
        assert [path.match("*-shop-notify-400-*.json") for path in (tmp_path / "callbacks").iterdir()] == [True]
