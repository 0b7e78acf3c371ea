"""The mistakes that people make, each with what it is told: what was expected, what came, what to do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from payhub_core import ConfigError, InvalidOrder, Money, Order, load_accounts

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
    "an appid that is a number": ({"appid": 5}, "[account shop] appid: expected text, not an int"),
    "a short secret": (
        {"secret": "short"},
        "[account shop] secret: expected a secret of at least 16 printable characters, or several",
    ),
    "a misspelt setting": ({"secert_placement": "last"}, "Hint: did you mean 'secret_placement'?"),
    "another word": ({"secret_placement": "front"}, "[account shop] secret_placement: expected 'sorted' or 'last'"),
    "a word for a number": ({"timeout": "soon"}, "[account shop] timeout: expected a number"),
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
    "a reference that is a number": ({"reference": 1001}, "reference: expected text, not an int"),
    "an address without a scheme": (
        {"notify_url": "shop.example/pay"},
        "notify_url: expected an absolute http:// or https:// address",
    ),
    "a number among the extras": ({"extra": {"device": 1}}, "extra.device: expected text, not an int"),
    "a misspelt field": ({"descripton": "Tea"}, "descripton: there is no such field"),
    "nothing for text": ({"attach": None}, "attach: expected text, not None"),
    "a missing field": ({"description": ...}, "description: is missing"),
}
SUMS: dict[str, tuple[tuple[Any, Any], type[Exception], str]] = {
    "a float": ((88.1, "CNY"), TypeError, 'write Money.of("9.99", "CNY")'),
    "RMB": (("88", "RMB"), InvalidOrder, "not 'RMB'. Hint: write 'CNY'"),
    "small letters": (("88", "cny"), InvalidOrder, "not 'cny'. Hint: write 'CNY'"),
    "no currency": (("88", ""), InvalidOrder, "a currency is an ISO 4217 code such as 'CNY', not ''"),
    "too many decimals": (("8.888", "CNY"), InvalidOrder, "CNY has 2 decimal places, 8.888 has more"),
    "a comma": (("1,000.00", "CNY"), InvalidOrder, "a plain decimal number such as '100.00', not '1,000.00'"),
    "no number": ((Decimal("NaN"), "CNY"), InvalidOrder, "a plain decimal number such as '100.00', not NaN"),
}


def changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``values`` with these changes; what is ``...`` is left out."""
    return {name: value for name, value in {**values, **changes}.items() if value is not ...}


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
