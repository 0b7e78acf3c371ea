"""The SQL of the hot paths, as text that both databases understand.

SQLAlchemy's own execution costs more than the database does here (`bench/ledger.py`), so these run on the DBAPI cursor
beneath the given connection, in its transaction. What is not hot is written with SQLAlchemy's expressions.
"""

# ruff: noqa: S608  the names are those of the table's columns
from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import await_only

from payhub_core.errors import LedgerError
from payhub_core.ledger.rows import FIXED, Row
from payhub_core.ledger.times import utc_text

__all__ = [
    "ADD_OBSERVATION",
    "ADD_TRANSITION",
    "CHANGE",
    "CLAIM",
    "FIND",
    "INSERT",
    "WAIT_BEHIND",
    "Result",
    "Statement",
    "at_once",
    "begin",
    "find_several",
    "lock_several",
    "run",
    "several",
]

T = TypeVar("T")

_NAME = re.compile(r":([a-z_]+)")


class Result(NamedTuple):
    """The rows that came back, and how many were changed."""

    rows: list[tuple[Any, ...]]
    changed: int


class Statement:
    """One statement, its parameters written ``:name``; they are handed over by place, which drivers do fastest."""

    def __init__(self, sql: str, on_postgresql: str = "") -> None:
        names = _NAME.findall(sql)
        self.sqlite: str = _NAME.sub("?", sql.format(on_postgresql=""))
        self.postgresql: str = _NAME.sub("%s", sql.format(on_postgresql=on_postgresql))
        self._named = itemgetter(*names)
        self._attributes = attrgetter(*names)

    def values(self, **values: Any) -> tuple[Any, ...]:
        """``values`` in the places of the statement."""
        placed: tuple[Any, ...] = self._named(values)
        return placed

    def values_of(self, row: Row) -> tuple[Any, ...]:
        """Those of ``row``."""
        placed: tuple[Any, ...] = self._attributes(row)
        return placed

    def __call__(self, connection: Connection, **values: Any) -> Result:
        """Runs with ``values``."""
        return self.run(connection, self._named(values))

    def of(self, connection: Connection, row: Row) -> Result:
        """Runs with the values of ``row``."""
        return self.run(connection, self._attributes(row))

    def many(self, connection: Connection, several: Sequence[tuple[Any, ...]]) -> int:
        """Runs for each of ``several``, on a server in one round trip; returns how many rows were changed."""
        if not several:
            return 0
        cursor: Any = connection.connection.cursor()
        try:
            if connection.dialect.name == "sqlite":
                cursor.executemany(self.sqlite, map(_lite, several))
            else:
                cursor.executemany(self.postgresql, several)
            changed: int = cursor.rowcount
            return changed
        finally:
            cursor.close()

    def run(self, connection: Connection, values: tuple[Any, ...]) -> Result:
        """Runs in the connection's transaction; raises what the driver raises."""
        if connection.dialect.name == "sqlite":  # which has no times: they become text
            return run(connection, self.sqlite, _lite(values))
        return run(connection, self.postgresql, values)


def run(connection: Connection, sql: str, values: Sequence[object] = ()) -> Result:
    """Runs a statement, its parameters written as the driver has them; raises what the driver raises."""
    if connection.dialect.driver == "aiosqlite":
        return at_once(connection, lambda beneath: run(beneath, sql, values))
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(sql, values)
        # The driver's description would say so, too, at the price of an object for each column.
        has_rows = sql.startswith("SELECT") or " RETURNING " in sql
        return Result(cursor.fetchall() if has_rows else [], cursor.rowcount)
    finally:
        cursor.close()


def at_once(connection: Connection, work: Callable[[Connection], T]) -> T:
    """Does ``work``, which runs statements of this module and nothing else; on aiosqlite with one hop to its thread.

    By itself the driver goes there and back three times for each statement, and the turn to write is held meanwhile.
    """
    if connection.dialect.driver != "aiosqlite":
        return work(connection)
    driver: Any = connection.connection.driver_connection
    beneath: Any = _Beneath(driver._conn)  # noqa: SLF001  aiosqlite has no public way to run a function in its thread
    done: T = await_only(driver._execute(work, beneath))  # noqa: SLF001
    return done


def several(
    connection: Connection, statements: Sequence[tuple[Statement, tuple[Any, ...]]], *, commit: bool = False
) -> list[int]:
    """Runs ``statements`` in a writing transaction, which it begins if need be; returns how many rows each changed.

    Where the first one changes nothing, SQLite is not given the others. A server is sent all of them in one round trip,
    so that each has to have a condition of its own there. To aiosqlite's thread it is one hop. With ``commit`` the
    COMMIT goes along; where a statement fails, nothing is committed.
    """
    if connection.dialect.name == "postgresql":
        from payhub_core.ledger.postgresql import one_trip  # noqa: PLC0415  only where psycopg is needed

        return one_trip(connection, [(it.postgresql, values) for it, values in statements], commit=commit)

    def work(beneath: Connection) -> list[int]:
        begin(beneath)
        changed: list[int] = []
        for it, values in statements:
            changed.append(it.run(beneath, values).changed if all(changed[:1]) else 0)
        if commit:
            driver: Any = beneath.connection.driver_connection
            driver.commit()
        return changed

    return at_once(connection, work)


