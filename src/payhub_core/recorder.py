"""Recorded callbacks: what a gateway really sent, one readable file each, to be replayed."""

from __future__ import annotations

import json
import os
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payhub_core.errors import PayhubError, plain
from payhub_core.models import Callback, CallbackKind, Reply

__all__ = ["Recorder", "load_callback"]

_NOTE = "Holds a genuine signature where the gateway sent one: keep it as private as the payments. Holds no secret."
_LONGEST_FILE = 1024 * 1024
_LONGEST_REPLY = 500
_LONGEST_HEADER = 1000
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[a-z0-9_]+-(?:notify|return)-([0-9]{3})-[0-9a-f]{6}\.json")


class Recorder:
    """Saves callbacks into ``folder``, which is made where it is missing and is for its owner's eyes only.

    The newest ``keep`` that were answered with success are kept, and as many of the others, so that garbage never
    pushes out what is genuine; in each process a twentieth of that more comes before the oldest go. Of the headers the
    Content-Type is saved, and those that the account's provider declares: some gateways sign with theirs.
    """

    def __init__(self, folder: str | os.PathLike[str], *, keep: int = 1000) -> None:
        self.folder: Path = Path(folder)
        self.keep: int = keep
        self._saved = 0

    def save(self, account: str, callback: Callback, reply: Reply, headers: Collection[str] = ()) -> Path:
        """Writes one file, readable by its owner only, and now and then removes what is too old; raises OSError.

        ``headers`` are the provider's own ``callback_headers``.
        """
        now = datetime.now(UTC)
        kept = {"content-type", *(name.lower() for name in headers)}
        content = {
            "note": _NOTE,
            "recorded_at": now.isoformat(),
            "account": account,
            "kind": callback.kind.value,
            "method": callback.method,
            "headers": {k: v[:_LONGEST_HEADER] for k, v in callback.headers.items() if k.lower() in kept},
            "query": _readable(callback.query),
            "body": _readable(callback.body),
            "reply": {
                "status_code": reply.status_code,
                "content_type": reply.content_type,
                "body": _readable(reply.body[:_LONGEST_REPLY]),
                **({"reason": plain(reply.reason, _LONGEST_REPLY)} if reply.reason else {}),
            },
        }
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        short = re.sub(r"[^a-z0-9_]", "_", account[:64])
        name = f"{now:%Y%m%dT%H%M%S.%fZ}-{short}-{callback.kind}-{reply.status_code}-{secrets.token_hex(3)}.json"
        path = self.folder / name
        with open(path, "x", encoding="utf-8", opener=_private) as file:
            file.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
        # To list a full folder takes several times as long as to settle a notify.
        if self._saved % max(1, self.keep // 20) == 0:
            self._forget_old()
        self._saved += 1
        return path

    def _forget_old(self) -> None:
        kept = {True: 0, False: 0}
        for name in sorted((path.name for path in self.folder.iterdir()), reverse=True):
            if found := _NAME.fullmatch(name):  # a file of any other name is not ours
                good = found[1] < "400"
                kept[good] += 1
                if kept[good] > self.keep:
                    (self.folder / name).unlink(missing_ok=True)  # another process may have been quicker


def load_callback(path: str | os.PathLike[str]) -> tuple[str, Callback]:
    """The account and the callback of a recorded file, ready for ``hub.parse_callback(account, callback)``.

    What a message says of its own time is judged by when it was recorded. Raises PayhubError for a file that is none.
    """
    content = load(path)
    try:
        account, method = _text(content["account"]), _text(content["method"])
        headers = {_text(name): _text(value) for name, value in content["headers"].items()}
        query, body = _raw(content["query"]), _raw(content["body"])
        kind, recorded_at = CallbackKind(content["kind"]), _time(content.get("recorded_at"))
        return account, Callback(method, headers, query, body, kind, recorded_at)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PayhubError(f"{plain(path)} is no recorded callback: {type(error).__name__} {plain(error)}") from None


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """All that a recorded file says; raises PayhubError."""
    try:
        with Path(path).open("rb") as file:
            content = json.loads(file.read(_LONGEST_FILE))
    except OSError as error:
        raise PayhubError(f"{plain(path)} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise PayhubError(f"{plain(path)} is no recorded callback", hint="pass a file that a Recorder wrote")
    return content


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _readable(data: bytes) -> str | dict[str, str]:
    """Text where the bytes are plain UTF-8, so that one can read it; else base64, so that no byte is lost."""
    with suppress(UnicodeDecodeError):
        text = data.decode()
        if text.replace("\n", "").isprintable():  # nothing that would play tricks on a terminal
            return text
    return {"base64": b64encode(data).decode()}


def _raw(value: object) -> bytes:
    if isinstance(value, dict):
        return b64decode(_text(value["base64"]), validate=True)
    return _text(value).encode()


def _time(value: object) -> datetime | None:
    """The time that a file states; None, which is now, where it states none."""
    with suppress(ValueError):
        time = datetime.fromisoformat(value if isinstance(value, str) else "")
        return time if time.tzinfo else None
    return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value
