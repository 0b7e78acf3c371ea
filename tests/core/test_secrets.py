"""The secret is in no repr, no error, no log line and no traceback."""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus

import httpx
import httpx2
import pytest
from pydantic import SecretStr, field_validator

from payhub_core import (
    AsyncHub,
    Callback,
    CallbackKind,
    ConfigError,
    GatewayError,
    Hub,
    Notification,
    PayhubError,
    Payment,
    PaymentStatus,
    ProviderInfo,
    RedactSignatures,
    Redirect,
    Refused,
    Reply,
    Request,
    hookimpl,
    load_accounts,
    load_config,
)
from payhub_core.kit import AccountSettings, Secrets

CANARY = "canary-secret-that-is-never-shown-1"


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what a traceback would print before it."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def frames(trace: TracebackType | None) -> Iterator[tuple[str, str]]:
    """Where, and the repr of every local variable there, as an error reporter sends them; our own frames left out."""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__:
            for name, value in trace.tb_frame.f_locals.items():
                yield f"{code.co_filename}:{code.co_name}:{name}", repr(value)
        trace = trace.tb_next


def assert_clean(error: BaseException) -> None:
    for each in chain(error):
        for text in (str(each), repr(each), repr(each.args), repr(vars(each))):
            assert CANARY not in text
        for where, text in frames(each.__traceback__):
            assert CANARY not in text, where


@pytest.fixture
def accounts(settings: dict[str, Any]) -> Any:
    return load_accounts({"accounts": {"shop": {**settings, "secret": [CANARY, CANARY + "-old"]}}})


def calls(platform: Any, make_order: Any) -> dict[str, Callable[[Any], Any]]:
    fields = platform.notify()
    good = platform.callback(fields, secret=CANARY)
    return {
        "create": lambda hub: hub.create_payment("shop", make_order()),
        "create an order that is too long": lambda hub: hub.create_payment("shop", make_order(reference="A" * 30)),
        "create nothing": lambda hub: hub.create_payment("shop", None),
        "query": lambda hub: hub.query("shop", "A1001"),
        "query a bad reference": lambda hub: hub.query("shop", "A 1"),
        "query another order": lambda hub: hub.query("shop", "A1001", expect=make_order(reference="B2")),
        "no signature": lambda hub: hub.parse_callback("shop", platform.callback(b"a=1")),
        "wrong signature": lambda hub: hub.parse_callback("shop", platform.callback(fields)),
        "malformed": lambda hub: hub.parse_callback("shop", platform.callback(b"\xff")),
        "not bytes": lambda hub: hub.parse_callback("shop", None),
        "another order": lambda hub: hub.parse_callback("shop", good, expect=make_order(reference="B2")),
        "another appid": lambda hub: hub.parse_callback(
            "shop", platform.callback(platform.notify(appid="x"), secret=CANARY)
        ),
        "bad fields": lambda hub: hub.parse_callback(
            "shop", platform.callback(platform.notify(amount="x"), secret=CANARY)
        ),
        "broken headers": lambda hub: hub.parse_callback("shop", Callback("POST", 5, b"", b"")),  # type: ignore[arg-type]
        "unknown account": lambda hub: hub.query("other", "A1"),
        "good": lambda hub: hub.parse_callback("shop", good),
        "return": lambda hub: hub.parse_callback(
            "shop", platform.callback({"order_no": "A1"}, secret=CANARY, kind=CallbackKind.RETURN)
        ),
    }


