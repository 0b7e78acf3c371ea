"""Another provider by editing the configuration: the application's code stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from payhub_core import ConfigError, PaymentStatus, load_accounts, load_config

PAPER = '''
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from payhub_core import Callback, Notification, Order, Payment, PaymentMethod, PaymentStatus, Redirect, hookimpl
from payhub_core import ProviderInfo


class Paper(BaseModel):
    """A gateway that asks nobody and believes no callback."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="paper", identity=("desk",), methods=frozenset(PaymentMethod), currencies=frozenset({"CNY"})
    )
    desk: str
    timeout: float = 1.0

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        return self._payment(order.reference).model_copy(update={"next_action": Redirect(url=self.desk)})

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        raise NotImplementedError

    @hookimpl
    def query(self, reference: str) -> Payment:
        return self._payment(reference)

    def _payment(self, reference: str) -> Payment:
        return Payment(reference=reference, status=PaymentStatus.PENDING)
'''


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another provider, installed as any plugin is: a module, and an entry point that names it."""
    (tmp_path / "site" / "payhub_paper-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "payhub_paper.py").write_text(PAPER, "utf-8")
    metadata = tmp_path / "site" / "payhub_paper-1.0.dist-info"
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: payhub-paper\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text("[payhub.providers]\npaper = payhub_paper:Paper\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.fixture
def sell(open_hub: Callable[..., Any], make_order: Any) -> Callable[[Path], tuple[str, str, PaymentStatus]]:
    """The application: its code knows no provider, only a configuration file."""

    def application(file: Path) -> tuple[str, str, PaymentStatus]:
        hub = open_hub(accounts=load_accounts(load_config(file)))
        account = hub.hub.accounts.default
        created = hub.create_payment(account, make_order())
        queried = hub.query(account, created.reference, expect=make_order())
        return created.provider, created.next_action.url, queried.status

    return application


def test_the_provider_is_switched_by_editing_the_configuration(
    sandbox: Any, paper: None, sell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same order goes through one gateway, then, after an edit of the file, through another."""
    monkeypatch.setenv("PAYHUB_ACCOUNTS__ONLINE__SECRET", "c1277-throw-away-key-number-zero")
    file = tmp_path / "payhub.toml"
    file.write_text(
        'default = "online"\n'
        "[accounts.online]\n"
        f'provider = "gpu"\nbase_url = "{sandbox.url}"\nappid = "gpu10000000"\n'
        '[accounts.counter]\nprovider = "paper"\ndesk = "https://desk.example/1"\n',
        "utf-8",
    )
    provider, url, status = sell(file)
    assert (provider, url.startswith(f"{sandbox.url}/pay/"), status) == ("gpu", True, PaymentStatus.PENDING)
    file.write_text(file.read_text("utf-8").replace('default = "online"', 'default = "counter"'), "utf-8")
    assert sell(file) == ("paper", "https://desk.example/1", PaymentStatus.PENDING)
    assert [entry["count"] for entry in sandbox.requests()] == [1, 1]


def test_a_gateway_of_another_brand_is_an_address(
    sandbox: Any, tls_sandbox: Any, trusted: None, sell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every brand has its own host: the address and the secret are all that changes."""
    monkeypatch.setenv("PAYHUB_ACCOUNTS__SHOP__SECRET", "c1277-throw-away-key-number-zero")
    for gateway in (sandbox, tls_sandbox):
        file = tmp_path / "payhub.toml"
        file.write_text(
            f'[accounts.shop]\nprovider = "gpu"\nbase_url = "{gateway.url}"\nappid = "gpu10000000"\n', "utf-8"
        )
        assert sell(file)[1].startswith(f"{gateway.url}/pay/")
        assert [entry["count"] for entry in gateway.requests()] == [1, 1]


def test_a_secret_that_is_missing_stops_the_start(sandbox: Any, sell: Any, tmp_path: Path) -> None:
    """Before anything is asked of a gateway, and in words that name account and key."""
    file = tmp_path / "payhub.toml"
    file.write_text(f'[accounts.shop]\nprovider = "gpu"\nbase_url = "{sandbox.url}"\nappid = "gpu10000000"\n', "utf-8")
    with pytest.raises(ConfigError, match=r"payhub\.toml.*account shop.*secret"):
        sell(file)
    assert sandbox.requests() == []
