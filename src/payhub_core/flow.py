"""Flows: a conversation with a gateway, without I/O, and the two drivers that give it some.

A flow is a generator that yields `httpx.Request`, is sent the `httpx.Response` and returns its result, as
`httpx.Auth.auth_flow` does. A failed exchange is thrown in at the ``yield``, already one of payhub's errors, so a
``yield`` behaves like ``client.send`` and may stand in a ``try``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias, TypeVar

import httpx

from payhub_core.errors import GatewayError

__all__ = ["Flow", "run", "run_async"]

T = TypeVar("T")

Flow: TypeAlias = Generator[httpx.Request, httpx.Response, T]


def run(flow: Flow[T], send: Callable[[httpx.Request], httpx.Response]) -> T:
    """Plays ``flow`` to its end and returns its result; ``send`` raises GatewayError where an exchange fails."""
    step: Callable[[Any], httpx.Request] = flow.send
    value: object = None
    try:
        while True:
            try:
                request = step(value)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            try:  # apart from the step, so that a StopIteration out of ``send`` never passes for a result
                step, value = flow.send, send(request)
            except GatewayError as error:
                step, value = flow.throw, error
    finally:
        flow.close()


async def run_async(flow: Flow[T], send: Callable[[httpx.Request], Awaitable[httpx.Response]]) -> T:
    """`run`, for a ``send`` that is awaited."""
    step: Callable[[Any], httpx.Request] = flow.send
    value: object = None
    try:
        while True:
            try:
                request = step(value)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            try:
                step, value = flow.send, await send(request)
            except GatewayError as error:
                step, value = flow.throw, error
    finally:
        flow.close()
