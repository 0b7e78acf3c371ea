"""The optional hooks, refund and close: refused, not sent, unknown, as carefully as a create."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, ClassVar

import httpx
import pytest

from payhub_core import (
    AccountRefused,
    Callback,
    Flow,
    InvalidOrder,
    Money,
    NotFound,
    Notification,
    NotSent,
    Order,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Refund,
    RefundStatus,
    Refused,
    Request,
    Unsupported,
    hookimpl,
)

ONE = Money.of("1.00", "CNY")
URL = "https://refunds.example"


class Refunding:
    """A gateway that answers with JSON what it made of a refund."""

    info: ClassVar[ProviderInfo] = ProviderInfo(name="refunding", currencies=frozenset({"CNY"}), identity=())
    timeout = 5.0
    url = URL

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        return Payment(reference=order.reference, status=PaymentStatus.PENDING)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        return Notification(callback.kind, None)

    @hookimpl
    def query(self, reference: str) -> Payment:
        raise NotFound("none")

    @hookimpl
    def refund(self, reference: str, gateway_id: str | None, amount: Money, refund_reference: str) -> Flow[Refund]:
        body = {"id": gateway_id or reference, "minor": amount.minor, "key": refund_reference}
        reply = (yield Request("POST", f"{self.url}/refunds", json=body)).json()
        if "no" in reply:
            raise {"order": Refused, "account": AccountRefused, "unknown": NotFound}[reply["no"]]("the gateway said no")
        return Refund(
            reference=reference,
            gateway_id=reply.get("id"),
            refund_reference=reply["key"],
            refund_id=reply["refund"],
            status=RefundStatus(reply["status"]),
            amount=Money(reply["minor"], "CNY"),
        )

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        reply = (yield Request("POST", f"{self.url}/close", json={"id": reference})).json()
        if "no" in reply:
            raise Refused("it is paid")
        return Payment(reference=reply["id"], status=PaymentStatus.CANCELED)


REPLY = {"id": "P1", "key": "R1", "refund": "F1", "status": "refunded", "minor": 100}


@pytest.fixture
def refunding(open_hub: Any, gateway: Any) -> Any:
    def start(*answers: Any, url: str = URL) -> Any:
        provider = Refunding()
        provider.url = url
        scripted = gateway(*[a if isinstance(a, Exception) else httpx.Response(200, json=a) for a in answers])
        hub = open_hub(scripted, accounts={"shop": provider})
        hub.requests = scripted.requests
        return hub

    return start


def test_a_refund_carries_its_own_reference_and_is_bound(refunding: Any) -> None:
    """The key that makes it one refund, however often it is sent."""
    hub = refunding(REPLY)
    refund = hub.refund("shop", "A1001", "P1", ONE, "R1")
    assert json.loads(hub.requests[0].content) == {"id": "P1", "minor": 100, "key": "R1"}
    assert (refund.account, refund.provider, refund.amount) == ("shop", "refunding", ONE)
    assert (refund.status, refund.refund_id) == (RefundStatus.REFUNDED, "F1")
    assert Refund.model_validate_json(refund.model_dump_json()) == refund


def test_a_refund_by_reference_may_be_told_by_whichever_number_it_was_paid_under(open_hub: Any, gateway: Any) -> None:
    """An order that was paid twice has two; the hook that leaves the number out has not asked about one."""

    class ByReference(Refunding):
        @hookimpl
        def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:  # type: ignore[override]
            return (yield from super().refund(reference, None, amount, refund_reference))

    hub = open_hub(gateway(httpx.Response(200, json={**REPLY, "id": "P2"})), accounts={"shop": ByReference()})
    assert hub.refund("shop", "A1001", "P1", ONE, "R1").gateway_id == "P2"


def test_a_refund_in_another_currency_than_the_orders_is_not_sent(
    refunding: Any, make_order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 yen are no 100 fen, and a gateway that is given minor units alone cannot tell."""
    info = ProviderInfo(name="refunding", currencies=frozenset({"CNY", "JPY"}), identity=())
    monkeypatch.setattr(Refunding, "info", info)
    hub = refunding(REPLY)
    with pytest.raises(InvalidOrder, match="the order is in CNY, the refund in JPY"):
        hub.refund("shop", "A1001", "P1", Money(100, "JPY"), "R1", expect=make_order())
    assert hub.requests == []


