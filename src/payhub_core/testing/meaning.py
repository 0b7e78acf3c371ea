"""What an outcome means, and whether both hubs came to the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from payhub_core.models import Notification, Payment, Refund
from payhub_core.testing.case import Mismatch
from payhub_core.testing.outcome import Outcome, about

__all__ = ["check_alike", "meaning"]

#: By how much what is counted from now may differ between two calls of one case.
_FEW_SECONDS = timedelta(seconds=10)


@dataclass(frozen=True, eq=False)
class _Reckoned:
    """When something expires: a lifetime that is counted from now is the same a few seconds later."""

    at: datetime

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reckoned) and abs(self.at - other.at) <= _FEW_SECONDS

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return str(self.at)


def meaning(outcome: Outcome) -> dict[str, object]:
    """What an application would act upon, by name: all of a result but ``raw``."""
    result = outcome.result
    told = about(result)
    facts = told.model_dump(exclude={"raw"}) if isinstance(told, Payment | Refund) else {"result": told}
    if isinstance(result, Notification):
        facts |= {"kind": result.kind, "bound": result.bound}
    if expires := facts.get("expires_at"):
        facts["expires_at"] = _Reckoned(expires)
    return facts


def check_alike(one: Outcome, two: Outcome) -> None:
    """Raises Mismatch where a call did not end alike through both hubs; names the first thing that differs."""
    ours, theirs = meaning(one), meaning(two)
    if type(one.error) is type(two.error) and ours == theirs:
        return
    came = f"{one}, and with AsyncHub {two}"
    name = next((name for name in ours if name in theirs and ours[name] != theirs[name]), "")
    if name == "next_action":
        came = (
            "another next_action. Where the time of day is written in it, give the contract a subclass of the provider "
            "whose clock stands still"
        )
    elif name and isinstance(ours[name], datetime | _Reckoned) and theirs[name] is not None:
        came = (
            f"{name} {ours[name]}, and with AsyncHub {theirs[name]}: it differs by the time of day. Report the time "
            "that the message gives, or none"
        )
    elif name and one.error is None:
        came = f"{name} {ours[name]!r}, and with AsyncHub {theirs[name]!r}"
    raise Mismatch("Hub and AsyncHub to end alike", came)
