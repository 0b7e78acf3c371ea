"""An account that was renamed, re-pointed or dropped while orders are under way: an error with a way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from payhub_core import ConfigError, PaymentStatus
from payhub_core.cli.commands import payhub
from payhub_core.ledger import Ledger

DUMMY = {"provider": "dummy", "development": True}


@pytest.fixture
def under_way(
    open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Any, make_due: Callable[[], None]
) -> None:
    """An order that was started at ``shop``, and is due to be asked about."""
    open_checkout(gateway(platform.create_reply())).start("shop", order)
    make_due()


@pytest.fixture
def later(open_checkout: Callable[..., Any], platform: Any, gateway: Any, make_order: Any) -> None:
    """Another, which is not due yet."""
    reply = platform.create_reply(order_no="A1002", platform_order_no="P1002")
    open_checkout(gateway(reply)).start("shop", make_order(reference="A1002"))


@pytest.mark.usefixtures("under_way", "later")
def test_a_renamed_account_says_how_many_orders_it_left_behind_and_what_to_do(
    open_checkout: Callable[..., Any], settings: Any
) -> None:
    """Put back under its old name, it settles them."""
    renamed = open_checkout(accounts={"tea": settings})
    for _ in range(2):
        summary = renamed.reconcile()
        assert summary.asked == 0
        assert "there is no account 'shop', which has unsettled orders: 2" in summary.errors["shop"]
        assert "back under this name" in summary.errors["shop"]
        assert "payhub ledger retire shop" in summary.errors["shop"]


@pytest.mark.usefixtures("under_way")
def test_a_re_pointed_account_says_so_and_what_to_do(open_checkout: Callable[..., Any], order: Any) -> None:
    """Nothing is asked of a gateway that never had the order."""
    pointed = open_checkout(accounts={"shop": DUMMY})
    with pytest.raises(ConfigError, match=r"started at provider 'gpu'.*'dummy'.*name of its own") as caught:
        pointed.refresh("shop", order.reference)
    assert "payhub ledger retire shop" in str(caught.value)
    stored = pointed.ledger.payment("shop", order.reference)
    assert stored.payment.status is PaymentStatus.PENDING


@pytest.mark.usefixtures("under_way")
def test_a_retired_account_is_not_asked_about_and_still_heard(
    open_checkout: Callable[..., Any], settings: Any, paid: Any, order: Any, ledger: Ledger
) -> None:
    """Its orders stay, and a notify that comes after all settles one."""
    assert [stored.payment.reference for stored in ledger.payments(unsettled=True)] == [order.reference]
    assert ledger.retire("other") == 0
    assert ledger.retire("shop") == 1
    assert ledger.retire("shop") == 0
    assert ledger.payments(unsettled=True) == []
    assert open_checkout(accounts={"tea": settings}).reconcile().errors == {}
    checkout = open_checkout()
    assert checkout.receive("shop", paid.notify()).body == b"SUCCESS"
    stored = ledger.payment("shop", order.reference)
    assert stored is not None
    assert stored.payment.status is PaymentStatus.PAID


@pytest.mark.usefixtures("under_way")
def test_what_is_heard_of_a_retired_account_asks_no_more(
    open_checkout: Callable[..., Any], platform: Any, gateway: Any, order: Any, paid: Any, ledger: Ledger
) -> None:
    """Neither an answer to whoever asked when it was retired, nor a look by hand, nor a notify that settles nothing."""

    def retiring(_request: Any) -> Any:
        ledger.retire("shop")
        return platform.query_reply(pay_status=-1)

    assert open_checkout(retiring).reconcile().asked == 1
    assert ledger.payments(unsettled=True) == []
    open_checkout(gateway(platform.query_reply(pay_status=-1))).refresh("shop", order.reference)
    assert ledger.payments(unsettled=True) == []
    open_checkout().receive("shop", paid.notify(pay_status="0"))
    stored = ledger.payment("shop", order.reference)
    assert stored is not None
    assert stored.payment.status is PaymentStatus.FAILED
    assert ledger.payments(unsettled=True) == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.usefixtures("under_way")
async def test_the_same_from_asyncio(url: str) -> None:
    """Awaited."""
    async with Ledger(url) as ledger:
        assert len(await ledger.apayments(account="shop", unsettled=True)) == 1
        assert await ledger.aretire("shop") == 1
        assert await ledger.apayments(unsettled=True) == []


@pytest.mark.usefixtures("under_way")
def test_the_commands_drain_and_retire(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/switching.md has them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYHUB_LEDGER", url)
    listed = ["payments", "list", "--account", "shop", "--unsettled"]
    assert "A1001" in CliRunner().invoke(payhub, listed).output
    configured = tmp_path / "payhub.toml"
    configured.write_text('[accounts.shop]\nprovider = "dummy"\ndevelopment = true\n')
    kept = CliRunner().invoke(payhub, ["ledger", "retire", "shop"])
    assert kept.exit_code == 1
    assert "is configured, so its orders can still be asked about" in kept.output.replace("\n", " ")
    assert "A1001" in CliRunner().invoke(payhub, listed).output
    configured.unlink()
    result = CliRunner().invoke(payhub, ["ledger", "retire", "shop"])
    assert result.output == "unsettled orders of shop that are not asked about any more: 1\n"
    assert "A1001" not in CliRunner().invoke(payhub, listed).output
    assert "A1001" in CliRunner().invoke(payhub, listed[:-1]).output
