"""The recipes of the docs, each in its real framework on a real server: one table of requests, one result."""

from __future__ import annotations

import contextlib
import functools
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import django.conf
import pytest
from aiohttp import web
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.test import override_settings
from django.urls import clear_url_caches
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from payhub_core.web import LIMIT, asgi, wsgi

PLAIN = "text/plain"
LINE = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"

SUCCESS = (200, PLAIN, b"SUCCESS")
REFUSED = (400, PLAIN, b"refused")
TOO_LARGE = (413, LINE, b"too large")
NO_CHUNKS = (411, LINE, b"length required")


@dataclass
class Running:
    """A shop behind one framework."""

    name: str
    port: int
    shop: Any
    reads_chunks: bool = True


def _django(recipe: Any, **settings: Any) -> Any:
    if not django.conf.settings.configured:
        django.conf.settings.configure(
            SECRET_KEY="throw-away",
            ALLOWED_HOSTS=["*"],
            MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
        )
    clear_url_caches()
    return override_settings(ROOT_URLCONF=recipe, **settings)


@contextlib.contextmanager
def running(name: str, shop: Any, serve: Any, recipe: Any, change: Any = None, **config: Any) -> Iterator[Running]:
    """The recipe ``name``, served as in production; ``change`` may wrap its application."""
    wrap = change or (lambda app: app)
    serve_async = functools.partial(serve.asgi, closing=(shop.ledger.aclose, shop.async_hub.aclose), **config)
    colours = {
        "async": {"checkout": shop.async_checkout},
        "sync": {"checkout": shop.checkout},
    }
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        reads_chunks = True
        if name in {"fastapi", "starlette", "litestar"}:
            module = enter(recipe(f"{name}_app", **colours["async"]))
            port = enter(serve_async(wrap(module.app)))
        elif name == "aiohttp":
            module = enter(recipe("aiohttp_app", **colours["async"]))
            port = enter(serve.aiohttp(wrap(module.app), closing=serve_async.keywords["closing"]))
        elif name == "flask":
            module = enter(recipe("flask_app", **colours["sync"]))
            port = enter(serve.wsgi(wrap(module.app)))
        elif name == "django async":
            module = enter(recipe("django_async_urls", **colours["async"]))
            enter(_django(module, **config.pop("settings", {})))
            closing = serve_async.keywords["closing"]
            port = enter(serve.asgi(wrap(get_asgi_application()), closing=closing, lifespan="off", **config))
        elif name in {"django over asgi", "django over wsgi"}:
            module = enter(recipe("django_urls", **colours["sync"]))
            enter(_django(module, **config.pop("settings", {})))
            if name == "django over asgi":
                # Django itself takes no part in the lifespan.
                port = enter(serve.asgi(wrap(get_asgi_application()), lifespan="off", **config))
            else:
                reads_chunks = False
                port = enter(serve.wsgi(wrap(get_wsgi_application())))
        elif name == "asgi":
            app = asgi(shop.async_checkout)
            port = enter(serve_async(wrap(app), lifespan="on"))
        else:
            app = wsgi(shop.checkout)
            reads_chunks = name == "wsgi"
            port = enter((serve.wsgi if reads_chunks else serve.wsgiref)(wrap(app)))
        yield Running(name, port, shop, reads_chunks)


ASGI = ("asgi", "fastapi", "starlette", "litestar", "aiohttp", "django over asgi", "django async")
WSGI = ("wsgi", "wsgi on wsgiref", "flask", "django over wsgi")


@pytest.fixture(scope="module", params=ASGI + WSGI)
def running_shop(
    request: pytest.FixtureRequest, open_shop: Any, tmp_path_factory: pytest.TempPathFactory, serve: Any, recipe: Any
) -> Iterator[Running]:
    shop = open_shop(tmp_path_factory.mktemp("shop"))
    with running(request.param, shop, serve, recipe) as server:
        yield server
    shop.ledger.close()
    shop.hub.close()


def _paid(platform: Any, order: str, **changes: str) -> bytes:
    return platform.body(platform.notify(order_no=order, **changes))


def _back(platform: Any, order: str) -> bytes:
    return platform.body({"order_no": order, "pay_status": "1"})


def _forged(platform: Any, order: str) -> bytes:
    return platform.body(platform.notify(order_no=order), secret="the-key-of-somebody-else")


