"""Real servers on loopback, a client that sends bytes, and a shop whose checkout only has a hub."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway import PlatformOfToday
from tests.web.servers import Response, send, serve_aiohttp, serve_asgi, serve_wsgi, serve_wsgiref
from tests.web.shops import AsyncTill, Shop, Till, loaded

from payhub_core import Callback, CallbackKind, Hub, Order, load_accounts


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def http() -> Callable[..., Response]:
    return send


@pytest.fixture(scope="session")
def serve() -> types.SimpleNamespace:
    return types.SimpleNamespace(asgi=serve_asgi, aiohttp=serve_aiohttp, wsgi=serve_wsgi, wsgiref=serve_wsgiref)


@pytest.fixture(scope="session")
def open_shop(settings: dict[str, Any], make_order: Callable[..., Order]) -> Callable[[Path], Shop]:
    return lambda folder: Shop(folder, settings, make_order)


@pytest.fixture(scope="session")
def recipe() -> Callable[..., contextlib.AbstractContextManager[types.ModuleType]]:
    return loaded


@pytest.fixture
def hub(settings: dict[str, Any]) -> Iterator[Hub]:
    with Hub(load_accounts({"accounts": {"shop": settings}})) as hub:
        yield hub


@pytest.fixture
def till(hub: Hub) -> Till:
    return Till(hub)


@pytest.fixture
def async_till(till: Till) -> AsyncTill:
    return AsyncTill(till)


@pytest.fixture(scope="session")
def platform() -> PlatformOfToday:
    return PlatformOfToday()


@pytest.fixture
def paid(platform: Any) -> bytes:
    """A genuine notify: the order is paid."""
    return platform.body(platform.notify())


@pytest.fixture
def came_back(platform: Any) -> bytes:
    """A genuine return: the payer says that the order is paid."""
    return platform.body({"order_no": "A1001", "pay_status": "1"})


@pytest.fixture
def notify(platform: Any, paid: bytes) -> Callback:
    return platform.callback(paid, kind=CallbackKind.NOTIFY)
