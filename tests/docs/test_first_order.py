"""The first program of a newcomer, as the page has it: a process that takes an order until it is paid."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Client

from payhub_core import PaymentStatus
from payhub_core.ledger import Ledger
from payhub_sandbox import SandboxProcess

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "README.zh.md", "docs/zh/quickstart.md")


@pytest.fixture(scope="module")
def gateway() -> Iterator[SandboxProcess]:
    with SandboxProcess() as gateway:
        yield gateway


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def first(language: str, text: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def paid(ledger: Ledger, seconds: float = 20) -> bool:
    """Whether the one order in it turns paid in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if [it.payment.status for it in ledger.payments()] == [PaymentStatus.PAID]:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_shortest_example_prints_what_its_last_comment_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the hub alone: it stands above the first order, and needs neither a gateway nor a file."""
    example = first("python", (ROOT / name).read_text("utf-8").partition("```toml")[0])
    exec(example, {})
    address, told = capsys.readouterr().out.splitlines()
    assert "https://shop.example/thanks" in address
    assert example.rstrip().endswith(told)


@pytest.mark.parametrize("name", PAGES)
def test_the_first_program_runs_as_it_stands_until_its_order_is_paid(
    name: str, gateway: SandboxProcess, tmp_path: Path
) -> None:
    """With the page's own configuration and key, over HTTP; but for the two ports."""
    gateway.reset()
    page, url = (ROOT / name).read_text("utf-8"), f"http://127.0.0.1:{free_port()}"
    after = page.partition("```toml")[2]  # above it may stand an example that is no part of the program
    settings, program = first("toml", page), "".join(re.findall(r"```python\n(.*?)```", after, re.DOTALL))
    (tmp_path / "payhub.toml").write_text(settings.replace("http://127.0.0.1:8787", gateway.url), "utf-8")
    (tmp_path / "shop.py").write_text(program.replace("8000", url.rpartition(":")[2]), "utf-8")
    variable, _, value = re.findall(r"^export (\w+)(=)(.*)$", page, re.MULTILINE)[0]
    environment: dict[str, Any] = {**os.environ, variable: value, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "shop.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as shop:
        try:
            assert shop.stdout is not None
            address = shop.stdout.readline().strip()
            assert address.startswith(f"{gateway.url}/pay/")
            with Client() as payer, Ledger(f"sqlite:///{tmp_path}/shop.db") as ledger:
                form = payer.post(address, data={"action": "pay"}).text
                assert paid(ledger)
                # What the payer's browser does next, by a script.
                fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
                assert "Payment received" in payer.post(f"{url}/shop/return", data=fields).text
        finally:
            shop.kill()