class _Beneath:
    """The connection of sqlite3 beneath one of aiosqlite, as statements use it."""

    dialect: Dialect = SQLiteDialect_pysqlite()

    def __init__(self, driver: sqlite3.Connection) -> None:
        self.connection: _Beneath = self
        self.driver_connection: sqlite3.Connection = driver
        self.cursor: Callable[[], sqlite3.Cursor] = driver.cursor


#: Seconds between two tries to write, where another process has the file.
_PAUSE = 0.002


def begin(connection: Connection) -> None:
    """Begins a writing transaction on SQLite, unless one has begun; on PostgreSQL the driver begins it.

    To write from the start: a reader that becomes a writer half-way is refused at once, whatever the busy time-out.
    """
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        return
    if not driver.in_transaction:
        at_once(connection, _begin_to_write)
    elif getattr(driver, "autocommit", None) is False:  # Python 3.12: it begins by itself, to read
        raise LedgerError(
            "the engine has autocommit=False, with which a writer on SQLite is refused half-way",
            hint="leave autocommit out of its connect_args",
        )


def _begin_to_write(connection: Connection) -> None:
    """Asks for the file every few milliseconds, as long as the connection may wait.

    SQLite's own pauses grow to a tenth of a second, and in them a process whose writers follow each other takes the
    file again and again: others waited for seconds.
    """
    driver: Any = connection.connection.driver_connection
    ((patience,),) = driver.execute("PRAGMA busy_timeout")
    until = monotonic() + patience / 1000
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                    raise
            else:
                return
            sleep(_PAUSE)
    finally:
        driver.execute(f"PRAGMA busy_timeout = {patience}")


def _lite(values: Sequence[object]) -> list[object]:
    return [utc_text(value) if type(value) is datetime else value for value in values]


_columns = ", ".join(Row._fields)
_inserted = Row._fields[1:]  # the database gives the id
_changed = [name for name in Row._fields if name not in FIXED]

FIND = Statement(f"SELECT {_columns} FROM payhub_payments WHERE account = :account AND reference = :reference")


def find_several(connection: Connection, wanted: Sequence[tuple[str, str]]) -> list[Row]:
    """`FIND` for several payments of PostgreSQL's, given by account and reference."""
    places = ", ".join(["(%s, %s)"] * len(wanted))
    sql = f"SELECT {_columns} FROM payhub_payments WHERE (account, reference) IN ({places})"
    found = run(connection, sql, [text for pair in wanted for text in pair])
    return [Row._make(row) for row in found.rows]


def lock_several(connection: Connection, ids: list[int]) -> list[Row]:
    """Those of the payments that no other transaction has, locked and as they are now; on PostgreSQL."""
    sql = f"SELECT {_columns} FROM payhub_payments WHERE id = ANY(%s) ORDER BY id FOR UPDATE SKIP LOCKED"
    return [Row._make(row) for row in run(connection, sql, [ids]).rows]


INSERT = Statement(
    f"INSERT INTO payhub_payments ({', '.join(_inserted)}) VALUES ({', '.join(f':{name}' for name in _inserted)}) "
    "ON CONFLICT (account, reference) DO NOTHING RETURNING id"
)

CHANGE = Statement(
    f"UPDATE payhub_payments SET {', '.join(f'{name} = :{name}' for name in _changed)} "
    "WHERE id = :id AND version = :version - 1"
)

#: Takes the payment of an account that has been due the longest and that nobody else is asking about.
CLAIM = Statement(
    "UPDATE payhub_payments SET lease = :lease, lease_until = :until, version = version + 1 WHERE id = ("
    "SELECT id FROM payhub_payments WHERE account = :account AND next_check_at <= :now AND created_at <= :older "
    "AND (lease_until IS NULL OR lease_until <= :now) ORDER BY next_check_at LIMIT 1{on_postgresql}"
    f") RETURNING {_columns}",
    on_postgresql=" FOR UPDATE SKIP LOCKED",
)

#: Adds an observation to a payment of that version. Where a handler has rolled back the change that made the version,
#: no payment is found: payment_id would be NULL, and the database refuses the row.
ADD_OBSERVATION = Statement(
    "INSERT INTO payhub_observations (payment_id, at, source, said, gateway_id, paid_minor, raw) VALUES ("
    "(SELECT id FROM payhub_payments WHERE id = :payment_id AND version = :version), "
    ":at, :source, :said, :gateway_id, :paid_minor, :raw)"
)

#: Adds a transition, unless the payment has one of that name. PostgreSQL is sent it together with `CHANGE`, before
#: anyone knows whether that changed the row. Where another transaction was quicker, the row's xmin is that one's
#: number, and no transition is added.
ADD_TRANSITION = Statement(
    "INSERT INTO payhub_transitions (payment_id, name, anomaly, at, delivered_at, due_at, attempts) "
    "SELECT id, :name, :anomaly, :at, :delivered_at, :at, 0 FROM payhub_payments WHERE id = :payment_id{on_postgresql} "
    "ON CONFLICT (payment_id, name) DO NOTHING",
    on_postgresql=" AND xmin = CAST(pg_current_xact_id() AS xid)",
)

#: Lets a transition wait that was just added as a handler's, where an earlier one of its payment waits.
WAIT_BEHIND = Statement(
    "UPDATE payhub_transitions SET delivered_at = NULL WHERE payment_id = :payment_id AND name = :name "
    "AND delivered_at = :at AND EXISTS (SELECT 1 FROM payhub_transitions AS earlier WHERE "
    "earlier.payment_id = :payment_id AND earlier.id < payhub_transitions.id AND earlier.delivered_at IS NULL)"
)
