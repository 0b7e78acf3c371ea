"""Why a callback's signature does not match: the account's provider is asked, then every other account's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import cast

from payhub_core.errors import PayhubError, plain
from payhub_core.hookspecs import Provider, SupportsCandidates
from payhub_core.models import Callback

__all__ = ["HINTS", "Explanation", "explain"]

#: Of another account: its key as it is, and with one deviation.
_MOST_OF_OTHERS = 100
_LONGEST_NAME = 300

_ASK = "ask the gateway whether it signs so, and the provider's author for a setting"
#: What to do about a deviation, by how its name begins: the first that fits, where the provider has no hint for it.
HINTS = {
    r"the sums? in .* changed": "do not ship, since somebody altered the sum; compare it with the gateway's console",
    r"the sums? in .* otherwise": "ask the gateway to send sums as it signs them, in one unit, with the same decimals",
    r"the missing field": "find what drops empty fields on the way, and let the body through as it came",
    r"the query string": "give the gateway a notify address without a query",
    r"the field .* is not signed": "find what adds the field on the way, or ask the gateway which fields it signs",
    r"the field .* is signed too": "ask the gateway which fields it signs, and the provider's author to sign the same",
    r"the secret (has|is in)": "paste the key anew, here and in the gateway's console",
    r"the MD5 of the secret .* upper": "set the MD5 of the key, in upper-case hex, as the secret",
    r"the MD5 of the secret": "set the MD5 of the key, in lower-case hex, as the secret",
    r"the hash is": "look in the gateway's console for another version of its interface, or another kind of signature",
    r"values are decoded": "find what encodes the body once more on the way, and let it through as it came",
    r"values are url-encoded beyond": "find what decodes the body once more on the way, and let it through as it came",
    r"a plus sign": "find what rewrites the body on the way, and let it through as it came",
    r"values are HTML": "ask the gateway to sign what was sent; until then send no quotes, and none of & < >",
    r"quotes in|values have no": "ask the gateway to sign what was sent; until then send no quotes or backslashes",
    r"white space": "ask the gateway to sign what was sent; until then send no white space there",
    r"values are in": "ask the gateway to sign what was sent; until then send letters of that case alone",
    r"the text is in GBK|the text is UTF-8": "ask the gateway to use UTF-8; until then send no Chinese",
    r"": _ASK,
}


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
                "the way"
            )
        if self.account != self.asked:
            if self.deviation:
                return f"the key of the account {self.account!r} made it, where {self.deviation}"
            return f"the key of the account {self.account!r} made it"
        if self.deviation:
            return f"it would match, where {self.deviation}"
        return "a key of this account made it: it is refused for something else"

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Each deviation by itself, with what to do about it."""
        named = [it.partition(": ") for it in self.deviation.split(", and ")] if self.deviation else []
        return [(name, hint or next(HINTS[it] for it in HINTS if re.match(it, name))) for name, _, hint in named]

    @property
    def hints(self) -> list[str]:
        """What to do, a sentence for the answer and one for each deviation."""
        hints = [hint for _, hint in self.parts]
        if self.account is None:
            first = (
                "compare the key first: payhub doctor shows its length and the start of its SHA-256, the gateway's "
                "console shows the key"
            )
            return [first] if self.tried else []
        if self.account != self.asked:
            route = (
                f"give the gateway the notify address of the account {self.account!r} for its orders, or swap the keys "
                "back where two are swapped"
            )
            return [route, *hints]
        return hints or ["leave the key as it is, and see what the error says"]


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
