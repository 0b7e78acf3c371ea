"""``payhub replay``: a recorded callback, verified again on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from payhub_core import Callback, CallbackKind, Reply
from payhub_core.cli.commands import payhub
from payhub_core.recorder import Recorder

ACKNOWLEDGED = Reply(b"SUCCESS")


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any]) -> Path:
    """Two accounts of which the second has another appid."""
    path = tmp_path / "payhub.toml"
    lines = [f'{key} = "{value}"' for key, value in settings.items()]
    other = [f'{key} = "{value}"' for key, value in {**settings, "appid": "gpu10000001"}.items()]
    path.write_text("\n".join(["[accounts.shop]", *lines, "[accounts.other]", *other]))
    return path


@pytest.fixture
def replay(config: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: CliRunner().invoke(payhub, ["replay", *map(str, args), "--config", str(config)])


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    return lambda callback, reply=ACKNOWLEDGED: Recorder(tmp_path).save("shop", callback, reply)


def test_a_genuine_callback_is_shown_with_what_it_says(replay: Any, record: Any, platform: Any) -> None:
    """Exit status 0; the sums, the payment, and what was answered then."""
    result = replay(record(platform.callback(platform.notify(attach="[red]茶[/red]"))))
    assert result.exit_code == 0
    for words in ("genuine", "A1001", "paid", "100.00 CNY", "P2019081800134100001", "[red]茶[/red]", "200 text/plain"):
        assert words in result.output
    assert len(re.findall(r"(?:recorded|paid at).* \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", result.output)) == 2


def test_a_forged_callback_is_refused_with_a_hint(replay: Any, record: Any, platform: Any) -> None:
    """Exit status 1, the error by name and what to look at."""
    forged = platform.callback(platform.notify(), secret="another-shops-secret-key")
    result = replay(record(forged, Reply(b"refused", status_code=400)))
    assert result.exit_code == 1
    for words in ("refused", "BadSignature", "payhub replay --explain", "400 text/plain"):
        assert words in result.output


def test_why_it_was_refused_then_is_shown(replay: Any, record: Any, notify: Callback) -> None:
    """What is genuine by itself may have been about no order of the shop's."""
    path = record(notify, Reply(b"refused", status_code=400, reason="WrongOrder: no such order was started here"))
    table, content = replay(path).output, json.loads(replay(path, "--json").output)
    assert "genuine" in table
    assert re.search("reason then .*WrongOrder: no such order was started here", table)
    assert content["answered"]["reason"] == "WrongOrder: no such order was started here"


def test_json_is_for_machines(replay: Any, record: Any, platform: Any, notify: Callback) -> None:
    """The same facts; the payment in the vocabulary of the core."""
    result = replay(record(notify), "--json")
    content = json.loads(result.output)
    assert (result.exit_code, content["genuine"], content["error"]) == (0, True, None)
    assert content["payment"]["status"] == "paid"
    assert content["payment"]["paid"] == "100.00 CNY"
    assert content["answered"]["body"] == "SUCCESS"
    refused = replay(record(platform.callback(b"\xff")), "--json")
    assert (refused.exit_code, json.loads(refused.output)["error"]["type"]) == (1, "MalformedCallback")


def test_a_return_shows_what_it_claims_and_is_not_paid(
    replay: Any, record: Any, platform: Any, came_back: bytes
) -> None:
    """A hint stays a hint, on the command line too."""
    content = json.loads(replay(record(platform.callback(came_back, kind=CallbackKind.RETURN)), "--json").output)
    assert (content["payment"]["status"], content["payment"]["claimed_status"]) == ("pending", "paid")


def test_it_can_be_verified_as_another_account(replay: Any, record: Any, notify: Callback) -> None:
    """To find out whose message it is."""
    result = replay(record(notify), "--account", "other")
    assert result.exit_code == 1
    assert "WrongAccount" in result.output


def test_an_account_that_is_not_configured_is_told_with_a_hint(replay: Any, record: Any, notify: Callback) -> None:
    """Exit status 1, and the nearest name."""
    result = replay(record(notify), "--account", "shopp")
    assert result.exit_code == 1
    assert "did you mean 'shop'?" in result.output


def test_the_configuration_of_the_folder_is_found(
    record: Any, notify: Callback, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --config it is payhub.toml, where there is one."""
    monkeypatch.chdir(config.parent)
    result = CliRunner().invoke(payhub, ["replay", str(record(notify))])
    assert result.exit_code == 0


def test_a_file_that_is_none_is_told_in_one_line(replay: Any, config: Path) -> None:
    """No traceback."""
    result = replay(config)
    assert result.exit_code == 1
    assert "is no recorded callback" in result.output.replace("\n", "")


def test_a_file_that_was_tampered_with_plays_no_tricks(replay: Any, record: Any, notify: Callback) -> None:
    """Odd types and escape sequences are shown as text."""
    path = record(notify)
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "recorded_at": ["\x1b[2Jnow"]}), "utf-8")
    result = replay(path)
    assert (result.exit_code, "genuine" in result.output, "\x1b[2J" in result.output) == (0, True, False)


def test_neither_secret_nor_signature_is_shown(replay: Any, record: Any, notify: Callback, platform: Any) -> None:
    """Neither as a table nor as JSON."""
    path = record(notify)
    signature = platform.sign(platform.notify())
    for output in (replay(path).output, replay(path, "--json").output):
        assert platform.secret not in output
        assert signature not in output
