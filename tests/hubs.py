"""Hubs of either colour, called the same way, so that each behaviour is written once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio.from_thread
import httpx

from payhub_core import AsyncHub, Hub, load_accounts

#: The colour, and what runs it where it is asynchronous.
HUBS = ("Hub", "AsyncHub-asyncio", "AsyncHub-trio")


@contextmanager
def calling(backend: str) -> Iterator[Callable[..., Any]]:
    """Calls a function as it is, or, where there is a ``backend``, awaits it in an event loop in another thread."""
    if not backend:
        yield lambda function, *args, **kwargs: function(*args, **kwargs)
        return
    with anyio.from_thread.start_blocking_portal(backend) as portal:
        yield lambda function, *args, **kwargs: portal.call(functools.partial(function, *args, **kwargs))


class EitherHub:
    """A `Hub` or an `AsyncHub`, called the same way, so that each behaviour is written once."""

    def __init__(self, hub: Hub | AsyncHub, call: Callable[..., Any]) -> None:
        self.hub = hub
        self.call = call

    def create_payment(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.create_payment, *args, **kwargs)

    def query(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.query, *args, **kwargs)

    def parse_callback(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.parse_callback, *args, **kwargs)

    def refund(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.refund, *args, **kwargs)

    def close_payment(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.close_payment, *args, **kwargs)

    def close(self) -> None:
        self.call(self.hub.close if isinstance(self.hub, Hub) else self.hub.aclose)


@contextmanager
def opening(name: str, settings: dict[str, Any]) -> Iterator[Callable[..., EitherHub]]:
    """Opens hubs of the kind ``name``, one of `HUBS`; in the end closes them."""
    _, _, backend = name.partition("-")
    with ExitStack() as stack:
        call = stack.enter_context(calling(backend))

        def start(
            answers: Callable[[httpx.Request], httpx.Response] | None = None,
            *,
            accounts: Mapping[str, Any] | None = None,
            extensions: Sequence[object] = (),
        ) -> EitherHub:
            configured = load_accounts({"accounts": {"shop": settings}}) if accounts is None else accounts
            client: Any = None
            if answers is not None:
                # A client that would follow redirects, to see that none is followed.
                colour: Any = httpx.AsyncClient if backend else httpx.Client
                client = colour(transport=httpx.MockTransport(answers), follow_redirects=True)
                stack.callback(call, client.aclose if backend else client.close)
            kind: Any = AsyncHub if backend else Hub
            hub = EitherHub(kind(configured, extensions=extensions, client=client), call)
            stack.callback(hub.close)
            return hub

        yield start
