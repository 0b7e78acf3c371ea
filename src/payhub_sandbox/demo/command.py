"""``payhub demo``: plays one order from its creation to the query, as a timeline."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import httpx
from rich.console import Console

from payhub_core import Hub, PaymentStatus, Redirect, load_accounts
from payhub_core.cli.words import named, say
from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess
from payhub_sandbox.demo.dummy import DUMMY, play_dummy
from payhub_sandbox.demo.shop import ACCOUNT, EXAMPLE, Shop, open_shop, run
from payhub_sandbox.demo.timeline import Timeline, shortened

__all__ = ["demo"]

APPID, MERCHANT = next(iter(PUBLIC_MERCHANTS.items()))
WAIT_SECONDS = 10.0


@click.command()
@click.option(
    "--provider",
    type=click.Choice(["gpu", "dummy"]),
    default="gpu",
    show_default=True,
    help="Over HTTP with the sandbox, or without any gateway.",
)
@click.option("--stay", is_flag=True, help="Keep what was started running afterwards, for your browser.")
def demo(*, provider: str, stay: bool) -> None:
    """Play one order on this machine: created, paid, notified, returned, queried. Nobody pays anything."""
    with (
        _terminable(),
        TemporaryDirectory(prefix="payhub-demo-") as folder,
        httpx.Client(trust_env=False) as payer,
    ):
        play_one = _with_dummy if provider == "dummy" else _with_sandbox
        play_one(Timeline(Console()), Path(folder), payer, stay=stay)


def _with_sandbox(timeline: Timeline, folder: Path, payer: httpx.Client, *, stay: bool) -> None:
    with SandboxProcess() as gateway:
        written = (EXAMPLE / "payhub.toml").read_text("utf-8")
        configuration = written.replace("http://127.0.0.1:8787", gateway.url)
        with open_shop(folder, configuration) as shop:
            timeline.step("Two servers", f"the gateway on {gateway.url}, a shop on {shop.url}")
            play(timeline, gateway, shop, payer)
            if stay:
                offer = say(f"Buy tea at {shop.url}; the gateway's own page is {gateway.url}")
                timeline.console.print(f"\n{offer}", soft_wrap=True)
                _stay(timeline)
            else:
                then = say(
                    "Next: payhub demo --stay to click through it in a browser, payhub sandbox --help for the gateway "
                    "alone, README.md for the program behind this."
                )
                timeline.console.print(f"\n{then}")
                _tell_code(timeline)


def _with_dummy(timeline: Timeline, folder: Path, payer: httpx.Client, *, stay: bool) -> None:
    with open_shop(folder, DUMMY) as shop:
        timeline.step("One server", f"a shop on {shop.url}; the dummy is a provider without a gateway")
        play_dummy(timeline, shop, payer)
        if stay:
            offer = say(f"Buy tea at {shop.url}; nobody notifies it, so it asks, half a minute after the order.")
            timeline.console.print(f"\n{offer}", soft_wrap=True)
            command = ("-m", "payhub_core", "reconcile", "--checkout", "shop:checkout", "--watch", "--every", "1")
            with run(shop.folder, *command):
                _stay(timeline)
        else:
            timeline.console.print(f"\n{say('Next: docs/dummy.md has the sums for every other outcome.')}")
            _tell_code(timeline)


def _tell_code(timeline: Timeline) -> None:
    timeline.console.print(say(f"The shop's code, to copy: {EXAMPLE / 'shop.py'}"), soft_wrap=True)


def _stay(timeline: Timeline) -> None:
    with suppress(KeyboardInterrupt):
        _tell_code(timeline)
        timeline.console.print(say("Ctrl-C ends it."))
        threading.Event().wait()


def play(timeline: Timeline, gateway: SandboxProcess, shop: Shop, payer: httpx.Client) -> None:
    """The whole order, over HTTP between the shop, the gateway's process and the payer."""
    payment = shop.buy(payer)
    reference, number, action = payment.reference, payment.gateway_id or "", payment.next_action
    address = action.url if isinstance(action, Redirect) else ""
    timeline.check(
        "The shop creates a payment",
        f"{reference} over {payment.amount}: {named(payment.status.value)}; next: {shortened(address)}",
        holds=bool(address) and payment.status is PaymentStatus.PENDING,
    )

    payer.get(address).raise_for_status()
    page = payer.post(address, data={"action": "pay"})
    timeline.step("The payer pays on the gateway's page", f"POST {address}: HTTP {page.status_code}")

    delivery = _delivered(gateway, number)
    timeline.check(
        "The gateway notifies the shop; verified, bound to the order, committed, acknowledged",
        f"the shop answered {delivery['reply']!r}; shipped: {', '.join(shop.shipped)}",
        holds=delivery["reply"] == "SUCCESS" and shop.shipped == [reference],
    )

    again = gateway.notify(number)
    timeline.check(
        "The same notify once more",
        f"the shop answered {again['reply']!r}; still shipped once: {', '.join(shop.shipped)}",
        holds=again["reply"] == "SUCCESS" and shop.shipped == [reference],
    )

    forged = {
        "appid": APPID,
        "order_no": reference,
        "amount": "1.00",
        "actual_amount": "1.00",
        "attach": "",
        "pay_status": "1",
        "pay_time": "2026-01-01 00:00:00",
        "sign": "0" * 32,
    }
    refused = payer.post(f"{shop.url}/pay/{ACCOUNT}/notify", data=forged)
    timeline.check(
        "A forged notify",
        f"the shop answered HTTP {refused.status_code} {refused.text!r}, and changed nothing",
        holds=refused.is_client_error and shop.shipped == [reference],
    )

    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page.text))
    back = f"{shop.url}/pay/{ACCOUNT}/return/{reference}"
    returned = payer.post(back, data={name: unescape(value) for name, value in fields.items()})
    timeline.check(
        "The payer's browser returns to the shop",
        f"HTTP {returned.status_code}: a page that says what the return claims; a return settles nothing",
        holds=returned.is_success,
    )

    account = {"provider": "gpu", "base_url": gateway.url, "appid": APPID, "secret": MERCHANT.secret}
    with Hub(load_accounts({"accounts": {ACCOUNT: account}}), client=payer) as hub:
        known = hub.query(ACCOUNT, reference, expect=shop.order(reference))
    claimed = named(str(known.claimed_status))
    timeline.check(
        "A query agrees",
        f"it claims {claimed} over {known.amount}; being plain http, it proves nothing: {named(known.status.value)}",
        holds=known.claimed_status is PaymentStatus.PAID and known.amount == payment.amount,
    )


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does: by itself it would leave the gateway's process running."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _delivered(gateway: SandboxProcess, number: str) -> dict[str, Any]:
    """The first delivery of the notify, once there is one."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if deliveries := gateway.deliveries(number):
            return deliveries[0]
        time.sleep(0.05)
    raise click.ClickException("the gateway sent no notify")
