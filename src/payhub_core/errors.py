"""The errors: each says what the caller must do.

PayhubError
  ConfigError          fix the configuration
  InvalidOrder         fix the order: nothing was sent
  Unsupported          this provider cannot do that: nothing was sent
  CallbackError        refuse the callback, change nothing
    BadSignature
    MalformedCallback
    WrongAccount
    WrongOrder
    WrongAmount
  GatewayError         talking to the gateway went wrong; what is known of the payment stands
    NotSent            the request never left: safe to retry
    Refused            the gateway said no to this order
      AccountRefused   the gateway said no to this account, whatever the order: try another account
    OutcomeUnknown     it may have happened: query before anything else
    NotFound           the gateway does not know the order
  LedgerError          the store failed, or is not fit for use; nothing was changed
"""

from __future__ import annotations

import re

__all__ = [
    "AccountRefused",
    "BadSignature",
    "CallbackError",
    "ConfigError",
    "GatewayError",
    "InvalidOrder",
    "LedgerError",
    "MalformedCallback",
    "NotFound",
    "NotSent",
    "OutcomeUnknown",
    "PayhubError",
    "Refused",
    "Unsupported",
    "WrongAccount",
    "WrongAmount",
    "WrongOrder",
]

_LONGEST_QUOTE = 80
_LONGEST_REASON = 300
_LONGEST_OWN = 600
#: What gateways say where they do not take a signature.
_SIGNATURE = re.compile(r"签名|验签|signature|\bsign(?:_?error|\b(?! (?:in|up)\b))", re.IGNORECASE)
_UNSIGNED = (
    "compare the key: payhub doctor shows its length and SHA-256; then payhub dry-run shows the request, and "
    "payhub verify, with a message of the gateway's, how it signs"
)


class PayhubError(Exception):
    """Anything payhub raises on purpose.

    ``account``, ``provider`` and ``reference`` say what it is about, where known; the hub fills them in. ``hint`` says
    what to do.
    """

    provider: str = ""

    def __init__(self, message: str, *, hint: str = "", account: str = "", reference: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.account = account
        self.reference = reference

    def __str__(self) -> str:
        # What an application was asked about may be a payer's own text: it writes no second line into a log.
        about = [f"account {plain(self.account)}"] if self.account else []
        about += [f"order {plain(self.reference)}"] if self.reference else []
        return (
            (f"[{', '.join(about)}] " if about else "") + self.message + (f". Hint: {self.hint}" if self.hint else "")
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders (task queues), where only args would survive.
        return _rebuild, (type(self), self.args, self.__dict__)


class ConfigError(PayhubError):
    """The configuration is wrong; raised at start where it can be, naming the account and the key, never a value."""


class InvalidOrder(PayhubError):
    """The order, or the money in it, is not acceptable; raised before any request."""


class Unsupported(PayhubError):
    """The account's provider does not have this hook, so its gateway cannot be asked for that; nothing was sent."""


class CallbackError(PayhubError):
    """The callback is not to be believed: refuse it and change nothing."""


class BadSignature(CallbackError):
    """No secret of the account made this signature.

    ``lacks``: the message is without these fields, or without what they hold, so that no secret could have made it.
    """

    lacks: tuple[str, ...] = ()


class MalformedCallback(CallbackError):
    """The bytes are not a message of this protocol."""


class WrongAccount(CallbackError):
    """The message is genuine, but about another merchant account."""


class WrongOrder(CallbackError):
    """The message is genuine, but about another order."""


class WrongAmount(CallbackError):
    """The message is genuine, but states another amount or currency due than the order's."""


class GatewayError(PayhubError):
    """The exchange with the gateway failed; nothing new is known, so what was known stands.

    ``unanswered``: no usable answer came (a time-out, a broken connection, HTTP 5xx), so asking again may bring one.
    ``unreadable``: what came was no message of the gateway's, such as a page, whichever order it was asked about.
    ``unsent``: it came before any request that could change something, so it says nothing of what was sent earlier.
    """

    unanswered: bool = False
    unreadable: bool = False
    unsent: bool = False


class NotSent(GatewayError):
    """The request never left this machine, so it is safe to try again."""


class Refused(GatewayError):
    """The gateway said no, and nothing came of the request.

    ``code`` and ``reason`` are the gateway's own, bounded and free of control characters. Where the reason is about the
    signature and there is no ``hint``, the hint says how to look for the cause.
    """

    def __init__(self, message: str, *, code: str = "", reason: str = "", hint: str = "") -> None:
        reason = plain(reason, _LONGEST_REASON)
        super().__init__(
            f"{message}: {reason}" if reason else message, hint=hint or (_UNSIGNED if _SIGNATURE.search(reason) else "")
        )
        self.code: str = plain(code)
        self.reason: str = reason


class AccountRefused(Refused):
    """The gateway said no to the account, not to the order: another account may take the same order.

    So it is for a key that is wrong or revoked, a merchant that is suspended, a channel that is closed, too many
    requests. A provider may raise it in every hook, where the gateway says so and nothing came of the request. Routes
    move on to the next account, and reconciliation leaves this one alone for the rest of its pass.
    """


class OutcomeUnknown(GatewayError):
    """The request may have been carried out: query ``reference`` before anything else, and never send it as new."""


class NotFound(GatewayError):
    """The gateway does not know the order; that is not a failed payment."""


class LedgerError(PayhubError):
    """The store failed, is not set up, or holds what payhub did not write; nothing was changed."""


def plain(text: object, longest: int = _LONGEST_QUOTE) -> str:
    """Text of others made fit for a message: one line, nothing unprintable, at most ``longest`` characters."""
    try:
        line = str(text)[: longest + 1]
    except Exception:  # an error of the application's, whose own words fail
        line = type(text).__name__
    if not line.isprintable():
        line = "".join(c if c.isprintable() else " " for c in line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def reason_of(error: BaseException) -> str:
    """What failed, in a line; of an error that is not payhub's the type alone, whose words may hold anything."""
    return type(error).__name__ + (f": {error.message}" if isinstance(error, PayhubError) else "")


def words_of(error: BaseException) -> str:
    """An error's type and its words, in a line: payhub's own are whole, with their hint, those of others are cut."""
    longest = _LONGEST_OWN if isinstance(error, PayhubError) else _LONGEST_QUOTE
    return f"{type(error).__name__}: {plain(error, longest)}"


def did_you_mean(word: str, known: set[str] | frozenset[str], otherwise: str | None = None) -> str:
    """A hint that names the nearest of ``known``; where none is near it is ``otherwise``, or names all of them."""
    from difflib import get_close_matches  # noqa: PLC0415  only where something is wrong

    near = get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if otherwise is not None:
        return otherwise
    return f"known are: {', '.join(sorted(known))}" if known else ""


def _rebuild(cls: type[PayhubError], args: tuple[object, ...], state: dict[str, object]) -> PayhubError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
