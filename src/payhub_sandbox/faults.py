"""Faults: what a developer arms, and what then happens to the next requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, model_validator

__all__ = ["FAULTS", "NO_FAULT", "Armed", "Endpoint", "Fault", "Faults"]

Endpoint: TypeAlias = Literal["unified", "check_order", "notify", "return"]

#: All but the first two happen after the request was processed: a payment may exist.
_REPLY_FAULTS = frozenset(
    {
        *("refuse", "cut_before"),
        *("cut", "slow", "drip", "oversized", "redirect"),
        *("html", "php_warning", "bom", "truncated", "invalid_utf8", "other_order"),
        *("data_list", "data_null", "data_empty_string", "data_absent"),
        *("status_text", "status_int", "status_bool", "status_null"),
    }
)
_CALLBACK_FAULTS = frozenset({"extra_fields", "forged", "lost", "other_order", "slow", "cut"})
#: Which faults can happen where. All but the notify, which is a request, also know ``http_500`` to ``http_599``.
FAULTS: dict[Endpoint, frozenset[str]] = {
    "unified": _REPLY_FAULTS | {"no_redirect", "redirect_scheme"},
    "check_order": _REPLY_FAULTS,
    "notify": _CALLBACK_FAULTS | {"concurrent", "duplicate"},
    "return": _CALLBACK_FAULTS | {"cut_before", "get", "html"},
}


class Fault(BaseModel):
    """One fault, and how often it happens."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    endpoint: Endpoint
    fault: str
    times: PositiveInt = 1
    #: ``slow``: how long to wait first. ``drip``: how long the whole reply takes.
    seconds: NonNegativeFloat = 5.0
    #: ``refuse``: what the platform says.
    message: str = "通道维护中"
    #: ``duplicate``, ``concurrent``: how many copies.
    count: Annotated[int, Field(ge=1, le=100)] = 2
    #: ``oversized``: bytes of the reply.
    size: Annotated[int, Field(gt=0, le=100 * 2**20)] = 2 * 2**20
    #: ``extra_fields``: fields the protocol does not list, signed like the others.
    fields: dict[str, str] = Field(default_factory=lambda: {"aaa": "1", "user_id": "9"})

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = FAULTS[self.endpoint]
        if self.fault in known or (self.endpoint != "notify" and self.http_status):
            return self
        choice = ", ".join(sorted(known) + ["http_5xx"] * (self.endpoint != "notify"))
        raise ValueError(f"{self.endpoint} knows no fault {self.fault!r}; it knows {choice}")

    @property
    def http_status(self) -> int | None:
        """The status of an ``http_5xx`` fault."""
        match = re.fullmatch(r"http_(5[0-9]{2})", self.fault)
        return int(match[1]) if match else None


#: What happens where no fault is armed.
NO_FAULT: Fault = Fault.model_construct(fault="")


@dataclass(slots=True)
class Armed:
    """A fault that waits, and how many times it will still happen."""

    fault: Fault
    left: int


class Faults:
    """The armed faults, first armed first served."""

    def __init__(self) -> None:
        self.armed: list[Armed] = []

    def arm(self, fault: Fault) -> None:
        """Makes a fault happen to the next requests of its endpoint."""
        self.armed.append(Armed(fault, fault.times))

    def take(self, endpoint: Endpoint) -> Fault:
        """Uses up one occurrence of the endpoint's next fault; `NO_FAULT` where there is none."""
        for armed in self.armed:
            if armed.fault.endpoint == endpoint:
                armed.left -= 1
                if not armed.left:
                    self.armed.remove(armed)
                return armed.fault
        return NO_FAULT

    def clear(self) -> None:
        """Disarms all."""
        self.armed.clear()
