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
