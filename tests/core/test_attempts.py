"""A query that is tried again is a new request; what it may answer; and how long a call may take."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import pytest

from payhub_core import (
    Callback,
    CallbackKind,
    Flow,
    GatewayError,
    Money,
    NotFound,
    Notification,
    NotSent,
    Order,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Request,
    WrongOrder,
    hookimpl,
)

MADE = datetime(2026, 3, 1, tzinfo=UTC)


class Signed:
    """A gateway that takes no nonce twice, and fetches what its pings speak of."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="signed", currencies=frozenset({"CNY"}), identity=(), time_limits={"parse_callback": 0.5}
    )
    timeout = 5.0

    def __init__(self, url: str = "https://signed.example") -> None:
        self.url = url
        self.nonces = itertools.count(1)
        self.asked: list[dict[str, Any]] = []

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        token = yield Request("POST", f"{self.url}/token", harmless=True)
        yield Request("POST", f"{self.url}/pay", headers={"Authorization": token.text})
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        reply = (yield Request("GET", f"{self.url}/payments/{callback.body.decode()}")).json()
        status = PaymentStatus(reply["status"])
        paid = Money(reply["minor"], "CNY")
        return Notification(callback.kind, Payment(reference=reply["id"], status=status, amount=paid, paid=paid))

    @hookimpl
    def query(self, reference: str, gateway_id: str | None, created_at: datetime | None) -> Flow[Payment]:
        self.asked.append({"reference": reference, "gateway_id": gateway_id, "created_at": created_at})
        headers = {"Nonce": str(next(self.nonces))}
        reply = (yield Request("GET", f"{self.url}/payments/{gateway_id or reference}", headers=headers)).json()
        if reply.get("page") == "last":
            raise NotFound("none, to the day on which the order was made")
        return Payment(reference=reply["id"], gateway_id=reply.get("number"), status=PaymentStatus(reply["status"]))


PAID = {"id": "A1001", "number": "N1", "status": "paid", "minor": 10000}


@pytest.fixture
def signed(open_hub: Any, gateway: Any) -> Any:
    def start(*answers: Any, url: str = "https://signed.example") -> Any:
        scripted = gateway(*[httpx.Response(200, json=a) if isinstance(a, dict) else a for a in answers])
        provider = Signed(url)
        hub = open_hub(scripted, accounts={"shop": provider})
        hub.requests, hub.provider = scripted.requests, provider
        return hub

    return start


@pytest.mark.parametrize("fault", [httpx.ReadTimeout("x"), httpx.ConnectError("x"), httpx.Response(502)])
def test_every_try_of_a_query_is_signed_anew(signed: Any, fault: Any) -> None:
    """The gateway refuses a nonce that it has seen."""
    hub = signed(fault, fault, PAID)
    assert hub.query("shop", "A1001").status is PaymentStatus.PAID
    assert [request.headers["Nonce"] for request in hub.requests] == ["1", "2", "3"]


def test_an_answer_that_cannot_be_read_is_not_asked_for_again(signed: Any) -> None:
    """It is an answer: the next one would be the same."""
    hub = signed(httpx.Response(200, text="<html>"))
    with pytest.raises(GatewayError):
        hub.query("shop", "A1001")
    assert len(hub.requests) == 1


def test_the_answer_is_about_the_number_that_was_asked_for(signed: Any) -> None:
    """Another payment of the same order proves nothing about this one."""
    assert signed(PAID).query("shop", "A1001", gateway_id="N1").gateway_id == "N1"
    with pytest.raises(WrongOrder, match="expected the gateway's 'N2', the message is about 'N1'"):
        signed(PAID).query("shop", "A1001", gateway_id="N2")


def test_a_query_knows_when_the_order_was_made(signed: Any) -> None:
    """So that a search page by page has an end, which proves "not found"."""
    hub = signed({"page": "last"})
    with pytest.raises(NotFound):
        hub.query("shop", "A1001", created_at=MADE)
    assert hub.provider.asked == [{"reference": "A1001", "gateway_id": None, "created_at": MADE}]


# A callback that must be fetched

PING = Callback("POST", {}, b"", b"N1")


def test_a_ping_is_believed_by_what_is_fetched(signed: Any, make_order: Any) -> None:
    """Bound to the order, as any message."""
    heard = signed(PAID).parse_callback("shop", PING, expect=make_order())
    assert (heard.kind, heard.bound, heard.payment.status) == (CallbackKind.NOTIFY, True, PaymentStatus.PAID)


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(200, text="<html>"), httpx.Response(200, json=[]), {}, httpx.Response(500), httpx.ReadTimeout("x")],
)
def test_what_goes_wrong_after_the_fetch_is_no_refusal(signed: Any, answer: Any) -> None:
    """A GatewayError: the gateway sends the message again. A refusal would lose it."""
    with pytest.raises(GatewayError):
        signed(answer).parse_callback("shop", PING)


def test_what_was_fetched_over_plain_http_is_a_hint(signed: Any) -> None:
    """Never PAID, as in a query."""
    payment = signed(PAID, url="http://signed.example").parse_callback("shop", PING).payment
    assert (payment.status, payment.claimed_status) == (PaymentStatus.PENDING, PaymentStatus.PAID)


