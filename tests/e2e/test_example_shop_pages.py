"""The shop that a newcomer copies, without a browser: what it answers with."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from payhub_core import HtmlPage, Order, Payment, PaymentStatus
from payhub_sandbox.demo.shop import EXAMPLE


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's module, in a folder of its own."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "payhub.toml").write_text(
        'ledger = "sqlite:///shop.db"\n[accounts.shop]\nprovider = "dummy"\ndevelopment = true\n'
    )
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("example_shop", tmp_path / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_gateways_own_page_is_kept_away_from_the_shops(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its scripts run in a sandbox, as in docs/methods.md: they read neither the orders nor a cookie."""

    async def start(account: str, order: Order) -> Payment:
        page = HtmlPage(html="<script>fetch('/orders')</script>")
        return Payment(account=account, reference=order.reference, status=PaymentStatus.PENDING, next_action=page)

    monkeypatch.setattr(shop.checkout, "start", start)
    async with (
        shop.lifespan(shop.app),
        httpx.AsyncClient(transport=httpx.ASGITransport(shop.app), base_url="http://shop.example") as client,
    ):
        answer = await client.post("/buy/puer/alipay_h5")
    assert answer.text.startswith("<script>")
    policy = answer.headers["content-security-policy"].split()
    assert policy[0] == "sandbox"
    assert "allow-same-origin" not in policy
