"""One exchange over HTTP: limits, retries, and which failure means what."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
import stamina
import trustme

from payhub_core import (
    AsyncHub,
    GatewayError,
    Hub,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PaymentStatus,
    Refused,
    load_accounts,
)

NEVER_LEFT = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("x"),
    httpx.PoolTimeout("x"),
    httpx.ProxyError("x"),
    httpx.UnsupportedProtocol("x"),
]
MAY_HAVE_LEFT = [
    httpx.ReadTimeout("x"),
    httpx.WriteTimeout("x"),
    httpx.ReadError("x"),
    httpx.WriteError("x"),
    httpx.CloseError("x"),
    httpx.RemoteProtocolError("x"),
    httpx.LocalProtocolError("x"),
    httpx.DecodingError("x"),
    httpx.TooManyRedirects("x"),
    httpx.StreamClosed(),
    OSError("x"),
    RuntimeError("x"),
    TimeoutError("x"),
    ssl.SSLError("x"),
    KeyError("x"),
]


@pytest.mark.parametrize("fault", NEVER_LEFT, ids=lambda fault: type(fault).__name__)
def test_what_never_left_is_not_sent_and_tried_again(open_hub: Any, gateway: Any, order: Any, fault: Exception) -> None:
    """Three times at most, even for a create: nothing can have happened."""
    answers = gateway(fault)
    with pytest.raises(NotSent) as caught:
        open_hub(answers).create_payment("shop", order)
    assert len(answers.requests) == 3
    assert (caught.value.account, caught.value.reference) == ("shop", "A1001")


@pytest.mark.parametrize("fault", MAY_HAVE_LEFT, ids=lambda fault: type(fault).__name__)
def test_what_may_have_left_is_unknown_and_never_sent_again(
    open_hub: Any, gateway: Any, order: Any, fault: Exception
) -> None:
    """One create, whatever went wrong with it."""
    answers = gateway(fault)
    with pytest.raises(OutcomeUnknown):
        open_hub(answers).create_payment("shop", order)
    assert len(answers.requests) == 1


def test_a_create_that_could_not_be_sent_at_first_is_sent_once(
    open_hub: Any, gateway: Any, platform: Any, order: Any
) -> None:
    """The second attempt gets through, and there is no third."""
    answers = gateway(httpx.ConnectError("x"), platform.create_reply())
    assert open_hub(answers).create_payment("shop", order)
    assert len(answers.requests) == 2


def test_a_create_is_not_sent_again_after_an_attempt_that_may_have_arrived(
    open_hub: Any, gateway: Any, platform: Any, order: Any
) -> None:
    """First refused, then lost: two attempts and not a third."""
    answers = gateway(httpx.ConnectError("x"), httpx.ReadTimeout("x"), platform.create_reply())
    with pytest.raises(OutcomeUnknown):
        open_hub(answers).create_payment("shop", order)
    assert len(answers.requests) == 2


@pytest.mark.parametrize("fault", [*NEVER_LEFT, *MAY_HAVE_LEFT], ids=lambda fault: type(fault).__name__)
def test_a_query_is_tried_three_times_whatever_went_wrong(open_hub: Any, gateway: Any, fault: Exception) -> None:
    """It changes nothing, so it may be asked again; its failure leaves state alone."""
    answers = gateway(fault)
    with pytest.raises(GatewayError) as caught:
        open_hub(answers).query("shop", "A1001")
    assert len(answers.requests) == 3
    assert not isinstance(caught.value, OutcomeUnknown | Refused | NotFound)


def test_the_pauses_between_attempts_are_short_and_jittered(gateway: Any, settings: Any) -> None:
    """With the clock running: two pauses, of less than two seconds each."""
    client = httpx.Client(transport=httpx.MockTransport(gateway(httpx.ConnectError("x"))))
    pauses: list[float] = []
    with stamina.set_testing(False), client, Hub(load_accounts({"accounts": {"shop": settings}}), client=client) as hub:

        def hook(details: stamina.instrumentation.RetryDetails) -> None:
            pauses.append(details.wait_for)

        before = stamina.instrumentation.get_on_retry_hooks()
        stamina.instrumentation.set_on_retry_hooks([hook])
        try:
            with pytest.raises(NotSent):
                hub.query("shop", "A1001")
        finally:
            stamina.instrumentation.set_on_retry_hooks(before)
    assert len(pauses) == 2
    assert all(0 <= pause <= 2 for pause in pauses)


def test_a_client_of_ones_own_has_exceptions_of_its_own(open_hub: Any, gateway: Any, order: Any) -> None:
    """Told by name, so that drop-in successors of httpx work; any unknown one may have left."""

    class ConnectError(Exception):
        pass

    class ConnectionLost(ConnectError):
        pass

    with pytest.raises(NotSent):
        open_hub(gateway(ConnectionLost("x"))).create_payment("shop", order)


def test_redirects_are_not_followed(open_hub: Any, gateway: Any, order: Any) -> None:
    """Not even by a client that would: the request, signature and all, goes nowhere else."""
    answers = gateway(httpx.Response(302, headers={"Location": "https://evil.example/"}))
    with pytest.raises(OutcomeUnknown):
        open_hub(answers).create_payment("shop", order)
    assert [request.url.host for request in answers.requests] == ["gateway.example"]


def test_every_request_has_its_time_outs(open_hub: Any, gateway: Any, platform: Any, settings: Any, order: Any) -> None:
    """Connect five seconds, read fifteen; per account, whatever the client's own."""
    for timeout, connect in ((15.0, 5.0), (2.0, 2.0)):
        answers = gateway(platform.create_reply())
        accounts = load_accounts({"accounts": {"shop": {**settings, "timeout": timeout}}})
        open_hub(answers, accounts=accounts).create_payment("shop", order)
        assert answers.requests[0].extensions["timeout"] == {
            "connect": connect,
            "pool": connect,
            "read": timeout,
            "write": timeout,
        }


