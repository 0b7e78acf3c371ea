"""The mistakes that people make in variables and secret files, each with the whole text that they are told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.told import FILE, MISSING, NO_SECRET, SECRET, SECRET_FILE, WRAPPED, told

from payhub_core import load_accounts, load_config

VALUE = "canary-of-the-environment-01"
FORMS = (
    "names no setting. Hint: write PAYHUB_ACCOUNTS__SHOP__SECRET, two underscores between the parts, for the secret of "
    "[accounts.shop]; the others are PAYHUB_DEFAULT, PAYHUB_LEDGER, PAYHUB_RECORDER and PAYHUB_ROUTES__ANY; "
    "a secret file has such a name in lower case"
)
SHORT = "expected a secret of at least 16 printable characters, or several, not"
STRAY = (
    "is for the account 'shpo', which has no provider. Hint: did you mean 'shop'? "
    "To configure it by variables alone, set PAYHUB_ACCOUNTS__SHPO__PROVIDER too"
)
#: By the file, and the variables beside it.
VARIABLES: dict[str, tuple[str, dict[str, str], str]] = {
    "single underscores": (
        NO_SECRET,
        {"PAYHUB_ACCOUNTS_SHOP_SECRET": VALUE},
        f"the environment variable PAYHUB_ACCOUNTS_SHOP_SECRET {FORMS}",
    ),
    "a single underscore": (
        NO_SECRET,
        {"PAYHUB_ACCOUNTS__SHOP_SECRET": VALUE},
        f"the environment variable PAYHUB_ACCOUNTS__SHOP_SECRET {FORMS}",
    ),
    "two underscores at first": (
        NO_SECRET,
        {"PAYHUB__ACCOUNTS__SHOP__SECRET": VALUE},
        f"the environment variable PAYHUB__ACCOUNTS__SHOP__SECRET {FORMS}",
    ),
    "an account alone": (
        FILE,
        {"PAYHUB_ACCOUNTS__SHOP": VALUE},
        f"the environment variable PAYHUB_ACCOUNTS__SHOP {FORMS}",
    ),
    "a part too many": (
        FILE,
        {"PAYHUB_DEFAULT__SHOP": VALUE},
        f"the environment variable PAYHUB_DEFAULT__SHOP {FORMS}",
    ),
    "small letters, and a slip": (
        FILE,
        {"payhub_accounts_shop_secret": VALUE},
        f"the environment variable payhub_accounts_shop_secret {FORMS}",
    ),
    "a misspelt variable": (
        FILE,
        {"PAYHUB_DEFUALT": VALUE},
        "the environment variable PAYHUB_DEFUALT names no setting. Hint: did you mean 'default'?",
    ),
    "brackets without end": (
        NO_SECRET,
        {"PAYHUB_ACCOUNTS__SHOP__SECRET": "[" * 50_000},
        "payhub.toml: RecursionError while reading the environment or secret files",
    ),
    "a misspelt account": (FILE, {"PAYHUB_ACCOUNTS__SHPO__SECRET": VALUE}, f"PAYHUB_ACCOUNTS__SHPO__SECRET {STRAY}"),
    "a misspelt account, so that a secret is missing": (
        NO_SECRET,
        {"PAYHUB_ACCOUNTS__SHPO__SECRET": VALUE},
        f"payhub.toml: {MISSING}; PAYHUB_ACCOUNTS__SHPO__SECRET {STRAY}",
    ),
    "a misspelt setting": (
        FILE,
        {"PAYHUB_ACCOUNTS__SHOP__SECERT": VALUE},
        (
            "payhub.toml: [account shop] secert (from PAYHUB_ACCOUNTS__SHOP__SECERT): there is no such field. "
            "Hint: did you mean 'secret'?"
        ),
    ),
    "a setting of another provider": (
        '[accounts.shop]\nprovider = "dummy"\ndevelopment = true\n',
        {SECRET: VALUE},
        (
            f"payhub.toml: [account shop] secret (from {SECRET}): there is no such field. "
            f"Hint: unset {SECRET}, or give the account another name"
        ),
    ),
    "an unknown default": (
        FILE,
        {"PAYHUB_DEFAULT": "shpo"},
        "payhub.toml: default (from PAYHUB_DEFAULT): there is no account 'shpo'. Hint: did you mean 'shop'?",
    ),
    "quotes": (NO_SECRET, {SECRET: f'"{VALUE}"'}, f"payhub.toml: [account shop] secret (from {SECRET}): {WRAPPED}"),
    "a list of Python": (
        NO_SECRET,
        {SECRET: f"['{VALUE}', '{VALUE}']"},
        f"payhub.toml: [account shop] secret (from {SECRET}): {WRAPPED}",
    ),
    "an empty one": (FILE, {SECRET: ""}, f"payhub.toml: [account shop] secret (from {SECRET}): {SHORT} an empty one"),
    "a unit": (
        FILE,
        {"PAYHUB_ACCOUNTS__SHOP__TIMEOUT": "15s"},
        "payhub.toml: [account shop] timeout (from PAYHUB_ACCOUNTS__SHOP__TIMEOUT): expected a number",
    ),
    "no JSON": (
        FILE,
        {"PAYHUB_ROUTES__ANY": "shop"},
        'payhub.toml: routes.any (from PAYHUB_ROUTES__ANY): expected a list such as ["one", "two"], not a str',
    ),
    "a route to nowhere": (
        FILE,
        {"PAYHUB_ROUTES__ANY": '["shpo"]'},
        "payhub.toml: routes.any (from PAYHUB_ROUTES__ANY): there is no account 'shpo'. Hint: did you mean 'shop'?",
    ),
    "no folder of secrets": (
        FILE,
        {"PAYHUB_SECRETS_DIR": "nowhere"},
        (
            "there is no folder of secret files HERE/nowhere. "
            "Hint: name it in secrets_dir= or PAYHUB_SECRETS_DIR, or see that it is mounted"
        ),
    ),
}
#: By the name and the content of a secret file beside a payhub.toml without a secret.
SECRETS: dict[str, tuple[str, bytes, str]] = {
    "an empty file": (
        SECRET_FILE,
        b"\n",
        f"payhub.toml: [account shop] secret (from secrets/{SECRET_FILE}): {SHORT} an empty one",
    ),
    "two lines": (
        SECRET_FILE,
        VALUE.encode() + b"\n" + VALUE.encode(),
        (
            f"payhub.toml: [account shop] secret (from secrets/{SECRET_FILE}): {SHORT} "
            "one with line breaks or other control characters"
        ),
    ),
    "GBK": (
        SECRET_FILE,
        "canary-商户".encode("gbk"),
        f"HERE/secrets/{SECRET_FILE} is not in UTF-8. Hint: save the secret file as UTF-8 in your editor",
    ),
    "single underscores": (
        "payhub_accounts_shop_secret",
        VALUE.encode(),
        f"the secret file secrets/payhub_accounts_shop_secret {FORMS}",
    ),
    "folders": (
        "payhub_accounts/shop/secret",
        VALUE.encode(),
        f"the secret file secrets/payhub_accounts/shop/secret {FORMS}",
    ),
    "a misspelt account": (
        "payhub_accounts__shpo__secret",
        VALUE.encode(),
        f"payhub.toml: {MISSING}; secrets/payhub_accounts__shpo__secret {STRAY}",
    ),
    "a suffix": (
        f"{SECRET_FILE}.txt",
        VALUE.encode(),
        (
            f"payhub.toml: [account shop] secret: is missing; secret.txt (from secrets/{SECRET_FILE}.txt): "
            "there is no such field. Hint: did you mean 'secret'?"
        ),
    ),
}


@pytest.mark.parametrize("mistake", VARIABLES)
def test_a_mistake_in_a_variable(here: Path, monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    """The variable is named, not the file."""
    content, variables, text = VARIABLES[mistake]
    (here / "payhub.toml").write_text(content)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert told(here) == text


@pytest.mark.skipif(os.name == "nt", reason="there the two are one variable")
def test_two_spellings_of_a_variable_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one counted would depend on their sequence: an old secret could stay in force unseen."""
    (here / "payhub.toml").write_text(NO_SECRET)
    monkeypatch.setenv(SECRET, VALUE)
    monkeypatch.setenv(SECRET.lower(), "canary-of-the-environment-02")
    assert told(here) == f"the environment variables {SECRET} and {SECRET.lower()} set the same. Hint: keep one of them"


