"""What is public, to the letter: a name that comes or goes is a decision."""

from __future__ import annotations

import importlib.metadata
from importlib.resources import files

import payhub_core
import payhub_gpu


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


def test_the_plugin_exports_its_provider() -> None:
    """One class."""
    assert payhub_gpu.__all__ == ["Gpu"]


def test_the_plugin_is_found_by_entry_point() -> None:
    """Under the name that configurations use."""
    (point,) = importlib.metadata.entry_points(group="payhub.providers", name="gpu")
    assert point.load() is payhub_gpu.Gpu


def test_both_packages_are_typed() -> None:
    """For the type checkers of those who use them."""
    assert (files("payhub_core") / "py.typed").is_file()
    assert (files("payhub_gpu") / "py.typed").is_file()
