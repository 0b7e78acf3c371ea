"""Cases about query: what the gateway knows of an order."""

from __future__ import annotations

from payhub_core.errors import NotFound
from payhub_core.models import PaymentStatus
from payhub_core.testing.bench import Bench, expect
from payhub_core.testing.case import case

PAGE = "hooks.md#queryself-account-reference-gateway_id-expect-created_at"


@case(
    "query.paid",
    "an order that the gateway reports as paid is paid",
    "A query is how an order whose message was lost is found.",
    PAGE,
)
def _paid(bench: Bench) -> None:
    outcome = bench.query()
    expect(outcome.payment.status is PaymentStatus.PAID, "a payment that is paid", outcome)


@case(
    "query.missing",
    "an order that the gateway does not know is NotFound",
    "Not found is what lets the shop send the order anew; it is no failed payment.",
    PAGE,
)
def _missing(bench: Bench) -> None:
    outcome = bench.query(bench.paid(no="missing"))
    expect(isinstance(outcome.error, NotFound), "NotFound", outcome)
