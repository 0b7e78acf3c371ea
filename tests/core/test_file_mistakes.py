"""The mistakes that people make in a configuration file, each with the whole text that they are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.told import FILE, MISSING, NO_SECRET, WRAPPED, told

from payhub_core import ConfigError, load_config

LINE = '. Hint: a line is like appid = "gpu10000000", text in straight quotes'
WINDOWS = r". Hint: write a path of Windows in single quotes, as 'C:\shop', or with /"
ONCE = ". Hint: each table and each name stands once"
TABLE = "Hint: an account is a table of its own, as [accounts.shop]"
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
DEEP = "brackets or names are nested too deeply. Hint: no setting is nested deeper than a list"
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
    "brackets without end": ("a = " + "[" * 100_000, f"cannot be read as TOML: {DEEP}"),
    "tables without end": ("a = " + "{a = " * 1000 + "1" + "}" * 1000, f"cannot be read as TOML: {DEEP}"),
    "names without end": (
        FILE + ".".join("a" * 1000) + " = 1",
        ": accounts: the settings are nested too deeply",
    ),
    "GBK": ("# 商户".encode("gbk"), "is not in UTF-8. Hint: save the configuration as UTF-8 in your editor"),
    "UTF-16 without its mark": (
        FILE.encode("utf-16-le"),
        "is not in UTF-8. Hint: save the configuration as UTF-8 in your editor",
    ),
    "a number for a name": ("default = 5", ": default: expected text, in quotes, not an int"),
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
        ": an account's name is like 'shop_1' (a-z, 0-9, single _), not 'Shop-1'",
    ),
    "a route for a default": (
        changed('= "shop"', '= "tea"') + '[routes]\ntea = ["shop"]\n',
        (
            ": default: 'tea' is the name of a route. "
            "Hint: start orders at the route by its own name, and let default be an account"
        ),
    ),
    "two underscores in a name": (
        changed('= "shop"\n[accounts.shop]', '= "shop__a"\n[accounts.shop__a]'),
        ": an account's name is like 'shop_1' (a-z, 0-9, single _), not 'shop__a'",
    ),
    "another gateway's word for the key": (
        changed("secret =", "merchant_key ="),
        ": [account shop] secret: is missing; merchant_key: there is no such field. Hint: did you mean 'secret'?",
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


def test_the_error_about_a_file_holds_nothing_of_it(here: Path) -> None:
    """An error tracker reports the error behind the error, and its variables."""
    (here / "payhub.toml").write_text(FILE + "timeout = soon")
    with pytest.raises(ConfigError) as error:
        load_config("payhub.toml")
    assert error.value.__context__ is None
