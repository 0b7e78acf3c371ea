"""What fails is seen: a handler, an answer that cannot be read, in the history of the payment and in the log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text

from payhub_core import ConfigError, GatewayError, Order
from payhub_core.ledger import Ledger, Observation, Transition


def out_of_stock(*_arguments: object) -> None:
    """A handler's error that quotes what nobody should keep."""
    raise RuntimeError("the key is c1277-throw-away")


def failures(ledger: Ledger, source: str = "handler") -> list[tuple[str, int]]:
    """What is noted, and how often."""
    history = ledger.history("shop", "A1001")
    noted = [item for item in history if item.source == source and "times" in item.raw]
    return [(item.said, item.raw["times"]) for item in noted]


@pytest.fixture
def till(open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Order, shop: Any) -> Any:
    """A checkout with the order started, whose handler fails."""
    shop.fails = out_of_stock
    checkout = open_checkout(gateway(platform.create_reply(), platform.query_reply()), handler=shop.handle)
    checkout.start("shop", order)
    return checkout


def test_a_handler_that_fails_is_in_the_history_once_and_counted(
    till: Any, ledger: Ledger, shop: Any, paid: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """By its error's type, without its words; another error is another entry, and nothing else has happened."""
    for _ in range(3):
        assert till.receive("shop", paid.notify()).status_code == 503
    assert failures(ledger) == [("RuntimeError", 3)]
    shop.fails = lambda *_: json.loads("{")
    till.receive("shop", paid.notify())
    assert failures(ledger) == [("RuntimeError", 3), ("JSONDecodeError", 1)]
    history: list[Observation] = ledger.history("shop", "A1001")
    assert [item.source for item in history] == ["create", "handler", "handler"]
    assert "c1277" not in json.dumps([item.raw for item in history])
    line = "[account shop, order A1001] the handler failed, the gateway is to resend: RuntimeError: "
    assert all(record.getMessage().startswith(line) for record in caplog.records[:3])
    shop.fails = None
    assert till.receive("shop", paid.notify()).status_code == 200
    assert shop.delivered == ["shop/A1001/paid"]


def test_a_failure_is_noted_beside_what_was_taken_out_of_the_history(till: Any, ledger: Ledger, paid: Any) -> None:
    """A shop may empty what its payers typed; the next failure of the kind is counted on."""
    assert till.receive("shop", paid.notify()).status_code == 503
    ledger.write(lambda c: c.execute(text("UPDATE payhub_observations SET raw = '{}'")))
    assert till.receive("shop", paid.notify()).status_code == 503
    assert failures(ledger) == [("RuntimeError", 2)]


def test_a_handler_that_fails_where_it_was_asked_is_noted_too(till: Any, ledger: Ledger) -> None:
    """By refresh and by reconciliation alike."""
    for _ in range(2):
        with pytest.raises(RuntimeError):
            till.refresh("shop", "A1001")
    assert failures(ledger) == [("RuntimeError", 2)]


def test_a_handler_of_the_outbox_that_fails_is_noted_too(
    open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Order, paid: Any, ledger: Ledger
) -> None:
    """Its turn comes again later and later: the history says how often it had one."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    checkout.receive("shop", paid.notify())
    for _ in range(2):
        ledger.write(lambda c: c.execute(text("UPDATE payhub_transitions SET due_at = at")))
        assert checkout.deliver(out_of_stock) == 0
    assert failures(ledger) == [("RuntimeError", 2)]


def test_where_the_failure_cannot_be_noted_the_gateway_is_answered_all_the_same(
    till: Any, ledger: Ledger, paid: Any
) -> None:
    """It is to send the message again."""
    ledger.write(lambda c: c.execute(text("ALTER TABLE payhub_observations RENAME TO hidden")))
    assert till.receive("shop", paid.notify()).status_code == 503


def test_an_answer_that_cannot_be_read_is_in_the_history(
    open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Order, ledger: Ledger
) -> None:
    """With payhub's own words for it, and how often."""
    checkout = open_checkout(gateway(platform.create_reply(), platform.query_reply(pay_status=[])))
    checkout.start("shop", order)
    for _ in range(2):
        with suppress(GatewayError):
            checkout.refresh("shop", "A1001")
    assert failures(ledger, "query") == [("GatewayError", 2)]
    assert "pay_status" in ledger.history("shop", "A1001")[-1].raw["reason"]


SHOP = """
import logging
from payhub_core import Hub, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger
from payhub_dummy import notify
from payhub_core import Money, Order

CONFIGURED
ledger = Ledger("sqlite:///shop.db")
ledger.upgrade()
hub = Hub(load_accounts({"accounts": {"shop": {"provider": "dummy", "development": True}}}))

def fulfil(transition, connection):
    raise KeyError("out of\\nstock")

checkout = Checkout(hub, ledger, handler=fulfil)
address = "https://shop.example/pay"
hundred = Money.of("100.00", "CNY")
order = Order(reference="A1", amount=hundred, description="Tea", notify_url=address, return_url=address)
checkout.start("shop", order)
print(checkout.receive("shop", notify("shop", order)).status_code)
"""


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        (
            "",
            "payhub: [account shop, order A1] the handler failed, the gateway is to resend: KeyError: 'out of\\nstock'",
        ),
        ("logging.getLogger('payhub').addHandler(logging.FileHandler('shop.log'))", None),
        ("logging.basicConfig(level=logging.CRITICAL)", None),
    ],
)
def test_a_handler_that_fails_is_a_line_where_nobody_has_configured_logging(
    tmp_path: Any, configured: str, said: str | None
) -> None:
    """One line, and none where the application has a handler of its own."""
    program = SHOP.replace("CONFIGURED", configured)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "503\n"
    assert done.stderr.splitlines() == ([] if said is None else [said])


