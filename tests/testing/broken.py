"""Broken providers: each TeaPay with one mistake, and the case that has to catch it."""

from __future__ import annotations

import hmac
import itertools
import json
import logging
import re
import time
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from pydantic import PrivateAttr, field_validator
from tests.testing.confirming import Confirming, ConfirmingContract
from tests.testing.flows.test_events import Events, TestEvents
from tests.testing.flows.test_later import REFUNDS as LATER
from tests.testing.flows.test_later import Later, TestLater
from tests.testing.flows.test_later import digest as of_later
from tests.testing.flows.test_ping import URL as PING
from tests.testing.flows.test_ping import Back, TestBack, no_token
from tests.testing.flows.test_ping import refusal as of_ping
from tests.testing.flows.test_xml import TestXml, Xml
from tests.testing.flows.test_xml import digest as by_pairs
from tests.testing.tea import (
    METHODS,
    OWN,
    REFUNDS,
    STATES,
    USUAL,
    USUAL_REFUNDS,
    Tea,
    TeaContract,
    digest,
    joined,
    refusal,
)
from tests.testing.wrapped import Wrapped, WrappedContract
from tests.testing.wrapped import digest as sealing

from payhub_core import (
    AccountRefused,
    BadSignature,
    Callback,
    CallbackError,
    CallbackKind,
    Flow,
    GatewayError,
    HtmlPage,
    InvalidOrder,
    MalformedCallback,
    Money,
    NotFound,
    Notification,
    NotSent,
    Order,
    OutcomeUnknown,
    Payment,
    PaymentMethod,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Refund,
    RefundStatus,
    Refused,
    Reply,
    Request,
    Response,
    WrongAccount,
    WrongOrder,
    hookimpl,
)
from payhub_core.kit import (
    FORM,
    CallbackFields,
    Fields,
    Secret,
    bearer,
    check_age,
    grammar,
    made_by_any,
    read_form,
    read_json,
    read_object,
    read_reply,
    write_form,
)
from payhub_core.testing import NotApplicable, ProviderContract, Sale

__all__ = ["BROKEN", "Broken"]


@dataclass(frozen=True)
class Broken:
    """A provider with a mistake, the case that catches it, and what the gateway of such a provider does otherwise."""

    case: str
    provider: type[Any]
    gateway: dict[str, Any]

    @property
    def contract(self) -> ProviderContract:
        base = next(contract for kind, contract in CONTRACTS.items() if issubclass(self.provider, kind))
        cls = type(f"Of{self.provider.__name__}", (base,), {"provider": self.provider, **self.gateway})
        return cls()  # type: ignore[no-any-return]


CONTRACTS: dict[type[Any], type[ProviderContract]] = {
    Tea: TeaContract,
    Wrapped: WrappedContract,
    Xml: TestXml,
    Events: TestEvents,
    Later: TestLater,
    Back: TestBack,
}
BROKEN: list[Broken] = []


def broken(case: str, **gateway: Any) -> Callable[[type[Any]], type[Any]]:
    def enter(provider: type[Any]) -> type[Any]:
        BROKEN.append(Broken(case, provider, gateway))
        return provider

    return enter


def changed(payment: Payment, **changes: Any) -> Payment:
    return payment.model_copy(update=changes)


# Callbacks


@broken("notify.genuine")
class UpperCase(Tea):
    """Compares hex digits as text, in the wrong case."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if given != digest(self.key[0], purpose.encode(), joined(fields)).hex().upper():
            raise BadSignature("no key of this account signed the message")


@broken("notify.acknowledged")
class Polite(Tea):
    """Answers what other gateways want to hear."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        return replace(heard, reply=Reply(b"success")) if heard.payment else heard


@broken("notify.acknowledged", acknowledged=Reply(b"OK"))
class AcknowledgedAsHtml(Tea):
    """Answers in the right words, as another kind of text than the gateway reads."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        return replace(Tea.parse_callback(self, callback), reply=Reply(b"OK", "text/html"))


@broken("notify.acknowledged")
class LaterIsTaken(Back):
    """Answers "later" under a status that acknowledges, at a gateway that reads no body."""

    info = replace(Back.info, retry=Reply(b"later", status_code=200))


class RefusalAcknowledges(Tea):
    """Refuses in the words that acknowledge, so that the gateway stops."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, refused=Reply(b"OK"))


class FailureAcknowledges(Tea):
    """The same of a message that could not be stored."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, retry=Reply(b"OK"))


class StrangeOrderAcknowledges(Tea):
    """The same of a message about another order."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, refusals={WrongOrder: Reply(b"OK")})


for _broken in (RefusalAcknowledges, FailureAcknowledges, StrangeOrderAcknowledges):
    broken("notify.acknowledged")(_broken)


@broken("notify.acknowledged")
class Parrot(Tea):
    """Answers every order with the number of the one that its author tried."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        known = heard.payment is not None and heard.payment.reference == "A1001"
        return heard if known else replace(heard, reply=Reply(b"OK1001"))


@broken("secret.address")
class Generous(Tea):
    """Gives the payer's browser the key."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        payment = yield from Tea.create_payment(self, order)
        return changed(payment, next_action=Redirect(url=f"https://tea.example/pay?key={self.key[0].text}"))


@broken("notify.foreign_key")
class AnySignature(Tea):
    """Looks whether there is a signature."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if len(given or "") != 64:
            raise BadSignature("no signature")


@broken("notify.foreign_key", notify=lambda self, sale: Callback("POST", {"X-Tea-Signature": "0" * 64}, b"", b""))
class SignedByNobody(Tea):
    """Believes whatever comes, and asks nobody."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        order = expect or Order.model_construct(reference="A1001")
        return Notification(callback.kind, Payment(reference=order.reference, status=PaymentStatus.PAID), Reply(b"OK"))


@broken("notify.unsigned")
class CheckedWhereSigned(Tea):
    """Checks the signature where there is one."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if given:
            super().check(purpose, fields, given)


def _signed_twice(self: TeaContract, sale: Sale) -> Callback:
    callback = self.told(sale)
    return replace(callback, headers={**callback.headers, "X-Tea-Copy": callback.header("X-Tea-Signature")})


@broken("notify.unsigned", notify=_signed_twice)
class CopyCheckedWhereThere(Tea):
    """Checks either copy of the signature, and lets pass what has none."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        copy = callback.header("X-Tea-Signature") or callback.header("X-Tea-Copy")
        return Tea.parse_callback(self, replace(callback, headers={**callback.headers, "X-Tea-Signature": copy}))

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if given:
            super().check(purpose, fields, given)


@broken("notify.unsigned")
class ComparedByPrefix(Tea):
    """Compares as far as the signature goes."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if not digest(self.key[0], purpose.encode(), joined(fields)).hex().startswith(given or "-"):
            raise BadSignature("no key of this account signed the message")
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the message is for another merchant")


def _partly_signed(self: TeaContract, sale: Sale) -> Callback:
    fields = {**self.message(sale), "at": str(int(sale.at.timestamp()))}
    part = {name: fields[name] for name in ("merchant", "order", "id", "at")}
    headers = {"Content-Type": FORM, "X-Tea-Signature": digest(self.key(sale), b"notify", joined(part)).hex()}
    return Callback("POST", headers, b"", write_form(fields))


@broken("notify.altered", notify=_partly_signed)
class PartlySigned(Tea):
    """Believes fields that the signature does not cover."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        part = Fields({name: fields.text(name) for name in ("merchant", "order", "id", "at")})
        super().check(purpose, part, given)


def _with_a_copy(self: TeaContract, sale: Sale) -> Callback:
    callback = self.told(sale)
    return replace(callback, body=callback.body + b"&" + write_form({"copy": self.message(sale)["order"]}))


@broken("notify.altered", notify=_with_a_copy)
class CopyBelieved(Tea):
    """Reads the order's number from a copy of it that is not signed."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        super().check(purpose, Fields({name: value for name, value in fields.items() if name != "copy"}), given)

    def payment(self, fields: Fields) -> Payment:
        return changed(super().payment(fields), reference=fields.text("copy", default=fields.text("order")))


def bare(fields: Mapping[str, str]) -> bytes:
    """The values, with nothing between them."""
    return "".join(value for _, value in sorted(fields.items())).encode()


def _signed_bare(self: TeaContract, sale: Sale) -> Callback:
    fields = {**self.message(sale), "at": str(int(sale.at.timestamp()))}
    headers = {"Content-Type": FORM, "X-Tea-Signature": digest(self.key(sale), b"notify", bare(fields)).hex()}
    return Callback("POST", headers, b"", write_form(fields))


@broken("notify.recut", notify=_signed_bare)
class JoinedBare(Tea):
    """Checks a signature over values that nothing separates, and takes them as they are cut."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if not made_by_any(self.key, lambda key: digest(key, purpose.encode(), bare(fields)), given):
            raise BadSignature("no key of this account signed the message")
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the message is for another merchant")


@broken("notify.doubled")
class FirstAndLast(Tea):
    """Checks the first field of a name and reads the last."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        pairs = parse_qsl(callback.body.decode(), keep_blank_values=True)
        self.check("notify", CallbackFields(reversed(pairs)), callback.header("X-Tea-Signature"))
        return Notification(callback.kind, self.payment(CallbackFields(pairs)), Reply(b"OK"))


@broken("notify.other_account")
class AnyMerchant(Tea):
    """Does not look whose payment it is."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if not made_by_any(self.key, lambda key: digest(key, purpose.encode(), joined(fields)), given):
            raise BadSignature("no key of this account signed the message")


@broken("notify.own_words")
class OnePurpose(Tea):
    """Takes anything that its own key signed for a message of the gateway's."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if not callback.body.startswith(b"{"):
            return Tea.parse_callback(self, callback)
        given = callback.header("X-Tea-Signature")
        if not made_by_any(self.key, lambda key: digest(key, b"request", callback.body), given):
            raise BadSignature("no key of this account signed the message")
        fields = json.loads(callback.body)
        amount = Money.of(fields["amount"], fields["currency"])
        payment = Payment(reference=fields["order"], status=PaymentStatus.PAID, amount=amount)
        return Notification(callback.kind, payment, Reply(b"OK"))


def _bare_return(self: TeaContract, sale: Sale) -> Callback:
    fields = {name: text for name, text in self.message(sale).items() if name not in {"amount", "received"}}
    query = urlencode({**fields, "sign": digest(self.key(sale), b"return", joined(fields)).hex()})
    return Callback("GET", {}, query.encode(), b"", CallbackKind.RETURN)


@broken("notify.return", returned=_bare_return)
class ReturnIsNotify(Tea):
    """Takes what the browser brings for a notify, wherever it comes in."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if callback.method == "POST":
            return Tea.parse_callback(self, callback)
        fields = self.form(callback, "GET")
        self.check("return", fields, fields.pop("sign", None))
        return Notification(callback.kind, self.payment(fields), Reply(b"OK"))

    def payment(self, fields: Fields) -> Payment:
        if "amount" in fields:
            return super().payment(fields)
        return Payment(
            reference=fields.text("order"), gateway_id=fields.text("id"), status=fields.choice("state", STATES)
        )


@broken("notify.wrong_order")
class ExpectedReference(Tea):
    """Takes the order's number from what the shop expects."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        heard = Tea.parse_callback(self, callback)
        if expect is not None and heard.payment is not None:
            heard = replace(heard, payment=changed(heard.payment, reference=expect.reference))
        return heard


@broken("notify.wrong_amount")
class NoSums(Tea):
    """Reads the word and not the sum."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        return replace(heard, payment=changed(heard.payment, amount=None, paid=None)) if heard.payment else heard


@broken("notify.wrong_amount")
class ExpectedSum(Tea):
    """Takes the sum from what the shop expects."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        heard = Tea.parse_callback(self, callback)
        if expect is not None and heard.payment is not None:
            heard = replace(heard, payment=changed(heard.payment, amount=expect.amount, paid=expect.amount))
        return heard


@broken("notify.wrong_currency")
class OnlyYuan(Tea):
    """Reads every sum as yuan."""

    def payment(self, fields: Fields) -> Payment:
        number = fields.text("amount").rstrip("0").rstrip(".")
        return super().payment(Fields(fields, currency="CNY", amount=number, received=number))


@broken("notify.paid_sum")
class AlwaysInFull(Tea):
    """Takes the sum due for the sum received."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        return changed(payment, paid=payment.amount)


@broken("notify.status")
class FailedIsOpen(Tea):
    """Knows two words."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        done = payment.status is PaymentStatus.PAID
        return payment if done else changed(payment, status=PaymentStatus.PENDING)


@broken("notify.unknown_status")
class ElsePaid(Tea):
    """Takes a word that it does not know for the last one of its list."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        return payment if fields["state"] in STATES else changed(payment, status=PaymentStatus.PAID)


@broken("notify.two_payments")
class NoNumber(Tea):
    """Calls a payment by the order's number."""

    def payment(self, fields: Fields) -> Payment:
        return changed(super().payment(fields), gateway_id=fields.text("order"))


@broken("notify.headers")
class ExactHeaders(Tea):
    """Looks headers up as its manual spells them."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if callback.kind is CallbackKind.NOTIFY and "X-Tea-Signature" not in callback.headers:
            raise BadSignature("no signature")
        return Tea.parse_callback(self, callback)


@broken("notify.encodings")
class UnreadableIsNotOurs(Tea):
    """Acknowledges what it cannot read, so that it does not come again."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        try:
            return Tea.parse_callback(self, callback)
        except MalformedCallback:
            return Notification(CallbackKind.OTHER, None, Reply(b"OK"))


@broken("notify.garbage")
class EmptyIsPing(Tea):
    """Takes an empty message for a ping."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if not callback.body and not callback.query:
            return Notification(CallbackKind.OTHER, None, Reply(b"OK"))
        return Tea.parse_callback(self, callback)


@broken("notify.large")
class Slow(Tea):
    """Takes its time for what is long."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        time.sleep(len(callback.body) / 900_000)
        return Tea.parse_callback(self, callback)


@broken("notify.text")
class DecodedTwice(Tea):
    """Decodes what was decoded."""

    def payment(self, fields: Fields) -> Payment:
        return super().payment(Fields(fields, note=unquote_plus(fields.get("note", ""))))


def _without_note(contract: Any, sale: Sale) -> dict[str, str]:
    return {name: text for name, text in TeaContract.message(contract, sale).items() if name != "note"}


@broken("notify.text", message=_without_note)
class AttachTaken(Tea):
    """Takes what an order attaches, which the gateway never brings back."""


@broken("notify.control")
class AnyCharacter(Tea):
    """Reads a form with the standard library alone."""

    def form(self, callback: Callback, method: str) -> Fields:
        data = callback.body if method == "POST" else callback.query
        return CallbackFields(parse_qsl(data.decode(), keep_blank_values=True, strict_parsing=True))


class Remembering(Tea):
    _seen: set[Any] = PrivateAttr(default_factory=set)


@broken("notify.repeated")
class OnlyOnce(Remembering):
    """Refuses a message that it has heard."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if callback.body in self._seen:
            raise MalformedCallback("this message was heard before")
        self._seen.add(callback.body)
        return Tea.parse_callback(self, callback)


@broken("notify.sequence")
class PaidAbsorbs(Remembering):
    """Remembers what was paid."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        payment = heard.payment
        if payment is not None and payment.status is PaymentStatus.PAID:
            self._seen.add(payment.reference)
        if payment is not None and payment.reference in self._seen:
            heard = replace(heard, payment=changed(payment, status=PaymentStatus.PAID))
        return heard


@broken("notify.time")
class InAnotherZone(Tea):
    """Reads the clock of Shanghai as UTC."""

    def payment(self, fields: Fields) -> Payment:
        payment = Tea.payment(self, fields)
        return changed(payment, paid_at=payment.paid_at and payment.paid_at + timedelta(hours=8))


@broken("notify.late")
class AnyAge(Tea):
    """Does not look at the time."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        fields = self.form(callback, "POST")
        self.check("notify", fields, callback.header("X-Tea-Signature"))
        return Notification(callback.kind, self.payment(fields), Reply(b"OK"))


@broken("notify.late", tolerance=None)
class Impatient(Tea):
    """Refuses what is late, of a gateway that sends again for days."""


# Returns


@broken("return.hint")
class ReturnSaysNothing(Tea):
    """Reads a return and not what it says."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        if callback.kind is CallbackKind.RETURN and heard.payment is not None:
            heard = replace(heard, payment=changed(heard.payment, status=PaymentStatus.PENDING))
        return heard


@broken("return.forged")
class ReturnUnchecked(Tea):
    """Believes the payer's browser."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if purpose != "return":
            super().check(purpose, fields, given)


@broken("return.forged")
class ReturnOfAnyMerchant(Tea):
    """Does not look whose payer comes back."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        merchant = self.merchant if purpose != "return" else fields.text("merchant")
        Tea.check(self.model_copy(update={"merchant": merchant}), purpose, fields, given)


def _pairs(fields: Mapping[str, Any]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items()) if value).encode()


def _asked_of_page(self: TeaContract, request: Request) -> tuple[str, Money] | None:
    if request.method != "GET" or not (fields := dict(parse_qsl(request.url.query.decode()))):
        return TeaContract.asked(self, request)
    sign = fields.pop("sign")
    assert sign == digest(self.settings["key"].encode(), b"page", _pairs(fields)).hex(), "a page of this account's"
    return fields["order"], Money.of(fields["amount"], fields["currency"])


@broken("create.cut", asked=_asked_of_page)
class PageCutOtherwise(Tea):
    """Signs a page's fields joined by '&', and lets the order's texts hold one."""

    info = replace(Tea.info, reserved_fields=frozenset({*OWN, "sign"}))

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        fields = self.body(order)
        sign = digest(self.key[0], b"page", _pairs(fields)).hex()
        url = f"{self.base_url}/pay?{urlencode({**fields, 'sign': sign})}"
        return Payment(reference=order.reference, status=PaymentStatus.PENDING, next_action=Redirect(url=url))


def _row(fields: Mapping[str, Any]) -> bytes:
    return "|".join(
        str(fields[name]) for name in ("merchant", "order", "text", "method", "amount", "currency")
    ).encode()


