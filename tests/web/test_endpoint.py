"""The endpoint by itself: what it reads, what it hands on, what it answers."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, ClassVar

import anyio
import pytest

from payhub_core import (
    CallbackKind,
    ConfigError,
    GatewayError,
    MalformedCallback,
    PayhubError,
    Payment,
    Reply,
    WrongOrder,
)
from payhub_core.web import LIMIT, asgi, wsgi

FORM = "application/x-www-form-urlencoded"


class Asgi:
    """One request to an ASGI application, message by message."""

    def __init__(self, app: Any, method: str, path: str, *, query: bytes = b"", headers: Iterable[Any] = ()) -> None:
        self.app = app
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": [(b"content-type", FORM.encode()), *headers],
        }
        self.sent: list[Any] = []
        self.received = 0

    async def __call__(self, *messages: Any) -> tuple[int, dict[str, str], bytes]:
        """The answer to a request whose body comes in these pieces; a dict is a message as it is."""
        pieces = list(messages or [b""])

        async def receive() -> Any:
            self.received += 1
            if not pieces:
                pytest.fail("read beyond the end of the body")
            piece = pieces.pop(0)
            return (
                piece if isinstance(piece, dict) else {"type": "http.request", "body": piece, "more_body": bool(pieces)}
            )

        async def send(message: Any) -> None:
            self.sent.append(message)

        await self.app(self.scope, receive, send)
        if not self.sent:
            return 0, {}, b""
        start, body = self.sent
        return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body["body"]


def call_wsgi(app: Any, method: str, path: str, body: Any = b"", **environ: Any) -> tuple[int, dict[str, str], bytes]:
    """The answer of a WSGI application; ``body`` is bytes or a stream."""
    started: list[Any] = []
    stream = io.BytesIO(body) if isinstance(body, bytes) else body
    length = {"CONTENT_LENGTH": str(len(body))} if isinstance(body, bytes) else {}
    values = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": FORM,
        "wsgi.input": stream,
        **length,
        **environ,
    }
    answered = b"".join(app(values, lambda status, headers: started.append((status, headers))))
    ((status, headers),) = started
    return int(status[:3]), dict(headers), answered


class Unreadable:
    """A body that nobody may read."""

    def read(self, size: int = -1) -> bytes:
        pytest.fail("the body was read")


@pytest.mark.anyio
async def test_a_genuine_notify_is_acknowledged_with_the_gateways_exact_bytes(async_till: Any, paid: bytes) -> None:
    """Seven bytes, plain text, 200."""
    status, headers, body = await Asgi(asgi(async_till), "POST", "/shop/notify")(paid)
    assert (status, body) == (200, b"SUCCESS")
    assert headers == {"content-type": "text/plain", "content-length": "7"}


def test_a_genuine_notify_is_acknowledged_over_wsgi_too(till: Any, paid: bytes) -> None:
    """The same bytes and the same headers."""
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", paid) == (
        200,
        {"content-type": "text/plain", "content-length": "7"},
        b"SUCCESS",
    )


@pytest.mark.anyio
async def test_a_notify_address_may_carry_a_query_of_the_shops_own(async_till: Any, till: Any, paid: bytes) -> None:
    """The query is handed on raw, apart from the body."""
    status, _, _ = await Asgi(asgi(async_till), "POST", "/shop/notify", query=b"lang=zh&shop=%E8%8C%B6")(paid)
    assert status == 200
    assert till.callbacks[0].query == b"lang=zh&shop=%E8%8C%B6"
    assert till.callbacks[0].body == paid


@pytest.mark.parametrize("query", ["lang=中", b"lang=\xe4\xb8\xad", "lang=\xe4\xb8\xad"])
def test_a_view_may_hand_over_the_query_as_its_framework_has_it(query: Any, till: Any, paid: bytes) -> None:
    """As text, as WSGI's text of bytes, or as bytes."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert wsgi(till).answer("POST", "/shop/notify", headers, query, paid).body == b"SUCCESS"
    assert till.callbacks[0].query == "lang=中".encode()


