"""The mistakes that people make in files, variables and secret files, each with the whole text that they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from payhub_core import ConfigError, load_accounts, load_config

FILE = """default = "shop"
[accounts.shop]
provider = "gpu"
base_url = "https://gateway.example"
appid = "gpu10000000"
secret = "canary-of-the-file-000001"
"""
NO_SECRET = "".join(FILE.splitlines(keepends=True)[:-1])
VALUE = "canary-of-the-environment-01"
SECRET = "PAYHUB_ACCOUNTS__SHOP__SECRET"
SECRET_FILE = SECRET.lower()
LINE = '. Hint: a line is like appid = "gpu10000000", text in straight quotes'
FORMS = (
    "names no setting. Hint: write PAYHUB_ACCOUNTS__SHOP__SECRET, two underscores between the parts, for the secret of "
    "[accounts.shop]; the others are PAYHUB_DEFAULT, PAYHUB_LEDGER, PAYHUB_RECORDER and PAYHUB_ROUTES__ANY; "
    "a secret file has such a name in lower case"
)
WINDOWS = r". Hint: write a path of Windows in single quotes, as 'C:\shop', or with /"
ONCE = ". Hint: each table and each name stands once"
TABLE = "Hint: an account is a table of its own, as [accounts.shop]"
SHORT = "expected a secret of at least 16 printable characters, or several, not"
WRAPPED = (
    "expected the secret itself, not one in quotes or brackets; several are a list, in a variable as JSON: "
    '["new", "old"]'
)
STRAY = (
    "is for the account 'shpo', which has no provider. Hint: did you mean 'shop'? "
    "To configure it by variables alone, set PAYHUB_ACCOUNTS__SHPO__PROVIDER too"
)
MISSING = (
    "[account shop] secret: is missing. Hint: set secret in [accounts.shop]; a secret belongs into "
    f"{SECRET} in the environment, or into a secret file named {SECRET_FILE}"
)
OPTIONS = "accounts, default, ledger, recorder, routes"


def changed(old: str, new: str) -> str:
    """The file with one thing written otherwise."""
    assert old in FILE
    return FILE.replace(old, new)


PATHS = {
    "no such file": (
        "nowhere.toml",
        (
            "there is no configuration file HERE/nowhere.toml. "
            "Hint: name your payhub.toml by its whole path, or start where it lies"
        ),
    ),
    "another folder": (
        "config/payhub.toml",
        (
            "there is no configuration file HERE/config/payhub.toml. "
            "Hint: name your payhub.toml by its whole path, or start where it lies"
        ),
    ),
    "a folder": (".", "expected a configuration file, HERE is a folder. Hint: name the payhub.toml in it"),
    "a dict": (
        {"accounts": {}},
        "expected the path of a file, not a dict. Hint: load_accounts takes a dict as it is",
    ),
}
#: By what is in payhub.toml.
CONTENTS: dict[str, tuple[str | bytes, str]] = {
    "JSON": ('{"accounts": {}}', f"cannot be read as TOML: Invalid statement (at line 1, column 1){LINE}"),
    "no quotes": (FILE + "timeout = soon", f"cannot be read as TOML: Invalid value (at line 7, column 11){LINE}"),
    "typographic quotes": (
        changed('"gpu"', "“gpu”"),
        f"cannot be read as TOML: Invalid value (at line 3, column 12){LINE}",
    ),
    "a colon": (
        '[accounts.shop]\nprovider: "gpu"',
        f"cannot be read as TOML: Expected '=' after a key in a key/value pair (at line 2, column 9){LINE}",
    ),
    "an open quote": (
        'default = "shop\n',
        rf"cannot be read as TOML: Illegal character '\n' (at line 1, column 16){LINE}",
    ),
    "a setting twice": (
        FILE + 'appid = "x"\n',
        f"cannot be read as TOML: Cannot overwrite a value (at line 7, column 12){ONCE}",
    ),
    "an account twice": (
        FILE + "[accounts.shop]",
        f"cannot be read as TOML: Cannot declare ('accounts', 'shop') twice (at line 7, column 15){ONCE}",
    ),
    "a path of Windows": (
        'recorder = "C:\\Users\\shop"',
        f"cannot be read as TOML: Invalid hex value (at line 1, column 17){WINDOWS}",
    ),
    "a URL of Windows": (
        'ledger = "sqlite:///C:\\payhub.db"',
        f"cannot be read as TOML: Unescaped '\\' in a string (at line 1, column 25){WINDOWS}",
    ),
    "GBK": ("# 商户".encode("gbk"), "is not in UTF-8. Hint: save the configuration as UTF-8 in your editor"),
    "UTF-16 without its mark": (
        FILE.encode("utf-16-le"),
        "is not in UTF-8. Hint: save the configuration as UTF-8 in your editor",
    ),
    "a number for a name": ("default = 5", ": default: expected text, not an int"),
    "accounts in a list": (
        'accounts = ["shop"]',
        f": accounts: expected a table of names and values, not a list. {TABLE}",
    ),
    "no name of an account": (
        '[accounts]\nprovider = "gpu"',
        f": accounts.provider: expected a table of names and values, not a str. {TABLE}",
    ),
    "a table without accounts": (
        changed("accounts.shop", "shop"),
        f": shop: there is no such field. {TABLE}; known are: {OPTIONS}",
    ),
    "a misspelt table": (
        changed("accounts.shop", "acounts.shop"),
        ": acounts: there is no such field. Hint: did you mean 'accounts'?",
    ),
    "a ledger below an account": (
        FILE + 'ledger = "sqlite:///payhub.db"',
        ": [account shop] ledger: there is no such field. Hint: ledger belongs above the first [table] of the file",
    ),
    "an unknown default": (
        changed('= "shop"', '= "shpo"'),
        ": default: there is no account 'shpo'. Hint: did you mean 'shop'?",
    ),
    "a default without accounts": (
        'default = "shop"',
        ": default: there is no account 'shop'. Hint: no account is configured: write [accounts.shop] into payhub.toml",
    ),
    "a route of one": (
        FILE + '[routes]\nany = "shop"',
        ': routes.any: expected a list such as ["one", "two"], not a str',
    ),
    "a route to nowhere": (
        FILE + '[routes]\nany = ["shpo"]',
        ": routes.any: there is no account 'shpo'. Hint: did you mean 'shop'?",
    ),
    "an empty route": (
        FILE + "[routes]\nany = []",
        ': routes.any: expected names of accounts, each once, as ["shop", "outlet"]',
    ),
    "a route named as an account": (
        FILE + '[routes]\nshop = ["shop"]',
        ": routes.shop: 'shop' is the name of an account. Hint: rename the route",
    ),
    "one merchant twice": (
        FILE + FILE.partition("\n")[2].replace("shop", "outlet"),
        (
            ": accounts 'shop' and 'outlet' have the same provider and appid. "
            "Hint: drop one of them, or mend its appid: an order of the one could be settled as the other's"
        ),
    ),
    "a misspelt provider": (
        changed('"gpu"', '"gpuu"'),
        ": [account shop] provider: none is installed under 'gpuu'. Hint: did you mean 'gpu'?",
    ),
    "an odd name": (
        changed('= "shop"\n[accounts.shop]', '= "Shop-1"\n[accounts.Shop-1]'),
        ": an account's name is like 'shop_1' (a-z, 0-9, _), not 'Shop-1'",
    ),
    "a page's path": (
        changed("gateway.example", "gateway.example/submit.php"),
        (
            ": [account shop] base_url: expected the address of the gateway, not of one of its pages: "
            "leave out the page's path"
        ),
    ),
    "the path of orders": (
        changed("gateway.example", "gateway.example/api/order/unified"),
        ": [account shop] base_url: expected the address up to /api/order, such as https://gateway.example",
    ),
    "an empty appid": (
        changed("gpu10000000", ""),
        ": [account shop] appid: expected text of the form ^[A-Za-z0-9_-]{1,64}$, not an empty one",
    ),
    "an appid with a blank": (
        changed("gpu10000000", " gpu10000000"),
        ": [account shop] appid: expected text of the form ^[A-Za-z0-9_-]{1,64}$, without white space around it",
    ),
    "no secret": (NO_SECRET, f": {MISSING}"),
    "a placeholder": (
        changed("canary-of-the-file-000001", "${THE_SHOPS_SECRET}"),
        f": [account shop] secret: {WRAPPED}",
    ),
}
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


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The application's folder, without a payhub.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(here: Path, path: Any = "payhub.toml", secrets: str | None = None) -> str:
    """What is said of the configuration, HERE being the folder; never a value of it."""
    with pytest.raises(ConfigError) as error:
        load_accounts(load_config(path, secrets_dir=secrets))
    assert error.value.__cause__ is error.value.__context__ is None or error.value.__suppress_context__
    assert "canary" not in str(error.value)
    return str(error.value).replace(str(here), "HERE")


@pytest.mark.parametrize("mistake", PATHS)
def test_a_mistake_in_the_path_of_the_file(here: Path, mistake: str) -> None:
    """The whole path is shown: most often the process was started in another folder."""
    path, text = PATHS[mistake]
    assert told(here, path) == text


def test_a_file_that_this_user_may_not_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the system, since a test may be run by root."""

    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    (here / "payhub.toml").write_text(FILE)
    monkeypatch.setattr(Path, "read_bytes", denied)
    assert told(here) == "payhub.toml cannot be read: PermissionError. Hint: let this user read it"


@pytest.mark.parametrize("mistake", CONTENTS)
def test_a_mistake_in_the_file(here: Path, mistake: str) -> None:
    """The file is named, and the line where there is one."""
    content, text = CONTENTS[mistake]
    (here / "payhub.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert told(here) == (f"payhub.toml{text}" if text.startswith(":") else f"payhub.toml {text}")


@pytest.mark.parametrize("mistake", VARIABLES)
def test_a_mistake_in_a_variable(here: Path, monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    """The variable is named, not the file."""
    content, variables, text = VARIABLES[mistake]
    (here / "payhub.toml").write_text(content)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert told(here) == text


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
