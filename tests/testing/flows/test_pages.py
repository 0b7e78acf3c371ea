"""Look-ups page by page, back to when the order was made; and several payments for one order."""

from __future__ import annotations

import hmac
import json
from datetime import datetime, timedelta
from typing import Any, ClassVar

from payhub_core import (
    BadSignature,
    Callback,
    Flow,
    GatewayError,
    Money,
    NotFound,
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
from payhub_core.kit import AccountSettings, Fields, Secrets, made_by_any, read_json, read_reply
from payhub_core.testing import ProviderContract, Sale
from payhub_core.testing.bench import Bench

WORDS = {"pending": PaymentStatus.PENDING, "received": PaymentStatus.PAID}
URL = "https://transfers.example"
MOST_PAGES = 20


def refusal(fields: Fields) -> tuple[str, str]:
    return fields.text("error"), ""


class Transfers(AccountSettings):
    """A bank that lists what came in, newest first, and takes as many transfers for one order as payers send."""

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="transfers",
        currencies=frozenset({"EUR"}),
        identity=("iban",),
        attach=False,
        callback_headers=frozenset({"Signature"}),
    )

    iban: str
    key: Secrets

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        body = {"iban": self.iban, "purpose": order.reference, "cents": order.amount.minor, "text": order.description}
        fields = read_reply((yield self.request("POST", "/expected", body)), refusal=refusal)
        return Payment(
            reference=fields.text("purpose"), status=PaymentStatus.PENDING, next_action=Redirect(url=fields.text("url"))
        )

    @hookimpl
    def query(
        self, reference: str, gateway_id: str | None, expect: Order | None, created_at: datetime | None
    ) -> Flow[Payment]:
        """The transfer of that number, or where none is named, the first that is found for the order."""
        for page in range(1, MOST_PAGES + 1):
            fields = read_reply((yield self.request("GET", f"/transfers?page={page}")), refusal=refusal)
            listed = fields.objects("transfers")
            for item in listed:
                if item.text("purpose") == reference and gateway_id in {None, item.text("number")}:
                    return told(item, expect)
            if not listed or (created_at is not None and listed[-1].time("at") < created_at):
                raise NotFound("no transfer since the order was made")
        raise GatewayError(f"not found on {MOST_PAGES} pages, which proves nothing")

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        given = callback.header("Signature")
        if not made_by_any(self.key, lambda key: hmac.digest(bytes(key), callback.body, "sha256"), given):
            raise BadSignature("no key of this account signed the message")
        fields = read_json(callback)
        if fields.text("iban") != self.iban:
            raise WrongAccount("the message is for another account")
        return Notification(callback.kind, told(fields, expect), Reply(b"OK"))

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Request:
        return Request(method, f"{URL}{path}", json=body, headers={"Authorization": f"Bearer {self.key[0].text}"})


def told(fields: Fields, expect: Order | None) -> Payment:
    """A transfer states what came in, and not what was due."""
    status = fields.choice("state", WORDS, default=PaymentStatus.PENDING)
    return Payment(
        reference=fields.text("purpose"),
        gateway_id=fields.text("number"),
        status=status,
        paid=fields.money("cents", fields.text("currency"), "minor") if status is PaymentStatus.PAID else None,
        raw=dict(fields),
    )


class TestTransfers(ProviderContract):
    provider = Transfers
    settings = {"iban": "DE1", "key": "c1277-throw-away-key-of-the-shop"}
    other = {"iban": "DE2", "key": "c1277-throw-away-key-of-another"}
    excuses = dict.fromkeys(
        ("create.notify_url", "create.return_url"), "a merchant enters both addresses at the gateway"
    )
    acknowledged = b"OK"

    def item(self, sale: Sale, **changes: Any) -> dict[str, Any]:
        money = sale.paid or sale.amount
        return {
            "iban": sale.settings["iban"],
            "purpose": sale.reference,
            "number": sale.gateway_id,
            "state": sale.word or {status: word for word, status in WORDS.items()}[sale.status],
            "cents": money.minor,
            "currency": money.currency,
            "at": sale.at.isoformat(),
            **changes,
        }

    def answer(self, request: Request, sale: Sale) -> Response:
        if sale.no in {"refused", "account"}:
            return Response({"refused": 422, "account": 401}[sale.no], json={"error": sale.no})
        if request.method == "POST":
            return Response(200, json={"purpose": sale.reference, "url": sale.url})
        page = int(request.url.params["page"])
        others = [self.item(sale, purpose=f"other-{n}", number=str(n)) for n in range(3)]
        old = self.item(sale, purpose="old", number="1", at=(sale.at - timedelta(days=1)).isoformat())
        pages = {1: others, 2: [*others, old] if sale.no else [*others, self.item(sale)], 3: []}
        return Response(200, json={"transfers": pages[page]})

    def notify(self, sale: Sale) -> Callback:
        body = json.dumps(self.item(sale)).encode()
        signature = hmac.digest(sale.settings["key"].encode(), body, "sha256").hex()
        return Callback("POST", {"Content-Type": "application/json", "Signature": signature}, b"", body)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        if request.method == "GET":
            return None
        body = json.loads(request.content)
        return body["purpose"], Money(body["cents"], "EUR")


def test_an_order_is_found_on_the_page_where_it_stands() -> None:
    """One request a page."""
    bench = Bench(TestTransfers())
    outcome = bench.query()
    assert [str(request.url.query) for request in outcome.requests] == ["b'page=1'", "b'page=2'"]


def test_two_transfers_for_one_order_are_two_payments() -> None:
    """Each under its own number, for the ledger to add up."""
    bench = Bench(TestTransfers())
    halves = [bench.paid(paid=Money(5000, "EUR"), gateway_id=number) for number in ("1", "2")]
    heard = bench.play(*[bench.hear_call(bench.notify(half), half) for half in halves])
    assert [outcome.payment.gateway_id for outcome in heard] == ["1", "2"]
    assert [outcome.payment.status for outcome in heard] == [PaymentStatus.PARTIALLY_PAID] * 2
