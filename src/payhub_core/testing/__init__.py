"""For authors of providers: the conformance kit. Importing it needs pytest, and nothing else beside payhub."""

from payhub_core.testing.contract import ProviderContract
from payhub_core.testing.sale import Sale

__all__ = ["ProviderContract", "Sale"]
