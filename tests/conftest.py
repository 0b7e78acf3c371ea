"""What the tests share: the gateway's side of the protocol, scripted replies, and one interface to both hubs."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from hashlib import md5
from typing import Any
from urllib.parse import urlencode

import anyio.from_thread
import httpx
import hypothesis
import pytest
import stamina

from payhub_core import AsyncHub, Callback, CallbackKind, Hub, Money, Order, PaymentMethod, load_accounts

FORM = "application/x-www-form-urlencoded"

# The same examples on every run: what breaks here breaks for everyone. The first one reads tables for two seconds.
hypothesis.settings.register_profile(
    "payhub",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("payhub")


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Retries are counted, not waited for."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own configuration stays outside."""
    for variable in list(os.environ):
        if variable.upper().startswith("PAYHUB_"):
            monkeypatch.delenv(variable)


class Platform:
    """The gateway's side of the protocol, written from its section 4; it shares no line with the plugin."""

    secret = "c1277-throw-away-key-of-the-shop"
    appid = "gpu10000000"

    def sign(
        self, fields: Mapping[str, str], *, secret: str = "", placement: str = "sorted", empties: str = "keep"
    ) -> str:
        """The digest over ``fields``, as the platform makes it."""
        kept = {name: value for name, value in fields.items() if name != "sign" and (value or empties == "keep")}
        key = secret or self.secret
        if placement == "sorted":
            text = "&".join(f"{name}={value}" for name, value in sorted({**kept, "secret": key}.items()))
        else:
            text = "&".join([*(f"{name}={value}" for name, value in sorted(kept.items())), f"secret={key}"])
        return md5(text.encode()).hexdigest()

    def body(self, fields: Mapping[str, str], **rule: str) -> bytes:
        """The form of ``fields`` with their signature."""
        return urlencode({**fields, "sign": self.sign(fields, **rule)}).encode()

    def notify(self, **changes: str | None) -> dict[str, str]:
        """The fields of a notify; None leaves one out."""
        fields = {
            "actual_amount": "10000.00",
            "amount": "10000.00",
            "appid": self.appid,
            "attach": "",
            "order_no": "A1001",
            "pay_status": "1",
            "pay_time": "2019-08-18 00:13:41",
            "platform_order_no": "P2019081800134100001",
            **changes,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def callback(
        self,
        message: Mapping[str, str] | bytes,
        *,
        kind: CallbackKind = CallbackKind.NOTIFY,
        method: str = "POST",
        content_type: str = FORM,
        **rule: str,
    ) -> Callback:
        """``message`` as a request: bytes as they are, fields signed."""
        data = message if isinstance(message, bytes) else self.body(message, **rule)
        query, body = (b"", data) if method == "POST" else (data, b"")
        return Callback(method, {"Content-Type": content_type}, query, body, kind)

    def create_reply(self, **changes: Any) -> httpx.Response:
        """A create, accepted."""
        return self.reply(
            {
                "order_no": "A1001",
                "platform_order_no": "P2019081800134100001",
                "pay_status": -1,
                "bank_code": "901",
                "amount": 10000,
                "content": "",
                "redirect_url": "https://gateway.example/pay/P2019081800134100001",
                **changes,
            }
        )

    def query_reply(self, **changes: Any) -> httpx.Response:
        """A query, answered: the order is paid."""
        return self.reply(
            {
                "order_no": "A1001",
                "amount": "10000.00",
                "attach": "",
                "bank_code": "901",
                "pay_status": 1,
                "platform_order_no": "P2019081800134100001",
                "created_at": "2019-08-18 00:10:00",
                "pay_time": "2019-08-18 00:13:41",
                **changes,
            }
        )

    def reply(self, data: object, status: object = 1, message: str = "ok") -> httpx.Response:
        """A reply of the platform: HTTP 200, whatever it says."""
        return httpx.Response(200, json={"status": status, "message": message, "data": data})


@pytest.fixture(scope="session")
def platform() -> Platform:
    return Platform()


class Gateway:
    """Scripted answers by turn, the last one for ever: a response, an exception, or a function of the request."""

    def __init__(self, *answers: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return answer(request)


@pytest.fixture(scope="session")
def gateway() -> type[Gateway]:
    return Gateway


@pytest.fixture(scope="session")
def settings(platform: Platform) -> dict[str, Any]:
    """One account's settings, as a configuration has them."""
    return {
        "provider": "gpu",
        "base_url": "https://gateway.example",
        "appid": platform.appid,
        "secret": platform.secret,
    }


@pytest.fixture(scope="session")
def make_order() -> Callable[..., Order]:
    def make(**changes: Any) -> Order:
        values: dict[str, Any] = {
            "reference": "A1001",
            "amount": Money.of("100.00", "CNY"),
            "description": "Tea",
            "method": PaymentMethod.ALIPAY_H5,
            "notify_url": "https://shop.example/pay/shop/notify",
            "return_url": "https://shop.example/thanks",
            **changes,
        }
        return Order(**values)

    return make


@pytest.fixture(scope="session")
def order(make_order: Callable[..., Order]) -> Order:
    return make_order()


class EitherHub:
    """A `Hub` or an `AsyncHub`, called the same way, so that each behaviour is written once."""

    def __init__(self, hub: Hub | AsyncHub, call: Callable[..., Any]) -> None:
        self.hub = hub
        self.call = call

    def create_payment(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.create_payment, *args, **kwargs)

    def query(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.query, *args, **kwargs)

    def parse_callback(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.parse_callback, *args, **kwargs)

    def refund(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.refund, *args, **kwargs)

    def close_payment(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.hub.close_payment, *args, **kwargs)

    def close(self) -> None:
        self.call(self.hub.close if isinstance(self.hub, Hub) else self.hub.aclose)


@pytest.fixture(params=["Hub", "AsyncHub-asyncio", "AsyncHub-trio"])
def open_hub(request: pytest.FixtureRequest, settings: dict[str, Any]) -> Iterator[Callable[..., EitherHub]]:
    """Opens a hub of either colour over scripted answers, or over real sockets where there are none."""
    _, _, backend = request.param.partition("-")
    with ExitStack() as stack:
        portal = stack.enter_context(anyio.from_thread.start_blocking_portal(backend)) if backend else None

        def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            bound = functools.partial(function, *args, **kwargs)
            return bound() if portal is None else portal.call(bound)

        def start(
            answers: Callable[[httpx.Request], httpx.Response] | None = None,
            *,
            accounts: Mapping[str, Any] | None = None,
            extensions: Sequence[object] = (),
        ) -> EitherHub:
            configured = load_accounts({"accounts": {"shop": settings}}) if accounts is None else accounts
            client: Any = None
            if answers is not None:
                # A client that would follow redirects, to see that none is followed.
                colour: Any = httpx.Client if portal is None else httpx.AsyncClient
                client = colour(transport=httpx.MockTransport(answers), follow_redirects=True)
                stack.callback(call, client.close if portal is None else client.aclose)
            kind: Any = Hub if portal is None else AsyncHub
            hub = EitherHub(kind(configured, extensions=extensions, client=client), call)
            stack.callback(hub.close)
            return hub

        yield start


@pytest.fixture
def hub(open_hub: Callable[..., EitherHub]) -> EitherHub:
    """A hub whose gateway is never asked."""
    return open_hub(Gateway(AssertionError("nothing is to be sent")))
