"""Flows and their two drivers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
import pytest

from payhub_core import Flow, GatewayError, NotSent
from payhub_core.flow import run, run_async

REQUEST = httpx.Request("GET", "https://gateway.example")


class Conversation:
    """A flow of two exchanges that notes what became of it."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.closed = False

    def flow(self) -> Flow[str]:
        try:
            for _ in range(2):
                try:
                    self.heard.append((yield REQUEST).status_code)
                except NotSent as error:
                    self.heard.append(error)
            return "done"
        finally:
            self.closed = True


@pytest.fixture(params=["run", "run_async on asyncio", "run_async on trio"])
def play(request: pytest.FixtureRequest) -> Any:
    """Either driver, called the same way."""
    import anyio  # noqa: PLC0415

    name, _, backend = request.param.partition(" on ")

    def play(flow: Flow[Any], send: Any) -> Any:
        if name == "run":
            return run(flow, send)

        async def awaited(request: httpx.Request) -> httpx.Response:
            await anyio.lowlevel.checkpoint()
            return send(request)

        async def main() -> Any:
            return await run_async(flow, awaited)

        return anyio.run(main, backend=backend)

    return play


def test_a_flow_is_stepped_by_hand() -> None:
    """next, send, throw: no client, no hub, no I/O."""
    conversation = Conversation()
    flow = conversation.flow()
    assert next(flow) is REQUEST
    assert flow.send(httpx.Response(200)) is REQUEST
    with pytest.raises(StopIteration) as stop:
        flow.throw(NotSent("x"))
    assert stop.value.value == "done"
    assert conversation.heard[0] == 200
    assert conversation.closed


def test_a_driver_returns_what_the_flow_returns(play: Any) -> None:
    """Each request sent, each response heard, in turn."""
    conversation = Conversation()
    assert play(conversation.flow(), lambda request: httpx.Response(201)) == "done"
    assert conversation.heard == [201, 201]
    assert conversation.closed


def test_a_flow_without_requests_just_ends(play: Any) -> None:
    """Nothing is sent."""

    def flow() -> Flow[str]:
        return "done"
        yield REQUEST

    assert play(flow(), None) == "done"


def test_a_failed_exchange_is_thrown_in_at_the_yield(play: Any) -> None:
    """Where the flow may catch it and go on."""
    conversation, failures = Conversation(), [NotSent("first")]

    def send(_: httpx.Request) -> httpx.Response:
        if failures:
            raise failures.pop()
        return httpx.Response(200)

    assert play(conversation.flow(), send) == "done"
    assert isinstance(conversation.heard[0], NotSent)
    assert conversation.heard[1] == 200


def test_a_failure_that_the_flow_does_not_catch_is_the_outcome(play: Any) -> None:
    """And the flow has ended."""
    conversation = Conversation()

    def send(_: httpx.Request) -> httpx.Response:
        raise GatewayError("x")

    with pytest.raises(GatewayError):
        play(conversation.flow(), send)
    assert conversation.closed


@pytest.mark.parametrize(
    "error", [StopIteration("forged"), StopAsyncIteration(), RuntimeError("x"), KeyboardInterrupt()]
)
def test_nothing_out_of_a_client_passes_for_a_result(play: Any, error: BaseException) -> None:
    """A stray StopIteration of a mock is an error; the flow is closed, whatever came."""
    conversation = Conversation()

    def send(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(BaseException) as caught:  # noqa: PT011  each of them
        play(conversation.flow(), send)
    assert isinstance(caught.value, type(error) | RuntimeError)
    assert conversation.closed
    assert conversation.heard == []


def test_a_flow_that_goes_on_after_its_close_is_an_error(play: Any) -> None:
    """Not a silence."""

    def stubborn() -> Generator[httpx.Request, httpx.Response, str]:
        try:
            yield REQUEST
        except GeneratorExit:
            yield REQUEST
        return ""

    def send(_: httpx.Request) -> httpx.Response:
        raise ValueError

    with pytest.raises((RuntimeError, ValueError)):
        play(stubborn(), send)
