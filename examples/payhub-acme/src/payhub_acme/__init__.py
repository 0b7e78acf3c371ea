"""Acme as a provider for payhub."""

from payhub_acme.provider import Acme

__all__ = ["Acme"]
