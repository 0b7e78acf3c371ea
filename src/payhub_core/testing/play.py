"""A flow by hand: the author's own tests of one conversation, without hub and network."""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, NamedTuple, TypeVar, overload

from payhub_core.errors import PayhubError
from payhub_core.flow import Flow, Request, Response

__all__ = ["Played", "play"]

T = TypeVar("T")


class Played(NamedTuple, Generic[T]):
    """What a flow ended in, and the requests that it yielded."""

    result: T
    requests: list[Request]


@overload
def play(flow: Flow[T], *responses: Response | PayhubError) -> Played[T]: ...
@overload
def play(flow: T | Flow[T], *responses: Response | PayhubError) -> Played[T]: ...
def play(flow: T | Flow[T], *responses: Response | PayhubError) -> Played[T]:
    """Plays a hook's ``flow``, each request answered by the next of ``responses``; an error is thrown in at the yield.

    ``result, requests = play(provider.query("A1001"), Response(200, json=...))``. A hook that returns its result at
    once is played with no response. What the flow raises is raised. Raises AssertionError where it yields more requests
    than there are responses, or ends before it has had them all.
    """
    requests: list[Request] = []
    if not isinstance(flow, Generator):
        _match(not responses, f"the hook returned at once, and {len(responses)} responses were given")
        return Played(flow, requests)
    left = list(responses)
    try:
        request = next(flow)
        while True:
            requests.append(request)
            _match(left, f"the flow yields request {len(requests)}, {request.method} {request.url}, without a response")
            answer = left.pop(0)
            request = flow.throw(answer) if isinstance(answer, PayhubError) else flow.send(answer)
    except StopIteration as end:
        _match(not left, f"the flow ended after {len(requests)} requests, {len(left)} responses are left")
        return Played(end.value, requests)
    finally:
        flow.close()


def _match(matches: object, otherwise: str) -> None:
    if not matches:
        raise AssertionError(otherwise)
