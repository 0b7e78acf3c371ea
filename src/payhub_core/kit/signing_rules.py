"""One rule to sign a message of pairs, and the search through those that deviate from it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from operator import itemgetter
from types import MappingProxyType
from typing import Any, TypeAlias

from payhub_core.kit.deviations import Group, decoded, utf_8

__all__ = ["SigningRule", "is_another_sum", "tries"]

#: The arguments of `signed`, or what a deviation changes of them.
SigningRule: TypeAlias = Mapping[str, Any]
#: The hash, the key of an HMAC, whether it is hashed twice, and the text.
Signed: TypeAlias = tuple[str, bytes | None, Callable[[str], str] | None, bytes]

_MOST_SUMS = 100_000


def signed(
    *,
    pairs: tuple[tuple[str, str], ...],
    place: tuple[str, str],
    keep: bool,
    hashed: str,
    secret: str,
    zeros: bool = True,
    write: Callable[[str], str] = decoded,
    charset: Callable[[str], bytes] = utf_8,
    order: Callable[[tuple[str, str]], Any] | None = itemgetter(0),
    names: Callable[[str], str] = str,
    whole: Callable[[str], str] = str,
    joint: tuple[str, str] = ("&", "{}={}"),
    mac: bool = False,
    twice: Callable[[str], str] | None = None,
    without: tuple[str, ...] = (),
    beside: tuple[tuple[str, str], ...] = (),
    instead: Mapping[str, str] = MappingProxyType({}),
) -> Signed:
    """What one rule signs of a message, whose ``pairs`` hold the values as they came, url-encoded."""
    fields = [
        (names(name), instead[name] if name in instead else write(raw))
        for name, raw in (*pairs, *beside)
        if name not in without
    ]
    fields = [pair for pair in fields if (pair[1] or keep) and (pair[1] != "0" or zeros)]
    where, secret_name = place
    own = [(secret_name, secret)]
    if where == "sorted":
        fields += own
    if order is not None:
        fields.sort(key=order)
    if secret_name and where != "sorted":
        fields = [*own, *fields] if where == "first" else [*fields, *own]
    between, form = joint
    text = between.join([form.format(*pair) for pair in fields])
    if not secret_name and where != "none":
        before = secret if where in {"first", "both"} else ""
        behind = "" if where == "first" else f"{'&' if where == 'behind' else ''}{secret}"
        text = f"{before}{text}{behind}"
    return hashed, secret.encode() if mac else None, twice, charset(whole(text))


def tries(
    rules: Sequence[SigningRule], dialects: Sequence[Group], changes: Sequence[Group], given: bytes
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The names of the deviations from each of ``rules``, and whether the signature is ``given``.

    No deviation, each, each two of different groups, and each three of the gateway's dialect; nothing twice.
    """
    tried: set[int] = set()
    for count, groups in enumerate(([], [*dialects, *changes], [*dialects, *changes], dialects)):
        for chosen in combinations(groups, count):
            for deviations in product(*chosen):
                for rule in rules:
                    deviant = signed(**_changed(rule, deviations))
                    if hash(deviant) not in tried:
                        tried.add(hash(deviant))
                        yield tuple([name for name, _ in deviations]), hmac.compare_digest(_digest(*deviant), given)


def is_another_sum(rule: SigningRule, sums: Mapping[str, str], given: bytes) -> bool:
    """Whether the signature is that of the same message with another sum: one of the first hundred thousand."""
    decimals = any("." in text for text in sums.values())
    hashed, _, _, text = signed(**{**rule, "instead": dict.fromkeys(sums, "\0")})
    first, *rest = text.split(b"\0")
    begun = hashlib.new(hashed, first, usedforsecurity=False)
    for minor in range(1, _MOST_SUMS + 1):
        for written in (b"%d.%02d" % divmod(minor, 100), b"%d.00" % minor) if decimals else (b"%d" % minor,):
            tried = begun.copy()
            tried.update(b"".join([written + part for part in rest]))
            if tried.digest() == given:
                return True
    return False


def _changed(rule: SigningRule, deviations: Iterable[tuple[str, SigningRule]]) -> SigningRule:
    """The same rule with these deviations; that of a secret says what was made of it."""
    changed = dict(rule)
    for _, change in deviations:
        changed |= change
    if callable(changed["secret"]):
        changed["secret"] = changed["secret"](rule["secret"])
    return changed


def _digest(hashed: str, key: bytes | None, twice: Callable[[str], str] | None, text: bytes) -> bytes:
    if key is not None:
        return hmac.digest(key, text, hashed)
    digest = hashlib.new(hashed, text, usedforsecurity=False)
    if twice is None:
        return digest.digest()
    return hashlib.new(hashed, twice(digest.hexdigest()).encode(), usedforsecurity=False).digest()
