"""The mistakes that people make on the command line, what they are told, and how a command ends."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from payhub_core.cli.commands import payhub
from payhub_core.ledger import Ledger

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
TIME = "expected a time such as 2026-01-31, 2026-01-31T12:00 or 7d"
SECONDS = "expected a number of seconds"
#: By the words: the status, and what the last line of stderr says. HERE is the folder.
MISTAKES: dict[str, tuple[int, str]] = {
    "payments list --config nowhere.toml": (
        1,
        (
            "payhub: there is no configuration file HERE/nowhere.toml. "
            "Hint: name your payhub.toml by its whole path, or start where it lies"
        ),
    ),
    "payments list --config .": (
        1,
        "payhub: expected a configuration file, HERE is a folder. Hint: name the payhub.toml in it",
    ),
    "payments list --account shpo": (1, "payhub: there is no account 'shpo'. Hint: did you mean 'shop'?"),
    "payments show shpo A1001": (1, "payhub: there is no account 'shpo'. Hint: did you mean 'shop'?"),
    "payments show shop A9": (
        1,
        "payhub: [account shop, order A9] no such order was started here. Hint: see: payhub payments find A9",
    ),
    "ledger retire shpo": (1, "payhub: there is no account 'shpo'. Hint: did you mean 'shop'?"),
    "dry-run shpo": (1, "payhub: there is no account 'shpo'. Hint: did you mean 'shop'?"),
    "dry-run shop deep.json": (
        1,
        (
            "payhub: deep.json cannot be read as JSON: RecursionError. "
            "Hint: an order is FIELD=VALUE for each field, or a JSON file"
        ),
    ),
    "sandbox --resend-interval nan": (2, f"Error: Invalid value for '--resend-interval': {SECONDS}, not 'nan'"),
    "sandbox --notify-timeout inf": (2, f"Error: Invalid value for '--notify-timeout': {SECONDS}, not 'inf'"),
    "reconcile --rate soon": (
        2,
        "Error: Invalid value for '--rate': expected a number above zero, such as 30, not soon",
    ),
    "reconcile --account shpo": (1, "payhub: there is no account 'shpo'. Hint: did you mean 'shop'?"),
    "reconcile --handler shop": (1, "payhub: --handler: expected MODULE:NAME, such as shop:fulfil, not 'shop'"),
    "reconcile --handler no_such_shop:fulfil": (
        1,
        "payhub: --handler: 'no_such_shop:fulfil' cannot be imported: No module named 'no_such_shop'",
    ),
    "reconcile --checkout os:sep": (
        1,
        "payhub: --checkout: expected a Checkout or an AsyncCheckout, 'os:sep' is of the type str",
    ),
    "reconcile --checkout shop:checkout --handler shop:fulfil": (
        1,
        "payhub: --checkout has a configuration and a handler of its own. Hint: leave the others out",
    ),
    "verify nofile": (1, "payhub: nofile cannot be read: No such file or directory"),
    "replay nofile": (1, "payhub: nofile cannot be read: No such file or directory"),
    "new-provider 5x": (1, "payhub: expected a name such as 'bank' or 'my-bank', not '5x'"),
    "new-provider gpu": (1, "payhub: a package payhub_gpu is installed already. Hint: choose another name"),
    "sandbox --host 192.0.2.1": (
        1,
        "payhub: 192.0.2.1 is not a loopback address; --allow-remote lets other machines in",
    ),
    "paymets": (2, "Error: No such command 'paymets'."),
    "payments lst": (2, "Error: No such command 'lst'."),
    "payments list list": (2, "Error: Got unexpected extra argument (list)"),
    "payments list --since yesterday": (2, f"Error: Invalid value for '--since': {TIME}, not 'yesterday'"),
    "payments list --since 2026-13-01": (2, f"Error: Invalid value for '--since': {TIME}, not '2026-13-01'"),
    "payments list --until 2026/01/01": (2, f"Error: Invalid value for '--until': {TIME}, not '2026/01/01'"),
    "payments list --status payed": (2, "Error: Invalid value for '--status': 'payed' is not one of 'pending',"),
    "payments list --limit 0": (2, "Error: Invalid value for '--limit': 0 is not in the range 1<=x<=1000000000."),
    "payments show shop": (2, "Error: Missing argument 'REFERENCE'."),
    "outbox deliver": (2, "Error: --handler or --checkout is needed"),
}


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a payhub.toml, and a ledger."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "payhub.toml").write_text(
        'ledger = "sqlite:///payhub.db"\n[accounts.shop]\nprovider = "dummy"\ndevelopment = true\n'
    )
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with Ledger("sqlite:///payhub.db") as ledger:
        ledger.upgrade()
    return tmp_path


def commands(group: click.Group = payhub, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands, each with the words that name it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)
        else:
            yield (*words, name), command


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_on_the_command_line(at: Path, words: str) -> None:
    """What was expected, what came, what to do; nothing on stdout, and no traceback."""
    status, told = MISTAKES[words]
    result = CliRunner().invoke(payhub, words.split())
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.replace(str(at), "HERE").splitlines()[-1].startswith(told)
    assert status == 2 or result.stderr.count("\n") == 1


def test_a_folder_without_a_configuration_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most often it is the wrong one."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(payhub, ["payments", "list"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"payhub: there is no payhub.toml in {tmp_path}, and no PAYHUB_ variable is set. "
        "Hint: run it in the application's folder, or name the file with --config\n"
    )


def test_the_table_of_statuses_is_that_of_the_commands(at: Path) -> None:
    """Each row of the table is shown by a command that ends so, and there is no other."""
    table = OPERATING.partition("## How a command ends")[2].partition("\n## ")[0]
    ends: Callable[[str], Result] = lambda words: CliRunner().invoke(payhub, words.split())  # noqa: E731
    shown = {str(ends(words).exit_code) for words in ("payments list", "payments find X", "doctr")}
    assert shown == set(re.findall(r"^\| ([0-9]+) \|", table, re.MULTILINE))


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_a_command_that_is_not_understood_ends_with_2(words: tuple[str, ...]) -> None:
    """Whichever it is, and its help with 0."""
    assert CliRunner().invoke(payhub, [*words, "--no-such-option"]).exit_code == 2
    assert CliRunner().invoke(payhub, [*words, "--help"]).exit_code == 0


def test_the_commands_without_json_are_those_of_the_page() -> None:
    """All others print it for programs."""
    without = {" ".join(words) for words, command in commands() if "as_json" not in {it.name for it in command.params}}
    sentence = re.search(r"`--json`, and prints.*?\n\n", OPERATING, re.DOTALL)
    assert sentence is not None
    assert without == set(re.findall(r"`payhub ([a-z-]+)`", sentence[0]))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise SystemExit(0)", "it ends the program (line 1 of named.py)"),
        ("1 / 0", "ZeroDivisionError: division by zero (line 1 of named.py)"),
        ("def f(:", "SyntaxError: "),
    ],
)
@pytest.mark.parametrize(
    "command", ["check named:A", "reconcile --handler named:f", "outbox deliver --handler named:f"]
)
def test_a_module_that_is_named_and_cannot_be_imported_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str, command: str
) -> None:
    """A script that ends when it is imported would end the command with success, and nothing done."""
    (tmp_path / "named.py").write_text(source, "utf-8")
    (tmp_path / "payhub.toml").write_text('ledger = "sqlite:///shop.db"\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("named", None)
    result = CliRunner().invoke(payhub, command.split())
    assert (result.exit_code, "cannot be imported: " in result.output) == (1, True), result.output
    assert reason in " ".join(result.output.split())


@pytest.mark.parametrize("name", ["none", "true", "test", "test-bank", "money", "request", "fields"])
def test_a_provider_whose_class_would_have_a_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    """Its tests could not run, or the class would take an import's place."""
    result = CliRunner().invoke(payhub, ["new-provider", name, "--folder", str(tmp_path / "new")])
    assert result.exit_code == 1
    assert "a name that is taken. Hint: choose another name" in " ".join(result.output.split())
    assert not (tmp_path / "new").exists()


