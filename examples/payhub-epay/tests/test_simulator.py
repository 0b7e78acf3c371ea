"""The simulator, as somebody starts it to see a switch."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from payhub_core import Hub, Order, load_accounts


def test_an_order_has_the_time_of_this_moment(order: Order, settings: dict[str, Any]) -> None:
    """Or a shop would find it paid before it was started; only recordings stop the clock."""
    command = [sys.executable, str(Path(__file__).with_name("simulator.py"))]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        httpx.Client(trust_env=False) as client,
    ):
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            accounts = load_accounts({"accounts": {"shop": {**settings, "base_url": url}}})
            with Hub(accounts, client=client) as hub:
                payment = hub.create_payment("shop", order)
                client.post(f"{url}/pay/{payment.gateway_id}")
                paid_at = hub.query("shop", order.reference).paid_at
        finally:
            process.kill()
    assert paid_at is not None
    assert abs(datetime.now(UTC) - paid_at) < timedelta(minutes=1)
