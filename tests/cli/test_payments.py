"""The commands: what is stored, as tables and as JSON; reconciling from a shell; errors in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len
from sqlalchemy import text, update
from tests.cli.conftest import failure, on_a_terminal, one_checkout

from payhub_core import Refused
from payhub_core.cli.commands import payhub
from payhub_core.ledger import Ledger
from payhub_core.ledger.database import SCHEMA, upgrade
from payhub_core.ledger.facts import PARTS
from payhub_core.ledger.tables import payments as rows


@pytest.fixture
def three(
    open_checkout: Callable[..., Any], ledger: Ledger, accept: Any, make_order: Callable[..., Any], paid: Any
) -> None:
    """One order of each of three days: pending, unknown, and paid twice."""
    checkout = open_checkout(accept)
    for day, reference in enumerate(("A1", "A2", "A3"), 1):
        checkout.start("shop", make_order(reference=reference))
        at = datetime(2026, 1, day, 12, tzinfo=UTC)
        one = update(rows).where(rows.c.reference == reference)
        ledger.write(lambda c, one=one, at=at: c.execute(one.values(created_at=at)))
    ledger.write(lambda c: c.execute(update(rows).where(rows.c.reference == "A2").values(creation="unknown")))
    for number in ("PA3", "P2-OTHER"):
        checkout.receive("shop", paid.notify("A3", platform_order_no=number))


@pytest.mark.parametrize(("before", "told"), [("", "it is new"), ("0002", "it was 0002")])
def test_upgrade_makes_the_tables(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, told: str
) -> None:
    """The URL may come from the environment; the second time changes nothing, and each says which schema it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYHUB_LEDGER", empty_url)
    if before:
        with Ledger(empty_url) as ledger:
            ledger._connections.upgrade(partial(upgrade, to=before))
    for said in (f"schema {SCHEMA}, {told}", f"schema {SCHEMA}"):
        result = CliRunner().invoke(payhub, ["ledger", "upgrade"])
        assert (result.exit_code, result.output) == (0, f"The ledger is ready: {said}.\n")
    with Ledger(empty_url) as ledger:
        assert ledger.payments() == []


@one_checkout
@pytest.mark.usefixtures("stored")
def test_payments_are_listed_as_a_table_or_as_json(command: Callable[..., Result]) -> None:
    """The same facts in both."""
    table = command("payments", "list").output
    for word in ("shop", "A1001", "paid", "100.01 / 100.00 CNY", "overpaid"):
        assert word in table
    listed = json.loads(command("payments", "list", "--json").output)
    (found,) = listed["payments"]
    assert (found["reference"], found["status"], found["anomalies"]) == ("A1001", "paid", ["overpaid"])
    assert found["paid"] == {"minor": 10_001, "currency": "CNY"}
    paid = {
        "status": "paid",
        "creation": "created",
        "currency": "CNY",
        "count": 1,
        "due_minor": 10_000,
        "paid_minor": 10_001,
    }
    assert (listed["count"], listed["cut"], listed["totals"]) == (1, False, [paid])
    nothing = {"payments": [], "count": 0, "cut": False, "totals": []}
    assert json.loads(command("payments", "list", "--status", "failed", "--json").output) == nothing


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
@pytest.mark.usefixtures("three")
def test_nothing_paid_has_the_decimals_of_what_is_due_and_one_time_is_one(
    command: Callable[..., Result], ledger: Ledger
) -> None:
    """In a row as in the totals below it."""
    assert command("payments", "list").output.count(" 0.00 / 100.00 CNY") == 4
    ledger.write(lambda c: c.execute(update(rows).values(attempts=1)))
    shown = command("payments", "show", "shop", "A1").output
    assert re.search(r"^asked +1 time$", shown, re.MULTILINE)
    assert re.search(r"^creation +created$", shown, re.MULTILINE)


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


@one_checkout
@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("language", ["C.UTF-8", "zh_CN.UTF-8"])
@pytest.mark.parametrize("words", ["payments list", "payments anomalies", "payments show shop A1001", "outbox list"])
def test_a_terminal_of_80_columns_breaks_no_line(config: Path, words: str, language: str) -> None:
    """A row that is too wide has several lines, and each number stands whole on one of them."""
    shown = on_a_terminal(config.parent, words, language)
    assert [line for line in shown.splitlines() if cell_len(line) > 80] == []
    assert "A1001" in shown.split()
    assert "outbox" in words or re.search(r"(^|  )100\.01 ", shown, re.MULTILINE)
    if words in {"payments anomalies", "payments show shop A1001"}:
        assert "P2019081800134100001" in shown.split()
    assert ("2019" in shown) == (words in {"payments anomalies", "payments show shop A1001"})


@one_checkout
@pytest.mark.usefixtures("stored")
def test_the_doctors_table_fits_a_terminal_of_80_columns(config: Path) -> None:
    """Its findings are two lines at most, however long: so a command in one is copied whole."""
    lines = on_a_terminal(config.parent, "doctor", "C.UTF-8").splitlines()
    table = lines[next(place for place, line in enumerate(lines) if line.startswith(" Account")) :]
    assert [line for line in table if cell_len(line) > 80 and not line.startswith(("! ", "  Hint: "))] == []
    assert any(re.match(r" shop +2", line) for line in table)