def _asked_of_row(self: TeaContract, request: Request) -> tuple[str, Money] | None:
    fields = dict(parse_qsl(request.url.query.decode(), keep_blank_values=True))
    made = digest(self.settings["key"].encode(), b"page", _row(fields)).hex()
    assert fields["sign"] == made, "a page of this account's"
    return fields["order"], Money.of(fields["amount"], fields["currency"])


@broken("create.cut", asked=_asked_of_row)
class RowCutOtherwise(PageCutOtherwise):
    """Signs some of a page's values in a row, joined by '|', and lets the order's texts hold one."""

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        fields = self.body(order)
        sign = digest(self.key[0], b"page", _row(fields)).hex()
        url = f"{self.base_url}/pay?{urlencode({**fields, 'sign': sign})}"
        return Payment(reference=order.reference, status=PaymentStatus.PENDING, next_action=Redirect(url=url))


@broken("notify.own_words")
class AcceptedIsDone(Tea):
    """Takes the reply that a refund was accepted, which the same key signs, for the message that it is done."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        given = callback.header("X-Tea-Signature")
        if not made_by_any(self.key, lambda key: digest(key, b"answer", callback.body), given):
            return Tea.parse_callback(self, callback)
        refund = self.paid_back(read_object(callback.body, CallbackFields))
        done = refund.model_copy(update={"status": RefundStatus.REFUNDED})
        return Notification(callback.kind, None, Reply(b"OK"), refund=done)


@broken("return.own_words")
class SignedPage(Tea):
    """Signs its page as the gateway signs returns, and takes a return without a status for success."""

    @hookimpl
    def create_payment(self, order: Order) -> Payment:
        fields = {name: str(value) for name, value in self.body(order).items()}
        sign = digest(self.key[0], b"return", joined(fields)).hex()
        url = f"{self.base_url}/pay?{urlencode({**fields, 'sign': sign})}"
        return Payment(reference=order.reference, status=PaymentStatus.PENDING, next_action=Redirect(url=url))

    def payment(self, fields: Fields) -> Payment:
        return super().payment(Fields({"id": "1", "state": "done", **fields}))


@broken("return.claimed", returned=ProviderContract.returned)
class ReturnNotDescribed(Tea):
    """Reads returns, of which its contract does not speak."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if callback.method == "GET":
            callback = replace(callback, method="POST", query=b"", body=callback.query)
        return Tea.parse_callback(self, replace(callback, kind=CallbackKind.NOTIFY))


# Create


class Creating(Tea):
    """One whose mistake is what it makes of an accepted create."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        return self.made(order, (yield self.post("/payments", self.body(order))))

    def made(self, order: Order, response: Response) -> Payment:
        return self.payment(self.reply(response))

    def assumed(self, order: Order) -> Payment:
        """What it makes of an answer that says nothing."""
        url = f"{self.base_url}/pay/{order.reference}"
        return Payment(reference=order.reference, status=PaymentStatus.PENDING, next_action=Redirect(url=url))


@broken("create.accepted")
class NowhereToGo(Creating):
    """Forgets where the payer goes."""

    def made(self, order: Order, response: Response) -> Payment:
        return changed(super().made(order, response), next_action=None)


@broken("create.accepted")
class PlainPage(Tea):
    """Sends the payer to the gateway's page over plain http."""

    def action(self, url: str) -> Any:
        return Redirect(url=url.replace("https:", "http:")) if url else None


@broken("create.asks")
class InCents(Tea):
    """Writes minor units where the gateway reads major ones."""

    def written(self, amount: Money) -> str:
        return str(amount.minor)


@broken("create.asks")
class NumberAddedTo(Tea):
    """Asks for a payment under a number that is not the order's."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "order": f"{order.reference}X"}


@broken("create.asks")
class AskedTwice(Tea):
    """Asks for a payment to see whether it may, and then for another."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        yield self.post("/payments", self.body(order))
        return self.payment(self.reply((yield self.post("/payments", self.body(order)))))


_numbers = itertools.count(1)


@broken("create.key")
class NumbersOfItsOwn(Tea):
    """Gives every try a number of its own."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "order": f"{order.reference}-{next(_numbers)}"}


@broken("create.key")
class OneNumberForAll(Tea):
    """Names the day's orders alike."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "order": order.reference[:3]}


@broken("create.repeated")
class Keeping(Tea):
    """Keeps the payments that it made."""

    _made: dict[str, Payment] = PrivateAttr(default_factory=dict)

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        if order.reference not in self._made:
            response = yield self.post("/payments", self.body(order))
            self._made[order.reference] = self.payment(self.reply(response))
        return self._made[order.reference]


@broken("create.pending")
class AcceptedIsPaid(Creating):
    """Takes an accepted order for a paid one."""

    def made(self, order: Order, response: Response) -> Payment:
        return changed(super().made(order, response), status=PaymentStatus.PAID)


@broken("create.pending")
class AskedIsReceived(Creating):
    """Reports the sum that it asks for as received."""

    def made(self, order: Order, response: Response) -> Payment:
        return changed(super().made(order, response), paid=order.amount)


@broken("create.refused")
class NeverRefused(Tea):
    """Does not read why."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return read_reply(response, refusal=lambda _: None, missing=missing)


@broken("create.account_refused")
class OrderRefused(Tea):
    """Calls every refusal one of the order."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        try:
            return super().fields(response, missing=missing)
        except AccountRefused as refused:
            raise Refused("the gateway refused", code=refused.code) from None


@broken("create.account_refused")
class AllRefused(Tea):
    """Calls every refusal one of the account."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        try:
            return super().fields(response, missing=missing)
        except Refused as refused:
            raise AccountRefused("the gateway refused", code=refused.code) from None


def unchecked(contract: TeaContract, request: Request, sale: Sale) -> Response:
    """The answer of a gateway that takes any signature."""
    made = digest(contract.settings["key"].encode(), b"request", request.content).hex()
    again = Request(request.method, request.url, content=request.content)
    again.headers["X-Tea-Signature"] = made
    return TeaContract.answer(contract, again, sale)


@broken("create.signed", answer=unchecked)
class Unsigned(Tea):
    """Signs with nothing, and its contract does not look."""

    def headers(self, content: bytes) -> dict[str, str]:
        return {"X-Tea-Merchant": self.merchant, "X-Tea-Signature": "0" * 64}


def descriptions_unsigned(contract: TeaContract, request: Request, sale: Sale) -> Response:
    """The answer of a gateway that signs an order's number and no sum."""
    body = json.loads(request.content or b"{}")
    assert body.get("order", sale.reference) == sale.reference, "the number that this account signed"
    return unchecked(contract, request, sale)


@broken("create.signed", answer=descriptions_unsigned)
class SumUnsigned(Unsigned):
    """The same, where the contract looks at the number alone."""


def _sum_is(name: str) -> dict[str, Any]:
    """A gateway that reads forms, and calls the sum by this name."""

    def asked(self: TeaContract, request: Request) -> tuple[str, Money] | None:
        fields = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        return (fields["order"], Money.of(fields[name], fields["currency"])) if name in fields else None

    return {"asked": asked}


@broken("create.text", **_sum_is("fee_total"))
class PastedForm(Tea):
    """Writes a form by hand, to a gateway that calls the sum as no other does."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        fields = {"fee_total" if name == "amount" else name: value for name, value in self.body(order).items()}
        content = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        response = yield Request(
            "POST",
            f"{self.base_url}/payments",
            content=content,
            headers={**self.headers(content), "Content-Type": FORM},
        )
        return self.payment(self.reply(response))


@broken("create.text")
class PastedJson(Tea):
    """Writes JSON by hand."""

    def post(self, path: str, body: Mapping[str, Any]) -> Request:
        content = ("{" + ",".join(f'"{name}":"{value}"' for name, value in body.items()) + "}").encode()
        return Request("POST", f"{self.base_url}{path}", content=content, headers=self.headers(content))


@broken("create.attach")
class AttachLost(Tea):
    """Forgets what the shop attached, and makes no request like another."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "note": "", "nonce": str(next(_numbers))}


@broken("create.notify_url")
class NotifyLost(Tea):
    """Forgets to say where notifies go."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "notify_url": ""}


@broken("create.return_url", returned=ProviderContract.returned)
class ReturnUnread(Tea):
    """Forgets to say where payers come back to, since they bring nothing."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "return_url": ""}


@broken("create.notify_url")
class NotifyInHeader(Tea):
    """Says in a header where notifies go, and names the address that its author tried."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "notify_url": ""}

    def headers(self, content: bytes) -> dict[str, str]:
        return {**super().headers(content), "X-Notify": "https://shop.example/pay/shop/notify"}


@broken("create.addresses")
class SwappedInHeader(Tea):
    """Names the payer's address in the header for the server's."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        request = self.post("/payments", {**self.body(order), "notify_url": ""})
        request.headers["X-Override-Notification"] = order.return_url
        return self.payment(self.reply((yield request)))


@broken("create.return_url")
class ReturnLost(Tea):
    """Forgets to say where payers come back to."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "return_url": ""}


@broken("create.hostile")
class PastedPage(Tea):
    """Pastes an address into a page."""

    def action(self, url: str) -> Any:
        return HtmlPage(html=f'<a href="{url}">Pay</a>') if url else None


# Query


class Querying(Tea):
    """One whose mistake is what it makes of a query's answer."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None, expect: Order | None) -> Flow[Payment]:
        response = yield Request("GET", f"{self.base_url}/payments/{gateway_id}", headers=self.headers(b""))
        return self.found(self.reply(response, missing=True), gateway_id, expect)

    def found(self, fields: Fields, gateway_id: str | None, expect: Order | None) -> Payment:
        return self.payment(fields)


@broken("query.paid")
class NeverPaid(Querying):
    """Leaves it to the notify to say what is paid."""

    def found(self, fields: Fields, gateway_id: str | None, expect: Order | None) -> Payment:
        return changed(super().found(fields, gateway_id, expect), status=PaymentStatus.PENDING)


@broken("query.asks_for_nothing")
class AsksAgain(Tea):
    """Asks for the order once more, to see what is there."""

    @hookimpl
    def query(self, reference: str, expect: Order | None) -> Flow[Payment]:
        body = self.body(expect) if expect else {}
        return self.payment(self.reply((yield self.post("/payments", body)), missing=True))


@broken("query.asks_for_nothing")
class OpenAsksAgain(AsksAgain):
    """Makes an order anew of which nothing has come yet."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None, expect: Order | None) -> Flow[Payment]:
        payment = yield from Tea.query(self, reference, gateway_id)
        waits = payment.status is PaymentStatus.PENDING
        return (yield from AsksAgain.query(self, reference, expect)) if waits else payment


@broken("query.status")
class FailedIsClosed(Querying):
    """Mixes two words up."""

    def found(self, fields: Fields, gateway_id: str | None, expect: Order | None) -> Payment:
        payment = super().found(fields, gateway_id, expect)
        failed = payment.status is PaymentStatus.FAILED
        return changed(payment, status=PaymentStatus.CANCELED) if failed else payment


def in_pairs(contract: TeaContract, sale: Sale) -> dict[str, str]:
    state, _, verdict = sale.word.partition(" ")
    told = TeaContract.message(contract, sale)
    return {**told, "state": state, "verdict": verdict} if verdict else told


class FirstWordAlone(Tea):
    """Reads the first of two words, of which the second says that the gateway still looks at the payer."""


for _case in ("notify.status", "query.status"):
    broken(_case, message=in_pairs, words={PaymentStatus.PENDING: ("done challenged",)})(FirstWordAlone)


@broken("query.unknown_status")
class UnknownIsPaid(Querying):
    """Takes whatever is not open for paid."""

    def found(self, fields: Fields, gateway_id: str | None, expect: Order | None) -> Payment:
        payment = super().found(fields, gateway_id, expect)
        return payment if fields["state"] in STATES else changed(payment, status=PaymentStatus.PAID)


@broken("query.missing")
class MissingIsAnError(Tea):
    """Does not read what HTTP 404 says."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return super().fields(response)


@broken("query.refused")
class RefusedIsMissing(Tea):
    """Takes every refusal for an order that does not exist."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        try:
            return super().fields(response, missing=missing)
        except Refused:
            if missing:
                raise NotFound("the gateway does not know the order") from None
            raise


@broken("query.refused")
class TakenIsMissing(Tea):
    """Takes "it is under way" for an order that does not exist."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        if missing and response.status_code == 409 and b'"in_progress"' in response.content:
            raise NotFound("the gateway does not know the order")
        return super().fields(response, missing=missing)


@broken("fault.unknown")
class DoubtIsPaid(Tea):
    """Takes a query's "busy" for what was asked about."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None, expect: Order | None) -> Flow[Payment]:
        address = f"{self.base_url}/payments/{gateway_id or reference}"
        response: Response = yield Request("GET", address, headers=self.headers(b""))
        if b'"busy"' in response.content and expect is not None:
            return Payment(reference=reference, status=PaymentStatus.PAID, amount=expect.amount, paid=expect.amount)
        return self.payment(self.reply(response, missing=True))


@broken("query.wrong_amount")
class AnySumIsRight(Querying):
    """Takes the sum from what the shop expects."""

    def found(self, fields: Fields, gateway_id: str | None, expect: Order | None) -> Payment:
        amount = expect.amount if expect else None
        return changed(super().found(fields, gateway_id, expect), amount=amount, paid=amount)


@broken("query.number")
class AnyNumberIsRight(Querying):
    """Takes the payment's number from what was asked for."""

    def found(self, fields: Fields, gateway_id: str | None, expect: Order | None) -> Payment:
        return changed(super().found(fields, gateway_id, expect), gateway_id=gateway_id)


@broken("query.agrees")
class NumberNotKept(Creating):
    """Does not report the number by which it looks up."""

    def made(self, order: Order, response: Response) -> Payment:
        return changed(super().made(order, response), gateway_id=None)


@broken("query.agrees")
class TwoNumbers(Tea):
    """Calls a payment otherwise in a notify."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        payment = heard.payment
        return replace(heard, payment=changed(payment, gateway_id=f"N{payment.gateway_id}")) if payment else heard


@broken("query.by_reference")
class TimeUnknownIsNotFound(Tea):
    """Says that an order is not there, since it does not know when it was sent."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None, created_at: datetime | None) -> Flow[Payment]:
        if created_at is None:
            raise NotFound("the gateway does not know the order")
        return (yield from Tea.query(self, reference, gateway_id))


class Dated(Tea):
    """Names each order with its time, as its gateway wants it: nothing is wrong with that."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, reserved_fields=frozenset({*OWN, "begun"}))

    @hookimpl
    def create_payment(self, order: Order, created_at: datetime | None) -> Flow[Payment]:
        body = {**self.body(order), "begun": self.clock(created_at or datetime.now(UTC))}
        return self.payment(self.reply((yield self.post("/payments", body))))

    @hookimpl
    def query(self, reference: str, created_at: datetime | None) -> Flow[Payment]:
        if created_at is None:
            raise GatewayError("the gateway looks an order up by its time, too")
        address = f"{self.base_url}/payments/{reference}?begun={self.sent(created_at)}"
        return self.payment(self.reply((yield Request("GET", address, headers=self.headers(b""))), missing=True))

    def clock(self, at: datetime) -> str:
        return at.strftime("%Y%m%d%H%M%S")

    def sent(self, at: datetime) -> str:
        return self.clock(at)


@broken("query.created_at")
class DatedInAnotherZone(Dated):
    """Writes the time in Shanghai's zone to the one address, and in UTC to the other."""

    def sent(self, at: datetime) -> str:
        return self.clock(at + timedelta(hours=8))


@broken("query.created_at")
class DatedNow(Dated):
    """Sends with an order the time of the moment."""

    @hookimpl
    def create_payment(self, order: Order, created_at: datetime | None) -> Flow[Payment]:
        return (yield from Dated.create_payment(self, order, None))


# Refund and close


# Confirmations


CONFIRMS = {"confirms": ConfirmingContract.confirms}


@broken("confirm.paid", **CONFIRMS)
class NeverConfirmed(Tea):
    """Takes a notify for the end of it."""


@broken("confirm.paid", **CONFIRMS)
class QueriedUnconfirmed(Confirming):
    """Takes what waits for its confirmation for paid, where it asks itself."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        payment = yield from Tea.query(self, reference, gateway_id)
        waits = payment.status is PaymentStatus.AUTHORIZED
        return changed(payment, status=PaymentStatus.PAID) if waits else payment


@broken("confirm.paid", **CONFIRMS)
class ConfirmedAndWaiting(Confirming):
    """Leaves it to a query to say what is paid."""

    def confirmed(self, payment: Payment, expect: Order | None) -> Flow[Payment]:
        yield from super().confirmed(payment, expect)
        return payment


@broken("confirm.refused", **CONFIRMS)
class ConfirmedInVain(Confirming):
    """Sends the confirmation, and does not look at its answer."""

    def kept(self, payment: Payment) -> Flow[Payment]:
        try:
            return (yield from super().kept(payment))
        except GatewayError:
            return changed(payment, status=PaymentStatus.PAID)


@broken("confirm.refused", **CONFIRMS)
class ConfirmationNotFound(Confirming):
    """Takes "there is no such payment", said of a confirmation, for an order that the gateway does not know."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        return super().reply(response, missing=missing or response.status_code == 404)


@broken("confirm.status", **CONFIRMS)
class TakenIsPaid(Confirming):
    """Takes a payment for paid once its confirmation is taken, whatever it has come to."""

    def taken(self, fields: Fields) -> PaymentStatus:
        return PaymentStatus.PAID


@broken("confirm.status", **CONFIRMS)
class ConfirmedBeforeIsFailed(Confirming):
    """Takes "it was confirmed before" for a no."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        if response.status_code == 409 and b'"duplicate"' in response.content:
            raise GatewayError("confirmed before")
        return super().reply(response, missing=missing)

    def kept(self, payment: Payment) -> Flow[Payment]:
        try:
            return (yield from super().kept(payment))
        except GatewayError as error:
            if error.message != "confirmed before":
                raise
            return changed(payment, status=PaymentStatus.FAILED)


@broken("notify.other_account", **CONFIRMS)
class AnyPayee(Confirming):
    """Believes what it looks up, whoever is paid by it: the message has named the merchant."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return Tea.fields(self, response, missing=missing)


