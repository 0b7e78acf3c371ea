"""The list of cases, each in the file of its noun."""

from payhub_core.testing.case import CASES
from payhub_core.testing.cases import callbacks, claims, creates, faults, money, queries, refunds, secrets

__all__ = ["CASES", "callbacks", "claims", "creates", "faults", "money", "queries", "refunds", "secrets"]
