"""Flows: a conversation with a gateway, without I/O, and the two drivers that give it some.

A flow is a generator that yields a `Request`, is sent the `Response` and returns its result, as `httpx.Auth.auth_flow`
does. A failed exchange is thrown in at the ``yield``, already one of payhub's errors, so a
``yield`` behaves like ``client.send`` and may stand in a ``try``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import httpx
from httpx import Response

from payhub_core.errors import GatewayError
from payhub_core.logs import redact

#: What a flow yields and is sent: httpx's today; a provider imports them from `payhub_core`.
__all__ = ["Flow", "Request", "Response", "drive", "drive_async", "is_harmless", "run", "run_async"]

Asked = TypeVar("Asked")
Given = TypeVar("Given")
T = TypeVar("T")


class Request(httpx.Request):
    """httpx's, shown without keys and signatures: an error reporter sends the repr of a traceback's local variables.

    ``harmless`` says that it changes nothing at the gateway, as a look-up or the fetch of a token: where its answer is
    lost, nothing has happened. ``answers`` are the HTTP statuses of 5xx that the flow is given to read, where the
    gateway's manual has a meaning for their bodies: all others raise GatewayError, unread.
    """

    def __init__(
        self,
        method: str,
        url: httpx.URL | str,
        *,
        harmless: bool = False,
        answers: Collection[int] = (),
        **options: Any,
    ) -> None:
        super().__init__(method, _read(url) if isinstance(url, str) else url, **options)
        self.harmless: bool = harmless
        self.answers: Collection[int] = answers

    def __repr__(self) -> str:
        return redact(super().__repr__())


@lru_cache(maxsize=256)  # reading an address takes as long as signing a form
def _read(url: str) -> httpx.URL:
    return httpx.URL(url)


def is_harmless(request: httpx.Request) -> bool:
    """Whether ``request`` is marked so; one of httpx's own never is."""
    return getattr(request, "harmless", False)


Flow: TypeAlias = Generator[Request, Response, T]


def run(flow: Flow[T], send: Callable[[Request], Response]) -> T:
    """Plays ``flow`` to its end and returns its result; ``send`` raises GatewayError where an exchange fails."""
    return drive(flow, send, GatewayError)


async def run_async(flow: Flow[T], send: Callable[[Request], Awaitable[Response]]) -> T:
    """`run`, for a ``send`` that is awaited."""
    return await drive_async(flow, send, GatewayError)


def drive(talk: Generator[Asked, Given, T], do: Callable[[Asked], Given], thrown: type[Exception]) -> T:
    """Does what ``talk`` asks for until it returns; errors of the type ``thrown`` are thrown into it."""
    step: Callable[[Any], Asked] = talk.send
    value: object = None
    try:
        while True:
            try:
                asked = step(value)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            try:  # apart from the step, so that a StopIteration out of ``do`` never passes for a result
                step, value = talk.send, do(asked)
            except thrown as error:
                step, value = talk.throw, error
    finally:
        talk.close()


async def drive_async(
    talk: Generator[Asked, Given, T], do: Callable[[Asked], Awaitable[Given]], thrown: type[Exception]
) -> T:
    """`drive`, for a ``do`` that is awaited."""
    step: Callable[[Any], Asked] = talk.send
    value: object = None
    try:
        while True:
            try:
                asked = step(value)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            try:
                step, value = talk.send, await do(asked)
            except thrown as error:
                step, value = talk.throw, error
    finally:
        talk.close()