@broken("confirm.other", **CONFIRMS)
class AnyIsConfirmed(Confirming):
    """Keeps whatever money is there."""

    def confirmed(self, payment: Payment, expect: Order | None) -> Flow[Payment]:
        return (yield from self.kept(payment))


@broken("confirm.other", **CONFIRMS)
class ConfirmedWhereItIsHeard(Confirming):
    """Confirms in the callback, where nobody knows yet which sum the order is about."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Flow[Notification]:
        heard = Tea.parse_callback(self, callback)
        payment = heard.payment
        if payment is None or (expect is not None and payment.amount != expect.amount):
            return heard
        return replace(heard, payment=(yield from self.kept(payment)))


@broken("confirm.other", **CONFIRMS)
class ConfirmedUnread(Confirming):
    """Confirms before the signature is checked."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Flow[Notification]:
        fields = self.form(callback, "POST" if callback.method == "POST" else "GET")
        payment = yield from self.confirmed(self.payment(fields), expect)
        return replace(Tea.parse_callback(self, callback), payment=payment)


class Refunding(Tea):
    """One whose mistake is in its refunds."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        body = self.refund_body(reference, amount, refund_reference)
        fields = self.reply((yield self.post("/refunds", {**body, "currency": amount.currency})))
        return self.refunded(fields, reference, amount, refund_reference)

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        return {"order": reference, "refund": refund_reference, "amount": self.written(amount)}

    def refunded(self, fields: Fields, reference: str, amount: Money, refund_reference: str) -> Refund:
        return Refund(
            reference=fields.text("order"),
            refund_reference=fields.text("refund"),
            status=RefundStatus.REFUNDED,
            amount=fields.money("refund_amount", fields.text("currency"), "major"),
        )


@broken("refund.accepted")
class NeverDone(Refunding):
    """Leaves every refund under way."""

    def refunded(self, fields: Fields, reference: str, amount: Money, refund_reference: str) -> Refund:
        refund = super().refunded(fields, reference, amount, refund_reference)
        return refund.model_copy(update={"status": RefundStatus.PENDING})


@broken("refund.asks")
class RefundInCents(Refunding):
    """Writes minor units where the gateway reads major ones."""

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        return {**super().refund_body(reference, amount, refund_reference), "amount": str(amount.minor)}


@broken("refund.asks")
class PartIsWhole(Refunding):
    """Pays all of it back, and then says that it refunds no parts."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        whole = Money(10000, amount.currency)
        refund = yield from Refunding.refund(self, reference, whole, refund_reference)
        if amount != whole:
            raise InvalidOrder("expected the whole sum")
        return refund


@broken("refund.asks")
class RefundToldToPayers(Refunding):
    """Has the gateway tell of a refund at the address where payers come back."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str, expect: Order | None) -> Flow[Refund]:
        body = self.refund_body(reference, amount, refund_reference)
        address = {"tell": expect.return_url} if expect else {}
        return self.paid_back(
            self.reply((yield self.post("/refunds", {**body, **address, "currency": amount.currency})))
        )


@broken("refund.key")
class OneRefundForAll(Refunding):
    """Names a refund by its order, so that there is one."""

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        return {**super().refund_body(reference, amount, refund_reference), "refund": reference}


@broken("refund.refused")
class RefundNeverRefused(Tea):
    """Does not tell a refusal from a lost answer."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        try:
            return (yield from Tea.refund(self, reference, amount, refund_reference))
        except Refused:
            raise GatewayError("no refund came back") from None


@broken("refund.refused")
class RefundLookedUpFirst(RefundNeverRefused):
    """Tells a refusal of its look-up, and none of the refund."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        url = f"{self.base_url}/payments/{reference}"
        self.reply((yield Request("GET", url, headers=self.headers(b""), harmless=True)))
        return (yield from RefundNeverRefused.refund(self, reference, amount, refund_reference))


@broken("refund.other")
class AnyRefundIsRight(Refunding):
    """Takes number and sum from what was asked for."""

    def refunded(self, fields: Fields, reference: str, amount: Money, refund_reference: str) -> Refund:
        return Refund(
            reference=reference, refund_reference=refund_reference, status=RefundStatus.REFUNDED, amount=amount
        )


@broken("refund.order")
class OneOrderPaysBack(Refunding):
    """Names the order that its author tried."""

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        return {**super().refund_body(reference, amount, refund_reference), "order": "A1001"}


@broken("refund.looked_up")
class LookedUpAndBelieved(Refunding):
    """Asks what the gateway knows of the order, and takes whatever comes for it."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        url = f"{self.base_url}/payments/{reference}"
        known = self.reply((yield Request("GET", url, headers=self.headers(b""), harmless=True)))
        return (yield from Tea.refund(self, known.text("order"), amount, refund_reference))


class AsksFirst(Refunding):
    """Has no number for a refund, so it asks first what has gone back: nothing is wrong with that."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        known = yield from self.known(reference)
        if self.is_back(known, amount):
            return Refund(reference=reference, refund_reference=refund_reference, status=RefundStatus.REFUNDED)
        if known.status is not PaymentStatus.PAID:
            raise GatewayError("the look-up does not say whether this sum has gone back")
        body = self.refund_body(reference, amount, refund_reference)
        return self.paid_back(self.reply((yield self.post("/refunds", body))))

    def known(self, reference: str, *, harmless: bool = True) -> Flow[Payment]:
        url = f"{self.base_url}/payments/{reference}"
        request = Request("GET", url, headers=self.headers(b""), harmless=harmless)
        known = self.payment(self.reply((yield request), missing=True))
        if known.reference != reference:
            raise GatewayError("the answer is about another order")
        return known

    def is_back(self, known: Payment, amount: Money) -> bool:
        return known.refunded == amount == known.amount

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        return {"order": reference, "amount": self.written(amount), "currency": amount.currency}


@broken("refund.again")
class TakesAPartForThisOne(AsksFirst):
    """Says that a part is back where as much went back before, by whatever refund."""

    def is_back(self, known: Payment, amount: Money) -> bool:
        return known.refunded == amount


@broken("refund.again")
class TakesAPartForTheWhole(AsksFirst):
    """Says that all is back where a part is."""

    def is_back(self, known: Payment, amount: Money) -> bool:
        return bool(known.refunded)


@broken("refund.again")
class AsksNobody(AsksFirst):
    """Has no number for a refund, and does not ask."""

    def known(self, reference: str, *, harmless: bool = True) -> Flow[Payment]:
        return Payment(reference=reference, status=PaymentStatus.PAID)
        yield


@broken("refund.again")
class NumbersEachTry(Refunding):
    """Gives every try of a refund a number of its own, and takes that for a key."""

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        number = f"{refund_reference}-{next(_numbers)}"
        return {**super().refund_body(reference, amount, refund_reference), "refund": number}


@broken("refund.again")
class LooksForTheWhole(AsksFirst):
    """Asks whether all of it has gone back, and pays each part back again."""

    def known(self, reference: str, *, harmless: bool = True) -> Flow[Payment]:
        known = yield from super().known(reference)
        parts = known.status is PaymentStatus.PARTIALLY_REFUNDED
        return changed(known, status=PaymentStatus.PAID, refunded=None) if parts else known


@broken("refund.again", message=lambda self, sale: {**in_two_words(self, sale), "back": ""})
class GatewayForgets(AsksFirst):
    """Asks a gateway that never says what has gone back."""


@broken("refund.again")
class AsksInVain(AsksFirst):
    """Asks first, and sends the refund where no answer comes."""

    def known(self, reference: str, *, harmless: bool = True) -> Flow[Payment]:
        try:
            return (yield from super().known(reference))
        except GatewayError:
            return Payment(reference=reference, status=PaymentStatus.PAID)


@broken("refund.looked_up")
class UnpaidIsBack(AsksFirst):
    """Takes whatever is not paid for paid back."""

    def is_back(self, known: Payment, amount: Money) -> bool:
        return known.status is not PaymentStatus.PAID


@broken("refund.look_up_no")
class LookUpUnmarked(AsksFirst):
    """Does not say that its look-up is one: a no to it is taken for a no to the refund."""

    def known(self, reference: str, *, harmless: bool = True) -> Flow[Payment]:
        return (yield from super().known(reference, harmless=False))


@broken("refund.look_up_no")
class LooksBehind(AsksFirst):
    """Looks whether the refund is there, and takes a no to that for a refusal."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        made = yield from Tea.refund(self, reference, amount, refund_reference)
        yield from self.known(reference)
        return made


@broken("refund.look_up_no")
class NotThereIsBack(AsksFirst):
    """Takes an order that the gateway does not know for one that was paid back."""

    def known(self, reference: str, *, harmless: bool = True) -> Flow[Payment]:
        try:
            return (yield from super().known(reference))
        except NotFound:
            whole = Money(10000, "CNY")
            return Payment(reference=reference, status=PaymentStatus.REFUNDED, amount=whole, refunded=whole)


@broken("close.look_up_no")
class ClosesWhatIsThere(Tea):
    """Looks whether there is something to close, and does not say that this closes nothing."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        url = f"{self.base_url}/payments/{reference}"
        self.reply((yield Request("GET", url, headers=self.headers(b""))), missing=True)
        return (yield from Tea.close(self, reference))


class LooksBeforeClosing(Tea):
    """Looks whether there is something to close, and says so: nothing is wrong with that."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        url = f"{self.base_url}/payments/{reference}"
        look_up = Request("GET", url, headers=self.headers(b""), harmless=True)
        known = self.payment(self.reply((yield look_up), missing=True))
        if known.reference != reference:
            raise GatewayError("the answer is about another order")
        if known.status is PaymentStatus.CANCELED:
            return known
        if known.status is not PaymentStatus.PENDING:
            raise GatewayError("the order is not open")
        return (yield from self.closed(reference))

    def closed(self, reference: str) -> Flow[Payment]:
        return (yield from Tea.close(self, reference))


@broken("close.refused")
class OpenIsClosed(LooksBeforeClosing):
    """Takes a refusal for a yes where the order was open a moment before."""

    def closed(self, reference: str) -> Flow[Payment]:
        try:
            return (yield from super().closed(reference))
        except Refused:
            return Payment(reference=reference, status=PaymentStatus.CANCELED)


class Searching(Tea):
    """Looks an order up by its number where the gateway's is not known: nothing is wrong with that."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        if gateway_id is None:
            return (yield from self.search(reference))
        return (yield from Tea.query(self, reference, gateway_id))

    @hookimpl
    def refund(self, reference: str, gateway_id: str | None, amount: Money, refund_reference: str) -> Flow[Refund]:
        if gateway_id is None:
            yield from self.search(reference, harmless=True)
        return (yield from Tea.refund(self, reference, amount, refund_reference))

    @hookimpl
    def close(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        if gateway_id is None:
            yield from self.search(reference, harmless=True)
        return (yield from Tea.close(self, reference))

    def search(self, reference: str, *, harmless: bool = False) -> Flow[Payment]:
        url = f"{self.base_url}/payments?order={reference}"
        request = Request("GET", url, headers=self.headers(b""), harmless=harmless)
        return self.chosen(self.payment(self.reply((yield request), missing=True)), reference)

    def chosen(self, found: Payment, reference: str) -> Payment:
        if found.reference != reference:
            raise NotFound("the gateway does not know the order")
        return found


class SearchUnmarked(Searching):
    """Does not say that its search is one: a no to it is taken for a no to the refund, or to the close."""

    def search(self, reference: str, *, harmless: bool = False) -> Flow[Payment]:
        return (yield from super().search(reference))


class AnySearched(Searching):
    """Takes whatever the search finds for the order's own."""

    def chosen(self, found: Payment, reference: str) -> Payment:
        return changed(found, reference=reference)


class SearchedByPrefix(AnySearched):
    """Takes an order for this one whose number begins as this one's does."""

    def chosen(self, found: Payment, reference: str) -> Payment:
        if not found.reference.startswith(reference):
            raise NotFound("the gateway does not know the order")
        return super().chosen(found, reference)


for _case in ("refund.look_up_no", "close.look_up_no"):
    broken(_case)(SearchUnmarked)
for _case in ("query.by_reference", "refund.looked_up", "close.looked_up"):
    for _broken in (AnySearched, SearchedByPrefix):
        broken(_case)(_broken)


@broken("refund.unknown_status")
class ElseRefunded(Refunding):
    """Takes every word but the two that it knows for done."""

    def refunded(self, fields: Fields, reference: str, amount: Money, refund_reference: str) -> Refund:
        refund = super().refunded(fields, reference, amount, refund_reference)
        words = {"open": RefundStatus.PENDING, "failed": RefundStatus.FAILED}
        status = words.get(fields.text("refund_state"), RefundStatus.REFUNDED)
        return refund.model_copy(update={"status": status})


@broken("refund.status")
class AcceptedIsRefunded(Refunding):
    """Takes a refund that is under way for one that is done."""


@broken("close.accepted")
class CloseSaysOpen(Tea):
    """Does not say what came of it."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        return changed((yield from Tea.close(self, reference)), status=PaymentStatus.PENDING)


@broken("close.order")
class OneOrderCloses(Tea):
    """Closes the order that its author tried."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        closed = self.payment(self.reply((yield self.post("/payments/A1001/close", {}))))
        return changed(closed, reference=reference)


@broken("close.refused")
class AlwaysClosed(Tea):
    """Takes a refusal for a yes."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        try:
            return (yield from Tea.close(self, reference))
        except Refused:
            return Payment(reference=reference, status=PaymentStatus.CANCELED)


# Sums and values


@broken("money.asked")
class TwoDecimals(Tea):
    """Writes two decimals in every currency."""

    def written(self, amount: Money) -> str:
        return f"{float(amount.amount):.2f}"


def _float(fields: Fields, name: str) -> Money:
    digits = {"JPY": 1, "KWD": 1000}.get(fields["currency"], 100)
    return Money(int(float(fields[name] or 0) * digits), fields["currency"])


@broken("money.notified")
class FloatNotified(Tea):
    """Counts in floats."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        sums = self.form(callback, "POST")
        if heard.payment is None:
            return heard
        return replace(heard, payment=changed(heard.payment, amount=None, paid=_float(sums, "received")))


@broken("money.queried")
class FloatQueried(Querying):
    """Counts in floats."""

    def found(self, fields: Fields, gateway_id: str | None, expect: Order | None) -> Payment:
        return changed(super().found(fields, gateway_id, expect), amount=None, paid=_float(fields, "received"))


def _unsigned_answer(self: TeaContract, request: Request, sale: Sale) -> Response:
    told = TeaContract.answer(self, request, sale)
    del told.headers["X-Tea-Signature"]
    return told


@broken("money.queried", answer=_unsigned_answer)
class Rounded(Tea):
    """Rounds what is finer than a cent, of a gateway that signs no answers."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        return self.fields(response, missing=missing)

    def payment(self, fields: Fields) -> Payment:
        digits = {"JPY": 0, "KWD": 3}.get(fields["currency"], 2)
        sums = {name: str(round(Decimal(fields[name]), digits)) for name in ("amount", "received") if fields[name]}
        return super().payment(Fields({**fields, **sums}))


@broken("money.largest")
class ShortSums(Tea):
    """Cuts a sum to the width of its field."""

    def written(self, amount: Money) -> str:
        return super().written(amount)[:12]


@broken("values.json")
class RawDecimals(Tea):
    """Keeps values of Python's in raw."""

    def payment(self, fields: Fields) -> Payment:
        return changed(super().payment(fields), raw={**fields, "amount": Decimal(fields["amount"]), "at": ("a",)})


# Claims


@broken("claims.methods")
class EveryMethod(Tea):
    """Declares methods that its gateway does not have."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, methods=frozenset(PaymentMethod))


@broken("claims.methods")
class OneMethod(Tea):
    """Declares methods and asks for none of them."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "method": "any", "payer": ""}


@broken("claims.method_needed")
class MethodNeeded(Tea):
    """Needs a method and does not declare it."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "method": METHODS[order.method]}  # type: ignore[index]


@broken("claims.payer")
class NoPayer(Tea):
    """Forgets the payer."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "payer": ""}


@broken("claims.reference")
class ShortNumbers(Tea):
    """Cuts an order's number to the width of its field."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "order": order.reference[:20]}


@broken("claims.extra")
class ExtraWins(Tea):
    """Lets extra replace its own fields."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, reserved_fields=frozenset())

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), **order.extra}


@broken("claims.extra")
class ExtraReplacesWhatIsAttached(Tea):
    """Sends a note where there is one, and lets extra replace it."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, reserved_fields=frozenset(OWN - {"note"}))

    def body(self, order: Order) -> dict[str, Any]:
        body = {**super().body(order), **order.extra}
        return {name: value for name, value in body.items() if value or name != "note"}


@broken("claims.extra")
class ExtraLost(Tea):
    """Takes extra and sends none of it."""

    def body(self, order: Order) -> dict[str, Any]:
        return {name: value for name, value in super().body(order).items() if name in OWN}


@broken("claims.extra")
class SumNamed(Tea):
    """Names the sum among what an order's extra may set."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, extra_fields="remark|amount", reserved_fields=frozenset())

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), **order.extra}


@broken("claims.extra")
class NamedAndLost(Tea):
    """Names a field that an order may set, and sends its own."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, extra_fields="remark|note", reserved_fields=frozenset())


@broken("claims.hooks")
class RefundUndeclared(Tea):
    """Has a refund that no hub knows of."""

    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        return (yield from Tea.refund(self, reference, amount, refund_reference))


@broken("claims.identity")
class NoIdentity(Tea):
    """Does not say what a merchant is."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, identity=())


