"""``payhub doctor``: each finding with its hint, and no secret."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import trustme
from click.testing import Result
from sqlalchemy import text, update
from tests.cli.conftest import failure, on_a_terminal, one_checkout

from payhub_core import (
    Callback,
    Flow,
    NotFound,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Request,
    hookimpl,
)
from payhub_core.cli.connection import _clock, _on_the_way, connection
from payhub_core.kit import AccountSettings, Address
from payhub_core.ledger import Ledger
from payhub_core.ledger.tables import payments
from payhub_core.transport.client import tls
from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess


def findings(command: Callable[..., Result], *words: str) -> list[str]:
    """What is found, each with a hint; the exit status agrees."""
    result = command("doctor", "--json", *words)
    found = json.loads(result.output)["findings"]
    assert result.exit_code == (1 if found else 0), result.output
    assert all(finding["hint"] for finding in found)
    return [finding["what"] for finding in found]


def test_a_shop_that_is_well_has_no_findings(
    command: Callable[..., Result],
    ledger: Ledger,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What was read is named; of a key there is its length and a fingerprint."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "payhub_default").write_text("shop")
    monkeypatch.setenv("PAYHUB_SECRETS_DIR", str(tmp_path / "keys"))
    result = command("doctor")
    assert result.exit_code == 0, result.output
    secret = settings["secret"]
    fingerprint = sha256(secret.encode()).hexdigest()[:8]
    shown = f"{len(secret)} characters, sha256 {fingerprint}"
    for word in (
        "payhub.toml",
        "PAYHUB_SECRETS_DIR",
        "payhub_default",
        shown,
    ):
        assert word in result.output
    assert secret not in result.output
    assert result.output.endswith("findings: 0\n")
    assert findings(command) == []
    assert list(json.loads(command("doctor", "--json").output)["read"]) == ["files", "variables", "secret_files"]


@one_checkout
def test_an_account_that_is_not_configured_and_has_open_orders_is_a_finding(
    command: Callable[..., Result],
    ledger: Ledger,
    config: Path,
    open_checkout: Any,
    platform: Any,
    gateway: Any,
    order: Any,
) -> None:
    """Renamed, nobody asks about them; once they are settled, or the account is retired, there is nothing to do."""
    open_checkout(gateway(platform.create_reply())).start("shop", order)
    assert findings(command) == []
    config.write_text(config.read_text().replace("accounts.shop", "accounts.store"))
    assert findings(command) == ["orders that are not settled, of an account that is not configured: 1"]
    ledger.write(
        lambda c: c.execute(update(payments).values(creation="unknown", created_at=datetime(2026, 1, 1, tzinfo=UTC)))
    )
    found = json.loads(command("doctor", "--json").output)["findings"]
    assert len(found) == 2  # nor would a refresh find its account
    assert {it["hint"] for it in found} == {
        "give the account its name back; where it is gone for good: payhub ledger retire shop"
    }
    ledger.write(lambda c: c.execute(update(payments).values(creation="created")))
    assert command("ledger", "retire", "shop").exit_code == 0
    assert findings(command) == []


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("default = 1", "default: "),
        ('[accounts.shop]\nprovider = "gqu"', "none is installed under 'gqu'"),
        ('[accounts.shop]\nprovider = "gpu"\nsecret = "short"', "expected a secret of at least 16"),
        ('default = "shpo"\n[accounts.shop]\nprovider = "dummy"\ndevelopment = true', "there is no account 'shpo'"),
        ("", "no account is configured"),
    ],
)
def test_a_configuration_that_is_wrong_is_a_finding(
    command: Callable[..., Result], ledger: Ledger, config: Path, url: str, written: str, found: str
) -> None:
    """And hides no other."""
    config.write_text(f'ledger = "{url}"\n{written}')
    assert found in "\n".join(findings(command))


def test_a_broken_account_hides_no_other(command: Callable[..., Result], ledger: Ledger, config: Path) -> None:
    """The one is found, the keys of the other are shown."""
    config.write_text(config.read_text() + '[accounts.bad]\nprovider = "gqu"\n')
    result = command("doctor", "--json")
    assert [finding["account"] for finding in json.loads(result.output)["findings"]] == ["bad"]
    assert list(json.loads(result.output)["accounts"]) == ["shop"]


@pytest.mark.usefixtures("stored")
def test_an_account_that_keeps_all_from_starting_is_found_whichever_is_looked_at(
    command: Callable[..., Result], config: Path
) -> None:
    """And of the ledger's figures those of the account alone are shown."""
    config.write_text(config.read_text() + '[accounts.bad]\nprovider = "gqu"\n')
    told = json.loads(command("doctor", "--json", "--account", "shop").output)
    assert "bad" in [finding["account"] for finding in told["findings"]]
    assert [it["account"] for it in told["health"]["accounts"]] == ["shop"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM payhub_alembic_version", "has no ledger yet"),
        ("UPDATE payhub_alembic_version SET version_num = '0001'", "has ledger schema 0001"),
    ],
)
def test_a_ledger_of_another_version_is_a_finding(
    command: Callable[..., Result], ledger: Ledger, statement: str, found: str
) -> None:
    """With the command that mends it."""
    ledger.write(lambda c: c.execute(text(statement)))
    assert found in "\n".join(findings(command))
    assert "payhub ledger upgrade" in command("doctor").output


