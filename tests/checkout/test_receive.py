"""Receiving: the gateway hears SUCCESS only after the commit, and the application hears of each transition once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from payhub_core import (
    AccountRefused,
    AsyncHub,
    BadSignature,
    Callback,
    CallbackKind,
    ConfigError,
    GatewayError,
    Hub,
    Money,
    Notification,
    Order,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Reply,
    WrongAmount,
    WrongOrder,
    hookimpl,
    load_accounts,
)
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import AnomalyKind, Ledger, Transition, changes
from payhub_gpu import Gpu

SUCCESS, RETRY, REFUSED = (200, b"SUCCESS"), 503, 400


class Answering:
    """A provider whose callbacks are asked about at the gateway, as ``parse`` says."""

    info: ClassVar[ProviderInfo] = ProviderInfo(name="answering", identity=(), currencies=frozenset({"CNY"}))
    timeout = 0.5

    def __init__(self, parse: Callable[..., Any]) -> None:
        self.parse = parse

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        raise AssertionError

    @hookimpl
    def parse_callback(self, callback: Callback) -> Any:
        return self.parse(callback)

    @hookimpl
    def query(self, reference: str) -> Payment:
        raise AssertionError


@pytest.fixture
def till(open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Order, shop: Any) -> Any:
    """A checkout with the order started, and a shop that handles its transitions."""
    checkout = open_checkout(gateway(platform.create_reply()), handler=shop.handle)
    checkout.start("shop", order)
    return checkout


def answer(reply: Any) -> tuple[int, bytes]:
    return reply.status_code, reply.body


def test_a_notify_settles_the_order_and_the_application_hears_of_it_once(
    till: Any, ledger: Ledger, shop: Any, paid: Any
) -> None:
    """Every duplicate is acknowledged, none is handled."""
    assert [answer(till.receive("shop", paid.notify())) for _ in range(6)] == [SUCCESS] * 6
    assert shop.delivered == ["shop/A1001/paid"]
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert stored.payment.status is PaymentStatus.PAID
    assert stored.next_check_at is None
    assert ledger.outbox() == []


def test_a_duplicate_writes_nothing(till: Any, ledger: Ledger, paid: Any) -> None:
    """Not even the same values again: the row, the history and the file stay as they are."""
    till.receive("shop", paid.notify())
    row, heard = ledger._store.find("shop", "A1001"), ledger.history("shop", "A1001")
    path = ledger.engine.url.database or ""
    wal = Path(path + "-wal")
    size = wal.stat().st_mtime_ns if wal.exists() else 0
    till.receive("shop", paid.notify())
    assert ledger._store.find("shop", "A1001") == row
    assert ledger.history("shop", "A1001") == heard
    assert (wal.stat().st_mtime_ns if wal.exists() else 0) == size


def test_a_failing_handler_rolls_back_and_the_gateway_is_to_resend(
    till: Any, ledger: Ledger, shop: Any, paid: Any
) -> None:
    """Nothing has happened; the resend settles it once."""

    def fail(_transition: Transition, _connection: Connection) -> None:
        raise RuntimeError("out of stock")

    before = ledger._store.find("shop", "A1001")
    shop.fails = fail
    assert till.receive("shop", paid.notify()).status_code == RETRY
    assert ledger._store.find("shop", "A1001") == before
    assert shop.delivered == []
    assert ledger.outbox() == []
    shop.fails = None
    assert answer(till.receive("shop", paid.notify())) == SUCCESS
    assert shop.delivered == ["shop/A1001/paid"]


def test_a_handler_that_swallows_a_database_error_is_not_acknowledged_unless_it_is_stored(
    till: Any, ledger: Ledger, shop: Any, paid: Any
) -> None:
    """PostgreSQL turns the commit of a broken transaction into a silent rollback."""

    def swallow(_transition: Transition, connection: Connection) -> None:
        with suppress(Exception):
            connection.execute(text("INSERT INTO no_such_table VALUES (1)"))

    shop.fails = swallow
    acknowledged = answer(till.receive("shop", paid.notify())) == SUCCESS
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert acknowledged == (stored.payment.status is PaymentStatus.PAID) == bool(shop.delivered)
    assert acknowledged == (ledger.engine.dialect.name == "sqlite")


def rolled_back(connection: Connection) -> None:
    connection.execute(text("ROLLBACK"))


def rolled_back_and_begun_anew(connection: Connection) -> None:
    connection.execute(text("ROLLBACK"))
    if connection.dialect.name == "sqlite":
        connection.connection.cursor().execute("BEGIN IMMEDIATE")
    connection.execute(text("INSERT INTO deliveries VALUES ('apart')"))


def committed(connection: Connection) -> None:
    connection.execute(text("COMMIT"))


@pytest.mark.parametrize(
    "end", [Connection.rollback, Connection.commit, rolled_back, rolled_back_and_begun_anew, committed]
)
def test_a_handler_that_ends_the_transaction_is_not_acknowledged(
    till: Any, ledger: Ledger, shop: Any, paid: Any, end: Callable[[Connection], object]
) -> None:
    """Commit and rollback are payhub's, by whatever words."""
    shop.fails = lambda _transition, connection: end(connection)
    assert till.receive("shop", paid.notify()).status_code == RETRY
    shop.fails = None
    assert answer(till.receive("shop", paid.notify())) == SUCCESS
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert stored.payment.status is PaymentStatus.PAID


