"""Providers found by entry point: only those that are named, and a broken one stops only its own account."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from payhub_core import ConfigError, PayhubError, load_accounts

GOOD = """
from typing import ClassVar
from pydantic import BaseModel
from payhub_core import *
class Thing(BaseModel):
    info: ClassVar = ProviderInfo(name="NAME", identity=(), methods=set(PaymentMethod), currencies=frozenset({"CNY"}))
    timeout: float = 5
    @hookimpl
    def create_payment(self, order): return Payment(reference=order.reference, status=PaymentStatus.PENDING)
    @hookimpl
    def parse_callback(self, callback): raise BadSignature("x")
    @hookimpl
    def query(self, reference): raise NotFound("x")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a throw-away distribution with one module and one entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    count = 0

    def install(provider: str, source: str, *, target: str = "Thing", distribution: str = "") -> None:
        nonlocal count
        count += 1
        module = f"throwaway_{tmp_path.name.replace('-', '_')}_{count}"
        distribution = distribution or f"throwaway-{count}"
        (tmp_path / f"{module}.py").write_text(source.replace("NAME", provider))
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[payhub.providers]\n{provider} = {module}:{target}\n")

    return install


def config(settings: dict[str, Any], **accounts: dict[str, Any]) -> dict[str, Any]:
    return {"accounts": {"shop": settings, **accounts}}


def test_an_installed_provider_is_found(install: Any, settings: Any, open_hub: Any, order: Any) -> None:
    """By the name that the configuration uses."""
    install("thing", GOOD)
    accounts = load_accounts(config(settings, other={"provider": "thing"}))
    assert open_hub(accounts=accounts).create_payment("other", order).provider == "thing"


def test_a_provider_that_is_not_named_is_never_imported(install: Any, settings: Any) -> None:
    """The configuration is the allow-list."""
    install("explosive", 'raise SystemExit("imported")')
    load_accounts(config(settings))
    assert not any(name.startswith("throwaway_") and "explosive" in name for name in sys.modules)


