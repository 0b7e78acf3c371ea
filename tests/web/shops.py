"""What the endpoint serves: a shop with a real checkout, tills that remember in memory, and the recipes of the docs."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx

from payhub_core import AsyncHub, Callback, CallbackError, Hub, Order, Payment, Reply, load_accounts
from payhub_core.checkout import AsyncCheckout, Checkout
from payhub_core.ledger import Ledger

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


class Shop:
    """A shop with a real checkout and a SQLite ledger in ``folder``; ``fulfilled`` is what its handlers were told."""

    def __init__(self, folder: Path, settings: dict[str, Any], make_order: Callable[..., Order]) -> None:
        self.accounts = load_accounts({"accounts": {"shop": settings}})
        self.make_order = make_order
        self.fulfilled: list[str] = []
        self.hub = Hub(self.accounts, client=httpx.Client(transport=httpx.MockTransport(self._gateway)))
        self.ledger = Ledger(f"sqlite:///{folder / 'shop.db'}")
        self.ledger.upgrade()
        self.checkout = Checkout(self.hub, self.ledger, handler=self.fulfil)
        self.async_hub = AsyncHub(self.accounts)
        self.async_checkout = AsyncCheckout(self.async_hub, self.ledger, handler=self.fulfil_async)

    def start(self, reference: str) -> None:
        self.checkout.start("shop", self.make_order(reference=reference))

    def fulfil(self, transition: Any, connection: Any) -> None:
        if transition.anomaly is None:
            self.fulfilled.append(transition.payment.reference)

    async def fulfil_async(self, transition: Any, connection: Any) -> None:
        if transition.anomaly is None:
            self.fulfilled.append(transition.payment.reference)

    def _gateway(self, request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(request.content.decode()))
        data = {key: form[key] for key in ("order_no", "amount", "bank_code")}
        data |= {"pay_status": "-1", "redirect_url": "https://gateway.example/pay", "platform_order_no": "P1"}
        return httpx.Response(200, json={"status": 1, "message": "ok", "data": data})


class Till:
    """A checkout without a ledger: remembers in memory which orders it has settled. ``fail`` is raised instead."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.callbacks: list[Callback] = []
        self.references: list[str | None] = []
        self.settled: set[str] = set()
        self.fail: Exception | None = None

    def receive(self, account: str, callback: Callback) -> Reply:
        self.callbacks.append(callback)
        if self.fail is not None:
            raise self.fail
        info = self.hub[account].info
        try:
            notification = self.hub.parse_callback(account, callback)
        except CallbackError as error:
            return info.refusal(error)
        payment = notification.payment
        assert payment is not None
        self.settled.add(payment.reference)
        return notification.reply

    def view(self, account: str, callback: Callback, *, reference: str | None = None) -> Payment:
        self.callbacks.append(callback)
        self.references.append(reference)
        if self.fail is not None:
            raise self.fail
        payment = self.hub.parse_callback(account, callback).payment
        assert payment is not None
        return payment


class AsyncTill:
    """A `Till`, awaited."""

    def __init__(self, till: Till) -> None:
        self.till = till

    async def receive(self, account: str, callback: Callback) -> Reply:
        return self.till.receive(account, callback)

    async def view(self, account: str, callback: Callback, *, reference: str | None = None) -> Payment:
        return self.till.view(account, callback, reference=reference)


@contextlib.contextmanager
def loaded(name: str, **shop: Any) -> Iterator[types.ModuleType]:
    """A recipe of the docs, its ``shop`` module being what is given."""
    module = types.ModuleType("shop")
    module.__dict__.update(shop)
    sys.modules["shop"] = module
    handlers, level = logging.root.handlers[:], logging.root.level  # Litestar takes hold of the root logger
    try:
        spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(recipe)
        yield recipe
    finally:
        sys.modules.pop("shop", None)
        logging.root.handlers[:], logging.root.level = handlers, level