@broken("claims.identity")
class SameIdentity(Tea):
    """Takes the gateway's address for the merchant."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, identity=("base_url",))


# Faults


class Catching(Creating):
    """One whose mistake is what it makes of a failed exchange."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        try:
            return self.made(order, (yield self.post("/payments", self.body(order))))
        except GatewayError as error:
            return (yield from self.caught(order, error))

    def caught(self, order: Order, error: GatewayError) -> Flow[Payment]:
        raise error
        yield


@broken("fault.connect")
class AlwaysUnknown(Catching):
    """Calls whatever fails unknown."""

    def caught(self, order: Order, error: GatewayError) -> Flow[Payment]:
        if isinstance(error, NotSent):
            raise OutcomeUnknown("something went wrong")
        raise error
        yield


@broken("fault.read")
class SentAgain(Catching):
    """Sends a payment again where no answer came."""

    def caught(self, order: Order, error: GatewayError) -> Flow[Payment]:
        return self.made(order, (yield self.post("/payments", self.body(order))))


@broken("fault.reset")
class BrokenIsRefused(Catching):
    """Takes a broken connection for a refusal."""

    def caught(self, order: Order, error: GatewayError) -> Flow[Payment]:
        if "ReadError" in error.message:
            raise Refused("the gateway hung up")
        raise error
        yield


@broken("fault.redirect")
class Following(Creating):
    """Follows redirects."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        response = yield self.post("/payments", self.body(order))
        if response.is_redirect:
            response = yield Request("GET", response.headers["Location"], headers=self.headers(b""))
        return self.made(order, response)


@broken("fault.client_error")
class StatusIsEnough(Tea):
    """Takes the status of a page for the gateway's word."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        if response.status_code == 404 and missing:
            raise NotFound("the gateway does not know the order")
        return super().reply(response, missing=missing)


@broken("fault.client_error")
class FourHundredIsRefused(Tea):
    """Takes any page with HTTP 400 for a refusal."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        if response.status_code == 400:
            raise Refused("the gateway refused")
        return super().reply(response, missing=missing)


@broken("fault.server_error")
class FiveHundredIsRefused(Catching):
    """Takes HTTP 500 for a refusal."""

    def caught(self, order: Order, error: GatewayError) -> Flow[Payment]:
        if "HTTP 5" in error.message:
            raise Refused("the gateway failed")
        raise error
        yield


@broken("fault.html")
class PageIsNext(Creating):
    """Takes a page for the page to show the payer."""

    def made(self, order: Order, response: Response) -> Payment:
        if response.text.startswith("<"):
            return changed(self.assumed(order), next_action=HtmlPage(html=response.text))
        return super().made(order, response)


@broken("fault.empty")
class EmptyIsAccepted(Creating):
    """Takes no answer for a yes."""

    def made(self, order: Order, response: Response) -> Payment:
        return super().made(order, response) if response.content else self.assumed(order)


@broken("fault.truncated")
class HalfIsEnough(Creating):
    """Makes do with what came."""

    def made(self, order: Order, response: Response) -> Payment:
        half = response.content.startswith(b"{") and not response.content.endswith(b"}")
        return self.assumed(order) if half else super().made(order, response)


@broken("fault.oversized")
class LongIsAccepted(Catching):
    """Takes an endless answer for a yes."""

    def caught(self, order: Order, error: GatewayError) -> Flow[Payment]:
        if "longer" in error.message:
            return self.assumed(order)
        raise error
        yield


@broken("fault.compressed")
class CompressedIsRefused(Catching):
    """Takes an answer that it cannot read for a refusal."""

    def caught(self, order: Order, error: GatewayError) -> Flow[Payment]:
        if "compressed" in error.message:
            raise Refused("the gateway answered in riddles")
        raise error
        yield


@broken("fault.charset")
class Replacing(Creating):
    """Replaces what it cannot read."""

    def made(self, order: Order, response: Response) -> Payment:
        fields = json.loads(response.content.decode("utf-8", "replace"))
        return changed(self.assumed(order), next_action=Redirect(url=fields["url"]))


@broken("fault.surrogates")
class KeptAsItCame(Creating):
    """Keeps whatever JSON holds."""

    def made(self, order: Order, response: Response) -> Payment:
        fields = json.loads(response.content)
        return changed(self.payment(Fields(fields)), raw=fields)


def _created_in(written: Callable[[dict[str, str]], str]) -> Callable[[TeaContract, Request, Sale], Response]:
    """A gateway that answers a create, and that alone, in another notation."""

    def answer(self: TeaContract, request: Request, sale: Sale) -> Response:
        told = TeaContract.answer(self, request, sale)
        if (request.method, request.url.path) != ("POST", "/payments") or told.status_code != 200:
            return told
        return Response(200, text=written(told.json()))

    return answer


@broken("fault.surrogates", answer=_created_in(urlencode))
class FormKeptAsItCame(Creating):
    """Keeps whatever a form holds."""

    def made(self, order: Order, response: Response) -> Payment:
        fields = dict(parse_qsl(response.text, keep_blank_values=True, errors="surrogatepass"))
        return changed(self.payment(Fields(fields)), raw=fields)


def _as_xml(fields: dict[str, str]) -> str:
    return f"<tea>{''.join(f'<{name}>{escape(text)}</{name}>' for name, text in fields.items())}</tea>"


@broken("fault.surrogates", answer=_created_in(_as_xml))
class XmlKeptAsItCame(Creating):
    """Reads XML by hand, and keeps whatever it holds."""

    def made(self, order: Order, response: Response) -> Payment:
        found = re.findall(r"<(\w+)>([^<]*)</", response.text)
        fields = {name: re.sub("&#x([0-9A-F]+);", lambda code: chr(int(code[1], 16)), text) for name, text in found}
        return changed(self.payment(Fields(fields)), raw=fields)


@broken("fault.deep")
class DeepIsRefused(Creating):
    """Takes what it cannot read for a refusal."""

    def made(self, order: Order, response: Response) -> Payment:
        try:
            json.loads(response.content)
        except RecursionError:
            raise Refused("the gateway's answer makes no sense") from None
        except ValueError:
            raise GatewayError("no JSON") from None
        return super().made(order, response)


@broken("fault.other_order")
class AnyAnswerIsRight(Creating):
    """Takes whatever is answered for an answer to its question."""

    def made(self, order: Order, response: Response) -> Payment:
        return changed(super().made(order, response), reference=order.reference)


@broken("fault.slow")
class Patient(Tea):
    """Waits for a minute, whatever the settings say."""

    @field_validator("timeout")
    @classmethod
    def _patient(cls, timeout: float) -> float:
        return max(timeout, 60.0)


@broken("replies.signed")
class NoUnchecked(Tea):
    """Checks the signature of a yes alone: whoever can answer says that an order is not there."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        if response.is_error:
            return self.fields(response, missing=missing)
        return Tea.reply(self, response, missing=missing)


ANSWER_SIGNED = ("order", "amount", "currency", "state", "code")


def partly_signed_answer(self: TeaContract, request: Request, sale: Sale) -> Response:
    told = TeaContract.answer(self, request, sale)
    part = {name: told.json().get(name, "") for name in ANSWER_SIGNED}
    told.headers["X-Tea-Signature"] = digest(self.key(sale), b"answer", joined(part)).hex()
    return told


class PartOfAnswers(Tea):
    """Asks a gateway that signs its answers in part, and checks that part: nothing is wrong with it."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        told = read_object(response.content, Fields)
        part = {name: told.text(name, default="") for name in ANSWER_SIGNED}
        given = response.headers.get("X-Tea-Signature")
        if not made_by_any(self.key, lambda key: digest(key, b"answer", joined(part)), given):
            raise GatewayError("no key of this account signed the answer")
        return self.fields(response, missing=missing)


@broken("replies.signed", answer=partly_signed_answer)
class StateLookedFor(PartOfAnswers):
    """Looks for a state that the signature fits, and reads the one that came."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        given = {"X-Tea-Signature": response.headers.get("X-Tea-Signature", "")}
        for state in STATES:
            with suppress(GatewayError):
                super().reply(Response(200, json={**response.json(), "state": state}, headers=given))
                return self.fields(response, missing=missing)
        return super().reply(response, missing=missing)


@broken("replies.signed")
class UnsignedNoEndsIt(Tea):
    """Believes a no that nobody signed, and checks every yes."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        if response.is_error and "X-Tea-Signature" not in response.headers:
            return self.fields(response, missing=missing)
        return super().reply(response, missing=missing)


@broken("replies.signed")
class AnswersUnchecked(Tea):
    """Does not check who answered."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        return read_reply(response, refusal=refusal, missing=missing)


# Secrets


@broken("secret.repr")
class Talkative(Tea):
    """Shows its key when it is printed."""

    def __repr__(self) -> str:
        return f"Talkative({self.merchant!r}, {self.key[0].text!r})"


@broken("secret.pickle")
class Pickled(Tea):
    """Can be pickled, key and all."""

    def __reduce_ex__(self, protocol: object) -> Any:
        return Pickled.model_construct, (), {"key": self.key[0].text}


@broken("secret.settings")
class Quoting(Tea):
    """Quotes the beginning of a key that is too long; a whole one the core hides."""

    @field_validator("key", mode="before")
    @classmethod
    def _quoted(cls, key: object) -> object:
        if isinstance(key, str) and len(key) > 40:
            raise ValueError(f"expected a key of at most 40 characters, not {key[:20]}...")
        return key


@broken("secret.logs")
class Logging(Tea):
    """Logs what it signs with."""

    def headers(self, content: bytes) -> dict[str, str]:
        logging.getLogger("tea").debug("signing %r with %s", content, self.key[0].text)
        return super().headers(content)


@broken("secret.errors")
class KeyInHand(Tea):
    """Has its key in a variable while it fails."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        key = self.key[0].text
        if given != digest(key.encode(), purpose.encode(), joined(fields)).hex():
            raise BadSignature("no key of this account signed the message")


@broken("secret.raw")
class SignatureKept(Tea):
    """Keeps the signature in raw."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        payment = heard.payment
        kept = {"signature": callback.header("X-Tea-Signature")}
        return replace(heard, payment=changed(payment, raw={**payment.raw, **kept})) if payment else heard


def _with_a_plus(contract: TeaContract, sale: Sale) -> Callback:
    """Signed in a header that begins with a plus, as Base64 may."""
    told = contract.told(sale)
    return replace(told, headers={**told.headers, "X-Tea-Signature": f"+{told.headers['X-Tea-Signature']}"})


@broken("secret.raw", notify=_with_a_plus)
class SignatureOfAPlusKept(SignatureKept):
    """Keeps a signature that a form would write otherwise."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        super().check(purpose, fields, given and given.removeprefix("+"))


@broken("secret.address")
class KeyInAddress(Tea):
    """Sends its key in the address."""

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        url = f"{self.base_url}/payments/{reference}?key={self.key[0].text}"
        return self.payment(self.reply((yield Request("GET", url, headers=self.headers(b""))), missing=True))


@broken("secret.rotation")
class NewestKeyOnly(Tea):
    """Verifies by the key that signs."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if not made_by_any(self.key[:1], lambda key: digest(key, purpose.encode(), joined(fields)), given):
            raise BadSignature("no key of this account signed the message")


# What one gateway in a few does


@broken("create.duplicate")
class TakenIsRefused(Tea):
    """Takes "this number is taken" for a refusal."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return read_reply(response, refusal=lambda fields: (fields.text("code"), ""), missing=missing)


@broken("create.description")
class Silent(Tea):
    """Leaves the description out."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "text": ""}


@broken("query.refunded")
class BackIsDone(Tea):
    """Knows no word for a refund, and reads the one that is nearest."""

    def payment(self, fields: Fields) -> Payment:
        found = super().payment(fields)
        back = found.status is PaymentStatus.REFUNDED
        return changed(found, status=PaymentStatus.PAID) if back else found


def in_two_words(contract: TeaContract, sale: Sale) -> dict[str, str]:
    words = {PaymentStatus.PENDING: "open", PaymentStatus.PAID: "done"}
    message = TeaContract.message(contract, sale.but(status=PaymentStatus.PAID))
    return {**message, "state": sale.word or words[sale.status]}


@broken("query.refunded", message=in_two_words)
class NeverAsked(Tea):
    """Refunds, and its author has never looked at what a query says afterwards."""


@broken("fault.status")
class AnyStatus(Tea):
    """Reads the body, and never looks at the status."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return read_reply(response, ok=(200, 404, 409, 500), missing=missing)


def in_xml(contract: TeaContract, sale: Sale) -> Callback:
    notify = TeaContract.notify(contract, sale)
    fields = parse_qsl(notify.body.decode(), keep_blank_values=True)
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in fields)
    return replace(notify, body=f"<tea>{inside}</tea>".encode())


@broken("fault.entities", notify=in_xml)
class PlainParser(Tea):
    """Reads XML as the standard library does, entities and all."""

    def form(self, callback: Callback, method: str) -> Fields:
        try:
            root = ET.fromstring(callback.body)
        except ET.ParseError as error:
            raise MalformedCallback("expected XML") from error
        return CallbackFields({element.tag: element.text or "" for element in root})


# What authors did, who had nothing but the pages and a manual


@broken("notify.downgraded", told=lambda self, sale: TeaContract.told(self, sale, sign_type="HMAC"))
class OneAlgorithmChecked(Tea):
    """Checks the one way to sign that it knows, and lets pass what names another."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if fields.get("sign_type") == "HMAC":
            super().check(purpose, fields, given)


@broken("notify.downgraded")
class UnsignedByChoice(Tea):
    """Does not check what a message says is not signed."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if fields.text("sign_type", default="").lower() != "none":
            super().check(purpose, fields, given)


@broken("notify.downgraded")
class EmptyKeyToo(Tea):
    """Takes an account without a key for one whose key is empty."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if given != digest(b"", purpose.encode(), joined(fields)).hex():
            super().check(purpose, fields, given)


@broken("notify.pasted", notify=lambda self, sale: Callback("POST", {"Content-Type": FORM}, b"", b"id=70010001"))
class Pasting(Tea):
    """Asks for whatever number a stranger names."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        number = self.form(callback, "POST").text("id")
        response = yield Request("GET", f"{self.base_url}/payments/{number}", headers=self.headers(b""))
        return Notification(callback.kind, self.payment(self.reply(response)), Reply(b"OK"))


@broken("notify.compared")
class ComparedByEquals(Tea):
    """Compares as texts are compared."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        made = [digest(key, purpose.encode(), joined(fields)).hex() for key in self.key]
        if (given or "").lower() not in made:
            raise BadSignature("no key of this account signed the message")
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the message is for another merchant")


@broken("notify.others")
class EveryEventPays(Tea):
    """Does not read what a message is about."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if callback.kind is CallbackKind.RETURN:
            return Tea.parse_callback(self, callback)
        fields = self.form(callback, "POST")
        self.check("notify", fields, callback.header("X-Tea-Signature"))
        check_age(callback, fields.text("at"))
        return Notification(callback.kind, self.payment(fields), Reply(b"OK"))


@broken("notify.others")
class PaymentsAlone(Tea):
    """Refuses what is about anything else, until the gateway gives up."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        if heard.payment is None:
            raise MalformedCallback("expected a message about a payment")
        return heard


@broken("notify.others")
class EventIsMoneyBack(Tea):
    """Takes every event about money for money that went back: a refund that failed, a dispute that was won."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        if heard.payment is not None:
            return heard
        told = self.payment(self.form(callback, "POST"))
        gone = changed(told, status=PaymentStatus.REFUND_SUM_UNKNOWN, paid=None)
        return Notification(callback.kind, gone, heard.reply)


@broken("notify.paid_sum")
class ReceivedUnread(Tea):
    """Never reads what was received: 'done' is enough."""

    def payment(self, fields: Fields) -> Payment:
        return changed(super().payment(fields), paid=None)


def _received_anyway(self: Tea, fields: Fields) -> Payment:
    payment = Tea.payment(self, fields)
    return changed(payment, paid=payment.amount)


@broken("notify.status")
class FailedIsReceived(Tea):
    """Reports the sum due as received, of an order that failed: a ledger counts what was received."""

    payment = _received_anyway


@broken("query.status")
class FailedIsReceivedHere(Querying):
    """The same, of a query."""

    payment = _received_anyway


class OneWord(Tea):
    """Knows one word for each status."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        usual = fields["state"] in USUAL.values()
        return payment if usual else changed(payment, status=PaymentStatus.PENDING)


for _case in ("notify.genuine", "notify.status", "query.paid", "query.status"):
    broken(_case)(OneWord)


@broken("create.duplicate")
class OneWordForTaken(Tea):
    """Knows one of the words for a number that is taken."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        def told(fields: Fields) -> tuple[str, str] | None:
            code = fields.text("code")
            return None if code == "duplicate" else (code, "")

        return read_reply(response, refusal=told, missing=missing)


@broken("refund.duplicate")
class RefundTakenIsRefused(Refunding):
    """Takes "this refund's number is taken" for a refusal."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return read_reply(response, refusal=lambda fields: (fields.text("code"), ""), missing=missing)


@broken("refund.duplicate")
class RefundTakenHasFailed(Refunding):
    """Says of a refund whose number is taken that it has failed: its sum is free, and goes back under another."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        try:
            return (yield from Refunding.refund(self, reference, amount, refund_reference))
        except GatewayError as error:
            if "409" not in str(error):
                raise
            return Refund(reference=reference, refund_reference=refund_reference, status=RefundStatus.FAILED)


@broken("refund.status")
class OneWordForPending(Refunding):
    """Knows one word for a refund that is under way."""

    def refunded(self, fields: Fields, reference: str, amount: Money, refund_reference: str) -> Refund:
        words = {"open": RefundStatus.PENDING, "failed": RefundStatus.FAILED}
        status = words.get(fields.text("refund_state"), RefundStatus.REFUNDED)
        return super().refunded(fields, reference, amount, refund_reference).model_copy(update={"status": status})


@broken("close.paid")
class ClosedUnread(Tea):
    """Takes an answer for a yes, and does not read where the order stands."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        return changed((yield from Tea.close(self, reference)), status=PaymentStatus.CANCELED)