def test_a_constraint_that_is_checked_at_the_commit_fails_all_of_it(
    till: Any, ledger: Ledger, shop: Any, paid: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the application's own, and is told as such."""
    number = "id INTEGER PRIMARY KEY"
    ledger.write(lambda c: c.execute(text(f"CREATE TABLE customers ({number})")))
    reference = "customer INTEGER REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED"
    ledger.write(lambda c: c.execute(text(f"CREATE TABLE parcels ({number}, {reference})")))
    try:
        shop.fails = lambda _transition, connection: connection.execute(text("INSERT INTO parcels VALUES (1, 7)"))
        assert till.receive("shop", paid.notify()).status_code == RETRY
        assert "foreign key" in caplog.text.lower()
        assert shop.delivered == []
        shop.fails = None
        assert answer(till.receive("shop", paid.notify())) == SUCCESS
    finally:
        for table in ("parcels", "customers"):
            ledger.write(lambda c, table=table: c.execute(text(f"DROP TABLE {table}")))


def test_a_handler_that_commits_its_first_transition_loses_none_of_the_others(
    till: Any, ledger: Ledger, shop: Any, paid: Any
) -> None:
    """It must not; but what it was not given yet waits in the outbox, and what it was given does not."""
    shop.fails = lambda _transition, connection: connection.execute(text("COMMIT"))
    assert till.receive("shop", paid.notify(actual_amount="150.00")).status_code == RETRY
    assert shop.delivered == ["shop/A1001/partially_paid"]
    assert [transition.id for transition in ledger.outbox()] == ["shop/A1001/underpaid"]


@pytest.mark.parametrize("handled", [False, True])
def test_what_was_short_and_is_made_up_is_resolved_by_payhub(
    open_checkout: Any, accept: Any, paid: Any, ledger: Ledger, shop: Any, order: Any, handled: bool
) -> None:
    """No person has to see to it; what was never short of anything is nobody's to resolve."""
    till = open_checkout(accept, handler=shop.handle if handled else None)
    till.start("shop", order)
    till.receive("shop", paid.notify(actual_amount="4000", platform_order_no="P1"))
    (short,) = ledger.anomalies()
    assert (short.anomaly.name, short.resolved_at) == ("underpaid", None)
    till.receive("shop", paid.notify(actual_amount="5000", platform_order_no="P2"))
    assert len(ledger.anomalies()) == 1
    till.receive("shop", paid.notify(actual_amount="1000", platform_order_no="P3"))
    assert ledger.anomalies() == []
    (short,) = ledger.anomalies_of("shop", order.reference)
    assert (short.resolved_by, short.resolution) == ("payhub", "the rest came in")


def test_of_several_transitions_that_are_handled_none_waits(till: Any, ledger: Ledger, shop: Any, paid: Any) -> None:
    assert answer(till.receive("shop", paid.notify(actual_amount="150.00"))) == SUCCESS
    assert shop.delivered == ["shop/A1001/partially_paid", "shop/A1001/underpaid"]
    assert ledger.outbox() == []


def test_a_handler_whose_error_undid_the_transaction_is_not_acknowledged(
    till: Any, ledger: Ledger, shop: Any, paid: Any
) -> None:
    """SQLite can be told to roll back by itself; PostgreSQL does wherever a statement has failed."""

    def swallow(_transition: Transition, connection: Connection) -> None:
        undo = "INSERT OR ROLLBACK INTO deliveries VALUES (NULL)"
        with suppress(Exception):
            connection.execute(text(undo if connection.dialect.name == "sqlite" else "SELECT 1/0"))

    shop.fails = swallow
    assert till.receive("shop", paid.notify()).status_code == RETRY
    assert shop.delivered == []
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert stored.payment.status is PaymentStatus.PENDING


def test_an_async_handler_of_a_blocking_checkout_is_refused(
    blocking: Checkout, ledger: Ledger, make_order: Callable[..., Order], paid: Any
) -> None:
    """Nobody would await it: nothing would be shipped, and the gateway told that all is well."""

    async def ship(_transition: Transition, _connection: object) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match="AsyncCheckout"):
        Checkout(blocking.hub, ledger, handler=ship)
    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "gpu", make_order(), lease="", until=now, now=now))
    assert answer(blocking.receive("shop", paid.notify())) == SUCCESS
    assert blocking.deliver(lambda transition: ship(transition, None)) == 0
    assert [transition.id for transition in ledger.outbox()] == ["shop/A1001/paid"]


