"""The database: engines for threads and asyncio, how a transaction begins and ends, the schema's version."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import OperationalError
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from sqlalchemy import URL, Column, Connection, Engine, String, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import PoolResetState

from payhub_core.errors import ConfigError, LedgerError
from payhub_core.ledger.sql import begin, run
from payhub_core.ledger.tables import VERSION_TABLE, metadata
from payhub_core.retries import stamina

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "KEPT",
    "LEAVE",
    "SCHEMA",
    "TRUSTED_SECONDS",
    "alive",
    "alone",
    "async_engine",
    "atomically",
    "called",
    "check_open",
    "check_schema",
    "clock",
    "create",
    "discard",
    "exclusive",
    "is_async",
    "parse_url",
    "release_on_cancel",
    "sync_engine",
    "upgrade",
    "versions",
]

T = TypeVar("T")
EngineT = TypeVar("EngineT", Engine, "AsyncEngine")

#: The newest migration.
SCHEMA = "0003"

_ENDED = "the handler has ended the transaction that it was lent"
LEAVE = "a handler leaves commit and rollback to payhub, and lets the database's errors through"
_BUSY_SECONDS = 10
#: A connection that was used so lately is not asked whether it lives.
TRUSTED_SECONDS = 0.1
#: So many connections are kept open once they were needed at one time, and as many more are opened for a rush: opening
#: one costs more than what is done with it.
KEPT = 20
_ENCODED = "percent-encode what is special in a password: '@' is %40, ':' is %3A, '/' is %2F"
_UPGRADE_LOCK = 0x7061796875  # any number that nobody else locks
_SYNC = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
_ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def parse_url(text: str) -> URL:
    """The database's URL; raises ConfigError, which never quotes it, for it may hold a password."""
    where = getattr(text, "place", "ledger")
    if "://" not in text:
        hint = (
            "three slashes before a file in the current folder, four before one elsewhere: sqlite:////srv/payhub.db; "
            "of a server it is postgresql://user:password@host/database"
        )
        raise ConfigError(f"{where}: expected a database URL, such as sqlite:///payhub.db", hint=hint)
    try:
        url = _parsed(text)
    except (ArgumentError, ValueError):
        raise ConfigError(f"{where}: expected a database URL such as sqlite:///payhub.db", hint=_ENCODED) from None
    if "@" in (url.host or ""):
        raise ConfigError(f"{where}: the database URL has an '@' too many", hint=_ENCODED)
    if url.get_backend_name() not in _SYNC:
        raise ConfigError(
            f"{where}: expected SQLite or PostgreSQL, not {url.get_backend_name()}",
            hint="sqlite:///payhub.db or postgresql://user:password@host/database",
        )
    if url.get_backend_name() == "sqlite" and _is_memory(url):
        if url.host:
            raise ConfigError(f"{where}: expected three slashes before a file's name", hint="as in sqlite:///payhub.db")
        raise ConfigError(f"{where}: payments are not kept in memory", hint="sqlite:///payhub.db names a file")
    return url


def _parsed(text: str) -> URL:
    if not re.match(r"postgres", text):
        return make_url(text)
    from payhub_core.ledger.postgresql import postgresql_url  # noqa: PLC0415  only where psycopg is needed

    return postgresql_url(text)


def sync_engine(url: URL) -> Engine:
    """An engine for threads; raises ConfigError."""
    return _prepared(create_engine, url.set(drivername=_SYNC[url.get_backend_name()]))


def async_engine(url: URL) -> AsyncEngine:
    """An engine for asyncio; raises ConfigError."""
    try:
        # It loads SQLAlchemy's ORM as well: a fifth of the time that a process takes to start.
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    except ImportError as missing:
        raise ConfigError(
            "the ledger cannot be used with asyncio: greenlet is not installed",
            hint="pip install 'payhub-core[ledger]'",
        ) from missing
    return _prepared(create_async_engine, url.set(drivername=_ASYNC[url.get_backend_name()]))


def is_async(engine: object) -> TypeGuard[AsyncEngine]:
    """Whether it is an engine for asyncio: nobody has one who has not loaded SQLAlchemy's package for it."""
    loaded = sys.modules.get("sqlalchemy.ext.asyncio")
    return loaded is not None and isinstance(engine, loaded.AsyncEngine)


def atomically(
    connection: Connection, body: Callable[[Connection], T], *, write: bool = True, whole: bool = False
) -> T:
    """Runs ``body`` in one transaction and commits; raises LedgerError where the transaction is not what it seems.

    A body that is the ``whole`` of it begins by itself, and may commit, as `sql.several` does.
    """
    with connection.begin() as transaction:
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == "postgresql":
            from payhub_core.ledger.postgresql import limited  # noqa: PLC0415

            if driver.autocommit:
                raise LedgerError("the engine commits each statement by itself", hint="leave its isolation_level alone")
            limited(connection)
        elif write and not whole:
            begin(connection)
        result = body(connection)
        if not transaction.is_active:
            raise LedgerError(_ENDED, hint=LEAVE)
        if write and not whole and connection.dialect.name == "sqlite":
            check_open(connection)
    return result


