"""Keeping signatures out of logs: httpx logs the full URL of every request, signature included, at INFO."""

from __future__ import annotations

import logging
import re

__all__ = ["SECRET_FIELDS", "RedactSignatures", "redact"]

#: The fields of messages that are neither logged nor stored.
SECRET_FIELDS = ("sign", "signature", "secret", "key")

# Silent unless the application configures logging, as the logging HOWTO asks of libraries.
logging.getLogger("payhub").addHandler(logging.NullHandler())

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
