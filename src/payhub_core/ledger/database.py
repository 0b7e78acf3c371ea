"""The database: engines of both colours, how a transaction begins and ends, the schema's version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from payhub_core.errors import ConfigError, LedgerError
from payhub_core.ledger.tables import VERSION_TABLE

__all__ = ["SCHEMA", "alone", "async_engine", "atomically", "check_schema", "parse_url", "sync_engine", "upgrade"]

T = TypeVar("T")

#: The newest migration.
SCHEMA = "0001"

_BUSY_SECONDS = 10
_UPGRADE_LOCK = 0x7061796875  # any number that nobody else locks
_SYNC = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
_ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def parse_url(text: str) -> URL:
    """The database's URL; raises ConfigError, which never quotes it, for it may hold a password."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError("ledger: expected a database URL such as sqlite:///payhub.db") from None
    if url.get_backend_name() not in _SYNC:
        raise ConfigError(
            f"ledger: expected SQLite or PostgreSQL, not {url.get_backend_name()}",
            hint="sqlite:///payhub.db or postgresql://user:password@host/database",
        )
    if url.get_backend_name() == "sqlite" and (url.database or ":memory:") == ":memory:":
        raise ConfigError("ledger: payments are not kept in memory", hint="sqlite:///payhub.db names a file")
    return url


def sync_engine(url: URL) -> Engine:
    """An engine for threads."""
    engine = create_engine(url.set(drivername=_SYNC[url.get_backend_name()]), **_options(url))
    _prepare(engine)
    return engine


def async_engine(url: URL) -> AsyncEngine:
    """An engine for asyncio."""
    engine = create_async_engine(url.set(drivername=_ASYNC[url.get_backend_name()]), **_options(url))
    _prepare(engine.sync_engine)
    return engine


def atomically(connection: Connection, body: Callable[[Connection], T], *, write: bool = True) -> T:
    """Runs ``body`` in one transaction and commits; raises LedgerError where the transaction is not what it seems."""
    with connection.begin() as transaction:
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == "postgresql":
            if driver.autocommit:
                raise LedgerError("the engine commits each statement by itself", hint="leave its isolation_level alone")
        elif write and not driver.in_transaction:
            # From the start: a reader that becomes a writer half-way is refused at once, whatever the busy time-out.
            cursor = connection.connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            cursor.close()
        result = body(connection)
        if not transaction.is_active or (write and connection.dialect.name == "sqlite" and not driver.in_transaction):
            raise LedgerError("the transaction was ended inside", hint="a handler leaves commit and rollback to payhub")
    return result


def alone(connection: Connection, body: Callable[[Connection], T]) -> T:
    """Runs ``body``, a single reading statement, outside any transaction: on a server one round trip, not three."""
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        return body(connection)  # sqlite3 begins no transaction for a SELECT
    try:
        driver.autocommit = True
        result = body(connection)
        driver.autocommit = False
    except BaseException:
        connection.invalidate()  # nobody shall find it in that mode
        raise
    return result


def check_schema(connection: Connection) -> None:
    """Raises LedgerError unless the tables are those of this version."""
    found = versions(connection)
    if not found:
        raise LedgerError("the database has no ledger yet", hint="run: payhub ledger upgrade")
    if found != {SCHEMA}:
        raise LedgerError(
            f"the database has ledger schema {', '.join(sorted(found))}, this version of payhub needs {SCHEMA}",
            hint="run: payhub ledger upgrade; where it does not know the schema, payhub is older than the database",
        )


def upgrade(connection: Connection) -> None:
    """Brings the tables to this version, in several processes at once if need be.

    Raises LedgerError for a schema from the future.
    """
    from alembic import command  # noqa: PLC0415  no other use of the ledger needs it
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _UPGRADE_LOCK})
    config = Config()
    config.set_main_option("script_location", "payhub_core.ledger:migrations")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if unknown := versions(connection) - known:
        raise LedgerError(
            f"the database has ledger schema {', '.join(sorted(unknown))}, which this version of payhub does not know",
            hint="install the version of payhub that made it, or a later one",
        )
    command.upgrade(config, "head")


def versions(connection: Connection) -> set[str]:
    """The schema versions that the database says it has."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return set()
    return set(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars())  # noqa: S608


def _options(url: URL) -> dict[str, Any]:
    connect = {"timeout": _BUSY_SECONDS} if url.get_backend_name() == "sqlite" else {"connect_timeout": 5}
    # Parameters hold what payers typed: they stay out of error messages.
    return {"hide_parameters": True, "connect_args": connect, "pool_pre_ping": url.get_backend_name() != "sqlite"}


def _prepare(engine: Engine) -> None:
    """A commit on SQLite is on the disk, and readers do not wait for writers."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
