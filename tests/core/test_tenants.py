"""Accounts at run time: a mapping over the application's own table, keys rotated under load, many tenants."""

from __future__ import annotations

import gc
import sqlite3
import threading
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from payhub_core import BadSignature, ConfigError, Hub, PayhubError, Provider, load_account
from payhub_core.hub import MOST_OPEN
from payhub_gpu import Gpu


class Tenants(Mapping[str, Provider]):
    """The table of merchants, as the page shows it."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, check_same_thread=False)
        self.lock = threading.Lock()
        self.asked = 0
        with self.lock, self.database:
            self.database.execute("PRAGMA synchronous = OFF")
            self.database.execute("CREATE TABLE tenants (name TEXT PRIMARY KEY, appid TEXT, secret TEXT)")

    def put(self, name: str, appid: str, secret: str) -> None:
        with self.lock, self.database:
            self.database.execute("INSERT OR REPLACE INTO tenants VALUES (?, ?, ?)", (name, appid, secret))

    def __getitem__(self, name: str) -> Provider:
        self.asked += 1
        with self.lock:
            row = self.database.execute("SELECT appid, secret FROM tenants WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise KeyError(name)
        settings = {"provider": "gpu", "base_url": "https://gateway.example", "appid": row[0], "secret": row[1]}
        return load_account(name, settings)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("nobody walks through a table of tenants")

    def __len__(self) -> int:
        raise AssertionError("nobody counts the tenants")


@pytest.fixture
def tenants(tmp_path: Path) -> Iterator[Tenants]:
    table = Tenants(tmp_path / "tenants.db")
    yield table
    table.database.close()


def test_a_hub_asks_its_mapping_when_it_is_asked_itself(tenants: Tenants, platform: Any) -> None:
    """Once for a name; a merchant that comes later is served without a restart."""
    with Hub(tenants) as hub:
        with pytest.raises(ConfigError, match="there is no account 'tea'"):
            hub.parse_callback("tea", platform.callback(platform.notify()))
        tenants.put("tea", platform.appid, platform.secret)
        for _ in range(3):
            assert hub.parse_callback("tea", platform.callback(platform.notify())).payment
    assert tenants.asked == 2


def test_a_key_is_rotated_under_load(tenants: Tenants, platform: Any) -> None:
    """After `forget` no call begins with the old key, whoever is opening the account at that moment."""
    keys = ["the-old-key-of-the-tenant-01", "the-new-key-of-the-tenant-02"]
    tenants.put("tea", platform.appid, keys[0])
    messages = [platform.callback(platform.notify(), secret=key) for key in keys]
    stop, failures = threading.Event(), []

    def hear() -> None:
        while not stop.is_set():
            try:
                hub.parse_callback("tea", messages[0])
            except BadSignature:
                pass
            except Exception as error:
                failures.append(error)

    with Hub(tenants) as hub:
        threads = [threading.Thread(target=hear) for _ in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(40):
            new = turn % 2
            tenants.put("tea", platform.appid, keys[new])
            hub.forget("tea")
            assert hub.parse_callback("tea", messages[new]).payment
            with pytest.raises(BadSignature):
                hub.parse_callback("tea", messages[1 - new])
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.mark.proof
def test_ten_thousand_tenants_take_the_memory_of_those_that_are_open(tenants: Tenants, platform: Any) -> None:
    """What was opened first makes room; it is opened again when it is needed."""
    with tenants.lock, tenants.database:
        rows = [(f"t{number}", f"gpu{number}", f"the-key-of-the-tenant-{number}") for number in range(10_000)]
        tenants.database.executemany("INSERT INTO tenants VALUES (?, ?, ?)", rows)
    with Hub(tenants) as hub:
        tracemalloc.start()
        sizes = []
        for number in range(10_000):
            hub[f"t{number}"]
            if number in {2_000, 9_999}:
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(hub._open) == len(hub._merchants) == MOST_OPEN
        assert sizes[1] < 1.1 * sizes[0]
        callback = platform.callback(platform.notify(appid="gpu0"), secret="the-key-of-the-tenant-0")
        assert hub.parse_callback("t0", callback).payment


def test_one_merchant_under_two_names_is_refused_at_every_door(tenants: Tenants, platform: Any, settings: Any) -> None:
    """A dict of providers at once; a mapping when the second of the two is opened; and not once it was forgotten."""
    account = Gpu(**{key: value for key, value in settings.items() if key != "provider"})
    with pytest.raises(ConfigError, match="'one' and 'two' have the same provider and appid"):
        Hub({"one": account, "two": account})
    tenants.put("one", platform.appid, platform.secret)
    tenants.put("two", platform.appid, platform.secret)
    with Hub(tenants) as hub:
        assert hub["one"].name == "one"
        with pytest.raises(ConfigError, match="'one' and 'two' have the same provider and appid"):
            hub["two"]
        hub.forget("one")
        assert hub["two"].name == "two"


def test_a_table_that_cannot_be_read_is_one_of_our_errors(tenants: Tenants, platform: Any) -> None:
    """With its cause."""
    with tenants.lock, tenants.database:
        tenants.database.execute("DROP TABLE tenants")
    with Hub(tenants) as hub, pytest.raises(PayhubError, match="accounts could not be read") as caught:
        hub.parse_callback("tea", platform.callback(platform.notify()))
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


@pytest.mark.parametrize("found", [None, {"provider": "gpu"}, Gpu, ConfigError("broken")])
def test_a_table_that_gives_no_provider_is_a_configuration_error(found: Any) -> None:
    """Such as the settings of one, that nobody has loaded; it names the tenant, so that no gateway is answered 404."""

    class Table(Tenants):
        def __init__(self) -> None: ...

        def __getitem__(self, _name: str) -> Any:
            return found

    with Hub(Table()) as hub, pytest.raises(ConfigError, match=r"\[account tea\] expected a provider, not "):
        hub["tea"]


def test_a_provider_object_among_settings_is_named_by_its_type_alone() -> None:
    """Its text may hold a secret."""

    @dataclass
    class Careless:
        key: str

    with pytest.raises(ConfigError, match=r'a class or "module:Class", not Careless') as error:
        load_account("shop", {"provider": Careless("hidden")})
    assert "hidden" not in str(error.value)


def test_a_provider_is_tried_before_it_is_installed(settings: Any) -> None:
    """Its class, or where the class is."""
    for provider in (Gpu, "payhub_gpu:Gpu"):
        assert isinstance(load_account("shop", {**settings, "provider": provider}), Gpu)
    for wrong in ("payhub_gpu:Gpo", "no_such_module:Gpu", "json:JSONDecoder", dict):
        with pytest.raises(ConfigError, match="is broken"):
            load_account("shop", {**settings, "provider": wrong})


@pytest.mark.parametrize(("name", "given"), [("Shop", {}), ("shop", []), ("shop", {}), (5, {}), ("shop", None)])
def test_an_account_that_is_none_says_what_was_expected(name: Any, given: Any) -> None:
    """One of our errors."""
    with pytest.raises(ConfigError):
        load_account(name, given)
