"""Cases about create_payment: what the gateway is asked for, and what is made of its answer."""

from __future__ import annotations

from payhub_core.errors import Refused
from payhub_core.models import PaymentStatus
from payhub_core.testing.bench import Bench, expect
from payhub_core.testing.case import NotApplicable, case

PAGE = "hooks.md#create_paymentself-account-order"


@case(
    "create.accepted",
    "an order that the gateway takes becomes a payment of that order, with what the payer does next",
    "Without a next action nobody can pay; under another reference nobody can deliver.",
    PAGE,
)
def _accepted(bench: Bench) -> None:
    outcome = bench.create()
    payment = outcome.payment
    order = bench.order()
    expect(payment.reference == order.reference, f"a payment of {order.reference!r}", outcome)
    at_once = payment.status is not PaymentStatus.PENDING
    expect(payment.next_action is not None or at_once, "a next action for the payer", f"{outcome}, without one")


@case(
    "create.asks",
    "the gateway is asked once, for the order's own sum",
    "A sum in the wrong unit is a hundred times too much or too little.",
    PAGE,
)
def _asks(bench: Bench) -> None:
    outcome = bench.create()
    _ = outcome.payment
    asked, order = bench.asked(outcome), bench.order()
    sums = [str(money) for _, money in asked]
    expect(len(asked) == 1, "one request for a payment", f"{len(asked)} of them")
    expect(asked[0][1] == order.amount, f"a request for {order.amount}", sums[0])


@case(
    "create.refused",
    "an order that the gateway refuses ends as Refused, after one request",
    "The shop may offer the payer another way only when it is certain that nothing came of this one.",
    PAGE,
)
def _refused(bench: Bench) -> None:
    if not bench.create().requests:
        raise NotApplicable("create sends nothing")
    outcome = bench.create(sale=bench.sale(no="refused"))
    expect(isinstance(outcome.error, Refused), "Refused", outcome)
    expect(len(bench.asked(outcome)) == 1, "one request for a payment", f"{len(bench.asked(outcome))} of them")