def test_a_plain_handler_of_an_async_checkout_is_refused(url: str, settings: dict[str, Any]) -> None:
    """Before it has run: it could not use the connection, and would ship again with each resend."""

    class Shipping:
        async def __call__(self, transition: Transition, connection: object) -> None: ...

    async def ship(_post: object, _transition: Transition, _connection: object = None) -> None: ...

    def plain(*_: object) -> None: ...

    async def main() -> None:
        async with AsyncHub(load_accounts({"accounts": {"shop": settings}})) as hub, Ledger(url) as ledger:
            for handler in (plain, lambda *_: None, partial(plain, 1), str.strip):
                with pytest.raises(ConfigError, match="write it with async def"):
                    AsyncCheckout(hub, ledger, handler=handler)  # type: ignore[arg-type]
                with pytest.raises(ConfigError, match="write it with async def"):
                    await AsyncCheckout(hub, ledger).deliver(handler)  # type: ignore[arg-type]
            for awaited in (Shipping(), Shipping().__call__, partial(ship, "post")):
                AsyncCheckout(hub, ledger, handler=awaited)
                assert await AsyncCheckout(hub, ledger).deliver(awaited) == 0  # type: ignore[arg-type]

    asyncio.run(main())


def test_a_ledger_of_the_wrong_kind_makes_the_gateway_resend(
    tmp_path: Path, settings: dict[str, Any], paid: Any
) -> None:
    """A mistake of the shop's is no unknown account."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/a.db")
    with Hub(load_accounts({"accounts": {"shop": settings}})) as hub:
        assert Checkout(hub, Ledger(engine)).receive("shop", paid.notify()).status_code == RETRY


def test_whatever_goes_wrong_the_gateway_is_to_resend(till: Any, paid: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug too ends in an answer."""
    monkeypatch.setattr(changes, "heard", lambda *_: 1 / 0)
    assert till.receive("shop", paid.notify()).status_code == RETRY


def test_a_refusal_for_its_sum_names_account_and_order(till: Any, paid: Any, caplog: Any) -> None:
    """Two accounts may have an order of the same number."""
    assert till.receive("shop", paid.notify(amount="9999")).status_code == REFUSED
    assert "refused a callback: [account shop, order A1001] order 'A1001' is about" in caplog.text