@broken("query.refunded_sum")
class WhatIsLeft(Tea):
    """Takes what is left for what has gone back."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        if payment.refunded is None or payment.amount is None:
            return payment
        return changed(payment, refunded=payment.amount - payment.refunded)


@broken("query.paid")
class BackIsReceived(Tea):
    """Takes what was received for what has gone back."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        return changed(payment, refunded=payment.paid)


@broken("create.addresses")
class AddressesSwapped(Tea):
    """Has the two addresses the wrong way round."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "notify_url": order.return_url, "return_url": order.notify_url}


@broken("create.attach")
class AttachEscaped(Tea):
    """Escapes what the shop attached, and does not undo it in what comes back."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "note": quote(order.attach)}


def _small_numbers(self: TeaContract, request: Request) -> tuple[str, Money] | None:
    asked = TeaContract.asked(self, request)
    assert asked is None or int(asked[0]) < 2**31, "a number of 32 bits"
    return asked


@broken("claims.reference", asked=_small_numbers)
class LargestUndeclared(Tea):
    """Declares numbers that its gateway cannot hold."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, reference="[0-9]+", reference_length=10)


@broken("claims.reference")
class ZerosDropped(Tea):
    """Writes an order's number as a number where it is one."""

    def body(self, order: Order) -> dict[str, Any]:
        number = order.reference
        return {**super().body(order), "order": str(int(number)) if number.isdecimal() else number}


@broken("claims.reference")
class NumberInPath(Tea):
    """Pastes an order's number into an address, and declares what breaks it."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, reference="[A-Za-z0-9/?]+")

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        response = yield Request("GET", f"{self.base_url}/payments/{reference}", headers=self.headers(b""))
        return self.payment(self.reply(response, missing=True))


@broken("claims.callback_headers")
class HeadersUndeclared(Tea):
    """Does not say which header its messages are verified by."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, callback_headers=frozenset())


@broken("replies.signed")
class SignedAnswersChecked(Tea):
    """Checks an answer's signature where there is one."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        if "X-Tea-Signature" in response.headers:
            return super().reply(response, missing=missing)
        return self.fields(response, missing=missing)


@broken("secret.empty")
class EmptyKeyLoads(Tea):
    """Has a key that may be left empty."""

    key: tuple[Secret, ...] = ()  # type: ignore[assignment]

    @field_validator("key", mode="before")
    @classmethod
    def _any(cls, key: Any) -> Any:
        return tuple(Secret(one) for one in ([key] if isinstance(key, str) else key))

    @classmethod
    def _no_secret_is_empty(cls, value: object) -> object:
        return value


@broken("secret.empty")
class KeyLeftOut(EmptyKeyLoads):
    """Has a key that may be left out: an empty one stands for it."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if self.key:
            return Tea.parse_callback(self, callback)
        return Tea.parse_callback(self.model_copy(update={"key": (Secret(""),)}), callback)

    @field_validator("key")
    @classmethod
    def _not_empty(cls, key: tuple[Secret, ...]) -> tuple[Secret, ...]:
        if any(not one.text.strip() for one in key):
            raise ValueError("expected a key, not an empty one")
        return key


@broken("secret.logs")
class MessagesLogged(Tea):
    """Logs every message whole, to see what comes."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        logging.getLogger("tea").info("callback %r", callback.body)
        return Tea.parse_callback(self, callback)


@broken("secret.logs")
class Printing(Tea):
    """Still has a print of its author's."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        print("callback came")  # noqa: T201
        return Tea.parse_callback(self, callback)


@broken("secret.rotation")
class LastKeySigns(Tea):
    """Signs with the key that is to go."""

    def headers(self, content: bytes) -> dict[str, str]:
        made = digest(bytes(self.key[-1]), b"request", content).hex()
        return {**super().headers(content), "X-Tea-Signature": made}


@broken("query.paid_sum")
class AlwaysReceived(Querying):
    """Reads the word of an answer, and not the sum received."""

    def found(self, fields: Fields, gateway_id: str | None, expect: Order | None) -> Payment:
        return changed(super().found(fields, gateway_id, expect), paid=None)


@broken("money.refunded")
class RefundHasTwoDecimals(Refunding):
    """Counts every refund in hundredths."""

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        hundredths = str(Decimal(amount.minor) / 100)
        return {**super().refund_body(reference, amount, refund_reference), "amount": hundredths}


@broken("notify.acknowledged")
class OnlyPaidIsAcknowledged(Tea):
    """Acknowledges what is paid alone, and hears of the rest for days."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        open_ = heard.payment is not None and heard.payment.status is not PaymentStatus.PAID
        return replace(heard, reply=Reply(b"FAIL")) if open_ else heard


@broken("secret.errors")
class SignatureExplained(Tea):
    """Says which signature would be right."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        try:
            super().check(purpose, fields, given)
        except BadSignature:
            right = digest(self.key[0], purpose.encode(), joined(fields)).hex()
            raise BadSignature(f"expected {right}, not {given}") from None


@broken("secret.errors")
class SignatureInCapitals(Tea):
    """Says it in the other case than the gateway, which takes either."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        try:
            super().check(purpose, fields, given)
        except BadSignature:
            raise BadSignature(digest(self.key[0], purpose.encode(), joined(fields)).hex().upper()) from None


@broken("secret.errors")
class MessageQuoted(Tea):
    """Quotes a message that it refuses."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        try:
            return Tea.parse_callback(self, callback)
        except WrongAccount:
            raise WrongAccount(f"not for us: {callback.body!r}") from None


@broken("secret.plain_http")
class AnyAddress(Tea):
    """Takes any text for an address."""

    base_url: str = "https://tea.example"  # type: ignore[assignment]


@broken("secret.plain_http")
class AnySecondAddress(Tea):
    """Has a second address with a default, that may be anything."""

    status_url: str = "https://status.tea.example"


@broken("secret.switches")
class TestMode(Tea):
    """Can be told to believe everything."""

    sandbox: bool = False

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if not self.sandbox:
            super().check(purpose, fields, given)


# Envelopes


@broken("notify.beside")
class ReadsAllOfIt(Wrapped):
    """Takes what stands beside the envelope for a part of it."""

    def inside(self, form: Fields, data: bytes) -> Fields:
        return CallbackFields({**super().inside(form, data), **form})


@broken("notify.unsigned")
class Lowered(Wrapped):
    """Compares Base64 without regard to the case of its letters."""

    def check(self, form: Fields, data: str, callback: Callback) -> None:
        known = {b64encode(sealing(key, data)).decode().lower() for key in self.key}
        if form.text("sign", default="").lower() not in known:
            raise BadSignature("no key of this account made the signature")


@broken("notify.downgraded")
class MethodIsChosen(Wrapped):
    """The same, in a field that is named after the signature."""

    def check(self, form: Fields, data: str, callback: Callback) -> None:
        if form.text("sign_method", default="") != "NONE":
            super().check(form, data, callback)


@broken("return.forged", returned=WrappedContract.notify)
class BelievesBrowsers(Wrapped):
    """Checks the signatures of notifies alone; its contract leaves it to the kit to say which one a return is."""

    def check(self, form: Fields, data: str, callback: Callback) -> None:
        if callback.kind is CallbackKind.NOTIFY:
            super().check(form, data, callback)


@broken("create.description")
class SaysNothing(Wrapped):
    """Gives every order the same words."""

    def body(self, order: Order) -> dict[str, str]:
        return {**super().body(order), "text": "an order"}


@broken("create.addresses")
class SwappedInside(Wrapped):
    """Takes the one address for the other."""

    def body(self, order: Order) -> dict[str, str]:
        return {**super().body(order), "notify_url": order.return_url, "return_url": order.notify_url}


@broken("create.return_url")
class CutsQueries(Wrapped):
    """Sends addresses without their query."""

    def body(self, order: Order) -> dict[str, str]:
        return {**super().body(order), "return_url": order.return_url.partition("?")[0]}


@broken("create.notify_url")
class LowersAddresses(Wrapped):
    """Sends addresses in lower case."""

    def body(self, order: Order) -> dict[str, str]:
        return {**super().body(order), "notify_url": order.notify_url.lower()}


@broken("secret.address")
class KeyInside(Wrapped):
    """Sends its key along, where a glance does not see it."""

    def body(self, order: Order) -> dict[str, str]:
        return {**super().body(order), "key": self.key[0].text}


@broken("secret.sent")
class KeyBesideSignature(Tea):
    """Sends its key along with what it has signed with it."""

    def headers(self, content: bytes) -> dict[str, str]:
        return {**super().headers(content), "X-Tea-Key": self.key[0].text}


@broken("secret.sent")
class KeyInBody(Tea):
    """Signs a body that has the key in it."""

    def post(self, path: str, body: Mapping[str, Any]) -> Request:
        return super().post(path, {**body, "secret": self.key[0].text} if path == "/refunds" else body)


def _token_of(key: str, claims: Mapping[str, str]) -> str:
    text = ".".join(_plain64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    return f"{text}.{_plain64(hmac.digest(key.encode(), text.encode(), 'sha256'))}"


def _plain64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _by_token(self: TestEvents, request: Request, sale: Sale) -> Response:
    key = self.settings["key"]
    assert request.headers["Authorization"] == f"Bearer {_token_of(key, {'key': key})}"
    headers = {"Authorization": f"Bearer {key}"}
    return TestEvents.answer(self, Request(request.method, request.url, headers=headers), sale)


@broken("secret.sent", answer=_by_token)
class KeyInItsToken(Events):
    """Writes its key into the claims of a token that it signs with it."""

    def posted(self, path: str, body: dict[str, Any], amount: Money, number: str) -> Request:
        request, key = super().posted(path, body, amount, number), self.key[0]
        request.headers["Authorization"] = f"Bearer {_token_of(key.text, {'key': key.text})}"
        return request


@broken("secret.rotation")
class LastSigns(Wrapped):
    """Signs with the oldest key."""

    @property
    def signing(self) -> Any:
        return self.key[-1]


@broken("secret.errors")
class SaysWhatWouldBeRight(Wrapped):
    """Says in an error which signature it expected."""

    def check(self, form: Fields, data: str, callback: Callback) -> None:
        try:
            super().check(form, data, callback)
        except BadSignature:
            raise BadSignature(f"expected {b64encode(sealing(self.key[0], data)).decode()}") from None


@broken("secret.errors")
class SaysItInHex(Wrapped):
    """Says it as digests are mostly written."""

    def check(self, form: Fields, data: str, callback: Callback) -> None:
        try:
            super().check(form, data, callback)
        except BadSignature:
            raise BadSignature(f"expected {sealing(self.key[0], data).hex()}") from None


@broken("query.unknown_no")
class AnyErrorIsMissing(Wrapped):
    """Takes every error of a query for an order that is not there."""

    def no(self, word: str) -> GatewayError:
        return super().no(word) if word == "account" else NotFound("the gateway does not know the order")


@broken("query.refused")
class AccountIsRefused(Wrapped):
    """Takes a no to the account for a no to the order."""

    def no(self, word: str) -> GatewayError:
        return Refused("the gateway refused", code=word) if word == "account" else super().no(word)


@broken("query.refunded_sum")
class APartIsAll(Tea):
    """Says that all went back where a part did."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        parts = payment.status is PaymentStatus.PARTIALLY_REFUNDED
        return changed(payment, status=PaymentStatus.REFUNDED) if parts else payment


@broken("query.refunded", words={**TeaContract.words, PaymentStatus.REFUND_SUM_UNKNOWN: ("given back",)})
class SomeIsAll(Tea):
    """Takes a word that says of some money that it went back for one that says it of all."""

    def payment(self, fields: Fields) -> Payment:
        some = fields.text("state") == "given back"
        return super().payment(Fields(fields, state="back") if some else fields)


@broken("query.refunded_sum")
class ReceivedIsLeft(Tea):
    """Takes what is left for what was received."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        if payment.paid is None or payment.refunded is None:
            return payment
        return changed(payment, paid=payment.paid - payment.refunded)


@broken("secret.logs")
class LogsRequests(Tea):
    """Logs what it sends, signed as it is."""

    def post(self, path: str, body: Mapping[str, Any]) -> Request:
        request = super().post(path, body)
        logging.getLogger("tea").debug("sent %s", request.content)
        return request


@broken("claims.reference")
class LowersNumbers(Wrapped):
    """Asks for orders in lower case."""

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        return changed((yield from Wrapped.query(self, reference.lower())), reference=reference)


# What is looked up after a number that is taken


class LooksUp(Tea):
    """Asks what there is where a number is taken: nothing is wrong with that."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        response = yield self.post("/payments", self.body(order))
        if not self.is_taken(response):
            return self.payment(self.reply(response))
        return self.payment(self.found((yield self.look_up(f"/payments/{order.reference}"))))

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        sum_ = {"amount": self.written(amount), "currency": amount.currency}
        response = yield self.post("/refunds", {"order": reference, "refund": refund_reference, **sum_})
        if not self.is_taken(response):
            return self.paid_back(self.reply(response))
        return self.paid_back(self.found((yield self.look_up(f"/refunds/{refund_reference}"))))

    def is_taken(self, response: Response) -> bool:
        return response.status_code == 409 and b'"code"' in response.content

    def look_up(self, path: str) -> Request:
        return Request("GET", f"{self.base_url}{path}", headers=self.headers(b""), harmless=True)

    def found(self, response: Response) -> Fields:
        return read_reply(response)


class TrustsLookUps(LooksUp):
    """Takes a no to its look-up for a no to what it asked for before."""

    def found(self, response: Response) -> Fields:
        return self.reply(response, missing=True)


class LooksUpByStatus(LooksUp):
    """Reads a proxy's page by its status."""

    def found(self, response: Response) -> Fields:
        if response.status_code in {401, 403, 429}:
            raise AccountRefused("the gateway refused the account")
        return super().found(response)


class GivesUp(LooksUp):
    """Leaves it at a refusal where the look-up fails."""

    def found(self, response: Response) -> Fields:
        try:
            return super().found(response)
        except GatewayError:
            raise Refused("the number is taken") from None


for _case in ("create.taken", "refund.taken"):
    for _broken in (TrustsLookUps, LooksUpByStatus, GivesUp):
        broken(_case)(_broken)


@broken("create.taken")
class AnyPaymentIsThis(LooksUp):
    """Takes whatever the look-up finds for the order's payment, and says so in the order's own words."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        found = yield from LooksUp.create_payment(self, order)
        return changed(found, reference=order.reference, gateway_id=None)


class AnyRefundIsThis(LooksUp):
    """Takes whatever the look-up finds for the refund, and says so in its own words."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        found = yield from LooksUp.refund(self, reference, amount, refund_reference)
        own = {"reference": reference, "refund_reference": refund_reference, "amount": amount}
        return found.model_copy(update=own)


broken("refund.taken")(AnyRefundIsThis)


@broken("create.duplicate")
class TakenIsAccepted(LooksUp):
    """Takes "this number is taken" for the payment itself, which nobody can pay: it has no address."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        response = yield self.post("/payments", self.body(order))
        if self.is_taken(response):
            return Payment(reference=order.reference, status=PaymentStatus.PENDING, amount=order.amount)
        return self.payment(self.reply(response))


# A signature over some of the fields


class SignedInPart(Tea):
    """Reads a field that the signature leaves out."""

    NAMES: ClassVar[frozenset[str]] = frozenset(
        {"merchant", "order", "id", "state", "amount", "currency", "received", "back", "note", "at", "event"}
    )
    standing: ClassVar[str] = "status"

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        signed = Fields({name: value for name, value in fields.items() if name in self.NAMES})
        super().check(purpose, signed, given)

    def payment(self, fields: Fields) -> Payment:
        found = super().payment(fields)
        words = {"paid": PaymentStatus.PAID, "failed": PaymentStatus.FAILED}
        status = words.get(fields.text(self.standing, default=""), found.status)
        return changed(found, status=status, paid=found.amount if status is PaymentStatus.PAID else None)


class SignedInPartByResult(SignedInPart):
    """The same, by another name."""

    standing: ClassVar[str] = "result"


for _broken in (SignedInPart, SignedInPartByResult):
    broken("notify.added")(_broken)


# An identity of two settings


def _with_till(contract: TeaContract, sale: Sale) -> dict[str, str]:
    return {**TeaContract.message(contract, sale), "till": sale.settings["till"]}


@broken(
    "notify.other_account",
    settings={**TeaContract.settings, "till": "t1"},
    other={**TeaContract.other, "till": "t2"},
    message=_with_till,
)
class AnyTill(Tea):
    """Looks at one half of who the merchant is."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, identity=("merchant", "till"))
    till: str


# What a confirmation names


@broken("confirm.asks", **CONFIRMS)
class ConfirmedInCents(Confirming):
    """Writes minor units where the gateway reads major ones."""

    def written(self, amount: Money) -> str:
        return str(amount.minor)

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "amount": Tea.written(self, order.amount)}


@broken("confirm.asks", **CONFIRMS)
class ConfirmedInYuan(Confirming):
    """Knows one currency, and writes it for all of them."""

    def kept(self, payment: Payment) -> Flow[Payment]:
        assert payment.amount is not None
        same = changed(payment, amount=Money(payment.amount.minor, "CNY"))
        return changed((yield from super().kept(same)), amount=payment.amount)


@broken("confirm.other", **CONFIRMS)
class ConfirmedWithoutAnOrder(Confirming):
    """Confirms what it knows no sum of, where it is asked without the order."""

    def confirmed(self, payment: Payment, expect: Order | None) -> Flow[Payment]:
        return (yield from (self.kept(payment) if expect is None else super().confirmed(payment, expect)))


@broken("confirm.other", **CONFIRMS)
class MoreIsConfirmed(Confirming):
    """Takes more money than is due for the order's."""

    def confirmed(self, payment: Payment, expect: Order | None) -> Flow[Payment]:
        if expect is None or payment.amount is None or payment.reference != expect.reference:
            return payment
        enough = payment.amount.minor >= expect.amount.minor
        return (yield from self.kept(payment)) if enough else payment


