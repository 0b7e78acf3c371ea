"""The plugin written for the first version goes on loading and working, though hooks and arguments were added since."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from payhub_core import Callback, PaymentStatus, Unsupported, load_accounts

PLUGINS = Path(__file__).parent / "plugins"
PAID = {"id": "A1001", "minor": 10000, "state": "done"}


@pytest.fixture
def first(open_hub: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub with the plugin, not installed: named by its module and class."""
    monkeypatch.syspath_prepend(str(PLUGINS))

    def start(reply: dict[str, Any]) -> Any:
        settings = {"provider": "first_version:FirstVersion", "merchant": "m1", "key": "a-key-of-the-first-version"}
        return open_hub(gateway(httpx.Response(200, json=reply)), accounts=load_accounts({"accounts": {"f": settings}}))

    return start


def test_it_creates_hears_and_asks(first: Any, make_order: Any) -> None:
    """All of what it could do then."""
    order = make_order(method=None)
    assert first({**PAID, "state": "open"}).create_payment("f", order).status is PaymentStatus.PENDING
    assert first(PAID).query("f", "A1001", expect=order).paid == order.amount
    body = json.dumps(PAID).encode()
    signature = hmac.new(b"a-key-of-the-first-version", body, hashlib.sha256).hexdigest()
    heard = first(PAID).parse_callback("f", Callback("POST", {"x-signature": signature}, b"", body), expect=order)
    assert heard.payment.status is PaymentStatus.PAID


def test_what_came_later_is_not_supported_and_says_so(first: Any, order: Any) -> None:
    """Typed, and nothing is sent."""
    hub = first(PAID)
    with pytest.raises(Unsupported, match="has no refund"):
        hub.refund("f", "A1001", None, order.amount, "R1")
    with pytest.raises(Unsupported, match="has no close"):
        hub.close_payment("f", "A1001")
    assert [hub.hub["f"].supports(hook) for hook in ("query", "refund", "close")] == [True, False, False]