def alive(connection: Connection) -> bool:
    """Whether the database still answers on ``connection``, which may have rested through a restart of the server."""
    driver: Any = connection.connection.dbapi_connection
    try:
        return connection.dialect.do_ping(driver)
    except connection.dialect.loaded_dbapi.Error:
        return False


def discard(connection: Connection) -> None:
    """Gives a connection back; one that is broken is thrown away, and nothing is said to the server over it."""
    if not connection.closed and not connection.invalidated and connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        if driver.closed:
            connection.invalidate()
    connection.close()


def alone(connection: Connection, body: Callable[[Connection], T]) -> T:
    """Runs ``body``, a single reading statement, outside any transaction: on a server one round trip, not three."""
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        return body(connection)  # sqlite3 begins no transaction for a SELECT
    if not (driver.pgconn.parameter_status(b"DateStyle") or b"ISO").startswith(b"ISO"):
        return atomically(connection, body, write=False)  # which sets it
    from payhub_core.ledger import postgresql  # noqa: PLC0415

    try:
        with postgresql.alone(driver):
            result = body(connection)
    except BaseException:
        connection.invalidate()  # nobody shall find it in that mode
        raise
    return result


def clock(connection: Connection) -> datetime:
    """What time it is for everyone who shares the database: leases are held against each other by it."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = run(connection, "SELECT clock_timestamp()").rows[0][0]
    return now.astimezone(UTC)


def exclusive(connection: Connection, what: str) -> None:
    """Waits until no other transaction is about ``what``, and holds up the next; SQLite's writers wait anyhow."""
    if connection.dialect.name == "postgresql":
        run(connection, "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [what])


def check_open(connection: Connection) -> None:
    """Raises LedgerError where a handler has ended or broken the transaction that it was lent."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        fine = driver.in_transaction
    else:
        fine = driver.info.transaction_status.name == "INTRANS"
    if not fine:
        raise LedgerError(_ENDED, hint=LEAVE)


def check_encoding(connection: Connection) -> None:
    """Raises LedgerError for a database on PostgreSQL that cannot hold any text, as another encoding than UTF-8."""
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        encoding = driver.info.parameter_status("server_encoding") or "UTF8"
        if encoding != "UTF8":
            raise LedgerError(
                f"{called(connection.engine.url)} has the encoding {encoding}, the ledger needs UTF8",
                hint="make another: CREATE DATABASE payhub ENCODING 'UTF8' TEMPLATE template0",
            )


def check_schema(connection: Connection) -> None:
    """Raises LedgerError unless the tables are those of this version, in a database that holds any text."""
    check_encoding(connection)
    found = versions(connection)
    if not found:
        raise LedgerError(f"{called(connection.engine.url)} has no ledger yet", hint="run: payhub ledger upgrade")
    if found != {SCHEMA}:
        raise LedgerError(
            f"{called(connection.engine.url)} has ledger schema {', '.join(sorted(found))}, "
            f"this version of payhub needs {SCHEMA}",
            hint="run: payhub ledger upgrade; where it does not know the schema, payhub is older than the database",
        )


def called(url: URL) -> str:
    """The database: a file by its whole path, since most often the folder is a wrong one; a server by name and host.

    Nothing else of a URL is shown, and no name with an "@", which may be the rest of a password.
    """
    name = url.database or ""
    if url.get_backend_name() == "sqlite":
        file = name if not name or name.startswith("file:") else str(Path(name).absolute())
        return f"the database {file}".rstrip()
    given = url.host or url.query.get("host", ())
    hosts = given if isinstance(given, str) else ",".join(given)
    place = f" at {hosts}{f':{url.port}' if url.port else ''}" if hosts else ""
    return f"the database{f' {name}' if name and '@' not in name else ''}{place}"


def upgrade(connection: Connection, to: str = SCHEMA) -> str:
    """Brings the tables to the version ``to``, in several processes at once if need be; returns the one they had.

    Alembic's operations without its environment, which is one for the process and would be the application's too, and
    which reads folders. Raises LedgerError for a schema from the future.
    """
    check_encoding(connection)
    with ExitStack() as stack:
        if connection.dialect.name == "postgresql":
            from payhub_core.ledger.postgresql import patiently  # noqa: PLC0415

            stack.enter_context(patiently(connection))
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _UPGRADE_LOCK})
        return _migrate(connection, to)


def _migrate(connection: Connection, to: str) -> str:
    from alembic.migration import MigrationContext  # noqa: PLC0415  no other use of the ledger needs it
    from alembic.operations import Operations  # noqa: PLC0415

    from payhub_core.ledger.migrations.versions import MIGRATIONS  # noqa: PLC0415

    found = versions(connection)
    if unknown := found - {migration.revision for migration in MIGRATIONS}:
        raise LedgerError(
            f"{called(connection.engine.url)} has ledger schema {', '.join(sorted(unknown))}, "
            "which this version of payhub does not know",
            hint="install the version of payhub that made it, or a later one",
        )
    op = Operations(MigrationContext.configure(connection, opts={"target_metadata": metadata}))
    for migration in MIGRATIONS:
        if max(found, default="") < migration.revision <= to:
            migration.upgrade(op)
    if not found:
        op.create_table(VERSION_TABLE, Column("version_num", String(32), primary_key=True))
        op.execute(f"INSERT INTO {VERSION_TABLE} VALUES ('{to}')")  # noqa: S608
    op.execute(f"UPDATE {VERSION_TABLE} SET version_num = '{to}' WHERE version_num < '{to}'")  # noqa: S608
    return max(found, default="")


def versions(connection: Connection) -> set[str]:
    """The schema versions that the database says it has."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return set()
    return set(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars())  # noqa: S608


def release_on_cancel(engine: Engine) -> None:
    """Lets a cancelled transaction on SQLite go: closed inside it, it would lock the file while a cursor lives."""
    if engine.dialect.driver == "aiosqlite":
        event.listen(engine, "invalidate", lambda connection, _record, _error: connection.rollback())


def _prepared(create: Callable[..., EngineT], url: URL) -> EngineT:
    lite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"pool_pre_ping": not lite, "pool_size": KEPT, "max_overflow": KEPT}
    if url.get_driver_name() == "aiosqlite":
        options["pool_reset_on_return"] = None  # see `_rolled_back`
    connect: dict[str, Any] = {"timeout": _BUSY_SECONDS}
    try:
        if not lite:
            from payhub_core.ledger import postgresql  # noqa: PLC0415

            url, connect = postgresql.arguments(url)
        # Parameters hold what payers typed: they stay out of error messages.
        engine = create(url, hide_parameters=True, connect_args=connect, **options)
    except (ArgumentError, TypeError, ValueError):
        raise ConfigError("ledger: the database URL has an option that does not fit") from None
    if lite:
        plain = engine if isinstance(engine, Engine) else engine.sync_engine
        event.listen(plain, "do_connect", _present)
        event.listen(plain, "connect", _durable)
        if plain is not engine:
            plain.dialect.do_commit = _commit  # type: ignore[assignment, method-assign]
            event.listen(plain, "reset", _rolled_back)
    else:
        postgresql.prepare(engine, TRUSTED_SECONDS)
    return engine