ANSWERS: dict[str, Any] = {
    "refused": httpx.Response(200, json={"status": 0, "message": "no", "data": []}),
    "unreadable": httpx.Response(200, text="<html>"),
    "down": httpx.Response(500),
    "lost": httpx.ReadTimeout("x"),
    "unreachable": httpx.ConnectError("x"),
    "crash": KeyError("x"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_error_and_no_local_variable_of_its_traceback_shows_the_secret(
    open_hub: Any, gateway: Any, accounts: Any, platform: Any, make_order: Any, answer: str
) -> None:
    """Error reporters send the repr of every local: each call, each fault, each frame."""
    hub = open_hub(gateway(ANSWERS[answer]), accounts=accounts)
    failed = 0
    for call in calls(platform, make_order).values():
        try:
            call(hub)
        except PayhubError as error:
            failed += 1
            assert_clean(error)
    assert failed >= 13


@pytest.mark.parametrize("client", [httpx.Client, httpx2.Client])
def test_a_key_that_the_protocol_puts_into_the_address_is_in_no_local_variable(client: Any, make_provider: Any) -> None:
    """A lost answer: the frames on the way hold the request, and whatever the client was given."""

    def query(reference: str) -> Any:
        yield Request("GET", f"https://gateway.example/order?out_trade_no={reference}&key={CANARY}")

    def lose(request: Any) -> Any:
        raise TimeoutError

    library = httpx if client is httpx.Client else httpx2
    with (
        client(transport=library.MockTransport(lose)) as http,
        Hub({"shop": make_provider(query=query)}, client=http) as hub,
        pytest.raises(GatewayError) as caught,
    ):
        hub.query("shop", "A1001")
    assert_clean(caught.value)


def test_no_logger_shows_the_secret_or_a_signature(
    open_hub: Any, gateway: Any, accounts: Any, platform: Any, make_order: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """All of them at DEBUG, retries and httpx's own lines included, behind the redacting filter."""
    caplog.handler.addFilter(RedactSignatures())
    signatures = []
    with caplog.at_level(logging.DEBUG):
        for answer in [*ANSWERS.values(), platform.create_reply(), platform.query_reply()]:
            answers = gateway(answer)
            hub = open_hub(answers, accounts=accounts)
            for call in calls(platform, make_order).values():
                try:
                    call(hub)
                except PayhubError as error:
                    logging.getLogger("shop").debug("failed", exc_info=error)
            signatures += [request.url.params["sign"] for request in answers.requests if request.method == "GET"]
    assert {"httpx", "payhub.calls", "stamina", "shop"} <= {line.name for line in caplog.records}
    assert len(signatures) > 5
    shown = caplog.text + "".join(str(vars(line)) for line in caplog.records)
    assert CANARY not in shown
    assert not any(signature in shown for signature in signatures)


def test_real_connections_log_no_secret(
    open_hub: Any, settings: Any, order: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Httpcore's lines as well."""
    accounts = load_accounts({"accounts": {"shop": {**settings, "secret": CANARY, "base_url": "http://127.0.0.1:1"}}})
    with caplog.at_level(logging.DEBUG), pytest.raises(PayhubError):
        open_hub(accounts=accounts).create_payment("shop", order)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("kind", [Hub, AsyncHub])
def test_no_view_of_a_hub_or_an_account_shows_the_secret(kind: Any, accounts: Any) -> None:
    """Repr and str of what an application holds."""
    hub = kind(accounts, client=SimpleNamespace(send=print))
    bound = hub["shop"]
    for thing in (hub, bound, vars(bound), accounts, dict(accounts), vars(accounts), hub.accounts, accounts["shop"]):
        assert CANARY not in f"{thing!r} {thing}"


def test_what_a_hub_returns_shows_no_secret_and_no_signature(
    open_hub: Any, gateway: Any, accounts: Any, platform: Any, make_order: Any
) -> None:
    """Payments and notifications, raw fields, JSON and all."""
    hub = open_hub(
        gateway(platform.create_reply(sign="0" * 32), platform.query_reply(sign="0" * 32)), accounts=accounts
    )
    every = calls(platform, make_order)
    results = [every["create"](hub), every["query"](hub), every["good"](hub).payment, every["return"](hub).payment]
    for payment in results:
        shown = f"{payment!r} {payment.raw} {payment.model_dump_json()} {vars(payment)}"
        assert CANARY not in shown
        assert "sign" not in payment.raw


# What a gateway quotes

ODD = 'canary/"+secret&that <is> never=shown 中2'
QUOTED = {
    "as it is": ODD,
    "percent-encoded": quote(ODD, ""),
    "percent-encoded, slashes left": quote(ODD),
    "as a form": quote_plus(ODD),
    "with small hex digits": re.sub("%..", lambda found: found[0].lower(), quote(ODD, "")),
    "as JSON": json.dumps(ODD)[1:-1],
    "as JSON of PHP": json.dumps(ODD)[1:-1].replace("/", "\\/"),
    "as JSON in UTF-8": json.dumps(ODD, ensure_ascii=False)[1:-1],
    "as HTML": escape(ODD),
}


def keyed(provider: Any, *secrets: str) -> Any:
    """``provider`` with secrets among its settings."""
    provider.key = tuple(SecretStr(secret) for secret in secrets)
    return provider


def test_a_refusal_that_quotes_the_request_shows_no_signature(
    open_hub: Any, platform: Any, accounts: Any, make_order: Any
) -> None:
    """As scripts in PHP do: what was sent stands in the reason."""
    signatures = []

    def refuse(request: httpx.Request) -> httpx.Response:
        sent = f"{request.url} {request.content.decode()} {CANARY}"
        signatures.extend(re.findall("sign=([0-9a-f]{32})", sent))
        return httpx.Response(200, json={"status": 0, "message": sent, "data": []})

    hub = open_hub(refuse, accounts=accounts)
    for call in (lambda: hub.create_payment("shop", make_order()), lambda: hub.query("shop", "A1001")):
        with pytest.raises(PayhubError) as caught:
            call()
        assert_clean(caught.value)
        said = f"{caught.value} {caught.value!r} {vars(caught.value)}"
        assert "***" in said
        assert signatures
        assert not any(signature in said for signature in signatures)


@pytest.mark.parametrize("way", QUOTED)
def test_a_secret_that_a_gateway_quotes_is_hidden_in_an_error(make_provider: Any, make_order: Any, way: str) -> None:
    """However it is escaped, and where the reason is cut off in it: in the message, the reason, the code, the hint."""
    said = QUOTED[way]

    def refuse(order: Any) -> Any:
        raise Refused("the gateway refused", code=said, reason=f"{said} {'x' * 190} {said} {said}", hint=said)

    with (
        Hub({"shop": keyed(make_provider(create_payment=refuse), CANARY, ODD)}) as hub,
        pytest.raises(Refused) as caught,
    ):
        hub.create_payment("shop", make_order())
    error = caught.value
    for text in (str(error), repr(error), error.message, error.reason, error.code, error.hint):
        assert "***" in text
        assert "canary" not in text


@pytest.mark.parametrize("user", ["", "1", "10", "1001:"])
@pytest.mark.parametrize("secret", [CANARY, ODD, "~~~???>>>ÿÿÿ-c1277"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_a_secret_in_base64_is_hidden_wherever_it_stands_in_it(
    make_provider: Any, make_order: Any, user: str, secret: str, encode: Callable[[bytes], bytes]
) -> None:
    """As in the credentials of HTTP Basic: in an error, and in what goes into the history. Other base64 stays."""
    said, other = encode(f"{user}{secret} and more".encode()).decode(), encode(b"nothing that is secret here").decode()

    def refuse(order: Any) -> Any:
        raise Refused("the gateway refused", reason=f"no such user: {said}, {other}")

    def query(reference: str) -> Any:
        return Payment(reference=reference, status=PaymentStatus.PENDING, raw={"user": said, "other": other})

    with Hub({"shop": keyed(make_provider(create_payment=refuse, query=query), secret)}) as hub:
        with pytest.raises(Refused) as caught:
            hub.create_payment("shop", make_order())
        raw = hub.query("shop", "A1").raw
    for text in (caught.value.reason, " ".join(raw.values())):
        assert "***" in text
        assert other in text
        assert said[len(said) // 3 : len(said) // 2] not in text


@pytest.mark.parametrize("way", QUOTED)
def test_a_secret_that_a_gateway_echoes_is_hidden_in_raw(make_provider: Any, make_order: Any, way: str) -> None:
    """It goes into the history: at any depth, the rest left as it came."""
    said = QUOTED[way]

    def query(reference: str) -> Any:
        echo = {"asked": [f"key {said}!", 1, None], "paid": "no", "more": {"msg": "/api?a=1&sign=abc&b=2"}}
        return Payment(reference=reference, status=PaymentStatus.PENDING, raw={"msg": said, "data": echo, "code": 1})

    def create(order: Any) -> Any:
        action = Redirect(url="https://gateway.example/pay")
        raw = {"msg": f"ok {said}", "paid": "no"}
        return Payment(reference=order.reference, status=PaymentStatus.PENDING, next_action=action, raw=raw)

    with Hub({"shop": keyed(make_provider(query=query, create_payment=create), CANARY, ODD)}) as hub:
        raw, flat = hub.query("shop", "A1").raw, hub.create_payment("shop", make_order()).raw
    assert "canary" not in str(raw) + str(flat)
    assert raw["data"]["asked"] == ["key ***!", 1, None]
    assert raw["data"]["more"] == {"msg": "/api?a=1&sign=***&b=2"}
    assert (raw["data"]["paid"], raw["code"], flat["paid"]) == ("no", 1, "no")


def test_a_secret_that_a_callback_echoes_is_hidden_in_raw(make_provider: Any, platform: Any) -> None:
    """Texts alone, as most messages are."""

    def parse(callback: Callback) -> Any:
        payment = Payment(reference="A1", status=PaymentStatus.PAID, raw={"order": "A1", "attach": f"x{ODD}x"})
        return Notification(CallbackKind.NOTIFY, payment, Reply(b"ok"))

    with Hub({"shop": keyed(make_provider(parse_callback=parse), ODD)}) as hub:
        found = hub.parse_callback("shop", platform.callback(b"a=1"))
    assert found.payment.raw == {"order": "A1", "attach": "x***x"}


def test_a_bug_that_quotes_a_secret_is_chained_to_nothing(make_provider: Any, make_order: Any) -> None:
    """The traceback of a bug shows its text; of one that quotes no secret it helps the provider's author."""

    def create(order: Any) -> Any:
        try:
            return {}[order.description]
        except KeyError as error:
            raise ValueError("a bug") from error

    with Hub({"shop": keyed(make_provider(create_payment=create), CANARY)}) as hub:
        for description, chained in ((f"x{CANARY}", False), ("x", True)):
            with pytest.raises(PayhubError) as caught:
                hub.create_payment("shop", make_order(description=description))
            assert isinstance(caught.value.__cause__, ValueError) is chained


# While it starts


def wrong_settings() -> Iterator[dict[str, Any]]:
    good = {"provider": "gpu", "base_url": "https://gateway.example", "appid": "gpu1", "secret": CANARY}
    for change in (
        {"unknown": "x"},
        {"timeout": 0},
        {"provider": "gpuu"},
        {"provider": None},
        {"base_url": "x"},
        {"secret": [CANARY, ""]},
        {"secret": {"a": CANARY}},
        {CANARY: CANARY},
    ):
        yield {**good, **change}


@pytest.mark.parametrize("source", ["dict", "file", "environment", "secret file"])
def test_a_wrong_configuration_shows_no_secret(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong, wherever it stood: not in the text, not in a local variable of the traceback."""
    for number, settings in enumerate(wrong_settings()):
        if CANARY in settings and source != "dict":
            continue
        path = tmp_path / f"{number}.toml"
        lines = [f"{key} = {str(value)!r}" for key, value in settings.items() if key != "secret"]
        lines = ["[accounts.shop]", *lines, *([f"secret = {CANARY!r}"] if source == "file" else [])]
        path.write_text("\n".join(lines))
        secrets = tmp_path / f"secrets-{number}"
        secrets.mkdir()
        if source == "environment":
            monkeypatch.setenv("PAYHUB_ACCOUNTS__SHOP__SECRET", CANARY)
        if source == "secret file":
            (secrets / "payhub_accounts__shop__secret").write_text(CANARY)
        if isinstance(settings["secret"], list | dict) and source != "dict":
            path.write_text(path.read_text() + "\nmore = 1")
        config: Any = {"accounts": {"shop": settings}}
        with pytest.raises(ConfigError) as caught:
            load_accounts(config if source == "dict" else load_config(path, secrets_dir=str(secrets)))
        if CANARY not in settings:
            assert_clean(caught.value)


@pytest.mark.parametrize(
    "extra", ["[acounts.shop]\nx = 1", "default = 5", "[accounts.shop.provider]\nx = 1", "= broken"]
)
def test_a_file_of_the_wrong_shape_shows_no_secret(extra: str, tmp_path: Path) -> None:
    """The rest of it held one."""
    path = tmp_path / "payhub.toml"
    path.write_text(f"ledger = '{CANARY}'\n{extra}\n[accounts.two]\nprovider = 'gpu'\nsecret = '{CANARY}'\n")
    with pytest.raises(ConfigError) as caught:
        load_accounts(load_config(path))
    assert_clean(caught.value)


class Hexadecimal(AccountSettings):
    """A provider whose author says what is wrong with a key by showing it."""

    info: ClassVar[ProviderInfo] = ProviderInfo(name="hexadecimal", currencies=frozenset({"EUR"}), identity=())
    key: Secrets
    by_number: dict[str, Secrets] = {}

    @field_validator("key", "by_number")
    @classmethod
    def is_hexadecimal(cls, value: Any) -> Any:
        for key in value if isinstance(value, tuple) else [it for one in value.values() for it in one]:
            if re.fullmatch("[0-9a-f]+", key.text) is None:
                raise ValueError(f"expected hexadecimal digits, not {key.text}")
        return value

    create_payment = query = parse_callback = hookimpl(lambda self: None)


class Handmade(Hexadecimal):
    """One that raises an error of payhub's."""

    def __init__(self, **settings: Any) -> None:
        raise ConfigError(f"expected other keys than {settings}", hint=f"leave {settings['key']} out")


@pytest.mark.parametrize("provider", [Hexadecimal, Handmade])
@pytest.mark.parametrize("wrong", [{"key": CANARY}, {"key": ["0" * 16, CANARY]}, {"by_number": {"7A": CANARY}}])
def test_a_setting_that_its_providers_own_check_quotes_is_hidden(provider: type, wrong: dict[str, Any]) -> None:
    """An error of the configuration shows no value, whoever found it."""
    with pytest.raises(ConfigError, match=r"expected .*\*\*\*") as caught:
        load_accounts({"accounts": {"shop": {"provider": provider, "key": "0" * 16, **wrong}}})
    assert_clean(caught.value)


def test_an_unknown_variable_beside_a_secret_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor its own value, which may be a misplaced one."""
    monkeypatch.setenv("PAYHUB_ACCOUNTS__SHOP__SECRET", CANARY)
    monkeypatch.setenv("PAYHUB_SECRET", CANARY)
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert_clean(caught.value)


def test_a_broken_plugin_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its traceback is logged and kept, for its author."""
    (tmp_path / "broken_beside_a_secret.py").write_text("1 / 0")
    info = tmp_path / "broken_beside_a_secret-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-beside-a-secret\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[payhub.providers]\nbroken = broken_beside_a_secret:Thing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    accounts = load_accounts({"accounts": {"shop": {"provider": "broken", "secret": CANARY}}})
    (logged,) = [line.exc_info for line in caplog.records if line.name == "payhub.accounts"]
    assert logged is not None
    for where, text in frames(logged[2]):
        assert CANARY not in text, where
    with pytest.raises(ConfigError) as caught:
        accounts["shop"]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert_clean(caught.value)
