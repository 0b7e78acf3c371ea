"""A flow by hand."""

from __future__ import annotations

from typing import Any

import pytest

from payhub_core import GatewayError, Money, Payment, PaymentStatus, Request, Response
from payhub_core.testing import play


def asking(*paths: str) -> Any:
    found = []
    for path in paths:
        try:
            found.append((yield Request("GET", f"https://tea.example/{path}")).text)
        except GatewayError as error:
            found.append(error.message)
    return found


def test_each_request_is_answered_by_the_next_response() -> None:
    """And an error is thrown in where the request failed."""
    result, requests = play(asking("a", "b"), Response(200, text="one"), GatewayError("no answer"))
    assert result == ["one", "no answer"]
    assert [request.url.path for request in requests] == ["/a", "/b"]


def test_a_hook_that_returns_at_once_is_played_too() -> None:
    """A create that sends nothing."""
    payment = Payment(reference="A1001", status=PaymentStatus.PENDING, amount=Money(1, "CNY"))
    assert play(payment) == (payment, [])


@pytest.mark.parametrize(
    ("paths", "responses", "message"),
    [
        (["a", "b"], 1, "request 2, GET https://tea.example/b, without a response"),
        (["a"], 2, "ended after 1 requests, 1 responses are left"),
    ],
)
def test_requests_and_responses_have_to_match(paths: list[str], responses: int, message: str) -> None:
    """One too many is a request that the author did not know of."""
    with pytest.raises(AssertionError, match=message):
        play(asking(*paths), *[Response(200)] * responses)


def test_a_hook_without_requests_takes_no_responses() -> None:
    """They would never be read."""
    with pytest.raises(AssertionError, match="returned at once"):
        play(7, Response(200))


def test_what_the_flow_raises_is_raised() -> None:
    """As its caller would see it."""

    def failing() -> Any:
        yield Request("GET", "https://tea.example/")
        raise GatewayError("unreadable")

    with pytest.raises(GatewayError, match="unreadable"):
        play(failing(), Response(200))