def test_variables_alone_without_a_provider_say_that_no_file_was_read(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most often the folder is another one."""
    monkeypatch.setenv(SECRET, VALUE)
    assert told(here, None) == (
        f"{SECRET} is for the account 'shop', which has no provider. Hint: no configuration file was read: run this in "
        "the folder of payhub.toml, or name the file. "
        "To configure it by variables alone, set PAYHUB_ACCOUNTS__SHOP__PROVIDER too"
    )


@pytest.mark.parametrize("mistake", SECRETS)
def test_a_mistake_in_a_secret_file(here: Path, mistake: str) -> None:
    """The secret file is named; one that sets nothing is an error, so that no secret is left out unseen."""
    name, content, text = SECRETS[mistake]
    (here / "payhub.toml").write_text(NO_SECRET)
    file = here / "secrets" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert told(here, secrets="secrets") == text


def test_what_is_written_otherwise_without_harm(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable in small letters, a newline at the end of a secret file, an empty name of the folder."""
    (here / "payhub.toml").write_text(NO_SECRET)
    monkeypatch.setenv("PAYHUB_SECRETS_DIR", "")
    (here / SECRET_FILE).write_text(VALUE + "\n")
    monkeypatch.setenv("payhub_accounts__shop__timeout", "5")
    assert "secret: is missing" in told(here)
    assert load_accounts(load_config("payhub.toml", secrets_dir="."))["shop"].timeout == 5.0