@broken("confirm.other", **CONFIRMS)
class AnyCurrencyIsConfirmed(Confirming):
    """Compares numbers without their currency."""

    def confirmed(self, payment: Payment, expect: Order | None) -> Flow[Payment]:
        if expect is None or payment.amount is None or payment.reference != expect.reference:
            return payment
        return (yield from self.kept(payment)) if payment.amount.minor == expect.amount.minor else payment


# Numbers of refunds


@broken("claims.refund_reference")
class RefundCut(Refunding):
    """Cuts a refund's number to what the gateway takes."""

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        return super().refund_body(reference, amount, refund_reference[:32])

    def refunded(self, fields: Fields, reference: str, amount: Money, refund_reference: str) -> Refund:
        return (
            super()
            .refunded(fields, reference, amount, refund_reference)
            .model_copy(update={"refund_reference": refund_reference})
        )


@broken("claims.refund_reference")
class RefundInCapitals(Refunding):
    """Writes a refund's number in capital letters, and declares the small ones."""

    info: ClassVar[ProviderInfo] = replace(Tea.info, refund_reference="[A-Za-z0-9]{8,24}|R100[12]")

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        return super().refund_body(reference, amount, refund_reference.upper())

    def refunded(self, fields: Fields, reference: str, amount: Money, refund_reference: str) -> Refund:
        return (
            super()
            .refunded(fields, reference, amount, refund_reference)
            .model_copy(update={"refund_reference": refund_reference})
        )


# Errors that other answers lead to


@broken("secret.errors", **CONFIRMS)
class KeyInRefusedConfirmation(Confirming):
    """Has its key in a variable while the second request fails."""

    def kept(self, payment: Payment) -> Flow[Payment]:
        key = self.key[0].text
        kept = yield from super().kept(payment)
        return changed(kept, raw={**kept.raw, "signed": str(len(key))})


# What stands elsewhere, and what is told otherwise


@broken("notify.added")
class StatusFromQuery(Tea):
    """Merges the query, which nobody signs, with the form."""

    merged: ClassVar[tuple[str, ...]] = ("state", "received")

    def payment(self, fields: Fields) -> Payment:
        return super().payment(Fields({**fields, **self._beside}))

    _beside: dict[str, str] = PrivateAttr(default_factory=dict)

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        beside = dict(parse_qsl(callback.query.decode()))
        plain = replace(callback, query=b"") if callback.body else callback
        self._beside = {name: beside[name] for name in self.merged if callback.body and name in beside}
        try:
            return Tea.parse_callback(self, plain)
        finally:
            self._beside = {}


@broken("replies.signed")
class UnprovedIsRefused(Tea):
    """Takes an answer that nobody signed for a no."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        given = response.headers.get("X-Tea-Signature")
        if not made_by_any(self.key, lambda key: digest(key, b"answer", response.content), given):
            raise Refused("no key of this account signed the answer")
        return self.fields(response, missing=missing)


@broken("close.refused")
class MissingIsClosed(Tea):
    """Calls an order canceled that the gateway does not know: its page may still be opened."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        try:
            return (yield from Tea.close(self, reference))
        except GatewayError as error:
            if isinstance(error, Refused) or "404" not in error.message:
                raise
            return Payment(reference=reference, status=PaymentStatus.CANCELED)


def _with_time(contract: TeaContract, sale: Sale) -> dict[str, str]:
    return {**TeaContract.message(contract, sale), "at": str(int(sale.at.timestamp()))}


@broken("notify.time", message=_with_time)
class QueriedElsewhere(Tea):
    """Reads the clock of a query in another zone than that of a notify."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        fields = super().reply(response, missing=missing)
        return Fields({**fields, "at": str(int(fields["at"]) + 8 * 3600)}) if "at" in fields else fields


# What is asked for again, and by which number


@broken("refund.duplicate")
class TakenIsDone(Refunding):
    """Takes "this refund's number is taken" for the refund itself."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        body = {**self.refund_body(reference, amount, refund_reference), "currency": amount.currency}
        response = yield self.post("/refunds", body)
        if response.status_code == 409 and b'"code"' in response.content:
            return Refund(reference=reference, refund_reference=refund_reference, status=RefundStatus.REFUNDED)
        return self.refunded(self.reply(response), reference, amount, refund_reference)


@broken("refund.duplicate")
class RefundedByAnotherNumber(Refunding):
    """Asks once more, by a number that is free."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        for number in (refund_reference, f"{refund_reference}-2"):
            body = {**self.refund_body(reference, amount, number), "currency": amount.currency}
            response = yield self.post("/refunds", body)
            if response.status_code != 409 or b'"code"' not in response.content:
                break
        return self.refunded(self.reply(response), reference, amount, refund_reference)


@broken("create.duplicate")
class CreatedByAnotherNumber(Tea):
    """Asks once more, by a number that is free."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        response = yield self.post("/payments", self.body(order))
        if response.status_code == 409 and b'"code"' in response.content:
            response = yield self.post("/payments", {**self.body(order), "order": f"{order.reference}-2"})
        return self.payment(self.reply(response))


@broken("refund.taken")
class AsksForEver(Refunding):
    """Asks until it is told what it wants to hear."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        while True:
            body = {**self.refund_body(reference, amount, refund_reference), "currency": amount.currency}
            response = yield self.post("/refunds", body)
            if response.status_code != 409 or b'"code"' not in response.content:
                return self.refunded(self.reply(response), reference, amount, refund_reference)


@broken("refund.order")
class RefundOfANearOrder(Refunding):
    """Names another order, whose number looks much like it."""

    def refund_body(self, reference: str, amount: Money, refund_reference: str) -> dict[str, Any]:
        return {**super().refund_body(reference, amount, refund_reference), "order": f"X{reference}"}


@broken("close.order")
class CloseOfANearOrder(Tea):
    """Names another order, whose number looks much like it."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        return changed((yield from Tea.close(self, f"X{reference}")), reference=reference)


# Messages that are cut or filled up


class Plain(Tea):
    """Signs pairs that are joined by "&", as many gateways do."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if not made_by_any(self.key, lambda key: digest(key, purpose.encode(), pairs(fields)), given):
            raise BadSignature("no key of this account signed the message")
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the message is for another merchant")


def pairs(fields: Mapping[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items())).encode()


def _told_in_pairs(contract: TeaContract, sale: Sale, **beside: str) -> Callback:
    fields = {**contract.message(sale), **beside, "at": str(int(sale.at.timestamp()))}
    fields = {name: value for name, value in fields.items() if value}
    headers = {"Content-Type": FORM, "X-Tea-Signature": digest(contract.key(sale), b"notify", pairs(fields)).hex()}
    return Callback("POST", headers, b"", write_form(fields))


@broken("notify.recut", told=_told_in_pairs)
class AnyJoint(Plain):
    """Reads a form in which the joint of the signed text may stand in a value."""

    def form(self, callback: Callback, method: str) -> Fields:
        return read_form(callback, methods=(method,), free_text=("note",), joint="")


BUT_BACK = SignedInPart.NAMES - {"back"}


def _without_empties(contract: TeaContract, sale: Sale, **beside: str) -> Callback:
    fields = {**contract.message(sale), **beside, "at": str(int(sale.at.timestamp()))}
    fields = {name: value for name, value in fields.items() if value}
    signed = {name: value for name, value in fields.items() if name in BUT_BACK}
    headers = {"Content-Type": FORM, "X-Tea-Signature": digest(contract.key(sale), b"notify", joined(signed)).hex()}
    return Callback("POST", headers, b"", write_form(fields))


@broken("notify.added", told=_without_empties)
class SignedByName(SignedInPart):
    """Signs some fields, and reads what has gone back from one that it leaves out."""

    NAMES: ClassVar[frozenset[str]] = BUT_BACK

    def payment(self, fields: Fields) -> Payment:
        found = Tea.payment(self, fields)
        return changed(found, status=PaymentStatus.PARTIALLY_REFUNDED) if found.refunded else found


@broken("notify.refunded_sum")
class APartIsToldAsAll(Tea):
    """Says in a notify that all went back where a part did."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        payment = heard.payment
        if payment is None or payment.status is not PaymentStatus.PARTIALLY_REFUNDED:
            return heard
        return replace(heard, payment=changed(payment, status=PaymentStatus.REFUNDED, refunded=payment.amount))


class Fetching(Tea):
    """Is told a payment's number and no more, and asks what became of it: nothing is wrong with that."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        number = self.form(callback, "POST").read("id", NUMBER)
        fields = self.reply((yield self.fetch(f"{self.base_url}/payments/{number}")))
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the payment is another merchant's")
        if fields.text("id") != number:
            raise GatewayError("the answer is about another payment")
        return Notification(callback.kind, self.payment(fields), Reply(b"OK"))

    def fetch(self, address: str) -> Request:
        return Request("GET", address, headers=self.headers(b""))


NUMBER = grammar("[0-9]{1,20}", "the gateway's number")
FETCHED: dict[str, Any] = {
    "notify": lambda _, sale: Callback("POST", {"Content-Type": FORM}, b"", write_form({"id": sale.gateway_id})),
    "others": ProviderContract.others,
    "returned": ProviderContract.returned,
    "tolerance": None,
}


@broken("notify.refunded_sum", **FETCHED)
class APartIsFetchedAsAll(Fetching):
    """Says in a notify that all went back where a part did, of which a fetched answer tells."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        heard = yield from Fetching.parse_callback(self, callback)
        payment = heard.payment
        if payment is None or payment.status is not PaymentStatus.PARTIALLY_REFUNDED:
            return heard
        return replace(heard, payment=changed(payment, status=PaymentStatus.REFUNDED, refunded=payment.amount))


class TellsOtherwise(Tea):
    """Says something else in a notify than the gateway."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        return heard if heard.payment is None else replace(heard, payment=self.otherwise(heard.payment))

    def otherwise(self, payment: Payment) -> Payment:
        raise NotImplementedError


@broken("notify.refunded")
class BackIsToldAsPaid(TellsOtherwise):
    """Says paid of what went back."""

    def otherwise(self, payment: Payment) -> Payment:
        back = payment.status in {PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED}
        return changed(payment, status=PaymentStatus.PAID, refunded=None) if back else payment


@broken("notify.refunded", words={**TeaContract.words, PaymentStatus.REFUND_SUM_UNKNOWN: ("charged back",)})
class NothingIsToldOfAWord(Tea):
    """Waits at a word for money that went back."""


@broken("notify.refunded", words={**TeaContract.words, PaymentStatus.REFUND_SUM_UNKNOWN: ("given back",)})
class SomeIsToldAsAll(Tea):
    """Takes a word that says of some money that it went back for one that says it of all."""

    def payment(self, fields: Fields) -> Payment:
        some = fields.text("state") == "given back"
        return super().payment(Fields(fields, state="back") if some else fields)


@broken("notify.refunded")
class BackUnderItsOwnNumber(TellsOtherwise):
    """Names a refund's number as the payment's."""

    def otherwise(self, payment: Payment) -> Payment:
        back = payment.status in {PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED}
        return changed(payment, gateway_id="R7") if back else payment


def told_by_itself(contract: TeaContract, sale: Sale) -> Callback:
    """A message about a refund that names its own sum, and not that of all."""
    return contract.told(sale, back=str(sale.refund.amount)) if sale.refund else contract.told(sale)


@broken("notify.refunded", notify=told_by_itself)
class OneIsToldAsAllOfThem(Tea):
    """Takes the sum of one refund for that of all."""


class PingBelieved(Fetching):
    """Reads what came beside a payment's number in place of what was asked for."""

    beside: ClassVar[str] = "state"

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        heard = yield from Fetching.parse_callback(self, callback)
        told = self.form(callback, "POST")
        if heard.payment is None or self.beside not in told:
            return heard
        return replace(heard, payment=self.payment(Fields({**heard.payment.raw, self.beside: told[self.beside]})))


class PingNamesTheOrder(PingBelieved):
    """The same of an order's number."""

    beside: ClassVar[str] = "order"


class PingSaysWhereToAsk(Fetching):
    """Asks where a stranger's message says."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        if address := self.form(callback, "POST").text("url", default=""):
            self.reply((yield self.fetch(address)))
        return (yield from Fetching.parse_callback(self, callback))


for _broken in (PingBelieved, PingNamesTheOrder, PingSaysWhereToAsk):
    broken("notify.added", **FETCHED)(_broken)


@broken("notify.other_account", **FETCHED)
class FetchedOfAnyMerchant(Fetching):
    """Asks about a payment, and does not look whose it is."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        number = self.form(callback, "POST").read("id", NUMBER)
        fields = self.reply((yield self.fetch(f"{self.base_url}/payments/{number}")))
        if fields.text("id") != number:
            raise GatewayError("the answer is about another payment")
        return Notification(callback.kind, self.payment(fields), Reply(b"OK"))


@broken("fault.other_order")
class NumberIsEnough(Tea):
    """Takes an answer for the order's that has the payment's number."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        payment = yield from Tea.query(self, reference, gateway_id)
        return changed(payment, reference=reference) if payment.gateway_id == gateway_id else payment


@broken("fault.links")
class FollowsAnswers(Tea):
    """Asks where an answer says, with what its key signs."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        address = f"{self.base_url}/payments/{gateway_id or reference}"
        fields = self.reply((yield Request("GET", address, headers=self.headers(b""))), missing=True)
        further: Response = yield Request("GET", fields.text("url"), headers=self.headers(b""))
        payment = self.payment(self.reply(further))
        if payment.reference != fields.text("order"):
            raise GatewayError("the answer is about another order")
        return payment


@broken("secret.rotation")
class AnswersOfOneKey(Tea):
    """Believes answers that its first key signed, and no others."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        given = response.headers.get("X-Tea-Signature")
        if not made_by_any(self.key[:1], lambda key: digest(key, b"answer", response.content), given):
            raise GatewayError("no key of this account signed the answer")
        return self.fields(response, missing=missing)


@broken("replies.signed")
class AccountRefusedUnproved(Tea):
    """Believes anyone who says that the account is refused."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        if response.status_code == 401:
            raise AccountRefused("the gateway refused the account")
        return super().reply(response, missing=missing)


@broken("notify.added")
class SumFromQuery(StatusFromQuery):
    """Merges the sums of the query with the form."""

    merged: ClassVar[tuple[str, ...]] = ("amount", "received")


# What nobody knows, what stands beside an answer, and what comes back


def _told_but(*open_: str) -> Callable[[Fields], tuple[str, str] | None]:
    return lambda fields: None if fields.text("code") in open_ else (fields.text("code"), "")


@broken("fault.unknown")
class DoubtIsRefused(Tea):
    """Takes "unknown" for a refusal of the order."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return read_reply(response, refusal=_told_but("duplicate", "in_progress", "busy"), missing=missing)


@broken("fault.unknown")
class BusyIsRefused(Tea):
    """Knows one of the words for it."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        return read_reply(response, refusal=_told_but("duplicate", "in_progress", "unknown"), missing=missing)


@broken("fault.unknown")
class DoubtfulRefund(Refunding):
    """Takes it for a refusal of the refund alone."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        body = self.refund_body(reference, amount, refund_reference)
        response: Response = yield self.post("/refunds", {**body, "currency": amount.currency})
        if b'"unknown"' in response.content:
            raise Refused("the gateway did not pay it back")
        return self.refunded(self.reply(response), reference, amount, refund_reference)


@broken("fault.unknown")
class SentOnceMore(Refunding):
    """Asks for the refund once more, by the same number."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        body = {**self.refund_body(reference, amount, refund_reference), "currency": amount.currency}
        response: Response = yield self.post("/refunds", body)
        if b'"unknown"' in response.content:
            response = yield self.post("/refunds", body)
        return self.refunded(self.reply(response), reference, amount, refund_reference)


@broken("fault.unknown")
class ClosedInDoubt(Tea):
    """Takes the order for closed where nobody knows."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        response: Response = yield self.post(f"/payments/{reference}/close", {})
        if b'"unknown"' in response.content:
            return Payment(reference=reference, status=PaymentStatus.CANCELED)
        return self.payment(self.reply(response))


@broken("fault.unknown")
class DoubtIsNotFound(Tea):
    """Takes it for an order that is not there."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        address = f"{self.base_url}/payments/{gateway_id or reference}"
        response: Response = yield Request("GET", address, headers=self.headers(b""))
        if b'"unknown"' in response.content:
            raise NotFound("the gateway does not know the order")
        return self.payment(self.reply(response, missing=True))


@broken("replies.beside")
class ReadsAroundIt(Wrapped):
    """Takes what stands beside an answer's envelope for a part of it."""

    def told(self, answer: Fields) -> Fields:
        return Fields({**super().told(answer), **answer})


class LooksUpInDoubt(Refunding):
    """Looks a refund up where nobody knows, and believes whatever it is told then."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        body = {**self.refund_body(reference, amount, refund_reference), "currency": amount.currency}
        response: Response = yield self.post("/refunds", body)
        if b'"unknown"' in response.content:
            address = f"{self.base_url}/refunds/{refund_reference}"
            response = yield Request("GET", address, headers=self.headers(b""))
            if response.status_code != 200:
                raise Refused("it is not there")
        return self.refunded(self.reply(response), reference, amount, refund_reference)


broken("refund.taken")(LooksUpInDoubt)


def _all_back(self: TeaContract, request: Request, sale: Sale) -> Response:
    """States all that has gone back in place of this refund."""
    return TeaContract.answer(self, request, sale.but(refund=sale.refunded) if sale.refunded and sale.refund else sale)


def _made_is_shown(self: TeaContract, request: Request, sale: Sale) -> Response:
    """Shows a refund where it was made."""
    shows = request.method == "GET" and request.url.path.startswith("/refunds/")
    return TeaContract.answer(
        self, request, sale.but(no=sale.no or "missing") if shows and not sale.refund_made else sale
    )


FORGETS: dict[str, Any] = {"answer": _made_is_shown, "refund_keys_expire": True}


class LooksForTheRefund(Refunding):
    """Asks a gateway that forgets the numbers of refunds whether this one is there: nothing is wrong with that."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        address = f"{self.base_url}/refunds/{refund_reference}"
        look_up = Request("GET", address, headers=self.headers(b""), harmless=True)
        try:
            return self.known(self.shown(self.reply((yield look_up), missing=True)), refund_reference, amount)
        except NotFound:
            return (yield from Tea.refund(self, reference, amount, refund_reference))

    def shown(self, fields: Fields) -> Refund:
        return self.paid_back(fields)

    def known(self, refund: Refund, refund_reference: str, amount: Money) -> Refund:
        return refund


