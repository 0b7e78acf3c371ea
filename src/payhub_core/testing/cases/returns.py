"""Cases about returns: what the payer's browser brings is a claim, and never more."""

from __future__ import annotations

from dataclasses import replace

from payhub_core.models import CallbackKind, PaymentStatus
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import Mismatch, NotApplicable, case
from payhub_core.testing.cases.notifies import PAGE, refused, signed
from payhub_core.testing.outcome import expect


@case(
    "return.hint",
    "a return says what the browser claims, as a claim",
    "The payer's page shows it; nothing is delivered for it.",
    PAGE,
)
def _hint(bench: Bench) -> None:
    outcome = bench.hear(bench.returned(bench.paid()))
    payment = outcome.payment
    claim = f"{outcome}, claiming {payment.claimed_status}"
    expect(payment.reference == bench.order().reference, "a payment of the order", claim)
    expect(payment.claimed_status is PaymentStatus.PAID, "a claim that it is paid", claim)


@case(
    "return.forged",
    "a return that another key signed, or that is another merchant's, is refused",
    "A payer who reads 'paid' on your page will insist on it.",
    PAGE,
)
def _forged(bench: Bench) -> None:
    mine, forged = bench.returned(bench.paid()), bench.returned(bench.foreign(bench.paid()))
    if mine == forged:
        raise NotApplicable("the return is not signed")
    refused(bench.hear(forged), "a return that another key signed")
    for name in bench.info.identity:
        misnamed = bench.returned(bench.misnamed(bench.paid(), name))
        if misnamed != mine:
            refused(bench.hear(misnamed), f"a return with another merchant's {name}, made with a key of this account")


@case(
    "return.own_words",
    "the account's own requests are no return that claims a payment",
    "The address of a create is in the payer's browser where a page is posted; sent back, it must not read as paid.",
    PAGE,
)
def _return_own_words(bench: Bench) -> None:
    returned = bench.returned(bench.paid())
    heard = False
    for request in [*bench.sent(bench.create()), *bench.sent(bench.query())]:
        for data in {request.content, request.url.query} - {b""}:
            heard = True
            outcome = bench.hear(replace(returned, query=data, body=b""))
            harmless = outcome.error is not None or outcome.payment.claimed_status is not PaymentStatus.PAID
            expect(harmless, "an error, or no claim that it is paid", outcome)
    if not heard:
        raise NotApplicable("the provider sends nothing")


@case(
    "return.claimed",
    "a provider reads returns where the contract writes them, and only there",
    "What is not described here is not tested here.",
    PAGE,
)
def _return_claimed(bench: Bench) -> None:
    if bench.contract.returns:
        outcome = bench.hear(bench.returned(bench.paid()))
        expect(outcome.error is None, "the return that the contract writes to be read", outcome)
        return
    callback = bench.notify(bench.paid())
    if not signed(bench) or callback.method == "GET":
        raise NotApplicable("no return")
    # As a browser comes back. A notify that is posted to the return address is a hint, and no return.
    browser = replace(callback, kind=CallbackKind.RETURN, method="GET", query=callback.body, body=b"")
    outcome = bench.hear(browser)
    if outcome.error is None and outcome.payment:
        raise Mismatch("a returned() in the contract, or an error for a return", outcome)
