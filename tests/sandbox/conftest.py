"""A sandbox in its own process, a shop that it can notify, and a merchant that signs as the protocol says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from tests.sandbox.parties import MERCHANTS, Customer, Eventually, Shop

from payhub_sandbox import SandboxProcess, Settings


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxProcess]:
    """One sandbox for the session, impatient enough for tests."""
    with SandboxProcess(Settings(merchants=MERCHANTS, resend_interval=0.2, notify_timeout=1.0)) as process:
        yield process


@pytest.fixture
def sandbox(running: SandboxProcess) -> SandboxProcess:
    """The sandbox, empty."""
    running.reset()
    return running


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop that runs."""
    shop = Shop()
    yield shop
    shop.close()


@pytest.fixture
def customer(sandbox: SandboxProcess, shop: Shop) -> Iterator[Customer]:
    """A merchant of the sandbox that runs the shop."""
    customer = Customer(sandbox.url, shop)
    yield customer
    customer.http.close()


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition holds, at most five seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.01)

    return wait