def test_a_ledger_that_cannot_be_written_is_a_finding(
    command: Callable[..., Result], ledger: Ledger, config: Path, url: str
) -> None:
    """A disk that was mounted anew, a standby: all can be read, and no order could be started."""
    if url.startswith("sqlite"):
        read_only = url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    else:
        read_only = f"{url}{'&' if '?' in url else '?'}options=-cdefault_transaction_read_only%3Don"
    config.write_text(config.read_text().replace(url, read_only))
    assert command("payments", "list").exit_code == 0
    (what,) = findings(command)
    assert re.fullmatch(r"the ledger cannot be used: the database \S+( at \S+)? failed: .*read-?only.*", what)


def test_a_ledgers_url_that_is_wrong_is_a_finding(command: Callable[..., Result], config: Path, url: str) -> None:
    """The accounts are looked at all the same."""
    config.write_text(config.read_text().replace(url, "mysql://u:hunter2@host/shop"))
    result = command("doctor")
    assert (
        "! the ledger cannot be used: payhub.toml: ledger: expected SQLite or PostgreSQL, not mysql. Hint: "
        in result.output
    )
    assert "account shop gpu: secret" in result.output
    assert "hunter2" not in result.output


def test_a_misspelt_account_is_an_error(command: Callable[..., Result], ledger: Ledger) -> None:
    """Or nothing would be found for it."""
    assert "there is no account 'shpo'. Hint: did you mean 'shop'?" in failure(command("doctor", "--account", "shpo"))


def test_a_shop_without_a_ledger_is_well(command: Callable[..., Result], config: Path) -> None:
    """A hub needs none: that is said, and is no finding. The accounts are looked at all the same."""
    config.write_text("\n".join(line for line in config.read_text().splitlines() if not line.startswith("ledger")))
    assert findings(command) == []
    shown = command("doctor")
    assert (shown.exit_code, "account shop" in shown.output) == (0, True)
    assert re.search(r"ledger +none is configured", shown.output)
    assert "did you mean 'shop'?" in failure(command("doctor", "--account", "shpo"))


@one_checkout
@pytest.mark.usefixtures("stored")
def test_what_the_ledger_finds_is_a_finding(command: Callable[..., Result], ledger: Ledger) -> None:
    """As a line that says what to do."""
    ledger.write(lambda c: c.execute(update(payments).values(next_check_at=datetime.now(UTC) - timedelta(hours=1))))
    found = findings(command)
    assert any(what.startswith("orders that nobody asks about: 1") for what in found)
    assert "anomalies that nobody has resolved: 1" in found
    assert findings(command, "--account", "shop") == found
    line = "! account shop: anomalies that nobody has resolved: 1. Hint: payhub payments anomalies --account shop"
    assert line in command("doctor").output