@pytest.mark.parametrize(
    "changes", [{"key": "R2"}, {"minor": 99}, {"id": "P2"}, {"status": "perhaps"}, {"minor": "100"}, {"minor": None}]
)
def test_a_reply_about_something_else_leaves_the_outcome_unknown(refunding: Any, changes: dict[str, Any]) -> None:
    """Another refund, another sum, another payment, or nothing that can be read: sent once, never believed."""
    hub = refunding({**REPLY, **changes})
    with pytest.raises(OutcomeUnknown) as unknown:
        hub.refund("shop", "A1001", "P1", ONE, "R1")
    assert unknown.value.reference == "A1001"
    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error", "requests"),
    [
        ({"no": "order"}, Refused, 1),
        ({"no": "account"}, AccountRefused, 1),
        ({"no": "unknown"}, NotFound, 1),
        (httpx.ConnectError("x"), NotSent, 3),
        (httpx.ReadTimeout("x"), OutcomeUnknown, 1),
        (httpx.RemoteProtocolError("x"), OutcomeUnknown, 1),
    ],
)
def test_a_refund_that_fails_says_what_may_have_happened(
    refunding: Any, answer: Any, error: type[Exception], requests: int
) -> None:
    """Sent again only where it never left."""
    hub = refunding(answer)
    with pytest.raises(error) as caught:
        hub.refund("shop", "A1001", None, ONE, "R1")
    assert type(caught.value) is error
    assert len(hub.requests) == requests


def test_a_refund_over_plain_http_is_no_proof(refunding: Any) -> None:
    """As a query: the answer is a hint."""
    assert refunding(REPLY, url="http://r.example").refund("shop", "A1001", "P1", ONE, "R1").status == "pending"


def test_a_payment_is_closed(refunding: Any) -> None:
    """And one that is paid cannot be."""
    assert refunding({"id": "A1001"}).close_payment("shop", "A1001").status is PaymentStatus.CANCELED
    with pytest.raises(Refused):
        refunding({"no": 1}).close_payment("shop", "A1001")
    with pytest.raises(OutcomeUnknown):
        refunding({"id": "A1002"}).close_payment("shop", "A1001")
    with pytest.raises(OutcomeUnknown):
        refunding(httpx.ReadTimeout("x")).close_payment("shop", "A1001")


def test_a_gateway_without_refunds_says_so_before_anything_is_sent(hub: Any) -> None:
    """The aggregator has neither hook."""
    with pytest.raises(Unsupported, match="'gpu' has no refund") as unsupported:
        hub.refund("shop", "A1001", None, ONE, "R1")
    assert unsupported.value.account == "shop"
    with pytest.raises(Unsupported, match="'gpu' has no close"):
        hub.close_payment("shop", "A1001")
    assert not hub.hub["shop"].supports("refund")


def test_extensions_wrap_the_optional_hooks_too(open_hub: Any, gateway: Any) -> None:
    """By the same table."""
    seen = []

    class Audit:
        @hookimpl(wrapper=True)
        def refund(self, account: str, refund_reference: str) -> Any:
            flow = yield
            return self.watched(account, refund_reference, flow)

        def watched(self, account: str, refund_reference: str, flow: Any) -> Any:
            refund = yield from flow
            seen.append((account, refund_reference, refund.status.value, refund.account))
            return refund

    hub = open_hub(gateway(httpx.Response(200, json=REPLY)), accounts={"shop": Refunding()}, extensions=[Audit()])
    hub.refund("shop", "A1001", "P1", ONE, "R1")
    assert seen == [("shop", "R1", "refunded", "shop")]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"created_at": datetime(2026, 1, 2)}, "created_at: expected a datetime with a time zone, not one without"),  # noqa: DTZ001
        ({"created_at": "2026-01-02"}, "created_at: expected a datetime with a time zone, not str"),
        ({"expect": "A1001"}, "expect: expected an Order, not str"),
        ({"expect": "another"}, "expect: expected the order 'A1001', not 'B2002'"),
    ],
)
@pytest.mark.parametrize("hook", ["create_payment", "query", "refund", "close_payment"])
def test_what_is_told_beside_an_order_is_checked_before_anything_is_sent(
    hook: str, how: dict[str, Any], reason: str, refunding: Any, make_order: Any
) -> None:
    """A time without a zone would be another one in another process."""
    if "expect" in how:
        if hook == "create_payment":
            return
        how = {"expect": make_order(reference="B2002")} if how["expect"] == "another" else how
    asked = {
        "create_payment": (make_order(method=None),),
        "query": ("A1001",),
        "refund": ("A1001", None, ONE, "R1"),
        "close_payment": ("A1001",),
    }
    hub = refunding()
    with pytest.raises(InvalidOrder) as caught:
        getattr(hub, hook)("shop", *asked[hook], **how)
    assert reason in str(caught.value)
    assert not hub.requests