class Speechless(Exception):
    """Whose own words fail."""

    def __str__(self) -> str:
        return "code " + self.args[0]  # type: ignore[no-any-return]


def test_an_error_without_words_holds_up_no_other(
    open_checkout: Callable[..., Any], accept: Any, make_order: Callable[..., Order], paid: Any
) -> None:
    """It is known by its type, and the outbox goes on."""
    told: list[str] = []

    def fail(transition: Transition) -> None:
        told.append(transition.reference)
        raise Speechless(7)

    checkout = open_checkout(accept)
    for reference in ("A1", "A2"):
        checkout.start("shop", make_order(reference=reference))
        checkout.receive("shop", paid.notify(reference))
    assert checkout.deliver(fail) == 0
    assert told == ["A1", "A2"]


def test_a_pass_goes_on_after_an_error_without_words(till: Any, shop: Any, make_due: Callable[[], None]) -> None:
    """What it came to is told all the same."""

    def fail(*_arguments: object) -> None:
        raise Speechless(7)

    shop.fails = fail
    make_due()
    summary = till.reconcile()
    assert (summary.asked, summary.handler_failed) == (1, 1)
    assert summary.errors["shop"].endswith("the handler raised Speechless: Speechless")


def test_payhubs_own_words_are_whole_with_their_hint_and_those_of_others_are_cut(
    till: Any, shop: Any, paid: Any, make_due: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever the handler was called: the hint says what to do, and what others say may quote rows."""
    refused = ConfigError(
        "this handler wrote through Django's ORM, not through its connection", hint="write in deliver"
    )
    for error, said in ((refused, str(refused)), (RuntimeError("a row " * 50), "a row " * 13 + "a…")):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        shop.fails = fail
        till.receive("shop", paid.notify())
        assert caplog.records[-1].getMessage().endswith(f"{type(error).__name__}: {said}")
        make_due()
        assert till.reconcile().errors["shop"].endswith(f"{type(error).__name__}: {said}")
    shop.fails = None
