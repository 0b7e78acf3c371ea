"""Redaction: what a gateway says, without the account's secrets, which some quote with the request they refuse."""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from collections.abc import Iterator, Mapping
from html import escape
from traceback import TracebackException
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretStr

from payhub_core.errors import PayhubError
from payhub_core.logs import HIDDEN, SECRET_FIELDS, redact

__all__ = ["Redaction", "secret_texts"]

#: A shorter one would take every second word away, and is guessed anyhow.
_SHORTEST = 4
#: Of a shorter one there is too little to tell it from other text.
_SHORTEST_IN_BASE64 = 8
_PLAIN = re.compile(r"[A-Za-z0-9]+")
_TEXTS = ("message", "hint", "code", "reason")
_NAMES = (*SECRET_FIELDS, "authorization")
#: What stands between a name and its value: of a form, a header, JSON, PHP and XML.
_sign = re.compile("[=:%\"'>\\]]").search


class Redaction:
    """Hides the secrets among the settings of ``provider``, however they are escaped, and what `redact` knows."""

    def __init__(self, provider: object) -> None:
        texts = [text for text in secret_texts(getattr(provider, "__dict__", {})) if len(text) >= _SHORTEST]
        # The longest first: of two, one may begin as the other.
        inside = [form for text in texts for form in _in_base64(text)]
        self._forms = sorted({*inside, *[form for text in texts for form in _forms(text)]}, key=len, reverse=True)
        #: What stands in every form of a secret: no escaping touches letters and digits. Short ones are found sooner.
        self._marks = tuple({max(_PLAIN.findall(text), key=len, default="")[:8] for text in (*texts, *inside)})
        self._suspects = ("sign", *self._marks)

    def text(self, text: str) -> str:
        """``text`` with stars for each secret, and for the part of one at which a text was cut off."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        if text.endswith("…"):
            for form in self._forms:
                text = _uncut(text, form)
        return redact(text)

    def error(self, error: PayhubError) -> None:
        """Rewrites what ``error`` says; where it quotes a secret, so do the variables of the frames it comes from."""
        said = {name: text for name in _TEXTS if isinstance(text := vars(error).get(name), str)}
        # Anyone can send what is refused: most errors are seen at a glance to quote nothing.
        if not self._may_quote("\n".join([*said.values(), *[it for it in error.args if isinstance(it, str)]])):
            return
        clean = {name: self.text(text) for name, text in said.items()}
        args = tuple(self.text(it) if isinstance(it, str) else it for it in error.args)
        if clean != said or args != error.args:
            vars(error).update(clean)
            error.args, error.__traceback__ = args, None

    def hides(self, error: Exception) -> bool:
        """Whether ``error``, or what led to it, says what is hidden: a traceback shows all of them."""
        one: TracebackException | None = TracebackException.from_exception(error, lookup_lines=False)
        while one is not None:
            text = "".join(one.format_exception_only())
            if self.text(text) != text:
                return True
            one = one.__cause__ or one.__context__
        return False

    def fields(self, facts: dict[str, Any]) -> None:
        """Replaces ``raw`` among the ``facts`` of a result where it holds what is hidden: it goes into the history.

        This is on the way of every callback: a message is searched as one text, and walked through only then.
        """
        raw: dict[str, Any] = facts["raw"]
        try:
            text = "\n".join([*raw.values()])  # of the view itself, it takes a third longer
        except TypeError:
            text = "\n".join(map(str, raw.values()))
        if _holds_any(text, self._suspects):
            facts["raw"] = {name: self._within(value) for name, value in raw.items()}

    def _may_quote(self, text: str) -> bool:
        """Whether ``text`` may hold a secret, the part of one, or what `redact` looks for: a name and a sign behind."""
        if "…" in text or _holds_any(text, self._marks):
            return True
        return _sign(text) is not None and _holds_any(text.lower(), _NAMES)

    def _within(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value) if _holds_any(value, self._suspects) else value
        if isinstance(value, Mapping):
            return {name: self._within(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._within(inner) for inner in value]
        return value


def _holds_any(text: str, parts: tuple[str, ...]) -> bool:
    for part in parts:  # noqa: SIM110  any() would build a generator
        if part in text:
            return True
    return False


def secret_texts(value: Any) -> Iterator[str]:
    """The secrets in ``value``, such as a setting or a mapping of them."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from secret_texts(value.__dict__)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from secret_texts(one)
    elif isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from secret_texts(one)


def _forms(text: str) -> set[str]:
    """``text`` as it is, percent-encoded, and escaped for JSON and HTML: as gateways quote a request."""
    if text.isascii() and text.isalnum():
        return {text}
    encoded = {quote(text, ""), quote(text), quote_plus(text)}
    escaped = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    escaped |= {form.replace("/", "\\/") for form in escaped}
    return {text, *encoded, *map(_lower, encoded), *escaped, escape(text), escape(text, quote=False)}


def _in_base64(text: str) -> Iterator[str]:
    """What base64 makes of ``text`` wherever it stands among other bytes, as behind a user's name (RFC 7617).

    The letters at both ends, which hold bits of what is beside it, are left out.
    """
    data = text.encode("utf-8", "surrogatepass")
    if len(data) < _SHORTEST_IN_BASE64:
        return
    for before in range(3):
        encoded = b2a_base64(bytes(before) + data, newline=False).decode()
        form = encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        yield from {form, form.replace("+", "-").replace("/", "_"), quote(form, "")}


def _lower(encoded: str) -> str:
    """``encoded`` with small letters in its hex digits."""
    first, *others = encoded.split("%")
    return "%".join([first, *[part[:2].lower() + part[2:] for part in others]])


def _uncut(text: str, form: str) -> str:
    """``text``, which was cut off, with stars for the beginning of ``form`` that it ends in."""
    kept = text[:-1]
    for length in range(min(len(form), len(kept)), _SHORTEST - 1, -1):
        if kept.endswith(form[:length]):
            return f"{kept[:-length]}{HIDDEN}…"
    return text
