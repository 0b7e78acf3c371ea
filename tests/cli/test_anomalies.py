"""``payhub payments anomalies`` and ``resolve``: what is odd, since when, and who has seen to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import update
from tests.cli.conftest import failure, one_checkout

from payhub_core import InvalidOrder
from payhub_core.ledger import Ledger
from payhub_core.ledger.tables import transitions

pytestmark = one_checkout


@pytest.fixture
def odd(open_checkout: Callable[..., Any], accept: Any, make_order: Callable[..., Any], paid: Any) -> None:
    """One order that was overpaid and paid three times, and one that was underpaid."""
    checkout = open_checkout(accept)
    for reference in ("A1", "A2"):
        checkout.start("shop", make_order(reference=reference))
    for number in ("P1", "P2", "P3"):
        checkout.receive("shop", paid.notify("A1", platform_order_no=number, actual_amount="10001"))
    checkout.receive("shop", paid.notify("A2", actual_amount="1"))


def listed(command: Callable[..., Result], *words: str) -> list[str]:
    """The names of the anomalies that a command lists."""
    return [it["name"] for it in json.loads(command("payments", "anomalies", "--json", *words).output)["anomalies"]]


@pytest.mark.usefixtures("odd")
def test_anomalies_are_listed_with_time_kind_and_sums(command: Callable[..., Result]) -> None:
    """The last first; status 1, so that cron is heard."""
    result = command("payments", "anomalies", "--json")
    assert result.exit_code == 1
    (last, *_), cut = json.loads(result.output)["anomalies"], json.loads(result.output)["cut"]
    assert (last["account"], last["reference"], last["name"], cut) == ("shop", "A2", "underpaid", False)
    assert (last["received"]["minor"], last["due"]["minor"]) == (1, 10_000)
    assert datetime.now(UTC) - datetime.fromisoformat(last["at"]) < timedelta(minutes=1)
    assert listed(command) == ["underpaid", "paid_again:3", "paid_again:2", "overpaid"]
    table = command("payments", "anomalies").output
    for word in ("0.01 / 100.00 CNY", "paid_again:3", "P1, P2, P3", "UTC"):
        assert word in table


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--kind", "paid_again"], ["paid_again:3", "paid_again:2"]),
        (["--kind", "paid_after_failed"], []),
        (["--since", "1h"], ["underpaid", "paid_again:3", "paid_again:2"]),
        (["--account", "shop", "--limit", "1"], ["underpaid"]),
    ],
)
def test_anomalies_are_listed_by_kind_and_time(
    command: Callable[..., Result], ledger: Ledger, words: list[str], found: list[str]
) -> None:
    """One of them is two days old."""
    old = update(transitions).where(transitions.c.name == "overpaid")
    ledger.write(lambda c: c.execute(old.values(at=datetime.now(UTC) - timedelta(days=2))))
    assert listed(command, *words) == found
    assert command("payments", "anomalies", *words).exit_code == (1 if found else 0)
    assert ("There are more" in command("payments", "anomalies", *words).stderr) == ("--limit" in words)


@pytest.mark.usefixtures("odd")
def test_an_anomaly_is_resolved_by_whom_and_why(command: Callable[..., Result], ledger: Ledger) -> None:
    """It leaves the list, and stays with the payment."""
    done = command("payments", "resolve", "shop", "A1", "paid_again:2", "--by", "Li", "--why", "refunded by hand")
    assert done.exit_code == 0
    assert "by Li: refunded by hand" in done.output
    assert listed(command) == ["underpaid", "paid_again:3", "overpaid"]
    assert listed(command, "--all") == ["underpaid", "paid_again:3", "paid_again:2", "overpaid"]
    assert "by Li: refunded by hand" in command("payments", "show", "shop", "A1").output
    (shown,) = [it for it in ledger.anomalies_of("shop", "A1") if it.resolved_at]
    assert (shown.anomaly.name, shown.resolved_by, shown.resolution) == ("paid_again:2", "Li", "refunded by hand")


@pytest.mark.usefixtures("odd")
def test_without_a_name_all_that_are_open_are_resolved(command: Callable[..., Result]) -> None:
    """Those of that order alone; once nothing is open the status is 0."""
    assert json.loads(command("payments", "resolve", "shop", "A1", "--why", "a test", "--json").output)["resolved"] == 3
    assert listed(command) == ["underpaid"]
    command("payments", "resolve", "shop", "A2", "--why", "a test")
    nothing = command("payments", "anomalies")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "There are no such anomalies.\n")


@pytest.mark.usefixtures("odd")
def test_what_is_not_open_cannot_be_resolved(command: Callable[..., Result], ledger: Ledger) -> None:
    """A slip in its name, an order that is sound, one that was resolved before; and a reason is needed."""
    slip = failure(command("payments", "resolve", "shop", "A1", "paid_again", "--why", "a test"))
    assert "no open anomaly 'paid_again' of this order. Hint: open are: overpaid, paid_again:2, paid_again:3" in slip
    command("payments", "resolve", "shop", "A2", "--why", "a test")
    assert "no open anomaly" in failure(command("payments", "resolve", "shop", "A2", "--why", "again"))
    assert command("payments", "resolve", "shop", "A1").exit_code == 2
    with pytest.raises(InvalidOrder, match="who has resolved"):
        ledger.resolve("shop", "A1", by=" ", reason="a test")
