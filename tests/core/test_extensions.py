"""Extensions: audit, metrics, fraud checks around every hook, composed with ``payment = yield from flow``."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
import pytest

from payhub_core import (
    CallbackError,
    CallbackKind,
    ConfigError,
    Flow,
    MalformedCallback,
    Notification,
    NotSent,
    Order,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    Refused,
    WrongOrder,
    hookimpl,
)


class Audit:
    """Writes down what every hook ended in: the worked example."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def around(self, what: str, flow: Flow[Any]) -> Flow[Any]:
        self.log.append(f"{self.name} {what}")
        try:
            result = yield from flow
        except Exception as error:
            self.log.append(f"{self.name} {type(error).__name__}")
            raise
        payment = result.payment if isinstance(result, Notification) else result
        self.log.append(f"{self.name} {payment and payment.account} {payment and payment.status}")
        return result

    @hookimpl(wrapper=True)
    def create_payment(self, account: str) -> Generator[None, Flow[Payment], Flow[Payment]]:
        return self.around(f"creates for {account}", (yield))

    @hookimpl(wrapper=True)
    def query(self, account: str, reference: str) -> Generator[None, Flow[Payment], Flow[Payment]]:
        return self.around(f"queries {reference} of {account}", (yield))

    @hookimpl(wrapper=True)
    def parse_callback(self, account: str) -> Generator[None, Flow[Notification], Flow[Notification]]:
        return self.around(f"hears of {account}", (yield))


