"""Configuration: where settings come from, which of them wins, and what is said when they are wrong."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import pprint
from codecs import BOM_UTF16_LE
from pathlib import Path
from typing import Any

import pytest

from payhub_core import Config, ConfigError, load_accounts, load_config
from payhub_gpu import Gpu

TOML = """
default = "shop"

[accounts.shop]
provider = "gpu"
base_url = "https://gateway.example"
appid = "gpu10000000"
secret = "secret-of-the-toml-file-000001"
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "payhub.toml"
    path.write_text(TOML, "utf-8")
    return path


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


def secrets_of(config: Config, account: str = "shop") -> list[str]:
    provider = load_accounts(config)[account]
    assert isinstance(provider, Gpu)
    return [key.get_secret_value() for key in provider.secret]


def test_a_toml_file_is_a_configuration(toml: Path) -> None:
    """By itself, where the secret may stand in it."""
    config = load_config(toml)
    assert (config.default, config.source) == ("shop", str(toml))
    assert secrets_of(config) == ["secret-of-the-toml-file-000001"]
    assert load_config(str(toml)) == config


def test_the_environment_wins_over_secret_files_and_those_over_the_file(
    toml: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One setting in three places; the others of the account stay."""
    (secrets / "payhub_accounts__shop__secret").write_text("secret-of-the-secret-file-001")
    assert secrets_of(load_config(toml, secrets_dir=str(secrets))) == ["secret-of-the-secret-file-001"]
    monkeypatch.setenv("PAYHUB_ACCOUNTS__SHOP__SECRET", "secret-of-the-environment-001")
    config = load_config(toml, secrets_dir=str(secrets))
    assert secrets_of(config) == ["secret-of-the-environment-001"]
    assert config.accounts["shop"]["appid"] == "gpu10000000"


def test_the_newline_at_the_end_of_a_secret_file_is_no_part_of_the_secret(toml: Path, secrets: Path) -> None:
    """Every editor puts one there."""
    (secrets / "payhub_accounts__shop__secret").write_text("secret-of-the-secret-file-001\n")
    assert secrets_of(load_config(toml, secrets_dir=str(secrets))) == ["secret-of-the-secret-file-001"]


def test_the_folder_of_secrets_may_stand_in_the_environment(
    toml: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As containers have it; other programs' secrets lie there as well."""
    (secrets / "payhub_accounts__shop__secret").write_text("secret-of-the-secret-file-001")
    (secrets / "database_password").write_text("not-ours")
    monkeypatch.setenv("PAYHUB_SECRETS_DIR", str(secrets))
    assert secrets_of(load_config(toml)) == ["secret-of-the-secret-file-001"]


def test_the_environment_alone_is_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file at all."""
    for name, value in {
        "PAYHUB_DEFAULT": "shop",
        "PAYHUB_ACCOUNTS__SHOP__PROVIDER": "gpu",
        "PAYHUB_ACCOUNTS__SHOP__BASE_URL": "http://gateway.example",
        "PAYHUB_ACCOUNTS__SHOP__APPID": "gpu10000000",
        "PAYHUB_ACCOUNTS__SHOP__SECRET": "secret-of-the-environment-001",
        "PAYHUB_ACCOUNTS__SHOP__ALLOW_HTTP": "true",
        "PAYHUB_ACCOUNTS__SHOP__TIMEOUT": "2.5",
        "PAYHUB_ACCOUNTS__SHOP__ORDER_NO_MAX_LENGTH": "30",
    }.items():
        monkeypatch.setenv(name, value)
    accounts = load_accounts(load_config())
    shop = accounts["shop"]
    assert isinstance(shop, Gpu)
    assert (shop.allow_http, shop.timeout, shop.order_no_max_length) == (True, 2.5, 30)
    assert accounts.default == "shop"


def test_a_list_of_secrets_is_json_in_the_environment(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotation: the first signs, any verifies."""
    monkeypatch.setenv(
        "PAYHUB_ACCOUNTS__SHOP__SECRET", '["new-secret-of-the-shop-0001", "old-secret-of-the-shop-0001"]'
    )
    assert secrets_of(load_config(toml)) == ["new-secret-of-the-shop-0001", "old-secret-of-the-shop-0001"]


def test_a_list_of_secrets_in_the_toml_file(toml: Path) -> None:
    """As TOML has lists."""
    toml.write_text(
        TOML.replace('"secret-of-the-toml-file-000001"', '["a-secret-of-the-shop-00001", "b-secret-of-the-shop-00001"]')
    )
    assert secrets_of(load_config(toml)) == ["a-secret-of-the-shop-00001", "b-secret-of-the-shop-00001"]


@pytest.mark.parametrize(
    "text",
    [
        "12345678901234567890",
        "1e10000000000000000",
        "0x10000000000000000",
        "true false true ok",
        "null-null-null-null",
        "{not json at all....",
        '"quoted-quoted-quoted',
    ],
)
def test_a_secret_that_looks_like_a_number_stays_text(toml: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The signature is over its characters."""
    monkeypatch.setenv("PAYHUB_ACCOUNTS__SHOP__SECRET", text)
    assert secrets_of(load_config(toml)) == [text]


def test_an_appid_of_digits_stays_text(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0017 is not 17."""
    monkeypatch.setenv("PAYHUB_ACCOUNTS__SHOP__APPID", "0017")
    assert load_accounts(load_config(toml))["shop"].appid == "0017"  # type: ignore[attr-defined]


def test_a_plain_dict_is_a_configuration(settings: dict[str, Any]) -> None:
    """Of the same shape."""
    accounts = load_accounts({"default": "one", "accounts": {"one": settings, "two": {**settings, "appid": "gpu2"}}})
    assert list(accounts) == ["one", "two"]
    assert len(accounts) == 2
    assert accounts.default == "one"
    assert "one" in accounts
    assert "three" not in accounts
    assert repr(accounts) == "Accounts(one, two)"


def test_the_only_account_is_the_default(settings: dict[str, Any], toml: Path) -> None:
    """In a loaded configuration as in its accounts; of several, none is unless it is named."""
    toml.write_text(toml.read_text("utf-8").replace('default = "shop"', ""), "utf-8")
    assert load_config(toml).default == "shop"
    assert load_accounts({"accounts": {"shop": settings}}).default == "shop"
    assert load_accounts({"accounts": {"one": settings, "two": {**settings, "appid": "gpu2"}}}).default is None


def test_no_accounts_at_all_are_a_configuration_too() -> None:
    """An application may start before its first account is opened."""
    assert len(load_accounts({})) == 0
    assert len(load_accounts(load_config())) == 0


# What is wrong, and how it is said


def refused(config: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_accounts(config)
    return str(caught.value)


def test_an_unknown_setting_is_named_with_the_one_that_was_meant(settings: dict[str, Any]) -> None:
    """Nothing is silently ignored."""
    text = refused({"accounts": {"shop": {**settings, "secert_placement": "last"}}})
    assert all(word in text for word in ("shop", "secert_placement", "did you mean 'secret_placement'?"))


def test_an_unknown_provider_is_named_with_the_one_that_was_meant(settings: dict[str, Any]) -> None:
    """By its entry point's name."""
    assert "did you mean 'gpu'?" in refused({"accounts": {"shop": {**settings, "provider": "gpuu"}}})
    assert "gpu" in refused({"accounts": {"shop": {**settings, "provider": "quite-another"}}})


def test_a_missing_provider_is_asked_for(settings: dict[str, Any]) -> None:
    """Every account has one."""
    assert "provider: is missing" in refused(
        {"accounts": {"shop": {k: v for k, v in settings.items() if k != "provider"}}}
    )


@pytest.mark.parametrize("routes", [None, ["shop"], "shop", {"any": "shop"}, {"any": None}, {"any": 1}])
def test_routes_of_another_shape_are_refused(settings: dict[str, Any], routes: Any) -> None:
    """In words, as all else of a dict that was written by hand."""
    said = refused({"accounts": {"shop": settings}, "routes": routes})
    assert said.startswith("routes: expected a list of accounts for each")


@pytest.mark.parametrize("key", ["acounts", "Accounts", "defualt", "source", "x"])
def test_an_unknown_key_at_the_top_is_an_error(settings: dict[str, Any], key: str) -> None:
    """In a dict."""
    assert repr(key) in refused({"accounts": {"shop": settings}, key: {}})


@pytest.mark.parametrize("name", ["Shop", "1shop", "_shop", "shop-1", "shop 1", "", "店", "shop\n", "a.b", 5, None])
def test_an_accounts_name_has_a_grammar(settings: dict[str, Any], name: Any) -> None:
    """It stands in URLs, variables and files."""
    assert "account's name" in refused({"accounts": {name: settings}})


@pytest.mark.parametrize("config", [None, [], "payhub.toml", 5, {"accounts": []}, {"accounts": None}])
def test_what_is_no_configuration_is_refused(config: Any) -> None:
    """The path of a file belongs into load_config."""
    assert "load_config" in refused(config)


@pytest.mark.parametrize("settings", [None, "gpu", [], 5])
def test_an_account_is_a_table(settings: Any) -> None:
    """Named in the error."""
    text = refused({"accounts": {"shop": settings}})
    assert "shop" in text
    assert "table" in text


def test_a_default_that_does_not_exist_is_an_error(settings: dict[str, Any]) -> None:
    """With the one that was meant."""
    assert "did you mean 'shop'?" in refused({"default": "shpo", "accounts": {"shop": settings}})


def test_a_route_leads_to_accounts_and_has_a_name_of_its_own(settings: dict[str, Any]) -> None:
    """Or nobody could tell which is meant."""
    assert load_accounts({"accounts": {"shop": settings}, "routes": {"any": ["shop"]}})
    assert "did you mean 'shop'?" in refused({"accounts": {"shop": settings}, "routes": {"any": ["shpo"]}})
    assert "'shop'" in refused({"accounts": {"shop": settings}, "routes": {"shop": ["shop"]}})


def test_everything_that_is_wrong_is_said_at_once(settings: dict[str, Any]) -> None:
    """One start, one list."""
    text = refused({"default": "three", "accounts": {"one": {**settings, "timeout": 0}, "two": {"provider": "gpu"}}})
    assert all(word in text for word in ("one", "timeout", "two", "base_url", "appid", "secret", "three"))


def test_the_file_is_named_where_its_settings_are_wrong(toml: Path) -> None:
    """There may be several."""
    toml.write_text(TOML.replace("appid", "apid"))
    text = refused(load_config(toml))
    assert all(word in text for word in (str(toml), "shop", "apid", "did you mean 'appid'?"))


def load_fails(*args: Any, **kwargs: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(*args, **kwargs)
    return str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """Not an empty configuration."""
    assert "nowhere.toml" in load_fails(tmp_path / "nowhere.toml")
    assert str(tmp_path) in load_fails(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b'a = "canary', b"[accounts", b"a = canary", b"a = 1\na = 2", b"\xff\xfe", b"\x00", b'[a]\nb="canary\n"'],
)
def test_bad_toml_names_the_file_and_shows_none_of_it(toml: Path, content: bytes) -> None:
    """A line of it may be the secret."""
    toml.write_bytes(content)
    text = load_fails(toml)
    assert str(toml) in text
    assert "canary" not in text


@pytest.mark.parametrize(
    "content", ["default = 5", "accounts = 5", "[accounts]\nshop = 5", "acounts = 5", "[routes]\na = 5"]
)
def test_a_file_of_another_shape_is_an_error_that_names_it(toml: Path, content: str) -> None:
    """And the key."""
    toml.write_text(content)
    text = load_fails(toml)
    assert str(toml) in text
    assert content.split(maxsplit=1)[0].strip("[]").split(".")[0] in text


def test_a_misspelt_key_of_the_file_has_a_hint(toml: Path) -> None:
    """Acounts is accounts."""
    toml.write_text(TOML.replace("[accounts", "[acounts"))
    assert "did you mean 'accounts'?" in load_fails(toml)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le-bom"])
def test_a_file_is_read_as_windows_editors_save_it(toml: Path, secrets: Path, encoding: str) -> None:
    """With a byte order mark and CRLF; a secret file, too."""

    def saved(text: str) -> bytes:
        text = text.replace("\n", "\r\n")
        return BOM_UTF16_LE + text.encode("utf-16-le") if "le-bom" in encoding else text.encode(encoding)

    toml.write_bytes(saved("# 商户\n" + TOML))
    (secrets / "payhub_accounts__shop__secret").write_bytes(saved("secret-of-the-secret-file-001\n"))
    assert secrets_of(load_config(toml, secrets_dir=str(secrets))) == ["secret-of-the-secret-file-001"]


def test_a_file_in_another_encoding_is_told_by_name(toml: Path, secrets: Path) -> None:
    """And what to do, since nobody sees an encoding."""
    toml.write_bytes("# 商户\n".encode("gbk") + TOML.encode())
    assert "payhub.toml is not in UTF-8. Hint: save the configuration as UTF-8" in load_fails(toml)
    (secrets / "payhub_accounts__shop__secret").write_bytes(b"\xc9\xccsecret")
    assert "payhub_accounts__shop__secret is not in UTF-8" in load_fails(secrets_dir=str(secrets))


def test_files_of_other_programs_beside_the_secrets_are_not_read(toml: Path, secrets: Path) -> None:
    """Whatever is in them, and behind the links that Kubernetes mounts."""
    (secrets / "..2026_03_01").mkdir()
    (secrets / "..2026_03_01" / "payhub_accounts__shop__secret").write_text("secret-of-the-secret-file-001\n")
    (secrets / "..data").symlink_to("..2026_03_01")
    (secrets / "payhub_accounts__shop__secret").symlink_to("..data/payhub_accounts__shop__secret")
    (secrets / "keystore.p12").write_bytes(b"\x30\x82\xff" * 10)
    with (secrets / "huge").open("wb") as huge:
        huge.truncate(100 * 1024 * 1024)
    assert secrets_of(load_config(toml, secrets_dir=str(secrets))) == ["secret-of-the-secret-file-001"]


@pytest.mark.parametrize(
    "variable",
    [
        *("PAYHUB_SERVICE_HOST", "PAYHUB_SERVICE_PORT", "PAYHUB_SERVICE_PORT_HTTP", "PAYHUB_PORT"),
        *("PAYHUB_PORT_80_TCP", "PAYHUB_PORT_80_TCP_ADDR", "PAYHUB_SANDBOX_PORT_8000_TCP_PROTO"),
        *("PAYHUB_SANDBOX_SERVICE_HOST", "PAYHUB_LEDGER_PORT_5432_UDP_PORT"),
    ],
)
def test_the_variables_of_a_service_named_payhub_are_no_settings(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Kubernetes puts them into every container of the namespace."""
    monkeypatch.setenv(variable, "tcp://10.0.0.1:80")
    assert load_config().accounts == {}


@pytest.mark.parametrize("variable", ["PAYHUB_ACOUNTS__SHOP__SECRET", "PAYHUB_SECRET", "PAYHUB_DEFUALT", "PAYHUB_"])
def test_an_unknown_variable_is_reported(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """By its name, not its value."""
    monkeypatch.setenv(variable, "canary")
    text = load_fails()
    assert variable in text
    assert "canary" not in text


def test_an_unknown_variable_has_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest that there is."""
    monkeypatch.setenv("PAYHUB_ACOUNTS__SHOP__SECRET", "x")
    assert "did you mean 'accounts'?" in load_fails()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PAYHUB_ACCOUNTS", "canary"),
        ("PAYHUB_ACCOUNTS", "[1]"),
        ("PAYHUB_ROUTES", "{canary"),
        ("PAYHUB_ACCOUNTS__SHOP", "canary"),
    ],
)
def test_a_variable_of_another_shape_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Which does not repeat the value."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        load_accounts(load_config())
    assert "canary" not in str(caught.value)


def test_a_folder_of_secrets_that_does_not_exist_is_an_error(toml: Path, tmp_path: Path) -> None:
    """A mount that failed must not start a shop without its secret."""
    assert "nowhere" in load_fails(toml, secrets_dir=str(tmp_path / "nowhere"))


def test_no_view_of_a_configuration_shows_a_secret(toml: Path) -> None:
    """Nor the database's password."""
    toml.write_text('ledger = "postgresql://user:canary@db/x"\n' + TOML)
    config = load_config(toml)
    assert config.ledger == "postgresql://user:canary@db/x"
    shown = f"{config!r} {config} {load_accounts(config)!r}"
    assert "secret-of-the-toml" not in shown
    assert "canary" not in shown


def test_no_copy_of_a_configuration_shows_a_secret(toml: Path) -> None:
    """As error trackers and failed assertions make them: fields one by one, and what differs."""
    toml.write_text('ledger = "postgresql://user:canary@db/x"\n' + TOML)
    config = load_config(toml)
    copies = (dataclasses.asdict(config), copy.deepcopy(config), vars(config), dict(config.accounts["shop"]))
    shown = " ".join(map(repr, copies)) + pprint.pformat(copies)
    assert "secret-of-the-toml" not in shown
    assert "canary" not in shown
    assert config.accounts["shop"]["secret"] == "secret-of-the-toml-file-000001"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(config)


def test_a_failed_assertion_about_a_configuration_shows_no_secret(toml: Path) -> None:
    """Pytest prints every field that differs."""
    config = load_config(toml)
    with pytest.raises(AssertionError) as caught:
        assert config == Config(accounts={"shop": {}}, default="shop", source=str(toml))
    assert "accounts" in str(caught.value)
    assert "secret-of-the-toml" not in str(caught.value)


CANARIES = {
    "base_url": "http://canary-of-the-url.example",
    "appid": "canary of the appid",
    "secret": "canary-secret",
    "allow_http": "canary-flag",
    "timeout": "canary-seconds",
    "secret_placement": "canary-place",
    "callback_empties": "canary-empties",
    "order_no_max_length": "canary-length",
    "unknown": "canary-unknown",
}


def test_no_error_text_contains_a_configured_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting wrong, from a dict and from the environment, alone and together."""
    everything = {"provider": "gpu", **CANARIES}
    texts = [refused({"accounts": {"shop": everything}})]
    for name, value in CANARIES.items():
        good = {"provider": "gpu", "base_url": "https://g.example", "appid": "a", "secret": "x" * 16}
        texts.append(refused({"accounts": {"shop": {**good, name: value}}}))
        texts.append(refused({"accounts": {"shop": {**good, name: {"canary": ["canary"]}}}}))
    for name, value in everything.items():
        monkeypatch.setenv(f"PAYHUB_ACCOUNTS__SHOP__{name.upper()}", value)
    texts.append(refused(load_config()))
    assert len(texts) == 20
    for text in texts:
        assert "canary" not in text
        assert "shop" in text