@pytest.mark.anyio
async def test_a_view_may_await_the_answer(async_till: Any, till: Any, paid: bytes) -> None:
    """Where nothing can be mounted: the same as `wsgi(...).answer`, for an AsyncCheckout too."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for endpoint in (asgi(async_till), asgi(till)):
        answer = await endpoint.answer("POST", "/shop/notify", headers, "lang=zh", paid)
        assert (answer.status_code, answer.body) == (200, b"SUCCESS")
        assert (await endpoint.answer("POST", "/shop/notify", headers, b"", b"x" * (LIMIT + 1))).status_code == 413
        assert (await endpoint.answer("GET", "/elsewhere", headers, "", b"")).status_code == 404
    assert till.callbacks[0].query == b"lang=zh"


@pytest.mark.anyio
async def test_a_blocking_checkout_is_called_in_a_thread(till: Any, paid: bytes) -> None:
    """While it waits for its database the event loop runs on."""
    release = anyio.Event()
    ran_on = False
    original = till.receive

    def receive(*args: Any) -> Reply:
        anyio.from_thread.run(release.wait)
        return original(*args)

    till.receive = receive

    async def meanwhile() -> None:
        nonlocal ran_on
        ran_on = True
        release.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meanwhile)
            status, _, _ = await Asgi(asgi(till), "POST", "/shop/notify")(paid)
    assert (status, ran_on) == (200, True)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_it_runs_on_asyncio_and_on_trio(till: Any, async_till: Any, paid: bytes) -> None:
    """Both colours of checkout."""
    for checkout in (till, async_till):
        assert (await Asgi(asgi(checkout), "POST", "/shop/notify")(paid))[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/shop/notify", "/pay/shop/notify", "/pay/shop/notify/", "/api/v1/pay/shop/notify", "shop/notify"],
)
@pytest.mark.anyio
async def test_any_prefix_will_do(path: str, till: Any, async_till: Any, paid: bytes) -> None:
    """Only the last two segments of the path are looked at, whatever root_path says; a slash at the end is none."""
    request = Asgi(asgi(async_till), "POST", path)
    request.scope["root_path"] = "/api"
    assert (await request(paid))[0] == 200
    assert call_wsgi(wsgi(till), "POST", path, paid)[0] == 200
    script_name, found, info = path.rpartition("/notify")
    assert call_wsgi(wsgi(till), "POST", found + info, paid, SCRIPT_NAME=script_name)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/notify",
        "/shop",
        "/shop/",
        "/shop/notify//",
        "/shop/notifyx",
        "/shop/other",
        "/Shop/notify",
        "//notify",
        "/shop/notify\n",
        "/sh%6fp/notify",
        "/shöp/notify",
        "/unknown/notify",
        "/unknown/return",
    ],
)
def test_anything_else_is_not_found_and_nothing_is_said_about_accounts(path: str, till: Any, paid: bytes) -> None:
    """An unknown account answers as any unknown address does."""
    status, headers, body = call_wsgi(wsgi(till), "POST", path, paid)
    assert (status, body) == (404, b"not found")
    assert "shop" not in str(headers)
    assert not till.settled


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("HEAD", "/shop/notify", "GET, POST"),
        ("PUT", "/shop/notify", "GET, POST"),
        ("post", "/shop/notify", "GET, POST"),
        ("PUT", "/shop/return", "GET, HEAD, POST"),
        ("OPTIONS", "/shop/return", "GET, HEAD, POST"),
    ],
)
def test_other_methods_are_told_which_are_allowed(method: str, path: str, allow: str, till: Any, paid: bytes) -> None:
    """405 with Allow, and the checkout never hears of it."""
    status, headers, _ = call_wsgi(wsgi(till), method, path, paid)
    assert (status, headers["allow"]) == (405, allow)
    assert not till.callbacks


class GetTill:
    """A checkout whose gateway notifies by GET."""

    def __init__(self) -> None:
        self.callbacks: list[Any] = []

    def receive(self, account: str, callback: Any) -> Reply:
        self.callbacks.append(callback)
        return Reply(b"success")

    def view(self, account: str, callback: Any, *, reference: str | None = None) -> Payment:
        pytest.fail("a notify is no return")


@pytest.mark.anyio
async def test_a_notify_by_get_reaches_the_provider_with_its_raw_query() -> None:
    """Over ASGI and over WSGI: the EPay family notifies so."""
    till, query = GetTill(), b"trade_no=1&name=%E8%8C%B6+%25&sign=ab"
    answers = [
        await Asgi(asgi(till), "GET", "/shop/notify", query=query)(b""),
        call_wsgi(wsgi(till), "GET", "/shop/notify", QUERY_STRING=query.decode()),
    ]
    assert [(status, body) for status, _, body in answers] == [(200, b"success")] * 2
    seen = [(callback.method, callback.query, callback.body, callback.kind) for callback in till.callbacks]
    assert seen == [("GET", query, b"", CallbackKind.NOTIFY)] * 2


@pytest.mark.anyio
async def test_a_provider_whose_gateway_posts_refuses_a_notify_by_get(async_till: Any, till: Any, paid: bytes) -> None:
    """The signature is genuine, and the address is one that a browser could be sent to."""
    answers = [
        await Asgi(asgi(async_till), "GET", "/shop/notify", query=paid)(b""),
        call_wsgi(wsgi(till), "GET", "/shop/notify", QUERY_STRING=paid.decode()),
    ]
    assert [(status, body) for status, _, body in answers] == [(400, b"refused")] * 2
    assert not till.settled


@pytest.mark.anyio
async def test_head_is_answered_as_get_without_the_page(async_till: Any, till: Any, came_back: bytes) -> None:
    """A link checker sees the headers that the browser would, and the provider sees a GET."""
    app = asgi(async_till)
    get = await Asgi(app, "GET", "/shop/return", query=came_back)(b"")
    head = await Asgi(app, "HEAD", "/shop/return", query=came_back)(b"")
    assert head == (get[0], get[1], b"")
    assert [callback.method for callback in till.callbacks] == ["GET", "GET"]


@pytest.mark.anyio
async def test_a_body_declared_too_long_is_refused_before_a_byte_is_read(async_till: Any, till: Any) -> None:
    """413 on the strength of Content-Length, and the connection is closed."""
    request = Asgi(asgi(async_till), "POST", "/shop/notify", headers=[(b"content-length", b"65537")])
    status, headers, _ = await request(b"x" * 65537)
    assert (status, headers["connection"], request.received) == (413, "close", 0)
    assert not till.callbacks
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", Unreadable(), CONTENT_LENGTH="65537")[0] == 413


@pytest.mark.anyio
async def test_a_body_that_grows_too_long_is_not_read_further(async_till: Any, till: Any) -> None:
    """Chunk by chunk, and no chunk after the one that is too much."""
    request = Asgi(asgi(async_till), "POST", "/shop/notify")
    status, _, _ = await request(*[b"x" * 1024] * 1000)
    assert (status, request.received) == (413, LIMIT // 1024 + 1)

    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            self.given += min(size, 1000)
            return b"x" * min(size, 1000)

    endless = Endless()
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", endless, **chunked)[0] == 413
    assert endless.given == LIMIT + 1
    assert not till.callbacks


@pytest.mark.parametrize("length", ["65537", "0065537", "0" * 30 + "65537", "9" * 5000, "99999999999999999999"])
def test_any_spelling_of_too_long_is_too_long(length: str, till: Any) -> None:
    """Leading zeros and giant numbers, too."""
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", Unreadable(), CONTENT_LENGTH=length)[0] == 413


@pytest.mark.parametrize("length", ["-5", "+5", "five", "５", "²", "5_0", "0x10"])
def test_a_length_that_is_no_number_declares_nothing(length: str, till: Any, paid: bytes) -> None:
    """Nothing is read, so nothing is settled."""
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", paid, CONTENT_LENGTH=length)[0] == 400
    assert not till.settled


def test_the_limit_itself_is_still_read(till: Any) -> None:
    """64 KiB reach the provider, which refuses them by its own limit."""
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", b"x" * LIMIT)[0] == 400
    assert len(till.callbacks[0].body) == LIMIT


def test_a_query_beyond_the_limit_is_refused(till: Any) -> None:
    """414, and the checkout never hears of it."""
    assert call_wsgi(wsgi(till), "GET", "/shop/return", QUERY_STRING="x" * (LIMIT + 1))[0] == 414
    assert not till.callbacks


def test_the_limit_can_be_another(till: Any) -> None:
    """For a gateway that sends more, or less."""
    assert call_wsgi(wsgi(till, limit=10), "POST", "/shop/notify", b"x" * 11)[0] == 413
    assert call_wsgi(wsgi(till, limit=10), "POST", "/shop/notify", b"x" * 10)[0] == 400


@pytest.mark.anyio
async def test_a_client_that_leaves_while_it_sends_gets_no_answer_and_changes_nothing(
    async_till: Any, till: Any, paid: bytes
) -> None:
    """Not even where what came so far would be a whole message."""
    request = Asgi(asgi(async_till), "POST", "/shop/notify")
    piece = {"type": "http.request", "body": paid, "more_body": True}
    await request(piece, {"type": "http.disconnect"})
    assert not request.sent
    assert not till.callbacks


@pytest.mark.parametrize("stream", [io.BytesIO(b"order_no=A1001"), None])
def test_a_body_cut_short_is_not_processed(stream: Any, till: Any) -> None:
    """Over WSGI a vanished client is a short read or the server's own exception."""

    class Broken:
        def read(self, size: int) -> bytes:
            raise ConnectionResetError

    answered = call_wsgi(wsgi(till), "POST", "/shop/notify", stream or Broken(), CONTENT_LENGTH="300")
    assert answered[0] == 400
    assert not till.callbacks


