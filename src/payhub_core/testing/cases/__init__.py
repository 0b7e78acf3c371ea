"""The list of cases, each in the file of its noun."""

from payhub_core.testing.case import CASES
from payhub_core.testing.cases import (
    actions,
    claims,
    confirmations,
    creates,
    faults,
    forgeries,
    lookups,
    money,
    notifies,
    pieces,
    queries,
    refunds,
    refunds_told,
    replies,
    returns,
    secrets,
    texts,
)

__all__ = [
    "CASES",
    "actions",
    "claims",
    "confirmations",
    "creates",
    "faults",
    "forgeries",
    "lookups",
    "money",
    "notifies",
    "pieces",
    "queries",
    "refunds",
    "refunds_told",
    "replies",
    "returns",
    "secrets",
    "texts",
]

#: From what an author writes first to what can go wrong with it, so that ``pytest -x`` ends with the one next thing.
_SEQUENCE = (
    *("create", "notify", "return", "query", "confirm", "refund", "refund_notify", "close"),
    *("claims", "money", "values", "replies", "fault", "secret"),
)
CASES.sort(key=lambda case: _SEQUENCE.index(case.id.partition(".")[0]))
