"""One exchange with a gateway over HTTP: time-outs, limits, and which payhub error a failure is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import partial
from math import inf
from typing import Any, Protocol

import httpx

from payhub_core.errors import GatewayError, NotSent, OutcomeUnknown, plain
from payhub_core.flow import Request, Response, is_harmless
from payhub_core.logs import redact
from payhub_core.retries import repeat, repeat_async
from payhub_core.transport.client import USER_AGENT

__all__ = ["AsyncClient", "AsyncExchange", "Client", "Exchange"]

CONNECT_SECONDS = 5.0
#: When this thread's exchange must have ended, in seconds of the monotonic clock; the blocking hub's sockets keep it.
DEADLINE: ContextVar[float] = ContextVar("payhub_deadline")
REPLY_LIMIT = 1024 * 1024

# By name, along the class's ancestry: a client of the user's choice has exceptions of its own under the names of httpx.
_NEVER_LEFT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}

#: What leaves a reply as it is, in any case of letters (RFC 9110, 8.4.1). "none" and "utf-8" are no codings, but PHP
#: scripts name them.
_UNCOMPRESSED = {"identity", "", "none", "utf-8"}

#: Headers of a client's own that are about its connections, not about whoever sends the request.
_OF_THE_CONNECTION = {"accept-encoding", "connection"}

#: By class of client, whether its requests are of a kind of its own.
_FOREIGN: dict[type, bool] = {}


class Reply(Protocol):
    """What an exchange needs of a client's response; httpx's and httpx2's are such, their bodies still to be read."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Any:
        """The headers, by name in any case."""
        ...


class Client(Protocol):
    """What the hub needs of an HTTP client; `httpx.Client` and `httpx2.Client` are two.

    One that has a ``build_request`` is asked to build its own requests with it, out of what the provider's holds.
    """

    @property
    def send(self) -> Callable[..., Reply]:
        """Sends a request; returns the response, its body still to be read where ``stream`` is true."""
        ...


class AsyncClient(Protocol):
    """What the async hub needs of an HTTP client; `httpx.AsyncClient` and `httpx2.AsyncClient` are two."""

    @property
    def send(self) -> Callable[..., Awaitable[Reply]]:
        """As `Client.send`, awaited."""
        ...


class _Terms:
    """What an exchange of one hook's calls is subject to: seconds, and what a lost answer means.

    ``lost`` is the error for a request that may have arrived. Only what never left is sent again from here, and with
    ``repeated`` not even that: the whole call is made again, see `repeat`. ``limit`` is seconds for a whole call.
    """

    def __init__(
        self,
        client: Any,
        timeout: float,
        *,
        lost: type[GatewayError],
        repeated: bool = False,
        limit: float | None = None,
    ) -> None:
        self.client: Any = client
        self.build: Callable[..., Any] | None = _foreign_build(client)
        self.defaults: list[tuple[str, str]] = _default_headers(client)
        self.seconds: float = 2 * timeout
        self.limit: float | None = limit
        self.lost: type[GatewayError] = lost
        self.repeated: bool = repeated
        connect = min(CONNECT_SECONDS, timeout)
        self.timeouts: dict[str, float] = {"connect": connect, "pool": connect, "read": timeout, "write": timeout}

    def began(self) -> float:
        """When a call that begins now has to have ended, in seconds of the monotonic clock."""
        return inf if self.limit is None else time.monotonic() + self.limit

    def lost_at(self, request: Request) -> type[GatewayError]:
        """What a lost answer to ``request`` means: one that is harmless has left nothing behind."""
        return NotSent if self.lost is OutcomeUnknown and is_harmless(request) else self.lost

    def prepared(self, request: Request, left: float) -> Any:
        """The request as the client sends it, with ``left`` seconds for all of it."""
        timeouts = self.timeouts
        if left < self.timeouts["read"]:
            timeouts = {key: min(seconds, left) for key, seconds in timeouts.items()}
        if self.build is None:
            request.extensions["timeout"] = timeouts
            headers = request.headers
            for name, value in self.defaults:  # httpx adds them to the requests that it builds, and to no others
                if name not in headers:
                    headers[name] = value
            return request
        # A compressed reply is not read, so none is asked for.
        return self.build(
            request.method,
            str(request.url),
            content=request.read(),
            headers=[*request.headers.multi_items(), ("Accept-Encoding", "identity")],
            extensions={"timeout": timeouts},
        )

    def failure(self, error: Exception, lost: type[GatewayError]) -> GatewayError:
        if {cls.__name__ for cls in type(error).__mro__} & _NEVER_LEFT:
            return NotSent(f"could not reach the gateway: {type(error).__name__}: {plain(redact(str(error)), 160)}")
        return _unanswered(lost(f"no usable answer from the gateway: {type(error).__name__}"))

    def limited(self, response: Any, deadline: float, lost: type[GatewayError]) -> Response:
        """The response, whatever client it is of, its body bounded and still to be read."""
        headers = response.headers
        if "content-encoding" in headers and headers["content-encoding"].strip().lower() not in _UNCOMPRESSED:
            raise _unanswered(lost("the gateway compressed its reply, which was not asked for"))
        if not isinstance(response, Response):
            response = Response(response.status_code, headers=headers.multi_items(), stream=_Foreign(response))
        reply: Response = response
        reply.stream = _Limited(reply.stream, deadline, lost)
        return reply

    def complete(self, request: Request, response: Response, lost: type[GatewayError]) -> Response:
        failed = response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
        if failed and response.status_code not in getattr(request, "answers", ()):
            raise _unanswered(lost(f"the gateway answered HTTP {response.status_code}"))
        return response

    def again(self, error: Exception) -> bool:
        """Whether what ended in ``error`` is to be sent again."""
        return not self.repeated and isinstance(error, NotSent)


