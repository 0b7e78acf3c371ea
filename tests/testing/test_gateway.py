"""The faults of the kit are those of real sockets: each ends alike over HTTPS and in memory, under both hubs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.testing.tea import Tea, TeaContract

from payhub_core import Hub, Money, NotSent, Payment, PaymentStatus, load_account
from payhub_core.testing import FAULTS, FakeGateway
from payhub_core.testing.bench import Bench

CONTRACT = TeaContract()
BENCH = Bench(CONTRACT)


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway(lambda request: CONTRACT.answer(request, BENCH.sale())) as gateway:
        yield gateway


def account(**changes: Any) -> Any:
    return load_account("shop", {"provider": Tea, **CONTRACT.settings, **changes})


def test_an_order_is_created_over_tls_whatever_its_gateways_address(gateway: FakeGateway) -> None:
    """The provider's address stays as it is configured."""
    with gateway.hub({"shop": account()}) as hub:
        payment = hub.create_payment("shop", CONTRACT.order())
    assert payment.reference == "A1001"
    assert [str(request.url) for request in gateway.requests] == ["https://tea.example/payments"]
    assert CONTRACT.asked(gateway.requests[0]) == ("A1001", Money(10000, "CNY"))


def test_an_order_is_created_under_asyncio(gateway: FakeGateway) -> None:
    """The same gateway, and the same answers."""

    async def create() -> Payment:
        async with gateway.async_hub({"shop": account()}) as hub:
            return await hub.create_payment("shop", CONTRACT.order())

    assert asyncio.run(create()).status is PaymentStatus.PENDING


def test_no_other_client_trusts_it(gateway: FakeGateway) -> None:
    """Its certificate is nobody's."""
    with Hub({"shop": account(base_url=gateway.url)}) as hub, pytest.raises(NotSent, match="certificate"):
        hub.create_payment("shop", CONTRACT.order())
    assert gateway.requests == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_alike_on_a_socket_and_in_memory(gateway: FakeGateway, fault: str) -> None:
    """So the cases, which are played in memory, speak of real networks."""
    order, settings = CONTRACT.order(), {"timeout": {"slow": 0.1, "read": 0.4}.get(fault, 5.0)}
    in_memory = BENCH.play(BENCH.create_call(order, fault=FAULTS[fault]), settings={**CONTRACT.settings, **settings})[
        0
    ].error
    gateway.fault = fault
    errors: list[Exception] = []

    async def create() -> None:
        async with gateway.async_hub({"shop": account(**settings)}) as hub:
            await hub.create_payment("shop", order)

    with gateway.hub({"shop": account(**settings)}) as hub:
        for call in (lambda: hub.create_payment("shop", order), lambda: asyncio.run(create())):
            with pytest.raises(Exception, match=r".*") as caught:
                call()
            errors.append(caught.value)
    assert [type(error) for error in errors] == [type(in_memory)] * 2
    assert len(gateway.requests) == (0 if fault == "connect" else 2)
