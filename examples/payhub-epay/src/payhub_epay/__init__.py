"""EPay as a provider for payhub."""

from payhub_epay.provider import EPay

__all__ = ["EPay"]
