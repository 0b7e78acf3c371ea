"""Why a signature does not match: the ways in which gateways deviate that hash NAME=VALUE pairs with a secret."""

from __future__ import annotations

import hashlib
import hmac
from binascii import unhexlify
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from payhub_core.kit.deviations import (
    AS_SUMS,
    CASES,
    CHARSETS,
    JOINTS,
    ORDERS,
    SECRETS,
    VALUES,
    decoded,
    raw_pairs,
    utf_8,
)
from payhub_core.kit.settings import Secret
from payhub_core.models import Callback

__all__ = ["SignedPairs"]

#: A deviation's name, and what it changes of the way in which is signed.
Deviation: TypeAlias = tuple[str, dict[str, Any]]

_MOST_SUMS = 100_000
_HASHES = {16: "md5", 20: "sha1", 32: "sha256", 64: "sha512"}
_PLACES = {"sorted": "sorted among the fields", "last": "last", "first": "first"}
_BARE = {
    "last": "the bare secret stands last",
    "behind": "the bare secret stands last, behind an '&'",
    "first": "the bare secret stands first",
    "both": "the bare secret stands first and last",
}
_SECRET_NAMES = ("key", "secret", "appsecret", "app_secret", "appkey", "app_key", "secret_key", "token")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPairs:
    """A gateway that hashes its sorted NAME=VALUE pairs, joined by "&", with its secret: how it does it.

    ``named`` is the name that the secret has there, "" where it stands bare, and ``placement`` where it stands;
    ``empties`` tells whether empty values are signed. ``signature`` is the field of the hash in hex; neither it nor
    those in ``unsigned`` are signed. ``fields`` are those that a message may have, ``sums`` those that hold a sum.
    ``cures`` says of a deviation, by its name, what to set.
    """

    named: str = ""
    placement: Literal["sorted", "last", "first"] = "last"
    empties: Literal["keep", "drop"] = "drop"
    signature: str = "sign"
    unsigned: tuple[str, ...] = ()
    hashed: str = "md5"
    fields: Iterable[str] = ()
    sums: tuple[str, ...] = ()
    cures: Mapping[str, str] = field(default_factory=dict)

    def candidates(self, callback: Callback, keys: Iterable[Secret]) -> Iterator[tuple[str, bool]]:
        """Each way to sign ``callback`` with one of ``keys``, by name, and whether its signature is the one that came.

        The name is "" for the gateway's own way. The fewest deviations come first, three of them at most. Neither a
        key nor what it would sign is shown. It takes about a second: for a person who asks, never for a callback.
        """
        body, query = raw_pairs(callback.body), raw_pairs(callback.query)
        pairs, beside = (body, query) if body else (query, [])
        given = b""
        with suppress(ValueError):
            given = unhexlify(dict(pairs).get(self.signature, ""))
        if len(given) not in _HASHES:
            return
        held = (self.signature, *self.unsigned)
        way = _Way(
            pairs=tuple((name, raw) for name, raw in pairs if name not in held),
            place=(self.placement, self.named),
            keep=self.empties == "keep",
            hashed=self.hashed,
        )
        ways = [replace(way, secret=key.text) for key in keys]
        groups = self._dialects(len(given)), self._changes(way, pairs, beside)
        tried: set[int] = set()
        for names, changes in _combined(*groups):
            for own in ways:
                signed = replace(own, **{**changes, **_secret(own, changes)}).signed()
                if hash(signed) not in tried:
                    tried.add(hash(signed))
                    yield self._named(names), hmac.compare_digest(_digest(*signed), given)
        sums = {name: decoded(raw) for name, raw in pairs if name in self.sums}
        for names in _each_and_all(sums):
            for own in ways:
                yield f"{_sums(names)} changed", _is_another_sum(own, {name: sums[name] for name in names}, given)

    def _named(self, names: tuple[str, ...]) -> str:
        return ", and ".join(f"{name}: {self.cures[name]}" if name in self.cures else name for name in names)

    def _dialects(self, length: int) -> list[list[Deviation]]:
        """The deviations that every message of a gateway would show, in groups of which at most one applies."""
        names = dict.fromkeys((self.named, *_SECRET_NAMES) if self.named else _SECRET_NAMES)
        placements: list[Deviation] = [
            (f"the secret stands {words}{_as(name, self.named)}", {"place": (place, name)})
            for name in names
            for place, words in _PLACES.items()
        ]
        placements += [(words, {"place": (place, "")}) for place, words in _BARE.items()]
        empties: list[Deviation] = [
            ("empty values are signed", {"keep": True}),
            ("empty values are left out", {"keep": False}),
            ("empty values and zeros are left out", {"keep": False, "zeros": False}),
        ]
        name = _HASHES[length]
        hashes: list[Deviation] = [
            (f"the hash is {name.upper()}", {"hashed": name}),
            (f"the hash is HMAC-{name.upper()}", {"hashed": name, "mac": True, "place": ("none", "")}),
            (f"the hash is HMAC-{name.upper()}, the secret in the text too", {"hashed": name, "mac": True}),
            (f"the hash is {name.upper()} of the hash in hex", {"hashed": name, "twice": str.lower}),
            (f"the hash is {name.upper()} of the hash in upper-case hex", {"hashed": name, "twice": str.upper}),
        ]
        return [placements, empties, VALUES, CHARSETS, ORDERS, JOINTS, SECRETS, hashes]

    def _changes(self, way: _Way, pairs: list[tuple[str, str]], beside: list[tuple[str, str]]) -> list[list[Deviation]]:
        """The deviations of one message: fields and sums that differ from what was signed."""
        came = [name for name, _ in way.pairs]
        fields: list[Deviation] = [(f"the field {name!r} is not signed", {"without": (name,)}) for name in came]
        fields += [
            (f"the field {name!r} is signed too", {"beside": ((name, raw),)})
            for name, raw in pairs
            if name in self.unsigned
        ]
        fields += [
            (f"the missing field {name!r} was signed empty", {"beside": ((name, ""),)})
            for name in sorted(set(self.fields) - set(came) - {self.signature, *self.unsigned})
        ]
        if beside:
            fields.append(("the query string of the address is signed too", {"beside": tuple(beside)}))
        values = dict(way.pairs)
        sums = {name: decoded(values[name]) for name in self.sums if name in values}
        written: list[Deviation] = [
            (f"{_sums(names)} written otherwise", {"instead": {name: form(sums[name]) for name in names}})
            for form in AS_SUMS
            for names in _each_and_all(sums)
        ]
        written += [
            (f"{_sums([name])} changed", {"instead": {name: other}}) for name in sums for other in sums.values()
        ]
        return [fields, written, CASES]


