"""``payhub new-provider``: the example package under another name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from payhub_core.cli.commands import payhub

EXAMPLE = Path(__file__).parents[2] / "examples" / "payhub-acme"


def run(*words: str) -> tuple[int, str]:
    """Exit status and output."""
    result = CliRunner().invoke(payhub, ["new-provider", *words])
    return result.exit_code, result.output


def written(folder: Path) -> dict[str, str]:
    """The files of a folder, by their names."""
    return {str(p.relative_to(folder)): p.read_text("utf-8") for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "distribution", "package", "cls"),
    [
        ("bank", "payhub-bank", "payhub_bank", "Bank"),
        ("my-bank", "payhub-my-bank", "payhub_my_bank", "MyBank"),
        ("my_bank2", "payhub-my-bank2", "payhub_my_bank2", "MyBank2"),
    ],
)
def test_the_new_package_is_the_example_under_another_name(
    name: str, distribution: str, package: str, cls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every file and every file's name; nothing of the example's name is left, and no mark."""
    monkeypatch.chdir(tmp_path)
    status, output = run(name)
    assert status == 0, output
    files = written(tmp_path / distribution)
    assert f"{len(files)} files" in output
    there = {str(path.relative_to(EXAMPLE)) for path in EXAMPLE.rglob("*") if path.is_file()}
    example = {name for name in there if not name.startswith(".") and "__pycache__" not in name}
    assert {file.replace(package, "payhub_acme") for file in files} == example
    for file, text in files.items():
        assert "acme" not in text.lower(), file
        assert "new-provider:" not in text, file
    assert f'name = "{distribution}"' in files["pyproject.toml"]
    assert f'{package.removeprefix("payhub_")} = "{package}:{cls}"' in files["pyproject.toml"]
    assert f"class {cls}(AccountSettings):" in files[f"src/{package}/provider.py"]


def test_what_only_the_examples_gateway_does_is_left_to_the_author(tmp_path: Path) -> None:
    """What is marked is replaced by the mark's own words, each once; the rest is as it was."""
    folder = tmp_path / "here"
    status, _ = run("bank", "--folder", str(folder))
    assert status == 0
    contract = (folder / "tests" / "test_contract.py").read_text("utf-8")
    for method in ("answer", "notify", "asked"):
        assert contract.count(f"next: write {method}()") == 1
    assert "X-Bank-Signature" not in contract
    assert "shares no line with the provider" in contract
    compile(contract, "test_contract.py", "exec")
    assert "no real gateway" not in (folder / "README.md").read_text("utf-8")


def test_the_new_package_is_small(tmp_path: Path) -> None:
    """A stranger reads all of it before the first line is changed."""
    run("bank", "--folder", str(tmp_path / "here"))
    files = written(tmp_path / "here")
    assert len(files) <= 7
    assert sum(text.count("\n") for text in files.values()) < 350


def test_a_test_of_the_new_package_imports_from_another(tmp_path: Path) -> None:
    """The samples reuse what the contract knows of signing."""
    folder = tmp_path / "here"
    run("bank", "--folder", str(folder))
    (folder / "tests" / "test_more.py").write_text(
        "from test_contract import TestBank as Contract\n\ndef test_it():\n    assert Contract.settings['merchant']\n"
    )
    program = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_more.py", "-k", "test_it"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    told = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("name", ["", "Bank", "1bank", "bank-", "a--b", "../bank", "银行"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes a module, a class and a key of a configuration."""
    monkeypatch.chdir(tmp_path)
    status, output = run("--", name)
    assert status == 1
    assert "expected a name" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["core", "gpu", "epay", "acme"])
def test_a_name_that_is_taken_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be installed beside what has it."""
    monkeypatch.chdir(tmp_path)
    status, output = run(name)
    assert (status, list(tmp_path.iterdir())) == (1, [])
    assert "installed already" in output


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """An empty folder serves, another one does not."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "provider.py").write_text("mine")
    status, output = run("bank", "--folder", str(tmp_path / "full"))
    assert status == 1
    assert "is not empty" in output
    assert written(tmp_path / "full") == {"provider.py": "mine"}
    (tmp_path / "empty").mkdir()
    assert run("bank", "--folder", str(tmp_path / "empty"))[0] == 0
