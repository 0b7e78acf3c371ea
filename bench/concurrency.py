"""Fifty creates at a time over real sockets: AsyncHub, and what it gains by another transport, beside a stock client.

httpx's connection pool slows with concurrency. The hub takes any client with httpx's ``send``, so the cure is to plug
another one in; ``pip install -e '.[bench]'`` brings httpx-aiohttp, and without it that line says so.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable

import httpx
from rich.console import Console
from rich.table import Table

import floors
from payhub_core import AsyncHub, load_accounts
from rounds import compare, pin
from run import ACCEPTED, ORDER

console = Console()

AT_ONCE, EACH = 50, 4
ALTERNATIVE = "AsyncHub over httpx-aiohttp"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A gateway that accepts every order, as fast as Python can say so."""
    body = json.dumps(ACCEPTED).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            length = request.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            writer.write(head.encode() + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    console.print(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def by_hand(client: httpx.AsyncClient, base: str) -> str:
    """`floors.create`, awaited."""
    fields = {
        "amount": "10000",
        "appid": floors.APPID,
        "bank_code": "901",
        "notify_url": "https://shop.example/notify",
        "order_no": "A1001",
        "product_name": "Tea",
        "return_url": "https://shop.example/thanks",
    }
    response = await client.post(f"{base}/api/order/unified", data={**fields, "sign": floors.signature(fields)})
    reply = response.json()
    if str(reply["status"]) != "1" or reply["data"]["order_no"] != "A1001":
        raise ValueError(reply["message"])
    return str(reply["data"]["redirect_url"])


async def burst(create: Callable[[], Awaitable[object]]) -> None:
    async def worker() -> None:
        for _ in range(EACH):
            await create()

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def measure(base: str) -> dict[str, tuple[float, float]]:
    """Seconds of a burst and the ratio to the stock client's, for each way."""
    settings = {"provider": "gpu", "base_url": base, "secret": floors.SECRET, "appid": floors.APPID}
    accounts = load_accounts({"accounts": {"shop": settings}})
    with asyncio.Runner() as runner:
        stock = httpx.AsyncClient()
        hub = AsyncHub(accounts)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "stock httpx.AsyncClient, by hand": lambda: by_hand(stock, base),
            "AsyncHub": lambda: hub.create_payment("shop", ORDER),
        }
        clients = [stock]
        try:
            from httpx_aiohttp import HttpxAiohttpClient
        except ImportError:
            pass
        else:
            clients.append(HttpxAiohttpClient())
            fast = AsyncHub(accounts, client=clients[-1])
            ways[ALTERNATIVE] = lambda: fast.create_payment("shop", ORDER)
        bursts = {name: lambda create=create: runner.run(burst(create)) for name, create in ways.items()}
        try:
            return compare(bursts, calls=1, rounds=10)
        finally:
            runner.run(hub.aclose())
            for client in clients:
                runner.run(client.aclose())


def main() -> None:
    """Prints how many creates a second each way makes, beside the first."""
    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            pin()
            with console.status("8. Fifty creates at a time"):
                found = measure(f"http://127.0.0.1:{port}")
        finally:
            server.kill()
    table = Table("", "a second", "throughput", title="8. Fifty creates at a time (goal: 2.5 x)", title_justify="left")
    for name, (took, ratio) in found.items():
        table.add_row(name, f"{AT_ONCE * EACH / took:.0f}", f"{1 / ratio:.2f} x")
    if ALTERNATIVE not in found:
        table.add_row(ALTERNATIVE, "not installed", "")
    console.print(table)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
