"""What a gateway or a provider hands over is bounded and fit to be stored, shown and sent, as orders are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from payhub_core import (
    AppParameters,
    Callback,
    CallbackKind,
    FormPost,
    HtmlPage,
    MalformedCallback,
    Notification,
    OutcomeUnknown,
    Payment,
    PaymentStatus,
    QrCode,
    Redirect,
    Request,
    Response,
)

UNFIT = ["P\x00", "P\n1", "P\ud800", "\x1b[2J", "P" * 5_000]
FAR = [datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8))), datetime(9999, 12, 31, 23, tzinfo=timezone.min)]


@pytest.mark.parametrize("text", UNFIT)
def test_a_created_payment_with_an_unfit_number_has_an_unknown_outcome(
    open_hub: Any, make_provider: Any, gateway: Any, order: Any, text: str
) -> None:
    """Whether the order is there, a query tells; the number would break what stores or shows it."""

    def create(_: Any) -> Any:
        yield Request("GET", "https://gateway.example")
        return Payment(reference="A1001", gateway_id=text, status=PaymentStatus.PENDING)

    hub = open_hub(gateway(Response(200)), accounts={"shop": make_provider(create_payment=create)})
    with pytest.raises(OutcomeUnknown, match="gateway_id: expected at most 128 printable") as caught:
        hub.create_payment("shop", order)
    assert text not in str(caught.value)


@pytest.mark.parametrize("field", ["reference", "gateway_id"])
@pytest.mark.parametrize("text", UNFIT)
def test_a_callback_with_an_unfit_number_is_malformed(open_hub: Any, make_provider: Any, field: str, text: str) -> None:
    """Whoever signed it."""

    def parse(_: Callback) -> Notification:
        fields = {"reference": "A1001", field: text}
        return Notification(CallbackKind.NOTIFY, Payment(status=PaymentStatus.PAID, **fields))

    hub = open_hub(accounts={"shop": make_provider(parse_callback=parse)})
    with pytest.raises(MalformedCallback, match=f"{field}: expected at most 128 printable"):
        hub.parse_callback("shop", Callback("POST", {}, b"", b""))


@pytest.mark.parametrize("time", FAR)
@pytest.mark.parametrize("text", ["\x00", "tea\ud800", "x" * 20_000])
def test_what_decides_nothing_is_left_out_where_it_is_unfit(
    open_hub: Any, make_provider: Any, time: datetime, text: str
) -> None:
    """Times that overflow in another zone, and text that nobody could store: the payment is read all the same."""

    def query(_: str) -> Payment:
        times = {"created_at": time, "paid_at": time, "expires_at": time}
        return Payment(reference="A1001", status=PaymentStatus.PAID, attach=text, method=text, **times)

    payment = open_hub(accounts={"shop": make_provider(query=query)}).query("shop", "A1001")
    assert (payment.created_at, payment.paid_at, payment.expires_at) == (None, None, None)
    assert (payment.attach, payment.method) == ("", None)


def test_what_is_fit_stays(open_hub: Any, make_provider: Any) -> None:
    """Chinese, an ideographic space, an emoji of several characters."""

    def query(_: str) -> Payment:
        now = datetime.now(UTC)
        return Payment(reference="A1001", status=PaymentStatus.PAID, attach="茶\u3000👩‍🍳", method="901", paid_at=now)

    payment = open_hub(accounts={"shop": make_provider(query=query)}).query("shop", "A1001")
    assert (payment.attach, payment.method) == ("茶\u3000👩‍🍳", "901")
    assert payment.paid_at is not None


@pytest.mark.parametrize(
    "url",
    [
        *("javascript:alert(1)", "JavaScript://x%0aalert(1)", " javascript:1", "data:text/html,x", "vbscript:x"),
        *(
            "file:///etc/passwd",
            "blob:https://x",
            "https://x/\x00",
            "https://x/\r\nSet-Cookie: a=b",
            "https://x/\ud800",
        ),
        "https://x/" + "a" * 9_000,
    ],
)
def test_no_payer_is_sent_to_an_address_that_runs_something(url: str) -> None:
    """Nor to one that splits a header, or that nobody could store."""
    for action in (lambda: Redirect(url=url), lambda: FormPost(url=url, fields={})):
        with pytest.raises(ValidationError, match="expected"):
            action()


@pytest.mark.parametrize(
    "url", ["https://gateway.example/?a=1&b=茶", "weixin://wxpay/x", "alipays://x", "intent:#Intent;end"]
)
def test_addresses_of_the_web_and_of_apps_pass(url: str) -> None:
    """Any wallet's scheme."""
    assert Redirect(url=url).url == url


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\x1b", "x" * 600_000])
def test_pages_codes_and_parameters_are_bounded_and_writable(text: str) -> None:
    """Line breaks and tabs are fine in a page, not in a code."""
    for action in (
        lambda: HtmlPage(html=text),
        lambda: AppParameters(parameters=text),
        lambda: QrCode(content=text),
        lambda: FormPost(url="https://x", fields={"a": text}),
    ):
        with pytest.raises(ValidationError):
            action()
    assert HtmlPage(html="<p>\n\t茶\r\n</p>").html


def test_a_provider_that_makes_an_unfit_value_is_told_which(open_hub: Any, make_provider: Any, order: Any) -> None:
    """The field and what was expected, never the value."""
    provider = make_provider(
        create_payment=lambda _: Payment(
            reference="A1001", status=PaymentStatus.PENDING, next_action=Redirect(url="javascript:secret")
        )
    )
    with pytest.raises(Exception, match=r"ValidationError: url: .*expected an address of the web") as caught:
        open_hub(accounts={"shop": provider}).create_payment("shop", order)
    assert "secret" not in str(caught.value)
