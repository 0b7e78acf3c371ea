"""The mistakes that people make, each with what it is told: what was expected, what came, what to do."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import Field

from payhub_core import (
    AsyncHub,
    Config,
    ConfigError,
    Hub,
    InvalidOrder,
    Money,
    Order,
    PayhubError,
    load_account,
    load_accounts,
)
from payhub_dummy import Dummy

ACCOUNT = {
    "provider": "gpu",
    "base_url": "https://gateway.example",
    "appid": "gpu10000000",
    "secret": "c1277-throw-away-key-of-the-shop",
}
PYDANTIC = ("Field required", "Extra inputs", "Input should", "String should", "Value error", "unable to")

SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no secret": (
        {"secret": ...},
        (
            "[account shop] secret: is missing. Hint: set secret in [accounts.shop]; a secret belongs "
            "into PAYHUB_ACCOUNTS__SHOP__SECRET in the environment, "
            "or into a secret file named payhub_accounts__shop__secret"
        ),
    ),
    "an empty appid": ({"appid": ""}, "[account shop] appid: expected text of the form ^[A-Za-z0-9_-]{1,64}$"),
    "an appid that is a number": ({"appid": 5}, "[account shop] appid: expected text, in quotes, not an int"),
    "a short secret": (
        {"secret": "short"},
        "[account shop] secret: expected a secret of at least 16 printable characters, or several",
    ),
    "a misspelt setting": ({"secert_placement": "last"}, "Hint: did you mean 'secret_placement'?"),
    "another word": ({"secret_placement": "front"}, "[account shop] secret_placement: expected 'sorted' or 'last'"),
    "a word for a number": ({"timeout": "soon"}, "[account shop] timeout: expected a number"),
    "truth for a number": ({"timeout": True}, "[account shop] timeout: expected a number, not true or false"),
    "truth for a whole number": (
        {"order_no_max_length": True, "failed_after": False},
        (
            "[account shop] order_no_max_length: expected a number, not true or false; "
            "failed_after: expected a number, not true or false"
        ),
    ),
    "a number below zero": ({"timeout": -1}, "[account shop] timeout: expected more than 0"),
    "a fraction": (
        {"order_no_max_length": 1.5},
        "[account shop] order_no_max_length: expected a whole number, without a fraction",
    ),
    "a number too large": ({"order_no_max_length": 65}, "[account shop] order_no_max_length: expected at most 64"),
    "no truth": ({"allow_http": "maybe"}, "[account shop] allow_http: expected true or false"),
    "no address": ({"base_url": "gateway.example"}, "[account shop] base_url: expected an address such as"),
    "plain http": ({"base_url": "http://gateway.example"}, "allow_http"),
}
ORDERS: dict[str, tuple[dict[str, Any], str]] = {
    "a bare sum": ({"amount": 88}, "amount: expected Money, such as Money.of('88.00', 'CNY'), not an int"),
    "a sum as text": ({"amount": "88"}, "amount: expected Money, such as Money.of('88.00', 'CNY'), not a str"),
    "a float": ({"amount": 88.0}, "amount: expected Money, such as Money.of('88.00', 'CNY'), not a float"),
    "no reference": ({"reference": ""}, "reference: expected text, of 1 or more characters"),
    "a long reference": ({"reference": "A" * 65}, "reference: expected text, of at most 64 characters"),
    "a reference that is a number": ({"reference": 1001}, "reference: expected text, in quotes, not an int"),
    "an address without a scheme": (
        {"notify_url": "shop.example/pay"},
        "notify_url: expected an absolute http:// or https:// address",
    ),
    "a number among the extras": ({"extra": {"device": 1}}, "extra.device: expected text, in quotes, not an int"),
    "a misspelt field": ({"descripton": "Tea"}, "descripton: there is no such field"),
    "nothing for text": ({"attach": None}, "attach: expected text, not None"),
    "a missing field": ({"description": ...}, "description: is missing"),
}
SUMS: dict[str, tuple[tuple[Any, Any], type[Exception], str]] = {
    "a float": ((88.1, "CNY"), TypeError, 'write Money.of("9.99", "CNY")'),
    "RMB": (("88", "RMB"), InvalidOrder, "not 'RMB'. Hint: write 'CNY'"),
    "small letters": (("88", "cny"), InvalidOrder, "not 'cny'. Hint: write 'CNY'"),
    "no currency": (("88", ""), InvalidOrder, "a currency is an ISO 4217 code such as 'CNY', not ''"),
    "the number of a currency": (("88", 156), InvalidOrder, "a currency is an ISO 4217 code such as 'CNY', not '156'"),
    "a sign for a currency": (("88", "¥"), InvalidOrder, "not '¥'. Hint: write 'CNY'"),
    "too many decimals": (
        ("8.888", "CNY"),
        InvalidOrder,
        "CNY has 2 decimal places, 8.888 has more. Hint: round it first: payhub never rounds",
    ),
    "decimals of a currency without": (("8.5", "JPY"), InvalidOrder, "JPY has 0 decimal places, 8.5 has more"),
    "a unit": (("88元", "CNY"), InvalidOrder, "a plain decimal number such as '100.00', not '88元'"),
    "nothing": ((None, "CNY"), TypeError, 'not NoneType; write Money.of("9.99", "CNY")'),
    "true": ((True, "CNY"), TypeError, 'not bool; write Money.of("9.99", "CNY")'),
    "a comma": (("1,000.00", "CNY"), InvalidOrder, "a plain decimal number such as '100.00', not '1,000.00'"),
    "no number": ((Decimal("NaN"), "CNY"), InvalidOrder, "a plain decimal number such as '100.00', not NaN"),
}
HUBS: dict[str, tuple[object, str]] = {
    "a path": (
        "payhub.toml",
        (
            "expected accounts, not str. "
            "Hint: pass what load_accounts returns, as in Hub(load_accounts(load_config(path)))"
        ),
    ),
    "a configuration": (
        Config(),
        (
            "expected accounts, not Config. "
            "Hint: pass what load_accounts returns, as in Hub(load_accounts(load_config(path)))"
        ),
    ),
    "settings": (
        {"shop": ACCOUNT},
        "[account shop] expected a provider, not dict. Hint: load_accounts makes accounts of settings",
    ),
    "a class": (
        {"shop": Dummy},
        "[account shop] expected a provider, not Dummy. Hint: load_accounts makes accounts of settings",
    ),
}
#: By what stands where an account's name is expected.
NAMES: dict[str, tuple[Any, str]] = {
    "a misspelt name": ("shpo", "there is no account 'shpo'. Hint: did you mean 'shop'?"),
    "another name": ("café", "there is no account 'café'. Hint: known are: shop"),
    "no name": (
        None,
        'expected the name of an account, not NoneType. Hint: name one, or set default = "..." in the configuration',
    ),
    "the provider": (5, "expected the name of an account, not int"),
    "a list": (["shop"], "expected the name of an account, not list"),
}


def changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``values`` with these changes; what is ``...`` is left out."""
    return {name: value for name, value in {**values, **changes}.items() if value is not ...}


