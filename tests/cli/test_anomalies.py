"""``payhub payments anomalies`` and ``resolve``: what is odd, since when, and who has seen to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update
from tests.cli.conftest import failure, one_checkout

from payhub_core import InvalidOrder
from payhub_core.cli.commands import payhub
from payhub_core.ledger import Ledger
from payhub_core.ledger.tables import payments, transitions

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
def test_the_reason_is_shown_as_it_was_written_whatever_name_is_beside_it(command: Callable[..., Result]) -> None:
    """A person's account may be called payhub, which resolves some by itself."""
    done = command("payments", "resolve", "shop", "A1", "overpaid", "--by", "payhub", "--why", "given back in cash")
    assert "by payhub: given back in cash" in done.output


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
    for words in (["shop", "A1"], ["shop", "--why", "a test"], ["--why", "a test"]):
        assert command("payments", "resolve", *words).exit_code == 2
    with pytest.raises(InvalidOrder, match="who has resolved"):
        ledger.resolve("shop", "A1", by=" ", reason="a test")


@pytest.fixture
def incident(open_checkout: Callable[..., Any], accept: Any, make_order: Callable[..., Any], paid: Any) -> list[str]:
    """Five orders that were underpaid, one of them two days ago, and one that was overpaid."""
    checkout = open_checkout(accept)
    references = [f"A{number}" for number in range(1, 7)]
    for reference in references:
        checkout.start("shop", make_order(reference=reference))
        checkout.receive("shop", paid.notify(reference, actual_amount="10001" if reference == "A6" else "1"))
    old = select(payments.c.id).where(payments.c.reference == "A1").scalar_subquery()
    at = update(transitions).where(transitions.c.payment_id == old)
    checkout.ledger.write(lambda c: c.execute(at.values(at=datetime.now(UTC) - timedelta(days=2))))
    return references


def test_all_of_one_kind_and_time_are_resolved_once_they_were_shown(
    command: Callable[..., Result], ledger: Ledger, incident: list[str], config: Any
) -> None:
    """After a yes to the list and its count; those of before, and those of another kind, stay open."""
    words = ["payments", "resolve", "--kind", "underpaid", "--since", "1d", "--by", "Li", "--why", "the fee"]
    asked = CliRunner().invoke(payhub, words, input="n\n")
    assert asked.exit_code == 1
    assert all(reference in asked.stdout for reference in ("A2", "A3", "A4", "A5"))
    assert "A1 " not in asked.stdout
    assert "Anomalies: 4. Note for each that Li has seen to it: the fee [y/N]: n" in asked.stdout
    assert asked.stderr == "Nothing was noted.\n"
    assert len(listed(command)) == 6
    done = CliRunner().invoke(payhub, words, input="y\n")
    assert (done.exit_code, done.stdout.count("by Li: the fee")) == (0, 4)
    assert {(it.reference, it.anomaly.name) for it in ledger.anomalies()} == {("A1", "underpaid"), ("A6", "overpaid")}
    nothing = command(*words, "--yes")
    assert (nothing.exit_code, nothing.stderr) == (1, "There are no such anomalies.\n")


def test_nobody_is_asked_where_yes_is_said(command: Callable[..., Result], incident: list[str]) -> None:
    """As a script does, which reads JSON; what was found out by then is an end as well."""
    words = ["payments", "resolve", "--kind", "underpaid", "--account", "shop", "--until", "1d", "--why", "x", "--json"]
    assert command(*words).exit_code == 2
    told = json.loads(command(*words, "--yes").stdout)
    assert (told["resolved"], [it["reference"] for it in told["anomalies"]]) == (1, ["A1"])
    assert listed(command, "--until", "1d") == []
    assert len(listed(command)) == 5


@pytest.mark.parametrize(
    "words", [["shop", "A1", "--kind", "overpaid"], ["shop", "--kind", "overpaid"], ["shop", "A1", "--since", "1d"]]
)
def test_an_order_or_a_kind_is_named_and_not_both(command: Callable[..., Result], words: list[str], odd: None) -> None:
    """So that nobody resolves more than was meant."""
    assert command("payments", "resolve", *words, "--why", "a test").exit_code == 2
    assert len(listed(command)) == 4
