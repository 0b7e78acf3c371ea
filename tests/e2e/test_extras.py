"""What is said where an extra is not installed: payhub out of its wheel, beside what some extras need and no more."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

LEDGER = "payhub: the ledger cannot be used: sqlalchemy is not installed. Hint: pip install 'payhub-core[ledger]'\n"
COMMANDS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "no extra": ((), "payments list", "payhub: click is not installed. Hint: pip install 'payhub-core[cli]'\n"),
    "a command and its own": (("cli",), "payments list --limit 5", LEDGER),
    "a command": (("cli",), "reconcile", LEDGER),
    "the gateway, without the ledger": (
        ("cli",),
        "sandbox --port 0",
        "payhub: uvicorn is not installed. Hint: pip install 'payhub-core[sandbox]'\n",
    ),
    "the gateway": (
        ("cli", "ledger"),
        "sandbox --port 0",
        "payhub: uvicorn is not installed. Hint: pip install 'payhub-core[sandbox]'\n",
    ),
    "the demonstration, without the ledger": (
        ("cli",),
        "demo --provider dummy",
        "payhub: uvicorn is not installed. Hint: pip install 'payhub-core[sandbox]'\n",
    ),
    "the demonstration": (
        ("cli", "ledger"),
        "demo --stay",
        "payhub: uvicorn is not installed. Hint: pip install 'payhub-core[sandbox]'\n",
    ),
    "the kit": (
        ("cli", "ledger"),
        "check tests/test_contract.py:TestBank",
        "payhub: pytest is not installed. Hint: pip install 'payhub-core[testing]'\n",
    ),
}


def needed(name: str, extras: set[str]) -> set[str]:
    """The distributions that ``name`` needs with its ``extras``, itself among them."""
    found = {name}
    for line in distribution(name).requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            found |= needed(wanted.name, wanted.extras)
    return found


@pytest.fixture(scope="module")
def python_with(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Callable[..., Path]:
    """Makes the interpreter of an environment: what is in the wheel, and links to what the extras need."""

    @cache
    def made(*extras: str) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (wheel,) = wheels.glob("payhub_core-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        for name in needed("payhub-core", {*extras}) - {"payhub-core"}:
            for top in {file.parts[0] for file in distribution(name).files or ()} - {"..", "__pycache__"}:
                if not (site / top).exists():
                    (site / top).symlink_to(Path(sysconfig.get_path("purelib")) / top)
        return folder / "bin" / "python"

    return made


def run(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs ``python`` in ``folder``; it sees no source tree."""
    return subprocess.run(
        [str(python), "-I", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_whose_extra_is_missing_says_what_to_install(
    case: str, tmp_path: Path, python_with: Callable[..., Path]
) -> None:
    """One line, with no traceback, and whatever words follow the command."""
    extras, words, told = COMMANDS[case]
    done = run(python_with(*extras), tmp_path, "-m", "payhub_core", *words.split())
    assert (done.stderr, done.stdout, done.returncode) == (told, "", 1)


def test_the_commands_are_listed_with_what_is_missing(tmp_path: Path, python_with: Callable[..., Path]) -> None:
    """Those that work, too."""
    listed = run(python_with("cli"), tmp_path, "-m", "payhub_core", "--help").stdout
    assert "new-provider  Start a provider of your own" in listed
    assert "(the ledger cannot be used: sqlalchemy is not" in listed


@pytest.mark.parametrize("module", ["payhub_core.ledger", "payhub_core.checkout"])
def test_an_import_whose_extra_is_missing_says_what_to_install(
    module: str, tmp_path: Path, python_with: Callable[..., Path]
) -> None:
    """The last line of the traceback."""
    done = run(python_with(), tmp_path, "-c", f"import {module}")
    told = "the ledger cannot be used: sqlalchemy is not installed. Hint: pip install 'payhub-core[ledger]'"
    assert done.stderr.splitlines()[-1] == f"payhub_core.errors.ConfigError: {told}"
