"""Keeping signatures out of logs: httpx logs the full URL of every request, signature included, at INFO."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress

from payhub_core.errors import plain

__all__ = ["SECRET_FIELDS", "RedactSignatures", "redact"]

#: The fields of messages that are neither logged nor stored.
SECRET_FIELDS = ("sign", "signature", "secret", "key")


class _Unheard(logging.Handler):
    """Prints errors, a line each, where nobody has configured logging: a handler that fails must not fail unseen.

    Anything less is silent there, as the logging HOWTO asks of libraries.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if not _heard(record.name):
            # Looked up now: a program may replace its stderr.
            with suppress(Exception):
                sys.stderr.write(f"payhub: {_one_line(record)}\n")


def _heard(name: str) -> bool:
    """Whether the records of a logger go to any handler of the application's."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler | _Unheard) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _one_line(record: logging.LogRecord) -> str:
    return redact(plain(record.getMessage(), _LONGEST_LINE))


logging.getLogger("payhub").addHandler(_Unheard(logging.ERROR))

_LONGEST_LINE = 1000
_SIGNATURE = re.compile(rf"(?i)\b({'|'.join(SECRET_FIELDS)})=[^&\s\"']+")


def redact(text: str) -> str:
    """``text`` with the values of `SECRET_FIELDS`, such as ``sign=``, replaced by ``***``."""
    return _SIGNATURE.sub(r"\1=***", text)


class RedactSignatures(logging.Filter):
    """A logging filter, for handlers that show httpx's lines: ``handler.addFilter(RedactSignatures())``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record's message where it holds a signature; never drops a record."""
        try:
            message = record.getMessage()
        except Exception:
            return True  # its arguments do not fit: logging reports that, a filter must not raise it at the caller
        redacted = redact(message)
        if redacted != message:
            record.msg, record.args = redacted, None
        return True
