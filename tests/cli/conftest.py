"""A gateway whose messages are of today, since the ledger compares their times; commands in a folder of their own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.gateway import PlatformOfToday

from payhub_core.cli.commands import payhub

one_checkout = pytest.mark.parametrize("open_checkout", ["Checkout"], indirect=True)  # both write the same rows


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the language of whoever runs the tests."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture(scope="session")
def platform() -> PlatformOfToday:
    return PlatformOfToday()


@pytest.fixture
def config(url: str, settings: dict[str, Any], tmp_path: Path) -> Path:
    """A payhub.toml."""
    path = tmp_path / "payhub.toml"
    shop = "\n".join(f'{key} = "{value}"' for key, value in settings.items())
    path.write_text(f'ledger = "{url}"\n[accounts.shop]\n{shop}\n')
    return path


@pytest.fixture
def command(config: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command in the folder of that file, on a wide terminal."""
    monkeypatch.chdir(config.parent)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(payhub, words)


@pytest.fixture
def stored(open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Any, paid: Any) -> None:
    """One order, overpaid."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    checkout.receive("shop", paid.notify(actual_amount="10001"))


def failure(result: Result) -> str:
    """The one line of a failed command."""
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.output.startswith("payhub: ")
    assert result.output.count("\n") == 1
    return result.output


def on_a_terminal(folder: Path, words: str, language: str) -> str:
    """What ``payhub`` shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "LC_ALL": language}
    command = [sys.executable, "-m", "payhub_core", *words.split()]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=theirs, stderr=subprocess.DEVNULL):
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # how Linux says that the other end was closed
            pass
    os.close(ours)
    return shown.decode()
