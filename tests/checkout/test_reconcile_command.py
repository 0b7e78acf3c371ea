"""``payhub reconcile`` from a shell, and as a service: what becomes due later, passes that fail, and how it ends."""

from __future__ import annotations

import functools
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from payhub_core.ledger import Ledger

on_sqlite = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize(
    "new_database", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


@pytest.fixture
def watch(service: Callable[..., Any]) -> Callable[..., Any]:
    """Starts the watch, and returns it after its first pass."""

    def start(*words: str) -> Any:
        watching = service("payhub", "reconcile", "--watch", "--every=0.1", "--handler=shop:fulfil", *words)
        watching.until(lambda: watching.output)
        return watching

    return start


@pytest.fixture
def fault(sandbox: Any) -> Iterator[Callable[..., None]]:
    """Makes a fault happen to the next queries."""
    yield functools.partial(sandbox.fault, "check_order")
    sandbox.clear_faults()


def asked(sandbox: Any, reference: str) -> bool:
    """Whether the gateway has heard a query about the order."""
    return any(entry["endpoint"] == "check_order" and entry["order_no"] == reference for entry in sandbox.requests())


@on_sqlite
def test_reconcile_settles_what_no_notify_did(
    service: Callable[..., Any], shop: Any, lost_notify: Callable[[], str], make_due: Callable[[], None]
) -> None:
    """Against a real gateway over TLS, with the shop's handler; once, then again with nothing to do."""
    reference = lost_notify()
    make_due()
    for come_to in ("asked 1, changed 1, paid 1, unanswered 0\n", "asked 0, changed 0, paid 0, unanswered 0\n"):
        run = service("payhub", "reconcile", "--handler=shop:fulfil")
        assert (run.process.wait(60), run.errors) == (0, "")
        assert run.output.endswith(come_to)
    assert shop.delivered == [f"shop/{reference}/paid"]


@on_sqlite
def test_an_order_that_becomes_due_later_is_settled(
    watch: Callable[..., Any], shop: Any, lost_notify: Callable[[], str], make_due: Callable[[], None]
) -> None:
    """Not in the first pass, but in one of the next."""
    reference = lost_notify()
    watching = watch()
    assert "UTC asked 0, changed 0, paid 0, unanswered 0\n" in watching.output
    make_due()
    watching.until(lambda: shop.delivered == [f"shop/{reference}/paid"])


@on_postgresql
def test_it_goes_on_after_a_pass_in_which_the_database_fails(
    watch: Callable[..., Any],
    ledger: Ledger,
    shop: Any,
    lost_notify: Callable[[], str],
    make_due: Callable[[], None],
) -> None:
    """Which is a line on stderr."""
    reference = lost_notify()
    watching = watch()
    ledger.write(lambda c: c.execute(text("ALTER TABLE payhub_payments RENAME TO hidden")))
    watching.until(lambda: watching.errors)
    ledger.write(lambda c: c.execute(text("ALTER TABLE hidden RENAME TO payhub_payments")))
    make_due()
    watching.until(lambda: shop.delivered == [f"shop/{reference}/paid"])
    stamp = r"payhub: [0-9-]{10} [0-9:]{8} UTC the database"
    assert all(re.match(stamp, line) for line in watching.errors.splitlines()), watching.errors


@on_sqlite
def test_it_goes_on_after_a_pass_in_which_an_account_fails(
    watch: Callable[..., Any],
    fault: Callable[..., None],
    shop: Any,
    lost_notify: Callable[[], str],
    make_due: Callable[[], None],
) -> None:
    """Which is a line on stderr, too."""
    reference = lost_notify()
    make_due()
    fault("http_500", times=3)
    watching = watch()
    assert "UTC asked 1, changed 0, paid 0, unanswered 1\n" in watching.output
    make_due()
    watching.until(lambda: shop.delivered == [f"shop/{reference}/paid"])
    (line,) = watching.errors.splitlines()
    assert line.endswith("the gateway answered HTTP 500")


@on_sqlite
def test_a_signal_between_two_passes_ends_it(watch: Callable[..., Any]) -> None:
    """At once, with status 0 and nothing on stderr."""
    watching = watch("--every=600")
    assert (watching.end(signal.SIGINT), watching.errors) == (0, "")


@on_sqlite
def test_a_signal_during_a_pass_ends_it_after_a_payment(
    watch: Callable[..., Any],
    fault: Callable[..., None],
    sandbox: Any,
    shop: Any,
    lost_notify: Callable[[], str],
    make_due: Callable[[], None],
) -> None:
    """What is being asked about is still settled; the others are left for the next time."""
    watching = watch()
    references = [lost_notify() for _ in range(3)]
    fault("slow", times=3, seconds=1.0)
    make_due()
    watching.until(lambda: asked(sandbox, references[0]))
    assert (watching.end(signal.SIGTERM), watching.errors) == (0, "")
    assert 0 < len(shop.delivered) < 3


@on_sqlite
def test_a_second_signal_ends_it_at_once(
    watch: Callable[..., Any],
    fault: Callable[..., None],
    sandbox: Any,
    shop: Any,
    lost_notify: Callable[[], str],
    make_due: Callable[[], None],
) -> None:
    """Without waiting for the gateway."""
    watching = watch()
    reference = lost_notify()
    fault("slow", seconds=2.0)
    make_due()
    watching.until(lambda: asked(sandbox, reference))
    while watching.process.poll() is None:
        watching.process.terminate()
        time.sleep(0.05)
    assert (watching.process.returncode, shop.delivered) == (-signal.SIGTERM, [])
