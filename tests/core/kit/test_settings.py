"""The settings that every provider has: what is refused at start, and what is never shown."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from payhub_core.kit import AccountSettings, Address, Secret, Secrets

KEY = "canary-secret-that-is-never-shown-1"


class Bank(AccountSettings):
    base_url: Address = "https://bank.example"
    secret: Secrets


@pytest.fixture
def bank() -> Bank:
    return make(secret=[KEY, KEY + "-old"])


def make(**changes: Any) -> Bank:
    return Bank(**{"secret": KEY, **changes})


# Secrets


@pytest.mark.parametrize("secret", [KEY, [KEY], (KEY,), Secret(KEY), SecretStr(KEY), [SecretStr(KEY)], f" {KEY}\r\n"])
def test_one_secret_is_a_tuple_of_one(secret: Any) -> None:
    """As text, as a list, already wrapped, or with the newline that editors put at a file's end."""
    assert make(secret=secret).secret == (Secret(KEY),)


def test_the_first_of_several_is_current(bank: Bank) -> None:
    """In the order in which they were written."""
    assert [key.text for key in bank.secret] == [KEY, KEY + "-old"]


def test_a_secret_is_text_or_bytes() -> None:
    """Bytes are what an HMAC wants; UTF-8."""
    (key,) = make(secret="密" * 16).secret
    assert (key.text, bytes(key)) == ("密" * 16, ("密" * 16).encode())


@pytest.mark.parametrize(
    "secret",
    [
        *("", " " * 40, "x" * 15, "x" * 15 + "\n", [], (), [""], [KEY, ""], [KEY, "short"]),
        *("x" * 20 + "\x00", "x\n" * 20),
        *(None, 5, True, 1.5, {"a": KEY}, [KEY, None], [[KEY]]),
    ],
)
def test_what_is_no_secret_does_not_start(secret: Any) -> None:
    """CVE-2026-41432, CVE-2026-87974: with an empty key anyone signs."""
    with pytest.raises(ValidationError, match="secret"):
        make(secret=secret)


@pytest.mark.parametrize(
    "secret",
    [
        repr([KEY]),
        repr((KEY, KEY)),
        json.dumps([KEY]),
        repr(KEY),
        json.dumps(KEY),
        f' "{KEY}" ',
        f"“{KEY}”",
        f"「{KEY}」",
    ],
)
def test_a_secret_in_quotes_or_brackets_is_a_slip(secret: str) -> None:
    """The repr of a list, JSON in a variable that is text: it would never verify anything."""
    with pytest.raises(ValidationError, match="quotes or brackets"):
        make(secret=secret)


@pytest.mark.parametrize(
    "name",
    [
        "secret=",
        "key: ",
        "KEY =",
        "AppSecret:",
        "app_key=",
        "api-secret-key = ",
        "密钥：",
        "商户密钥: ",
        "MD5密钥=",
        "token=",
    ],
)
def test_a_secret_with_its_name_before_it_is_a_slip(name: str) -> None:
    """A line copied whole out of a manual or a console; the error shows nothing of it."""
    with pytest.raises(ValidationError, match="the secret itself, not a line that names it") as error:
        make(secret=f"{name}{KEY}")
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    "secret", ["0123456789abcdefkey=", "sk_test_key_0123456789", "key-0123456789abcdef==", "rzp:0123456789abcdef"]
)
def test_what_only_looks_like_a_name_is_part_of_the_secret(secret: str) -> None:
    """Padding of base64, a prefix."""
    assert make(secret=secret).secret[0].text == secret


def test_quotes_inside_a_secret_are_part_of_it() -> None:
    """Only a pair around all of it is a slip."""
    for secret in (f"{KEY}'", f"'{KEY}\"", f"[{KEY}", f"a{KEY[:5]}]['{KEY}"):
        assert make(secret=secret).secret[0].text == secret


def test_no_view_of_an_account_shows_its_secret(bank: Bank) -> None:
    """Repr, str, dict, JSON, vars, copies of it."""
    views = [bank, copy.copy(bank), copy.deepcopy(bank), bank.model_copy(), vars(bank), dict(bank), bank.model_dump()]
    shown = [f"{view!r} {view}" for view in views] + [bank.model_dump_json(), str(bank.model_json_schema())]
    shown += [json.dumps(bank.model_dump(mode="json")), str(bank.__getstate__()), str(list(bank))]
    assert not any(KEY in text for text in shown)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_account_is_not_pickled(bank: Bank, protocol: int) -> None:
    """A pickle is a file with the secret in it; so is one of what a task queue is given in its place."""
    for given in (bank, bank.model_dump(), bank.secret, bank.secret[0]):
        with pytest.raises(TypeError, match="is not pickled"):
            pickle.dumps(given, protocol)
    assert copy.copy(bank.secret[0]) is copy.deepcopy(bank.secret[0]) is bank.secret[0]


