"""Processes of the shop: forked to be killed on the way, or started as they are deployed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_numbers = itertools.count()


class Worker:
    """Processes of the shop, forked by ``worker.py`` for each command, over a database and the sandbox."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(FOLDER / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def __call__(self, url: str, command: str, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        """What each of the ``processes`` came to: its result, or that it was killed at its ``die_at``-th point.

        With a ``full_disk`` no file takes another byte.
        """
        order = {"die_at": 0, "processes": 1, "full_disk": False, **options, "command": command, "arguments": arguments}
        order["ledger"] = url
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        results: list[dict[str, Any]] = json.loads(self.process.stdout.readline())
        return results

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


class Service:
    """A process that runs until it is told to end."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        number = next(_numbers)
        self.files = folder / f"output-{number}.txt", folder / f"errors-{number}.txt"
        with self.files[0].open("wb") as output, self.files[1].open("wb") as errors:
            self.process = subprocess.Popen(
                words, cwd=folder, env=environment, stdout=output, stderr=errors, start_new_session=True
            )

    @property
    def output(self) -> str:
        return self.files[0].read_text("utf-8")

    @property
    def errors(self) -> str:
        return self.files[1].read_text("utf-8")

    def until(self, happened: Callable[[], object]) -> None:
        """Waits until ``happened``; fails where it does not, or the process ends."""
        deadline = time.monotonic() + 60
        while not happened():
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        """Ends it at once where it runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # with the workers that it has forked
            self.process.wait(60)