def test_chunks_cut_short_are_not_processed(till: Any, paid: bytes) -> None:
    """Not even where what came so far would be a whole message."""

    class Cut:
        pieces: ClassVar = [paid]

        def read(self, size: int) -> bytes:
            if not self.pieces:
                raise ConnectionResetError
            return self.pieces.pop()

    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", Cut(), **chunked)[::2] == (400, b"incomplete")
    assert not till.callbacks


@pytest.mark.anyio
async def test_an_answer_that_nobody_takes_is_no_error(async_till: Any, paid: bytes) -> None:
    """The gateway sends again, and is acknowledged then."""

    async def receive() -> Any:
        return {"type": "http.request", "body": paid}

    async def send(message: Any) -> None:
        raise OSError("gone")

    await asgi(async_till)(Asgi(None, "POST", "/shop/notify").scope, receive, send)


@pytest.mark.anyio
async def test_standalone_it_takes_part_in_the_servers_lifespan(async_till: Any) -> None:
    """``uvicorn shop:pay`` starts and stops without a complaint."""
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await asgi(async_till)({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.anyio
async def test_a_websocket_is_turned_away(async_till: Any) -> None:
    """Closed before it is accepted, which servers answer with 403."""
    request = Asgi(asgi(async_till), "GET", "/shop/notify")
    request.scope["type"] = "websocket"
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await request.app(request.scope, None, send)
    assert sent == ["websocket.close"]


@pytest.mark.anyio
async def test_headers_reach_the_provider_but_the_payers_cookies_do_not(
    async_till: Any, till: Any, paid: bytes
) -> None:
    """Some gateways sign with theirs; a session is nobody's business."""
    headers = [(b"X-Gateway-Sign", b"abc"), (b"Cookie", b"session=1")]
    await Asgi(asgi(async_till), "POST", "/shop/notify", headers=headers)(paid)
    own = {"HTTP_X_GATEWAY_SIGN": "abc", "HTTP_COOKIE": "session=1"}
    call_wsgi(wsgi(till), "POST", "/shop/notify", paid, **own)
    for callback in till.callbacks:
        assert callback.header("x-gateway-sign") == "abc"
        assert "cookie" not in callback.headers


@pytest.mark.anyio
async def test_two_content_types_are_none(async_till: Any, till: Any, paid: bytes) -> None:
    """A header that came twice is a list, never the one that happens to fit."""
    request = Asgi(asgi(async_till), "POST", "/shop/notify", headers=[(b"content-type", b"application/json")])
    assert (await request(paid))[0] == 400
    assert not till.settled


def test_a_header_spelt_with_an_underscore_passes_for_no_other(till: Any, paid: bytes) -> None:
    """Content_Type, which WSGI would fold into one name with Content-Type."""
    spoofed = {"CONTENT_TYPE": "", "HTTP_CONTENT_TYPE": FORM, "HTTP_CONTENT_LENGTH": "5"}
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", paid, **spoofed)[0] == 400
    assert till.callbacks[0].header("content-type") == ""


def test_chunks_that_a_server_cannot_read_are_refused_by_name(till: Any, paid: bytes) -> None:
    """411 says what to mend; an empty body that is refused would not."""
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", io.BytesIO(paid), HTTP_TRANSFER_ENCODING="chunked")[0] == 411


@pytest.mark.parametrize("fail", [RuntimeError("the database is down"), PayhubError("closed"), StopIteration()])
@pytest.mark.anyio
async def test_a_checkout_that_fails_makes_the_gateway_send_again(
    fail: Exception, async_till: Any, till: Any, paid: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """503, no acknowledgement, nothing about the failure in the answer, all about it in the log."""
    till.fail = fail
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", paid)[::2] == (503, b"try again")
    assert caplog.records[-1].levelno == logging.ERROR
    reason = (
        str(fail) if isinstance(fail, PayhubError) else type(fail).__name__
    )  # in the line, too, without a traceback
    assert caplog.records[-1].getMessage() == f"a callback could not be processed: {reason}"
    if not isinstance(fail, StopIteration):  # which no coroutine can raise
        assert (await Asgi(asgi(async_till), "POST", "/shop/notify")(paid))[::2] == (503, b"try again")


def test_a_refusal_that_is_raised_is_answered_as_one(till: Any, paid: bytes) -> None:
    """For a checkout of your own that lets CallbackError through."""
    till.fail = MalformedCallback("expected <something> else")
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", paid)[::2] == (400, b"refused")


def test_an_account_that_is_configured_but_broken_is_a_failure_not_an_unknown_address(till: Any, paid: bytes) -> None:
    """The gateway sends again, and may find it mended."""
    till.fail = ConfigError("the provider is broken", account="shop")
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", paid)[0] == 503


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_payer_who_comes_back_is_sent_to_the_shops_page(method: str, till: Any, came_back: bytes) -> None:
    """303, so that the browser goes on with a GET; the payment it is about never counts as paid."""
    seen: list[Payment] = []

    def thanks(payment: Payment) -> str:
        seen.append(payment)
        return f"https://shop.example/thanks/{payment.reference}?茶=1"

    query, body = (came_back, b"") if method == "GET" else (b"", came_back)
    app = wsgi(till, on_return=thanks)
    status, headers, _ = call_wsgi(app, method, "/shop/return", body, QUERY_STRING=query.decode())
    assert (status, headers["location"]) == (303, "https://shop.example/thanks/A1001?%E8%8C%B6=1")
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
    assert (seen[0].status, seen[0].claimed_status) == ("pending", "paid")
    assert till.callbacks[0].kind is CallbackKind.RETURN


def test_a_redirect_cannot_break_out_of_its_header(till: Any, came_back: bytes) -> None:
    """Whatever a reference or an attach brings along."""
    app = wsgi(till, on_return=lambda payment: "/thanks\r\nSet-Cookie: a=b")
    assert call_wsgi(app, "POST", "/shop/return", came_back)[1]["location"] == "/thanks%0D%0ASet-Cookie:%20a=b"


@pytest.mark.parametrize("on_return", [lambda payment: 1 / 0, lambda payment: None])
def test_a_shop_that_cannot_name_its_page_still_shows_one(
    on_return: Any, till: Any, came_back: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The plain page, and an entry in the log."""
    status, headers, body = call_wsgi(wsgi(till, on_return=on_return), "POST", "/shop/return", came_back)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Thank you" in body.decode()
    assert "on_return failed" in caplog.text


@pytest.mark.parametrize(
    "fail",
    [
        None,
        WrongOrder("no such order <A1001>"),
        GatewayError("gateway <down>"),
        RuntimeError("database <down>"),
        ConfigError("the provider is broken", account="shop"),
    ],
)
def test_a_return_that_cannot_be_believed_now_shows_that_it_is_being_checked(
    fail: Exception | None, till: Any, platform: Any
) -> None:
    """Forged, unknown or at a bad moment: the payer did nothing wrong, and sees a friendly page and no reason."""
    till.fail = fail
    forged = platform.body({"order_no": "A1001", "pay_status": "1"}, secret="another-shops-secret-key")
    app = wsgi(till, on_return=lambda payment: "/thanks")
    status, _, body = call_wsgi(app, "POST", "/shop/return", forged)
    assert status == 200
    assert "We are checking your payment" in body.decode()
    for word in ("A1001", "database", "signature", "Traceback"):
        assert word not in body.decode()


@pytest.mark.parametrize(
    ("path", "reference"),
    [
        ("/shop/return", None),
        ("/shop/return/", None),
        ("/shop/return/A1001", "A1001"),
        ("/pay/shop/return/A1001/", "A1001"),
        ("/shop/return/2026/7", "2026/7"),
        ("/shop/return/100%", "100%"),
        ("/shop/return/订单-7", "订单-7"),
    ],
)
@pytest.mark.anyio
async def test_the_return_address_may_end_in_the_reference(
    path: str, reference: str | None, async_till: Any, till: Any, came_back: bytes
) -> None:
    """Decoded once by the server, whichever interface it speaks."""
    assert (await Asgi(asgi(async_till), "GET", path, query=came_back)(b""))[0] == 200
    wsgi_path = path.encode().decode("latin-1")
    assert call_wsgi(wsgi(till), "GET", wsgi_path, QUERY_STRING=came_back.decode())[0] == 200
    assert wsgi(till).answer("GET", path, {}, came_back, b"").status_code == 200
    assert till.references == [reference] * 3


def test_a_notify_address_holds_no_reference(till: Any, paid: bytes) -> None:
    """The message itself says, and signs, which order it is about."""
    assert call_wsgi(wsgi(till), "POST", "/shop/notify/A1001", paid)[0] == 404


def test_a_notify_posted_to_the_return_address_settles_nothing(till: Any, paid: bytes) -> None:
    """The address decides, not the message."""
    assert call_wsgi(wsgi(till), "POST", "/shop/return", paid)[0] == 200
    assert not till.settled


def test_a_return_posted_to_the_notify_address_is_refused(till: Any, came_back: bytes) -> None:
    """A payer cannot acknowledge for the gateway."""
    assert call_wsgi(wsgi(till), "POST", "/shop/notify", came_back)[0] == 400
    assert not till.settled


def test_any_reply_of_a_provider_goes_out_as_it_is(paid: bytes) -> None:
    """Bytes, type and status are the gateway's business, even a status without a name."""

    class Odd:
        def receive(self, account: str, callback: Any) -> Reply:
            return Reply(b'{"code":"\xe6\x88\x90\xe5\x8a\x9f"}', "application/json", 299)

        def view(self, account: str, callback: Any, *, reference: str | None = None) -> Payment:
            raise NotImplementedError

    status, headers, body = call_wsgi(wsgi(Odd()), "POST", "/shop/notify", paid)
    assert (status, headers["content-type"], body) == (299, "application/json", b'{"code":"\xe6\x88\x90\xe5\x8a\x9f"}')


def test_wsgi_refuses_a_checkout_that_must_be_awaited(async_till: Any) -> None:
    """At start, not at the first payment."""
    with pytest.raises(TypeError, match=r"web\.asgi"):
        wsgi(async_till)


def test_importing_it_loads_no_web_framework_and_no_sql() -> None:
    """The endpoint costs nothing but the core."""
    code = "import sys, payhub_core.web; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    unwanted = {"starlette", "fastapi", "flask", "django", "litestar", "werkzeug", "sqlalchemy"}
    assert not unwanted & set(loaded)
