"""A request as a curl command that a person may show to others: what could be a key or a signature is hidden."""

from __future__ import annotations

import json
import re
import shlex
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from pydantic import BaseModel

from payhub_core.flow import Request
from payhub_core.logs import HIDDEN
from payhub_core.models import Order
from payhub_core.redaction import secret_texts

__all__ = ["Redaction", "curl"]

#: Long enough for a key or a signature, in hex or in base64.
_TOKEN = re.compile(r"[A-Za-z0-9+/_\\%.~-]{16,}={0,2}")
#: A number, a time, and a word that is the name of something.
_PLAIN = re.compile(r"[0-9.-]{16,24}|[a-z_.-]+|[A-Z_]+")
_SHORTEST_NAMED = 8
_SECRET_NAME = re.compile(r"sign|secret|key|token|passw|hash|digest|hmac|auth", re.IGNORECASE)
_JSON_TEXT = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?')
_SHOWN_HEADERS = {"accept", "content-type", "user-agent"}
_OF_CURL = {"host", "content-length"}  # which it writes itself


class Redaction:
    """Hides what is long enough for a key or a signature, unless it is the order's own text or a public setting's."""

    def __init__(self, provider: object, order: Order) -> None:
        settings = dict(provider) if isinstance(provider, BaseModel) else {}
        self._secrets = [text for text in secret_texts(settings) if text]
        public = [value for name, value in settings.items() if not _SECRET_NAME.search(name)]
        values = order.model_dump(exclude={"amount", "extra"}).values()
        self._known = "\n".join(map(str, [*public, *values, *order.extra.values()]))

    def text(self, text: str) -> str:
        """``text`` with what may not be shown as stars."""
        return _TOKEN.sub(lambda found: found[0] if self._public(found[0]) else HIDDEN, self._without_secrets(text))

    def fields(self, text: str) -> str:
        """A form or a query: each value that may be shown is as it travels."""
        return "&".join(self._field(part) for part in text.split("&"))

    def json(self, text: str) -> str:
        """JSON: each text in it that may be shown is as it is written."""
        return _JSON_TEXT.sub(self._literal, text)

    def path(self, path: str) -> str:
        """The path of an address; a long word of letters alone is one of the gateway's own."""
        parts = [self._without_secrets(unquote(part)) for part in path.split("/")]
        return "/".join(quote(part if part.replace("_", "").isalpha() else self.text(part), safe="*") for part in parts)

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _public(self, token: str) -> bool:
        return token in self._known or unquote_plus(token) in self._known or bool(_PLAIN.fullmatch(token))

    def _field(self, part: str) -> str:
        name, equals, raw = part.partition("=")
        value = unquote_plus(raw)
        named = len(value) >= _SHORTEST_NAMED and _SECRET_NAME.search(name)
        shown = HIDDEN if named else self.text(value)
        return part if shown == value else f"{name}{equals}{shown}"

    def _literal(self, found: re.Match[str]) -> str:
        if found[2]:  # the name of a field
            return found[0]
        try:
            value: str = json.loads(found[0])
        except ValueError:
            return f'"{HIDDEN}"'
        shown = self.text(value)
        return found[0] if shown == value else json.dumps(shown, ensure_ascii=False)


def curl(request: Request, redaction: Redaction) -> str:
    """The command that would send ``request``, redacted."""
    parts = urlsplit(str(request.url))
    query = f"?{redaction.fields(parts.query)}" if parts.query else ""
    lines = [
        f"curl -X {request.method} {_quoted(f'{parts.scheme}://{parts.netloc}{redaction.path(parts.path)}{query}')}"
    ]
    for name, value in [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]:
        if name.lower() not in _OF_CURL:
            lines.append(f"-H {_quoted(f'{name}: {value if name.lower() in _SHOWN_HEADERS else HIDDEN}')}")
    if request.content:
        lines.append(f"--data-raw {_quoted(_body(request, redaction))}")
    return " \\\n  ".join(lines)


def _body(request: Request, redaction: Redaction) -> str:
    try:
        text = request.content.decode()
    except UnicodeDecodeError:
        return f"({len(request.content)} bytes that are no text)"
    kind = request.headers.get("content-type", "")
    if "x-www-form-urlencoded" in kind:
        return redaction.fields(text)
    return redaction.json(text) if "json" in kind else redaction.text(text)


def _quoted(text: str) -> str:
    return shlex.quote("".join(c if c.isprintable() or c == "\n" else "�" for c in text))
