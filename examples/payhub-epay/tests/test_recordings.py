"""The cassettes are what the simulator says today."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_cassette_records_again_as_it_is(tmp_path: Path) -> None:
    """Byte for byte, on another port and with other certificates."""
    environment = {**os.environ, "RECORD_CASSETTES": "1", "CASSETTES": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS / "test_recorded.py")]
    result = subprocess.run(command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    kept, new = ({path.name: path.read_text("utf-8") for path in f.iterdir()} for f in (TESTS / "cassettes", tmp_path))
    assert new == kept
