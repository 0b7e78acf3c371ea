"""The ledger by itself: its tables, its versions, and clear errors for whatever is not as it should be."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from payhub_core import ConfigError, Hub, Money, Order, Payment, PaymentStatus, load_accounts
from payhub_core.checkout import Checkout
from payhub_core.errors import LedgerError
from payhub_core.ledger import Ledger, changes
from payhub_core.ledger.database import SCHEMA
from payhub_core.ledger.migrations import versions as migrations
from payhub_core.ledger.migrations.versions import MIGRATIONS
from payhub_core.ledger.report import report
from payhub_core.ledger.sql import begin
from payhub_core.ledger.tables import VERSION_TABLE, metadata


def test_the_migrations_make_the_tables_of_the_metadata(ledger: Ledger) -> None:
    """Not a column, index or constraint apart, on either database."""

    def differences(connection: Connection) -> list[Any]:
        return compare_metadata(MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}), metadata)

    assert ledger.read(differences) == []


def test_the_expected_schema_is_the_newest_migration() -> None:
    """Whoever adds a migration lists it, and says so."""
    folder = Path(migrations.__file__).parent
    assert [it.__name__.rpartition(".")[2] for it in MIGRATIONS] == sorted(it.stem for it in folder.glob("ledger_*.py"))
    assert [it.revision for it in MIGRATIONS][-1] == SCHEMA


def test_every_table_is_named_payhub(ledger: Ledger) -> None:
    """They live beside the application's own."""
    names = ledger.read(lambda c: inspect(c).get_table_names())
    assert sorted(names) == [
        "payhub_alembic_version",
        "payhub_heartbeats",
        "payhub_observations",
        "payhub_payments",
        "payhub_transitions",
    ]


