"""What an author of a provider runs where the extra ``ledger`` is not installed."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import payhub_core

ACME = Path(__file__).parents[2] / "examples" / "payhub-acme"
SOURCE = Path(payhub_core.__file__).parents[1]
LEDGER = ("sqlalchemy", "aiosqlite", "alembic", "psycopg")
PROGRAM = """
import sys
sys.path[:0] = [{source!r}, {acme!r}, {site!r}]
try:
    import sqlalchemy
except ImportError:
    from payhub_core.cli import main
    main()
"""
CONFIG = '[accounts.shop]\nprovider = "dummy"\ndevelopment = true\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every installed package but those of the extra."""
    site = tmp_path_factory.mktemp("site")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.suffix != ".pth" and not entry.name.lower().startswith(LEDGER):
            (site / entry.name).symlink_to(entry)
    return site


def run(site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs ``payhub`` with these words in ``folder``."""
    code = PROGRAM.format(source=str(SOURCE), acme=str(ACME / "src"), site=str(site))
    command = [sys.executable, "-S", "-c", code, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("words", "status", "shown"),
    [
        ("dry-run shop", 0, "Nothing was sent"),
        ("verify message.txt", 1, "refused"),
        ("replay recorded.json", 1, "recorded.json cannot be read"),
        ("new-provider tea", 0, "Next:"),
        (f"check {ACME}/tests/test_contract.py:TestAcme", 0, "failed 0"),
        ("reconcile", 1, "pip install 'payhub-core[ledger]'"),
        (
            "doctor --config with.toml",
            1,
            "! the ledger cannot be used: sqlalchemy is not installed. Hint: pip install",
        ),
        ("doctor", 0, "none is configured"),
        ("doctor --connect", 0, "account shop dummy: no keys"),
    ],
)
def test_a_command_that_needs_no_ledger_works_without_it(
    site: Path, tmp_path: Path, words: str, status: int, shown: str
) -> None:
    """And one that does says what to install."""
    (tmp_path / "payhub.toml").write_text(CONFIG)
    (tmp_path / "with.toml").write_text('ledger = "sqlite:///payhub.db"\n' + CONFIG)
    (tmp_path / "message.txt").write_text("reference=A1001&status=paid")
    done = run(site, tmp_path, *words.split())
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
    assert shown in done.stdout + done.stderr