def _present(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    """Opens a file that is there, and makes none: an empty one in its place would cost it its write-ahead log."""
    path = str(arguments[0])
    if not _is_file(path):
        return
    if not os.path.exists(path):  # noqa: PTH110  it runs for every connection
        raise LedgerError(
            f"the database {path} is not there",
            hint="see the folder and the URL; for a new ledger run: payhub ledger upgrade",
        )
    arguments[0], options["uri"] = f"{Path(path).as_uri()}?mode=rw", True


def create(url: URL) -> None:
    """Makes the file of a new ledger on SQLite, its owner's alone; SQLite gives those beside it the same mode.

    Raises LedgerError where it cannot be made, and where a write-ahead log lies there without its file: what it
    holds would be lost.
    """
    if url.get_backend_name() != "sqlite" or not _is_file(url.database or ""):
        return
    path = Path(url.database or "").absolute()
    try:
        if not path.exists() and Path(f"{path}-wal").stat().st_size:
            raise LedgerError(
                f"the database {path} is gone, and its write-ahead log is still there",
                hint="put the file back; where there is none, move what lies beside it away",
            )
    except OSError:
        pass  # there is no such log
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise LedgerError(
            f"the database {path} cannot be made: {error.strerror}", hint="its folder has to be there, and writable"
        ) from None


def _is_memory(url: URL) -> bool:
    name = (url.database or ":memory:").removeprefix("file:")
    return name == ":memory:" or url.query.get("mode") == "memory"


def _is_file(path: str) -> bool:
    """Whether SQLite is given a file by its path, and no memory or address of its own."""
    return path not in {"", ":memory:"} and not path.startswith("file:")


def _commit(connection: Any) -> None:
    """Of what is committed already there is no need to hop to aiosqlite's thread."""
    if connection.driver_connection.in_transaction:
        connection.commit()


def _rolled_back(connection: Any, _record: object, state: PoolResetState) -> None:
    """Ends what a connection of aiosqlite that is given back has left open: most have nothing, and need no hop."""
    if state.asyncio_safe and connection.driver_connection.in_transaction:
        connection.rollback()


def _durable(connection: Any, _record: object) -> None:
    """A commit on SQLite is on the disk, and readers do not wait for writers."""
    cursor = connection.cursor()
    # For a change of the mode by another process SQLite does not wait by itself.
    for attempt in stamina().retry_context(OperationalError, attempts=None, timeout=_BUSY_SECONDS, wait_max=0.2):
        with attempt:
            cursor.execute("PRAGMA journal_mode = WAL")
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
