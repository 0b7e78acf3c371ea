"""Both hubs: accounts, outcomes, and what a plugin's mistakes become."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
import trio
from pydantic import BaseModel

from payhub_core import (
    AsyncHub,
    BadSignature,
    Callback,
    CallbackError,
    CallbackKind,
    ConfigError,
    GatewayError,
    Hub,
    InvalidOrder,
    MalformedCallback,
    Money,
    NotFound,
    Notification,
    NotSent,
    OutcomeUnknown,
    PayhubError,
    Payment,
    PaymentStatus,
    Redirect,
    Refused,
    Request,
    load_account,
    load_accounts,
)

CALLBACK = Callback("POST", {}, b"", b"")
REQUEST = httpx.Request("GET", "https://gateway.example")


def test_a_payment_is_created(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """One request; the payment knows its account and provider, and what the payer does next."""
    answers = gateway(platform.create_reply())
    payment = open_hub(answers).create_payment("shop", order)
    assert (payment.account, payment.provider, payment.status) == ("shop", "gpu", PaymentStatus.PENDING)
    assert isinstance(payment.next_action, Redirect)
    assert len(answers.requests) == 1


def test_an_invalid_order_is_refused_before_any_request(hub: Any, make_order: Any) -> None:
    """With the account and the order named."""
    with pytest.raises(InvalidOrder) as caught:
        hub.create_payment("shop", make_order(reference="A" * 21))
    assert (caught.value.account, caught.value.reference) == ("shop", "A" * 21)


@pytest.mark.parametrize("order", [None, {"reference": "A1"}, "A1"])
def test_what_is_no_order_is_an_invalid_order(hub: Any, order: Any) -> None:
    """A dict is not enough."""
    with pytest.raises(InvalidOrder, match="Order"):
        hub.create_payment("shop", order)


@pytest.mark.parametrize("callback", [None, b"a=1", {"a": "1"}])
def test_what_is_no_callback_is_refused(hub: Any, callback: Any) -> None:
    """As one of our errors."""
    with pytest.raises(CallbackError):
        hub.parse_callback("shop", callback)


def test_a_refused_callback_names_its_account(hub: Any, platform: Any) -> None:
    """For the log."""
    with pytest.raises(BadSignature) as caught:
        hub.parse_callback("shop", platform.callback(b"a=1"))
    assert caught.value.account == "shop"


def test_an_account_that_is_not_configured_has_a_hint(hub: Any, order: Any) -> None:
    """The nearest that is."""
    for call in (lambda: hub.create_payment("shpo", order), lambda: hub.query("shpo", "A1")):
        with pytest.raises(ConfigError, match="did you mean 'shop'"):
            call()


def test_a_callback_before_the_create_reply_is_good(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """The notify may overtake the answer; a hub holds no state that could object."""
    hub: Any = None

    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow")

    hub = open_hub(gateway(answer))
    with pytest.raises(OutcomeUnknown):
        hub.create_payment("shop", order)
    notification = hub.parse_callback("shop", platform.callback(platform.notify()), expect=order)
    assert notification.payment.status is PaymentStatus.PAID


def test_a_query_finds_paid_after_a_failed_callback(open_hub: Any, gateway: Any, platform: Any, order: Any) -> None:
    """Failed is never the last word."""
    hub = open_hub(gateway(platform.query_reply()))
    failed = hub.parse_callback("shop", platform.callback(platform.notify(pay_status="0")), expect=order)
    assert failed.payment.status is PaymentStatus.FAILED
    assert hub.query("shop", "A1001", expect=order).status is PaymentStatus.PAID


def test_two_accounts_of_one_provider_keep_to_themselves(
    open_hub: Any, gateway: Any, platform: Any, settings: Any, order: Any
) -> None:
    """Own secrets, own hosts, own callbacks."""
    other = {**settings, "appid": "gpu2", "secret": "secret-of-the-other-shop-001", "base_url": "https://two.example"}
    answers = gateway(platform.create_reply())
    hub = open_hub(answers, accounts=load_accounts({"accounts": {"one": settings, "two": other}}))
    for name in ("one", "two", "one"):
        assert hub.create_payment(name, order).account == name
    assert [request.url.host for request in answers.requests] == ["gateway.example", "two.example", "gateway.example"]
    callback = platform.callback(platform.notify())
    assert hub.parse_callback("one", callback).payment.account == "one"
    with pytest.raises(BadSignature):
        hub.parse_callback("two", callback)


def test_hooks_may_return_or_yield(open_hub: Any, gateway: Any, tiny: Any, tiny_callback: Any, make_order: Any) -> None:
    """A create that sends nothing, a callback without a request, a query that needs one: all three ways."""
    account = tiny(secret="secret-of-the-tiny-account")
    answers = gateway(httpx.Response(200, json={"status": "paid"}))
    hub = open_hub(answers, accounts={"tiny": account})
    assert hub.create_payment("tiny", make_order()).next_action.url.startswith("https://tiny.example/pay")
    message = {"order": "A1001", "status": "paid", "paid": 10000}
    assert hub.parse_callback("tiny", tiny_callback(account, message), expect=make_order()).bound
    assert answers.requests == []
    assert hub.query("tiny", "A1001", gateway_id="T7").status is PaymentStatus.PAID
    assert str(answers.requests[0].url) == "https://tiny.example/orders/T7"


def test_a_callback_may_need_a_request(open_hub: Any, gateway: Any, make_provider: Any, order: Any) -> None:
    """Some gateways send a certificate's number, or only the order's."""

    def parse(_: Callback) -> Any:
        response = yield REQUEST
        paid = Money(response.json()["paid"], "CNY")
        return Notification(CallbackKind.NOTIFY, Payment(reference="A1001", status=PaymentStatus.PAID, paid=paid))

    answers = gateway(httpx.Response(200, json={"paid": 10000}))
    hub = open_hub(answers, accounts={"shop": make_provider(parse_callback=parse)})
    notification = hub.parse_callback("shop", CALLBACK, expect=order)
    assert notification.bound
    assert notification.payment.status is PaymentStatus.PAID
    assert len(answers.requests) == 1


@pytest.mark.parametrize("fault", [httpx.ReadTimeout("x"), httpx.Response(500)], ids=str)
def test_a_callback_whose_request_fails_is_not_believed(
    open_hub: Any, gateway: Any, make_provider: Any, fault: Any
) -> None:
    """A GatewayError: no acknowledgement, so the gateway sends it again."""

    def parse(_: Callback) -> Any:
        yield REQUEST
        return Notification(CallbackKind.NOTIFY, Payment(reference="A1001", status=PaymentStatus.PAID))

    hub = open_hub(gateway(fault), accounts={"shop": make_provider(parse_callback=parse)})
    with pytest.raises(GatewayError):
        hub.parse_callback("shop", CALLBACK)


def test_a_status_of_failure_that_the_manual_has_a_meaning_for_is_read(
    open_hub: Any, gateway: Any, make_provider: Any
) -> None:
    """Such as "still processing" by HTTP 500; any other one stays unread, and is asked again."""

    def query(reference: str) -> Any:
        response = yield Request("GET", "https://gateway.example/payments", answers={500})
        assert response.status_code == 500
        return Payment(reference=reference, status=PaymentStatus.PENDING)

    accounts = {"shop": make_provider(query=query)}
    waits = gateway(httpx.Response(500, json={"code": "processing"}))
    assert open_hub(waits, accounts=accounts).query("shop", "A1001").status is PaymentStatus.PENDING
    assert len(waits.requests) == 1
    lost = gateway(httpx.Response(502, json={"code": "processing"}))
    with pytest.raises(GatewayError) as failed:
        open_hub(lost, accounts=accounts).query("shop", "A1001")
    assert failed.value.unanswered


# A plugin's mistakes


class Model(BaseModel):
    number: int


def validation_error() -> None:
    Model(number="canary")  # type: ignore[arg-type]


def fail_with(error: Exception) -> Any:
    raise error


MISTAKES: dict[str, Any] = {
    "KeyError": lambda: fail_with(KeyError("canary")),
    "httpx": lambda: fail_with(httpx.ReadError("canary")),
    "StopIteration": lambda: fail_with(StopIteration("canary")),
    "AttributeError": lambda: fail_with(AttributeError("canary")),
    "RecursionError": lambda: fail_with(RecursionError("canary")),
    "ValidationError": validation_error,
    "CallbackError": lambda: fail_with(MalformedCallback("mine")),
    "None": lambda: None,
    "text": lambda: "paid",
    "another model": lambda: Model(number=1),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_plugins_mistake_in_create_is_one_of_our_errors(
    open_hub: Any, gateway: Any, make_provider: Any, order: Any, mistake: str, when: str
) -> None:
    """Before a request NotSent, after one OutcomeUnknown, never sent twice; its text, which may quote, is not shown."""

    def create(_: Any) -> Any:
        if when == "before":
            return MISTAKES[mistake]()
        yield REQUEST
        return MISTAKES[mistake]()

    answers = gateway(httpx.Response(200))
    hub = open_hub(answers, accounts={"shop": make_provider(create_payment=create)})
    with pytest.raises(NotSent if when == "before" else OutcomeUnknown) as caught:
        hub.create_payment("shop", order)
    assert (caught.value.account, caught.value.reference) == ("shop", "A1001")
    assert "canary" not in str(caught.value)
    assert len(answers.requests) == (when == "after")


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("hook", ["query", "parse_callback"])
@pytest.mark.parametrize("flows", [True, False])
def test_a_plugins_mistake_elsewhere_is_one_of_our_errors(
    open_hub: Any, gateway: Any, make_provider: Any, order: Any, mistake: str, hook: str, flows: bool
) -> None:
    """A query's proves nothing, a callback's refuses it."""

    def flow(_: Any) -> Any:
        yield REQUEST
        return MISTAKES[mistake]()

    function = flow if flows else (lambda _: MISTAKES[mistake]())
    hub = open_hub(gateway(httpx.Response(200)), accounts={"shop": make_provider(**{hook: function})})
    call, argument = (hub.query, "A1001") if hook == "query" else (hub.parse_callback, CALLBACK)
    with pytest.raises((GatewayError, CallbackError)) as caught:
        call("shop", argument, expect=order)
    assert not isinstance(caught.value, OutcomeUnknown | NotFound | Refused)
    assert "canary" not in str(caught.value)
    assert caught.value.account == "shop"
    if hook == "parse_callback":
        # Once a request has left, nobody may be told that the message was bad: the gateway is to send it again.
        assert isinstance(caught.value, GatewayError if flows else CallbackError)


def test_a_bug_keeps_its_traceback_and_a_quoting_error_does_not(open_hub: Any, make_provider: Any, order: Any) -> None:
    """The author needs the one; the other quotes the gateway's message."""
    for mistake, kept in (("KeyError", True), ("ValidationError", False)):
        hub = open_hub(accounts={"shop": make_provider(create_payment=lambda _, m=mistake: MISTAKES[m]())})
        with pytest.raises(NotSent) as caught:
            hub.create_payment("shop", order)
        assert (caught.value.__cause__ is not None) is kept
        assert caught.value.__suppress_context__


