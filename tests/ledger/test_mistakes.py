"""The mistakes that people make in a ledger's URL, each with the whole text that they are told; never a password."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from payhub_core import AsyncHub, ConfigError, Hub, InvalidOrder, LedgerError, PaymentStatus, load_accounts, load_config
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger, changes

KINDS = "Hint: sqlite:///payhub.db or postgresql://user:password@host/database"
ENCODE = "Hint: percent-encode what is special in a password: '@' is %40, ':' is %3A, '/' is %2F"
SLASHES = (
    "Hint: three slashes before a file in the current folder, four before one elsewhere: sqlite:////srv/payhub.db; "
    "of a server it is postgresql://user:password@host/database"
)
URL = f"ledger: expected a database URL, such as sqlite:///payhub.db. {SLASHES}"
URLS: dict[str, tuple[Any, str]] = {
    "MySQL": ("mysql://shop:canary@db/shop", f"ledger: expected SQLite or PostgreSQL, not mysql. {KINDS}"),
    "a driver of MySQL": (
        "mysql+pymysql://shop:canary@db/shop",
        f"ledger: expected SQLite or PostgreSQL, not mysql. {KINDS}",
    ),
    "a misspelt scheme": ("sqllite:///payhub.db", f"ledger: expected SQLite or PostgreSQL, not sqllite. {KINDS}"),
    "another misspelt scheme": (
        "postgressql://shop:canary@db/shop",
        f"ledger: expected SQLite or PostgreSQL, not postgressql. {KINDS}",
    ),
    "a relative path": ("payhub.db", URL),
    "a whole path": ("/srv/payhub.db", URL),
    "a path of Windows": ("C:\\payhub.db", URL),
    "one slash": ("sqlite:/payhub.db", URL),
    "nothing": ("", URL),
    "two slashes": (
        "sqlite://payhub.db",
        "ledger: expected three slashes before a file's name. Hint: as in sqlite:///payhub.db",
    ),
    "memory that is shared": (
        "sqlite:///file::memory:?cache=shared&uri=true",
        "ledger: payments are not kept in memory. Hint: sqlite:///payhub.db names a file",
    ),
    "memory by its mode": (
        "sqlite:///file:shop?mode=memory&cache=shared&uri=true",
        "ledger: payments are not kept in memory. Hint: sqlite:///payhub.db names a file",
    ),
    "memory": ("sqlite://", "ledger: payments are not kept in memory. Hint: sqlite:///payhub.db names a file"),
    "an at sign in a password": (
        "postgresql://shop:can@ry@db/shop",
        f"ledger: the database URL has an '@' too many. {ENCODE}",
    ),
    "a port that is none": (
        "postgresql://shop:canary@db:port/shop",
        f"ledger: expected a database URL such as sqlite:///payhub.db. {ENCODE}",
    ),
    "a Path": (Path("payhub.db"), "ledger: expected a database URL or an engine, not PosixPath"),
    "a number": (5, "ledger: expected a database URL or an engine, not int"),
    "none": (
        None,
        ('no ledger is configured. Hint: set ledger = "sqlite:///payhub.db" in the configuration, or PAYHUB_LEDGER'),
    ),
}


@pytest.mark.parametrize("mistake", URLS)
def test_a_mistake_in_the_url(mistake: str) -> None:
    """At once, and without the password."""
    url, told = URLS[mistake]
    with pytest.raises(ConfigError) as error:
        Ledger(url)
    assert str(error.value) == told


@pytest.mark.parametrize("value", ["canary", "mysql://shop:canary@db/shop", "postgresql://shop:can@ry@db/shop"])
def test_a_mistake_in_the_url_names_where_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """The file, or the variable that wins over it."""
    file = tmp_path / "payhub.toml"
    file.write_text(f'ledger = "{value}"\n')
    with pytest.raises(ConfigError, match=f"^{file}: ledger: (expected|the database URL)") as error:
        Ledger(load_config(file).ledger)
    monkeypatch.setenv("PAYHUB_LEDGER", value)
    with pytest.raises(ConfigError, match=r"^ledger \(from PAYHUB_LEDGER\): (expected|the database URL)") as second:
        Ledger(load_config(file).ledger)
    assert "can" not in f"{error.value}{second.value}".replace(str(file), "")


def test_a_database_without_tables_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is of the folder that the program was started in; what another program made is no ledger."""
    monkeypatch.chdir(tmp_path)
    Path("payhub.db").touch()
    with Ledger("sqlite:///payhub.db") as ledger, pytest.raises(LedgerError) as error:
        ledger.payments()
    assert str(error.value) == f"the database {tmp_path}/payhub.db has no ledger yet. Hint: run: payhub ledger upgrade"


def test_a_database_that_is_not_there_is_named_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not made by one who only looks."""
    monkeypatch.chdir(tmp_path)
    with Ledger("sqlite:///payhub.db") as ledger, pytest.raises(LedgerError) as error:
        ledger.payments()
    assert str(error.value) == (
        f"the database {tmp_path}/payhub.db is not there. "
        "Hint: see the folder and the URL; for a new ledger run: payhub ledger upgrade"
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The file is made, its folder is not."""
    with Ledger(f"sqlite:///{tmp_path}/nowhere/payhub.db") as ledger, pytest.raises(LedgerError) as error:
        ledger.upgrade()
    assert str(error.value) == (
        f"the database {tmp_path}/nowhere/payhub.db cannot be made: No such file or directory. "
        "Hint: its folder has to be there, and writable"
    )


