"""An account's settings: what is refused at start, and what is never shown."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from payhub_core import ConfigError, load_accounts
from payhub_gpu import Gpu


@pytest.mark.parametrize(
    "secret",
    [
        "",
        " ",
        "\n",
        "short",
        "x" * 15,
        " " * 40,
        [],
        [""],
        ["x" * 40, ""],
        ["x" * 40, "short"],
        None,
        5,
        True,
        "x" * 20 + "\x00",
        "x" * 20 + "\ny",
        ["x" * 40, None],
        {"a": "x" * 40},
    ],
)
def test_an_empty_blank_or_short_secret_does_not_start(make_gpu: Any, secret: Any) -> None:
    """CVE-2026-41432: with an empty key anyone signs."""
    with pytest.raises(ValidationError):
        make_gpu(secret=secret)


def test_a_missing_secret_does_not_start(settings: Any) -> None:
    """There is no default."""
    with pytest.raises(ConfigError, match="secret"):
        load_accounts({"accounts": {"shop": {k: v for k, v in settings.items() if k != "secret"}}})


def test_sixteen_characters_are_a_secret(make_gpu: Any) -> None:
    """The shortest."""
    assert make_gpu(secret="x" * 16).secret[0].get_secret_value() == "x" * 16


def test_white_space_around_a_secret_is_a_slip(make_gpu: Any) -> None:
    """The newline that every editor puts at a file's end is no part of a key."""
    for secret in (" " + "x" * 16 + "\n", ["x" * 16 + "\r\n"], ("x" * 16,)):
        assert [key.get_secret_value() for key in make_gpu(secret=secret).secret] == ["x" * 16]


@pytest.mark.parametrize("url", ["http://gateway.example", "HTTP://gateway.example", "http://127.0.0.1.evil.example"])
def test_plain_http_needs_an_opt_in(make_gpu: Any, url: str) -> None:
    """Its queries prove nothing; allow_http says that one knows."""
    with pytest.raises(ValidationError, match="allow_http"):
        make_gpu(base_url=url)
    assert make_gpu(base_url=url, allow_http=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "[::1]"])
def test_loopback_needs_none(make_gpu: Any, host: str) -> None:
    """A local gateway is for trying things out."""
    assert make_gpu(base_url=f"http://{host}:8000")


@pytest.mark.parametrize("host", ["localhost.example", "127.0.0.1.nip.io", "0.0.0.0", "10.0.0.1", "[::2]", "128.0.0.1"])
def test_what_only_looks_like_loopback_is_not(make_gpu: Any, host: str) -> None:
    """The whole name counts."""
    with pytest.raises(ValidationError, match="allow_http"):
        make_gpu(base_url=f"http://{host}:8000")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway.example",
        "/pay",
        "//gateway.example",
        "javascript:alert(1)",
        "ftp://gateway.example",
        "https://",
        "https:///x",
        "https://gateway.example:99999",
        "https://gateway.example:x",
        "https://user:pw@gateway.example",
        "https://user@gateway.example",
        "https://:pw@gateway.example",
        "https://gateway.example?x=1",
        "https://gateway.example#x",
        "https://gateway.example/\n",
        "https://gate way.example",
        "https://网关.example",
        "https://[::1",
        None,
        5,
    ],
)
def test_an_address_that_is_none_does_not_start(make_gpu: Any, url: Any) -> None:
    """Relative, other schemes, credentials inside, queries, fragments, blanks."""
    with pytest.raises(ValidationError):
        make_gpu(base_url=url)


@pytest.mark.parametrize("timeout", [None, 0, -1, 121, float("nan"), float("inf"), "soon"])
def test_a_time_out_is_never_none_or_zero(make_gpu: Any, timeout: Any) -> None:
    """No call waits for ever."""
    with pytest.raises(ValidationError):
        make_gpu(timeout=timeout)


@pytest.mark.parametrize("timeout", [0.5, 120, "2.5"])
def test_a_time_out_is_in_seconds(make_gpu: Any, timeout: Any) -> None:
    """As a number, or as text from the environment."""
    assert make_gpu(timeout=timeout).timeout == float(timeout)


