"""The list of cases, each in the file of its noun."""

from payhub_core.testing.case import CASES
from payhub_core.testing.cases import callbacks, creates, faults, queries

__all__ = ["CASES", "callbacks", "creates", "faults", "queries"]
