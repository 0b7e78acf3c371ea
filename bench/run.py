"""What payhub costs beside code written by hand: ``make bench``. Compare ratios of one run, never times of two."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from contextlib import suppress

import httpx
from rich.console import Console
from rich.table import Table

import floors
from payhub_core import Callback, CallbackError, Hub, Money, Order, PaymentMethod, load_accounts
from payhub_core.transport.client import tls
from rounds import Candidates, compare, pin

console = Console()

FORM = {"content-type": "application/x-www-form-urlencoded"}
ORDER = Order(
    reference="A1001",
    amount=Money.of("100.00", "CNY"),
    description="Tea",
    method=PaymentMethod.ALIPAY_H5,
    notify_url="https://shop.example/notify",
    return_url="https://shop.example/thanks",
)
ACCEPTED = {
    "status": 1,
    "message": "ok",
    "data": {
        "order_no": "A1001",
        "platform_order_no": "A2026081800133012345",
        "pay_status": -1,
        "bank_code": "901",
        "amount": "10000",
        "content": "",
        "redirect_url": "https://gateway.example/pay/A2026081800133012345",
    },
}
IMPORTS = {
    "httpx + pydantic + pluggy": "import httpx, pluggy; from pydantic import BaseModel",
    "payhub_core": "import payhub_core",
}


def accounts(count: int) -> dict[str, object]:
    settings = {"provider": "gpu", "base_url": floors.BASE, "secret": floors.SECRET}
    names = ("shop", *(f"shop_{n}" for n in range(1, count)))
    return {"accounts": {name: {**settings, "appid": f"gpu{10000000 + n}"} for n, name in enumerate(names)}}


def in_memory() -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=ACCEPTED)))


def show(title: str, goal: str, candidates: Candidates, *, calls: int, rounds: int = 40) -> None:
    table = Table("", "us a call", "ratio", title=f"{title} (goal: {goal})", title_justify="left", min_width=70)
    with console.status(title):
        for name, (took, ratio) in compare(candidates, calls=calls, rounds=rounds).items():
            table.add_row(name, f"{took * 1e6:.2f}", f"{ratio:.2f} x")
    console.print(table)


def callbacks() -> None:
    body = floors.notify_body()
    hub = Hub(load_accounts(accounts(1)))
    provider = hub.accounts["shop"]
    callback = Callback("POST", FORM, b"", body)
    show(
        "1. A callback verified",
        "provider 1.15 x, hub 1.30 x the floor",
        {
            "floor: parse_qsl, MD5, dict": lambda: floors.callback(body),
            "floor with typed fields": lambda: floors.typed_callback(body),
            "provider alone": lambda: provider.parse_callback(callback=callback, expect=None),  # type: ignore[call-arg]
            "hub, bound to its order": lambda: hub.parse_callback("shop", callback, expect=ORDER),
        },
        calls=200,
    )


def refusals() -> None:
    hub = Hub(load_accounts(accounts(1)))
    genuine = floors.notify_body()
    bodies = {
        "accepted": genuine,
        "another signature": genuine[:-32] + b"0" * 32,
        "another sum than signed": genuine.replace(b"10000", b"20000", 1),
        "another appid": floors.notify_body(appid="gpu10000001"),
        "another sum than the order's": floors.notify_body(amount="1", actual_amount="1"),
        "another order": floors.notify_body(order_no="A1002"),
    }
    callbacks = {name: Callback("POST", FORM, b"", body) for name, body in bodies.items()}

    def hear(name: str) -> None:
        with suppress(CallbackError):
            hub.parse_callback("shop", callbacks[name], expect=ORDER)
            assert name == "accepted"

    show(
        "7. A callback refused",
        "1.0 x an accepted one",
        {name: lambda name=name: hear(name) for name in callbacks},  # type: ignore[misc]
        calls=200,
    )


def creates() -> None:
    client = in_memory()
    hub = Hub(load_accounts(accounts(1)), client=client)
    body = floors.notify_body()
    show(
        "2. A payment created, in-memory transport",
        "no slower than by hand, 30 us over bare httpx",
        {
            "by hand: sign, post(data=), json": lambda: floors.create(client),
            "bare httpx.post(bytes)": lambda: floors.post(client, body),
            "hub.create_payment": lambda: hub.create_payment("shop", ORDER),
        },
        calls=50,
    )


def opening() -> None:
    tls()
    loaded = load_accounts(accounts(100))

    def open_all() -> None:
        hub = Hub(loaded)
        for name in loaded:
            hub[name]
        hub.close()

    show("3. 100 accounts opened", "30,000 us", {"open all": open_all}, calls=1, rounds=20)


def choosing() -> None:
    hubs = {count: Hub(load_accounts(accounts(count))) for count in (1, 10, 100, 1000)}
    names = {1: "shop", 10: "shop_9", 100: "shop_99", 1000: "shop_999"}

    arguments = {"account": "shop", "reference": "A", "gateway_id": None, "expect": None, "created_at": None}

    def choose(count: int) -> None:
        account = hubs[count][names[count]]
        account._calls._own["query"](arguments)

    show(
        "4. An account chosen and its hook called",
        "2 us, flat within 5 %",
        {f"last of {count}": lambda count=count: choose(count) for count in hubs},  # type: ignore[misc]
        calls=500,
    )


def imports() -> None:
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    with console.status("5. Import"):
        for _ in range(15):
            for name in random.sample(list(IMPORTS), len(IMPORTS)):
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", IMPORTS[name]], check=True)
                times[name].append(time.perf_counter() - start)
    floor = next(iter(times.values()))
    table = Table("", "ms", "ratio", title="5. Import (goal: 1.25 x)", title_justify="left", min_width=70)
    for name, took in times.items():
        ratio = statistics.median(a / b for a, b in zip(took, floor, strict=True))
        table.add_row(name, f"{statistics.median(took) * 1e3:.0f}", f"{ratio:.2f} x")
    console.print(table)


if __name__ == "__main__":
    pin()
    for part in (callbacks, creates, opening, choosing, imports, refusals):
        part()
