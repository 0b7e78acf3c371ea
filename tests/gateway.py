"""The gateway, played: what it would sign and reply, and answers given by turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from hashlib import md5
from typing import Any
from urllib.parse import urlencode

import httpx

from payhub_core import Callback, CallbackKind

FORM = "application/x-www-form-urlencoded"


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


class PlatformOfToday(Platform):
    """What is paid is paid now, by the clock of Shanghai: for tests that keep orders, which are made now."""

    def notify(self, **changes: str | None) -> dict[str, str]:
        """As `Platform.notify`."""
        return super().notify(**{"pay_time": self.now, **changes})

    def query_reply(self, **changes: Any) -> httpx.Response:
        """As `Platform.query_reply`."""
        return super().query_reply(**{"created_at": self.now, "pay_time": self.now, **changes})

    @property
    def now(self) -> str:
        """The time there, as the protocol writes it."""
        return f"{datetime.now(timezone(timedelta(hours=8))):%Y-%m-%d %H:%M:%S}"


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
