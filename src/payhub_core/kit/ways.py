"""One way to sign a message of pairs, and the search through those that deviate from it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from operator import itemgetter
from typing import Any

from payhub_core.kit.deviations import Group, decoded, utf_8

__all__ = ["Way", "is_another_sum", "tries"]

_MOST_SUMS = 100_000


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sign a message; ``pairs`` hold the values as they came, url-encoded."""

    pairs: tuple[tuple[str, str], ...]
    place: tuple[str, str]
    keep: bool
    hashed: str
    secret: str = ""
    zeros: bool = True
    write: Callable[[str], str] = decoded
    charset: Callable[[str], bytes] = utf_8
    order: Callable[[tuple[str, str]], Any] | None = itemgetter(0)
    names: Callable[[str], str] = str
    whole: Callable[[str], str] = str
    joint: tuple[str, str] = ("&", "{}={}")
    mac: bool = False
    twice: Callable[[str], str] | None = None
    without: tuple[str, ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    instead: Mapping[str, str] = field(default_factory=dict)

    def changed(self, changes: Iterable[Mapping[str, Any]]) -> Way:
        """The same with these deviations; that of a secret says what was made of it."""
        merged: dict[str, Any] = {}
        for change in changes:
            merged |= change
        if "secret" in merged:
            merged["secret"] = merged["secret"](self.secret)
        return replace(self, **merged)

    def signed(self) -> tuple[str, bytes | None, Callable[[str], str] | None, bytes]:
        """The hash, the key of an HMAC, whether it is hashed twice, and the text."""
        pairs = [
            (self.names(name), self.instead[name] if name in self.instead else self.write(raw))
            for name, raw in (*self.pairs, *self.beside)
            if name not in self.without
        ]
        pairs = [pair for pair in pairs if (pair[1] or self.keep) and (pair[1] != "0" or self.zeros)]
        place, secret_name = self.place
        own = [(secret_name, self.secret)]
        if place == "sorted":
            pairs += own
        if self.order is not None:
            pairs.sort(key=self.order)
        if secret_name and place != "sorted":
            pairs = [*own, *pairs] if place == "first" else [*pairs, *own]
        between, form = self.joint
        text = between.join([form.format(*pair) for pair in pairs])
        if not secret_name and place != "none":
            before = self.secret if place in {"first", "both"} else ""
            behind = "" if place == "first" else f"{'&' if place == 'behind' else ''}{self.secret}"
            text = f"{before}{text}{behind}"
        return self.hashed, self.secret.encode() if self.mac else None, self.twice, self.charset(self.whole(text))


def tries(
    ways: Sequence[Way], dialects: Sequence[Group], changes: Sequence[Group], given: bytes
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The names of the deviations from each of ``ways``, and whether the signature is ``given``.

    No deviation, each, each two of different groups, and each three of the gateway's dialect; nothing twice.
    """
    tried: set[int] = set()
    for count, groups in enumerate(([], [*dialects, *changes], [*dialects, *changes], dialects)):
        for chosen in combinations(groups, count):
            for deviations in product(*chosen):
                for way in ways:
                    signed = way.changed([change for _, change in deviations]).signed()
                    if hash(signed) not in tried:
                        tried.add(hash(signed))
                        yield tuple(name for name, _ in deviations), hmac.compare_digest(_digest(*signed), given)


def is_another_sum(way: Way, sums: Mapping[str, str], given: bytes) -> bool:
    """Whether the signature is that of the same message with another sum: one of the first hundred thousand."""
    decimals = any("." in text for text in sums.values())
    hashed, _, _, text = replace(way, instead=dict.fromkeys(sums, "\0")).signed()
    first, *rest = text.split(b"\0")
    begun = hashlib.new(hashed, first, usedforsecurity=False)
    for minor in range(1, _MOST_SUMS + 1):
        for written in (b"%d.%02d" % divmod(minor, 100), b"%d.00" % minor) if decimals else (b"%d" % minor,):
            tried = begun.copy()
            tried.update(b"".join([written + part for part in rest]))
            if tried.digest() == given:
                return True
    return False


def _digest(hashed: str, key: bytes | None, twice: Callable[[str], str] | None, text: bytes) -> bytes:
    if key is not None:
        return hmac.digest(key, text, hashed)
    digest = hashlib.new(hashed, text, usedforsecurity=False)
    if twice is None:
        return digest.digest()
    return hashlib.new(hashed, twice(digest.hexdigest()).encode(), usedforsecurity=False).digest()
