"""Faults that a developer arms, and that then happen to the next requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, model_validator

Endpoint = Literal["unified", "check_order", "notify", "return"]

#: Faults of the two API endpoints. All but the first two happen after the request was processed: a payment may exist.
REPLY_FAULTS = frozenset(
    {
        "refuse",
        "cut_before",
        "cut",
        "slow",
        "drip",
        "oversized",
        "redirect",
        "html",
        "php_warning",
        "bom",
        "truncated",
        "invalid_utf8",
        "other_order",
        "data_list",
        "data_null",
        "data_empty_string",
        "data_absent",
        "status_text",
        "status_int",
        "status_bool",
        "status_null",
        "no_redirect",
        "redirect_scheme",
    }
)
_SIGNED = frozenset({"extra_fields", "forged", "lost", "other_order", "slow"})
#: Which faults can happen where. All but the notify, which is a request, also know `http_500` to `http_599`.
FAULTS: dict[Endpoint, frozenset[str]] = {
    "unified": REPLY_FAULTS,
    "check_order": REPLY_FAULTS - {"no_redirect", "redirect_scheme"},
    "notify": _SIGNED | {"concurrent", "cut", "duplicate"},
    "return": _SIGNED | {"cut", "cut_before", "get", "html"},
}


class Fault(BaseModel):
    """One fault, and how often it happens."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    endpoint: Endpoint
    fault: str
    times: PositiveInt = 1
    #: `slow`: how long to wait first. `drip`: how long the whole reply takes.
    seconds: NonNegativeFloat = 5.0
    #: `refuse`: what the platform says.
    message: str = "通道维护中"
    #: `duplicate`, `concurrent`: how many copies.
    count: Annotated[int, Field(ge=1, le=100)] = 2
    #: `oversized`: bytes of the reply.
    size: Annotated[int, Field(gt=0, le=100 * 2**20)] = 2 * 2**20
    #: `extra_fields`: fields the protocol does not list, signed like the others.
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
        """The status of an `http_5xx` fault."""
        match = re.fullmatch(r"http_(5[0-9]{2})", self.fault)
        return int(match[1]) if match else None


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
        """Make a fault happen to the next requests of its endpoint."""
        self.armed.append(Armed(fault, fault.times))

    def take(self, endpoint: Endpoint) -> Fault | None:
        """Use up one occurrence of the endpoint's next fault."""
        for armed in self.armed:
            if armed.fault.endpoint == endpoint:
                armed.left -= 1
                if not armed.left:
                    self.armed.remove(armed)
                return armed.fault
        return None

    def clear(self) -> None:
        """Disarm all."""
        self.armed.clear()
