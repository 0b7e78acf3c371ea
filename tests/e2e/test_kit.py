"""The conformance kit out of the wheel: an author's two files in a folder of his own, as the page has them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing-a-provider.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's provider and its contract, in one file."""
    provider, contract, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    folder = tmp_path_factory.mktemp("author")
    (folder / "test_bank.py").write_text(provider + contract, "utf-8")
    return folder


def run(folder: Path, *command: str) -> Any:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # an author has none of ours
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_pytest_runs_the_contract(clean_python: Path, folder: Path) -> None:
    """No source tree in sight."""
    result = run(folder, str(clean_python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert result.returncode == 0, result.stdout
    assert re.search(r"^TestBank: ran \d+ of \d+, excused 0, failed 0; not applicable: ", result.stdout, re.MULTILINE)


def test_the_command_runs_the_contract(clean_python: Path, folder: Path) -> None:
    """By a file's name, and by a module's."""
    payhub = str(clean_python.with_name("payhub"))
    for named in ("test_bank.py:TestBank", "test_bank:TestBank"):
        result = run(folder, payhub, "check", named)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "excused 0, failed 0" in result.stdout


def test_a_message_of_the_kit_leads_to_a_page_that_is_there(clean_python: Path, tmp_path: Path, folder: Path) -> None:
    """Out of the wheel, without a source tree or a network; so do the commands."""
    bank = (folder / "test_bank.py").read_text("utf-8").replace('Reply(b"OK")', 'Reply(b"success")')
    (tmp_path / "test_bank.py").write_text(bank, "utf-8")
    payhub = str(clean_python.with_name("payhub"))
    for command in (["check", "test_bank.py:TestBank"], ["check", "--help"], ["new-provider", "teapay"]):
        said = run(tmp_path, payhub, *command).stdout
        named = [Path(path) for path in re.findall(r"(?<!\w)/\S+?\.md\b", re.sub(r"\n\s*", "", said))]
        assert named, said
        assert [path for path in named if not path.is_file() or clean_python.parents[1] not in path.parents] == []
