"""What can go wrong with an exchange, each under a name: for the cases, and for a gateway on a real socket."""

from __future__ import annotations

import gzip
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import TypeAlias

import httpx

from payhub_core.flow import Request, Response
from payhub_core.testing.case import NotApplicable
from payhub_core.testing.messages import broken_text, rewritten, with_surrogates
from payhub_core.transport.exchange import REPLY_LIMIT

__all__ = ["ELSEWHERE", "FAULTS", "NOES", "Answer", "Raw", "alike", "in_doubt", "page", "saying"]

#: What a fault makes of a request: ``honest()`` is the right answer, of a sale changed as its arguments say. A fault
#: returns another answer, or raises what httpx raises where none comes.
Answer: TypeAlias = Callable[[Request, Callable[..., Response]], Response]

ELSEWHERE = "elsewhere.example"
WEB_PAGE = "<!doctype html><title>Maintenance</title><h1>Please come back later</h1>"


class Raw(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body as it comes off a socket, in pieces, with a pause before each."""

    def __init__(self, body: bytes, size: int = 65536, pause: float = 0.0) -> None:
        self.chunks: list[bytes] = [body[start : start + size] for start in range(0, len(body), size)]
        self.pause = pause

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            time.sleep(self.pause)
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        import anyio  # noqa: PLC0415

        for chunk in self.chunks:
            await anyio.sleep(self.pause)
            yield chunk


def _raising(error: Callable[[str], Exception]) -> Answer:
    def fault(_: Request, __: Callable[..., Response]) -> Response:
        raise error("a fault of the conformance kit")

    return fault


def page(status: int) -> Answer:
    """A web page under this HTTP status, as a proxy answers."""
    return lambda *_: Response(status, html=WEB_PAGE)


#: How a gateway says no to a look-up.
NOES = ("missing", "refused", "account")


def saying(no: str, word: str = "") -> Answer:
    """The gateway's own no."""
    return lambda _, honest: honest(no=no, word=word)


def in_doubt(word: str = "") -> Answer:
    """The gateway's "nobody knows"; raises NotApplicable where the contract has no such answer, but says another no."""

    def fault(_: Request, honest: Callable[..., Response]) -> Response:
        said, others = honest(no="unknown", word=word), []
        for no in NOES:
            with suppress(NotApplicable):
                others.append(honest(no=no))
        if any(alike(said, other) for other in others):
            raise NotApplicable("the gateway has no answer 'unknown'")
        return said

    return fault


def alike(one: Response, other: Response) -> bool:
    """Whether two answers are the same."""
    return (one.status_code, one.content) == (other.status_code, other.content)


def _truncated(_: Request, honest: Callable[..., Response]) -> Response:
    answer = honest()
    return rewritten(answer, answer.content[: len(answer.content) * 2 // 3])


def _oversized(_: Request, honest: Callable[..., Response]) -> Response:
    answer = honest()
    return rewritten(answer, answer.content + b" " * REPLY_LIMIT)


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * 10 * REPLY_LIMIT)


def _compressed(_: Request, __: Callable[..., Response]) -> Response:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    return Response(200, headers=headers, stream=Raw(_bomb()))


def _utf16(_: Request, honest: Callable[..., Response]) -> Response:
    answer = honest()
    headers = {**answer.headers, "content-type": "application/json; charset=utf-16"}
    return rewritten(Response(answer.status_code, headers=headers), answer.text.encode("utf-16"))


def _slow(_: Request, honest: Callable[..., Response]) -> Response:
    answer = honest()
    body = answer.content or b" " * 10
    stream = Raw(body, len(body) // 10 + 1, 0.03)
    return Response(answer.status_code, headers=rewritten(answer, b"").headers, stream=stream)


#: By name. "connect": nothing leaves; "read": no answer; "reset" and "cut": the connection breaks before and within the
#: answer; "slow": ten pieces in a third of a second, for an account whose time-out is shorter; the others say it.
FAULTS: Mapping[str, Answer] = {
    "connect": _raising(httpx.ConnectError),
    "read": _raising(httpx.ReadTimeout),
    "reset": _raising(httpx.ReadError),
    "cut": _raising(httpx.RemoteProtocolError),
    "redirect": lambda *_: Response(302, headers={"Location": f"https://{ELSEWHERE}/"}, content=b""),
    "400": page(400),
    "404": page(404),
    "409": page(409),
    "500": page(500),
    "502": page(502),
    "504": page(504),
    "html": page(200),
    "empty": lambda *_: Response(200, content=b""),
    "truncated": _truncated,
    "oversized": _oversized,
    "compressed": _compressed,
    "utf-16": _utf16,
    "bytes": lambda _, honest: broken_text(honest()),
    "surrogates": lambda _, honest: with_surrogates(honest()),
    "deep": lambda *_: Response(200, content=b'{"data":' * 50_000),
    "slow": _slow,
}
