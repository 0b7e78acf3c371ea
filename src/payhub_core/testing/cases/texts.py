"""Cases about the texts of notifies: encodings, what is no message at all, and what payers and shops write."""

from __future__ import annotations

import gzip
import time
from dataclasses import replace

from payhub_core.models import PaymentStatus
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import NotApplicable, case
from payhub_core.testing.cases.notifies import PAGE, genuine, refused_or_same
from payhub_core.testing.meaning import meaning
from payhub_core.testing.outcome import expect, storable

SECONDS = 2.0
TEXTS = ("A & B = 1 + 1%", "茶，一杯 %2525", '<b>"quoted"</b>\'', "👍")
#: A text that no field cuts, and one that some do.
MARK = "T7"
LONG = MARK * 125


@case(
    "notify.encodings",
    "a message in another encoding is refused, or means what it meant",
    "A message that is read otherwise than it was signed is another message.",
    PAGE,
)
def _encodings(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    said = meaning(accepted)
    body = callback.body or callback.query
    typed = {name: value for name, value in callback.headers.items() if name.lower() != "content-type"}
    changed = {
        "in UTF-16": replace(callback, body=body.decode("latin-1").encode("utf-16")),
        "behind a byte order mark": replace(callback, body=b"\xef\xbb\xbf" + body),
        "with a byte that is no UTF-8": replace(callback, body=body.replace(b"&", b"\xff&", 1) + b"\xff"),
        "compressed": replace(
            callback, headers={**callback.headers, "Content-Encoding": "gzip"}, body=gzip.compress(body)
        ),
        "as multipart": replace(callback, headers={**typed, "Content-Type": "multipart/form-data; boundary=b"}),
        "as an image": replace(callback, headers={**typed, "Content-Type": "image/png"}),
    }
    for how, altered in changed.items():
        refused_or_same(bench, altered, said, f"a message {how}")


@case(
    "notify.garbage",
    "bytes that are no message are refused, and never acknowledged",
    "An acknowledgement ends the gateway's resending: acknowledge only what was read.",
    PAGE,
)
def _garbage(bench: Bench) -> None:
    callback, accepted = genuine(bench)
    said = meaning(accepted)
    bodies = [b"", b"\x00" * 9, b"\xff\xfe", b"[]", b"null", b"{}", b"<a/>", b"=&=&", b"%", b"[" * 9999, b"1" * 9999]
    for body in bodies:
        for headers in (callback.headers, {}):
            altered = replace(callback, headers=headers, query=b"", body=body)
            refused_or_same(bench, altered, said, f"a body of {body[:10]!r}")


@case(
    "notify.large",
    "a megabyte of anything is refused at once",
    "Whoever knows the address could stop the shop with a few messages.",
    PAGE,
)
def _large(bench: Bench) -> None:
    callback = bench.notify(bench.paid())
    size = 1_000_000
    bodies = [
        b"a" * size,
        b"a=1&" * (size // 4),
        b"{" * size,
        b'{"a":' * (size // 5),
        b"<a>" * (size // 3),
        b"%" * size,
    ]
    for body in bodies:
        began = time.monotonic()
        outcome = bench.hear(replace(callback, query=b"", body=body))
        took = time.monotonic() - began
        expect(outcome.error is not None or outcome.requests, "a CallbackError for a megabyte", outcome)
        expect(took < SECONDS, f"an answer within {SECONDS:.0f} seconds", f"{took:.1f} seconds")


@case(
    "notify.text",
    "what the shop attached comes back as it was, whatever it holds",
    "Shops attach what they deliver by: a code that comes back changed is another's goods, or none.",
    PAGE,
)
def _text(bench: Bench) -> None:
    if not bench.info.attach:
        raise NotApplicable("the gateway does not bring back what the shop attached")
    for text in TEXTS:
        order = bench.order(attach=text)
        outcome = bench.hear(bench.notify(bench.paid(order)), bench.paid(order), order)
        expect(
            outcome.payment.attach == text,
            f"attach {text!r}, or attach=False in info",
            f"{outcome}, with {outcome.payment.attach!r}",
        )


@case(
    "notify.description",
    "a message that brings the order's description back is accepted, whatever it holds",
    "A description with '&' in it is no attack: refused, its order is paid and never delivered.",
    PAGE,
)
def _description(bench: Bench) -> None:
    plain = bench.notify(bench.paid())
    for text in TEXTS:
        order = bench.order(description=text)
        callback = bench.notify(bench.paid(order))
        if callback == plain:
            raise NotApplicable("the message does not bring the description back")
        outcome = bench.hear(callback, bench.paid(order), order)
        paid = outcome.error is None and outcome.payment.status is PaymentStatus.PAID
        expect(paid, f"a payment that is paid, of an order with the description {text!r}", outcome)


@case(
    "notify.control",
    "text that no database stores is refused, or kept out",
    "A message that cannot be stored is never acknowledged: its order is paid and never delivered.",
    PAGE,
)
def _control(bench: Bench) -> None:
    written = 0
    for text in ("\x00", "\ud800"):
        sale = bench.paid(attach=text)
        try:
            callback = bench.notify(sale)
        except UnicodeEncodeError:
            continue
        if callback == bench.notify(bench.paid()):
            continue
        written += 1
        outcome = bench.hear(callback, sale)
        fine = outcome.error is not None or storable(outcome.result)
        expect(fine, f"an error, or a payment that can be stored, where attach is {text!r}", outcome)
    if not written:
        raise NotApplicable("the message carries no such text")
