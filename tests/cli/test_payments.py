"""The commands: what is stored, as tables and as JSON; reconciling from a shell; errors in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from payhub_core import Refused
from payhub_core.cli.commands import payhub
from payhub_core.ledger import Ledger

one_checkout = pytest.mark.parametrize("open_checkout", ["Checkout"], indirect=True)  # both write the same rows


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


def test_upgrade_makes_the_tables(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL may come from the environment; the second time changes nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYHUB_LEDGER", empty_url)
    for _ in range(2):
        result = CliRunner().invoke(payhub, ["ledger", "upgrade"])
        assert (result.exit_code, result.output) == (0, "The ledger is ready.\n")
    with Ledger(empty_url) as ledger:
        assert ledger.payments() == []


@one_checkout
@pytest.mark.usefixtures("stored")
def test_payments_are_listed_as_a_table_or_as_json(command: Callable[..., Result]) -> None:
    """The same facts in both."""
    table = command("payments", "list").output
    for word in ("shop", "A1001", "paid", "100.01 / 100.00 CNY", "overpaid"):
        assert word in table
    (found,) = json.loads(command("payments", "list", "--json").output)
    assert (found["reference"], found["status"], found["anomalies"]) == ("A1001", "paid", ["overpaid"])
    assert found["paid"] == {"minor": 10_001, "currency": "CNY"}
    assert json.loads(command("payments", "list", "--status", "failed", "--json").output) == []
    assert json.loads(command("payments", "anomalies", "--json").output) == [found]


@one_checkout
@pytest.mark.usefixtures("stored")
def test_a_payment_is_shown_with_its_history(command: Callable[..., Result]) -> None:
    """What was heard, from where, when; no signature and no secret."""
    table = command("payments", "show", "shop", "A1001").output
    for word in ("create", "pending", "notify", "paid", "P2019081800134100001", "100.01 CNY"):
        assert word in table
    shown = json.loads(command("payments", "show", "shop", "A1001", "--json").output)
    assert [item["source"] for item in shown["history"]] == ["create", "notify"]
    assert "sign" not in shown["history"][1]["raw"]


@one_checkout
def test_what_others_wrote_is_shown_as_it_is(
    command: Callable[..., Result],
    open_checkout: Callable[..., Any],
    platform: Any,
    gateway: Any,
    order: Any,
) -> None:
    """Neither markup nor an emoji's name nor an escape sequence means anything to the terminal."""
    reason = "field [/amount] is [red]wrong[/red] :100: \x1b[2J"
    checkout = open_checkout(gateway(platform.reply(None, status=0, message=reason)))
    with pytest.raises(Refused):
        checkout.start("shop", order)
    shown = command("payments", "show", "shop", "A1001")
    assert shown.exit_code == 0
    assert "field [/amount] is [red]wrong[/red] :100:" in shown.output
    assert "\x1b[2J" not in shown.output


@one_checkout
@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("columns", ["80", "40"])
def test_however_narrow_nothing_is_left_out(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """A pipe has no width: what grep looks for stands on one line."""
    monkeypatch.setenv("COLUMNS", columns)
    shown = command("payments", "show", "shop", "A1001").output
    (line,) = [line for line in shown.splitlines() if "notify" in line]
    assert "P2019081800134100001" in line
    assert "100.01 CNY" in line


def test_a_list_of_nothing_says_so(command: Callable[..., Result], ledger: Ledger) -> None:
    """Instead of an empty table."""
    assert "no such payments" in command("payments", "list", "--account", "shpo").stderr


@one_checkout
@pytest.mark.usefixtures("stored")
def test_json_is_json_whatever_was_stored(command: Callable[..., Result], ledger: Ledger) -> None:
    """Half a character, and what is no number."""
    raw = '{"attach": "\\ud800", "rate": NaN}'
    ledger.write(lambda c: c.execute(text("UPDATE payhub_observations SET raw = :raw"), {"raw": raw}))
    output = command("payments", "show", "shop", "A1001", "--json").output
    (first, *_) = json.loads(output, parse_constant=pytest.fail)["history"]
    assert first["raw"] == {"attach": "\ud800", "rate": "NaN"}
    assert output.isascii()


@one_checkout
@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("handler", [[], ["--handler", "builtins:print"]])
def test_reconciling_says_that_transitions_wait(command: Callable[..., Result], handler: list[str]) -> None:
    """Nobody else would; a handler that comes later is not told of them."""
    assert "transitions wait in the outbox" in command("reconcile", *handler).stderr


def failure(result: Result) -> str:
    """The one line of a failed command."""
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.output.startswith("payhub: ")
    assert result.output.count("\n") == 1
    return result.output


def test_errors_are_one_line_with_a_hint(
    command: Callable[..., Result], config: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 1, no traceback, no secret, however narrow the terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    assert "no such order" in failure(command("payments", "show", "shop", "A9999"))
    assert "there is no configuration file" in failure(command("payments", "list", "--config", "nowhere.toml"))
    ledger.write(lambda c: c.execute(text("DELETE FROM payhub_alembic_version")))
    assert "payhub ledger upgrade" in failure(command("payments", "list"))
    assert "payhub ledger upgrade" in failure(command("reconcile"))
    assert "cannot be imported" in failure(command("reconcile", "--handler", "no_such_module:handle"))
    assert "is no function" in failure(command("reconcile", "--handler", "sys:path"))
    assert command("payments", "list", "--limit", "0").exit_code == 2
    config.write_text("")
    assert "no ledger is configured" in failure(command("payments", "list"))


@pytest.mark.parametrize(
    "option", ["--rate=0", "--rate=-1", "--limit=-1", "--every=0", "--every=-1", "--older-than=-1"]
)
def test_an_impossible_figure_is_a_usage_error(option: str) -> None:
    """Said before anything is opened."""
    result = CliRunner().invoke(payhub, ["reconcile", option])
    assert result.exit_code == 2
    assert "is not in the range" in result.output