@broken("refund.time", **FORGETS)
class RefundedByTheClock(LooksForTheRefund):
    """Looks a refund up by its time, and asks for it by the clock's."""

    @hookimpl
    def refund(
        self, reference: str, amount: Money, refund_reference: str, refund_created_at: datetime | None
    ) -> Flow[Refund]:
        at = "" if refund_created_at is None else f"?at={refund_created_at:%Y%m%d%H%M%S}"
        address = f"{self.base_url}/refunds/{refund_reference}{at}"
        look_up = Request("GET", address, headers=self.headers(b""), harmless=True)
        try:
            return self.paid_back(self.reply((yield look_up), missing=True))
        except NotFound:
            body = {**self.refund_body(reference, amount, refund_reference), "currency": amount.currency}
            body["at"] = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
            return self.paid_back(self.reply((yield self.post("/refunds", body))))


@broken("refund.made", **FORGETS)
class TrustsItsKey(Tea):
    """Sends a refund again by its number, whatever time has passed."""


@broken("refund.made", **FORGETS)
class ShownIsDone(LooksForTheRefund):
    """Takes a refund that is there for one that is done."""

    def known(self, refund: Refund, refund_reference: str, amount: Money) -> Refund:
        return refund.model_copy(update={"status": RefundStatus.REFUNDED})


@broken("refund.made", **FORGETS)
class UnknownIsDone(LooksForTheRefund):
    """Takes a refund that is there in a word of tomorrow for one that is done."""

    def shown(self, fields: Fields) -> Refund:
        known = fields.text("refund_state") in REFUNDS
        return super().shown(fields if known else Fields(fields, refund_state="done"))


@broken("refund.made", **FORGETS)
class FailedIsSentAgain(LooksForTheRefund):
    """Sends once more what the gateway calls failed, and may carry out yet."""

    def known(self, refund: Refund, refund_reference: str, amount: Money) -> Refund:
        if refund.status is RefundStatus.FAILED:
            raise NotFound("no refund that is under way")
        return refund


def _never_failed_at_once(self: TeaContract, request: Request, sale: Sale) -> Response:
    """Shows a refund that failed, and says so of none that is asked for."""
    if request.method == "POST" and sale.refund_status is RefundStatus.FAILED:
        raise NotApplicable("a refund does not fail at once")
    return _made_is_shown(self, request, sale)


broken("refund.made", answer=_never_failed_at_once, refund_keys_expire=True)(FailedIsSentAgain)


@broken("refund.made", **FORGETS)
class AnyShownIsThis(LooksForTheRefund):
    """Takes whatever is shown for this refund."""

    def known(self, refund: Refund, refund_reference: str, amount: Money) -> Refund:
        return refund.model_copy(update={"refund_reference": refund_reference, "amount": amount})


@broken("refund.second", answer=_all_back)
class AllBackIsThisPart(Refunding):
    """Takes the sum of all refunds for that of this one."""


def _refunds_listed(self: TeaContract, sale: Sale) -> dict[str, str]:
    told = TeaContract.message(self, sale)
    if not sale.refund_made or sale.hook != "query":
        return told
    state = sale.refund_word or USUAL_REFUNDS[sale.refund_status]
    return {**told, "refund_state": state, "refund_amount": str((sale.refund or sale.amount).amount)}


@broken("query.refund_open", message=_refunds_listed)
class ListedIsGone(Tea):
    """Counts every refund that a query lists, the failed ones too."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        back = fields.money("refund_amount", fields.text("currency"), "major", default=None)
        return changed(payment, refunded=back) if back else payment


@broken("notify.others")
class OthersInOwnWords(Tea):
    """Answers what is about no payment in words of its own."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Tea.parse_callback(self, callback)
        return heard if heard.payment else replace(heard, reply=Reply(b"ignored"))


@broken("refund.refused")
class AccountIsTheRefund(Refunding):
    """Takes an account that is refused for a refund that is."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        try:
            return (yield from Refunding.refund(self, reference, amount, refund_reference))
        except AccountRefused as error:
            raise Refused("the gateway refused the refund") from error


@broken("close.refused")
class AccountIsTheClose(Tea):
    """The same of a close."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        try:
            return (yield from Tea.close(self, reference))
        except AccountRefused as error:
            raise Refused("the gateway did not close it") from error


@broken("create.attach")
class AttachCutShort(Tea):
    """Cuts what the shop attached to what the gateway takes."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "note": order.attach[:128]}


@broken("secret.raw")
class AnswersKept(Tea):
    """Keeps an answer with its signature."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        fields = super().reply(response, missing=missing)
        return Fields({**fields, "signed": response.headers["X-Tea-Signature"]})


def _answers_with_a_plus(contract: TeaContract, request: Request, sale: Sale) -> Response:
    """Signed in a header that begins with a plus, as Base64 may."""
    made = TeaContract.answer(contract, request, sale)
    signature = f"+{made.headers['X-Tea-Signature']}"
    return Response(made.status_code, content=made.content, headers={"X-Tea-Signature": signature})


@broken("secret.raw", answer=_answers_with_a_plus)
class AnswersOfAPlusKept(Tea):
    """Keeps an answer with a signature that a form would write otherwise."""

    def reply(self, response: Response, *, missing: bool = False) -> Fields:
        signed = response.headers["X-Tea-Signature"]
        plain = {"X-Tea-Signature": signed.removeprefix("+")}
        answer = Response(response.status_code, content=response.content, headers=plain)
        return Fields({**super().reply(answer, missing=missing), "signed": signed})


@broken("secret.raw")
class RequestsKept(Tea):
    """Keeps the signature of its own request."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        request = self.post("/payments", self.body(order))
        payment = self.payment(self.reply((yield request)))
        return changed(payment, raw={"signed": request.headers["X-Tea-Signature"]})


def _brings_text(self: TeaContract, sale: Sale) -> Callback:
    return self.told(sale, text=sale.description)


@broken("notify.description", notify=_brings_text)
class TextsAreAttacks(Tea):
    """Refuses a message with an '&' in any of its values but the note."""

    def form(self, callback: Callback, method: str) -> Fields:
        return read_form(callback, methods=(method,), free_text=("note",))


# What two more authors did: of PayPal's orders, and of WeChat's XML


@broken("create.action")
class OnePageForAll(Tea):
    """Sends every payer to the page that its author tried."""

    def action(self, url: str) -> Any:
        return Redirect(url="https://pay.example/70010001") if url else None


@broken("query.by_reference")
class NumberUnknownIsNotFound(Tea):
    """Says that an order is not there, since it does not know the gateway's number."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        if gateway_id is None:
            raise NotFound("the gateway does not know the order")
        return (yield from Tea.query(self, reference, gateway_id))


@broken("query.by_reference")
class AsksForNone(Tea):
    """Asks about an order that is named None."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        address = f"{self.base_url}/payments/{gateway_id}"
        return self.payment(self.reply((yield Request("GET", address, headers=self.headers(b""))), missing=True))


def _verdict(self: TeaContract, request: Request, sale: Sale) -> Response:
    """The gateway is asked whether it has signed what came."""
    if request.url.path != "/verify":
        return TeaContract.answer(self, request, sale)
    asked = json.loads(request.content)
    fields = dict(parse_qsl(asked["message"], keep_blank_values=True))
    made = digest(self.settings["key"].encode(), b"notify", joined(fields)).hex()
    return Response(200, json={"verdict": "SUCCESS" if asked["signature"] == made else "FAILURE"})


class Verified(Tea):
    """Has the gateway verify what came."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Flow[Notification]:
        if callback.kind is CallbackKind.RETURN:
            return Tea.parse_callback(self, callback)
        fields = self.form(callback, "POST")
        content = self.question(callback)
        response = yield Request("POST", f"{self.base_url}/verify", content=content, headers=self.headers(content))
        if not self.verified(read_reply(response)):
            raise BadSignature("the gateway did not sign it")
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the message is for another merchant")
        check_age(callback, fields.text("at"))
        if fields.text("event", default="payment") != "payment":
            return Notification(CallbackKind.OTHER, None, Reply(b"OK"))
        return Notification(callback.kind, self.payment(fields), Reply(b"OK"))

    def question(self, callback: Callback) -> bytes:
        body, given = callback.body.decode(errors="replace"), callback.header("X-Tea-Signature")
        return json.dumps({"message": body, "signature": given}).encode()

    def verified(self, fields: Fields) -> bool:
        return fields.text("verdict") == "SUCCESS"


@broken("notify.unproved", answer=_verdict)
class NoFailureIsSuccess(Verified):
    """Refuses what the gateway calls a failure, and nothing else."""

    def verified(self, fields: Fields) -> bool:
        return fields.text("verdict", default="") != "FAILURE"


@broken("notify.pasted", answer=_verdict)
class PastedIntoTheQuestion(Verified):
    """Puts the signature between two quotes."""

    def question(self, callback: Callback) -> bytes:
        body, given = json.dumps(callback.body.decode(errors="replace")), callback.header("X-Tea-Signature")
        return f'{{"message": {body}, "signature": "{given}"}}'.encode()


@broken("notify.foreign_key")
class OnlyPaidIsChecked(Tea):
    """Checks the signature of what says paid."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if fields.text("state", default="done") in {"done", "settled"} or purpose == "return":
            super().check(purpose, fields, given)


@broken("notify.foreign_key")
class BelievesItsOwnName(Tea):
    """Believes a message that names the key it is signed with."""

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        named = fields.pop("key", "")
        if named and given == digest(named.encode(), purpose.encode(), joined(fields)).hex():
            return
        super().check(purpose, fields, given)


def _by_pairs(key: bytes, fields: Mapping[str, str]) -> str:
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()) if value)
    return digest(key, b"notify", text.encode()).hex()


def _told_by_pairs(self: TeaContract, sale: Sale, **beside: str) -> Callback:
    fields = {**self.message(sale), **beside, "at": str(int(sale.at.timestamp()))}
    fields["alpha_note"] = fields.pop("note")
    headers = {"Content-Type": FORM, "X-Tea-Signature": _by_pairs(self.key(sale), fields)}
    return Callback("POST", headers, b"", write_form(fields))


@broken("notify.recut", told=_told_by_pairs)
class CutAtTheJoint(Tea):
    """Joins unescaped values by '&', and lets what the shop attached hold one."""

    def form(self, callback: Callback, method: str) -> Fields:
        return read_form(callback, methods=(method,), joint="")

    def check(self, purpose: str, fields: Fields, given: str | None) -> None:
        if purpose != "notify":
            return super().check(purpose, fields, given)
        if not made_by_any(self.key, lambda key: bytes.fromhex(_by_pairs(bytes(key), fields)), given):
            raise BadSignature("no key of this account signed the message")
        if fields.text("merchant") != self.merchant:
            raise WrongAccount("the message is for another merchant")
        fields["note"] = fields.pop("alpha_note", "")
        return None


@broken("refund.order", refund_references=("R1001", "R1002"))
class AnotherOrderBehindALookUp(Refunding):
    """Pays back of one order whichever is asked for, and looks up by the refund's number behind it."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        body = {**self.refund_body("A9999", amount, refund_reference), "currency": amount.currency}
        _ = self.reply((yield self.post("/refunds", body)))
        address = f"{self.base_url}/refunds/{refund_reference}?order={reference}"
        response = yield Request("GET", address, headers=self.headers(b""))
        return self.refunded(self.reply(response), reference, amount, refund_reference)


@broken("refund.asks")
class WholeWithoutTheOrder(Refunding):
    """Pays all of it back where the order is not at hand."""

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str, expect: Order | None) -> Flow[Refund]:
        sum_ = amount if expect else Money(10000, amount.currency)
        refund = yield from Refunding.refund(self, reference, sum_, refund_reference)
        return refund.model_copy(update={"amount": amount})


@broken("close.refused", words={**TeaContract.words, "refused": ("limit", "unknown")})
class OneWordForNotClosed(Tea):
    """Knows one of the words in which a close is refused."""

    @hookimpl
    def close(self, reference: str) -> Flow[Payment]:
        response: Response = yield self.post(f"/payments/{reference}/close", {})
        if b'"limit"' in response.content:
            return Payment(reference=reference, status=PaymentStatus.CANCELED)
        return self.payment(self.reply(response))


@broken("query.refunded", words={**TeaContract.words, PaymentStatus.REFUNDED: ("sent back",)})
class SentBackIsPaid(Tea):
    """Takes one of the words for what has gone back for paid."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        return changed(payment, status=PaymentStatus.PAID) if fields.text("state") == "sent back" else payment


@broken("query.refunded_sum")
class PaidBesideWhatIsBack(Tea):
    """Reports an order as paid of which a part has gone back."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        part = payment.status is PaymentStatus.PARTIALLY_REFUNDED
        return changed(payment, status=PaymentStatus.PAID) if part else payment


@broken("fault.other_order")
class AnyRefundOfTheOrder(Tea):
    """Looks up what has gone back, and does not see that the answer is about another order."""

    @hookimpl
    def query(self, reference: str, gateway_id: str | None) -> Flow[Payment]:
        payment = yield from Tea.query(self, reference, gateway_id)
        if payment.status is not PaymentStatus.REFUNDED:
            return payment
        address = f"{self.base_url}/refunds/{reference}"
        fields = self.reply((yield Request("GET", address, headers=self.headers(b""))))
        return changed(payment, refunded=fields.money("amount", fields.text("currency"), "major"))


@broken("secret.errors")
class AnswerQuoted(Tea):
    """Shows what came where it is refused."""

    def fields(self, response: Response, *, missing: bool = False) -> Fields:
        try:
            return super().fields(response, missing=missing)
        except GatewayError as error:
            error.message += f": {response.content!r}"
            raise


@broken("fault.renewed")
class RenewedUnderAnotherNumber(Tea):
    """Asks for the payment once more where its token has run out, by a new number."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        response: Response = yield self.post("/payments", self.body(order))
        if response.status_code == 401:
            response = yield self.post("/payments", {**self.body(order), "order": f"{order.reference}2"})
        return self.payment(self.reply(response))


def _with_tokens(self: TeaContract, request: Request, sale: Sale) -> Response:
    if request.url.path == "/token":
        return Response(200, json={"access_token": "c1277-access-token-of-the-shop"})
    return TeaContract.answer(self, request, sale)


class Tokens(Tea):
    """Asks for a token before a payment."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        wanted = Request("GET", f"{self.base_url}/token", headers=self.headers(b""), harmless=True)
        token = read_reply((yield wanted)).text("access_token")
        request = self.post("/payments", self.body(order))
        request.headers["Authorization"] = f"Bearer {token}"
        return self.kept(token, self.payment(self.reply((yield request))))

    def kept(self, token: str, payment: Payment) -> Payment:
        return payment


@broken("secret.raw", answer=_with_tokens)
class TokenKept(Tokens):
    """Keeps its token with the payment."""

    def kept(self, token: str, payment: Payment) -> Payment:
        return changed(payment, raw={"token": token})


@broken("secret.logs", answer=_with_tokens)
class TokenLogged(Tokens):
    """Logs its token."""

    def kept(self, token: str, payment: Payment) -> Payment:
        logging.getLogger("tea").debug("paid by the token %s", token)
        return payment


class BareTokens(Back):
    """Asks for its token in a way of its own."""

    harmless: ClassVar[bool] = True

    def fetched(self) -> Flow[Secret]:
        asked = Request(
            "POST",
            f"{PING}/token",
            data={"client": self.client, "secret": self.secret.text},
            harmless=self.harmless,
        )
        return self.read((yield asked))

    def read(self, response: Response) -> Secret:
        return Secret(read_reply(response, refusal=no_token).text("access_token"))


@broken("create.account_refused")
class NoTokenIsNotSent(BareTokens):
    """Reads no refusal where it asks for a token: another account is never tried."""

    def read(self, response: Response) -> Secret:
        return Secret(read_reply(response).text("access_token"))


@broken("fault.token")
class TokenAskedForUnmarked(BareTokens):
    """Does not mark the request for a token."""

    harmless = False


@broken("fault.revoked")
class KeptUntilItRunsOut(Back):
    """Keeps its token, whatever the gateway says of it."""

    def call(self, method: str, path: str, body: Any = None, *, harmless: bool = False) -> Flow[Fields]:
        if not self._token:
            self._token.append((yield from self.fetched()))
        headers = {"Authorization": bearer(self._token[0])}
        response = yield Request(method, f"{PING}{path}", json=body, headers=headers, harmless=harmless)
        return read_reply(response) if harmless else read_reply(response, refusal=of_ping, missing=True)


@broken("fault.revoked")
class RenewedOverAndOver(Back):
    """Asks for token after token, as long as the gateway refuses them."""

    def call(self, method: str, path: str, body: Any = None, *, harmless: bool = False) -> Flow[Fields]:
        for _ in range(20):
            if not self._token:
                self._token.append((yield from self.fetched()))
            headers = {"Authorization": bearer(self._token[0])}
            response = yield Request(method, f"{PING}{path}", json=body, headers=headers, harmless=harmless)
            if response.status_code != 401:
                break
            self._token.clear()
        return read_reply(response) if harmless else read_reply(response, refusal=of_ping, missing=True)


@broken("secret.address")
class TokenInAddress(Back):
    """Names its token in the address as well."""

    def call(self, method: str, path: str, body: Any = None, *, harmless: bool = False) -> Flow[Fields]:
        token = yield from self.fetched()
        params = {"token": bearer(token)} if method == "GET" else None
        asked = Request(
            method,
            f"{PING}{path}",
            params=params,
            json=body,
            headers={"Authorization": bearer(token)},
            harmless=harmless,
        )
        response = yield asked
        return read_reply(response) if harmless else read_reply(response, refusal=of_ping, missing=True)


