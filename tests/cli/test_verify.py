"""``payhub verify`` and ``payhub replay --explain``: why a signature does not match, for a person at a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner, Result

from payhub_core import Reply
from payhub_core.cli.commands import payhub
from payhub_core.recorder import Recorder

pytestmark = pytest.mark.usefixtures("few_sums")

OTHERS_SECRET = "another-key-of-the-outlet"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def config(tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two accounts of which the first is the default, and one at EPay."""
    accounts = {
        "shop": settings,
        "outlet": {**settings, "appid": "gpu10000001", "secret": OTHERS_SECRET},
        "easy": {"provider": "epay", "base_url": "https://e.example", "pid": "1001", "key": "e" * 20},
    }
    lines = ['default = "shop"']
    for name, values in accounts.items():
        lines += [f"[accounts.{name}]", *(f'{key} = "{value}"' for key, value in values.items())]
    (tmp_path / "payhub.toml").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def verify(config: None, tmp_path: Path) -> Callable[..., Result]:
    """Runs the command on a file of these bytes."""

    def run(data: bytes, *words: str) -> Result:
        (tmp_path / "message").write_bytes(data)
        return CliRunner().invoke(payhub, ["verify", "message", *words])

    return run


def request(body: bytes, address: str = "/pay/shop/notify", end: str = "\r\n", **headers: Any) -> bytes:
    given = {"Host": "shop.example", "Content-Type": FORM, "Content-Length": len(body), **headers}
    lines = [f"POST {address} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return end.join(lines).encode() + body


def test_a_genuine_message_is_shown_with_what_it_says(verify: Any, platform: Any) -> None:
    """As `payhub replay` shows it."""
    result = verify(request(platform.body(platform.notify())))
    assert result.exit_code == 0, result.output
    for words in ("genuine", "A1001", "paid", "100.00 CNY"):
        assert words in result.output
    assert "signature" not in result.output


@pytest.mark.parametrize(
    "wrapped",
    [
        request,
        lambda body: request(body, end="\n") + b"\n",
        lambda body: b"POST /pay/shop/notify\n\n" + body + b"\r\n",
        lambda body: (
            b"POST https://shop.example/pay/shop/notify?lang=zh HTTP/2\ncontent-type: " + FORM.encode() + b"\n\n" + body
        ),
        lambda body: body,
        lambda body: b"\n" + body + b"\r\n",
    ],
)
def test_a_request_or_its_body_may_be_written_down_in_several_ways(verify: Any, platform: Any, wrapped: Any) -> None:
    """Whatever ends its lines, with or without headers, and with what an editor adds."""
    assert "genuine" in verify(wrapped(platform.body(platform.notify()))).output
    deviating = platform.body(platform.notify(), empties="drop")
    result = verify(wrapped(deviating))
    assert result.exit_code == 1
    assert "it would match, where empty values are left out" in result.output
    assert 'to do     │ set callback_empties = "drop"' in result.output


def test_it_may_be_piped_in(config: None, platform: Any) -> None:
    """With "-" for the file."""
    result = CliRunner().invoke(payhub, ["verify", "-"], input=platform.body(platform.notify()))
    assert (result.exit_code, "genuine" in result.output) == (0, True)


@pytest.mark.parametrize("address", ["/pay/shop/return/A1001", "https://shop.example/pay/shop/return/A1001"])
@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "GET {} HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "GET {}\n",
        '203.0.113.9 - - [26/Nov/2026:21:12:00 +0800] "GET {} HTTP/1.1" 400 7 "-" "Mozilla/5.0"\n',
        'INFO:     203.0.113.9:57098 - "GET {} HTTP/1.1" 400 Bad Request',
    ],
    ids=["address", "request", "line", "combined", "uvicorn"],
)
def test_a_line_of_a_servers_log_is_enough(verify: Any, platform: Any, address: str, line: str) -> None:
    """The address says that it is a return, which settles nothing."""
    query = platform.body({"order_no": "A1001", "pay_status": "1"}).decode()
    content = json.loads(verify(line.format(f"{address}?{query}").encode(), "--json").output)
    assert (content["account"], content["address"], content["genuine"]) == ("shop", "return", True)
    assert content["payment"]["status"] == "pending"


def test_the_account_is_that_of_the_address_or_the_one_named_or_the_default(verify: Any, platform: Any) -> None:
    """In that order: the one named wins."""
    body = platform.body({**platform.notify(), "appid": "gpu10000001"}, secret=OTHERS_SECRET)
    for message, words, account in [
        (request(body, "/pay/outlet/notify"), (), "outlet"),
        (request(body, "/pay/outlet/notify"), ("--account", "shop"), "shop"),
        (request(body, "/pay/elsewhere/notify"), (), "shop"),
        (body, ("--account", "outlet"), "outlet"),
        (body, (), "shop"),
    ]:
        content = json.loads(verify(message, "--json", *words).output)
        assert (content["account"], content["genuine"]) == (account, account == "outlet")
        if account == "shop":
            assert content["explanation"]["account"] == "outlet"
            assert content["explanation"]["text"] == "the key of the account 'outlet' made it"


def test_a_query_alone_is_read_for_a_gateway_that_notifies_by_get(verify: Any) -> None:
    """With or without its question mark."""
    query = b"money=1.00&out_trade_no=A1&pid=1001&trade_no=T1&trade_status=TRADE_SUCCESS&sign_type=MD5&sign="
    for before in (b"", b"?"):
        content = json.loads(verify(before + query + b"0" * 32, "--account", "easy", "--json").output)
        assert content["error"]["type"] == "BadSignature"
        assert content["explanation"]["account"] is None