def test_upgrading_may_be_done_twice_and_by_several_at_once(empty_url: str) -> None:
    """As when four workers start together."""
    ledgers = [Ledger(empty_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(Ledger.upgrade, ledgers))
    ledgers[0].upgrade()
    assert ledgers[0].payments() == []
    for ledger in ledgers:
        ledger.close()


def test_asyncio_upgrades_too(empty_url: str) -> None:
    """The same migrations through the other engine."""

    async def main() -> None:
        async with Ledger(empty_url) as ledger:
            await ledger.aupgrade()
            assert await ledger._store.afind("shop", "A1001") is None

    asyncio.run(main())


def test_the_tables_can_share_the_applications_database_and_engine(empty_url: str) -> None:
    """The application's own table and version table are left alone; the engine stays open."""
    with Ledger(empty_url) as setup:
        engine = create_engine(setup.engine.url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
            connection.execute(text("INSERT INTO alembic_version VALUES ('app-7')"))
    with Ledger(engine) as ledger:
        ledger.upgrade()
        assert ledger.payments() == []
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "app-7"
    engine.dispose()


def test_a_database_without_tables_says_how_to_make_them(empty_url: str) -> None:
    """For each way in."""
    with Ledger(empty_url) as ledger:
        for use in (ledger.payments, lambda: ledger._store.find("shop", "A1001"), ledger.outbox):
            with pytest.raises(LedgerError, match="payhub ledger upgrade"):
                use()


def test_a_schema_of_another_version_is_refused_and_left_alone(ledger: Ledger, url: str) -> None:
    """A database from the future, in use and in upgrading."""
    ledger.write(lambda c: c.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")))
    with Ledger(url) as other:
        with pytest.raises(LedgerError, match="schema 9999"):
            other.payments()
        with pytest.raises(LedgerError, match="does not know"):
            other.upgrade()


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    """Instead of opening again."""
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.payments()
    with pytest.raises(LedgerError, match="closed"):
        asyncio.run(ledger._store.afind("shop", "A1001"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://root:hunter2@db/shop", "SQLite or PostgreSQL"),
        ("nonsense hunter2", "database URL"),
        ("sqlite://", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("postgresql://user:hunter2@more@127.0.0.1/shop", "'@' too many.*%40"),
        ("postgresql://user:p@ss:hunter2@127.0.0.1:5432/shop", "%3A"),
        ("sqlite:///a.db?timeout=hunter2", "an option that does not fit"),
    ],
)
def test_a_url_that_cannot_keep_payments_is_a_configuration_error(url: str, reason: str) -> None:
    """The URL is never quoted: it may hold a password."""
    with pytest.raises(ConfigError, match=reason) as caught:
        Ledger(url).payments()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__dict__)


def test_an_engine_serves_only_its_colour(tmp_path: Path) -> None:
    """A URL serves both."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(ConfigError, match="use Checkout"):
        _ = Ledger(engine).async_engine
    async_engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/a.db")
    with pytest.raises(ConfigError, match="use AsyncCheckout"):
        _ = Ledger(async_engine).engine
    engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "oracledb"])
def test_an_engine_of_another_driver_is_a_configuration_error(driver: str) -> None:
    """Before anything is asked of it; a URL is always possible."""
    engine = create_engine("sqlite:///never.db")
    engine.dialect.driver = driver
    with pytest.raises(ConfigError, match=f"not of {driver}.*URL"):
        Ledger(engine)


@pytest.mark.postgresql
def test_an_engine_that_commits_each_statement_is_refused(postgres: Any) -> None:
    """A handler's rows would stay where payhub rolls back."""
    engine = create_engine(
        postgres.url("payhub_template").replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with pytest.raises(LedgerError, match="commits each statement"):
        Ledger(engine).payments()
    engine.dispose()


def test_an_unreachable_database_is_a_ledger_error(tmp_path: Path) -> None:
    """Nothing of SQLAlchemy's or the driver's escapes; the database is named, and nothing that may be a password."""
    (tmp_path / "a.db").mkdir()
    for url, name in (
        (f"sqlite:///{tmp_path}/a.db", f" {tmp_path}/a.db"),
        (f"sqlite:///file:{tmp_path}/a.db?uri=true", f" file:{tmp_path}/a.db"),
        ("postgresql://nobody:hunter2@127.0.0.1:1/shop", " shop at 127.0.0.1:1"),
        ("postgresql://nobody@127.0.0.1:1/shop?password=hunter2", " shop at 127.0.0.1:1"),
        ("postgresql://nobody:a@127.0.0.1:1/hunter2@b", " at 127.0.0.1:1"),
        ("postgresql://nobody:hunter2@127.0.0.1:1,127.0.0.1:2/shop", " shop at 127.0.0.1:1,127.0.0.1:2"),
        ("postgresql:///shop?host=/nowhere&user=nobody", " shop at /nowhere"),
        ("postgresql://?host=/nowhere&password=hunter2", " at /nowhere"),
    ):
        with Ledger(url) as ledger, pytest.raises(LedgerError) as caught:
            ledger.payments()
        assert caught.value.message.startswith(f"the database{name} failed: ")
        assert "hunter2" not in str(caught.value).partition(" failed: ")[0]


def test_sqlite_keeps_what_it_has_committed(tmp_path: Path) -> None:
    """WAL and synchronous FULL (2), whatever the default of the build."""
    with Ledger(f"sqlite:///{tmp_path}/a.db") as ledger:
        ledger.upgrade()
        assert ledger.read(lambda c: c.execute(text("PRAGMA journal_mode")).scalar()) == "wal"
        assert ledger.read(lambda c: c.execute(text("PRAGMA synchronous")).scalar()) == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("facts", "'not json'"),
        ("facts", "'[1]'"),
        ("status", "'settled'"),
        ("currency", "'XXX'"),
        ("order_json", "'{}'"),
        ("order_json", "'not json'"),
    ],
)
def test_a_row_that_payhub_did_not_write_is_named_and_left_alone(
    open_checkout: Callable[..., Any],
    ledger: Ledger,
    platform: Any,
    gateway: Any,
    order: Order,
    paid: Any,
    column: str,
    value: str,
) -> None:
    """A migration by hand gone wrong: the gateway resends, and nothing is written over."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    ledger.write(lambda c: c.execute(text(f"UPDATE payhub_payments SET {column} = {value}")))
    with pytest.raises(LedgerError, match=rf"A1001.*{column}"):
        ledger.payment("shop", "A1001")
    if column in {"facts", "currency"}:
        assert checkout.receive("shop", paid.notify()).status_code == 503
    row = ledger._store.find("shop", "A1001")
    assert row is not None
    assert getattr(row, column) == value.strip("'")


@pytest.mark.parametrize(
    ("column", "look"),
    [
        ("created_at", lambda checkout, _order: checkout.ledger.payments()),
        ("next_check_at", lambda checkout, _order: checkout.ledger.payments()),
        ("lease_until", lambda checkout, order: checkout.start("shop", order)),
    ],
)
def test_a_time_that_payhub_did_not_write_is_named(
    tmp_path: Path,
    sqlite_template: Path,
    order: Order,
    settings: dict[str, Any],
    column: str,
    look: Callable[[Checkout, Order], object],
) -> None:
    """SQLite, which has no times, keeps any text."""
    path = tmp_path / "times.db"
    path.write_bytes(sqlite_template.read_bytes())
    now = datetime.now(UTC)
    with Ledger(f"sqlite:///{path}") as ledger, Hub(load_accounts({"accounts": {"shop": settings}})) as hub:
        ledger.write(lambda c: changes.insert(c, "shop", "gpu", order, lease="other", until=now, now=now))
        ledger.write(lambda c: c.execute(text(f"UPDATE payhub_payments SET {column} = 'not a time'")))
        with pytest.raises(LedgerError, match=f"A1001.*{column}"):
            look(Checkout(hub, ledger), order)


@pytest.mark.parametrize(
    ("table", "values", "look"),
    [
        ("payhub_observations", "raw = 'not json'", lambda ledger: ledger.history("shop", "A1001")),
        ("payhub_observations", "raw = '[1]'", lambda ledger: ledger.history("shop", "A1001")),
        ("payhub_transitions", "anomaly = '[1]'", Ledger.outbox),
        ("payhub_transitions", "anomaly = 'not json'", Ledger.outbox),
        ("payhub_transitions", "name = 'settled'", Ledger.outbox),
    ],
)
def test_a_foreign_observation_or_transition_is_named_by_its_payment(
    open_checkout: Callable[..., Any],
    ledger: Ledger,
    platform: Any,
    gateway: Any,
    order: Order,
    paid: Any,
    table: str,
    values: str,
    look: Callable[[Ledger], object],
) -> None:
    """Instead of an error of the parser's."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    checkout.receive("shop", paid.notify())
    ledger.write(lambda c: c.execute(text(f"UPDATE {table} SET {values}")))
    with pytest.raises(LedgerError, match=r"A1001.*(observation|transition) that payhub did not write"):
        look(ledger)


def test_times_are_aware_and_in_utc(
    open_checkout: Callable[..., Any],
    ledger: Ledger,
    platform: Any,
    gateway: Any,
    order: Order,
    paid: Any,
) -> None:
    """Those of payments, observations and transitions."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    checkout.receive("shop", paid.notify())
    stored = ledger.payment("shop", "A1001")
    assert stored is not None
    times = [stored.payment.created_at, stored.payment.paid_at, stored.updated_at]
    times += [item.at for item in ledger.history("shop", "A1001")]
    times += [transition.at for transition in ledger.outbox()]
    for time in times:
        assert time is not None
        assert time.tzinfo is UTC


def test_an_observation_keeps_what_came_without_its_signature(
    open_checkout: Callable[..., Any],
    ledger: Ledger,
    platform: Any,
    gateway: Any,
    order: Order,
    paid: Any,
) -> None:
    """Where from, what it said, the raw fields."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    checkout.receive("shop", paid.notify())
    created, notified = ledger.history("shop", "A1001")
    assert (created.source, created.said) == ("create", "pending")
    assert (notified.source, notified.said, notified.paid_minor) == ("notify", "paid", 10_000)
    assert notified.raw["order_no"] == "A1001"
    assert "sign" not in notified.raw
    assert "secret" not in notified.raw


def test_deleting_a_payment_takes_along_what_belongs_to_it(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order, paid: Any
) -> None:
    """Its observations and transitions."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    checkout.receive("shop", paid.notify())
    ledger.write(lambda c: c.execute(text("DELETE FROM payhub_payments WHERE reference = 'A1001'")))
    for table in ("payhub_observations", "payhub_transitions"):
        assert ledger.read(lambda c, table=table: c.execute(text(f"SELECT count(*) FROM {table}")).scalar()) == 0


def test_lists_are_filtered_by_account_and_status(
    open_checkout: Callable[..., Any], ledger: Ledger, accept: Any, make_order: Callable[..., Order], paid: Any
) -> None:
    """The newest first, no more than asked for."""
    checkout = open_checkout(accept)
    for reference in ("A1", "A2", "A3"):
        checkout.start("shop", make_order(reference=reference))
    checkout.receive("shop", paid.notify("A2"))
    listed = [stored.payment.reference for stored in ledger.payments()]
    assert listed == ["A3", "A2", "A1"]
    assert [s.payment.reference for s in ledger.payments(status=PaymentStatus.PAID)] == ["A2"]
    assert ledger.payments(account="other") == []
    assert len(ledger.payments(limit=1)) == 1


def test_asyncio_reads_what_threads_read(
    open_checkout: Callable[..., Any], ledger: Ledger, platform: Any, gateway: Any, order: Order, paid: Any, url: str
) -> None:
    """Every look at the ledger, without holding up the event loop."""
    checkout = open_checkout(gateway(platform.create_reply()))
    checkout.start("shop", order)
    checkout.receive("shop", paid.notify(actual_amount="10001"))

    async def main() -> list[Any]:
        async with Ledger(url) as own:
            return [
                await own.apayment("shop", "A1001"),
                await own.apayment("shop", "A9999"),
                await own.apayments(account="shop", status=PaymentStatus.PAID),
                await own.aanomalies(),
                await own.ahistory("shop", "A1001"),
                await own.aoutbox(),
                await own.atransitions_of("shop", "A1001"),
                await own.aanomalies_of("shop", "A1001"),
                await own.atotals(),
                await own.aaccounts(),
                (await own.ahealth()).accounts,
                await own.aresolve("shop", "A1001", by="Li", reason="refunded by hand"),
            ]

    stored = ledger.payment("shop", "A1001")
    history, outbox = ledger.history("shop", "A1001"), ledger.outbox()
    assert [len(history), len(outbox)] == [2, 2]
    odd, health = ledger.anomalies(), ledger.health().accounts
    totals, accounts = ledger.totals(), ledger.accounts()
    looked = [stored, None, [stored], odd, history, outbox, outbox, odd, totals, accounts, health]
    assert asyncio.run(main()) == [*looked, len(odd)]


def test_what_is_due_is_found_by_index(ledger: Ledger) -> None:
    """Costs by what is pending, not by what is stored."""
    sql = (
        "SELECT id FROM payhub_payments WHERE account = 'shop' AND next_check_at <= '2026-01-01' ORDER BY next_check_at"
    )
    if ledger.engine.dialect.name == "sqlite":
        plan = ledger.read(lambda c: c.execute(text(f"EXPLAIN QUERY PLAN {sql}")).all())
    else:
        plan = ledger.read(
            lambda c: (c.execute(text("SET LOCAL enable_seqscan = off")), c.execute(text(f"EXPLAIN {sql}")).all())[1]
        )
    assert "payhub_payments_due_ix" in str(plan)
    assert "Sort" not in str(plan)


def test_a_ledger_lives_through_a_lost_connection(ledger: Ledger, order: Order) -> None:
    """As after a restart of the database: the connection at rest is replaced."""
    assert ledger._store.find("shop", order.reference) is None
    ((resting, _since),) = ledger._connections.resting
    resting.connection.dbapi_connection.close()
    assert ledger._store.find("shop", order.reference) is None
    assert resting not in {connection for connection, _since in ledger._connections.resting}


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_file_that_is_made_is_its_owners_alone(tmp_path: Path, colour: str) -> None:
    """It holds what people buy; one that is there keeps its mode."""
    before = os.umask(0)
    try:
        for name in ("new.db", "old.db"):
            path = tmp_path / name
            if name == "old.db":
                path.touch(0o640)
            with Ledger(f"sqlite:///{path}") as ledger:
                if colour == "sync":
                    ledger.upgrade()
                    modes = {stat.S_IMODE(it.stat().st_mode) for it in tmp_path.glob(f"{name}*")}
                else:
                    asyncio.run(_upgraded(ledger))
                    modes = {stat.S_IMODE(path.stat().st_mode)}
            assert modes == {0o640 if name == "old.db" else 0o600}
    finally:
        os.umask(before)


def test_one_who_looks_for_a_file_that_was_moved_costs_it_nothing(tmp_path: Path) -> None:
    """SQLite would make an empty one, and cut the log of the one that is away."""
    file, away = tmp_path / "payhub.db", tmp_path / "away.db"
    url = f"sqlite:///{file}"
    with Ledger(url) as running:
        running.upgrade()
        running.write(lambda c: c.execute(text("PRAGMA wal_autocheckpoint = 0")))
        running.write(lambda c: c.execute(text("CREATE TABLE sold (number INTEGER)")))
        running.write(lambda c: c.execute(text("INSERT INTO sold VALUES (7)")))
        file.rename(away)
        with Ledger(url) as looking, pytest.raises(LedgerError, match="is not there"):
            looking.payments()
        assert not file.exists()
        away.rename(file)
        with Ledger(url) as looking:
            assert looking.read(lambda c: c.execute(text("SELECT number FROM sold")).scalars().all()) == [7]


async def _upgraded(ledger: Ledger) -> None:
    await ledger.aupgrade()
    await ledger.aclose()


def test_what_a_task_leaves_open_on_sqlite_ends_when_the_connection_is_given_back(tmp_path: Path) -> None:
    """Else it would hold the file's lock at rest, and every writer would wait for it."""

    async def leave_open() -> None:
        async with Ledger(f"sqlite:///{tmp_path}/l.db") as ledger:
            await ledger.aupgrade()
            async with ledger.async_engine.connect() as connection:
                await connection.run_sync(begin)
            async with ledger.async_engine.connect() as connection:
                assert not (await connection.get_raw_connection()).driver_connection.in_transaction  # type: ignore[union-attr]

    asyncio.run(leave_open())


def test_a_task_records_in_three_hops_beside_its_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hop to the driver's thread keeps all other writers waiting."""
    hops: list[str] = []
    execute: Any = aiosqlite.Connection._execute

    async def counted(connection: object, function: Any, *args: object, **options: object) -> object:
        hops.append(getattr(function, "__qualname__", str(function)))
        return await execute(connection, function, *args, **options)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)

    async def handler(_transition: object, _connection: object) -> None:
        hops.append("handler")

    due, now = Money.of("88.00", "CNY"), datetime.now(UTC)
    order = Order(
        reference="A1001",
        amount=due,
        description="Tea",
        notify_url="https://shop.example/notify",
        return_url="https://shop.example/thanks",
    )
    paid = Payment(
        account="shop",
        provider="gpu",
        reference="A1001",
        status=PaymentStatus.PAID,
        amount=due,
        paid=due,
        gateway_id="P1",
    )

    async def receive() -> None:
        async with Ledger(f"sqlite:///{tmp_path}/l.db") as ledger:
            await ledger.aupgrade()
            row = await ledger.awrite(lambda c: changes.insert(c, "shop", "gpu", order, lease="", until=now, now=now))
            assert row is not None
            news = changes.heard(row, paid, "notify")
            hops.clear()
            await ledger._store.asettle(row, news, handler)
            assert len(hops) == 3
            assert hops[1] == "handler"

    asyncio.run(receive())


def test_what_is_tried_again_is_no_output(tmp_path: Path) -> None:
    """Of a program that has not configured logging, such as the command line over a file that another locks."""
    program = """if True:
        import sqlite3
        from payhub_core import LedgerError
        from payhub_core.ledger import Ledger, database
        other = sqlite3.connect("shop.db", isolation_level=None)
        other.execute("CREATE TABLE kept (id INTEGER)")
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO kept VALUES (1)")
        database._BUSY_SECONDS = 0.5
        try:
            Ledger("sqlite:///shop.db").upgrade()
        except LedgerError as error:
            print("locked" in str(error))
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_totals_of_more_digits_than_one_sum_has_are_totals(
    open_checkout: Any, accept: Any, make_order: Callable[..., Order], ledger: Ledger
) -> None:
    """In lists and in the report."""
    till = open_checkout(accept)
    for number in range(3):
        till.start("shop", make_order(reference=f"A{number}"))
    ledger.write(lambda c: c.execute(text("UPDATE payhub_payments SET amount_minor = 999999999999999")))
    (total,) = ledger.totals()
    assert total.due == Money.total(3 * (10**15 - 1), "CNY")
    assert sum(it.due.minor for it in ledger.read(report).pending) == 3 * (10**15 - 1)


async def _async_body(connection: Connection) -> None:
    connection.execute(text("DELETE FROM payhub_payments"))


def _generator(connection: Connection) -> Any:
    yield connection.execute(text("DELETE FROM payhub_payments"))


@pytest.mark.parametrize("body", [_async_body, _generator])
def test_a_body_of_which_nothing_would_run_is_refused(ledger: Ledger, body: Any) -> None:
    """An author of async handlers writes it so, and would read that it was done."""
    for run in (ledger.write, ledger.read):
        with pytest.raises(ConfigError, match="none of it would run"):
            run(body)

    async def awaited() -> None:
        for run in (ledger.awrite, ledger.aread):
            with pytest.raises(ConfigError, match="none of it would run"):
                await run(body)
        await ledger.aclose()

    asyncio.run(awaited())


class Begun(sqlite3.Connection):
    """As of Python 3.12 with ``autocommit=False``: a transaction has always begun, to read."""

    autocommit = False

    @property
    def in_transaction(self) -> bool:
        return True


def test_an_engine_that_begins_by_itself_to_read_is_refused_on_sqlite(sqlite_template: Path, tmp_path: Path) -> None:
    """A reader that becomes a writer half-way would be refused whenever another process writes."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.db", connect_args={"factory": Begun})
    with Ledger(engine) as ledger, pytest.raises(LedgerError, match="autocommit=False"):
        ledger.write(lambda connection: connection.execute(text("SELECT 1")))
    engine.dispose()