@pytest.mark.parametrize("error", [InvalidOrder("x"), ConfigError("x"), NotSent("x"), GatewayError("x"), NotFound("x")])
def test_after_a_request_only_refused_is_certain(
    open_hub: Any, gateway: Any, make_provider: Any, order: Any, error: PayhubError
) -> None:
    """Whatever a provider makes of a reply, a create that may have arrived is never called a failure."""

    def create(_: Any) -> Any:
        yield REQUEST
        raise error

    hub = open_hub(gateway(httpx.Response(200)), accounts={"shop": make_provider(create_payment=create)})
    with pytest.raises(OutcomeUnknown):
        hub.create_payment("shop", order)


def test_a_provider_may_catch_a_time_out_and_query_instead(
    open_hub: Any, gateway: Any, make_provider: Any, order: Any
) -> None:
    """A yield behaves like client.send and may stand in a try."""

    def create(_: Any) -> Any:
        try:
            yield REQUEST
        except OutcomeUnknown:
            yield REQUEST
        return Payment(reference="A1001", status=PaymentStatus.PENDING)

    answers = gateway(httpx.ReadTimeout("x"), httpx.Response(200))
    hub = open_hub(answers, accounts={"shop": make_provider(create_payment=create)})
    assert hub.create_payment("shop", order).reference == "A1001"
    assert len(answers.requests) == 2


