"""``payhub outbox``: what waits, and handing it out; ``payments refresh``; ``python -m payhub_core``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text
from tests.cli.conftest import failure, one_checkout

from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger

SHOP = """
print("a shop's own words, as its module is imported")

def fulfil(transition):
    print("and as its handler is called")
    with open("told", "a") as file:
        file.write(transition.id + "\\n")

def fail(transition):
    raise KeyError(transition.id)

def ship(transition, connection):
    raise AssertionError

async def wait(transition):
    raise AssertionError
"""


@pytest.fixture
def shop_module(config: Path) -> Path:
    """The shop's own module, in the folder of the commands; returns the folder."""
    (config.parent / "outbox_shop.py").write_text(SHOP)
    sys.modules.pop("outbox_shop", None)
    return config.parent


@one_checkout
@pytest.mark.usefixtures("stored")
def test_what_waits_is_listed_and_handed_out(command: Callable[..., Result], ledger: Ledger, shop_module: Path) -> None:
    """Status 1 while anything waits; each is taken once."""
    listed = command("outbox", "list", "--json")
    assert listed.exit_code == 1
    assert [it["id"] for it in json.loads(listed.output)["waiting"]] == ["shop/A1001/paid", "shop/A1001/overpaid"]
    assert "There are more" in command("outbox", "list", "--limit", "1").stderr
    done = command("outbox", "deliver", "--handler", "outbox_shop:fulfil", "--json")
    assert "own words" in done.stderr
    assert "and as its handler" in done.stderr
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"delivered": 2, "failed": 0, "waiting": False})
    assert (shop_module / "told").read_text().split() == ["shop/A1001/paid", "shop/A1001/overpaid"]
    nothing = command("outbox", "list")
    assert (nothing.exit_code, nothing.stderr) == (0, "Nothing waits.\n")


@one_checkout
@pytest.mark.usefixtures("stored")
def test_what_a_handler_does_not_take_waits_on(
    command: Callable[..., Result], ledger: Ledger, shop_module: Path
) -> None:
    """Status 1, and the history says why; the next of its payment is not tried. An async handler is refused."""
    done = command("outbox", "deliver", "--handler", "outbox_shop:fail")
    assert done.exit_code == 1
    assert "delivered 0, failed 1" in done.output
    assert "KeyError" in command("payments", "show", "shop", "A1001").output
    refused = command("outbox", "deliver", "--handler", "outbox_shop:wait", "--now")
    assert refused.exit_code == 1
    assert "write it as a plain function" in refused.output
    assert len(ledger.outbox()) == 2


@one_checkout
@pytest.mark.usefixtures("stored", "shop_module")
def test_status_0_means_that_nothing_is_left_to_see_to(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a limit leaves is; what came as the command ended is not: the next run hands it out."""
    cut = command("outbox", "deliver", "--handler", "outbox_shop:fulfil", "--limit", "1", "--json")
    assert (cut.exit_code, json.loads(cut.stdout)["waiting"]) == (1, True)
    monkeypatch.setattr(Checkout, "deliver", lambda *_, **__: 0)
    late = command("outbox", "deliver", "--handler", "outbox_shop:fulfil", "--json")
    assert (late.exit_code, json.loads(late.stdout)["waiting"], late.stderr) == (0, False, "")


@one_checkout
@pytest.mark.usefixtures("stored")
def test_a_mended_handler_need_not_wait_for_its_pause(
    command: Callable[..., Result], ledger: Ledger, shop_module: Path
) -> None:
    """What failed is due later; --now hands it out at once, the oldest first."""
    command("outbox", "deliver", "--handler", "outbox_shop:fail")
    listed = command("outbox", "list", "--json")
    first, _ = json.loads(listed.output)["waiting"]
    pause = datetime.fromisoformat(first["due_at"]) - datetime.now(UTC)
    assert (first["attempts"], timedelta(0) < pause <= timedelta(minutes=1)) == (1, True)
    assert re.search(r" paid +1 +in \d+ s\n", command("outbox", "list").output)
    paused = command("outbox", "deliver", "--handler", "outbox_shop:fulfil")
    assert ("delivered 0, failed 0" in paused.output, "--now" in paused.stderr) == (True, True)
    assert paused.exit_code == 1
    assert "delivered 2, failed 0" in command("outbox", "deliver", "--handler", "outbox_shop:fulfil", "--now").output
    assert (shop_module / "told").read_text().split() == ["shop/A1001/paid", "shop/A1001/overpaid"]


@one_checkout
def test_an_order_shows_who_had_its_transitions(
    command: Callable[..., Result],
    open_checkout: Callable[..., Any],
    shop_module: Path,
    ledger: Ledger,
    accept: Any,
    make_order: Any,
    paid: Any,
) -> None:
    """The handler as it was recorded, or from the outbox; or nobody yet, and how often it was tried."""
    without, own = open_checkout(accept), open_checkout(accept, handler=lambda transition, connection: None)
    for checkout, reference in ((own, "A1"), (without, "A2"), (without, "A3")):
        checkout.start("shop", make_order(reference=reference))
        checkout.receive("shop", paid.notify(reference))
    assert "had it when it was recorded" in command("payments", "show", "shop", "A1").output
    cut = command("outbox", "deliver", "--handler", "outbox_shop:fulfil", "--limit", "1")
    assert (cut.exit_code, "than --limit takes: run it again" in cut.stderr) == (1, True)
    failed = command("outbox", "deliver", "--handler", "outbox_shop:fail", "--limit", "1")
    assert (failed.exit_code, "are due later" in failed.stderr) == (1, True)  # at its limit, too
    assert re.search(r"paid +had it from the outbox at 2\d+-", command("payments", "show", "shop", "A2").output)
    assert re.search(r"paid +waits in the outbox, tried once", command("payments", "show", "shop", "A3").output)
    shown = [json.loads(command("payments", "show", "shop", it, "--json").output) for it in ("A1", "A2", "A3")]
    ((at_once,), (later,), (waits,)) = (it["transitions"] for it in shown)
    assert (at_once["attempts"], at_once["delivered_at"] is None) == (0, False)
    assert (later["attempts"], later["delivered_at"] is None) == (1, False)
    assert (waits["attempts"], waits["delivered_at"]) == (1, None)


APPLICATION = """
from payhub_core import Hub
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger
from sqlalchemy import text

failing = []

def ship(transition, connection):
    print("a shop's own words")
    connection.execute(text("INSERT INTO shipped VALUES (:id)"), {{"id": transition.id}})
    if failing:
        raise KeyError(transition.id)

ledger = Ledger({url!r})
checkout = Checkout(Hub({{}}), ledger, handler=ship)
without = Checkout(Hub({{}}), ledger)
"""


@one_checkout
@pytest.mark.usefixtures("stored")
def test_a_checkouts_own_handler_has_what_waits_with_its_connection(
    command: Callable[..., Result], ledger: Ledger, config: Path, url: str
) -> None:
    """Each in one transaction with the shop's own rows: what fails leaves none, and is tried again."""
    ledger.write(lambda c: c.execute(text("CREATE TABLE shipped (id VARCHAR(99) PRIMARY KEY)")))
    (config.parent / "outbox_application.py").write_text(APPLICATION.format(url=url))
    sys.modules.pop("outbox_application", None)
    own = ("outbox", "deliver", "--checkout", "outbox_application:checkout")

    def shipped() -> list[str]:
        return list(ledger.read(lambda c: c.execute(text("SELECT id FROM shipped ORDER BY id")).scalars()))

    try:
        assert "has no handler" in failure(command("outbox", "deliver", "--checkout", "outbox_application:without"))
        application: Any = sys.modules["outbox_application"]
        application.failing.append(True)
        done = command(*own)
        assert (done.exit_code, "delivered 0, failed 1" in done.output, shipped()) == (1, True, [])
        assert "KeyError" in command("payments", "show", "shop", "A1001").output
        application.failing.clear()
        done = command(*own, "--now", "--json")
        assert "own words" in done.stderr
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"delivered": 2, "failed": 0, "waiting": False})
        assert shipped() == ["shop/A1001/overpaid", "shop/A1001/paid"]
        assert "leave the others out" in failure(command(*own, "--handler", "outbox_application:ship"))
    finally:
        ledger.write(lambda c: c.execute(text("DROP TABLE shipped")))


