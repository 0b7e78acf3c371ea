"""The sandbox as an ASGI application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from payhub_sandbox.control import Control
from payhub_sandbox.gateway import Gateway
from payhub_sandbox.state import Platform
from payhub_sandbox.views import Views

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from payhub_sandbox.settings import Settings


def create_app(settings: Settings) -> Starlette:
    """Build the sandbox; `settings.base_url` must be the address it will be reached at.

    Raises ValueError when the database holds orders of merchants that the settings do not name.
    """
    platform = Platform(settings)
    gateway, views = Gateway(platform), Views(platform)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        await platform.aclose()

    return Starlette(
        routes=[
            # Both endpoints hear both methods, to refuse the wrong one in the platform's words.
            Route("/api/order/unified", gateway.unified, methods=["GET", "POST"]),
            Route("/api/order/check_order", gateway.check_order, methods=["GET", "POST"]),
            Route("/pay/{number}", views.pay, methods=["GET", "POST"]),
            Mount("/_sandbox", routes=Control(platform).routes),
            Route("/", views.home),
        ],
        exception_handlers={HTTPException: _as_json},
        lifespan=lifespan,
    )


async def _as_json(request: Request, problem: Exception) -> Response:
    del request
    assert isinstance(problem, HTTPException)  # noqa: S101  (Starlette's handlers are typed for any exception)
    return JSONResponse({"error": problem.detail}, problem.status_code, headers=problem.headers)