def _large(platform: Any, order: str) -> bytes:
    return _paid(platform, order).ljust(LIMIT + 1, b"x")


@dataclass(frozen=True)
class Case:
    """Requests about one order, each with what is to be answered, and how often the order is fulfilled."""

    answers: tuple[tuple[int, str, Any], ...]
    fulfilled: int = 0
    method: str = "POST"
    target: str = "/pay/shop/notify"
    content_type: str = "application/x-www-form-urlencoded"
    body: Callable[[Any, str], bytes] = _paid
    in_query: bool = False
    known: bool = True
    chunked: bool = False


THANKS = (200, HTML, b"Thank you")
CHECKING = (200, HTML, b"We are checking your payment")

CASES = {
    "a genuine notify": Case((SUCCESS,), 1),
    "its duplicates": Case((SUCCESS,) * 6, 1),
    "with a query on the address": Case((SUCCESS,), 1, target="/pay/shop/notify?lang=zh&shop=%E8%8C%B6"),
    "with an attach in Chinese": Case((SUCCESS,), 1, body=functools.partial(_paid, attach="茶 & 100%")),
    "in chunks": Case((SUCCESS,), 1, chunked=True),
    "forged": Case((REFUSED,), body=_forged),
    "of an unknown order": Case((REFUSED,), known=False),
    "of another sum": Case((REFUSED,), body=functools.partial(_paid, amount="1.00", actual_amount="1.00")),
    "not UTF-8": Case((REFUSED,), body=lambda p, o: _paid(p, o).replace(b"attach=", b"attach=\xb2\xe8\xff")),
    "as JSON": Case((REFUSED,), content_type="application/json"),
    "as multipart": Case((REFUSED,), content_type="multipart/form-data; boundary=x"),
    "empty": Case((REFUSED,), body=lambda p, o: b""),
    "a return sent to the notify address": Case((REFUSED,), body=_back),
    "64 KiB": Case((REFUSED,), body=lambda p, o: _large(p, o)[:LIMIT]),
    "64 KiB and a byte": Case((TOO_LARGE,), body=_large),
    "64 KiB and a byte in chunks": Case((TOO_LARGE,), body=_large, chunked=True),
    "by GET": Case((REFUSED,), method="GET", in_query=True),
    "by PUT": Case(((405, LINE, b"method not allowed"),), method="PUT"),
    "of an unknown account": Case(((404, LINE, b"not found"),), target="/pay/other/notify"),
    "at an unknown address": Case(((404, LINE, b"not found"),), target="/pay/shop/other"),
    "a return by GET": Case((THANKS,), method="GET", target="/pay/shop/return", body=_back, in_query=True),
    "a return by POST": Case((THANKS,), target="/pay/shop/return", body=_back),
    "a return by HEAD": Case(((200, HTML, b""),), method="HEAD", target="/pay/shop/return", body=_back, in_query=True),
    "a forged return": Case((CHECKING,), target="/pay/shop/return", body=_forged),
    "a return of an unknown order": Case((CHECKING,), target="/pay/shop/return", body=_back, known=False),
    "a notify sent to the return address": Case((THANKS,), target="/pay/shop/return"),
}


@pytest.mark.parametrize("name", CASES)
def test_every_framework_answers_alike(running_shop: Running, name: str, http: Any, platform: Any) -> None:
    """The same bytes in, the same bytes out, and the order fulfilled as often as it should be: once, or never."""
    case, shop = CASES[name], running_shop.shop
    order = f"A{list(CASES).index(name)}"
    if case.known:
        shop.start(order)
    data = case.body(platform, order)
    target, body = (f"{case.target}?{data.decode()}", b"") if case.in_query else (case.target, data)
    send = functools.partial(http, running_shop.port, case.method, target, body, case.content_type)
    answers = case.answers if running_shop.reads_chunks or not case.chunked else (NO_CHUNKS,)
    for status, content_type, expected in answers:
        response = send(chunked=case.chunked)
        assert (response.status, response.headers["content-type"]) == (status, content_type)
        assert expected in response.body if content_type == HTML else response.body == expected
    assert shop.fulfilled.count(order) == (case.fulfilled if answers is case.answers else 0)


