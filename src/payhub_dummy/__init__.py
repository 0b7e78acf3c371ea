"""A provider without a gateway: every outcome on demand, for development and tests."""

from payhub_dummy.messages import notifies, notify
from payhub_dummy.outcomes import OUTCOMES, PAID, Outcome, outcome_of
from payhub_dummy.provider import Dummy

__all__ = ["OUTCOMES", "PAID", "Dummy", "Outcome", "notifies", "notify", "outcome_of"]
