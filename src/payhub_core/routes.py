"""Routes: accounts in the order in which they are tried, under a name of their own."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from payhub_core.config import did_you_mean
from payhub_core.errors import ConfigError, plain

__all__ = ["route_faults"]


def route_faults(routes: Mapping[str, Iterable[str]], accounts: Container[str]) -> Iterator[ConfigError]:
    """What is wrong with ``routes`` that lead along ``accounts``."""
    known = set(accounts) if isinstance(accounts, Iterable) else set[str]()
    for route, names in routes.items():
        if route in accounts:
            yield ConfigError(f"routes.{route}: {route!r} is the name of an account")
        listed = tuple(names)
        if not listed or len(set(listed)) != len(listed):
            yield ConfigError(f"routes.{route}: expected the names of accounts, each once")
        for name in listed:
            if name not in accounts:
                reason = f"routes.{route}: there is no account {plain(name)!r}"
                yield ConfigError(reason, hint=did_you_mean(name, known))