def test_a_return_that_says_nothing_shows_what_is_known_by_its_address(
    running_shop: Running, http: Any, platform: Any
) -> None:
    """Whichever framework reads the path; to whoever guesses, another order is like none, and none shows its sum."""
    running_shop.shop.start("B1")
    page = functools.partial(http, running_shop.port, "GET")
    checking = page("/pay/shop/return/B1")
    assert (checking.status, checking.body) == (200, page("/pay/shop/return/B2").body)
    http(running_shop.port, "POST", "/pay/shop/notify", _paid(platform, "B1"))
    for method, target in (("GET", "/pay/shop/return/B1?paid=no"), ("POST", "/pay/shop/return/%42%31/")):
        received = http(running_shop.port, method, target)
        assert (received.status, b"Payment received" in received.body) == (200, True)
        assert b"B1" not in received.body
        assert b"10000" not in received.body


def test_a_refused_method_is_told_the_allowed_ones(running_shop: Running, http: Any) -> None:
    """The Allow header passes through every framework."""
    assert http(running_shop.port, "DELETE", "/pay/shop/return").headers["allow"] == "GET, HEAD, POST"


def test_a_gigabyte_is_refused_before_it_is_sent(
    open_shop: Any, serve: Any, recipe: Any, http: Any, tmp_path: Path
) -> None:
    """The answer comes while the client still holds its body, and the server hangs up."""
    shop = open_shop(tmp_path)
    for name in ("asgi", "fastapi", "litestar", "wsgi", "flask"):
        with running(name, shop, serve, recipe) as server:
            response = http(server.port, "POST", "/pay/shop/notify", declared=10**9)
        assert (response.status, response.headers["connection"]) == (413, "close")
    shop.ledger.close()
    shop.hub.close()


