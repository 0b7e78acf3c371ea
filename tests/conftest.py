"""What every test may ask for: the gateway's side of the protocol, its answers, an order, a hub of either colour."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import stamina
from tests.gateway import Gateway, Platform
from tests.hubs import HUBS, EitherHub, opening

from payhub_core import Money, Order, PaymentMethod

# Each module is compiled once, and not by every process that tests start, as where an image forbids to keep what was.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Databases, and checkouts over them: for the folders `ledger`, `checkout` and `cli`.
pytest_plugins = ["tests.databases", "tests.checkouts"]

# The same examples on every run: what breaks here breaks for everyone. The first one reads tables for two seconds.
hypothesis.settings.register_profile(
    "payhub",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("payhub")


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no search for garbage has to go through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Retries are counted, not waited for."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own configuration stays outside."""
    for variable in list(os.environ):
        if variable.upper().startswith("PAYHUB_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def few_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for the sum that was signed tries a hundredth: `core/kit/test_mismatch.py` has it try all."""
    monkeypatch.setattr("payhub_core.kit.signing_rules._MOST_SUMS", 1_000)


@pytest.fixture(scope="session")
def platform() -> Platform:
    """Signs, notifies and replies as the gateway does."""
    return Platform()


@pytest.fixture(scope="session")
def gateway() -> type[Gateway]:
    """``gateway(reply, ...)`` gives these answers, by turn."""
    return Gateway


@pytest.fixture(scope="session")
def settings(platform: Platform) -> dict[str, Any]:
    """One account's settings, as a configuration has them."""
    return {
        "provider": "gpu",
        "base_url": "https://gateway.example",
        "appid": platform.appid,
        "secret": platform.secret,
    }


@pytest.fixture(scope="session")
def make_order() -> Callable[..., Order]:
    """``make_order(amount=...)`` is an order with these changes."""

    def make(**changes: Any) -> Order:
        values: dict[str, Any] = {
            "reference": "A1001",
            "amount": Money.of("100.00", "CNY"),
            "description": "Tea",
            "method": PaymentMethod.ALIPAY_H5,
            "notify_url": "https://shop.example/pay/shop/notify",
            "return_url": "https://shop.example/thanks",
            **changes,
        }
        return Order(**values)

    return make


@pytest.fixture(scope="session")
def order(make_order: Callable[..., Order]) -> Order:
    return make_order()


@pytest.fixture(params=HUBS)
def open_hub(request: pytest.FixtureRequest, settings: dict[str, Any]) -> Iterator[Callable[..., EitherHub]]:
    """Opens a hub of either colour over scripted answers, or over real sockets where there are none."""
    with opening(request.param, settings) as open_hub:
        yield open_hub


@pytest.fixture
def hub(open_hub: Callable[..., EitherHub]) -> EitherHub:
    """A hub whose gateway is never asked."""
    return open_hub(Gateway(AssertionError("nothing is to be sent")))