BROKEN = {
    "import fails": ("1 / 0", "ZeroDivisionError"),
    "a dependency is missing": ("import no_such_module_anywhere", "ModuleNotFoundError"),
    "bad syntax": ("def", "SyntaxError"),
    "no such class": ("x = 1", "AttributeError"),
    "no class": ("Thing = 5", "class"),
    "an unhashable object": ("Thing = []", "broken"),
    "no info": ("class Thing: pass", "info"),
    "an identity that is no setting": (GOOD.replace("identity=()", "identity=('merchant',)"), "merchant"),
    "an identity that is a text": (GOOD.replace("identity=()", "identity='key'"), "names of settings"),
    "a time limit for no hook": (GOOD.replace("identity=()", "identity=(), time_limits={'refund': 5}"), "refund"),
    "no currency": (GOOD.replace('{"CNY"}', "{}"), "ISO 4217"),
    "a currency that is none": (GOOD.replace('"CNY"', '"RMB"'), "RMB"),
    "a pattern that is none": (GOOD.replace("identity=()", "identity=(), reference='['"), "regular expression"),
    "another name": (GOOD.replace("NAME", "other"), "other"),
    "a hook is missing": (
        GOOD.replace("def query", "def status").replace("    @hookimpl\n    def status", "    def status"),
        "query",
    ),
    "a hook is not marked": (GOOD.replace("    @hookimpl\n    def query", "    def query"), "query"),
    "a hook is misspelt": (GOOD + "    @hookimpl\n    def refnd(self, order): pass\n", "refnd"),
    "a hook is nearly right": (GOOD.replace("def query", "def qeury"), "did you mean 'query'"),
    "a hook is async": (GOOD.replace("def query", "async def query"), "async"),
    "a hook is an async flow": (
        GOOD.replace('def query(self, reference): raise NotFound("x")', "async def query(self, reference): yield 1"),
        "async",
    ),
    "an unknown argument": (GOOD.replace("query(self, reference)", "query(self, order_no)"), "order_no"),
    "a keyword-only argument": (GOOD.replace("query(self, reference)", "query(self, *, reference)"), "reference"),
    "any arguments": (GOOD.replace("query(self, reference)", "query(self, **arguments)"), "arguments"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_provider_stops_only_its_own_account(
    install: Any, settings: Any, platform: Any, open_hub: Any, order: Any, fault: str
) -> None:
    """The others work; it says what is wrong when it is asked for, each time anew."""
    source, reason = BROKEN[fault]
    install("broken", source)
    accounts = load_accounts(config(settings, other={"provider": "broken", "key": "canary"}))
    hub = open_hub(accounts=accounts)
    assert hub.parse_callback("shop", platform.callback(platform.notify())).payment.reference == "A1001"
    lengths = []
    for _ in range(2):
        with pytest.raises(ConfigError, match=reason) as caught:
            hub.create_payment("other", order)
        assert "broken" in str(caught.value)
        assert "other" in str(caught.value)
        assert "canary" not in str(caught.value)
        lengths.append(len(caught.traceback))
    assert lengths[0] == lengths[1]


def test_two_distributions_that_claim_one_name_are_an_error(install: Any, settings: Any) -> None:
    """Which would be imported is a matter of the path, and of who was there first."""
    install("thing", GOOD, distribution="honest-thing")
    install("thing", GOOD, distribution="squatting-thing")
    with pytest.raises(ConfigError, match="honest-thing, squatting-thing"):
        load_accounts(config(settings, other={"provider": "thing"}))
    assert load_accounts(config(settings))


SETTINGS_FAULTS = {
    "crash": "    def __init__(self, **k): raise KeyError('canary')\n",
    "ours": "    def __init__(self, **k): raise InvalidOrder('bad key')\n",
}


@pytest.mark.parametrize("fault", SETTINGS_FAULTS)
def test_a_provider_that_fails_over_its_settings_is_a_configuration_error(
    install: Any, settings: Any, fault: str
) -> None:
    """At start, naming the account."""
    install("thing", GOOD + SETTINGS_FAULTS[fault])
    with pytest.raises(ConfigError, match="account other") as caught:
        load_accounts(config(settings, other={"provider": "thing"}))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("timeout", ["0", "-1", "None", '"5"', "float('nan')"])
def test_a_provider_without_a_time_out_does_not_start(install: Any, settings: Any, timeout: str) -> None:
    """No call waits for ever, whoever wrote the plugin."""
    install("thing", GOOD.replace("timeout: float = 5", f"timeout: ClassVar = {timeout}"))
    with pytest.raises(ConfigError, match="timeout"):
        load_accounts(config(settings, other={"provider": "thing"}))


def test_a_provider_may_be_no_pydantic_model(install: Any, settings: Any) -> None:
    """Any class that takes its settings as keywords."""
    source = GOOD.replace("(BaseModel)", "").replace("timeout: float = 5", "timeout = 5")
    install("thing", source + "    def __init__(self, key): self.key = key\n")
    accounts: Any = load_accounts(config(settings, other={"provider": "thing", "key": "value"}))
    assert accounts["other"].key == "value"
    with pytest.raises(PayhubError, match="TypeError"):
        load_accounts(config(settings, other={"provider": "thing", "kye": "value"}))


@pytest.mark.parametrize("key", ["['a']", "{}", None])
def test_an_identity_that_cannot_be_compared_is_a_configuration_error(install: Any, settings: Any, key: Any) -> None:
    """One that is a list, or no attribute at all of a provider that is no pydantic model."""
    source = GOOD.replace("(BaseModel)", "").replace("timeout: float = 5", "timeout = 5")
    install("thing", source.replace("identity=()", "identity=('key',)") + (f"    key = {key}\n" if key else ""))
    with pytest.raises(ConfigError, match=r"\[account other\] info.identity: key cannot tell merchants apart"):
        load_accounts(config(settings, other={"provider": "thing"}))


def test_a_provider_given_directly_is_checked_on_first_use(open_hub: Any, order: Any) -> None:
    """Without a configuration, by the same rules."""

    class Half:
        info = None
        timeout = 5

    with pytest.raises((ConfigError, AttributeError)):
        open_hub(accounts={"shop": Half()}).create_payment("shop", order)