class Proxy(BaseHTTPRequestHandler):
    """A reverse proxy that serves its upstream below ``/api`` and strips that prefix."""

    upstream = 0

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        assert self.path.startswith("/api/")
        upstream = HTTPConnection("127.0.0.1", self.upstream, timeout=10)
        own = {"X-Forwarded-Prefix": "/api", "Content-Type": self.headers["Content-Type"]}
        upstream.request(self.command, self.path.removeprefix("/api"), body, own)
        response = upstream.getresponse()
        content = response.read()
        self.send_response(response.status)
        self.send_header("Content-Type", response.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        upstream.close()

    do_GET = do_POST  # noqa: N815  the standard library's name


@contextlib.contextmanager
def proxied(port: int) -> Iterator[int]:
    handler = type("Handler", (Proxy,), {"upstream": port})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=functools.partial(proxy.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield proxy.server_port
        finally:
            proxy.shutdown()
            thread.join(10)


def _root_path(app: Any) -> Any:
    app.root_path = "/api"
    return app


def _proxy_fix(app: Any) -> Any:
    return ProxyFix(app, x_prefix=1)


BEHIND = {
    **{f"{name}, unaware": (name, {}) for name in ASGI + WSGI},
    **{f"{name}, uvicorn --root-path": (name, {"root_path": "/api"}) for name in ASGI},
    "fastapi, FastAPI(root_path=...)": ("fastapi", {"change": _root_path}),
    "flask, ProxyFix": ("flask", {"change": _proxy_fix}),
    "wsgi, ProxyFix": ("wsgi", {"change": _proxy_fix}),
    "django over wsgi, FORCE_SCRIPT_NAME": ("django over wsgi", {"settings": {"FORCE_SCRIPT_NAME": "/api"}}),
    "django over asgi, FORCE_SCRIPT_NAME": ("django over asgi", {"settings": {"FORCE_SCRIPT_NAME": "/api"}}),
}


@pytest.mark.parametrize("where", BEHIND)
def test_it_works_behind_a_proxy_that_strips_a_prefix(
    where: str, open_shop: Any, serve: Any, recipe: Any, http: Any, platform: Any, tmp_path: Path
) -> None:
    """Whether the application knows the prefix or not, and however it is told."""
    name, config = BEHIND[where]
    shop = open_shop(tmp_path)
    shop.start("A1001")
    with running(name, shop, serve, recipe, **config) as server, proxied(server.port) as port:
        notified = http(port, "POST", "/api/pay/shop/notify?lang=zh", platform.body(platform.notify()))
        returned = http(port, "GET", f"/api/pay/shop/return?{_back(platform, 'A1001').decode()}")
    assert notified.seen == SUCCESS
    assert (returned.status, b"Payment received" in returned.body) == (200, True)
    assert shop.fulfilled == ["A1001"]
    shop.ledger.close()
    shop.hub.close()


class ReadsBodyAfterwards:
    """What request loggers and error trackers do in Django."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        response = self.get_response(request)
        assert request.body is not None
        return response


class ReadsFormFirst(ReadsBodyAfterwards):
    """As the session, the locale and the CSRF middleware of a shop may."""

    def __call__(self, request: Any) -> Any:
        assert request.POST is not None
        return self.get_response(request)


DJANGO = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    f"{__name__}.ReadsFormFirst",
    f"{__name__}.ReadsBodyAfterwards",
]


def _starlette_stack(app: Any) -> Any:
    """A middleware that reads the body first, and the usual ones."""

    async def reads_body(request: Any, call_next: Any) -> Any:
        await request.body()
        return await call_next(request)

    app = BaseHTTPMiddleware(app, dispatch=reads_body)
    app = GZipMiddleware(app, minimum_size=1)
    app = CORSMiddleware(app, allow_origins=["https://shop.example"])
    return TrustedHostMiddleware(app, allowed_hosts=["*"])


def _aiohttp_stack(app: web.Application) -> web.Application:
    """A middleware that reads the body before and after."""

    @web.middleware
    async def reads_body(request: web.Request, handler: Any) -> Any:
        await request.post()
        response = await handler(request)
        await request.read()
        return response

    app.middlewares.append(reads_body)
    return app


def _wsgi_stack(app: Any) -> Any:
    """What wraps a WSGI application: a profiler's or a logger's view of the input, and a proxy's headers."""

    def logs(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return app(environ, start_response)

    return ProxyFix(logs)


USUAL = {
    **{name: (name, {"settings": {"MIDDLEWARE": DJANGO}}) for name in (*WSGI, *ASGI) if name.startswith("django")},
    **{name: (name, {"change": _starlette_stack}) for name in ("fastapi", "starlette", "litestar", "asgi")},
    "aiohttp": ("aiohttp", {"change": _aiohttp_stack}),
    **{name: (name, {"change": _wsgi_stack}) for name in ("flask", "wsgi")},
}


@pytest.mark.parametrize("name", USUAL)
def test_it_works_under_the_usual_middleware(
    name: str, open_shop: Any, serve: Any, recipe: Any, http: Any, platform: Any, tmp_path: Path
) -> None:
    """Whoever else reads the body, before or after: what is committed is acknowledged."""
    name, config = USUAL[name]
    shop = open_shop(tmp_path)
    shop.start("A1001")
    with running(name, shop, serve, recipe, **config) as server:
        answers = [http(server.port, "POST", "/pay/shop/notify", _paid(platform, "A1001")) for _ in range(2)]
        assert http(server.port, "POST", "/pay/shop/notify", _forged(platform, "A1001")).status == 400
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"SUCCESS")] * 2
    assert shop.fulfilled == ["A1001"]
    shop.ledger.close()
    shop.hub.close()


def test_an_application_without_a_ledger_settles_for_itself(
    recipe: Any, serve: Any, hub: Any, http: Any, platform: Any, paid: bytes, came_back: bytes
) -> None:
    """The recipe for a hub alone: what it settles is acknowledged, what it fails to settle is not."""
    settled: list[str] = []

    def settle_once(payment: Any) -> None:
        if payment.reference == "A9":
            raise RuntimeError
        settled.append(payment.reference)

    with recipe("hub_only", hub=hub, settle_once=settle_once) as module, serve.asgi(module.app) as port:
        assert http(port, "POST", "/shop/notify", paid).seen == SUCCESS
        assert http(port, "POST", "/shop/notify", _forged(platform, "A1001")).seen == (400, LINE, b"refused")
        assert http(port, "POST", "/shop/notify", _paid(platform, "A9")).seen == (503, LINE, b"try again")
        assert http(port, "POST", "/other/notify", paid).seen == (404, LINE, b"not found")
        assert b"Thank you" in http(port, "POST", "/shop/return", came_back).body
    assert settled == ["A1001"]
