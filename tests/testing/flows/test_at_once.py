"""Paid at once, without a page; an HMAC with its time; sums as text in major units, some with decimals not ISO's."""

from __future__ import annotations

import hmac
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from payhub_core import (
    BadSignature,
    Callback,
    Flow,
    InvalidOrder,
    Money,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Redirect,
    Reply,
    Request,
    Response,
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import AccountSettings, Fields, Secrets, check_age, made_by_any, read_json, read_reply
from payhub_core.testing import ProviderContract, Sale
from payhub_core.testing.bench import Bench

WORDS = {"open": PaymentStatus.PENDING, "paid": PaymentStatus.PAID, "declined": PaymentStatus.FAILED}
#: Twenty is a whole number of dollars to this gateway, and it writes forints with two decimals.
DECIMALS = {"TWD": 0, "ISK": 2}
URL = "https://wallet.example"


def refusal(fields: Fields) -> tuple[str, str]:
    return fields.text("reason"), ""


def amount_of(money: Money) -> str:
    """The sum in the gateway's minor units."""
    decimals = DECIMALS.get(money.currency)
    if decimals is None:
        return str(money.amount)
    whole = money.amount.scaleb(decimals)
    if whole != whole.to_integral_value():
        raise InvalidOrder(f"the gateway takes {money.currency} with {decimals} decimal places, not {money}")
    return str(int(whole))


class Wallet(AccountSettings):
    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="wallet",
        currencies=frozenset({"USD", "JPY", "TWD", "ISK", "KWD"}),
        identity=("shop",),
        largest_amount=10**12,
        callback_headers=frozenset({"Signature"}),
    )

    shop: str
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        money = {"sum": amount_of(order.amount), "currency": order.amount.currency}
        body = {"shop": self.shop, "order": order.reference, "text": order.description, "note": order.attach, **money}
        request = Request(
            "POST", f"{URL}/charges", json=body, headers=self.headers({"Idempotency-Key": order.reference})
        )
        return self.payment(read_reply((yield request), refusal=refusal))

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        response = yield Request("GET", f"{URL}/charges/{reference}", headers=self.headers({}))
        return self.payment(read_reply(response, refusal=refusal, missing=True))

    @hookimpl
    def parse_callback(self, callback: Callback) -> Notification:
        stated, _, given = callback.header("Signature").removeprefix("t=").partition(",v1=")
        message = stated.encode() + b"." + callback.body
        if not made_by_any(self.key, lambda key: hmac.digest(bytes(key), message, "sha256"), given):
            raise BadSignature("no key of this account signed the message")
        check_age(callback, stated)
        fields = read_json(callback)
        if fields.text("shop") != self.shop:
            raise WrongAccount("the message is for another shop")
        return Notification(callback.kind, self.payment(fields), Reply(b"ok"))

    def headers(self, more: dict[str, str]) -> dict[str, str]:
        """In no variable of a flow, since that would be in the traceback of whatever fails there."""
        return {"Authorization": f"Bearer {self.key[0].text}", **more}

    def payment(self, fields: Fields) -> Payment:
        currency = fields.text("currency")
        decimals = DECIMALS.get(currency)
        unit: Any = "major" if decimals is None else "minor"
        url = fields.text("url", default="")
        return Payment(
            reference=fields.text("order"),
            gateway_id=fields.text("id"),
            status=fields.choice("state", WORDS, default=PaymentStatus.PENDING),
            amount=fields.money("sum", currency, unit, decimals=decimals),
            attach=fields.text("note", default=""),
            next_action=Redirect(url=url) if url else None,
            raw=dict(fields),
        )


class TestWallet(ProviderContract):
    provider = Wallet
    settings = {"shop": "s1", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"shop": "s2", "key": "c1277-throw-away-key-of-another"}
    excuses = dict.fromkeys(
        ("create.notify_url", "create.return_url"), "a merchant enters both addresses at the gateway"
    )
    acknowledged = b"ok"
    tolerance = timedelta(minutes=5)

    def message(self, sale: Sale) -> dict[str, str]:
        decimals = DECIMALS.get(sale.amount.currency)
        number = sale.amount.amount if decimals is None else int(sale.amount.amount.scaleb(decimals))
        return {
            "shop": sale.settings["shop"],
            "order": sale.reference,
            "id": sale.gateway_id,
            "state": sale.word or {status: word for word, status in WORDS.items()}[sale.status],
            "sum": str(number),
            "currency": sale.amount.currency,
            "note": sale.attach,
        }

    def answer(self, request: Request, sale: Sale) -> Response:
        assert request.headers["Authorization"] == f"Bearer {self.settings['key']}"
        if sale.no:
            codes = {"missing": 404, "refused": 402, "account": 401}
            return Response(codes[sale.no], json={"reason": sale.no})
        url = {"url": sale.url} if sale.status is PaymentStatus.PENDING else {}
        return Response(200, json={**self.message(sale), **url})

    def notify(self, sale: Sale) -> Callback:
        body, stated = json.dumps(self.message(sale)).encode(), str(int(sale.at.timestamp()))
        given = hmac.digest(sale.settings["key"].encode(), stated.encode() + b"." + body, "sha256").hex()
        headers = {"Content-Type": "application/json", "Signature": f"t={stated},v1={given}"}
        return Callback("POST", headers, b"", body)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        if not request.content:
            return None
        body = json.loads(request.content)
        decimals = DECIMALS.get(body["currency"], 0)
        return request.headers["Idempotency-Key"], Money.of(Decimal(body["sum"]).scaleb(-decimals), body["currency"])


def test_a_payment_that_is_made_at_once_is_paid() -> None:
    """There is nothing for the payer to do."""
    bench = Bench(TestWallet())
    payment = bench.create(sale=bench.paid()).payment
    assert payment.status is PaymentStatus.PAID
    assert payment.next_action is None


def test_a_part_that_the_gateway_does_not_take_is_refused_before_anything_is_sent() -> None:
    """Not rounded."""
    bench = Bench(TestWallet())
    outcome = bench.create(bench.order(amount=Money.of("10.50", "TWD")))
    assert type(outcome.error) is InvalidOrder
    assert outcome.tried == []
