"""What is public of the ledger and the checkout, to the letter: a name that comes or goes is a decision."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import payhub_core.checkout
import payhub_core.ledger
from payhub_core import Hub
from payhub_core.checkout import Checkout
from payhub_core.ledger import Ledger


def names(thing: Any) -> list[str]:
    """The public names of a class, its fields and members among them."""
    fields = {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
    found = {name for cls in thing.__mro__ if cls.__module__.startswith("payhub_core") for name in vars(cls)}
    return sorted(name for name in found | fields if not name.startswith("_"))


CHECKOUT = ["close_payment", "deliver", "receive", "reconcile", "refresh", "refund", "start", "view"]

PUBLIC = {
    payhub_core.ledger: {
        "AccountHealth": [
            "account",
            "anomalies",
            "answered_at",
            "due",
            "due_since",
            "failing",
            "failing_reference",
            "is_silent",
            "notified_at",
            "open_anomalies",
            "paid_by_notify",
            "paid_by_query",
            "refunding",
            "refunding_reference",
            "refusal",
            "refused",
            "stuck",
            "unanswered",
            "unanswered_at",
            "unsettled",
            "waiting",
            "waiting_since",
        ],
        "Anomaly": ["due", "gateway_ids", "kind", "name", "received"],
        "AnomalyKind": [
            "OVERPAID",
            "PAID_AFTER_EXPIRED",
            "PAID_AFTER_FAILED",
            "PAID_AGAIN",
            "PAID_BEFORE_CREATED",
            "UNDERPAID",
        ],
        "Creation": ["CREATED", "NOT_SENT", "REFUSED", "STARTING", "UNKNOWN"],
        "Finding": ["account", "hint", "what"],
        "Health": ["accounts", "at", "findings", "passed_at"],
        "Ledger": [
            *("aaccounts", "aanomalies", "aanomalies_of", "accounts", "aclose", "ahealth", "ahistory", "anomalies"),
            *("anomalies_of", "aoutbox", "apayment", "apayments", "aread", "aresolve", "aretire", "asettle_refund"),
            *(
                "async_engine",
                "atotals",
                "atransitions_of",
                "aupgrade",
                "awrite",
                "close",
                "engine",
                "health",
                "history",
                "outbox",
            ),
            *("payment", "payments", "read", "resolve", "retire", "settle_refund", "totals", "transitions_of"),
            *("upgrade", "write"),
        ],
        "Observation": ["at", "gateway_id", "paid_minor", "raw", "said", "source"],
        "StoredAnomaly": [
            *("account", "anomaly", "at", "reference", "resolution", "resolved_at", "resolved_by"),
        ],
        "StoredPayment": ["anomalies", "attempts", "creation", "next_check_at", "payment", "updated_at"],
        "Total": ["count", "creation", "due", "paid", "status"],
        "Transition": [
            *("account", "anomalies", "anomaly", "at", "attempts", "delivered_at", "due_at", "id", "payment"),
            *("reference", "status"),
        ],
    },
    payhub_core.checkout: {
        "AsyncCheckout": CHECKOUT,
        "AsyncHandler": [],
        "Checkout": CHECKOUT,
        "Handler": [],
        "Progress": ["account", "due", "error", "reference", "status"],
        "Summary": ["asked", "changed", "due", "errors", "handler_failed", "paid", "unanswered"],
    },
}


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_a_package_exports_these_classes_with_these_names(module: Any) -> None:
    """And nothing private among them."""
    assert sorted(PUBLIC[module]) == module.__all__
    classes = {name: getattr(module, name) for name in module.__all__}
    assert {name: names(it) if isinstance(it, type) else [] for name, it in classes.items()} == PUBLIC[module]


def test_an_object_holds_no_other_public_names(ledger: Ledger) -> None:
    """What a checkout and a ledger were given is theirs to show."""
    assert [name for name in vars(Ledger()) if not name.startswith("_")] == []
    with Hub({}) as hub:
        assert sorted(name for name in vars(Checkout(hub, ledger)) if not name.startswith("_")) == [
            "handler",
            "hub",
            "ledger",
        ]
