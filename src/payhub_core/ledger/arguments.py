"""Arguments: what whoever asks a ledger may give, checked before the database is asked."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from payhub_core.errors import ConfigError, plain

__all__ = ["check_aware", "check_limit", "check_word"]

_MOST = 10**9


def check_aware(**times: object) -> None:
    """Raises ConfigError for what is neither an aware time nor None, by its name."""
    for name, time in times.items():
        if time is not None and (not isinstance(time, datetime) or time.tzinfo is None):
            raise ConfigError(f"{name}: expected a datetime with a time zone, not {plain(time)}")


def check_limit(limit: object) -> None:
    """Raises ConfigError unless it is a number of payments, or of transitions."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= _MOST:
        raise ConfigError(f"expected a limit of zero or more, as an int, not {plain(limit)}")


def check_word(words: type[StrEnum], **given: object) -> None:
    """Raises ConfigError for what is none of the ``words``, nor None, by its name."""
    for name, word in given.items():
        if word is not None and word not in list(words):
            raise ConfigError(f"{name}: expected one of {', '.join(words)}, not {plain(word)}")