def test_truth_is_no_number_whatever_a_provider_is_made_of() -> None:
    """One that takes none of the kit's settings, a number that may be left out, several of them."""

    class Loose(Dummy):
        least: int | None = None
        steps: tuple[Annotated[int, Field(ge=1)], ...] = ()
        either: bool | int = 0

    def load(**settings: Any) -> Any:
        return load_account("shop", {"provider": Loose, "development": True, **settings})

    for settings in ({"timeout": True}, {"least": False}, {"steps": [1, True]}):
        with pytest.raises(ConfigError, match="expected a number, not true or false"):
            load(**settings)
    assert load(timeout=1, least=0, steps=[1, 2], either=True).either is True


@pytest.mark.parametrize("mistake", SETTINGS)
def test_a_mistake_in_an_accounts_settings(mistake: str) -> None:
    """In payhub's words, without the value."""
    changes, told = SETTINGS[mistake]
    with pytest.raises(ConfigError) as error:
        load_accounts({"accounts": {"shop": changed(ACCOUNT, changes)}})
    assert told in str(error.value)
    assert not any(words in str(error.value) for words in PYDANTIC)


@pytest.mark.parametrize("mistake", ORDERS)
def test_a_mistake_in_an_order(mistake: str, order: Order) -> None:
    """As above."""
    changes, told = ORDERS[mistake]
    values = {name: getattr(order, name) for name in Order.model_fields}
    with pytest.raises(InvalidOrder) as error:
        Order(**changed(values, changes))
    assert told in str(error.value)
    assert not any(words in str(error.value) for words in PYDANTIC)


@pytest.mark.parametrize("mistake", SUMS)
def test_a_mistake_in_a_sum(mistake: str) -> None:
    """Nothing is rounded, and what to write is said."""
    arguments, kind, told = SUMS[mistake]
    with pytest.raises(kind) as error:
        Money.of(*arguments)
    assert told in str(error.value)


@pytest.mark.parametrize("kind", [Hub, AsyncHub])
@pytest.mark.parametrize("mistake", HUBS)
def test_a_mistake_in_what_a_hub_is_given(kind: Any, mistake: str) -> None:
    """At once, not when the first payer comes."""
    given, told = HUBS[mistake]
    with pytest.raises(ConfigError) as error:
        kind(given)
    assert str(error.value) == told


@pytest.mark.parametrize("mistake", NAMES)
def test_a_mistake_in_the_name_of_an_account(mistake: str) -> None:
    """The nearest name, or all of them."""
    given, told = NAMES[mistake]
    with Hub(load_accounts({"accounts": {"shop": ACCOUNT}})) as hub, pytest.raises(ConfigError) as error:
        hub.query(given, "A1001")
    assert str(error.value) == told


def test_an_order_where_the_account_belongs(order: Order) -> None:
    """The arguments in the other order."""
    with Hub(load_accounts({"accounts": {"shop": ACCOUNT}})) as hub, pytest.raises(ConfigError) as error:
        hub.create_payment(order, "shop")  # type: ignore[arg-type]
    assert str(error.value) == "expected the name of an account, not Order"


def test_a_hub_without_accounts() -> None:
    """What to write, where no name is near."""
    with Hub(load_accounts({})) as hub, pytest.raises(ConfigError) as error:
        hub.query("shop", "A1001")
    told = "there is no account 'shop'. Hint: no account is configured: write [accounts.shop] into payhub.toml"
    assert str(error.value) == told


def test_a_hub_after_it_was_closed() -> None:
    """Most often a return too early, out of its with."""
    hub = Hub(load_accounts({"accounts": {"shop": ACCOUNT}}))
    hub.close()
    with pytest.raises(PayhubError) as error:
        hub.query("shop", "A1001")
    assert str(error.value) == "this hub is closed. Hint: open a new one, or close it later"


def test_accounts_without_the_word() -> None:
    """A dict has the shape of a file."""
    with pytest.raises(ConfigError) as error:
        load_accounts({"shop": ACCOUNT})
    assert str(error.value).startswith("unknown key 'shop'. Hint: an account is a table of its own, as [accounts.shop]")
