"""Cases about callbacks: which are believed, and what they then say."""

from __future__ import annotations

from payhub_core.errors import CallbackError
from payhub_core.models import Callback, PaymentStatus
from payhub_core.testing.bench import Bench, Outcome, expect, meaning
from payhub_core.testing.case import NotApplicable, case
from payhub_core.testing.messages import differing, parts

PAGE = "hooks.md#parse_callbackself-account-callback-expect"


def refused(outcome: Outcome, message: str) -> None:
    """Raises Mismatch unless the message was refused as no callback of the account's."""
    expect(isinstance(outcome.error, CallbackError), f"a CallbackError for {message}", outcome)


def refused_or_same(bench: Bench, callback: Callback, genuine: object, message: str) -> None:
    """Raises Mismatch where an altered message is taken for something else than the genuine one."""
    outcome = bench.hear(callback)
    same = outcome.error is None and meaning(outcome) == genuine
    expect(
        same or isinstance(outcome.error, CallbackError),
        f"a CallbackError for {message}, or the meaning of the genuine message",
        outcome,
    )


def genuine(bench: Bench) -> tuple[Callback, Outcome]:
    """A genuine notify of an order paid in full, and what was made of it."""
    callback = bench.notify(bench.paid())
    return callback, bench.hear(callback)


@case(
    "notify.genuine",
    "a genuine message is accepted, and says that the order is paid",
    "An order whose message is refused is paid and never delivered.",
    PAGE,
)
def _genuine(bench: Bench) -> None:
    _, outcome = genuine(bench)
    payment = outcome.payment
    order = bench.order()
    expect(payment.status is PaymentStatus.PAID, f"a payment of {order.reference!r} that is paid", outcome)
    expect(payment.reference == order.reference, f"a payment of {order.reference!r}", outcome)
    expect(outcome.result.bound, "a notification that is bound to the order", outcome)


@case(
    "notify.acknowledged",
    "the reply is the acknowledgement that the gateway wants, byte for byte",
    "A gateway that is not answered in its own words sends the message again and again, or closes the account.",
    PAGE,
)
def _acknowledged(bench: Bench) -> None:
    _, outcome = genuine(bench)
    _ = outcome.payment
    reply = outcome.result.reply
    expected = bench.contract.acknowledged
    expect(reply.body == expected, f"a reply of {expected!r}", repr(reply.body))
    expect(200 <= reply.status_code < 300, "a reply of HTTP 2xx", reply.status_code)  # noqa: PLR2004


@case(
    "notify.foreign_key",
    "a message that another key signed is refused; one that nothing signs is believed by asking the gateway",
    "Or whoever knows an order's number marks it paid.",
    PAGE,
)
def _foreign_key(bench: Bench) -> None:
    callback, outcome = genuine(bench)
    forged = bench.notify(bench.foreign(bench.paid()))
    if not differing(callback, forged):
        expect(
            outcome.requests,
            "a request to the gateway, since notify() writes the same bytes with any key",
            f"{outcome} without any request",
        )
        raise NotApplicable("the callback is not signed, it is believed by asking the gateway")
    refused(bench.hear(forged), "a message that another key signed")


@case(
    "notify.unsigned",
    "a message without its signature, or with a piece of it, is refused",
    "A check that is skipped where there is nothing to check is no check (CVE-2026-41432).",
    PAGE,
)
def _unsigned(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    carriers = differing(callback, bench.notify(bench.foreign(bench.paid())))
    if not carriers:
        raise NotApplicable("the callback is not signed")
    again = {part.name: part.value for part in parts(bench.notify(bench.paid()))}
    said = meaning(accepted)
    for part in carriers:
        pieces = {
            "missing": None,
            "empty": b"",
            "cut": part.value[: len(part.value) // 2],
            "one character": part.value[:1],
        }
        for what, value in pieces.items():
            message = f"a message whose {part.name} is {what}"
            if again.get(part.name) == part.value:
                refused(bench.hear(part.written(value)), message)
            else:  # a nonce, perhaps, which need not mean anything
                refused_or_same(bench, part.written(value), said, message)


@case(
    "notify.altered",
    "a message with any of its parts altered is refused, or means what it meant",
    "A field that the signature does not cover is the payer's to choose: the sum, the order, the status.",
    PAGE,
)
def _altered(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    said = meaning(accepted)
    for part in parts(callback):
        refused_or_same(bench, part.written(part.other), said, f"a message whose {part.name} is {part.other!r}")
        refused_or_same(bench, part.written(None), said, f"a message without its {part.name}")
        refused_or_same(bench, part.written(b""), said, f"a message whose {part.name} is empty")


@case(
    "notify.other_account",
    "a genuine message of another merchant is refused",
    "Anyone can be a merchant of the gateway: he would pay himself and have your goods.",
    PAGE,
)
def _other_account(bench: Bench) -> None:
    theirs = bench.notify(bench.paid(settings=bench.other))
    mine = bench.notify(bench.paid())
    if not differing(mine, theirs):
        raise NotApplicable("the callback names no merchant and is not signed")
    refused(bench.hear(theirs), "a genuine message of another merchant")
    misnamed = bench.notify(bench.misnamed(bench.paid()))
    if misnamed != mine and differing(mine, misnamed):
        refused_or_same(bench, misnamed, None, "a message that names another merchant, with a key of this account")
