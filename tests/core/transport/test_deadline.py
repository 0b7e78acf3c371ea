"""The blocking hub's deadline: it ends an exchange whose every byte comes in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from payhub_core import OutcomeUnknown, load_accounts
from payhub_core.transport.deadline import bound
from payhub_core.transport.exchange import Exchange

TIMEOUT = 0.3


@pytest.fixture
def trickling() -> Iterator[str]:
    """A server that answers with one header after the other, well within any wait for a byte, for ten seconds."""
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for number in range(200):
                if stop.wait(0.05):
                    return
                try:
                    connection.sendall(b"X-%d: 1\r\n" % number)
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        stop.set()
        thread.join()


def test_headers_that_trickle_are_not_waited_for(trickling: str) -> None:
    """Twice the time-out for the whole exchange; without the deadline this takes ten seconds."""
    with bound(httpx.Client(trust_env=False)) as client:
        send = Exchange(client, TIMEOUT, lost=OutcomeUnknown).sender()
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
            send(httpx.Request("POST", trickling))
    assert 2 * TIMEOUT <= time.monotonic() - began < 10 * TIMEOUT


def test_the_hubs_own_client_is_bound(open_hub: Any, order: Any, trickling: str, settings: Any) -> None:
    """There is no public place for this in httpx: should its inside change, this says so."""
    account = {**settings, "base_url": trickling, "timeout": TIMEOUT}
    hub = open_hub(accounts=load_accounts({"accounts": {"shop": account}}))
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        hub.create_payment("shop", order)
    assert time.monotonic() - began < 10 * TIMEOUT
