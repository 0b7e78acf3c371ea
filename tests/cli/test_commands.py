"""The command `payhub` itself: commands found by entry point, and errors that a person can read."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner

from payhub_core import ConfigError
from payhub_core.cli import commands, main


@click.command()
def fine() -> None:
    """It works."""
    click.echo("done")


@click.command()
def failing() -> None:
    """It raises one of payhub's errors."""
    raise ConfigError("the key is missing", hint="set the key", account="shop")


def broken_on_purpose(_name: str) -> Any:
    raise ConfigError("it needs a database", hint="install one")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    module = ModuleType("command_of_a_plugin")
    module.fine, module.failing = fine, failing  # type: ignore[attr-defined]
    module.__getattr__ = broken_on_purpose  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "command_of_a_plugin", module)
    points = [
        EntryPoint("fine", "command_of_a_plugin:fine", commands.GROUP),
        EntryPoint("failing", "command_of_a_plugin:failing", commands.GROUP),
        EntryPoint("lacking", "a_module_that_is_not_there:command [sandbox]", commands.GROUP),
        EntryPoint("refusing", "command_of_a_plugin:refusing", commands.GROUP),
    ]

    monkeypatch.setattr(commands, "_installed", lambda: EntryPoints(points))
    return CliRunner()


def test_the_help_lists_what_plugins_bring_and_what_is_missing(installed: CliRunner) -> None:
    """One that cannot be loaded stops only itself."""
    result = installed.invoke(commands.payhub, ["--help"])
    assert result.exit_code == 0
    assert "It works." in result.output
    assert "a_module_that_is_not_there" in result.output
    assert installed.invoke(commands.payhub, ["fine"]).output == "done\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("failing", "payhub: [account shop] the key is missing. Hint: set the key"),
        ("lacking", "payhub: a_module_that_is_not_there is not installed. Hint: pip install 'payhub-core[sandbox]'"),
        ("refusing", "payhub: it needs a database. Hint: install one"),
    ],
)
def test_an_error_is_one_sentence_with_a_hint_and_status_1(installed: CliRunner, command: str, said: str) -> None:
    """No traceback."""
    result = installed.invoke(commands.payhub, [command])
    assert result.exit_code == 1
    assert " ".join(result.stderr.split()) == said


def test_a_command_that_nobody_brings_is_refused(installed: CliRunner) -> None:
    """As click refuses it."""
    assert installed.invoke(commands.payhub, ["elsewhere"]).exit_code == 2


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Click may be missing: the console script is there all the same."""
    monkeypatch.setitem(sys.modules, "payhub_core.cli.commands", None)
    with pytest.raises(SystemExit, match=r"pip install 'payhub-core\[cli\]'"):
        main()


@pytest.mark.parametrize("encoding", ["cp1252", "cp936", "ascii"])
def test_a_terminal_that_cannot_show_a_word_shows_its_escape(encoding: str) -> None:
    """What gateways and payers write is in any script; Windows has its code pages."""
    program = (
        "import sys; sys.argv[1:] = ['reconcile', '--config', '商户⏳.toml']; from payhub_core.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert b"there is no configuration file" in done.stderr
    assert b"\\u23f3.toml" in done.stderr
