"""Keeping signatures out of logs: httpx logs the full URL of every request, signature included, at INFO."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress

from payhub_core.errors import plain

__all__ = ["HIDDEN", "SECRET_FIELDS", "RedactSignatures", "redact"]

#: The fields of messages that are neither logged nor stored.
SECRET_FIELDS = ("sign", "signature", "secret", "key")
#: What stands in their place.
HIDDEN = "***"


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
#: A field as a form writes it, percent-encoded or not; as JSON and PHP print it, escaped or not; as XML does. And the
#: credentials of a header (RFC 9110, 11.6.2).
_SIGNATURE = re.compile(
    rf"""(?ix) (?: \b | (?<=%[0-9A-F]{{2}}) )( (?:{"|".join(SECRET_FIELDS)})
    (?: = \\*["']? | %3D | \\*["'] \s* (?: : | => ) \s* \\*["'] | \] \s* => \s* | > (?: <!\[CDATA\[ )? )
    | authorization \\*["'\]]? \s* (?: : | => ) \s* \\*["']? (?: [\w-]+ \s+ )? )
    (?: (?!%26) [^&\s"'\\<>\]])+"""
)


def redact(text: str) -> str:
    """``text`` with the values of `SECRET_FIELDS`, such as ``sign=`` or ``"sign":``, replaced by ``***``."""
    return _SIGNATURE.sub(rf"\1{HIDDEN}", text)


class RedactSignatures(logging.Filter):
    """A logging filter, for handlers that show httpx's lines: ``handler.addFilter(RedactSignatures())``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record's message and traceback where they hold a signature; never drops a record."""
        try:
            message = record.getMessage()
        except Exception:
            return True  # its arguments do not fit: logging reports that, a filter must not raise it at the caller
        redacted = redact(message)
        if redacted != message:
            record.msg, record.args = redacted, None
        if record.exc_info and record.exc_info[0]:
            trace = record.exc_text or _FORMATTER.formatException(record.exc_info)
            redacted = redact(trace)
            if redacted != trace:  # every formatter writes the text where there is no error to write by itself
                record.exc_text, record.exc_info = redacted, None
        return True


_FORMATTER = logging.Formatter()
