"""EPay's provider: an account's settings as fields, the hooks as methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from payhub_core import (
    Callback,
    Flow,
    FormPost,
    InvalidOrder,
    Money,
    Notification,
    Order,
    Payment,
    PaymentStatus,
    ProviderInfo,
    Refund,
    RefundStatus,
    Reply,
    Request,
    WrongAccount,
    hookimpl,
)
from payhub_core.kit import FORM, AccountSettings, Address, Secrets, write_form
from payhub_epay import messages
from payhub_epay.signing import SIGNED, sign, verify

__all__ = ["EPay"]


class EPay(AccountSettings):
    """An account at a gateway of the EPay family.

    ``base_url`` is the folder of its ``submit.php``. ``create`` is "mapi", or "submit": a form for the payer's browser.
    """

    info: ClassVar[ProviderInfo] = ProviderInfo(
        name="epay",
        currencies=frozenset({messages.CURRENCY}),
        identity=("base_url", "pid"),
        methods=frozenset(messages.TYPES),
        raw_methods="[a-z0-9_]{1,20}",
        method_needed=True,
        reference_length=32,
        largest_amount=10**10 - 1,
        extra_fields="clientip|device",
        refused=Reply(b"fail", status_code=400),
    )

    base_url: Address
    pid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    key: Secrets
    create: Literal["mapi", "submit"] = "mapi"

    @hookimpl
    def create_payment(self, order: Order) -> Payment | Flow[Payment]:
        """A signed POST to ``mapi.php``, or a signed form for ``submit.php``."""
        if "?" in order.notify_url:
            raise InvalidOrder("notify_url: expected one without a query, since the gateway signs the query whole")
        fields = {name: value for name, value in messages.asked(order, self.pid).items() if value}
        form = {**fields, "sign": sign(fields, self.key[0]), "sign_type": "MD5"}
        if self.create == "mapi":
            return self._created(form, order)
        return messages.opened(order, FormPost(url=f"{self.base_url}/submit.php", fields=form))

    @hookimpl
    def parse_callback(self, callback: Callback, expect: Order | None) -> Notification:
        """Notify and return are the same signed query, by GET."""
        fields = messages.received(callback, expect)
        if not verify(fields, self.key):
            raise SIGNED.refusal(fields, "money", "out_trade_no", "pid", "trade_no", "trade_status")
        if fields.text("pid") != self.pid:
            raise WrongAccount(f"expected a message for {self.pid}, it is for another pid")
        return Notification(callback.kind, messages.notified(fields), Reply(b"success"))

    @hookimpl
    def query(self, reference: str) -> Flow[Payment]:
        """A GET of ``api.php?act=order``, which the protocol has carry the key itself."""
        return messages.queried((yield self._order(reference)), reference)

    @hookimpl
    def refund(self, reference: str, amount: Money, refund_reference: str) -> Flow[Refund]:
        """A POST to ``api.php?act=refund``: the whole sum, of an order that the gateway still calls paid.

        Without an idempotency key two parts could both go back; of the whole sum a second refund finds nothing left.
        """
        order = messages.queried((yield self._order(reference, harmless=True)), reference)
        if order.amount != amount:
            raise InvalidOrder(
                f"expected the whole sum, {order.amount}, not {amount}",
                hint="nothing keeps this gateway from paying a part back twice: refund it in the gateway's back office",
            )
        if order.status is PaymentStatus.PAID:
            money = f"{amount.amount:f}"
            # In no variable: an error report carries those of every frame, and the fields hold the key.
            messages.accepted((yield self._posted("api.php?act=refund", {**self._named(reference), "money": money})))
        elif order.status is not PaymentStatus.REFUND_SUM_UNKNOWN:
            raise InvalidOrder("the gateway does not call the order paid")
        return Refund(reference=reference, refund_reference=refund_reference, status=RefundStatus.REFUNDED)

    def signature_candidates(self, callback: Callback) -> Iterator[tuple[str, bool]]:
        """How another gateway of the family may have signed ``callback``, for a person who asks."""
        return SIGNED.candidates(callback, self.key)

    def _created(self, form: dict[str, str], order: Order) -> Flow[Payment]:
        return messages.created((yield self._posted("mapi.php", form)), order)

    def _order(self, reference: str, *, harmless: bool = False) -> Request:
        query = write_form({"act": "order", **self._named(reference)}).decode()
        return Request("GET", f"{self.base_url}/api.php?{query}", harmless=harmless)

    def _named(self, reference: str) -> dict[str, str]:
        return {"pid": self.pid, "key": self.key[0].text, "out_trade_no": reference}

    def _posted(self, path: str, fields: dict[str, str]) -> Request:
        return Request("POST", f"{self.base_url}/{path}", content=write_form(fields), headers={"Content-Type": FORM})
