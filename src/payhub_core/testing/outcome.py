"""One call of a hook, its outcome, and what was logged meanwhile."""

from __future__ import annotations

import io
import logging
import re
import sys
import traceback
from contextlib import AbstractContextManager, ExitStack, nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

from payhub_core.errors import PayhubError
from payhub_core.flow import Request
from payhub_core.models import (
    Notification,
    Payment,
    Refund,
)
from payhub_core.testing.case import Mismatch, NotApplicable
from payhub_core.testing.faults import Answer
from payhub_core.testing.sale import Sale

__all__ = ["Call", "Listening", "Outcome", "about", "expect", "optional", "says", "storable"]

#: A NUL as JSON writes it, and not a backslash before "u0000".
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass
class Outcome:
    """What a call ended in, and what the gateway got to see of it.

    ``requests`` are those that reached the gateway, ``tried`` those that the flow asked for, ``denied`` those that
    were answered by HTTP 401, which did nothing, ``answers`` the bodies of what came back.
    ``sale`` is what it was about. It is ``kept`` once the gateway has taken its confirmation.
    """

    sale: Sale

    result: Any = None
    error: BaseException | None = None
    requests: list[Request] = field(default_factory=list)
    tried: list[Request] = field(default_factory=list)
    denied: list[Request] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    kept: bool = False
    log: str = ""
    printed: str = ""

    @property
    def payment(self) -> Payment:
        """The payment that it ended in, or that its notification is about; raises Mismatch where there is none."""
        found = self.result.payment if isinstance(self.result, Notification) else self.result
        if not isinstance(found, Payment):
            raise Mismatch("a payment", self)
        return found

    def __str__(self) -> str:
        if self.error is not None:
            return f"{type(self.error).__name__}: {getattr(self.error, 'message', self.error)}{_bug(self.error)}"
        found = about(self.result)
        if isinstance(self.result, Notification) and found is None:
            return f"a notification of kind {self.result.kind.value} about no payment"
        if isinstance(found, Payment | Refund):
            sums = {"due": getattr(found, "amount", None), "paid": getattr(found, "paid", None)}
            told = [f"{name} {value}" for name, value in sums.items() if value is not None]
            number = [f"the gateway's {found.gateway_id!r}"] if found.gateway_id else []
            return ", ".join([f"a {type(found).__name__} {found.status.value} of {found.reference!r}", *told, *number])
        return repr(self.result)


def about(result: Any) -> Any:
    """The payment or the refund that a notification is about, None where it is about neither; else the result."""
    return result.payment or result.refund if isinstance(result, Notification) else result


def _bug(error: BaseException) -> str:
    """Where a provider's own mistake is, which the core's error leaves out: its text may quote a message."""
    cause = error.__cause__
    if cause is None or isinstance(cause, PayhubError):
        return ""
    at = traceback.extract_tb(cause.__traceback__)[-1]
    return f" ({cause!r} in {at.name}, {Path(at.filename).name}:{at.lineno})"


@dataclass
class Call:
    """One call of a hook: its arguments, what the gateway has, and what goes wrong with which of its requests.

    ``fault`` is that of the request ``at``, by its place; ``onward``, of all that come after it as well.
    """

    hook: str
    arguments: dict[str, Any]
    sale: Sale
    fault: Answer | None = None
    at: int = 0
    onward: bool = False

    def __str__(self) -> str:
        """The hook and the order that it was about, as far as a gateway decides by it."""
        order = self.arguments.get("order") or self.arguments.get("expect")
        if order is None:
            return f"{self.hook} of {self.sale.reference!r}, {self.sale.amount}"
        told = [f"{self.hook} of {order.reference!r}", str(order.amount)]
        told += [f"method {order.method}"] if order.method else []
        told += [
            f"{name} {getattr(order, name)!r}" for name in ("description", "attach", "extra") if getattr(order, name)
        ]
        told += [f"refund {self.sale.refund_reference!r} of {self.sale.refund}"] if self.sale.refund else []
        return ", ".join(told)


def expect(holds: object, expected: str, came: object) -> None:
    """Raises Mismatch unless it ``holds``."""
    if not holds:
        raise Mismatch(expected, came)


def optional(word: str) -> AbstractContextManager[None]:
    """Leaves a further word out where the gateway says it elsewhere alone; the usual one is needed."""
    return suppress(NotApplicable) if word else nullcontext()


def says(word: str) -> str:
    """Which of a contract's further words it was, for the end of what was expected."""
    return f", where the gateway says {word!r}" if word else ""


def storable(result: Any) -> bool:
    """Whether a result can be written as JSON and kept by any database: no lone surrogate, no NUL."""
    value = about(result)
    if value is None:
        return True
    try:
        text = value.model_dump_json()
        text.encode()
    except ValueError:
        return False
    return not _NUL.search(text)


class _Tee:
    """A stream whose texts are kept as well; in all else, such as for a debugger, it is the stream."""

    def __init__(self, stream: TextIO, kept: io.StringIO) -> None:
        self._stream = stream
        self._kept = kept

    def write(self, text: str) -> int:
        self._kept.write(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Listening(logging.Handler):
    """What every logger says, at DEBUG, and what is printed; both still go where they went."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.level_before: int = logging.WARNING
        self.printed: io.StringIO = io.StringIO()
        self._stack: ExitStack = ExitStack()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()} {record.exc_text or ''}")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self.level_before = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        self._stack.enter_context(redirect_stdout(_Tee(sys.stdout, self.printed)))
        self._stack.enter_context(redirect_stderr(_Tee(sys.stderr, self.printed)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self.level_before)
