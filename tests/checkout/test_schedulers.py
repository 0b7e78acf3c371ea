"""The recipes for running reconciliation, each in the real scheduler or queue, about an order whose notify was lost."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"

on_sqlite = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize(
    "new_database", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


@pytest.fixture
def cron(folder: Path, certificate: tuple[str, str]) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Runs the page's crontab for a shop in ``folder`` as cron does: from home, by sh, with next to no environment."""
    page = PAGE.read_text("utf-8").replace("/srv/shop", str(folder))
    (crontab,) = re.findall(r"```crontab\n(.*?)```", page, re.DOTALL)
    variables = dict(re.findall(r"^(\w+)=(.*)$", crontab, re.MULTILINE))
    (command,) = re.findall(r"^\* \* \* \* \* (.*)$", crontab, re.MULTILINE)
    home = folder.parents[1]
    environment = {
        "SHELL": "/bin/sh",
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LOGNAME": "shop",
        **variables,
        "SSL_CERT_FILE": certificate[0],
    }
    return lambda: subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def unreachable(folder: Path, lost_notify: Callable[[], str], make_due: Callable[[], None]) -> None:
    """An order is due, and the gateway is gone."""
    lost_notify()
    make_due()
    config = folder / "payhub.toml"
    config.write_text(re.sub(r"https://127.0.0.1:\d+", "https://127.0.0.1:9", config.read_text()))


@on_sqlite
def test_cron_settles_the_order_and_mails_nothing(
    cron: Callable[[], Any], shop: Any, lost_notify: Callable[[], str], make_due: Callable[[], None]
) -> None:
    """By the handler of the shop's own module; cron mails whatever is written."""
    reference = lost_notify()
    make_due()
    run = cron()
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert shop.delivered == [f"shop/{reference}/paid"]


@on_sqlite
@pytest.mark.usefixtures("unreachable")
def test_cron_mails_a_line_about_what_could_not_be_asked(cron: Callable[[], Any]) -> None:
    """However long, and exit status 1."""
    run = cron()
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1), run.stderr
    assert "could not reach the gateway" in run.stderr


@on_sqlite
@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("task", ["celery_app.reconcile()", "procrastinate_app.reconcile(0)"])
def test_a_queue_hears_of_what_could_not_be_asked(service: Callable[..., Any], task: str) -> None:
    """The task fails."""
    run = service("python", "-c", f"import celery_app, procrastinate_app; {task}")
    assert run.process.wait(60) == 1
    assert "could not reach the gateway" in run.errors.splitlines()[-1]


CELERY = """
import pathlib, time
from celery_app import app
from kombu.transport import filesystem
from kombu.utils.json import dumps

def put(self, queue, payload, **options):
    # As kombu does, but under its name only when whole: a worker that looks at this moment would find it empty.
    message = pathlib.Path("broker", f"{time.monotonic_ns()}_message")
    message.write_text(dumps(payload))
    message.rename(f"{message}.{queue}.msg")

filesystem.Channel._put = put
app.conf.broker_url = "filesystem://"
app.conf.broker_transport_options = {"data_folder_in": "broker", "data_folder_out": "broker", "polling_interval": 0.1}
app.conf.worker_enable_remote_control = False
app.conf.beat_schedule["reconcile"]["schedule"] = 0.5
"""


@on_postgresql
def test_celery_settles_the_order_in_a_forked_worker(
    service: Callable[..., Any],
    folder: Path,
    shop: Any,
    lost_notify: Callable[[], str],
    make_due: Callable[[], None],
) -> None:
    """Once, by a checkout made and used before the fork; only broker and interval are the test's."""
    (folder / "broker").mkdir()
    (folder / "configured.py").write_text(CELERY)
    reference = lost_notify()
    make_due()
    worker = service("celery", "-A", "configured", "worker", "--loglevel=INFO", "--concurrency=2")
    worker.until(lambda: "ready." in worker.errors)
    service("celery", "-A", "configured", "beat")
    worker.until(lambda: worker.errors.count("succeeded") >= 3)
    assert re.search(rf"ForkPoolWorker-\d\] fulfilled shop/{reference}/paid", worker.errors), worker.errors
    assert shop.delivered == [f"shop/{reference}/paid"]


@on_postgresql
def test_procrastinate_settles_the_order(
    service: Callable[..., Any], shop: Any, lost_notify: Callable[[], str], make_due: Callable[[], None]
) -> None:
    """Its jobs live in the ledger's database; the minute that has just begun is made up for at once."""
    reference = lost_notify()
    make_due()
    procrastinate = ("-m", "procrastinate", "--app=procrastinate_app.app")
    assert service("python", *procrastinate, "schema", "--apply").process.wait(60) == 0
    worker = service("python", *procrastinate, "worker", "--fetch-job-polling-interval=0.5")
    worker.until(lambda: "Success" in worker.errors)
    assert shop.delivered == [f"shop/{reference}/paid"]
    assert worker.end() == 0


PASSES = """
from procrastinate_app import app, reconcile

with app.open():
    app.schema_manager.apply_schema()
    reconcile.defer(timestamp=0)
    reconcile.defer(timestamp=60)
"""


@on_postgresql
def test_passes_do_not_pile_up_in_procrastinate(service: Callable[..., Any]) -> None:
    """While one waits for a worker, another is not queued."""
    shop = service("python", "-c", PASSES)
    assert shop.process.wait(60) == 1
    assert "AlreadyEnqueued" in shop.errors
