"""The endpoint as an ASGI and as a WSGI application: these two differ in their I/O alone."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from os import PathLike
from typing import Any, TypeAlias

import anyio.to_thread

from payhub_core.errors import ConfigError
from payhub_core.flow import drive, drive_async
from payhub_core.models import Callback, Reply
from payhub_core.recorder import Recorder
from payhub_core.web.answers import Answer, plain_text
from payhub_core.web.endpoint import (
    LIMIT,
    AsyncReceiver,
    Endpoint,
    IncompleteBody,
    OnReturn,
    Receiver,
    RequestHead,
)
from payhub_core.web.pages import Pages

__all__ = ["AsgiEndpoint", "WsgiEndpoint", "asgi", "wsgi"]

Scope: TypeAlias = Any
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]


def asgi(
    checkout: AsyncReceiver | Receiver,
    *,
    on_return: OnReturn | None = None,
    shop: str = "",
    home: str = "",
    record: Recorder | str | PathLike[str] | None = None,
    limit: int = LIMIT,
) -> AsgiEndpoint:
    """An ASGI application that serves ``/{account}/notify`` and ``/{account}/return/{reference}`` under any prefix.

    The reference may be left out of the return address; then only a return that is signed says which payment it is.
    ``checkout`` is an AsyncCheckout; the methods of a Checkout are called in a thread. ``on_return(payment)`` gives the
    address of your thank-you page, for a 303; without it the payer sees a plain page in English or Chinese, which names
    the ``shop`` and leads ``home``, an http(s) URL or a path. Raises ConfigError for another ``home``. ``record``, a
    folder or a Recorder, keeps what came. More than ``limit`` bytes are not read: 413.
    """
    _check_checkout(checkout)
    endpoint = Endpoint(
        receive=_awaited(checkout.receive),
        view=_awaited(checkout.view),
        record=_awaited(_saver(record, checkout)) if record else None,
        on_return=on_return,
        pages=Pages(shop, home),
        limit=limit,
    )
    return AsgiEndpoint(endpoint)


def _check_checkout(checkout: object) -> None:
    if not callable(getattr(checkout, "receive", None)) or not callable(getattr(checkout, "view", None)):
        hint = "pass the Checkout or AsyncCheckout, as in asgi(checkout)"
        raise ConfigError(f"expected a checkout, not {type(checkout).__name__}", hint=hint)


def wsgi(
    checkout: Receiver,
    *,
    on_return: OnReturn | None = None,
    shop: str = "",
    home: str = "",
    record: Recorder | str | PathLike[str] | None = None,
    limit: int = LIMIT,
) -> WsgiEndpoint:
    """A WSGI application; the arguments are those of `asgi`. Raises TypeError for an AsyncCheckout."""
    _check_checkout(checkout)
    if inspect.iscoroutinefunction(checkout.receive) or inspect.iscoroutinefunction(checkout.view):
        raise TypeError("WSGI cannot await: pass a Checkout here, or serve payhub_core.web.asgi")
    endpoint = Endpoint(
        receive=checkout.receive,
        view=checkout.view,
        record=_saver(record, checkout) if record else None,
        on_return=on_return,
        pages=Pages(shop, home),
        limit=limit,
    )
    return WsgiEndpoint(endpoint)


class AsgiEndpoint:
    """The ASGI application that `asgi` makes; `answer` is for a view of a framework that cannot mount one."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        elif scope["type"] == "http":
            with suppress(IncompleteBody, OSError):  # nobody is left to be answered
                await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            _add(headers, name.decode("latin-1").lower(), value.decode("latin-1"))
        head = RequestHead(scope["method"], scope["path"], headers, bytes(scope.get("query_string", b"")))
        answer = await drive_async(self._endpoint.answer(head, partial(_received, receive)), _call, Exception)
        answer_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        if answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and scope.get("http_version", "")[:1] == "1":
            answer_headers.append((b"connection", b"close"))  # what has not been read stays unread
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer_headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def answer(
        self, method: str, path: str, headers: Mapping[str, str], query: str | bytes, body: bytes
    ) -> Answer:
        """As `WsgiEndpoint.answer`, awaited."""

        async def read(_limit: int) -> bytes:
            return body

        return await drive_async(self._endpoint.answer(_head(method, path, headers, query), read), _call, Exception)