def test_a_list_of_nothing_says_so(command: Callable[..., Result], ledger: Ledger) -> None:
    """Instead of an empty table."""
    listed = command("payments", "list", "--account", "shop")
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert "no such payments" in listed.stderr


@one_checkout
@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "words",
    [
        *(["payments", "list", "--account", "shpo"], ["payments", "anomalies", "--account", "shpo"]),
        *(["payments", "show", "shpo", "A1001"], ["payments", "refresh", "shpo", "A1001"]),
        *(
            ["payments", "resolve", "shpo", "A1001", "--why", "no"],
            ["reconcile", "--account", "shpo"],
            ["ledger", "retire", "shpo"],
        ),
    ],
)
def test_a_misspelt_account_is_an_error(command: Callable[..., Result], words: list[str]) -> None:
    """And not an account without payments."""
    assert "there is no account 'shpo'. Hint: did you mean 'shop'?" in failure(command(*words))


@one_checkout
@pytest.mark.usefixtures("stored")
def test_an_account_that_only_the_ledger_knows_is_none_misspelt(command: Callable[..., Result], config: Path) -> None:
    """Its orders stay to be looked at, long after it has left the configuration."""
    config.write_text(config.read_text().replace("[accounts.shop]", "[accounts.other]"))
    assert json.loads(command("payments", "list", "--account", "shop", "--json").output)["count"] == 1


@one_checkout
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ["A3", "A2", "A1"]),
        (["--since", "2026-01-02"], ["A3", "A2"]),
        (["--until", "2026-01-02"], ["A1"]),
        (["--since", "2026-01-02", "--until", "2026-01-02T12:00:00.5+00:00"], ["A2"]),
        (["--since", "1d"], []),
        (["--state", "unknown"], ["A2"]),
        (["--stuck"], ["A2"]),
        (["--status", "paid"], ["A3"]),
        (["--limit", "2"], ["A3", "A2"]),
    ],
)
def test_payments_are_listed_by_time_and_by_what_became_of_them(
    command: Callable[..., Result],
    ledger: Ledger,
    three: None,
    words: list[str],
    found: list[str],
) -> None:
    """A time is UTC unless it says else; what a limit leaves out is in the totals, and said."""
    result = command("payments", "list", "--json", *words)
    listed = json.loads(result.output)
    assert [payment["reference"] for payment in listed["payments"]] == found
    assert listed["cut"] == ("--limit" in words)
    if listed["cut"]:
        assert (listed["count"], sum(total["count"] for total in listed["totals"])) == (3, 3)
        assert "These are the newest 2 of 3" in command("payments", "list", *words).stderr


@one_checkout
def test_the_totals_tell_a_refused_create_from_what_may_be_paid(
    command: Callable[..., Result], open_checkout: Callable[..., Any], platform: Any, gateway: Any, make_order: Any
) -> None:
    """Both are pending: of the one nothing is at the gateway."""
    refusal = platform.reply(None, status=0, message="参数错误")
    checkout = open_checkout(gateway(platform.create_reply(), refusal))
    checkout.start("shop", make_order())
    with pytest.raises(Refused):
        checkout.start("shop", make_order(reference="A2"))
    totals = command("payments", "list").output.rpartition("In all")[2]
    assert "pending            0.00 / 100.00 CNY" in totals
    assert "pending (refused)  0.00 / 100.00 CNY" in totals
    listed = json.loads(command("payments", "list", "--json").output)
    assert [(it["creation"], it["count"]) for it in listed["totals"]] == [("created", 1), ("refused", 1)]


@pytest.mark.parametrize("time", ["yesterday", "7", "2026-13-01", "9999999d", "999999d"])
def test_a_time_that_is_none_is_a_usage_error(command: Callable[..., Result], time: str) -> None:
    """With what would be one."""
    result = command("payments", "list", "--since", time)
    assert result.exit_code == 2
    assert "2026-01-31" in result.output


@one_checkout
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A2", ["A2"]),
        ("PA3", ["A3"]),
        ("A", ["A3", "A2", "A1"]),
        ("P2-OTHER", ["A3"]),
        ("%", []),
        *[(word, []) for word in sorted(PARTS)],
    ],
)
def test_a_payment_is_found_by_any_number(
    command: Callable[..., Result], three: None, text: str, found: list[str]
) -> None:
    """The shop's or one of the gateway's, whole or a part, of whichever account; status 1 where there is none."""
    result = command("payments", "find", text, "--json")
    assert [payment["reference"] for payment in json.loads(result.output)["payments"]] == found
    assert result.exit_code == (0 if found else 1)


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
    "option",
    [
        *("--rate=0", "--rate=-1", "--rate=nan", "--limit=-1", "--every=0", "--every=-1", "--every=inf"),
        *("--older-than=-1", "--older-than=inf", "--older-than=30", "--every=5"),
    ],
)
def test_an_impossible_figure_is_a_usage_error(option: str) -> None:
    """Said before anything is opened."""
    result = CliRunner().invoke(payhub, ["reconcile", option])
    assert result.exit_code == 2
    said = ("is not in the range", "expected a number above zero", "expected an age such as 30min", "goes with --watch")
    assert any(words in result.output for words in said)