def test_a_database_that_left_its_log_behind(tmp_path: Path) -> None:
    """What the log holds is of the file that is gone: a new one would cut it."""
    log = tmp_path / "payhub.db-wal"
    log.write_bytes(b"payments")
    with Ledger(f"sqlite:///{tmp_path}/payhub.db") as ledger, pytest.raises(LedgerError) as error:
        ledger.upgrade()
    assert str(error.value) == (
        f"the database {tmp_path}/payhub.db is gone, and its write-ahead log is still there. "
        "Hint: put the file back; where there is none, move what lies beside it away"
    )
    assert [it.name for it in tmp_path.iterdir()] == [log.name]
    assert log.read_bytes() == b"payments"


@pytest.mark.parametrize(("checkout", "hub"), [(Checkout, AsyncHub), (AsyncCheckout, Hub)])
def test_a_hub_of_the_other_colour(checkout: Any, hub: Any, tmp_path: Path) -> None:
    """Which would be awaited by nobody, or not at all."""
    with Ledger(f"sqlite:///{tmp_path}/payhub.db") as ledger, pytest.raises(ConfigError) as error:
        checkout(hub(load_accounts({})), ledger)
    expected = "AsyncHub" if hub is Hub else "Hub"
    assert str(error.value) == (
        f"expected {expected}, not {hub.__name__}. "
        "Hint: Hub goes with Checkout, AsyncHub with AsyncCheckout; a Ledger is made of a URL"
    )


def test_a_url_where_a_ledger_belongs() -> None:
    """The checkout opens no database by itself."""
    with Hub(load_accounts({})) as hub, pytest.raises(ConfigError) as error:
        Checkout(hub, "sqlite:///payhub.db")  # type: ignore[arg-type]
    assert str(error.value).startswith("expected Ledger, not str. Hint: ")


QUESTIONS: dict[str, tuple[Callable[[Ledger], object], str]] = {
    "an unknown status": (lambda it: it.payments(status="payed"), "status: expected one of pending, "),  # type: ignore[arg-type]
    "another kind of word": (lambda it: it.totals(creation="paid"), "creation: expected one of starting, "),  # type: ignore[arg-type]
    "an unknown anomaly": (lambda it: it.anomalies(kind="odd"), "kind: expected one of "),  # type: ignore[arg-type]
    "a limit that no database has": (lambda it: it.payments(limit=10**30), "expected a limit of zero or more"),
    "a limit of the outbox": (lambda it: it.outbox(limit=-1), "expected a limit of zero or more"),
    "a limit of anomalies": (lambda it: it.anomalies(limit="5"), "expected a limit of zero or more"),  # type: ignore[arg-type]
    "a number for a reference": (lambda it: it.payment("shop", 1001), "reference: expected text, not int"),  # type: ignore[arg-type]
    "nobody": (lambda it: it.resolve("shop", "A1", by=None, reason="x"), "expected who has resolved"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("mistake", QUESTIONS)
def test_a_mistake_in_what_a_ledger_is_asked(mistake: str, ledger: Ledger) -> None:
    """In one of payhub's errors, with what was expected."""
    ask, told = QUESTIONS[mistake]
    with pytest.raises((ConfigError, InvalidOrder), match=told):
        ask(ledger)


def test_the_word_for_a_status_is_as_good_as_the_status(ledger: Ledger) -> None:
    """As the command line has it."""
    assert ledger.payments(status="paid") == ledger.payments(status=PaymentStatus.PAID) == []  # type: ignore[arg-type]
    assert ledger.anomalies(kind="overpaid") == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payhub_payments SET next_check_at = '0'",
        "UPDATE payhub_transitions SET at = '0'",
        "UPDATE payhub_observations SET at = '3000-13-01'",
        "INSERT INTO payhub_heartbeats VALUES ('', 'pass', '0', '')",
    ],
)
def test_a_time_that_somebody_has_edited_is_named(
    tmp_path: Path, sqlite_template: Path, settings: dict[str, Any], make_order: Any, paid: Any, statement: str
) -> None:
    """By the figures too, which compare it; SQLite takes any text."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    with (
        Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger,
        Hub(load_accounts({"accounts": {"shop": settings}})) as hub,
    ):
        now = datetime.now(UTC)
        for reference in ("A1001", "A1002"):
            order = make_order(reference=reference)
            ledger.write(lambda c, it=order: changes.insert(c, "shop", "gpu", it, lease="", until=now, now=now))
        assert Checkout(hub, ledger).receive("shop", paid.notify("A1001")).body == b"SUCCESS"
        assert ledger.health().accounts
        ledger.write(lambda c: c.execute(text(statement)))
        with pytest.raises(LedgerError, match="a time that payhub did not write"):
            ledger.health()