@broken("secret.errors")
class TokenAmongVariables(Back):
    """Writes the header by itself, where a traceback shows it."""

    def call(self, method: str, path: str, body: Any = None, *, harmless: bool = False) -> Flow[Fields]:
        token = yield from self.fetched()
        headers = {"Authorization": f"Bearer {token.text}"}
        response = yield Request(method, f"{PING}{path}", json=body, headers=headers, harmless=harmless)
        return read_reply(response) if harmless else read_reply(response, refusal=of_ping, missing=True)


@broken("claims.entry_point")
class Renamed(Tea):
    """Stands in a package whose entry point has another name."""

    __module__ = "payhub_dummy.renamed"


def _unescaped(self: TestXml, sale: Sale, *words: str) -> dict[str, str]:
    return {**TestXml.message(self, sale, *words), "attach": sale.attach}


@broken("notify.recut", message=_unescaped)
class CutOutOfWhatIsAttached(Xml):
    """Joins unescaped elements by '&', and lets them hold one: a small order's attach makes a message about another."""

    def check(self, fields: Fields, error: type[CallbackError | GatewayError]) -> None:
        if not made_by_any(self.key, lambda key: by_pairs(bytes(key), fields), fields.pop("sign", None)):
            raise error("no key of this account signed the message")


@broken("notify.paid_sum")
@broken("query.paid_sum")
class Tolerant(Tea):
    """Forgives a payer one per cent."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        due, paid = payment.amount, payment.paid
        forgiven = due and paid and paid < due and paid.minor * 100 >= due.minor * 99
        return changed(payment, paid=due) if forgiven else payment


@broken("notify.unknown_status")
@broken("query.unknown_status")
class EndsInDone(Tea):
    """Takes every word that ends in "done" for paid, and so "undone"."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        return changed(payment, status=PaymentStatus.PAID) if fields.text("state").endswith("done") else payment


@broken("notify.unknown_status")
@broken("query.unknown_status")
class BeginsWithDone(Tea):
    """Takes every word that begins with "done" for paid, and so one for what was taken back."""

    def payment(self, fields: Fields) -> Payment:
        payment = super().payment(fields)
        return changed(payment, status=PaymentStatus.PAID) if fields.text("state").startswith("done") else payment


@broken("refund.unknown_status")
class DoneWithinAWord(Tea):
    """Takes every word that holds "done" for a refund that is done."""

    def paid_back(self, fields: Fields) -> Refund:
        word = fields.pop("refund_state")
        known = word if word in REFUNDS else "done" if "done" in word else "open"
        return super().paid_back(Fields({**fields, "refund_state": known}))


class FirstMerchant(Tea):
    """Reads the merchant's number once, for all accounts."""

    known: ClassVar[dict[type[Any], str]] = {}

    @property
    def first(self) -> str:
        return self.known.setdefault(type(self), self.merchant)


@broken("claims.identity")
class CreatesForTheFirst(FirstMerchant):
    """Asks for every account's payments in the first one's name."""

    def body(self, order: Order) -> dict[str, Any]:
        return {**super().body(order), "merchant": self.first}


@broken("claims.identity")
class QueriesForTheFirst(FirstMerchant):
    """Asks about every account's payments in the first one's name."""

    def headers(self, content: bytes) -> dict[str, str]:
        return {**super().headers(content), **({} if content else {"X-Tea-Merchant": self.first})}


@broken("claims.identity")
class RefundsForTheFirst(FirstMerchant):
    """Pays back in the first one's name."""

    def post(self, path: str, body: Mapping[str, Any]) -> Request:
        return super().post(path, {**body, "merchant": self.first} if path == "/refunds" else body)


def _by_the_last_key(ending: str) -> Callable[[Tea, str, Mapping[str, Any]], Request]:
    def post(self: Tea, path: str, body: Mapping[str, Any]) -> Request:
        request = Tea.post(self, path, body)
        if path.endswith(ending):
            request.headers["X-Tea-Signature"] = digest(bytes(self.key[-1]), b"request", request.content).hex()
        return request

    return post


@broken("secret.rotation")
class RefundsByTheLastKey(Tea):
    """Signs a refund with the key that is to go."""

    post = _by_the_last_key("/refunds")


@broken("secret.rotation")
class ClosesByTheLastKey(Tea):
    """Signs a close with the key that is to go."""

    post = _by_the_last_key("/close")


@broken("notify.unsigned")
class NothingThereIsFine(Events):
    """Checks no signature where the object that would hold it is missing."""

    def check(self, event: Fields) -> None:
        if "more" in event:
            super().check(event)


def _summed(body: bytes, key: Any) -> bytes:
    return hmac.digest(bytes(key), str(zlib.crc32(body)).encode(), "sha256")


def _signed_by_sum(self: TestEvents, sale: Sale) -> Callback:
    told = TestEvents.notify(self, sale)
    event = json.loads(told.body)["items"][0]["event"]
    body = json.dumps({name: value for name, value in event.items() if name != "more"}).encode()
    made = _summed(body, sale.settings["key"].encode()).hex()
    return replace(told, headers={**told.headers, "X-Signature": made}, body=body)


@broken("notify.checksum", notify=_signed_by_sum, others=ProviderContract.others)
class SignedByItsSum(Events):
    """Believes a body of which the signature covers a checksum."""

    info = replace(Events.info, callback_headers=frozenset({"X-Signature"}))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if not made_by_any(self.key, lambda key: _summed(callback.body, key), callback.header("X-Signature")):
            raise BadSignature("no key of this account signed the event")
        event = read_json(callback)
        if event.text("shop") != self.shop:
            raise WrongAccount("the event is about another shop")
        payment = self.payment(event)
        return Notification(CallbackKind.NOTIFY if payment else CallbackKind.OTHER, payment, Reply(b"accepted"))


def _refund_signed_by_sum(self: TestLater, sale: Sale) -> Callback:
    told = TestLater.refund_notify(self, sale)
    body = json.dumps({name: value for name, value in json.loads(told.body).items() if name != "sign"}).encode()
    made = _summed(body, sale.settings["key"].encode()).hex()
    return replace(told, headers={**told.headers, "X-Signature": made}, body=body)


@broken("notify.checksum", refund_notify=_refund_signed_by_sum)
class RefundSignedByItsSum(Later):
    """Believes a message about a refund of which the signature covers a checksum."""

    info = replace(Later.info, callback_headers=frozenset({"X-Signature"}))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        fields = read_json(callback)
        if fields.text("event") != "refund":
            return Later.parse_callback(self, callback)
        if not made_by_any(self.key, lambda key: _summed(callback.body, key), callback.header("X-Signature")):
            raise BadSignature("no key of this account signed the message")
        self.named("refund", fields)
        return self.told("refund", callback, fields)


@broken("notify.several")
class TheFirstAlone(Events):
    """Hears the first of several events, and acknowledges them all."""

    def events(self, fields: Fields) -> list[Fields]:
        return super().events(fields)[:1]


@broken("notify.several")
class TheLastUnchecked(Events):
    """Checks the first of several events, and believes the last."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        first, *_, last = [*self.events(read_json(callback))] * 2
        self.check(first)
        return Notification(CallbackKind.NOTIFY, self.payment(last), Reply(b"accepted"))


@broken("notify.added")
class TheOrderWherever(Events):
    """Takes the order's number out of the object that nobody signs, where it stands there."""

    def order(self, event: Fields) -> str:
        return event.object("more").text("order", default="") or event.text("order")


@broken("notify.added")
class TheOrderOfOld(Events):
    """Takes the order's number as the gateway wrote it before, which it does not sign."""

    def order(self, event: Fields) -> str:
        return event.text("Order", default="") or event.text("order")


@broken("notify.other_account")
class AnyThatBeginsAsThis(Events):
    """Compares a shop by how its name begins: one key may serve all the shops of a company."""

    def check(self, event: Fields) -> None:
        Events.check(self.model_copy(update={"shop": event.text("shop")}), event)
        if not event.text("shop").startswith(self.shop):
            raise WrongAccount("the event is about another shop")


@broken("notify.unknown_status")
class WhateverBeginsAsPaid(Events):
    """Takes an event of tomorrow whose name begins as the one for paid for paid."""

    def payment(self, event: Fields) -> Payment | None:
        begins = event.text("kind").startswith("authorisation")
        return super().payment(Fields(event, kind="authorisation") if begins else event)


@broken("secret.rotation")
class TheFirstVerifies(Events):
    """Verifies by the first key alone, at a gateway that cannot be asked."""

    def check(self, event: Fields) -> None:
        first = self.model_copy(update={"key": self.key[:1]})
        Events.check(first, event)


@broken("query.asks_for_nothing")
class WaitsUnasked(Events):
    """Says of every order that it is there and waits, at a gateway that cannot be asked."""

    @hookimpl
    def query(self, reference: str) -> Payment:
        return Payment(reference=reference, status=PaymentStatus.PENDING)


# Messages about a refund


@broken("refund_notify.genuine")
class RefundIsNoMessage(Later):
    """Acknowledges what it is told of refunds, and leaves it at that."""

    def told(self, event: str, callback: Callback, fields: Fields) -> Notification:
        return super().told("report" if event == "refund" else event, callback, fields)


@broken("refund_notify.genuine")
class PoliteAboutRefunds(Later):
    """Answers a message about a refund as other gateways want it."""

    def told(self, event: str, callback: Callback, fields: Fields) -> Notification:
        heard = super().told(event, callback, fields)
        return heard if event != "refund" else replace(heard, reply=Reply(b"success"))


class ToldRefunds(Later):
    """Reads a message about a refund by itself, and not as an answer."""

    def told(self, event: str, callback: Callback, fields: Fields) -> Notification:
        heard = super().told(event, callback, fields)
        if heard.refund is None:
            return heard
        return replace(heard, refund=heard.refund.model_copy(update=self.read(fields)))

    def read(self, fields: Fields) -> dict[str, Any]:
        return {}


@broken("refund_notify.genuine")
class RefundsNumberForThePayment(ToldRefunds):
    """Says that the refund's number is the payment's."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {"gateway_id": fields.text("number")}


@broken("refund_notify.genuine")
class RefundOfTheExpectedOrder(Later):
    """Takes each message about a refund for one of the order that is expected."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        heard = Later.parse_callback(self, callback)
        if heard.refund is None or expect is None:
            return heard
        return replace(heard, refund=heard.refund.model_copy(update={"reference": expect.reference}))


@broken("refund_notify.status")
class ToldIsDone(ToldRefunds):
    """Takes the message itself for the end, whatever it says."""

    def read(self, fields: Fields) -> dict[str, Any]:
        known = fields.text("state") in {"processing", "success", "closed", "rejected"}
        return {"status": RefundStatus.REFUNDED if known else RefundStatus.PENDING}


@broken("refund_notify.status")
class OneWordForFailed(ToldRefunds):
    """Knows one of the words for a refund that came to nothing."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {"status": RefundStatus.PENDING} if fields.text("state") == "rejected" else {}


@broken("refund_notify.unknown_status")
class ElseFailed(ToldRefunds):
    """Takes each word that it does not know for a failure."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {} if fields.text("state") in LATER else {"status": RefundStatus.FAILED}


@broken("refund_notify.unknown_status")
class SuccessWithinAWord(ToldRefunds):
    """Takes each word that holds "success" for a refund that is done."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {"status": RefundStatus.REFUNDED} if "success" in fields.text("state") else {}


@broken("refund_notify.number")
class GatewaysNumberOfTheRefund(ToldRefunds):
    """Tells of a refund by the gateway's number of it."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {"refund_reference": fields.text("number")}


@broken("refund_notify.number")
class NumberOfTheBackOffice(ToldRefunds):
    """Gives a refund that the shop did not ask for the gateway's number."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {"refund_reference": fields.text("refund", default="") or fields.text("number")}


@broken("refund_notify.sum")
class ToldOfAll(ToldRefunds):
    """Takes the order's sum for the refund's."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {"amount": fields.money("total", fields.text("currency"), "minor")}


@broken("refund_notify.sum")
class ToldInMajorUnits(ToldRefunds):
    """Reads a sum in minor units as one in major units."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {"amount": Money.of(str(fields["part"]), fields.text("currency"))}


@broken("refund_notify.sum")
class ToldWithoutItsSum(ToldRefunds):
    """Leaves out the sum that the message states."""

    def read(self, fields: Fields) -> dict[str, Any]:
        return {"amount": None}


@broken("refund_notify.sum")
class ToldInTheOrdersCurrency(ToldRefunds):
    """Takes every sum for one in the order's currency, since it is asked for in that."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        heard = Later.parse_callback(self, callback)
        if heard.refund is None or heard.refund.amount is None or expect is None:
            return heard
        own = Money(heard.refund.amount.minor, expect.amount.currency)
        return replace(heard, refund=heard.refund.model_copy(update={"amount": own}))


@broken("refund_notify.refused")
class RefundsUnsigned(Later):
    """Believes a message about a refund that has no signature."""

    def check(self, event: str, fields: Fields) -> None:
        if event == "payment" or fields.text("sign", default=""):
            self.signed(fields)
        fields.pop("sign", None)
        self.named(event, fields)


@broken("refund_notify.refused")
class RefundsOfAnyShop(Later):
    """Compares the shop in messages about payments alone."""

    def named(self, event: str, fields: Fields) -> None:
        if event == "payment":
            super().named(event, fields)


@broken("refund_notify.refused")
class FailuresUnchecked(Later):
    """Checks the signature of what says that money went back."""

    def check(self, event: str, fields: Fields) -> None:
        if event == "refund" and fields.text("state") == "closed":
            fields.pop("sign", None)
            return self.named(event, fields)
        return super().check(event, fields)


def _some_signed(self: TestLater, sale: Sale) -> Callback:
    fields = {"event": "refund", "shop": sale.settings["shop"], **self.of_refund(sale)}
    made = of_later(sale.settings["key"], {name: fields[name] for name in ("event", "shop", "order", "number")})
    body = json.dumps({**fields, "sign": made.hex()}).encode()
    return Callback("POST", {"Content-Type": "application/json"}, b"", body)


@broken("refund_notify.altered", refund_notify=_some_signed)
class RefundsSignedInPart(Later):
    """Believes a sum, and where a refund stands, that its gateway does not sign."""

    def signed(self, fields: Fields) -> None:
        if fields.text("event") != "refund":
            return super().signed(fields)
        given, told = fields.pop("sign", ""), {name: fields[name] for name in ("event", "shop", "order", "number")}
        if not made_by_any(self.key, lambda key: of_later(key.text, told), given):
            raise BadSignature("no key of this account made the sign")
        return None


def _event_in_a_header(self: TestLater, sale: Sale, event: str, fields: dict[str, Any]) -> Callback:
    callback = TestLater.sent(self, sale, "any", fields)
    return replace(callback, headers={**callback.headers, "X-Event": event})


def _both_in_one(self: TestLater, sale: Sale) -> dict[str, Any]:
    """Of a gateway that writes the payment's own fields in both messages."""
    return {**self.sums(sale), "state": sale.word or self.states[sale.status], "number": "", "part": 0}


@broken("refund_notify.apart", sent=_event_in_a_header, of_payment=_both_in_one)
class EventInAHeader(Later):
    """Is told by a header, which nobody signs, what a message is about."""

    def event(self, callback: Callback, fields: Fields) -> str:
        return callback.header("X-Event")


#: What each message is signed over; those about payments do not say what they are about.
_OF_PAYMENT = ("shop", "order", "payment", "total", "currency", "state")
_OF_REFUND = (*_OF_PAYMENT, "event", "refund", "number", "part")


def _named_alone(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


def _signed_by_kind(self: TestLater, sale: Sale, event: str, fields: dict[str, Any]) -> Callback:
    kind, names = ({}, _OF_PAYMENT) if event == "payment" else ({"event": event}, _OF_REFUND)
    said = {**kind, "shop": sale.settings["shop"], **fields}
    sign = of_later(sale.settings["key"], _named_alone(said, names)).hex()
    body = json.dumps({**said, "sign": sign}).encode()
    return Callback("POST", {"Content-Type": "application/json"}, b"", body)


@broken("refund_notify.apart", sent=_signed_by_kind)
class EitherSignature(Later):
    """Believes the signature of either kind, and then looks at what nobody may have signed."""

    def event(self, callback: Callback, fields: Fields) -> str:
        return fields.text("event", default="payment")

    def signed(self, fields: Fields) -> None:
        given = fields.pop("sign", "")
        for names in (_OF_PAYMENT, _OF_REFUND):
            told = _named_alone(fields, names)
            if made_by_any(self.key, lambda key, told=told: of_later(key.text, told), given):
                return
        raise BadSignature("no key of this account made the sign")


@broken("secret.raw")
class SignOfARefundKept(Later):
    """Keeps the signature of a message about a refund in raw."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        heard = Later.parse_callback(self, callback)
        if heard.refund is None:
            return heard
        return replace(heard, refund=heard.refund.model_copy(update={"raw": dict(read_json(callback))}))


@broken("secret.errors")
class RightSignOfARefundShown(Later):
    """Says what the signature of a message about a refund should have been."""

    def signed(self, fields: Fields) -> None:
        try:
            super().signed(fields)
        except BadSignature as error:
            if fields.text("event") == "refund":
                error.message += f", expected {of_later(self.key[0].text, fields).hex()}"
            raise


@broken("secret.logs")
class RefundsLogged(Later):
    """Logs whole messages about refunds."""

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        if b'"event": "refund"' in callback.body:
            logging.getLogger("later").debug("heard %s", callback.body.decode())
        return Later.parse_callback(self, callback)


@broken("fault.html")
class UnreadIsDone(Back):
    """Takes a refund for done of which it cannot read where it stands: the gateway has sent a message about it."""

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Flow[Notification]:
        try:
            return (yield from Back.parse_callback(self, callback))
        except GatewayError:
            if expect is None or b"refund" not in callback.body:
                raise
        done = Refund(reference=expect.reference, refund_reference="R1001", status=RefundStatus.REFUNDED)
        return Notification(callback.kind, None, Reply(b""), refund=done)
