"""The load of ``bench/server.py``, in a process of its own: so many connections, each with one message at a time."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import floors


class Client(asyncio.Protocol):
    """One connection, which sends the next message once it has heard the answer to the last one."""

    def __init__(self, requests: Iterator[bytes], took: list[float], ended: asyncio.Future[int]) -> None:
        self.requests, self.took, self.ended = requests, took, ended
        self.errors, self.heard = 0, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.transport.close()
            return
        self.since = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.heard.endswith((b"SUCCESS", b"FAIL")) or b" 200 " not in self.heard[:16]:
            self.took.append(time.perf_counter() - self.since)
            self.errors += not (self.heard.startswith(b"HTTP/1.1 200") and self.heard.endswith(b"\r\n\r\nSUCCESS"))
            self.heard = b""
            self.next()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(self.errors)


async def load(port: int, connections: int, first: int, count: int) -> tuple[float, float, float, int]:
    """Sends the notifies of so many orders: seconds in all, the slowest hundredth's, the slowest's, and errors."""
    requests = []
    now = datetime.now(timezone(timedelta(hours=8))).strftime("%Y-%m-%d %H:%M:%S")
    for number in range(first, first + count):
        body = floors.notify_body(order_no=f"A{number}", pay_time=now)
        head = "POST /shop/notify HTTP/1.1\r\nHost: shop\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        requests.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    loop = asyncio.get_running_loop()
    took: list[float] = []
    ended = [loop.create_future() for _ in range(connections)]
    sent = iter(requests)
    start = time.perf_counter()
    for end in ended:
        await loop.create_connection(lambda end=end: Client(sent, took, end), "127.0.0.1", port)  # type: ignore[misc]
    errors = sum(await asyncio.gather(*ended)) + count - len(took)
    seconds = time.perf_counter() - start
    return seconds, sorted(took)[len(took) * 99 // 100], max(took), errors


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(load(*map(int, sys.argv[1:])))))
