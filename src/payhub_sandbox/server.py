"""Serving the sandbox over real sockets, so that it can also fail like one."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from payhub_sandbox.app import create_app
from payhub_sandbox.settings import Settings, is_loopback

__all__ = ["serve"]


def serve(settings: Settings, ready: Callable[[str, Settings], None]) -> None:
    """Serves until SIGINT or SIGTERM, which end the process with status 0.

    ``ready`` is called once connections are accepted, with the bound URL and the settings in force. Raises ValueError
    for settings that cannot be served, OSError for an address or a certificate that cannot be used,
    sqlite3.Error for such a database.
    """
    with _listen(settings) as listener:
        scheme = "https" if settings.certfile else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"{scheme}://{host}:{listener.getsockname()[1]}"
        settings = replace(settings, base_url=settings.base_url or url)
        config = uvicorn.Config(
            create_app(settings),
            http=_Protocol,
            ws="none",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            # Where the clock stands still, replies must repeat byte for byte.
            date_header=settings.fixed_clock is None,
            ssl_certfile=settings.certfile,
            ssl_keyfile=settings.keyfile,
            # A slow or dripping reply must not hold up the exit.
            timeout_graceful_shutdown=1,
        )
        config.load()
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn hears the signals while it serves, and hands them on when it is done: to be stopped is no failure.
            signal.signal(number, lambda *_: sys.exit(0))
        ready(url, settings)
        _Server(config).run(sockets=[listener])


class _Protocol(H11Protocol):
    """HTTP whose application can reach its connection, ``scope["state"]["transport"]``, to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server that ends without complaint: replies that a fault still holds up are cut, and that is meant."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").disabled = True
        await super().shutdown(sockets)


def _listen(settings: Settings) -> socket.socket:
    if not (settings.allow_remote or is_loopback(settings.host)):
        raise ValueError(f"{settings.host} is not a loopback address; --allow-remote lets other machines in")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    # Connections inherit it. A reply leaves in two writes; without it the second waits 40 ms for the first one's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