def test_accounts_that_cannot_be_read_make_the_gateway_resend(ledger: Ledger, paid: Any, caplog: Any) -> None:
    """Tenants in a database that is gone: the gateway is no worse off than with ours."""

    class Gone(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise OSError("gone")

    with Hub(Gone()) as hub:
        assert Checkout(hub, ledger).receive("shop", paid.notify()).status_code == RETRY
    assert "could not be read" in caplog.text


def test_an_unknown_order_is_refused(till: Any, ledger: Ledger, shop: Any, paid: Any, caplog: Any) -> None:
    """However genuine the message."""
    assert till.receive("shop", paid.notify("A9999")).status_code == REFUSED
    assert "refused a callback: [account shop, order A9999] no such order was started here" in caplog.text
    assert ledger.payment("shop", "A9999") is None
    assert shop.delivered == []


@pytest.mark.parametrize("changes", [{"amount": "9999"}, {"appid": "gpu99999999"}, {"pay_status": "2"}])
def test_a_genuine_message_that_is_not_about_this_order_changes_nothing(
    till: Any, ledger: Ledger, shop: Any, paid: Any, changes: dict[str, str]
) -> None:
    """Refused, and never stored."""
    before = ledger._store.find("shop", "A1001"), ledger.history("shop", "A1001")
    assert till.receive("shop", paid.notify(**changes)).status_code == REFUSED
    assert (ledger._store.find("shop", "A1001"), ledger.history("shop", "A1001")) == before
    assert shop.delivered == []


@pytest.mark.parametrize(
    ("changes", "rule", "answer"),
    [
        ({}, {"secret": "another secret of sixteen"}, b"97"),
        ({"order_no": "A9999"}, {}, b"01"),
        ({"amount": "9999"}, {}, b"04"),
        ({"appid": "gpu99999999"}, {}, b"99"),
    ],
)
def test_a_gateway_that_wants_to_be_told_why_is_told(
    till: Any, platform: Any, monkeypatch: Any, changes: dict[str, str], rule: dict[str, str], answer: bytes
) -> None:
    """By the kind of the error; whatever else is refused has the one answer that every gateway has."""
    refusals = {BadSignature: Reply(b"97"), WrongOrder: Reply(b"01"), WrongAmount: Reply(b"04")}
    monkeypatch.setattr(Gpu, "info", replace(Gpu.info, refused=Reply(b"99"), refusals=refusals))
    reply = till.receive("shop", platform.callback(platform.notify(**changes), **rule))
    assert (reply.body, reply.status_code) == (answer, 200)
    assert reply.reason


def test_a_forged_message_changes_nothing(till: Any, ledger: Ledger, platform: Any) -> None:
    """Signed with another secret."""
    before = ledger._store.find("shop", "A1001")
    forged = platform.callback(platform.notify(), secret="another secret of sixteen")
    assert till.receive("shop", forged).status_code == REFUSED
    assert ledger._store.find("shop", "A1001") == before


def test_an_order_started_at_another_provider_is_refused(till: Any, ledger: Ledger, paid: Any) -> None:
    """The account was given to another gateway since."""
    ledger.write(lambda c: c.execute(text("UPDATE payhub_payments SET provider = 'other'")))
    assert till.receive("shop", paid.notify()).status_code == REFUSED


def test_an_unknown_account_is_a_configuration_error(till: Any, paid: Any) -> None:
    """It has no words of its own to answer with."""
    with pytest.raises(ConfigError):
        till.receive("shpo", paid.notify())


def test_a_return_never_settles(till: Any, ledger: Ledger, shop: Any, paid: Any) -> None:
    """Neither received nor viewed; the view tells what it claims."""
    before = ledger._store.find("shop", "A1001")
    till.receive("shop", paid.back())
    view = till.view("shop", paid.back())
    assert (view.status, view.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.PAID)
    assert view.amount is not None
    assert ledger._store.find("shop", "A1001") == before
    assert shop.delivered == []


def test_a_view_shows_what_the_notify_has_settled(till: Any, paid: Any) -> None:
    """A return before or after the notify, it is the stored payment that counts."""
    till.receive("shop", paid.notify())
    assert till.view("shop", paid.back(pay_status="0")).status is PaymentStatus.PAID
    assert till.view("shop", paid.back(), reference="A1001").status is PaymentStatus.PAID


@pytest.mark.parametrize("message", [b"", b"order_no=A1001&sign=" + b"0" * 32, b"&&&"])
def test_a_return_that_proves_nothing_shows_what_is_stored_by_the_reference_of_its_address(
    till: Any, platform: Any, paid: Any, message: bytes
) -> None:
    """Most gateways just send the payer back; what the return claims is shown only where it is proved."""
    back = platform.callback(message, kind=CallbackKind.RETURN)
    view = till.view("shop", back, reference="A1001")
    assert (view.status, view.claimed_status) == (PaymentStatus.PENDING, None)
    till.receive("shop", paid.notify())
    view = till.view("shop", back, reference="A1001")
    assert (view.status, view.claimed_status, view.reference) == (PaymentStatus.PAID, None, "A1001")


def test_a_genuine_return_of_another_order_proves_nothing_about_the_one_of_the_address(
    till: Any, ledger: Ledger, make_order: Callable[..., Order], paid: Any
) -> None:
    """Neither is shown as paid, and the other one not at all."""
    now = datetime.now(UTC)
    other = make_order(reference="A1002")
    ledger.write(lambda c: changes.insert(c, "shop", "gpu", other, lease="", until=now, now=now))
    view = till.view("shop", paid.back("A1002"), reference="A1001")
    assert (view.reference, view.status, view.claimed_status) == ("A1001", PaymentStatus.PENDING, None)


def test_a_gateway_that_is_down_keeps_no_payer_from_the_stored_payment(ledger: Ledger, order: Order) -> None:
    """Where a return has to be asked about."""

    def fetch(_callback: Callback) -> Any:
        yield httpx.Request("GET", "https://gateway.example/payment")

    provider = Answering(fetch)
    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "answering", order, lease="", until=now, now=now))
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(502))) as client:
        checkout = Checkout(Hub({"shop": provider}, client=client), ledger)
        back = Callback("GET", {}, b"", b"", CallbackKind.RETURN)
        assert checkout.view("shop", back, reference="A1001").status is PaymentStatus.PENDING
        with pytest.raises(GatewayError):
            checkout.view("shop", back)
        with pytest.raises(ConfigError):
            checkout.view("shpo", back, reference="A1001")


