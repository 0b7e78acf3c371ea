"""The list of cases, each in the file of its noun."""

from payhub_core.testing.case import CASES
from payhub_core.testing.cases import callbacks, creates, queries, refunds, money, claims, faults, secrets  # noqa: I001  the order of the list

__all__ = ["CASES", "callbacks", "claims", "creates", "faults", "money", "queries", "refunds", "secrets"]