def test_a_request_offers_no_compression(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """A compressed reply could grow past any limit while it is unpacked."""
    answers = gateway(platform.create_reply())
    open_hub(answers).create_payment("shop", order)
    assert "Accept-Encoding" not in answers.requests[0].headers


def test_a_compressed_reply_is_no_answer(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """It was not asked for; nothing is unpacked."""
    bomb = gzip.compress(platform.create_reply().content)
    answers = gateway(lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Chunks([bomb])))
    with pytest.raises(OutcomeUnknown, match="compressed"):
        open_hub(answers).create_payment("shop", order)
    assert len(answers.requests) == 1


@pytest.mark.parametrize("word", ["identity", "Identity", "", "none", "UTF-8"])
def test_a_reply_may_say_that_it_is_not_compressed(
    open_hub: Any, gateway: Any, platform: Any, order: Any, word: str
) -> None:
    """In any case of letters (RFC 9110, 8.4.1), and in the words of PHP scripts."""
    body = platform.create_reply().content
    answers = gateway(lambda _: httpx.Response(200, headers={"Content-Encoding": word}, stream=Chunks([body])))
    assert open_hub(answers).create_payment("shop", order).next_action is not None


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes piece by piece, and counts what was taken."""

    def __init__(self, chunks: Any, pause: float = 0) -> None:
        self.chunks = chunks
        self.pause = pause
        self.taken = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            time.sleep(self.pause)
            self.taken += 1
            yield chunk

    async def __aiter__(self) -> Any:
        for chunk in self.chunks:
            await anyio.sleep(self.pause)
            if self.closed:
                return
            self.taken += 1
            yield chunk

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def test_a_reply_ends_at_a_mebibyte(open_hub: Any, gateway: Any, order: Any) -> None:
    """Of ten megabytes little more than one is read, and the connection is given up."""
    body = Chunks([b" " * 65536] * 160)
    answers = gateway(lambda _: httpx.Response(200, stream=body))
    with pytest.raises(OutcomeUnknown, match="1048576"):
        open_hub(answers).create_payment("shop", order)
    assert body.taken == 17
    assert body.closed
    assert len(answers.requests) == 1


def test_a_reply_of_a_mebibyte_is_read(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """To the byte."""
    content = platform.create_reply().content
    body = Chunks([content, b" " * (1024 * 1024 - len(content))])
    assert open_hub(gateway(lambda _: httpx.Response(200, stream=body))).create_payment("shop", order)
    assert body.closed


def test_a_reply_that_trickles_is_given_up(open_hub: Any, gateway: Any, settings: Any, order: Any) -> None:
    """Each byte in time, and the whole too late: twice the time-out is all it gets."""
    body = Chunks([b" "] * 1000, pause=0.02)
    accounts = load_accounts({"accounts": {"shop": {**settings, "timeout": 0.1}}})
    answers = gateway(lambda _: httpx.Response(200, stream=body))
    with pytest.raises(OutcomeUnknown):
        open_hub(answers, accounts=accounts).create_payment("shop", order)
    assert body.taken < 20
    assert body.closed
    assert len(answers.requests) == 1


# Real sockets


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Starts a server on loopback that hands each connection to a function; gives its port."""
    servers: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(handle: Callable[[socket.socket], None]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        handle(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        threads.append(thread)
        return int(server.getsockname()[1])

    yield start
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join(5)


def at(settings: Any, base_url: str, **changes: Any) -> Any:
    return load_accounts({"accounts": {"shop": {**settings, "base_url": base_url, **changes}}})


def test_a_refused_connection_is_not_sent(open_hub: Any, settings: Any, order: Any) -> None:
    """Nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotSent):
        open_hub(accounts=at(settings, f"http://127.0.0.1:{port}")).create_payment("shop", order)


def test_a_name_that_does_not_resolve_is_not_sent(open_hub: Any, settings: Any, order: Any) -> None:
    """``.invalid`` never does (RFC 6761)."""
    with pytest.raises(NotSent):
        open_hub(accounts=at(settings, "https://gateway.invalid")).create_payment("shop", order)


def test_a_certificate_that_nobody_vouches_for_is_not_sent(
    open_hub: Any, settings: Any, order: Any, serve: Any
) -> None:
    """TLS is verified, and the form never leaves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    heard: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            heard.append(tls.recv(1))

    port = serve(handle)
    with pytest.raises(NotSent):
        open_hub(accounts=at(settings, f"https://127.0.0.1:{port}")).create_payment("shop", order)
    assert b"P" not in heard


def answering(body: bytes) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return handle


def test_a_real_reply_is_read(open_hub: Any, settings: Any, platform: Any, serve: Any) -> None:
    """Over the hub's own client."""
    port = serve(answering(platform.query_reply().content))
    payment = open_hub(accounts=at(settings, f"http://127.0.0.1:{port}")).query("shop", "A1001")
    assert payment.claimed_status is PaymentStatus.PAID


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"garbage\r\n\r\n"])
def test_a_connection_that_is_cut_is_an_unknown_outcome(
    open_hub: Any, settings: Any, order: Any, serve: Any, reply: bytes
) -> None:
    """Before, within, or instead of a reply; the form was heard once."""
    heard: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        connection.sendall(reply)

    port = serve(handle)
    with pytest.raises(OutcomeUnknown):
        open_hub(accounts=at(settings, f"http://127.0.0.1:{port}")).create_payment("shop", order)
    assert len([request for request in heard if request]) == 1


def test_a_gateway_that_never_answers_is_given_up(open_hub: Any, settings: Any, order: Any, serve: Any) -> None:
    """After the account's time-out, as an unknown outcome."""

    def handle(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    port = serve(handle)
    accounts = at(settings, f"http://127.0.0.1:{port}", timeout=0.2)
    before = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        open_hub(accounts=accounts).create_payment("shop", order)
    assert time.monotonic() - before < 5


@pytest.mark.anyio
async def test_a_gateway_that_trickles_its_headers_is_given_up(settings: Any, order: Any, serve: Any) -> None:
    """The whole exchange has twice the time-out, its head included."""

    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            time.sleep(0.02)
            connection.sendall(b"x")

    port = serve(handle)
    async with AsyncHub(at(settings, f"http://127.0.0.1:{port}", timeout=0.1)) as hub:
        with anyio.fail_after(5):
            with pytest.raises(OutcomeUnknown):
                await hub.create_payment("shop", order)