def test_a_failure_after_a_lost_answer_is_still_unknown(
    open_hub: Any, gateway: Any, make_provider: Any, order: Any
) -> None:
    """NotSent for the second request says nothing of the first."""

    def create(_: Any) -> Any:
        try:
            yield REQUEST
        except OutcomeUnknown:
            yield REQUEST
        return Payment(reference="A1001", status=PaymentStatus.PENDING)

    answers = gateway(httpx.ReadTimeout("x"), httpx.ConnectError("x"))
    hub = open_hub(answers, accounts={"shop": make_provider(create_payment=create)})
    with pytest.raises(OutcomeUnknown):
        hub.create_payment("shop", order)


# Life of a hub


def test_a_closed_hub_says_so(open_hub: Any, order: Any) -> None:
    """Closing twice is no error."""
    hub = open_hub()
    hub.close()
    hub.close()
    with pytest.raises(PayhubError, match="closed"):
        hub.create_payment("shop", order)


def test_a_hub_closes_its_own_client_and_not_yours(settings: Any) -> None:
    """What was injected stays its owner's."""
    accounts = load_accounts({"accounts": {"shop": settings}})
    with Hub(accounts) as hub:
        own: Any = hub._own
    assert own.is_closed
    with httpx.Client() as client, Hub(accounts, client=client):
        pass
    with httpx.Client() as client:
        with Hub(accounts, client=client):
            pass
        assert not client.is_closed


