"""Why a signature does not match: the ways in which gateways deviate that hash NAME=VALUE pairs with a secret."""

from __future__ import annotations

import hashlib
import re
from binascii import unhexlify
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from payhub_core.errors import BadSignature
from payhub_core.kit.settings import Secret
from payhub_core.models import Callback

if TYPE_CHECKING:
    from payhub_core.kit.deviations import Group

__all__ = ["SignedPairs"]

_Pairs: TypeAlias = Sequence[tuple[str, str]]

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
    ``hints`` says of a deviation, by its name, what to set.
    """

    named: str = ""
    placement: Literal["sorted", "last", "first"] = "last"
    empties: Literal["keep", "drop"] = "drop"
    signature: str = "sign"
    unsigned: tuple[str, ...] = ()
    hashed: str = "md5"
    fields: Iterable[str] = ()
    sums: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)

    def refusal(self, fields: Mapping[str, str], *needed: str) -> BadSignature:
        """The error for ``fields`` that no key of the account signed, which names what they lack.

        ``needed`` are the fields that every message of the gateway's has, and that are never empty.
        """
        given, digits = fields.get(self.signature, ""), 2 * hashlib.new(self.hashed).digest_size
        missing = tuple(name for name in needed if not fields.get(name))
        said = "no key of this account made the signature"
        hint = "payhub replay --explain, or payhub verify, looks for the cause"
        if not re.fullmatch(f"[0-9A-Fa-f]{{{digits}}}", given):
            came = f"text of {len(given)} characters" if given else "none"
            said = f"{self.signature}: expected a signature of {digits} hex digits, {came} came"
            hint = "see whether the gateway has sent this, and what drops or cuts the field on the way"
            missing = (self.signature,)
        elif missing:
            said = f"{said}, and it lacks {', '.join(missing)}, which the gateway signs"
            hint = "see what drops it on the way; the key may be right"
        error = BadSignature(said, hint=hint)
        error.lacks = missing
        return error

    def candidates(self, callback: Callback, keys: Iterable[Secret]) -> Iterator[tuple[str, bool]]:
        """Each way to sign ``callback`` with one of ``keys``, by name, and whether its signature is the one that came.

        The name is "" for the gateway's own way. The fewest deviations come first, three of them at most. Neither a
        key nor what it would sign is shown. It takes about a second: for a person who asks, never for a callback.
        """
        # What only a person who asks needs is loaded then.
        from payhub_core.kit.deviations import decoded, raw_pairs  # noqa: PLC0415
        from payhub_core.kit.signing_rules import is_another_sum, tries  # noqa: PLC0415

        body, query = raw_pairs(callback.body), raw_pairs(callback.query)
        pairs, beside = (body, query) if body else (query, [])
        given = b""
        with suppress(ValueError):
            given = unhexlify(dict(pairs).get(self.signature, ""))
        if len(given) not in _HASHES:
            return
        held = (self.signature, *self.unsigned)
        taken = tuple((name, raw) for name, raw in pairs if name not in held)
        place, keep = (self.placement, self.named), self.empties == "keep"
        rules = [
            {"pairs": taken, "place": place, "keep": keep, "hashed": self.hashed, "secret": key.text} for key in keys
        ]
        changes = self._changes(taken, pairs, beside)
        for deviations, matches in tries(rules, self._dialects(len(given)), changes, given):
            yield self._named(deviations), matches
        sums = {name: decoded(raw) for name, raw in pairs if name in self.sums}
        for names in _each_and_all(sums):
            for own in rules:
                yield f"{_sums(names)} changed", is_another_sum(own, {name: sums[name] for name in names}, given)

    def _named(self, names: tuple[str, ...]) -> str:
        return ", and ".join(f"{name}: {self.hints[name]}" if name in self.hints else name for name in names)

    def _dialects(self, length: int) -> list[Group]:
        """The deviations that every message of a gateway would show, in groups of which at most one applies."""
        from payhub_core.kit.deviations import CHARSETS, JOINTS, ORDERS, SECRETS, VALUES  # noqa: PLC0415

        names = dict.fromkeys((self.named, *_SECRET_NAMES) if self.named else _SECRET_NAMES)
        placements: Group = [
            (f"the secret stands {words}{_as(name, self.named)}", {"place": (place, name)})
            for name in names
            for place, words in _PLACES.items()
        ]
        placements += [(words, {"place": (place, "")}) for place, words in _BARE.items()]
        empties: Group = [
            ("empty values are signed", {"keep": True}),
            ("empty values are left out", {"keep": False}),
            ("empty values and zeros are left out", {"keep": False, "zeros": False}),
        ]
        name = _HASHES[length]
        hashes: Group = [
            (f"the hash is {name.upper()}", {"hashed": name}),
            (f"the hash is HMAC-{name.upper()}", {"hashed": name, "mac": True, "place": ("none", "")}),
            (f"the hash is HMAC-{name.upper()}, the secret in the text too", {"hashed": name, "mac": True}),
            (f"the hash is {name.upper()} of the hash in hex", {"hashed": name, "twice": str.lower}),
            (f"the hash is {name.upper()} of the hash in upper-case hex", {"hashed": name, "twice": str.upper}),
        ]
        return [placements, empties, VALUES, CHARSETS, ORDERS, JOINTS, SECRETS, hashes]

    def _changes(self, signed: _Pairs, pairs: _Pairs, beside: _Pairs) -> list[Group]:
        """The deviations of one message: fields and sums that differ from what was signed."""
        from payhub_core.kit.deviations import AS_SUMS, CASES, decoded  # noqa: PLC0415

        came = [name for name, _ in signed]
        fields: Group = [(f"the field {_quoted(name)} is not signed", {"without": (name,)}) for name in came]
        fields += [
            (f"the field {_quoted(name)} is signed too", {"beside": ((name, raw),)})
            for name, raw in pairs
            if name in self.unsigned
        ]
        fields += [
            (f"the missing field {name!r} was signed empty", {"beside": ((name, ""),)})
            for name in sorted(set(self.fields) - set(came) - {self.signature, *self.unsigned})
        ]
        if beside:
            fields.append(("the query string of the address is signed too", {"beside": tuple(beside)}))
        values = dict(signed)
        sums = {name: decoded(values[name]) for name in self.sums if name in values}
        written: Group = [
            (f"{_sums(names)} written otherwise", {"instead": {name: form(sums[name]) for name in names}})
            for form in AS_SUMS
            for names in _each_and_all(sums)
        ]
        written += [
            (f"{_sums([name])} changed", {"instead": {name: other}}) for name in sums for other in sums.values()
        ]
        return [fields, written, CASES]


def _as(name: str, expected: str) -> str:
    return "" if name == expected else f", as {name}="


def _quoted(name: str) -> str:
    """A name out of the message, in which no words of its sender's fit."""
    return repr(re.sub(r"[^\w.\[\]-]", "_", name[:40]))


def _each_and_all(sums: Mapping[str, str]) -> list[list[str]]:
    return [*([name] for name in sums), *([[*sums]] if len(sums) > 1 else [])]


def _sums(names: Sequence[str]) -> str:
    quoted = " and ".join(map(repr, names))
    return f"the sum in {quoted} was" if len(names) == 1 else f"the sums in {quoted} were"
