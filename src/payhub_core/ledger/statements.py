"""The hot statements, as text that both databases understand.

SQLAlchemy's own execution costs more than the database does here (`bench/ledger.py`), so these run on the DBAPI cursor
beneath the given connection, in its transaction. What is not hot is written with SQLAlchemy's expressions.
"""

# ruff: noqa: S608  the names are those of the table's columns
from __future__ import annotations

import re
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from payhub_core.ledger.tables import payments, utc_text

__all__ = ["CHANGE", "CLAIM", "FIND", "INSERT", "NOTE", "TELL", "Result", "Statement"]


class Result(NamedTuple):
    """The rows that came back, and how many were changed."""

    rows: list[tuple[Any, ...]]
    changed: int


class Statement:
    """One statement, its parameters written ``:name``."""

    def __init__(self, sql: str, skip_locked: str = "") -> None:
        self.sqlite: str = sql.format(skip_locked="")
        self.postgresql: str = re.sub(r":([a-z_]+)", r"%(\1)s", sql.format(skip_locked=skip_locked))

    def __call__(self, connection: Connection, **values: Any) -> Result:
        """Runs in the connection's transaction; raises what the driver raises."""
        cursor: Any = connection.connection.cursor()
        try:
            if connection.dialect.name == "sqlite":
                cursor.execute(self.sqlite, plain_values(values))
            else:
                cursor.execute(self.postgresql, values)
            return Result(cursor.fetchall() if cursor.description else [], cursor.rowcount)
        finally:
            cursor.close()


def plain_values(values: dict[str, Any]) -> dict[str, Any]:
    """SQLite has no times: they become text."""
    return {key: utc_text(value) if type(value) is datetime else value for key, value in values.items()}


_columns = ", ".join(column.name for column in payments.columns)
_inserted = [column.name for column in payments.columns if column.name != "id"]
_changed = (
    *("state", "status", "facts", "gateway_id", "paid_minor", "paid_at", "next_action"),
    *("next_check_at", "attempts", "lease", "lease_until", "updated_at"),
)

FIND = Statement(f"SELECT {_columns} FROM payhub_payments WHERE account = :account AND reference = :reference")

INSERT = Statement(
    f"INSERT INTO payhub_payments ({', '.join(_inserted)}) VALUES ({', '.join(f':{name}' for name in _inserted)}) "
    f"ON CONFLICT (account, reference) DO NOTHING RETURNING {_columns}"
)

CHANGE = Statement(
    f"UPDATE payhub_payments SET {', '.join(f'{name} = :{name}' for name in _changed)}, version = version + 1 "
    "WHERE id = :id AND version = :version"
)

#: Takes the payment of an account that has been due the longest and that nobody else is asking about.
CLAIM = Statement(
    "UPDATE payhub_payments SET lease = :lease, lease_until = :until, version = version + 1 WHERE id = ("
    "SELECT id FROM payhub_payments WHERE account = :account AND next_check_at <= :now AND created_at <= :older "
    "AND (lease_until IS NULL OR lease_until <= :now) ORDER BY next_check_at LIMIT 1{skip_locked}"
    f") RETURNING {_columns}",
    skip_locked=" FOR UPDATE SKIP LOCKED",
)

NOTE = Statement(
    "INSERT INTO payhub_observations (payment_id, at, source, said, gateway_id, paid_minor, raw) "
    "VALUES (:payment_id, :at, :source, :said, :gateway_id, :paid_minor, :raw)"
)

TELL = Statement(
    "INSERT INTO payhub_transitions (payment_id, name, anomaly, at, delivered_at) "
    "VALUES (:payment_id, :name, :anomaly, :at, :delivered_at) ON CONFLICT (payment_id, name) DO NOTHING"
)