def test_extensions_wrap_in_order_the_first_outermost(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """And see bound payments: the account is filled in."""
    log: list[str] = []
    hub = open_hub(gateway(platform.create_reply()), extensions=[Audit("one", log), Audit("two", log)])
    assert hub.create_payment("shop", order).account == "shop"
    assert log == ["one creates for shop", "two creates for shop", "two shop pending", "one shop pending"]


def test_every_hook_is_wrapped(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """The query's answer and the callback's, checked before an extension sees them."""
    log: list[str] = []
    hub = open_hub(gateway(platform.query_reply()), extensions=[Audit("audit", log)])
    assert hub.query("shop", "A1001", expect=order).status is PaymentStatus.PAID
    notification = hub.parse_callback("shop", platform.callback(platform.notify()), expect=order)
    assert notification.bound
    assert notification.payment.status is PaymentStatus.PAID
    expected = ["audit queries A1001 of shop", "audit shop paid", "audit hears of shop", "audit shop paid"]
    assert log == expected


def test_an_extension_sees_a_return_as_the_hint_that_it_is(
    open_hub: Any, gateway: Any, platform: Any, order: Any
) -> None:
    """Never paid, not even on the inside."""
    log: list[str] = []
    callback = platform.callback({"order_no": "A1001", "pay_status": "1"}, kind=CallbackKind.RETURN)
    open_hub(gateway(), extensions=[Audit("audit", log)]).parse_callback("shop", callback, expect=order)
    assert log == ["audit hears of shop", "audit shop pending"]


def test_an_extension_hears_of_every_failure(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """Already as one of our errors."""
    log: list[str] = []
    hub = open_hub(gateway(httpx.ReadTimeout("x")), extensions=[Audit("audit", log)])
    with pytest.raises(OutcomeUnknown):
        hub.create_payment("shop", order)
    with pytest.raises(WrongOrder):
        hub.parse_callback("shop", platform.callback(platform.notify(order_no="B2")), expect=order)
    assert log == ["audit creates for shop", "audit OutcomeUnknown", "audit hears of shop", "audit WrongOrder"]


def test_a_flow_is_what_an_extension_sees_whatever_the_provider_returned(
    open_hub: Any, gateway: Any, tiny: Any, tiny_callback: Any, order: Any
) -> None:
    """One form of extension serves all providers, and messages about no payment too."""
    log: list[str] = []
    account = tiny(secret="secret-of-the-tiny-account")
    hub = open_hub(gateway(), accounts={"tiny": account}, extensions=[Audit("audit", log)])
    assert hub.create_payment("tiny", order).status is PaymentStatus.PENDING
    assert hub.parse_callback("tiny", tiny_callback(account, {"ping": 1})).payment is None
    assert log == ["audit creates for tiny", "audit tiny pending", "audit hears of tiny", "audit None None"]


class FraudCheck:
    """Refuses before anything is sent."""

    @hookimpl(wrapper=True)
    def create_payment(self, order: Order) -> Generator[None, Flow[Payment], Flow[Payment]]:
        flow = yield
        return self.checked(flow, order)

    def checked(self, flow: Flow[Payment], order: Order) -> Flow[Payment]:
        if order.payer == "thief":
            flow.close()
            raise Refused("the fraud check refused", code="fraud")
        return (yield from flow)


def test_a_fraud_check_refuses_before_anything_is_sent(
    open_hub: Any, gateway: Any, platform: Any, make_order: Any
) -> None:
    """As a Refused with its own code; others pass."""
    answers = gateway(platform.create_reply())
    hub = open_hub(answers, extensions=[FraudCheck()])
    with pytest.raises(Refused) as caught:
        hub.create_payment("shop", make_order(payer="thief"))
    assert caught.value.code == "fraud"
    assert answers.requests == []
    assert hub.create_payment("shop", make_order(payer="honest"))


class Crash:
    """Fails before or after the exchange."""

    def __init__(self, *, early: bool) -> None:
        self.early = early

    def around(self, flow: Flow[Any]) -> Flow[Any]:
        if self.early:
            raise KeyError("canary")
        result = yield from flow
        raise KeyError("canary", result)

    @hookimpl(wrapper=True)
    def create_payment(self) -> Generator[None, Flow[Payment], Flow[Payment]]:
        return self.around((yield))

    @hookimpl(wrapper=True)
    def parse_callback(self) -> Generator[None, Flow[Notification], Flow[Notification]]:
        return self.around((yield))


@pytest.mark.parametrize("early", [True, False])
def test_an_extensions_crash_is_not_a_lost_payment(
    open_hub: Any, gateway: Any, platform: Any, order: Any, early: bool
) -> None:
    """After the gateway accepted, the outcome is unknown, which makes the caller query; before, nothing was sent."""
    answers = gateway(platform.create_reply())
    hub = open_hub(answers, extensions=[Crash(early=early)])
    with pytest.raises(NotSent if early else OutcomeUnknown) as caught:
        hub.create_payment("shop", order)
    assert "canary" not in str(caught.value)
    assert len(answers.requests) == (not early)


@pytest.mark.parametrize("early", [True, False])
def test_an_extensions_crash_on_a_callback_is_no_acknowledgement(
    open_hub: Any, gateway: Any, platform: Any, early: bool
) -> None:
    """One of our errors, so the gateway sends it again."""
    with pytest.raises(CallbackError):
        open_hub(gateway(), extensions=[Crash(early=early)]).parse_callback(
            "shop", platform.callback(platform.notify())
        )


class Meddler:
    """Answers with another order's payment."""

    @hookimpl(wrapper=True)
    def create_payment(self) -> Generator[None, Flow[Payment], Flow[Payment]]:
        flow = yield
        return self.changed(flow)

    def changed(self, flow: Flow[Payment]) -> Flow[Payment]:
        payment = yield from flow
        return payment.model_copy(update={"reference": "B2"})


def test_what_an_extension_returns_is_checked_as_well(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """The binding is the last word."""
    with pytest.raises(OutcomeUnknown, match="B2"):
        open_hub(gateway(platform.create_reply()), extensions=[Meddler()]).create_payment("shop", order)


class Misspelt:
    @hookimpl(wrapper=True)
    def create_paymnet(self) -> Any:
        return (yield)


class UnknownArgument:
    @hookimpl(wrapper=True)
    def query(self, order_no: str) -> Any:
        return (yield)


class KeywordOnly:
    @hookimpl(wrapper=True)
    def query(self, *, reference: str) -> Any:
        return (yield)


class Asynchronous:
    @hookimpl
    async def query(self, reference: str) -> Any:
        return None


class AsynchronousWrapper:
    @hookimpl(wrapper=True)
    async def query(self, reference: str) -> Any:
        yield


class NoWrapper:
    @hookimpl
    def query(self, reference: str) -> Any:
        return None


class NoGenerator:
    @hookimpl(wrapper=True)
    def query(self, reference: str) -> Any:
        return None


@pytest.mark.parametrize(
    "extension", [Misspelt, UnknownArgument, KeywordOnly, Asynchronous, AsynchronousWrapper, NoWrapper, NoGenerator]
)
def test_an_extension_that_does_not_fit_is_refused_at_registration(
    open_hub: Any, gateway: Any, order: Any, extension: Any
) -> None:
    """A misspelt hook would be an audit that never runs."""
    with pytest.raises(ConfigError):
        open_hub(gateway(), extensions=[extension()]).create_payment("shop", order)


def test_one_extension_twice_is_refused(open_hub: Any, gateway: Any, order: Any) -> None:
    """As a mistake of the configuration."""
    audit = Audit("audit", [])
    with pytest.raises(ConfigError):
        open_hub(gateway(), extensions=[audit, audit]).create_payment("shop", order)


def test_malformed_stays_malformed_through_extensions(open_hub: Any, gateway: Any, platform: Any) -> None:
    """Errors keep their kind on the way out."""
    log: list[str] = []
    with pytest.raises(MalformedCallback):
        open_hub(gateway(), extensions=[Audit("a", log), Audit("b", log)]).parse_callback(
            "shop", platform.callback(platform.notify(amount=None))
        )
    assert log == ["a hears of shop", "b hears of shop", "b MalformedCallback", "a MalformedCallback"]