@pytest.mark.usefixtures("stored")
@one_checkout
@pytest.mark.parametrize(
    ("language", "what", "hint"),
    [
        (
            "C.UTF-8",
            "! account shop: anomalies that nobody has resolved: 1",
            "  Hint: payhub payments anomalies --account shop, then payhub payments resolve",
        ),
        (
            "zh_CN.UTF-8",
            "! 账户 shop：未处理的异常单：1 条",
            "  处理办法：先 payhub payments anomalies --account shop，再 payhub payments resolve",
        ),
    ],
)
def test_on_a_terminal_what_to_do_has_a_line_of_its_own(config: Path, language: str, what: str, hint: str) -> None:
    """Where both do not fit one; no line is broken, so that a command can be copied whole."""
    lines = on_a_terminal(config.parent, "doctor", language).splitlines()
    assert lines[lines.index(what) + 1] == hint


@pytest.fixture
def sandbox_shop(config: Path, url: str) -> Any:
    """The configuration of a shop at a real gateway, whose address is to be filled in."""

    def write(address: str, secret: str = PUBLIC_MERCHANTS["gpu10000000"].secret) -> None:
        config.write_text(
            f'ledger = "{url}"\n[accounts.shop]\nprovider = "gpu"\nbase_url = "{address}"\n'
            f'appid = "gpu10000000"\nsecret = "{secret}"\n'
        )

    return write


def test_a_gateway_that_answers_a_signed_query_is_no_finding(
    command: Callable[..., Result], ledger: Ledger, sandbox_shop: Any
) -> None:
    """An order of nobody's is unknown to it: an answer. A wrong key is refused: a finding."""
    with SandboxProcess() as sandbox:
        sandbox_shop(sandbox.url)
        assert findings(command, "--connect") == []
        assert "for development: plain http on this machine" in command("doctor").output
        assert len(sandbox.requests()) == 1
        sandbox_shop(sandbox.url, "c1277-another-key-of-nobody")
        (refused,) = findings(command, "--connect")
        assert refused.startswith("a signed query came to nothing: the gateway refused")


def test_a_gateway_elsewhere_that_is_asked_over_plain_http_is_a_finding(config: Path, command: Any) -> None:
    """Nothing can settle by what it answers."""
    config.write_text(
        '[accounts.shop]\nprovider = "gpu"\nbase_url = "http://gateway.example"\nallow_http = true\n'
        'appid = "gpu10000000"\nsecret = "c1277-a-key-of-nobody"\n'
    )
    (found,) = findings(command)
    assert found.startswith("its gateway is asked over plain http: what it answers proves nothing")
    assert "for development" not in command("doctor").output


class ByItsNumber(AccountSettings):
    """A gateway that is asked by its own number of an order, and for the day of it."""

    info: ClassVar[ProviderInfo] = ProviderInfo(name="numbers", currencies=frozenset({"CNY"}), identity=())
    url: Address

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        return Notification(callback.kind, None)

    @hookimpl
    def query(self, reference: str, gateway_id: str | None, created_at: datetime | None) -> Flow[Payment]:
        if gateway_id is None:
            raise NotFound("it is asked by its own number")
        assert created_at is not None
        yield Request("GET", f"{self.url}/{gateway_id}/{created_at.year}")
        return Payment(reference=reference, status=PaymentStatus.PENDING)


def test_a_gateway_that_is_asked_by_its_own_number_is_asked_about_a_known_order() -> None:
    """Where there is none, that nothing was asked is said: the key may be wrong all the same."""
    with SandboxProcess() as sandbox:
        provider = ByItsNumber(url=sandbox.url)
        (nothing,) = connection("shop", provider, None)
        known = Payment(reference="A1", gateway_id="P1", status=PaymentStatus.PAID, created_at=datetime.now(UTC))
        assert list(connection("shop", provider, known)) == []
    assert nothing.what.startswith("no signed query was made")


