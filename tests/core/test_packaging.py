"""Packaging that keeps only code: a zip, a frozen program, an image without the packages' metadata."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import payhub_core

SOURCE = Path(payhub_core.__file__).parents[1]
PROGRAM = """
import sys
sys.path[:0] = [{app!r}, {site!r}]
import payhub_core
assert payhub_core.__file__.startswith({app!r}), payhub_core.__file__
from payhub_core import ConfigError, load_accounts
from payhub_core.ledger import Ledger
settings = {{"base_url": "https://gateway.example", "appid": "gpu10000000", "secret": "c1277-throw-away-key"}}
try:
    load_accounts({{"accounts": {{"shop": {{"provider": "gpu", **settings}}}}}})
except ConfigError as error:
    print(error)
load_accounts({{"accounts": {{"shop": {{"provider": "payhub_gpu:Gpu", **settings}}}}}})
with Ledger({url!r}) as ledger:
    ledger.upgrade()
    print(ledger.payments())
"""


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_a_package_without_files_or_metadata_works_or_says_what_to_write(tmp_path: Path, form: str) -> None:
    """The migrations need no folder; the name of a provider needs metadata, its class does not."""
    files = [path for name in ("payhub_core", "payhub_gpu") for path in (SOURCE / name).rglob("*.py")]
    app = tmp_path / "app"
    if form == "zip":
        with zipfile.ZipFile(app, "w") as archive:
            for path in files:
                archive.write(path, str(path.relative_to(SOURCE)))
    else:
        for path in files:
            (app / path.relative_to(SOURCE)).parent.mkdir(parents=True, exist_ok=True)
            (app / path.relative_to(SOURCE)).write_bytes(path.read_bytes())
    site = tmp_path / "site"  # every dependency, and payhub only from the archive
    site.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "payhub" not in entry.name and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    code = PROGRAM.format(app=str(app), site=str(site), url=f"sqlite:///{tmp_path}/ledger.db")
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    refusal, payments = done.stdout.splitlines()
    assert "no installed package says that it has providers; name the class" in refusal
    assert payments == "[]"
