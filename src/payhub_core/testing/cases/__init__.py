"""The list of cases, each in the file of its noun."""

from payhub_core.testing.case import CASES
from payhub_core.testing.cases import claims, creates, faults, money, notifies, queries, refunds, returns, secrets

__all__ = ["CASES", "claims", "creates", "faults", "money", "notifies", "queries", "refunds", "returns", "secrets"]
