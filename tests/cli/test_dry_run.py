"""``payhub dry-run``: the signed request as curl, with nothing in it that anyone could sign or ask with."""

from __future__ import annotations

import hmac
import json
import shlex
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote

import httpx
import pytest
from click.testing import CliRunner, Result

from payhub_core import Flow, Hub, Notification, Order, Payment, ProviderInfo, Request, hookimpl, load_accounts
from payhub_core.cli.commands import payhub
from payhub_core.kit import AccountSettings, Secret, Secrets

KEY = "a-key/of+sixteen characters&more"


class Bank(AccountSettings):
    """A gateway that has its secrets everywhere: in the path, a header, the query and a body of JSON."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="bank", currencies=frozenset({"JPY"}), identity=("merchant",), extra_needed=frozenset({"email"})
    )
    merchant: str
    key: Secrets
    pin: Secret
    token_first: bool = False

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        if self.token_first:
            yield Request("POST", "https://bank.example/token", harmless=True)
        key = self.key[0].text
        body = {
            "merchant_order_number_of_the_shop": order.reference,
            "amount": order.amount.minor,
            "inner": json.dumps({"url": order.notify_url, "text": order.description, "key": key}),
            "mac": b64encode(hmac.digest(key.encode(), b"x", "sha256")).decode(),
            "pin": self.pin.text,
            "email": order.extra["email"],
        }
        yield Request(
            "POST",
            f"https://bank.example/bot{self.pin.text}/createThePayment/{quote(key, safe='')}?merchant={self.merchant}"
            f"&v={quote(key)}&code=1234567890&sign_type=MD5&my_hash=abcdefgh",
            json=body,
            headers={"Authorization": f"Bearer {key}", "X-Short": self.pin.text, "Accept": "application/json"},
        )
        raise AssertionError("nobody answers")

    @hookimpl
    def parse_callback(self) -> Notification:
        raise NotImplementedError

    @hookimpl
    def query(self) -> Payment:
        raise NotImplementedError


@pytest.fixture
def dry_run(tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command over four accounts."""
    module = ModuleType("module_of_a_bank")
    module.Bank = Bank  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "module_of_a_bank", module)
    bank = {
        "provider": "module_of_a_bank:Bank",
        "merchant": "merchant-of-the-bank-1",
        "key": KEY,
        "pin": "pinOfTheBank",
    }
    accounts = {
        "shop": settings,
        "easy": {
            "provider": "epay",
            "base_url": "https://e.example",
            "pid": "1001",
            "key": "e" * 20,
            "create": "submit",
        },
        "bank": bank,
        "bank_with_token": {**bank, "merchant": "m2", "token_first": True},
    }
    lines = [
        f"[accounts.{name}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in it.items())
        for name, it in accounts.items()
    ]
    (tmp_path / "payhub.toml").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(payhub, ["dry-run", *words])


