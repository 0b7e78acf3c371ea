"""What a sandbox is started with: its address, its merchants, its clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from types import MappingProxyType
from typing import ClassVar, Literal
from urllib.parse import urlsplit

__all__ = ["MERCHANTS_VARIABLE", "PUBLIC_MERCHANTS", "Merchant", "Settings", "is_loopback"]

#: The environment variable that holds other merchants, as JSON; secrets never travel in a command line.
MERCHANTS_VARIABLE = "GPU_SANDBOX_MERCHANTS"

#: The platform writes all its times in China Standard Time, which has had no summer time since 1991.
_SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Merchant:
    """One account on the platform: its MD5 key and the signing dialect (section 4) its brand speaks."""

    #: A misspelt dialect read from the environment must not become the default one.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    secret: str = field(repr=False)
    #: Where the secret stands in the signed string: sorted among the names, or after all of them.
    secret_placement: Literal["sorted", "last"] = "sorted"
    #: Whether notifies and returns sign their empty values. Requests never do.
    callback_empties: Literal["keep", "drop"] = "keep"


#: Two merchants whose keys are public: safe in documentation, tests and recordings, worthless anywhere else.
PUBLIC_MERCHANTS: Mapping[str, Merchant] = MappingProxyType(
    {
        "gpu10000000": Merchant("sandbox-secret-0-not-for-money"),
        "gpu10000001": Merchant("sandbox-secret-1-not-for-money"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a sandbox can be told, by the names of the command's options. Durations are seconds."""

    host: str = "127.0.0.1"
    #: 0 takes any free port.
    port: int = 0
    merchants: Mapping[str, Merchant] = field(default_factory=lambda: PUBLIC_MERCHANTS)
    #: Section 3: an unacknowledged notify is sent again every minute, five times.
    resend_interval: float = 60.0
    resends: int = 5
    notify_timeout: float = 10.0
    #: A SQLite file, or memory that is gone with the process.
    database: str = ":memory:"
    #: Stops the clock and numbers the orders from 1, so that recordings repeat byte for byte.
    fixed_clock: datetime | None = None
    #: The address that replies and pages name; without it, the one that was bound.
    base_url: str = ""
    certfile: str | None = None
    keyfile: str | None = None
    #: Bind to, and send notifies and payers to, addresses beyond this machine.
    allow_remote: bool = False

    def now(self) -> datetime:
        """The platform's time: aware, Asia/Shanghai, whole seconds as its messages write it."""
        return (self.fixed_clock or datetime.now(UTC)).astimezone(_SHANGHAI).replace(microsecond=0)

    def may_reach(self, url: str) -> bool:
        """Whether a notify or a payer may be sent to this URL."""
        return self.allow_remote or is_loopback(urlsplit(url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine; a name other than ``localhost`` is not, wherever it may resolve to today."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
