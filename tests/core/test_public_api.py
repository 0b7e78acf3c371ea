"""What is public, to the letter: a name that comes or goes is a decision."""

from __future__ import annotations

import importlib.metadata
from importlib.resources import files
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

import payhub_core
import payhub_dummy
import payhub_gpu
from payhub_core import kit, load_accounts


def test_the_core_exports_these_names() -> None:
    """Sorted, and nothing else."""
    assert payhub_core.__all__ == [
        "AccountRefused",
        "Accounts",
        "AppParameters",
        "AsyncHub",
        "BadSignature",
        "Callback",
        "CallbackError",
        "CallbackKind",
        "Config",
        "ConfigError",
        "Flow",
        "FormPost",
        "GatewayError",
        "HtmlPage",
        "Hub",
        "InvalidOrder",
        "LedgerError",
        "MalformedCallback",
        "Money",
        "NextAction",
        "NotFound",
        "NotSent",
        "Notification",
        "Order",
        "OutcomeUnknown",
        "PayhubError",
        "Payment",
        "PaymentMethod",
        "PaymentStatus",
        "Provider",
        "ProviderInfo",
        "QrCode",
        "RedactSignatures",
        "Redirect",
        "Refund",
        "RefundStatus",
        "Refused",
        "Reply",
        "Request",
        "Response",
        "SupportsCandidates",
        "SupportsClose",
        "SupportsRefund",
        "Unsupported",
        "WrongAccount",
        "WrongAmount",
        "WrongOrder",
        "hookimpl",
        "hookspec",
        "load_account",
        "load_accounts",
        "load_config",
    ]


def test_every_public_name_is_there() -> None:
    """And says in one sentence what it is."""
    for name in payhub_core.__all__:
        thing = getattr(payhub_core, name)
        assert name in {"Flow", "NextAction", "Request", "Response", "hookimpl", "hookspec"} or thing.__doc__, name


def test_the_kit_exports_these_names() -> None:
    """For providers, beside the core's own; each says what it is."""
    assert kit.__all__ == [
        "FORM",
        "AccountSettings",
        "Address",
        "CallbackFields",
        "Fields",
        "Number",
        "PrivateKey",
        "PublicKey",
        "PublicKeys",
        "Refusal",
        "Secret",
        "Secrets",
        "SignedPairs",
        "basic_auth",
        "bearer",
        "check_age",
        "check_code",
        "grammar",
        "made_by_any",
        "method_code",
        "minor_units",
        "raw_member",
        "read_form",
        "read_json",
        "read_object",
        "read_pairs",
        "read_reply",
        "read_xml",
        "verified_by_any",
        "write_form",
        "write_xml",
    ]
    for name in kit.__all__:
        assert name in {"Address", "FORM", "PublicKeys", "Refusal", "Secrets"} or getattr(kit, name).__doc__, name
    assert not set(kit.__all__) & set(payhub_core.__all__)


def test_the_plugins_export_their_providers() -> None:
    """One class, and for the dummy what plays its gateway."""
    assert payhub_gpu.__all__ == ["Gpu"]
    assert payhub_dummy.__all__ == ["OUTCOMES", "PAID", "Dummy", "Outcome", "notifies", "notify", "outcome_of"]


@pytest.mark.parametrize("provider", [payhub_gpu.Gpu, payhub_dummy.Dummy])
def test_a_plugin_is_found_by_entry_point(provider: Any) -> None:
    """Under the name that configurations use."""
    (point,) = importlib.metadata.entry_points(group="payhub.providers", name=provider.info.name)
    assert point.load() is provider


def test_the_packages_are_typed() -> None:
    """For the type checkers of those who use them."""
    assert (files("payhub_core") / "py.typed").is_file()
    assert (files("payhub_dummy") / "py.typed").is_file()
    assert (files("payhub_gpu") / "py.typed").is_file()


#: What each class offers beside what it inherits from Python and pydantic.
OFFERED = {
    "Hub": "accounts close close_payment create_payment forget parse_callback query refund",
    "AsyncHub": "accounts aclose close_payment create_payment forget parse_callback query refund",
    "BoundAccount": "close_payment create_payment info name parse_callback query refund supports timeout",
    "AsyncBoundAccount": "close_payment create_payment info name parse_callback query refund supports timeout",
    "Accounts": "default get items keys values",
    "Config": "accounts default ledger recorder routes set_by source",
    "ProviderInfo": "attach callback_headers currencies extra_fields extra_needed identity largest_amount"
    " largest_reference method_needed methods name payer_needed raw_methods reference reference_length refund_reference"
    " refusal refusals refused reserved_fields retry time_limits",
    "Order": "amount attach description extra method notify_url payer reference return_url",
    "Payment": "account amount attach claimed_status created_at expires_at gateway_id method next_action paid paid_at"
    " provider raw reference refunded status",
    "Refund": "account amount gateway_id looked_up provider raw reference refund_id refund_reference refunded_at"
    " status",
    "Redirect": "type url",
    "QrCode": "content type",
    "HtmlPage": "html type",
    "FormPost": "fields html type url",
    "AppParameters": "parameters type",
    "Callback": "body header headers kind method query recorded_at",
    "Notification": "bound kind payment refund reply",
    "Reply": "body content_type reason status_code",
    "Money": "amount currency minor of total",
    "PayhubError": "account hint message provider reference",
    "ConfigError": "account hint message provider reference",
    "GatewayError": "account hint message provider reference unanswered unreadable unsent",
    "Refused": "account code hint message provider reason reference unanswered unreadable unsent",
}


def offered(thing: Any) -> str:
    """The public names of an object that are payhub's own."""
    inherited = {name for base in (BaseModel, Exception) for name in dir(base)}
    names = {name for name in dir(thing) if not name.startswith("_")} - inherited
    return " ".join(sorted(names | set(getattr(type(thing), "model_fields", ()))))


def test_every_class_offers_these_names_and_no_others(settings: Any, order: Any) -> None:
    """Nothing private is public."""
    accounts = load_accounts({"accounts": {"shop": settings}})
    action = {"url": "https://a.example", "content": "x", "html": "x", "fields": {}, "parameters": "x"}
    with payhub_core.Hub(accounts) as hub:
        many = payhub_core.AsyncHub(accounts, client=httpx.AsyncClient())
        things = [hub, many, hub["shop"], many["shop"], accounts, payhub_core.Config(), hub["shop"].info, order]
        things += [payhub_core.Payment(reference="A1", status="pending"), payhub_core.Callback("POST", {}, b"", b"")]
        things += [payhub_core.Refund(reference="A1", refund_reference="R1", status="pending")]
        for kind in ("Redirect", "QrCode", "HtmlPage", "FormPost", "AppParameters"):
            model = getattr(payhub_core, kind)
            things.append(model(**{name: action[name] for name in model.model_fields if name != "type"}))
        things += [payhub_core.Notification(payhub_core.CallbackKind.OTHER, None), payhub_core.Reply()]
        things += [payhub_core.Money(1, "CNY")]
        things += [
            getattr(payhub_core, name)("x") for name in ("PayhubError", "ConfigError", "GatewayError", "Refused")
        ]
        assert {type(thing).__name__: offered(thing) for thing in things} == OFFERED
