"""What a person is told about a signature that does not match: whose key made it, and how it deviates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from payhub_core import ConfigError, PayhubError, load_accounts
from payhub_core.explanation import explain
from payhub_dummy import Dummy
from payhub_gpu import Gpu

pytestmark = pytest.mark.usefixtures("few_sums")

OTHERS_SECRET = "another-key-of-the-outlet"


@pytest.fixture
def accounts(settings: dict[str, Any]) -> Any:
    """Two of the gateway, and one whose provider has no candidates."""
    other = {**settings, "appid": "gpu10000001", "secret": OTHERS_SECRET}
    dummy = {"provider": "dummy", "development": True}
    return load_accounts({"accounts": {"shop": settings, "outlet": other, "test": dummy}, "default": "shop"})


@pytest.mark.parametrize(
    ("rule", "account", "said", "hints"),
    [
        ({}, "shop", "a key of this account made it: it is refused for something else", ["leave the key as it is"]),
        (
            {"empties": "drop"},
            "shop",
            "it would match, where empty values are left out: set callback_empties = ",
            ["set callback_empties = "],
        ),
        (
            {"secret": OTHERS_SECRET},
            "outlet",
            "the key of the account 'outlet' made it",
            ["give the gateway the notify address of the account 'outlet'"],
        ),
        (
            {"secret": OTHERS_SECRET, "empties": "drop"},
            "outlet",
            "the key of the account 'outlet' made it, where empty values are left out",
            ["give the gateway the notify address of the account 'outlet'", "set callback_empties = "],
        ),
        (
            {"secret": "a-key-of-nobody-at-all"},
            None,
            " usual deviations explains it: the key is another one",
            ["compare the key first: payhub doctor shows"],
        ),
    ],
)
def test_it_says_whose_key_it_was_and_what_deviates_and_what_to_do(
    accounts: Any, platform: Any, rule: dict[str, str], account: str | None, said: str, hints: list[str]
) -> None:
    """The account's own key first, then the others'."""
    explanation = explain(accounts, "shop", platform.callback(platform.notify(), **rule))
    assert explanation.account == account
    assert said in str(explanation)
    assert [told[: len(it)] for told, it in zip(explanation.hints, hints, strict=True)] == hints


def test_neither_keys_nor_signatures_are_in_it(accounts: Any, platform: Any) -> None:
    """Whoever reads it could forge a message else."""
    changed = {**platform.notify(), "order_no": "B2"}
    body = platform.body(changed, secret=OTHERS_SECRET, empties="drop")
    shown = repr(explain(accounts, "shop", platform.callback(body)))
    for hidden in (
        platform.secret,
        OTHERS_SECRET,
        platform.sign(changed),
        platform.sign(changed, secret=OTHERS_SECRET),
    ):
        assert hidden not in shown


def test_where_there_is_nothing_to_compare_it_says_so(accounts: Any, platform: Any) -> None:
    """A message without a signature."""
    assert "nothing to compare" in str(explain(accounts, "shop", platform.callback(b"order_no=A1001")))
    assert "nothing to compare" in str(explain({"test": accounts["test"]}, "test", platform.callback(b"dummy=1")))
    assert not hasattr(Dummy, "signature_candidates")


class Broken(Gpu):
    def signature_candidates(self, callback: Any) -> Iterator[tuple[str, bool]]:
        raise ZeroDivisionError(self.secret[0].text)


def test_a_provider_that_fails_at_it_is_named_and_stops_nobody_else(
    settings: Any, accounts: Any, platform: Any
) -> None:
    """Its bug ends in an error of payhub's; as another account it is passed over."""
    broken = Broken(**{name: value for name, value in settings.items() if name != "provider"})
    callback = platform.callback(platform.notify())
    with pytest.raises(PayhubError, match=r"signature_candidates failed: ZeroDivisionError$"):
        explain({"broken": broken}, "broken", callback)
    both = {"outlet": accounts["outlet"], "broken": broken, "shop": accounts["shop"]}
    assert explain(both, "outlet", callback).account == "shop"


def test_an_account_that_is_not_configured_is_told(accounts: Any, platform: Any) -> None:
    """With the nearest name."""
    with pytest.raises(ConfigError, match="shop"):
        explain(accounts, "shopp", platform.callback(platform.notify()))
