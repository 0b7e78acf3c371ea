"""The outbox: for a handler that cannot share the transaction, at least once and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from payhub_core import ConfigError, Order
from payhub_core.checkout import AsyncCheckout
from payhub_core.ledger import Ledger, Transition, changes, outbox


@pytest.fixture
def till(open_checkout: Callable[..., Any], accept: Any, make_order: Callable[..., Order], paid: Any) -> Any:
    """A checkout without a handler, with three orders paid."""
    checkout = open_checkout(accept)
    for reference in ("A1", "A2", "A3"):
        checkout.start("shop", make_order(reference=reference))
        checkout.receive("shop", paid.notify(reference))
    return checkout


@pytest.fixture
def pass_time(ledger: Ledger) -> Callable[[], None]:
    """Lets every transition come to its turn, those tried before after the others."""
    return lambda: ledger.write(
        lambda c: c.execute(text("UPDATE payhub_transitions SET due_at = at WHERE delivered_at IS NULL"))
    )


def test_transitions_wait_and_are_delivered_once(till: Any, ledger: Ledger) -> None:
    """With their payment, oldest first."""
    waiting = ledger.outbox()
    assert [transition.id for transition in waiting] == ["shop/A1/paid", "shop/A2/paid", "shop/A3/paid"]
    told: list[Transition] = []
    assert till.deliver(told.append, limit=2) == 2
    assert till.deliver(told.append) == 1
    assert till.deliver(told.append) == 0
    assert told == waiting
    assert ledger.outbox() == []


def test_the_checkouts_own_handler_has_them_in_a_transaction_that_notes_it(
    open_checkout: Callable[..., Any], till: Any, ledger: Ledger, pass_time: Callable[[], None], caplog: Any
) -> None:
    """What it wrote is gone where it fails, and it comes again; a checkout without one says what to give."""
    told: list[str] = []
    noted = text("UPDATE payhub_payments SET attempts = 77 WHERE reference = 'A2'")

    def handler(transition: Transition, connection: Connection) -> None:
        told.append(transition.reference)
        if told.count("A2") == 1 and transition.reference == "A2":
            connection.execute(noted)
            raise KeyError(transition.reference)

    with pytest.raises(ConfigError, match=r"has no handler\. Hint: give deliver a function of the transition alone"):
        till.deliver()
    own = open_checkout(handler=handler)
    assert own.deliver() == 2
    assert "transition shop/A2/paid was not delivered: KeyError" in caplog.text
    assert [waiting.reference for waiting in ledger.outbox()] == ["A2"]
    assert ledger.read(lambda c: c.execute(text("SELECT max(attempts) FROM payhub_payments")).scalar()) < 77
    assert own.deliver() == 0
    pass_time()
    assert own.deliver() == 1
    assert (told, ledger.outbox()) == (["A1", "A2", "A3", "A2"], [])


def test_what_another_process_has_delivered_meanwhile_is_not_handed_out_again(
    open_checkout: Callable[..., Any], till: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow handler whose turn has come again: the row says that it has been had."""
    told: list[str] = []

    def handler(transition: Transition, _connection: Connection) -> None:
        told.append(transition.reference)

    own = open_checkout(handler=handler)
    real = outbox.read

    def quicker(connection: Connection, number: int) -> Transition:
        transition = real(connection, number)
        connection.execute(text("UPDATE payhub_transitions SET delivered_at = at"))
        return transition

    monkeypatch.setattr(outbox, "read", quicker)
    assert (own.deliver(), told) == (0, [])


def test_an_anomaly_is_delivered_with_its_sums(till: Any, paid: Any) -> None:
    """After the status that came with it."""
    till.receive("shop", paid.notify("A1", actual_amount="10001"))
    told: list[Transition] = []
    till.deliver(told.append)
    anomaly = told[-1].anomaly
    assert anomaly is not None
    assert (told[-1].id, anomaly.received.minor, anomaly.due.minor) == ("shop/A1/overpaid", 10_001, 10_000)


def test_one_that_fails_comes_again_with_the_same_id_and_the_others_go_on(
    till: Any, ledger: Ledger, pass_time: Callable[[], None]
) -> None:
    """At least once: the id is the idempotency key."""
    tried: list[str] = []

    def fail_first(transition: Transition) -> None:
        tried.append(transition.id)
        if len(tried) == 1:
            raise RuntimeError("the queue is down")

    assert till.deliver(fail_first) == 2
    assert [transition.id for transition in ledger.outbox()] == ["shop/A1/paid"]
    assert till.deliver(fail_first) == 0
    pass_time()
    assert till.deliver(fail_first) == 1
    assert tried == ["shop/A1/paid", "shop/A2/paid", "shop/A3/paid", "shop/A1/paid"]


def test_what_became_of_an_order_is_handed_out_in_that_sequence(
    till: Any, ledger: Ledger, paid: Any, pass_time: Callable[[], None]
) -> None:
    """What came later waits behind what is being handed out, or was not taken: no refund gets ahead of its payment."""
    till.receive("shop", paid.notify("A1", actual_amount="10001"))
    tried: list[str] = []

    def fail_first(transition: Transition) -> None:
        tried.append(transition.id)
        if len(tried) == 1:
            while (number := ledger.write(outbox.claim)) is not None:  # another process
                tried.append(ledger.read(partial(outbox.read, number=number)).id)
            raise RuntimeError("the queue is down")

    assert till.deliver(fail_first) == 0
    assert tried == ["shop/A1/paid", "shop/A2/paid", "shop/A3/paid"]
    pass_time()
    assert till.deliver(fail_first) == 4
    assert tried.index("shop/A1/paid", 3) < tried.index("shop/A1/overpaid")
    assert ledger.outbox() == []