class Exchange(_Terms):
    """Sends one request and reads its whole reply; raises GatewayError, never anything of the client's."""

    def sender(self, until: float = inf) -> Callable[[Request], Response]:
        """What a call that begins now sends its requests with, none after ``until``, in monotonic seconds."""
        until = min(self.began(), until)
        return lambda request: repeat(partial(self.once, request, until), self.again, until)

    def once(self, request: Request, until: float) -> Response:
        deadline, lost = min(time.monotonic() + self.seconds, until), self.lost_at(request)
        DEADLINE.set(deadline)
        try:
            # What was prepared has no name here: another library's would show its address in a traceback's locals.
            response = self.client.send(self.prepared(request, _left(deadline)), stream=True, follow_redirects=False)
            try:
                reply = self.limited(response, deadline, lost)
                reply.read()
            finally:
                response.close()
        except GatewayError:
            raise
        except Exception as error:
            raise self.failure(error, lost) from None
        return self.complete(request, reply, lost)


class AsyncExchange(_Terms):
    """`Exchange`, awaited."""

    def sender(self, until: float = inf) -> Callable[[Request], Awaitable[Response]]:
        """As `Exchange.sender`."""
        until = min(self.began(), until)
        return lambda request: repeat_async(partial(self.once, request, until), self.again, until)

    async def once(self, request: Request, until: float) -> Response:
        import anyio  # noqa: PLC0415  only for those who await

        deadline, lost = min(time.monotonic() + self.seconds, until), self.lost_at(request)
        try:
            left = _left(deadline)
            with anyio.fail_after(left):
                response = await self.client.send(self.prepared(request, left), stream=True, follow_redirects=False)
                try:
                    reply = self.limited(response, deadline, lost)
                    await reply.aread()
                finally:
                    await response.aclose()
        except GatewayError:
            raise
        except Exception as error:
            raise self.failure(error, lost) from None
        return self.complete(request, reply, lost)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise NotSent("the time for this call is over, so this request was not sent")
    return left


def _unanswered(error: GatewayError) -> GatewayError:
    error.unanswered = True
    return error


def _foreign_build(client: Any) -> Callable[..., Any] | None:
    """How a client of another library builds its requests; None for one that sends those of providers as they are."""
    build: Callable[..., Any] | None = getattr(client, "build_request", None)
    if build is None:
        return None
    kind = type(client)
    if kind not in _FOREIGN:
        _FOREIGN[kind] = not isinstance(build("GET", "https://gateway.example"), httpx.Request)
    return build if _FOREIGN[kind] else None


def _default_headers(client: Any) -> list[tuple[str, str]]:
    """The headers that a client sends with everything; not what says how the reply is to be packed."""
    headers = getattr(client, "headers", None)
    if not isinstance(headers, httpx.Headers):
        return [("user-agent", USER_AGENT)]
    return [(name, value) for name, value in headers.items() if name not in _OF_THE_CONNECTION]


class _Foreign(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a response of another library's client; whoever opened it closes it."""

    def __init__(self, response: Any) -> None:
        self.response: Any = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self.response.iter_raw()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.response.aiter_raw():
            yield chunk

    async def aclose(self) -> None:
        await self.response.aclose()


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
            return _unanswered(self.lost(f"the gateway's reply is longer than {REPLY_LIMIT} bytes"))
        if time.monotonic() > self.deadline:
            return _unanswered(self.lost("the gateway's reply took too long"))
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
