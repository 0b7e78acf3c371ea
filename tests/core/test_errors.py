"""The errors: which is a kind of which, and what they say."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import payhub_core
from payhub_core import (
    AccountRefused,
    BadSignature,
    CallbackError,
    ConfigError,
    GatewayError,
    InvalidOrder,
    LedgerError,
    MalformedCallback,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PayhubError,
    Refused,
    Unsupported,
    WrongAccount,
    WrongAmount,
    WrongOrder,
)
from payhub_core.errors import plain

TREE: dict[type[PayhubError], type[Exception]] = {
    PayhubError: Exception,
    ConfigError: PayhubError,
    InvalidOrder: PayhubError,
    Unsupported: PayhubError,
    AccountRefused: Refused,
    CallbackError: PayhubError,
    BadSignature: CallbackError,
    MalformedCallback: CallbackError,
    WrongAccount: CallbackError,
    WrongOrder: CallbackError,
    WrongAmount: CallbackError,
    GatewayError: PayhubError,
    NotSent: GatewayError,
    Refused: GatewayError,
    OutcomeUnknown: GatewayError,
    NotFound: GatewayError,
    LedgerError: PayhubError,
}


def test_the_tree_is_the_one_in_the_contract() -> None:
    """One parent each, and no error is public that is not in it; the ledger's own is beside the others."""
    for error, parent in TREE.items():
        assert error.__bases__ == (parent,)
    public = {getattr(payhub_core, name) for name in payhub_core.__all__}
    errors = {thing for thing in public if isinstance(thing, type) and issubclass(thing, Exception)}
    assert errors == set(TREE)


def test_the_docstring_draws_the_tree() -> None:
    """Every leaf with what the caller must do."""
    assert all(error.__name__ in (payhub_core.errors.__doc__ or "") for error in TREE)


@pytest.mark.parametrize("error", [cls("what", hint="do this") for cls in TREE], ids=lambda error: type(error).__name__)
def test_an_error_says_what_it_is_about_and_what_to_do(error: PayhubError) -> None:
    """Account and order are filled in by the hub."""
    assert str(error) == "what. Hint: do this"
    error.account, error.reference = "shop", "A1001"
    assert str(error) == "[account shop, order A1001] what. Hint: do this"


def test_what_an_error_is_about_is_one_clean_line() -> None:
    """A payer's own text may be asked about; the attributes have it whole."""
    error = NotFound("no", account="shop\n", reference="A1\nERROR paid\x1b[2J")
    assert str(error) == "[account shop , order A1 ERROR paid [2J] no"
    assert error.reference == "A1\nERROR paid\x1b[2J"


def test_an_error_crosses_processes_whole() -> None:
    """Task queues pickle exceptions, and by themselves these would keep their args only."""
    error = Refused("no", code="0", reason="签名错误", hint="h")
    error.account, error.reference = "shop", "A1001"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is Refused
    assert (str(again), again.code, again.reason, again.account, again.reference) == (
        str(error),
        "0",
        "签名错误",
        "shop",
        "A1001",
    )


@pytest.mark.parametrize("text", ["a\nb\x00c\x1b[31m", "x" * 1000, "\u202eabc", "\ud800", 5, None])
def test_text_of_others_is_quoted_as_one_short_clean_line(text: Any) -> None:
    """Log injection and terminal escapes stop here."""
    quoted = plain(text)
    assert quoted.isprintable()
    assert len(quoted) <= 80


@pytest.mark.parametrize(
    ("reason", "about"),
    [
        ("签名错误", True),
        ("验签失败", True),
        ("Invalid signature!", True),
        ("sign error", True),
        ("SIGN_ERROR", True),
        ("please sign in", False),
        ("signed off", False),
        ("余额不足", False),
        ("", False),
    ],
)
def test_a_refusal_for_a_signature_says_how_to_look_for_the_cause(reason: str, about: bool) -> None:
    """In whichever hook and from whichever gateway; the author's own hint wins."""
    assert ("payhub dry-run" in Refused("no", reason=reason).hint) is about
    assert Refused("no", reason=reason, hint="h").hint == "h"