def test_a_handler_is_needed(command: Callable[..., Result], ledger: Ledger) -> None:
    """A usage error without, one line for a name that leads nowhere."""
    assert command("outbox", "deliver").exit_code == 2
    assert "cannot be imported" in failure(command("outbox", "deliver", "--handler", "nowhere:fulfil"))


@one_checkout
@pytest.mark.usefixtures("stored", "shop_module")
def test_a_handler_that_wants_a_connection_puts_nothing_off(command: Callable[..., Result]) -> None:
    """It is refused before it is called, and so what waits stays due."""
    sys.modules.pop("outbox_shop", None)
    command("outbox", "deliver", "--handler", "outbox_shop:nothing")  # imports it, and so prints what it prints
    refused = failure(command("outbox", "deliver", "--handler", "outbox_shop:ship"))
    expected = "expected a function of the transition alone, not 'outbox_shop:ship' with (transition, connection)"
    assert expected in refused
    assert "delivered 2" in command("outbox", "deliver", "--handler", "outbox_shop:fulfil").output


@one_checkout
@pytest.mark.usefixtures("stored")
def test_an_order_that_cannot_be_asked_about_is_an_error(
    command: Callable[..., Result], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway is not there; no order of that number; two ways to say which checkout."""
    config.write_text(config.read_text().replace("gateway.example", "127.0.0.1:9"))
    assert "order A1001" in failure(command("payments", "refresh", "shop", "A1001"))
    assert "no such order was started here" in failure(command("payments", "refresh", "shop", "A9999"))
    both = ["--checkout", "shop:checkout", "--config", "payhub.toml"]
    assert "leave the others out" in failure(command("payments", "refresh", "shop", "A1001", *both))
    assert "expected a Checkout or an AsyncCheckout" in failure(
        command("payments", "refresh", "shop", "A1001", "--checkout", "sys:path")
    )


@pytest.mark.parametrize(("scheme", "said"), [("http", True), ("https", False)])
def test_over_plain_http_a_pass_says_that_nothing_can_settle_by_it(
    command: Callable[..., Result], ledger: Ledger, config: Path, scheme: str, said: bool
) -> None:
    """Of the accounts that it is about."""
    config.write_text(config.read_text().replace("https://gateway.example", f"{scheme}://127.0.0.1:9"))
    assert ("what it answers proves nothing" in command("reconcile").stderr) == said
    assert ("what it answers proves nothing" in command("reconcile", "--account", "shop").stderr) == said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_the_commands(shell: str) -> None:
    """The script comes from the command itself."""
    program = [sys.executable, "-c", "import sys; sys.argv[0] = 'payhub'; from payhub_core.cli import main; main()"]
    environment = {**os.environ, "_PAYHUB_COMPLETE": f"{shell}_source"}
    run = subprocess.run(program, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert "_PAYHUB_COMPLETE" in run.stdout, run.stderr


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    """Where the script is not on the path."""
    run: Any = subprocess.run(
        [sys.executable, "-m", "payhub_core", "--version"], check=False, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0
    assert run.stdout.startswith("payhub, version ")
