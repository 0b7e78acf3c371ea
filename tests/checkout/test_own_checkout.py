"""``payhub reconcile --checkout``: the application's own checkout, of either colour, and what a pass says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

on_sqlite = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)

ASYNC_SHOP = """
from payhub_core import AsyncHub, load_accounts, load_config
from payhub_core.checkout import AsyncCheckout
from payhub_core.ledger import Ledger
from sqlalchemy import text

config = load_config("payhub.toml")

async def fulfil(transition, connection):
    await connection.execute(text("INSERT INTO deliveries VALUES (:id)"), {"id": transition.id})

checkout = AsyncCheckout(AsyncHub(load_accounts(config)), Ledger(config.ledger), handler=fulfil)
"""


@pytest.mark.parametrize(
    ("module", "new_database"),
    [pytest.param("shop", "postgresql", marks=pytest.mark.postgresql), ("async_shop", "sqlite")],
    indirect=["new_database"],
)
def test_the_applications_own_checkout_leaves_nothing_in_the_outbox(
    service: Callable[..., Any],
    shop: Any,
    folder: Path,
    lost_notify: Callable[[], str],
    make_due: Callable[[], None],
    module: str,
) -> None:
    """Its handler runs, whether it is awaited or not; a line of JSON says what the pass came to."""
    (folder / "async_shop.py").write_text(ASYNC_SHOP)
    reference = lost_notify()
    make_due()
    run = service("payhub", "reconcile", f"--checkout={module}:checkout", "--json")
    assert run.process.wait(60) == 0
    # What a handler prints is no JSON.
    assert run.errors == {"shop": f"fulfilled shop/{reference}/paid\n", "async_shop": ""}[module]
    line = json.loads(run.output)
    assert datetime.now(UTC) - datetime.fromisoformat(line.pop("at")) < timedelta(minutes=5)
    nothing = {"unanswered": 0, "errors": {}, "due": 0, "handler_failed": 0, "waiting": False}
    assert line == {"asked": 1, "changed": 1, "paid": 1, **nothing}
    assert shop.delivered == [f"shop/{reference}/paid"]


@on_sqlite
def test_a_pass_says_what_is_still_due_and_asks_one_account_where_it_is_told_to(
    service: Callable[..., Any], shop: Any, lost_notify: Callable[[], str], make_due: Callable[[], None]
) -> None:
    """More than the limit is due."""
    for _ in range(3):
        lost_notify()
    make_due()
    run = service("payhub", "reconcile", "--limit=2", "--rate=1000", "--account=shop", "--handler=shop:fulfil")
    assert (run.process.wait(60), run.errors) == (0, "")
    assert run.output.endswith("asked 2, changed 2, paid 2, unanswered 0, still due 1\n")


@on_sqlite
@pytest.mark.parametrize("module", ["shop", "async_shop"])
def test_what_a_refresh_left_waiting_goes_to_the_checkouts_own_handler(
    service: Callable[..., Any], shop: Any, folder: Path, lost_notify: Callable[[], str], module: str
) -> None:
    """Once, whether it is awaited or not."""
    (folder / "async_shop.py").write_text(ASYNC_SHOP)
    reference = lost_notify()
    run = service("payhub", "payments", "refresh", "shop", reference)
    assert (run.process.wait(60), shop.delivered) == (0, [])
    assert "see: payhub outbox list" in run.errors
    for delivered in (1, 0):
        run = service("payhub", "outbox", "deliver", f"--checkout={module}:checkout")
        assert (run.process.wait(60), run.errors) == (0, "")
        assert run.output.endswith(f"delivered {delivered}, failed 0\n")
        assert shop.delivered == [f"shop/{reference}/paid"]


@on_sqlite
def test_an_order_is_refreshed_by_hand(service: Callable[..., Any], shop: Any, lost_notify: Callable[[], str]) -> None:
    """Due or not, with the shop's handler; once more there is nothing new."""
    reference = lost_notify()
    run = service("payhub", "payments", "refresh", "shop", reference, "--checkout=shop:checkout")
    assert (run.process.wait(60), run.errors) == (0, "")
    assert run.output.splitlines()[-1] == f"shop {reference}: pending, now paid"
    again = service("payhub", "payments", "refresh", "shop", reference, "--checkout=shop:checkout", "--json")
    assert again.process.wait(60) == 0
    told = json.loads(again.output)
    assert (told["before"], told["status"], told["claimed_status"]) == ("paid", "paid", "paid")
    assert shop.delivered == [f"shop/{reference}/paid"]
