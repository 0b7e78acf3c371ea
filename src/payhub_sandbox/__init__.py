"""The platform's side of the protocol: a real local gateway that moves no money, and breaks on demand."""

from payhub_sandbox.process import SandboxProcess
from payhub_sandbox.settings import PUBLIC_MERCHANTS, Merchant, Settings

__all__ = ["PUBLIC_MERCHANTS", "Merchant", "SandboxProcess", "Settings"]
