"""The way to the gateway: requests that never leave, and answers that take too long."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stamina

from payhub_core import NotSent, OutcomeUnknown


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and that nobody else is given meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def unreachable(request: pytest.FixtureRequest, closed_port: int) -> str:
    """An address at which no gateway of ours hears anything."""
    match request.param:
        case "refused connection":
            return f"http://127.0.0.1:{closed_port}"
        case "unknown host":
            return "https://gateway.invalid"
        case _:
            return request.getfixturevalue("tls_sandbox").url


@pytest.mark.parametrize("unreachable", ["refused connection", "unknown host", "untrusted certificate"], indirect=True)
@pytest.mark.parametrize("hook", ["create_payment", "query"])
def test_what_never_left_is_not_sent(
    open_hub: Callable[..., Any], accounts: Any, order: Any, tls_sandbox: Any, unreachable: str, hook: str
) -> None:
    """No connection, no such host, a certificate that nobody vouches for: safe to try again, and nothing was heard."""
    hub = open_hub(accounts=accounts(unreachable))
    with pytest.raises(NotSent) as not_sent:
        getattr(hub, hook)("shop", order if hook == "create_payment" else "A1001")
    assert (not_sent.value.account, not_sent.value.reference) == ("shop", "A1001")
    assert tls_sandbox.requests() == []


def test_a_certificate_for_another_name_is_not_sent(
    open_hub: Callable[..., Any], accounts: Any, order: Any, tls_sandbox: Any, trusted: None
) -> None:
    """A trusted authority does not make every host the gateway."""
    hub = open_hub(accounts=accounts(tls_sandbox.url.replace("127.0.0.1", "localhost")))
    with pytest.raises(NotSent):
        hub.create_payment("shop", order)
    assert tls_sandbox.requests() == []


def test_a_gateway_that_accepts_and_says_nothing(open_hub: Callable[..., Any], accounts: Any, order: Any) -> None:
    """No TLS handshake in time: the request never left."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        hub = open_hub(accounts=accounts(f"https://127.0.0.1:{mute.getsockname()[1]}", timeout=0.1))
        with pytest.raises(NotSent):
            hub.create_payment("shop", order)


def test_an_answer_that_drips_is_not_waited_for(
    open_hub: Callable[..., Any], accounts: Any, sandbox: Any, order: Any
) -> None:
    """Every byte comes in time and the whole would take half a minute; an exchange takes twice the time-out at most."""
    hub = open_hub(accounts=accounts(sandbox.url, timeout=0.4))
    sandbox.fault("unified", "drip", seconds=30)
    start = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        hub.create_payment("shop", order)
    assert 0.4 < time.monotonic() - start < 3


@pytest.mark.parametrize(("size", "fits"), [(2**20 - 64 * 1024, True), (2**20 + 1, False), (10 * 2**20, False)])
def test_a_reply_is_read_up_to_a_mebibyte(
    open_hub: Callable[..., Any], accounts: Any, sandbox: Any, order: Any, size: int, fits: bool
) -> None:
    """Good JSON beyond it is given up while it streams."""
    hub = open_hub(accounts=accounts(sandbox.url))
    sandbox.fault("unified", "oversized", size=size)
    if fits:
        assert hub.create_payment("shop", order).gateway_id
    else:
        with pytest.raises(OutcomeUnknown, match="longer than 1048576 bytes"):
            hub.create_payment("shop", order)


def test_a_redirect_is_not_followed(hub: Any, sandbox: Any, order: Any) -> None:
    """A signed request goes to the gateway that is configured, and nowhere else."""
    sandbox.fault("unified", "redirect")
    with pytest.raises(OutcomeUnknown, match="302"):
        hub.create_payment("shop", order)
    assert [(entry["endpoint"], entry["count"]) for entry in sandbox.requests()] == [("unified", 1)]


def test_a_retry_waits_a_little(hub: Any, sandbox: Any, order: Any) -> None:
    """The real pauses, which every other test leaves out: a tenth of a second and some jitter."""
    hub.create_payment("shop", order)
    sandbox.fault("check_order", "http_503")
    start = time.monotonic()
    with stamina.set_testing(False):
        assert hub.query("shop", "A1001").reference == "A1001"
    assert 0.1 <= time.monotonic() - start < 3