@pytest.mark.parametrize(
    "changes", [{"secret": [KEY, ""]}, {"secret": {"a": KEY}}, {"more": KEY}, {"timeout": KEY}, {"base_url": KEY}]
)
def test_no_error_shows_what_was_put_in(changes: dict[str, Any]) -> None:
    """A secret under the wrong key is a secret still."""
    with pytest.raises(ValidationError) as caught:
        make(**changes)
    assert KEY not in str(caught.value)


def test_a_default_is_checked_as_a_setting_is() -> None:
    """An author's empty default is an empty key."""

    class Careless(AccountSettings):
        secret: Secrets = ()

    with pytest.raises(ValidationError, match="secret"):
        Careless()


# The account


def test_an_account_does_not_change_and_knows_its_keys(bank: Bank) -> None:
    """What was checked is what is used; nothing is ignored."""
    with pytest.raises(ValidationError, match="frozen"):
        bank.timeout = 1
    with pytest.raises(ValidationError, match="verify"):
        make(verify=False)


@pytest.mark.parametrize("timeout", [None, 0, -1, 121, float("nan"), float("inf"), "soon"])
def test_a_time_out_is_never_none_or_zero(timeout: Any) -> None:
    """No call waits for ever."""
    with pytest.raises(ValidationError, match="timeout"):
        make(timeout=timeout)


@pytest.mark.parametrize("timeout", [0.5, 120, "2.5"])
def test_a_time_out_is_in_seconds(timeout: Any) -> None:
    """Fifteen where nobody says otherwise; text comes from the environment."""
    assert make(timeout=timeout).timeout == float(timeout)
    assert make().timeout == 15


# Addresses


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://bank.example", "https://bank.example"),
        ("https://bank.example/", "https://bank.example"),
        ("https://bank.example:8443/v3//", "https://bank.example:8443/v3"),
        ("HTTPS://Bank.Example/A", "HTTPS://Bank.Example/A"),
        ("https://[2001:db8::1]:80/x", "https://[2001:db8::1]:80/x"),
    ],
)
def test_an_address_is_kept_without_its_final_slash(url: str, kept: str) -> None:
    """So that a path can be put behind it."""
    assert make(base_url=url).base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        *("", "bank.example", "/pay", "//bank.example", "javascript:alert(1)", "ftp://bank.example"),
        *("https://", "https:///x"),
        *("https://bank.example:99999", "https://bank.example:x", "https://bank.example:0", "https://[::1"),
        *("https:bank",),
        *("https://user:pw@bank.example", "https://user@bank.example", "https://@bank.example"),
        *("https://a\\@bank.example",),
        *("https://bank.example?x=1", "https://bank.example?", "https://bank.example#x"),
        *("https://bank.example#",),
        *("https://bank.example/\n", " https://bank.example", "https://ba nk.example"),
        *("https://银行.example",),
        *("https://bank.example/\x00", "https:\\\\bank.example", "https://bank.example\t", None, 5),
    ],
)
def test_what_is_no_address_does_not_start(url: Any) -> None:
    """Relative, other schemes, credentials, queries, fragments, blanks, what parsers read in two ways."""
    with pytest.raises(ValidationError, match="base_url"):
        make(base_url=url, allow_http=True)


@pytest.mark.parametrize(
    "host", ["bank.example", "localhost.example", "127.0.0.1.nip.io", "0.0.0.0", "[::2]", "128.0.0.1"]
)
@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_plain_http_needs_an_opt_in(scheme: str, host: str) -> None:
    """Whoever is on the way writes the answers; what only looks like loopback is not."""
    with pytest.raises(ValidationError, match=r"base_url\n.*expected https; allow_http = true permits http"):
        make(base_url=f"{scheme}://{host}")
    assert make(base_url=f"{scheme}://{host}", allow_http=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "[::1]"])
def test_loopback_needs_none(host: str) -> None:
    """A local gateway is for trying things out."""
    assert make(base_url=f"http://{host}:8000")


def test_an_opt_in_that_is_unreadable_is_none() -> None:
    """Nor is one that the settings do not have."""

    class Bare(BaseModel):
        base_url: Address

    with pytest.raises(ValidationError, match="expected https"):
        make(base_url="http://bank.example", allow_http="perhaps")
    with pytest.raises(ValidationError, match="expected https"):
        Bare(base_url="http://bank.example")


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_a_secret_of_which_there_is_but_one_is_not_empty_either(empty: str) -> None:
    """Its length is its provider's to judge; an empty key is nobody's."""

    class Sealed(AccountSettings):
        message_key: Secret

    with pytest.raises(ValidationError, match="expected a secret, not an empty one"):
        Sealed(message_key=empty)
    assert Sealed(message_key="k").message_key.text == "k"
