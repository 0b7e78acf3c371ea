"""Replies of the two API endpoints: as a PHP platform writes them, and spoilt by a fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from payhub_sandbox.faults import Fault

__all__ = ["Cut", "Reply", "refused", "respond", "spoil"]

Reply: TypeAlias = dict[str, Any]

_JSON = "application/json; charset=utf-8"
_CHUNK = 64 * 1024
_PHP_WARNING = (
    b'<br />\n<b>Warning</b>:  Undefined array key "channel" in <b>/www/wwwroot/pay/Order.php</b>'
    b" on line <b>87</b><br />\n"
)
_STATUS_TYPES: dict[str, type] = {"status_text": str, "status_int": int, "status_bool": bool}
_CHANGES: dict[str, Reply] = {
    "data_list": {"data": []},
    "data_null": {"data": None},
    "data_empty_string": {"data": ""},
    "status_null": {"status": None},
}
_DATA_CHANGES: dict[str, Reply] = {
    "other_order": {"order_no": "OTHER-1", "platform_order_no": "A000000000000000000000000"},
    "no_redirect": {"redirect_url": "no_redirect"},
    "redirect_scheme": {"redirect_url": "javascript:alert(document.domain)"},
}


def refused(message: str) -> Reply:
    """A refusal: HTTP 200 all the same, and a ``data`` that is a list because PHP has one empty array."""
    return {"status": 0, "message": message, "data": []}


async def respond(reply: Reply, fault: Fault) -> Response:
    """The response that carries ``reply``, as the fault would have it. What was processed stays processed."""
    if spoilt := await spoil(fault):
        return spoilt
    body = json.dumps(_edited(reply, fault), separators=(",", ":")).encode()
    match fault.fault:
        case "redirect":
            return RedirectResponse("/", status_code=302)
        case "drip":
            return StreamingResponse(_drip(body, fault.seconds), media_type=_JSON)
        case "oversized":
            return StreamingResponse(_padded(body, fault.size), media_type=_JSON)
        case "php_warning":
            body = _PHP_WARNING + body
        case "bom":
            body = b"\xef\xbb\xbf" + body
        case "truncated":
            body = body[: len(body) // 2]
        case "invalid_utf8":
            body = body[:-1] + ',"note":"成功"}'.encode("gbk")
    return Response(body, media_type=_JSON)


async def spoil(fault: Fault) -> Response | None:
    """What replaces a reply entirely, or None to go on; waits first where the fault says so."""
    if fault.http_status:
        return HTMLResponse(f"<html><body><h1>{fault.http_status}</h1>nginx</body></html>", fault.http_status)
    match fault.fault:
        case "cut" | "cut_before":
            return Cut()
        case "html":
            return HTMLResponse("<html><body><h1>系统维护中</h1></body></html>")
        case "slow":
            await asyncio.sleep(fault.seconds)
    return None


class Cut(Response):
    """No reply at all: the connection is closed under the client."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI passes it
        """Aborts the connection, and stays until the server has noticed; returning earlier would be a 500."""
        scope["state"]["transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def _edited(reply: Reply, fault: Fault) -> Reply:
    if convert := _STATUS_TYPES.get(fault.fault):
        return reply | {"status": convert(int(reply["status"]))}
    if fault.fault == "data_absent":
        return {name: value for name, value in reply.items() if name != "data"}
    # A refusal has no order in its data to change.
    if reply["data"] and fault.fault in _DATA_CHANGES:
        return reply | {"data": reply["data"] | _DATA_CHANGES[fault.fault]}
    return reply | _CHANGES.get(fault.fault, {})


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for position in range(len(body)):
        yield body[position : position + 1]
        await asyncio.sleep(seconds / len(body))


async def _padded(body: bytes, size: int) -> AsyncIterator[bytes]:
    """The reply with a field so long that it has ``size`` bytes: good JSON, for whoever reads to the end."""
    yield body[:-1] + b',"padding":"'
    left = size - len(body)
    while left > 0:
        yield b"x" * min(left, _CHUNK)
        left -= _CHUNK
    yield b'"}'