def test_what_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    """A folder that cannot be made, such as on a full disk, is no mistake of payhub's that a traceback would help."""
    (tmp_path / "file").write_text("", "utf-8")
    result = CliRunner().invoke(payhub, ["new-provider", "oolong", "--folder", str(tmp_path / "file" / "under")])
    assert result.exit_code == 1
    assert result.output.startswith("payhub: NotADirectoryError: ")


@pytest.mark.parametrize(
    ("words", "closed", "status", "told"),
    [
        ("verify - --account shop", "<&-", 1, "there is no standard input. Hint: name a file, or pipe the message in"),
        ("payments list --json", ">&-", 1, "payhub: OSError: [Errno 9] Bad file descriptor: '<stdout>'"),
        ("doctor", ">&-", 1, "payhub: OSError: [Errno 9] Bad file descriptor: '<stdout>'"),
        ("--version", ">&-", 1, "Bad file descriptor: '<stdout>'"),
        ("report -o page.html", ">&-", 0, ""),
    ],
)
def test_a_stream_that_is_closed(at: Path, words: str, closed: str, status: int, told: str) -> None:
    """A command that cannot be heard fails, unless it had nothing to say; each tells it in a line."""
    program = Path(sys.executable).with_name("payhub")
    result = subprocess.run(["sh", "-c", f"{program} {words} {closed}"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (status, "")
    assert told in result.stderr
    assert "Traceback" not in result.stderr