@dataclass(frozen=True, slots=True)
class _Way:
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


def _combined(dialects: list[list[Deviation]], changes: list[list[Deviation]]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """No deviation, each, each two of different groups, and each three of the gateway's dialect."""
    for count, groups in enumerate(([], [*dialects, *changes], [*dialects, *changes], dialects)):
        for chosen in combinations(groups, count):
            for deviations in product(*chosen):
                merged: dict[str, Any] = {}
                for _, change in deviations:
                    merged |= change
                yield tuple(name for name, _ in deviations), merged


def _secret(way: _Way, changes: Mapping[str, Any]) -> dict[str, str]:
    """The secret itself, where a deviation says what was made of it."""
    return {"secret": changes["secret"](way.secret)} if "secret" in changes else {}


def _digest(hashed: str, key: bytes | None, twice: Callable[[str], str] | None, text: bytes) -> bytes:
    if key is not None:
        return hmac.digest(key, text, hashed)
    digest = hashlib.new(hashed, text, usedforsecurity=False)
    if twice is None:
        return digest.digest()
    return hashlib.new(hashed, twice(digest.hexdigest()).encode(), usedforsecurity=False).digest()


def _is_another_sum(way: _Way, sums: Mapping[str, str], given: bytes) -> bool:
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


def _as(name: str, expected: str) -> str:
    return "" if name == expected else f", as {name}="


def _each_and_all(sums: Mapping[str, str]) -> list[list[str]]:
    return [*([name] for name in sums), *([[*sums]] if len(sums) > 1 else [])]


def _sums(names: Sequence[str]) -> str:
    quoted = " and ".join(map(repr, names))
    return f"the sum in {quoted} was" if len(names) == 1 else f"the sums in {quoted} were"
