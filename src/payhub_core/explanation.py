"""Why a callback's signature does not match: the account's provider is asked, then every other account's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import cast

from payhub_core.errors import PayhubError, plain
from payhub_core.hookspecs import Provider, SupportsCandidates
from payhub_core.models import Callback

__all__ = ["Explanation", "explain"]

#: Of another account: its key as it is, and with one deviation.
_MOST_OF_OTHERS = 100
_LONGEST_NAME = 300


@dataclass(frozen=True, slots=True)
class Explanation:
    """The first way of signing that makes the signature which came.

    ``account`` is the account whose key it takes, None where no way of those ``tried`` makes it. ``deviation`` is how
    it deviates from what that account expects, "" where it does not. Which signature would be right is in none of
    them: whoever could read it here could forge a message.
    """

    asked: str
    account: str | None
    deviation: str
    tried: int

    def __str__(self) -> str:
        if self.account is None:
            if not self.tried:
                return (
                    "nothing to compare: the message holds no signature, or one of no usual length, "
                    "or the provider knows no other ways to sign"
                )
            return (
                f"none of {self.tried:,} usual deviations explains it: the key is another one, or more was changed on "
                "the way; compare the key with that of the gateway's back office"
            )
        if self.account != self.asked:
            if self.deviation:
                return f"the key of the account {self.account!r} made it, where {self.deviation}"
            return f"the key of the account {self.account!r} made it"
        if self.deviation:
            return f"it would match, where {self.deviation}"
        return "a key of this account made it: it is refused for something else"


def explain(accounts: Mapping[str, Provider], account: str, callback: Callback) -> Explanation:
    """Looks for the usual cause of a ``BadSignature`` that ``account`` raised; takes seconds where there is none.

    For a person who asks, on a terminal of the shop: never answer a request with it. Raises PayhubError for an account
    that is not configured, or whose provider fails at it.
    """
    tried = 0
    for name in (account, *(other for other in accounts if other != account)):
        try:
            candidates = _candidates(accounts[name], callback)
            for deviation, matches in candidates if name == account else islice(candidates, _MOST_OF_OTHERS):
                tried += 1
                if matches:
                    return Explanation(account, name, plain(deviation, _LONGEST_NAME), tried)
        except Exception as error:
            if name == account:
                if isinstance(error, PayhubError):
                    raise
                reason = f"the provider's signature_candidates failed: {type(error).__name__}"
                raise PayhubError(reason, account=account) from error
    return Explanation(account, None, "", tried)


def _candidates(provider: Provider, callback: Callback) -> Iterable[tuple[str, bool]]:
    if not hasattr(provider, "signature_candidates"):
        return ()
    return cast("SupportsCandidates", provider).signature_candidates(callback)
