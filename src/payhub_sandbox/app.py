"""The sandbox as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from payhub_sandbox.control import Control
from payhub_sandbox.endpoints import Endpoints
from payhub_sandbox.pages import Pages
from payhub_sandbox.platform import Platform
from payhub_sandbox.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings) -> Starlette:
    """The application; ``settings.base_url`` must be the address it will be reached at.

    Raises ValueError where the database holds orders of merchants that the settings do not name.
    """
    platform = Platform(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await platform.aclose()

    return Starlette(
        routes=[
            *Endpoints(platform).routes,
            *Pages(platform).routes,
            Mount("/_sandbox", routes=Control(platform).routes),
        ],
        exception_handlers={HTTPException: _as_json},
        lifespan=lifespan,
    )


async def _as_json(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette's handlers are typed for any exception
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)