@pytest.mark.parametrize("appid", ["", "a b", "a&b", "a=b", "x" * 65, "商户", "gpu1\n", None])
def test_an_appid_has_the_grammar_of_callbacks(make_gpu: Any, appid: Any) -> None:
    """Or no callback could ever be for it."""
    with pytest.raises(ValidationError):
        make_gpu(appid=appid)


@pytest.mark.parametrize(
    "changes",
    [
        {"secret_placement": "first"},
        {"callback_empties": "ignore"},
        {"order_no_max_length": 0},
        {"order_no_max_length": 65},
        {"allow_http": "perhaps"},
        {"verify": False},
        {"info": None},
    ],
)
def test_a_setting_that_does_not_exist_does_not_start(make_gpu: Any, changes: dict[str, Any]) -> None:
    """Nothing turns verification off, and nothing is ignored."""
    with pytest.raises(ValidationError):
        make_gpu(**changes)


def test_an_account_does_not_change(gpu: Gpu) -> None:
    """Its settings are what was checked."""
    with pytest.raises(ValidationError):
        gpu.secret = ()  # type: ignore[misc]


def test_two_accounts_with_one_appid_do_not_start(settings: Any) -> None:
    """An order of the one would be settled as the other's."""
    with pytest.raises(ConfigError, match=r"'one' and 'two'.*appid"):
        load_accounts({"accounts": {"one": settings, "two": {**settings, "secret": "another-secret-000001"}}})


def test_two_accounts_with_two_appids_start(settings: Any) -> None:
    """Several accounts of one provider are ordinary."""
    assert len(load_accounts({"accounts": {"one": settings, "two": {**settings, "appid": "gpu2"}}})) == 2


def test_no_view_of_an_account_shows_its_secret(gpu: Gpu, platform: Any) -> None:
    """repr, str, format, dict, JSON, vars, copies of it."""
    views = [gpu, copy.copy(gpu), copy.deepcopy(gpu), gpu.model_copy(), vars(gpu), dict(gpu), gpu.model_dump(), [gpu]]
    shown = [repr(view) for view in views] + [str(view) for view in views]
    shown += [
        f"{gpu}",
        gpu.model_dump_json(),
        json.dumps(gpu.model_dump(mode="json")),
        str(gpu.model_dump(mode="json")),
    ]
    shown += [str(gpu.model_json_schema()), str(gpu.__pydantic_fields_set__), str(list(gpu)), str(gpu.__getstate__())]
    assert not any(platform.secret in text for text in shown)
    assert "gpu10000000" in shown[0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_account_is_not_pickled(gpu: Gpu, protocol: int) -> None:
    """A pickle is a file with the secret in it."""
    with pytest.raises(TypeError, match="secrets"):
        pickle.dumps(gpu, protocol)


def test_a_copy_is_an_account_still(gpu: Gpu, platform: Any) -> None:
    """Copying in memory is no leak, and the copy verifies."""
    account = copy.deepcopy(gpu)
    assert account.parse_callback(callback=platform.callback(platform.notify()), expect=None).payment


@pytest.mark.parametrize("url", ["https://gateway.example", "https://127.0.0.1.gateway.example"])
def test_the_sandboxs_own_key_is_none_for_a_real_gateway(settings: dict[str, Any], url: str) -> None:
    """Everyone knows it, so anyone could sign a notify."""
    for secret in ("sandbox-secret-0-not-for-money", ["c1277-throw-away-key", "sandbox-secret-1-not-for-money"]):
        with pytest.raises(ConfigError, match=r"secret: .*published"):
            load_accounts({"accounts": {"shop": {**settings, "base_url": url, "secret": secret}}})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "https://localhost:8000", "http://[::1]:8000"])
def test_the_sandboxs_own_key_is_fine_on_this_machine(settings: dict[str, Any], url: str) -> None:
    """Where the sandbox is."""
    secret = "sandbox-secret-0-not-for-money"
    assert load_accounts({"accounts": {"shop": {**settings, "base_url": url, "secret": secret}}})["shop"]
