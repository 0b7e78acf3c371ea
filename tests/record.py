"""`make cassettes`: records every cassette again and shows what differs from those in the repository.

python -m tests.record             exits 1 where something differs
python -m tests.record --accept    puts the new recordings in place of the old
"""

from __future__ import annotations

import subprocess
import sys
from difflib import unified_diff
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
CASSETTES = ROOT / "cassettes" / "gpu"
SCENARIOS = ("tests/cassettes/test_create.py", "tests/cassettes/test_query.py")


def record(folder: Path) -> None:
    """Plays every scenario through a hub against a fresh sandbox on a random port; raises CalledProcessError."""
    command = [sys.executable, "-m", "pytest", "-q", *SCENARIOS, "-k", "not AsyncHub", "--record"]
    subprocess.run([*command, f"--cassettes={folder}"], check=True, cwd=ROOT)


def differences(old: Path, new: Path) -> list[str]:
    """How the cassettes of one folder differ from those of another, as lines of a diff."""
    lines: list[str] = []
    for name in sorted({path.name for folder in (old, new) for path in folder.iterdir()}):
        texts = [(folder / name).read_bytes().decode() if (folder / name).exists() else "" for folder in (old, new)]
        lines += unified_diff(*[text.splitlines(keepends=True) for text in texts], f"old/{name}", f"new/{name}")
    return lines


def accept(old: Path, new: Path) -> None:
    """Puts the cassettes of ``new`` in place of those in ``old``."""
    rmtree(old, ignore_errors=True)
    copytree(new, old)


def main(*arguments: str) -> int:
    """Runs the command and returns its exit status."""
    with TemporaryDirectory() as temporary:
        new = Path(temporary)
        record(new)
        CASSETTES.mkdir(parents=True, exist_ok=True)
        lines = differences(CASSETTES, new)
        sys.stdout.writelines(lines)
        if lines and "--accept" in arguments:
            accept(CASSETTES, new)
            return 0
        print("The cassettes differ; see above." if lines else "Every cassette records again as it is.")  # noqa: T201
        return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
