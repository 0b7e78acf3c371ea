"""The proof that the cassettes are what they seem: recorded, whole, free of secrets, and noticed when they change."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import quote_plus

import pytest
import yaml

from payhub_sandbox import Merchant

TESTS = Path(__file__).parents[1]
SCENARIOS = [f"tests/cassettes/test_{noun}.py" for noun in ("create", "query")]
SIGN = re.compile(r"sign=[0-9a-f]{32}")
# The order that an answer is about; or the first Chinese character of the reason why there is none.
TELLING = re.compile(r'"order_no":"[^"]+|"message":"\\u....(?=.*"data":\[\])')


def flipped(text: str, found: re.Match[str] | None) -> str:
    """``text`` with one bit of the last character of ``found`` changed."""
    assert found
    at = found.end() - 1
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


def tamper_with_request(interactions: list[Any]) -> None:
    """One hex digit of the first signature."""
    request = interactions[0]["request"]
    where = "body" if request["body"] else "uri"
    request[where] = flipped(request[where], SIGN.search(request[where]))


def tamper_with_response(interactions: list[Any]) -> None:
    """One character of the last answer: of the order it is about, or of the reason where there is no order."""
    body = interactions[-1]["response"]["body"]
    found = list(TELLING.finditer(body["string"]))
    body["string"] = flipped(body["string"], found[-1])


def tampered(recorded: Path, folder: Path, change: Callable[[list[Any]], None]) -> Path:
    """A copy of the cassettes, each changed in one byte."""
    folder.mkdir()
    for path in recorded.iterdir():
        content = yaml.safe_load(path.read_text("utf-8"))
        change(content["interactions"])
        (folder / path.name).write_text(yaml.safe_dump(content), "utf-8")
    return folder


def run(*arguments: str) -> tuple[int, str]:
    """A command's exit status and output."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=TESTS.parent,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the scenarios need none, and start sooner
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="session")
def runs(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """`make cassettes`, and three replays: each request tampered with, each response, and no cassette at all."""
    folder = tmp_path_factory.mktemp("tampered")
    cassettes = {
        "requests": tampered(recorded, folder / "requests", tamper_with_request),
        "responses": tampered(recorded, folder / "responses", tamper_with_response),
        "missing": folder / "missing",
    }
    replay = ["pytest", "-q", "--tb=no", *SCENARIOS, "-k", "not AsyncHub"]
    commands = {name: [*replay, f"--cassettes={path}"] for name, path in cassettes.items()}
    commands["again"] = ["tests.record"]
    with ThreadPoolExecutor() as threads:
        return dict(zip(commands, threads.map(lambda command: run(*command), commands.values()), strict=True))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, recorded: Path, tmp_path: Path) -> Any:
    """`tests.record` on a copy of the cassettes; recording yields those of the repository."""
    spec = spec_from_file_location("record", TESTS / "record.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CASSETTES", copytree(recorded, tmp_path / "cassettes"))
    monkeypatch.setattr(module, "record", lambda folder: copytree(recorded, folder, dirs_exist_ok=True))
    return module


@pytest.mark.proof
def test_every_cassette_records_again_byte_for_byte(runs: dict[str, tuple[int, str]]) -> None:
    """A fresh sandbox on another port gives the same files, and no file is left over."""
    status, output = runs["again"]
    assert (status, output.splitlines()[-1]) == (0, "Every cassette records again as it is."), output


@pytest.mark.proof
@pytest.mark.parametrize("case", ["requests", "responses", "missing"])
def test_no_scenario_passes_on_a_cassette_that_is_not_the_recorded_one(
    runs: dict[str, tuple[int, str]], recorded: Path, case: str
) -> None:
    """One changed byte in a request or in a response, or a missing file, fails each scenario."""
    status, output = runs[case]
    caught = set(re.findall(r"^(?:FAILED|ERROR) (tests/cassettes/\S+)", output, re.MULTILINE))
    assert (status, len(caught)) == (1, len(list(recorded.iterdir()))), output


def test_a_difference_is_shown_and_can_be_accepted(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that differs, one too few and one too many each show, until they are accepted."""
    changed, lost, *_ = sorted(command.CASSETTES.iterdir())
    changed.write_bytes(changed.read_bytes().replace(b"- gateway.example\n", b"- somebody\n"))
    lost.unlink()
    (command.CASSETTES / "surplus.yaml").write_text("version: 1\n")
    assert command.main() == 1
    shown = capsys.readouterr().out
    assert "-      - somebody\n+      - gateway.example\n" in shown
    assert f"+++ new/{lost.name}\n" in shown
    assert "--- old/surplus.yaml\n" in shown
    assert command.main("--accept") == 0
    assert command.main() == 0
    assert lost.exists()


def test_a_line_ending_is_a_difference(command: Any) -> None:
    """Files are compared as bytes, so that an editor's line endings do not go unnoticed."""
    path = next(command.CASSETTES.iterdir())
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert command.main() == 1


def test_no_secret_is_in_any_cassette(recorded: Path, settings: Any, merchants: dict[str, Merchant]) -> None:
    """Neither a key nor the text that it is signed in, however encoded; signatures stay, since they are the proof."""
    keys = [settings["secret"], *(merchant.secret for merchant in merchants.values()), "c1277", "throw-away"]
    paths = list(recorded.iterdir())
    assert paths
    for path in paths:
        content = path.read_bytes()
        assert b"sign=" in content
        for text in (content, *(body for body in _bodies(content) if isinstance(body, bytes))):
            lower = text.lower()
            assert not [key for key in keys if key.encode() in lower or quote_plus(key).lower().encode() in lower]
            assert b"secret" not in lower


def test_a_cassette_is_readable_and_the_same_everywhere(recorded: Path) -> None:
    """UTF-8 text with LF, the gateway's canonical address, and nothing of the machine that recorded it."""
    for path in recorded.iterdir():
        content = path.read_bytes()
        assert content.decode().endswith("\n")
        assert b"\r" not in content
        assert not re.search(rb"127\.0\.0\.1|localhost|/tmp|/home|python-httpx", content)
        hosts = set(re.findall(rb"uri: (https?://[^/]+)", content))
        assert hosts == {b"https://gateway.example"}


def _bodies(content: bytes) -> list[object]:
    return [interaction["response"]["body"]["string"] for interaction in yaml.safe_load(content)["interactions"]]
