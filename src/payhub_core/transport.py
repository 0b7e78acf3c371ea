"""One exchange with a gateway over HTTP: time-outs, limits, retries, and which payhub error a failure is."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any, Protocol

import httpx

from payhub_core.errors import GatewayError, NotSent, plain
from payhub_core.logs import redact

__all__ = ["AsyncClient", "AsyncExchange", "Client", "Exchange", "tls"]

CONNECT_SECONDS = 5.0
#: When this thread's exchange must have ended, in seconds of the monotonic clock; the blocking hub's sockets keep it.
DEADLINE: ContextVar[float] = ContextVar("payhub_deadline")
REPLY_LIMIT = 1024 * 1024
ATTEMPTS = 3

# By name, along the class's ancestry: a client of the user's choice has exceptions of its own under the names of httpx.
_NEVER_LEFT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}


class Client(Protocol):
    """What the hub needs of an HTTP client; `httpx.Client` is one."""

    def send(self, request: httpx.Request, *, stream: bool = ..., follow_redirects: bool = ...) -> httpx.Response:
        """Sends ``request`` and returns the response, its body still to be read when ``stream``."""
        ...


class AsyncClient(Protocol):
    """What the async hub needs of an HTTP client; `httpx.AsyncClient` is one."""

    async def send(self, request: httpx.Request, *, stream: bool = ..., follow_redirects: bool = ...) -> httpx.Response:
        """As `Client.send`."""
        ...


@functools.cache
def tls() -> ssl.SSLContext:
    """The process's one TLS context: making one takes 20 ms."""
    return httpx.create_ssl_context()


class _Terms:
    """What an exchange of one hook call is subject to: seconds, what a lost answer means, and what is sent again.

    ``lost`` is the error for a request that may have arrived. Only what never left is sent again, and with
    ``idempotent`` also what may have.
    """

    def __init__(self, timeout: float, *, lost: type[GatewayError], idempotent: bool) -> None:
        self.seconds: float = 2 * timeout
        self.lost: type[GatewayError] = lost
        self.retried: type[GatewayError] = GatewayError if idempotent else NotSent
        connect = min(CONNECT_SECONDS, timeout)
        self.timeouts: dict[str, float] = {"connect": connect, "pool": connect, "read": timeout, "write": timeout}

    def prepared(self, request: httpx.Request) -> httpx.Request:
        request.extensions["timeout"] = self.timeouts
        return request

    def failure(self, error: Exception) -> GatewayError:
        names = {cls.__name__ for cls in type(error).__mro__}
        if names & _NEVER_LEFT:
            return NotSent(f"could not reach the gateway: {type(error).__name__}: {plain(redact(str(error)), 160)}")
        return self.lost(f"no usable answer from the gateway: {type(error).__name__}")

    def limited(self, response: httpx.Response, deadline: float) -> httpx.Response:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self.lost("the gateway compressed its reply, which was not asked for")
        response.stream = _Limited(response.stream, deadline, self.lost)
        return response

    def complete(self, response: httpx.Response) -> httpx.Response:
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise self.lost(f"the gateway answered HTTP {response.status_code}")
        return response

    def retries(self) -> Any:
        import stamina  # noqa: PLC0415  30 ms of import for the few calls that need it

        return stamina.retry_context(on=self.retried, attempts=ATTEMPTS, timeout=2 * self.seconds, wait_max=2.0)


class Exchange(_Terms):
    """Sends one request and reads its whole reply; raises GatewayError, never anything of the client's."""

    def __init__(self, client: Client, timeout: float, *, lost: type[GatewayError], idempotent: bool) -> None:
        super().__init__(timeout, lost=lost, idempotent=idempotent)
        self.client: Client = client

    def __call__(self, request: httpx.Request) -> httpx.Response:
        try:
            return self.once(request)
        except self.retried as error:
            first: GatewayError | None = error
        for attempt in self.retries():
            with attempt:
                if first is not None:  # the attempt already made counts, and its pause comes before the next
                    failed, first = first, None
                    raise failed
                return self.once(request)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def once(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + self.seconds
        DEADLINE.set(deadline)
        try:
            response = self.client.send(self.prepared(request), stream=True, follow_redirects=False)
            try:
                self.limited(response, deadline).read()
            finally:
                response.close()
        except GatewayError:
            raise
        except Exception as error:
            raise self.failure(error) from None
        return self.complete(response)


class AsyncExchange(_Terms):
    """`Exchange`, awaited."""

    def __init__(self, client: AsyncClient, timeout: float, *, lost: type[GatewayError], idempotent: bool) -> None:
        super().__init__(timeout, lost=lost, idempotent=idempotent)
        self.client: AsyncClient = client

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self.once(request)
        except self.retried as error:
            first: GatewayError | None = error
        async for attempt in self.retries():
            with attempt:
                if first is not None:
                    failed, first = first, None
                    raise failed
                return await self.once(request)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def once(self, request: httpx.Request) -> httpx.Response:
        import anyio  # noqa: PLC0415  only for those who await

        deadline = time.monotonic() + self.seconds
        try:
            with anyio.fail_after(self.seconds):
                response = await self.client.send(self.prepared(request), stream=True, follow_redirects=False)
                try:
                    await self.limited(response, deadline).aread()
                finally:
                    await response.aclose()
        except GatewayError:
            raise
        except Exception as error:
            raise self.failure(error) from None
        return self.complete(response)


class _Limited(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A reply's body that ends in an error once it is too long or too slow."""

    def __init__(self, stream: Any, deadline: float, lost: type[GatewayError]) -> None:
        self.stream: Any = stream
        self.deadline: float = deadline
        self.lost: type[GatewayError] = lost
        self.left: int = REPLY_LIMIT

    def excess(self, chunk: bytes) -> GatewayError | None:
        self.left -= len(chunk)
        if self.left < 0:
            return self.lost(f"the gateway's reply is longer than {REPLY_LIMIT} bytes")
        if time.monotonic() > self.deadline:
            return self.lost("the gateway's reply took too long")
        return None

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.stream:
            if error := self.excess(chunk):
                raise error
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        error: GatewayError | None = None
        try:
            async for chunk in self.stream:
                error = error or self.excess(chunk)
                if error is None:
                    yield chunk
                else:
                    # Closed under its readers, the client's generators end by themselves; trio warns of abandoned ones.
                    await self.stream.aclose()
        except Exception:
            if error is None:
                raise
        if error is not None:
            raise error

    def close(self) -> None:
        self.stream.close()

    async def aclose(self) -> None:
        await self.stream.aclose()
