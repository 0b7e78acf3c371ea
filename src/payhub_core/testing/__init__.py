"""For authors of providers: the conformance kit. Importing it needs pytest, and nothing else beside payhub."""

from payhub_core.recorder import load_callback
from payhub_core.testing.case import NotApplicable
from payhub_core.testing.cassettes import cassette
from payhub_core.testing.contract import ProviderContract
from payhub_core.testing.faults import FAULTS
from payhub_core.testing.gateway import FakeGateway
from payhub_core.testing.play import Played, play
from payhub_core.testing.sale import Sale

__all__ = [
    "FAULTS",
    "FakeGateway",
    "NotApplicable",
    "Played",
    "ProviderContract",
    "Sale",
    "cassette",
    "load_callback",
    "play",
]
