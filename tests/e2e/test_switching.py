"""Two gateways side by side: both wheels in a clean environment, one application, switched by editing its file."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright

from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess

ROOT = Path(__file__).parents[2]
EPAY = ROOT / "examples" / "payhub-epay"
APPID, MERCHANT = next(iter(PUBLIC_MERCHANTS.items()))


@pytest.fixture(scope="module")
def gateways() -> Iterator[dict[str, str]]:
    """Both gateways, as the settings of their accounts."""
    command = [sys.executable, str(EPAY / "tests" / "simulator.py")]
    with SandboxProcess() as sandbox, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        epay = {"provider": "epay", "base_url": simulator.stdout.readline().strip(), "pid": "1001"}
        gpu = {"provider": "gpu", "base_url": sandbox.url, "appid": APPID, "secret": MERCHANT.secret}
        yield {
            name: "\n".join(f'{key} = "{value}"' for key, value in settings.items())
            for name, settings in (("gpu", gpu), ("epay", epay | {"key": "simulator-key-not-for-money"}))
        }
        simulator.terminate()


def configuration(gateways: dict[str, str], default: str) -> str:
    """The file: its first line is what is edited."""
    accounts = "\n".join(f"[accounts.{name}]\n{settings}" for name, settings in gateways.items())
    return f'default = "{default}"\nledger = "sqlite:///shop.db"\n{accounts}\n'


@pytest.fixture
def shop(clean_python: Path, tmp_path: Path) -> Callable[[str], Any]:
    """Runs the application under a configuration, always in the same folder and at the same address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.copy(Path(__file__).with_name("shop.py"), tmp_path / "shop.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}

    @contextmanager
    def run(text: str) -> Iterator[str]:
        (tmp_path / "payhub.toml").write_text(text)
        command = [str(clean_python), "shop.py", str(port)]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().strip()
                assert url, "the shop did not start"
                yield url
            finally:
                process.terminate()

    return run


def test_the_environment_sees_no_source_tree(clean_python: Path, tmp_path: Path) -> None:
    """What is imported are the wheels."""
    code = (
        "import payhub_core, payhub_epay, payhub_gpu\nfor m in payhub_core, payhub_epay, payhub_gpu: print(m.__file__)"
    )
    result = subprocess.run([str(clean_python), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    paths = result.stdout.splitlines()
    assert [path.startswith(str(clean_python.parents[1])) for path in paths] == [True] * 3


def test_the_demo_plays_with_the_shop_of_the_wheel(clean_python: Path, tmp_path: Path) -> None:
    """Nothing but what is installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    command = [str(clean_python), "-m", "payhub_core", "demo"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f"The shop's code, to copy: {clean_python.parents[1]}" in result.stdout


def shipped(url: str, count: int) -> list[str]:
    """What the shop has shipped, once it is so many parcels."""
    deadline = time.monotonic() + 10
    while True:
        parcels = re.findall(r"A\w{12}", httpx.get(url, trust_env=False).text)
        if len(parcels) == count or time.monotonic() > deadline:
            return parcels
        time.sleep(0.05)


def test_an_edited_configuration_sends_new_orders_to_the_other_gateway(
    shop: Callable[[str], Any], gateways: dict[str, str]
) -> None:
    """The same code; an order that was under way when it was edited is settled where it was started."""
    with httpx.Client(trust_env=False) as payer:
        with shop(configuration(gateways, "gpu")) as url:
            pages = [payer.post(url).headers["location"]]
        with shop(configuration(gateways, "epay")) as url:
            pages.append(payer.post(url).headers["location"])
            assert shipped(url, 0) == []
            for count, page in enumerate(pages, 1):
                assert page.startswith(re.findall('base_url = "(.*)"', gateways[("gpu", "epay")[count - 1]])[0])
                payer.post(page, data={"action": "pay"})
                assert len(shipped(url, count)) == count
            assert len(set(shipped(url, 2))) == 2


@pytest.mark.browser
@pytest.mark.parametrize("create", ["mapi", "submit"])
def test_a_payer_pays_through_each_in_a_browser(
    shop: Callable[[str], Any], gateways: dict[str, str], tmp_path: Path, create: str
) -> None:
    """Buy, pay, back at the shop: only the gateway's page differs."""
    with sync_playwright() as playwright:
        arguments = ("--no-sandbox", "--headless", "--disable-gpu")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page()
        for count, (name, button) in enumerate((("gpu", "Pay 支付 ¥100.00"), ("epay", "Pay Tea & cups 茶 ¥100.00")), 1):
            both = {**gateways, "epay": f'{gateways["epay"]}\ncreate = "{create}"'}
            with shop(configuration(both, name)) as url:
                page.goto(url)
                page.get_by_role("button", name="Buy").click()
                page.get_by_role("button", name=button).click()
                page.wait_for_url(f"{url}/pay/{name}/return/**")
                assert page.get_by_role("heading").first.inner_text() == "Payment received"
                page.screenshot(path=tmp_path / f"{name}.png")
                assert len(shipped(url, count)) == count
        browser.close()
