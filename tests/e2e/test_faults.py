"""Every way in which the gateway's replies go wrong: the right error, nothing sent twice, nothing forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.hubs import HUBS

from payhub_core import (
    AccountRefused,
    GatewayError,
    HtmlPage,
    NotFound,
    OutcomeUnknown,
    PaymentStatus,
    Redirect,
    Refused,
    WrongOrder,
)
from payhub_sandbox.faults import FAULTS

DOWN = {"http_500", "http_502", "http_503", "http_504", "http_599"}
BROKEN = {"cut", "cut_before", "slow", "drip", "oversized"}
UNREADABLE = {
    *("html", "php_warning", "truncated", "invalid_utf8", "redirect"),
    *("data_list", "data_null", "data_empty_string", "data_absent", "status_bool", "status_null"),
}
CLEAR = {"bom", "status_text", "status_int"}
NEVER_ARRIVED = {"cut_before", "refuse"}
#: What goes wrong in the exchange may go wrong in each hub's own way; what an answer says is read without any I/O.
EXCHANGE = BROKEN | {"http_503"}


def in_each_hub(faults: set[str]) -> pytest.MarkDecorator:
    """Runs over ``faults``: those of the exchange in every hub, the others in one."""
    pairs = [(hub, fault) for fault in sorted(faults) for hub in (HUBS if fault in EXCHANGE else HUBS[:1])]
    return pytest.mark.parametrize(("open_hub", "fault"), pairs, indirect=["open_hub"])


@pytest.fixture
def hasty(open_hub: Callable[..., Any], accounts: Any, sandbox: Any) -> Callable[[str], Any]:
    """A hub that waits for a slow gateway only as long as its account says."""
    return lambda fault: open_hub(accounts=accounts(sandbox.url, timeout=0.25 if fault in {"slow", "drip"} else 15))


def test_every_fault_is_tried() -> None:
    """A fault that the sandbox learns is not forgotten here."""
    both = BROKEN | UNREADABLE | CLEAR | {"refuse", "other_order"}
    assert FAULTS["unified"] == both | {"no_redirect", "redirect_scheme"}
    assert FAULTS["check_order"] == both


@in_each_hub(DOWN | BROKEN | UNREADABLE | {"other_order", "redirect_scheme"})
def test_a_create_without_a_usable_answer(
    hub: Any,
    hasty: Callable[[str], Any],
    sandbox: Any,
    make_order: Any,
    asked: Callable[..., int],
    fault: str,
) -> None:
    """The outcome is unknown: sent exactly once, and a query tells what has become of it."""
    sandbox.fault("unified", fault, times=10, seconds=30)
    with pytest.raises(OutcomeUnknown) as unknown:
        hasty(fault).create_payment("shop", make_order())
    assert (unknown.value.account, unknown.value.reference) == ("shop", "A1001")
    assert asked(sandbox, "unified") == 1
    known = sandbox.orders("gpu10000000", "A1001")
    if fault in NEVER_ARRIVED:
        assert known == []
        with pytest.raises(NotFound):
            hub.query("shop", "A1001")
    else:
        assert hub.query("shop", "A1001", expect=make_order()).gateway_id == known[0]["platform_order_no"]


def test_a_create_that_is_refused(hub: Any, sandbox: Any, make_order: Any, asked: Callable[..., int]) -> None:
    """The gateway's own words, one request, and no order."""
    sandbox.fault("unified", "refuse", message="通道维护中")
    with pytest.raises(Refused) as refused:
        hub.create_payment("shop", make_order())
    assert (refused.value.reason, asked(sandbox, "unified")) == ("通道维护中", 1)
    assert sandbox.orders("gpu10000000", "A1001") == []


@pytest.mark.parametrize("fault", [*sorted(CLEAR), "no_redirect"])
def test_a_create_that_is_answered_oddly(
    hub: Any, sandbox: Any, make_order: Any, asked: Callable[..., int], fault: str
) -> None:
    """An answer all the same."""
    sandbox.fault("unified", fault)
    payment = hub.create_payment("shop", make_order())
    assert isinstance(payment.next_action, HtmlPage if fault == "no_redirect" else Redirect)
    assert (payment.status, asked(sandbox, "unified")) == (PaymentStatus.PENDING, 1)


@in_each_hub(DOWN | BROKEN | UNREADABLE)
def test_a_query_without_a_usable_answer(
    hub: Any,
    hasty: Callable[[str], Any],
    sandbox: Any,
    make_order: Any,
    asked: Callable[..., int],
    fault: str,
) -> None:
    """A GatewayError that proves nothing; asked again up to three times where the exchange failed, else once."""
    created = hub.create_payment("shop", make_order())
    sandbox.pay(created.gateway_id, notify=False)
    sandbox.fault("check_order", fault, times=10, seconds=30)
    with pytest.raises(GatewayError) as proves_nothing:
        hasty(fault).query("shop", "A1001")
    assert (type(proves_nothing.value), proves_nothing.value.reference) == (GatewayError, "A1001")
    assert asked(sandbox, "check_order") == (1 if fault in UNREADABLE else 3)
    sandbox.clear_faults()
    assert hub.query("shop", "A1001").claimed_status is PaymentStatus.PAID
    assert asked(sandbox, "unified") == 1


@pytest.mark.parametrize(("fault", "error"), [("refuse", AccountRefused), ("other_order", WrongOrder)])
def test_a_query_with_another_answer(
    hub: Any, sandbox: Any, make_order: Any, asked: Callable[..., int], fault: str, error: type[Exception]
) -> None:
    """Refused, or about another order: asked once, and never taken for this order's news."""
    hub.create_payment("shop", make_order())
    sandbox.fault("check_order", fault, times=10)
    with pytest.raises(error) as raised:
        hub.query("shop", "A1001")
    assert (type(raised.value), asked(sandbox, "check_order")) == (error, 1)


@pytest.mark.parametrize("fault", sorted(CLEAR))
def test_a_query_that_is_answered_oddly(hub: Any, sandbox: Any, make_order: Any, fault: str) -> None:
    """An answer all the same."""
    sandbox.pay(hub.create_payment("shop", make_order()).gateway_id, notify=False)
    sandbox.fault("check_order", fault)
    assert hub.query("shop", "A1001").claimed_status is PaymentStatus.PAID


@pytest.mark.parametrize("fault", ["cut", "http_503"])
def test_a_query_gets_over_two_failures(
    hub: Any, sandbox: Any, make_order: Any, asked: Callable[..., int], fault: str
) -> None:
    """The third attempt is answered, and the application notices nothing."""
    hub.create_payment("shop", make_order())
    sandbox.fault("check_order", fault, times=2)
    assert hub.query("shop", "A1001").reference == "A1001"
    assert asked(sandbox, "check_order") == 3


def test_the_same_number_again_is_refused(hub: Any, sandbox: Any, make_order: Any, asked: Callable[..., int]) -> None:
    """An application that creates again instead of querying gets a refusal from the gateway, never a second payment."""
    sandbox.fault("unified", "cut")
    for outcome in (OutcomeUnknown, Refused):
        with pytest.raises(outcome):
            hub.create_payment("shop", make_order())
    assert (asked(sandbox, "unified"), len(sandbox.orders())) == (2, 1)