def test_a_gateway_that_refuses_the_account_while_a_notify_is_asked_about_is_to_send_it_again(
    ledger: Ledger, order: Order
) -> None:
    """The key may be mended by then; nothing is acknowledged, and nothing is called forged."""

    def revoked(_callback: Callback) -> Any:
        yield httpx.Request("GET", "https://gateway.example/payment")
        raise AccountRefused("the key is revoked")

    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "answering", order, lease="", until=now, now=now))
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(401))) as client:
        checkout = Checkout(Hub({"shop": Answering(revoked)}, client=client), ledger)
        assert checkout.receive("shop", Callback("POST", {}, b"", b"id=1")).status_code == RETRY


class Confirming(Answering):
    """A gateway that keeps a payment only once the shop has confirmed it: the notify is a claim, the query confirms."""

    def __init__(self, claim: dict[str, Any], answers: list[Any]) -> None:
        super().__init__(lambda _callback: Notification(CallbackKind.NOTIFY, self.claimed(**claim), Reply(b"OK")))
        self.answers, self.asked = answers, 0

    def claimed(self, **said: Any) -> Payment:
        return Payment(reference="A1001", status=PENDING, **{"claimed_status": PAID, **said})

    @hookimpl
    def query(self, reference: str, expect: Order | None) -> Payment:
        assert expect is not None
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Payment(reference=reference, status=answer, amount=expect.amount, paid=expect.amount)


PAID, PENDING = PaymentStatus.PAID, PaymentStatus.PENDING


@pytest.mark.parametrize(
    ("claim", "answers", "replies", "asked", "status"),
    [
        ({}, [PAID], [200, 200], 1, PAID),
        ({}, [PENDING, PAID], [RETRY, 200], 2, PAID),
        ({}, [AccountRefused("the key is revoked"), PAID], [RETRY, 200], 2, PAID),
        ({}, [WrongAmount("of another sum"), PAID], [RETRY, 200], 2, PAID),
        ({"amount": Money.of("1.00", "CNY")}, [], [REFUSED], 0, PENDING),
        ({"claimed_status": PaymentStatus.FAILED}, [], [200], 0, PENDING),
    ],
    ids=["paid", "not yet", "no answer", "an answer about another sum", "another sum", "not paid"],
)
def test_a_notify_that_only_claims_to_be_paid_is_asked_about_before_it_is_acknowledged(
    ledger: Ledger, order: Order, shop: Any, claim: Any, answers: Any, replies: Any, asked: int, status: PaymentStatus
) -> None:
    """So a gateway that wants each payment confirmed is told so for the order that the shop holds, and no other."""
    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "answering", order, lease="", until=now, now=now))
    provider = Confirming(claim, list(answers))
    with Hub({"shop": provider}) as hub:
        checkout = Checkout(hub, ledger, handler=shop.handle)
        heard = [checkout.receive("shop", Callback("POST", {}, b"", b"id=1")).status_code for _ in replies]
    assert (heard, provider.asked) == (replies, asked)
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert stored.payment.status is status
    assert shop.delivered == (["shop/A1001/paid"] if status is PAID else [])