@pytest.mark.parametrize("fault", ["html", "truncated", "redirect"])
def test_a_page_in_the_gateways_place_is_not_blamed_on_the_key(
    command: Callable[..., Result], ledger: Ledger, sandbox_shop: Any, fault: str
) -> None:
    """A proxy, a maintenance page, another path: what to see is the way there."""
    with SandboxProcess() as sandbox:
        sandbox_shop(sandbox.url)
        sandbox.fault("check_order", fault, times=10)
        found = json.loads(command("doctor", "--json", "--connect").output)["findings"][-1]
    assert found["what"].startswith("what answered a signed query is not the gateway: expected ")
    assert found["hint"].startswith("see the address in the configuration, the proxy")


def test_certificates_that_are_not_there_are_a_finding(
    command: Callable[..., Result], ledger: Ledger, sandbox_shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, whatever the number of accounts, and the rest is shown."""
    sandbox_shop("https://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "nofile.pem")
    tls.cache_clear()
    try:
        assert findings(command, "--connect") == [
            "no gateway can be asked: no HTTP client can be made with SSL_CERT_FILE: FileNotFoundError"
        ]
        assert "account shop" in command("doctor", "--connect").output
    finally:
        tls.cache_clear()


DAY = timedelta(days=1)
AUTHORITY = trustme.CA()
CERTIFICATES = {
    "certificate has expired": AUTHORITY.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - DAY),
    "certificate is not valid for '127.0.0.1'": AUTHORITY.issue_cert("shop.example"),
    "unable to get local issuer certificate": trustme.CA().issue_cert("127.0.0.1"),
    "signed certificate": trustme.CA(),
}


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine trusts the authority."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls.cache_clear()
    yield
    tls.cache_clear()


@pytest.mark.parametrize("reason", CERTIFICATES)
@pytest.mark.usefixtures("trusted")
def test_what_is_wrong_with_a_certificate_is_in_the_line(tmp_path: Path, reason: str) -> None:
    """Each has another cure."""
    certificate, context = CERTIFICATES[reason], ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    blobs = (
        [certificate.private_key_pem, certificate.cert_pem]
        if isinstance(certificate, trustme.CA)
        else [certificate.private_key_and_cert_chain_pem]
    )
    for blob in blobs:
        blob.write_to_path(tmp_path / "chain.pem", append=True)
    context.load_cert_chain(tmp_path / "chain.pem")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.handle_request).start()
        (finding,) = _on_the_way("shop", f"https://127.0.0.1:{server.server_port}")
    assert reason in finding.what
    assert "certificate" in finding.hint


def test_a_clock_that_is_wrong_hides_no_key_that_is(
    command: Callable[..., Result], ledger: Ledger, sandbox_shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that is reached is asked, whatever else was found on the way."""
    monkeypatch.setattr("payhub_core.cli.connection._SKEW", -1)
    with SandboxProcess() as sandbox:
        sandbox_shop(sandbox.url, "c1277-another-key-of-nobody")
        (clock, refused) = findings(command, "--connect")
    assert clock.endswith("seconds apart")
    assert refused.startswith("a signed query came to nothing: the gateway refused")


def test_a_gateway_that_cannot_be_reached_is_a_finding(
    command: Callable[..., Result], ledger: Ledger, sandbox_shop: Any
) -> None:
    """Without --connect nothing is asked."""
    sandbox_shop("https://127.0.0.1:9", "c1277-throw-away-key")
    assert findings(command) == []
    (what,) = findings(command, "--connect")
    assert "127.0.0.1:9 cannot be reached: ConnectError" in what


def test_a_name_that_nobody_knows_is_a_finding(
    command: Callable[..., Result], ledger: Ledger, sandbox_shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told apart from a gateway that is down."""

    def unknown(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    sandbox_shop("https://gateway.example", "c1277-throw-away-key")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (what,) = [what for what in findings(command, "--connect") if "looked up" in what]
    assert what == "the name gateway.example cannot be looked up: Name or service not known"


@pytest.mark.parametrize(("apart", "found"), [(0, False), (59, False), (300, True), (-300, True)])
def test_clocks_that_are_apart_are_a_finding(apart: int, found: bool) -> None:
    """A gateway that signs times refuses what is minutes old; one that says no time says nothing."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=apart), usegmt=True)
    assert bool([it for it in _clock("shop", date) if "seconds apart" in it.what]) == found
    assert list(_clock("shop", "")) == []