class WsgiEndpoint:
    """The WSGI application that `wsgi` makes; `answer` is for a view of a framework that cannot mount one."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        # CONTENT_TYPE is the header; HTTP_CONTENT_TYPE is one that was sent as Content_Type.
        headers = {
            key[5:].replace("_", "-").lower(): value
            for key, value in environ.items()
            if key.startswith("HTTP_") and key not in {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}
        }
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(key):
                headers[key.replace("_", "-").lower()] = environ[key]
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")  # PEP 3333 makes a letter of each byte
        head = RequestHead(environ["REQUEST_METHOD"], path, headers, environ.get("QUERY_STRING", "").encode("latin-1"))
        try:
            answer = drive(self._endpoint.answer(head, partial(_read, environ, head)), _call, Exception)
        except IncompleteBody:
            answer = plain_text(400, "incomplete")
        phrase = next((status.phrase for status in HTTPStatus if status == answer.status_code), "Status")
        start_response(f"{answer.status_code} {phrase}", list(answer.headers.items()))
        return [answer.body]

    def answer(self, method: str, path: str, headers: Mapping[str, str], query: str | bytes, body: bytes) -> Answer:
        """What to answer to a request that a framework has read: its raw query and raw body, never a form.

        Pass at most ``payhub_core.web.LIMIT + 1`` bytes of the body; more than the limit is answered with 413.
        """
        return drive(self._endpoint.answer(_head(method, path, headers, query), lambda _: body), _call, Exception)


def _saver(record: Recorder | str | PathLike[str], checkout: object) -> Callable[..., object]:
    """Saves callbacks, with the headers that the account's provider declares where ``checkout`` has a hub."""
    recorder = record if isinstance(record, Recorder) else Recorder(record)
    hub: Any = getattr(checkout, "hub", {})

    def save(account: str, callback: Callback, reply: Reply) -> object:
        own: Collection[str] = ()
        with suppress(Exception):  # no such account, or a hub of somebody else's
            own = hub[account].info.callback_headers
        return recorder.save(account, callback, reply, own)

    return save


def _head(method: str, path: str, headers: Mapping[str, str], query: str | bytes) -> RequestHead:
    lowered = {name.lower(): value for name, value in headers.items()}
    return RequestHead(method, path, lowered, query if isinstance(query, bytes) else _raw(query))


def _raw(query: str) -> bytes:
    """The bytes of a query: WSGI (PEP 3333) makes one character of each; other text was decoded from UTF-8."""
    try:
        return query.encode("latin-1")
    except UnicodeEncodeError:
        return query.encode("utf-8", "surrogatepass")


def _call(asked: Callable[[], Any]) -> Any:
    return asked()


def _awaited(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """``function`` itself where it is async, else called in a thread."""
    if inspect.iscoroutinefunction(function):
        return function
    return lambda *arguments, **options: anyio.to_thread.run_sync(partial(function, *arguments, **options))


def _add(headers: dict[str, str], name: str, value: str) -> None:
    # RFC 9110, 5.3: a header that came twice is one list. Two content types are then none that a provider takes.
    headers[name] = f"{headers[name]}, {value}" if name in headers else value


async def _received(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while len(body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise IncompleteBody
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _read(environ: dict[str, Any], head: RequestHead, limit: int) -> bytes:
    # PEP 3333 knows no end of the input but Content-Length; servers that can read chunks say so in input_terminated.
    chunked = bool(environ.get("wsgi.input_terminated")) and "transfer-encoding" in head.headers
    wanted = limit + 1 if chunked else min(head.length or 0, limit + 1)
    body = bytearray()
    try:
        while len(body) < wanted and (chunk := environ["wsgi.input"].read(wanted - len(body))):
            body += chunk
    except Exception as error:  # each server has its own for a client that has gone
        raise IncompleteBody from error
    if len(body) < wanted and not chunked:
        raise IncompleteBody
    return bytes(body)


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing is opened or closed here: the checkout is the application's."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