def test_a_forked_process_leaves_the_connections_of_its_parent_alone(settings: Any) -> None:
    """As under a preloading server: two processes on one connection would read each other's replies."""
    with Hub(load_accounts({"accounts": {"shop": settings}})) as hub:
        parents: Any = hub._own
        assert hub["shop"]._exchanged("query").client is parents
        child = os.fork()
        if child == 0:
            apart = hub["shop"]._exchanged("query").client is hub._own is not parents
            os._exit(0 if apart and not parents.is_closed else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert hub["shop"]._exchanged("query").client is parents


def test_a_forked_process_opens_its_accounts_anew(settings: Any) -> None:
    """Whatever the parent had open, and whoever was opening one at that moment."""
    account = load_account("shop", settings)
    accounts = MappingProxyType(tenants := {"old": account})
    with httpx.Client() as client, Hub(accounts, client=client) as hub:
        assert hub["old"].name == "old"
        with hub._lock:
            child = os.fork()
        if child == 0:
            tenants["new"] = tenants.pop("old")
            os._exit(0 if hub["new"].name == "new" else 1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.anyio
async def test_an_async_hub_closes_its_own_client_and_not_yours(settings: Any) -> None:
    """As the sync one."""
    accounts = load_accounts({"accounts": {"shop": settings}})
    async with AsyncHub(accounts) as hub:
        own: Any = hub._own
        opened = own._clients.here()
        assert not opened.is_closed
    assert opened.is_closed
    async with httpx.AsyncClient() as client:
        async with AsyncHub(accounts, client=client):
            pass
        assert not client.is_closed


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_a_loop_that_ends_closes_the_client_that_was_opened_in_it(settings: Any, run: Callable[..., Any]) -> None:
    """A queue's task has one for each call; one that was closed by hand is forgotten by the next."""
    hub = AsyncHub(load_accounts({"accounts": {"shop": settings}}))
    own: Any = hub._own
    opened: list[httpx.AsyncClient] = []

    async def use() -> None:
        opened.append(own._clients.here())
        assert not opened[-1].is_closed

    for _ in range(3):
        run(use) if run is trio.run else run(use())
    assert [client.is_closed for client in opened] == [True] * 3
    assert own._clients.made == []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use())
    loop.close()
    asyncio.run(use())
    assert own._clients.made == []
    assert len(own._clients._ends) == 0  # which would hold the loops


@pytest.mark.parametrize("kind", [Hub, AsyncHub])
def test_an_account_may_be_bound(kind: Any, settings: Any) -> None:
    """It is made once."""
    hub = kind(load_accounts({"accounts": {"one": settings}}), client=SimpleNamespace(send=print))
    assert hub["one"] is hub["one"]
    assert hub["one"].name == "one"


def test_a_bound_account_does_what_the_hub_does(platform: Any, settings: Any, gateway: Any, order: Any) -> None:
    """Without the account's name."""
    client = httpx.Client(transport=httpx.MockTransport(gateway(platform.create_reply(), platform.query_reply())))
    with client, Hub(load_accounts({"accounts": {"shop": settings}}), client=client) as hub:
        assert hub["shop"].create_payment(order).account == "shop"
        assert hub["shop"].query("A1001", expect=order).status is PaymentStatus.PAID
        assert hub["shop"].parse_callback(platform.callback(platform.notify()), expect=order).bound


def test_one_tls_context_serves_the_process(settings: Any) -> None:
    """Making one takes 20 ms."""
    from payhub_core.transport.client import tls  # noqa: PLC0415

    assert tls() is tls()
    assert tls().check_hostname


def test_identical_callbacks_in_parallel_are_all_acknowledged(settings: Any, platform: Any, order: Any) -> None:
    """From threads over one hub, the accounts opened by whoever comes first."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with Hub(load_accounts({"accounts": {"shop": settings}})) as hub, ThreadPoolExecutor(8) as pool:
        callback = platform.callback(platform.notify())
        results = list(pool.map(lambda _: hub.parse_callback("shop", callback, expect=order), range(200)))
    assert {result.reply.body for result in results} == {b"SUCCESS"}
    assert len({id(result.payment) for result in results}) == 200


class Slow:
    """A client that never answers."""

    def __init__(self) -> None:
        self.asked = anyio.Event()

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        self.asked.set()
        await anyio.sleep_forever()
        raise AssertionError


@pytest.mark.anyio
@pytest.mark.parametrize("hook", ["create_payment", "query", "parse_callback"])
async def test_a_call_that_is_cancelled_half_way_closes_its_flow(make_provider: Any, order: Any, hook: str) -> None:
    """The provider's finally has run, at once and not when garbage is collected."""
    seen: list[str] = []

    def flow(_: Any) -> Any:
        try:
            yield REQUEST
        finally:
            seen.append("closed")

    client = Slow()
    hub = AsyncHub({"shop": make_provider(**{hook: flow})}, client=client)
    argument: Any = {"create_payment": order, "query": "A1001", "parse_callback": CALLBACK}[hook]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(getattr(hub, hook), "shop", argument)
        await client.asked.wait()
        assert seen == []
        tasks.cancel_scope.cancel()
    assert seen == ["closed"]