def test_a_checkouts_own_handler_is_not_told_before_what_waits(
    till: Any, open_checkout: Callable[..., Any], ledger: Ledger, paid: Any
) -> None:
    """What is heard of a payment while an earlier transition of it waits comes behind that one."""
    told: list[str] = []
    own = open_checkout(handler=lambda transition, _: told.append(transition.id))
    own.receive("shop", paid.notify("A1", actual_amount="10001"))
    assert told == []
    assert own.deliver() == 4
    assert told.index("shop/A1/paid") < told.index("shop/A1/overpaid")
    own.receive("shop", paid.notify("A2", actual_amount="10001"))
    assert told[4:] == ["shop/A2/overpaid"]
    assert ledger.outbox() == []


def test_what_a_clock_that_is_ahead_has_written_is_handed_out_at_once(
    till: Any, ledger: Ledger, make_order: Callable[..., Order], paid: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that fails the pauses are those of the database's clock; a person need not wait for them."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=400)

    with monkeypatch.context() as patched:
        patched.setattr(changes, "datetime", Ahead)
        till.start("shop", make_order(reference="A4"))
        till.receive("shop", paid.notify("A4"))
    told: list[str] = []

    def fail_first(transition: Transition) -> None:
        told.append(transition.reference)
        if told == ["A1", "A2", "A3", "A4"]:
            raise RuntimeError("the queue is down")

    assert till.deliver(fail_first) == 3
    assert till.deliver(fail_first) == 0
    ledger.write(outbox.make_due)
    assert till.deliver(fail_first) == 1
    assert (told, ledger.outbox()) == (["A1", "A2", "A3", "A4", "A4"], [])


def test_a_pause_that_a_wrong_clock_has_written_ends(till: Any, ledger: Ledger) -> None:
    """No pause is longer than a day."""
    longer = {"until": (datetime.now(UTC) + timedelta(days=2)).isoformat()}
    ledger.write(lambda c: c.execute(text("UPDATE payhub_transitions SET attempts = 3, due_at = :until"), longer))
    assert till.deliver(lambda _: None) == 3


def test_those_that_always_fail_keep_nobody_waiting(till: Any, ledger: Ledger) -> None:
    """However small the limit: whoever has failed comes after those who have not been tried."""
    told: list[str] = []

    def poisoned(transition: Transition) -> None:
        told.append(transition.reference)
        if transition.reference != "A3":
            raise RuntimeError("no")

    for _ in range(3):
        till.deliver(poisoned, limit=1)
    assert told == ["A1", "A2", "A3"]
    waits = ledger.read(
        lambda c: c.execute(text("SELECT attempts FROM payhub_transitions ORDER BY id")).scalars().all()
    )
    assert waits == [1, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE payhub_transitions SET anomaly = 'not json' WHERE id = (SELECT min(id) FROM payhub_transitions)",
        "UPDATE payhub_transitions SET name = 'settled' WHERE id = (SELECT min(id) FROM payhub_transitions)",
        "UPDATE payhub_payments SET order_json = 'not json' WHERE reference = 'A1'",
    ],
)
def test_one_that_payhub_did_not_write_keeps_nobody_waiting(till: Any, ledger: Ledger, change: str) -> None:
    """It is logged, and stays."""
    ledger.write(lambda c: c.execute(text(change)))
    told: list[str] = []
    assert till.deliver(lambda transition: told.append(transition.reference)) == 2
    assert told == ["A2", "A3"]
    waiting = "SELECT count(*) FROM payhub_transitions WHERE delivered_at IS NULL"
    assert ledger.read(lambda c: c.execute(text(waiting)).scalar()) == 1


def test_the_number_of_a_deleted_payment_is_nobody_elses(
    till: Any, make_order: Callable[..., Order], paid: Any, ledger: Ledger
) -> None:
    """What was left of it, over a connection that checks no foreign keys, would be another order's; and SQLite counts
    from the last row that there is.
    """

    def number(reference: str) -> int:
        find = text("SELECT id FROM payhub_payments WHERE reference = :reference")
        return ledger.read(lambda c: c.execute(find, {"reference": reference}).scalar_one())

    last = number("A3")
    ledger.write(lambda c: c.execute(text("DELETE FROM payhub_payments WHERE reference = 'A3'")))
    till.start("shop", make_order(reference="A4"))
    assert number("A4") > last


def test_an_order_that_its_handler_deletes_takes_no_others_transition_along(
    till: Any, make_order: Callable[..., Order], paid: Any, ledger: Ledger
) -> None:
    """SQLite gives the number of its transition to the next one."""
    if isinstance(till.checkout, AsyncCheckout):
        pytest.skip("the handler calls this checkout, which it could not await")
    assert till.deliver(lambda _: None) == 3
    till.start("shop", make_order(reference="A4"))
    till.receive("shop", paid.notify("A4"))
    told: list[str] = []

    def handler(transition: Transition) -> None:
        told.append(transition.reference)
        if transition.reference == "A4":
            ledger.write(lambda c: c.execute(text("DELETE FROM payhub_payments WHERE reference = 'A4'")))
            till.start("shop", make_order(reference="A5"))
            till.receive("shop", paid.notify("A5"))

    assert till.deliver(handler, limit=1) == 1
    assert [transition.reference for transition in ledger.outbox()] == ["A5"]
    assert till.deliver(handler) == 1
    assert told == ["A4", "A5"]
