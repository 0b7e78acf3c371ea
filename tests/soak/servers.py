"""The processes of the soak: the shop's servers, the reconciliation beside them, and whoever shoots at them."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from statistics import median

import psutil
from tests.checkout.processes import Service
from tests.databases import Postgres

ROOT = Path(__file__).parents[2]
#: A worker is judged by its memory once it has lived so many seconds after its first third, its warm-up.
JUDGED_SECONDS = 400
SAMPLE_SECONDS = 5.0
#: KiB that a worker may grow by after its warm-up.
MOST_GROWTH = 6 * 1024


class Server:
    """Processes of the shop, started again where they were killed; ``port`` 0 serves nobody."""

    def __init__(self, name: str, words: list[str], port: int, folder: Path, environment: dict[str, str]) -> None:
        self.name, self.port = name, port
        self._start = lambda: Service([sys.executable, "-m", *words], folder, environment)
        self.service = self._start()

    def workers(self) -> list[psutil.Process]:
        """Those who do the work, the eldest first: its children, or the process itself where it has none."""
        try:
            process = psutil.Process(self.service.process.pid)
            children = [it for it in process.children() if "resource_tracker" not in " ".join(it.cmdline())]
        except psutil.Error:
            return []
        return sorted(children, key=lambda it: it.create_time()) or [process]

    def wait(self) -> None:
        """Waits until it answers."""
        if self.port:
            self.service.until(lambda: _answers(self.port))

    def restart(self) -> None:
        """Kills all of it, and starts it again."""
        self.service.kill()
        self.service = self._start()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def servers(folder: Path, url: str, gateway: str, authority: Path) -> list[Server]:
    """All that run over a database: on SQLite one worker of uvicorn, on PostgreSQL two, and two of gunicorn."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {"LEDGER": url, "GATEWAY": gateway, "SSL_CERT_FILE": str(authority)}
    environment = {**os.environ, **environment, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    ports = [_free_port(), _free_port()]
    alone = url.startswith("sqlite")
    uvicorn = ["uvicorn", "tests.soak.shop:asgi_app", "--factory", "--no-access-log", "--log-level=error"]
    uvicorn += ["--timeout-worker-healthcheck=60"]  # a busy machine is no reason to kill
    gunicorn = ["gunicorn", "tests.soak.shop:wsgi_app()", "--worker-class=gthread", "--threads=4", "--workers=2"]
    quiet = ["--log-level=critical", "--no-control-socket", f"--bind=127.0.0.1:{ports[1]}"]
    uvicorn += [f"--port={ports[0]}", *([] if alone else ["--workers=2"])]
    started = [Server("uvicorn", uvicorn, ports[0], folder, environment)]
    if not alone:
        started.append(Server("gunicorn", [*gunicorn, *quiet], ports[1], folder, environment))
    started.append(Server("reconciliation", ["tests.soak.shop"], 0, folder, environment))
    for server in started:
        server.wait()
    return started


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Killer(threading.Thread):
    """Kills workers and servers with SIGKILL, and restarts the database, until it is told to stop.

    After a third of the time the eldest worker of each server that has several is spared, so that there is one whose
    memory tells something; and so is the reconciliation.
    """

    def __init__(self, servers: list[Server], postgres: Postgres | None, seconds: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.servers, self.postgres, self.seconds = servers, postgres, seconds
        self.random = random.Random(f"killer {seed}")
        self.done: Counter[str] = Counter()
        self.error: Exception | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        """Every ten seconds or so a process, every two minutes or so the database; more often in a short soak."""
        began = time.monotonic()
        pause, rest = min(self.seconds / 10, 10.0), min(self.seconds / 3, 120.0)
        restart_at = began + rest * self.random.uniform(0.5, 1.5)
        try:
            while not self.stopped.wait(pause * self.random.uniform(0.5, 1.5)):
                if self.postgres and time.monotonic() > restart_at:
                    self.done[f"database, {self.shoot(self.postgres)}"] += 1
                    restart_at = time.monotonic() + rest * self.random.uniform(0.5, 1.5)
                else:
                    self.kill(early=time.monotonic() < began + self.seconds / 3)
        except Exception as error:  # the soak fails with it
            self.error = error

    def stop(self) -> None:
        """Ends the shooting; raises what ended it early."""
        self.stopped.set()
        self.join()
        if self.error:
            raise self.error

    def kill(self, *, early: bool) -> None:
        """A worker or, early on, all of a server; raises RuntimeError where one has ended by itself."""
        for server in self.servers:
            if server.service.process.poll() is not None:
                raise RuntimeError(f"{server.name} has ended by itself: {server.service.errors[-2000:]}")
        running = [(server, server.workers()) for server in self.servers]
        targets = [(server, workers) for server, workers in running if early or len(workers) > 1]
        if not targets:
            return
        server, workers = self.random.choice(targets)
        if len(workers) < 2 or (early and self.random.random() < 0.3):
            server.restart()
            self.done[f"{server.name}, all"] += 1
        else:
            with suppress(psutil.NoSuchProcess):
                self.random.choice(workers if early else workers[1:]).kill()
                self.done[f"{server.name}, a worker"] += 1

    def shoot(self, postgres: Postgres) -> str:
        """Stops the database as its operator would, or at once as in a crash; or kills a process of its own."""
        how = self.random.choice(["fast", "immediate", "crash"])
        server = postgres.server
        postmaster = psutil.Process(server.get_pid())
        if how == "crash":
            for process in postmaster.children():
                if "payhub_template" in " ".join(process.cmdline()):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                    return how
        os.kill(postmaster.pid, signal.SIGINT if how == "fast" else signal.SIGQUIT)
        deadline = time.monotonic() + 30
        while (server.pgdata / "postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(self.random.uniform(0, 3))
        server.ensure_postgres_running()
        return how


class Memory:
    """Samples of the memory that each worker has in use, in KiB."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.samples: dict[str, list[int]] = {}

    def sample(self) -> str:
        """Notes what each has now; returns it to be shown."""
        shown = []
        for server in self.servers:
            for worker in server.workers():
                with suppress(psutil.Error):
                    kib = worker.memory_info().rss // 1024
                    self.samples.setdefault(f"{server.name} {worker.pid}", []).append(kib)
                    shown.append(f"{kib // 1024}")
        return " ".join(shown)

    def judged(self) -> dict[str, tuple[int, int]]:
        """KiB after the warm-up and at the end, of each worker that has lived long enough."""
        least = JUDGED_SECONDS / SAMPLE_SECONDS * 1.5
        return {name: ends(samples) for name, samples in self.samples.items() if len(samples) >= least}

    @property
    def flat(self) -> bool:
        """Whether nobody has grown."""
        return all(last - first <= MOST_GROWTH for first, last in self.judged().values())


def ends(samples: list[int]) -> tuple[int, int]:
    """The memory after the first third, and at the end: medians of a tenth of the samples each."""
    tenth = max(len(samples) // 10, 1)
    start = len(samples) // 3
    return int(median(samples[start : start + tenth])), int(median(samples[-tenth:]))
