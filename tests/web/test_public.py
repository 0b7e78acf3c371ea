"""What is public of the endpoint, to the letter."""

from __future__ import annotations

import payhub_core.web
from payhub_core.web import asgi, wsgi

PUBLIC = {
    "LIMIT": [],
    "Answer": ["body", "headers", "status_code"],
    "AsgiEndpoint": ["answer"],
    "AsyncReceiver": ["receive", "view"],
    "Receiver": ["receive", "view"],
    "WsgiEndpoint": ["answer"],
    "asgi": [],
    "wsgi": [],
}


def public(thing: object) -> list[str]:
    return sorted(name for name in vars(thing) if not name.startswith("_"))


def test_the_endpoint_exports_these_classes_with_these_names() -> None:
    """And nothing else."""
    assert list(PUBLIC) == payhub_core.web.__all__
    exported = {name: getattr(payhub_core.web, name) for name in PUBLIC}
    assert {name: public(it) if isinstance(it, type) else [] for name, it in exported.items()} == PUBLIC


def test_an_endpoint_shows_nothing_of_what_it_is_made_of(till: object, async_till: object) -> None:
    """Its checkout is the application's own."""
    assert public(wsgi(till)) == []  # type: ignore[type-var]
    assert public(asgi(async_till)) == []  # type: ignore[type-var]