def test_a_fetch_ends_before_the_gateway_hangs_up(open_hub: Any) -> None:
    """Half a second for the whole call, though one exchange may take ten."""
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = open_hub(accounts={"shop": Signed(f"http://127.0.0.1:{silent.getsockname()[1]}")})
        began = time.monotonic()
        with pytest.raises(GatewayError):
            hub.parse_callback("shop", PING)
        assert time.monotonic() - began < 3


def test_a_time_limit_is_for_all_the_tries_of_a_query(open_hub: Any) -> None:
    """A notify may wait for it: three tries of half a second each would outlast the gateway's patience."""
    import socket  # noqa: PLC0415

    class Limited(Signed):
        info: ClassVar[ProviderInfo] = replace(Signed.info, time_limits={"query": 0.5})

    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = open_hub(accounts={"shop": Limited(f"http://127.0.0.1:{silent.getsockname()[1]}")})
        began = time.monotonic()
        with pytest.raises(GatewayError):
            hub.query("shop", "A1001")
        assert time.monotonic() - began < 1


# A request that makes no payment


def test_a_harmless_request_leaves_a_create_certain(signed: Any, make_order: Any) -> None:
    """No token, no payment: nothing of it was sent, and asking again makes no second one."""
    order = make_order(method=None)
    hub = signed(httpx.ReadTimeout("x"))
    with pytest.raises(NotSent):
        hub.create_payment("shop", order)
    assert {request.url.path for request in hub.requests} == {"/token"}
    hub = signed(httpx.Response(200, text="t"), httpx.ConnectError("x"))
    with pytest.raises(NotSent):
        hub.create_payment("shop", order)
    hub = signed(httpx.Response(200, text="t"), httpx.ReadTimeout("x"))
    with pytest.raises(OutcomeUnknown):
        hub.create_payment("shop", order)
    assert [request.url.path for request in hub.requests] == ["/token", "/pay"]


# A result is one call's own


def test_a_result_that_comes_a_second_time_is_refused_with_words(
    open_hub: Any, gateway: Any, make_provider: Any, make_order: Any
) -> None:
    """The core fills in account, provider and status: one object cannot be two calls' result."""
    constant = Payment(reference="A1001", status=PaymentStatus.PAID)
    provider = make_provider(query=lambda _: constant, parse_callback=lambda c: Notification(c.kind, constant))
    hub = open_hub(gateway(), accounts={"one": provider, "two": provider})
    assert hub.query("one", "A1001", expect=make_order()).account == "one"
    for call in (lambda: hub.query("two", "A1001"), lambda: hub.parse_callback("two", PING)):
        with pytest.raises(GatewayError, match="one that it returned before") as refused:
            call()
        assert "makes a new Payment for every call" in refused.value.hint
    assert constant.account == "one"


def test_an_error_that_is_raised_again_is_about_the_call_that_it_ended(
    open_hub: Any, gateway: Any, make_provider: Any
) -> None:
    """A provider may keep one; the operator is told the account and order at hand."""
    constant = NotFound("there is none")

    def look(sends: bool) -> Any:
        if sends:
            yield Request("GET", "https://gateway.example")
        raise constant

    asked = iter([False, True])
    provider = make_provider(query=lambda _: look(next(asked)))
    hub = open_hub(gateway(httpx.Response(200)), accounts={"one": provider, "two": provider})
    for account, reference, unsent in (("one", "A1001", True), ("two", "A1002", False)):
        with pytest.raises(NotFound) as error:
            hub.query(account, reference)
        assert (error.value.account, error.value.reference, error.value.unsent) == (account, reference, unsent)


def test_what_the_core_fills_in_counts_as_set(open_hub: Any, gateway: Any, make_provider: Any, make_order: Any) -> None:
    """So that nothing is lost by `exclude_unset`."""
    made = [Payment(reference="A1001", status=PaymentStatus.PAID) for _ in range(2)]
    provider = make_provider(query=lambda _: made[0], parse_callback=lambda c: Notification(c.kind, made[1]))
    hub = open_hub(gateway(), accounts={"one": provider})
    found = [
        hub.query("one", "A1001", expect=make_order()),
        hub.parse_callback("one", PING, expect=make_order()).payment,
    ]
    for payment in found:
        kept = payment.model_dump(exclude_unset=True)
        assert kept.keys() == {"account", "provider", "reference", "status", "claimed_status", "amount"}
        assert Payment.model_validate_json(payment.model_dump_json(exclude_unset=True)) == payment


def test_a_hint_of_the_provider_survives_what_the_core_makes_of_it(
    open_hub: Any, gateway: Any, make_provider: Any, order: Any
) -> None:
    """The author knew what to do."""

    def create(_: Any) -> Any:
        yield Request("POST", "https://gateway.example")
        raise GatewayError("the gateway is closed at night", hint="query after six")

    hub = open_hub(gateway(httpx.Response(200)), accounts={"shop": make_provider(create_payment=create)})
    with pytest.raises(OutcomeUnknown) as unknown:
        hub.create_payment("shop", order)
    assert unknown.value.hint == "query after six"