def test_a_claim_is_asked_about_by_the_number_that_it_names_where_no_other_is_known(
    ledger: Ledger, order: Order, shop: Any
) -> None:
    """As of an order whose create was lost, at a gateway that looks up by its own number alone."""

    class ByNumber(Confirming):
        @hookimpl
        def query(self, reference: str, gateway_id: str | None) -> Payment:  # type: ignore[override]
            if gateway_id is None:
                raise GatewayError("the gateway looks up by its own number alone, which is not known")
            return Payment(reference=reference, gateway_id=gateway_id, status=PAID, paid=order.amount)

    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "answering", order, lease="", until=now, now=now))
    with Hub({"shop": ByNumber({"gateway_id": "T7"}, [])}) as hub:
        checkout = Checkout(hub, ledger, handler=shop.handle)
        assert checkout.receive("shop", Callback("POST", {}, b"", b"id=1")).status_code == 200
    assert shop.delivered == ["shop/A1001/paid"]


def test_a_claim_that_the_gateway_only_repeats_is_not_acknowledged(
    ledger: Ledger, order: Order, shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked over plain http it proves nothing: whoever took the success for an answer would never hear of it again."""

    class Repeating(Confirming):
        @hookimpl
        def query(self, reference: str) -> Any:  # type: ignore[override]
            yield httpx.Request("GET", "http://gateway.example/payment")
            return Payment(reference=reference, status=PAID, paid=order.amount)

    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "answering", order, lease="", until=now, now=now))
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        checkout = Checkout(Hub({"shop": Repeating({}, [])}, client=client), ledger, handler=shop.handle)
        assert checkout.receive("shop", Callback("POST", {}, b"", b"id=1")).status_code == RETRY
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    assert stored.payment.status is PENDING
    assert stored.next_check_at is not None
    assert shop.delivered == []
    assert "over https" in caplog.text


def test_a_handler_of_a_claim_that_fails_is_called_again(ledger: Ledger, order: Order, shop: Any) -> None:
    """Whatever it raises, an error of payhub's too, the message was genuine: the gateway is to resend."""

    def fail(_transition: Transition, _connection: Connection) -> None:
        raise WrongOrder("it is not in the shop's own table")

    now = datetime.now(UTC)
    ledger.write(lambda c: changes.insert(c, "shop", "answering", order, lease="", until=now, now=now))
    shop.fails = fail
    with Hub({"shop": Confirming({}, [PAID, PAID])}) as hub:
        checkout = Checkout(hub, ledger, handler=shop.handle)
        callback = Callback("POST", {}, b"", b"id=1")
        assert checkout.receive("shop", callback).status_code == RETRY
        shop.fails = None
        assert checkout.receive("shop", callback).status_code == 200
    assert shop.delivered == ["shop/A1001/paid"]


def test_a_return_about_an_order_not_started_here_is_refused(till: Any, platform: Any, paid: Any) -> None:
    """As is a forged one."""
    with pytest.raises(WrongOrder):
        till.view("shop", paid.back("A9999"))
    with pytest.raises(WrongOrder):
        till.view("shop", paid.back(), reference="A9999")
    with pytest.raises(BadSignature):
        till.view("shop", platform.callback(b"order_no=A1001&sign=" + b"0" * 32, kind=CallbackKind.RETURN))


@pytest.mark.parametrize(
    ("messages", "transitions"),
    [
        ([{"actual_amount": "10001"}], ["overpaid", "paid"]),
        ([{"actual_amount": "9999"}], ["partially_paid", "underpaid"]),
        ([{}, {"platform_order_no": "P2"}], ["paid", "paid_again:2"]),
        ([{"pay_status": "0"}, {}], ["failed", "paid", "paid_after_failed"]),
        ([{}, {"pay_status": "0"}], ["paid", "paid_after_failed"]),
        ([{"actual_amount": "4000"}, {"actual_amount": "10000"}], ["paid", "partially_paid", "underpaid"]),
        ([{"pay_time": "2019-08-18 00:13:41"}], ["paid", "paid_before_created"]),
    ],
)
def test_anomalies_reach_the_application_as_data(
    till: Any, ledger: Ledger, shop: Any, paid: Any, messages: list[dict[str, str]], transitions: list[str]
) -> None:
    """Acknowledged like any other message, told once, listed."""
    for fields in messages * 2:
        assert answer(till.receive("shop", paid.notify(**fields))) == SUCCESS
    assert shop.delivered == [f"shop/A1001/{name}" for name in transitions]
    listed = ledger.anomalies(resolved=True)
    made_up = "paid" in transitions and "underpaid" in transitions
    resolved_by = "payhub" if made_up else None
    assert {(it.account, it.reference, it.resolved_by) for it in listed} == {("shop", "A1001", resolved_by)}
    assert {it.anomaly.name for it in listed} == set(transitions) - {status.value for status in PaymentStatus}


def test_each_further_id_that_was_not_needed_is_told(till: Any, shop: Any, paid: Any) -> None:
    """With the sum received by then; the order turns paid once. Of parts that make up the sum due, none is."""
    seen: list[Transition] = []
    shop.fails = lambda transition, _connection: seen.append(transition)
    till.receive("shop", paid.notify(actual_amount="4000"))
    till.receive("shop", paid.notify(actual_amount="6000", platform_order_no="P2"))
    till.receive("shop", paid.notify(platform_order_no="P3"))
    till.receive("shop", paid.notify(platform_order_no="P4"))
    assert [t.status for t in seen if t.status is PaymentStatus.PAID] == [PaymentStatus.PAID]
    again = [t.anomaly for t in seen if t.anomaly is not None and t.anomaly.kind is AnomalyKind.PAID_AGAIN]
    assert [(it.name, it.received.minor) for it in again] == [("paid_again:3", 20_000), ("paid_again:4", 30_000)]


def test_an_old_message_about_a_reused_number_is_told_before_the_status(till: Any, shop: Any, paid: Any) -> None:
    """So a handler that ships on "paid" can hold the parcel back."""
    seen: list[Transition] = []
    shop.fails = lambda transition, _connection: seen.append(transition)
    till.receive("shop", paid.notify(pay_time="2019-08-18 00:13:41"))
    assert [t.anomaly and t.anomaly.kind for t in seen] == [AnomalyKind.PAID_BEFORE_CREATED, None]
    assert [[anomaly.kind for anomaly in t.anomalies] for t in seen] == [[AnomalyKind.PAID_BEFORE_CREATED]] * 2


def test_a_return_says_nothing_of_an_order_whose_outcome_is_unknown(
    open_checkout: Callable[..., Any], gateway: Any, order: Order, ledger: Ledger, paid: Any
) -> None:
    """Only the gateway's server can tell that it exists."""
    checkout = open_checkout(gateway(httpx.ReadTimeout("lost")))
    with pytest.raises(OutcomeUnknown):
        checkout.start("shop", order)
    before = ledger._store.find("shop", "A1001")
    checkout.receive("shop", paid.back())
    assert ledger._store.find("shop", "A1001") == before


def test_a_cancelled_receive_acknowledges_nothing_and_keeps_nothing(
    url: str, settings: dict[str, Any], platform: Any, order: Order, paid: Any
) -> None:
    """Cancelled inside the handler: the resend settles it."""

    async def main() -> None:
        transport = httpx.MockTransport(lambda _request: platform.create_reply())
        async with httpx.AsyncClient(transport=transport) as client, Ledger(url) as ledger:
            hub = AsyncHub(load_accounts({"accounts": {"shop": settings}}), client=client)
            inside = asyncio.Event()

            async def stuck(_transition: Transition, _connection: object) -> None:
                inside.set()
                await asyncio.sleep(60)

            checkout = AsyncCheckout(hub, ledger, handler=stuck)
            await checkout.start("shop", order)
            task = asyncio.create_task(checkout.receive("shop", paid.notify()))
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            row = await ledger._store.afind("shop", "A1001")
            assert row is not None
            assert row.status == "pending"
            assert answer(await AsyncCheckout(hub, ledger).receive("shop", paid.notify())) == SUCCESS

    asyncio.run(main())


def test_a_ledger_survives_a_fork(till: Any, ledger: Ledger, paid: Any, blocking: Checkout) -> None:
    """The child opens connections of its own, as under a preloading server, and leaves the parent's alone."""
    assert ledger._store.find("shop", "A1001") is not None
    parents = [connection for connection, _since in ledger._connections.resting]
    assert parents
    child = os.fork()
    if child == 0:
        heard = blocking.receive("shop", paid.notify()).body == b"SUCCESS"
        mine = [connection for connection, _since in ledger._connections.resting]
        os._exit(0 if heard and not any(connection in parents for connection in mine) else 1)
    assert os.waitpid(child, 0)[1] == 0
    row = ledger._store.find("shop", "A1001")
    assert row is not None
    assert row.status == "paid"