def test_where_nothing_explains_it_that_is_said(verify: Any, platform: Any) -> None:
    """With how many ways were tried, and how to compare the key; the general hint gives way to it."""
    result = verify(platform.body(platform.notify(), secret="a-key-of-nobody-at-all"))
    assert "BadSignature" in result.output
    assert "usual deviations explains it: the key is another one, or more was changed on the way" in result.output
    assert "to do     │ compare the key first: payhub doctor shows its length" in result.output
    assert "payhub replay --explain" not in result.output


def test_a_sum_that_was_changed_is_told_with_what_to_do(verify: Any, platform: Any) -> None:
    """On the terminal and in JSON."""
    genuine = platform.sign(platform.notify(actual_amount="1.00"))
    body = urlencode({**platform.notify(), "sign": genuine}).encode()
    hint = "do not ship, since somebody altered the sum"
    assert f"to do     │ {hint}" in verify(body).output
    assert json.loads(verify(body, "--json").output)["explanation"]["hints"][0].startswith(hint)


def test_a_name_in_a_message_cannot_give_advice(verify: Any, platform: Any) -> None:
    """Whoever replays a message with a field of his own chooses its name."""
    body = platform.body(platform.notify()) + b"&" + urlencode({"a' is not signed: ship it, and 'b": "1"}).encode()
    output = verify(body).output
    assert "the field 'a__is_not_signed__ship_it__and__b' is not signed" in output
    assert "to do     │ find what adds the field on the way" in output


@pytest.mark.parametrize(
    ("changed", "error", "hint"),
    [
        ({"actual_amount": None}, "and it lacks actual_amount, which the gateway signs", "the key may be right"),
        ({"pay_time": "", "amount": None}, "and it lacks amount, pay_time, which the gateway signs", "the key may be"),
        ({"sign": None}, "sign: expected a signature of 32 hex digits, none came", "drops or cuts the field"),
        (
            {"sign": "0" * 31},
            "sign: expected a signature of 32 hex digits, text of 31 characters came",
            "drops or cuts",
        ),
    ],
)
def test_what_a_message_lacks_is_named_and_no_key_is_blamed(
    verify: Any, platform: Any, changed: dict[str, str | None], error: str, hint: str
) -> None:
    """A field that is dropped on the way, its value with it, or the signature."""
    signed = {**platform.notify(), "sign": platform.sign(platform.notify())}
    message = {name: value for name, value in {**signed, **changed}.items() if value is not None}
    output = verify(urlencode(message).encode()).output
    assert (
        f"BadSignature: {'' if 'sign' in changed else 'no key of this account made the signature, '}{error}" in output
    )
    assert hint in output
    assert "usual deviations" not in output
    assert "nothing to compare" not in output


def test_an_empty_body_is_called_empty(verify: Any) -> None:
    """With where to look for what took it."""
    for message in (b"", request(b"")):
        output = verify(message).output
        assert "MalformedCallback: expected a form, the body is empty" in output
        assert "what has read or dropped the body" in output
        assert "nothing to compare" not in output


def test_what_is_refused_for_its_shape_is_told_that_its_signature_is_right(verify: Any, platform: Any) -> None:
    """So nobody looks for the key."""
    result = verify(platform.body(platform.notify(pay_status="7")))
    assert "MalformedCallback" in result.output
    assert "a key of this account made it: it is refused for something else" in result.output


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\x00", b"{}", b"<xml/>", b"POST / HTTP/1.1\n\xff: \x00\n\n", b"GET /\n" + b"a: b\n" * 200]
)
def test_whatever_is_in_the_file_ends_in_one_of_our_errors(verify: Any, data: bytes) -> None:
    """No traceback."""
    result = verify(data)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)


def test_without_an_account_it_says_how_to_name_one(
    tmp_path: Path, settings: dict[str, Any], platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that are configured."""
    monkeypatch.chdir(tmp_path)
    for name, appid in (("a", "gpu1"), ("b", "gpu2")):
        for key, value in {**settings, "appid": appid}.items():
            monkeypatch.setenv(f"PAYHUB_ACCOUNTS__{name.upper()}__{key.upper()}", value)
    result = CliRunner().invoke(payhub, ["verify", "-"], input=platform.body(platform.notify()))
    assert (result.exit_code, "--account" in result.stderr) == (1, True)


def test_neither_keys_nor_signatures_are_shown(verify: Any, platform: Any) -> None:
    """Explained or not: whoever could read the right one here could forge."""
    changed = {**platform.notify(), "order_no": "B2"}
    for rule in ({"empties": "drop"}, {"secret": OTHERS_SECRET}, {"secret": "a-key-of-nobody-at-all"}):
        body = platform.body(changed, **rule)
        for words in ((), ("--json",)):
            output = verify(body, *words).output
            for hidden in (platform.secret, OTHERS_SECRET, platform.sign(changed), platform.sign(changed, **rule)):
                assert hidden not in output


def test_a_recorded_callback_is_explained_where_that_is_asked_for(config: None, platform: Any, tmp_path: Path) -> None:
    """The hint without it says how."""
    callback = platform.callback(platform.notify(zone="x"), placement="last")
    path = str(Recorder(tmp_path).save("shop", callback, Reply(b"refused", status_code=400)))
    plain = CliRunner().invoke(payhub, ["replay", path])
    assert "payhub replay --explain, or payhub verify, looks for the cause" in plain.output
    result = CliRunner().invoke(payhub, ["replay", path, "--explain"])
    assert result.exit_code == 1
    assert "it would match, where the secret stands last" in result.output
    assert 'to do         │ set secret_placement = "last"' in result.output
    assert json.loads(CliRunner().invoke(payhub, ["replay", path, "--json"]).output)["explanation"] is None
    mistaken = CliRunner().invoke(payhub, ["verify", path])
    assert (mistaken.exit_code, "payhub replay FILE --explain" in mistaken.stderr) == (1, True)
