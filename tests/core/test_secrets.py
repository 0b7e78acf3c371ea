"""The secret is in no repr, no error, no log line and no traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import httpx
import httpx2
import pytest

from payhub_core import (
    AsyncHub,
    Callback,
    CallbackKind,
    ConfigError,
    GatewayError,
    Hub,
    PayhubError,
    RedactSignatures,
    Request,
    load_accounts,
    load_config,
)

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