def test_it_is_the_request_that_the_hub_would_send(
    dry_run: Any, settings: dict[str, Any], order: Order, platform: Any, tmp_path: Path
) -> None:
    """Byte for byte, but for the signature; the order comes from a file here."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return platform.create_reply()

    order = order.model_copy(update={"description": "茶 & 'tea'", "attach": "a=1&b=2"})
    with Hub(
        load_accounts({"accounts": {"shop": settings}}), client=httpx.Client(transport=httpx.MockTransport(answer))
    ) as hub:
        hub.create_payment("shop", order)
    fields = order.model_dump(mode="json", exclude={"amount"}) | {"amount": str(order.amount)}
    (tmp_path / "order.json").write_text(json.dumps(fields), "utf-8")
    result = dry_run("shop", "order.json")
    assert result.exit_code == 0, result.output
    words = shlex.split(result.stdout.replace("\\\n", ""))
    body = sent[0].content.decode()
    signature = dict(parse_qsl(body))["sign"]
    assert words == [
        *("curl", "-X", "POST", str(sent[0].url), "-H", "Content-Type: application/x-www-form-urlencoded"),
        *("--data-raw", body.replace(signature, "***")),
    ]
    assert "Nothing was sent" in result.stderr


def test_what_is_left_out_of_the_order_is_made_up(dry_run: Any) -> None:
    """So that the account's name is enough; what is given wins."""
    body = dict(parse_qsl(shlex.split(dry_run("shop").stdout.replace("\\\n", ""))[-1]))
    assert (body["order_no"], body["amount"], body["product_name"]) == ("DRYRUN1", "100", "Dry run")
    result = dry_run("shop", "amount=9.99 CNY", "method=wechat_official_account", "extra.scene=x", "reference=A7")
    body = dict(parse_qsl(shlex.split(result.stdout.replace("\\\n", ""))[-1]))
    assert (body["order_no"], body["amount"], body["bank_code"], body["openid"]) == ("A7", "999", "902", "payer")
    assert (body["scene"], body["return_url"]) == ("x", "https://shop.example/pay/shop/return/A7")


def test_a_form_for_the_payers_browser_is_shown_where_the_create_sends_nothing(dry_run: Any) -> None:
    """That is the first request then."""
    words = shlex.split(dry_run("easy", "extra.device=pc").stdout.replace("\\\n", ""))
    assert words[3] == "https://e.example/submit.php"
    fields = dict(parse_qsl(words[-1]))
    assert (fields["sign"], fields["sign_type"], fields["device"], fields["money"]) == ("***", "MD5", "pc", "1.00")


def test_no_secret_and_no_signature_is_shown_wherever_it_stands(dry_run: Any) -> None:
    """Path, header, query, JSON and JSON in JSON; names, numbers and the order's own text are shown."""
    output = dry_run("bank", "notify_url=https://shop.example/a-long-way/to-the/notify", "description=Tea").stdout
    mac = b64encode(hmac.digest(KEY.encode(), b"x", "sha256")).decode()
    for hidden in (
        KEY,
        quote(KEY, safe=""),
        quote(KEY),
        "a-key",
        "pinOfTheBank",
        mac,
        mac[:12],
        mac[-12:],
        "abcdefgh",
        "Bearer",
    ):
        assert hidden not in output, hidden
    for shown in ("merchant-of-the-bank-1", "createThePayment", "code=1234567890", "sign_type=MD5", "my_hash=***"):
        assert shown in output, shown
    for shown in (
        '"merchant_order_number_of_the_shop":"DRYRUN1"',
        '"amount":100',
        "https://shop.example/a-long-way/to-the/notify",
    ):
        assert shown in output, shown
    assert "-H 'Authorization: ***'" in output
    assert "-H 'Accept: application/json'" in output


def test_a_request_that_creates_nothing_yet_is_told(dry_run: Any) -> None:
    """Such as one for a token."""
    result = dry_run("bank_with_token")
    assert "https://bank.example/token" in result.stdout
    assert "creates no payment yet" in result.stderr
    assert "creates no payment yet" not in dry_run("bank").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shop", "nofile"), "nofile: no such file. Hint: an order is FIELD=VALUE for each field, or a JSON file"),
        (("shop", "list.json"), "expected a JSON object"),
        (("shop", "amont=9.99 CNY"), "amont"),
        (("shop", "amount=9.99"), "ISO 4217"),
        (("shop", "amount=9.99 EUR"), "expected an amount in CNY"),
        (("shop", "method=gold"), "method: expected one of"),
        (("shopp",), "did you mean 'shop'?"),
    ],
)
def test_what_the_account_cannot_be_asked_for_is_told(dry_run: Any, tmp_path: Path, words: Any, said: str) -> None:
    """As the hub tells it, with status 1."""
    (tmp_path / "list.json").write_text("[]")
    result = dry_run(*words)
    assert result.exit_code == 1
    assert said in result.stderr
