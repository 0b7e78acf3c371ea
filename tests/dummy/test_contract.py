"""The dummy keeps the contract, as far as a gateway that is never asked can."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from payhub_core import Callback, CallbackKind, Money, Request, Response
from payhub_core.testing import ProviderContract, Sale
from payhub_dummy import Dummy
from payhub_dummy.messages import Message, write

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


ASKS_NOBODY = ("create.asks", "query.paid", "refund.accepted", "close.accepted")


class TestDummy(ProviderContract):
    """Its callbacks are its own; nothing else of it meets a gateway."""

    provider = Dummy
    settings: ClassVar[dict[str, Any]] = {"development": True}
    other: ClassVar[dict[str, Any]] = {"delay": 3.0}
    acknowledged = b"OK"
    excuses: ClassVar[dict[str, str]] = dict.fromkeys(
        ASKS_NOBODY, "the dummy asks nobody: the sum says what becomes of it"
    )
    excuses |= {
        "return.own_words": "the dummy's next action is the return itself, which settles nothing",
        "create.notify_url": "nothing is sent: a test makes the notify and takes it where it likes",
        "create.description": "nothing is sent, so no gateway shows it",
        "claims.extra": "extra goes nowhere, so any field may be set",
        "claims.identity": "a message names its account, so any number of dummies may stand side by side",
    }

    def answer(self, request: Request, sale: Sale) -> Response:
        raise AssertionError("the dummy asks nobody")

    def message(self, sale: Sale, kind: Literal["notify", "return"]) -> bytes:
        sale.attach.encode()  # what is no text cannot be written
        account = "shop" if sale.settings.get("delay", 2.0) == 2.0 else "another"
        paid = sale.amount if sale.paid is None else sale.paid
        return write(
            Message(
                kind=kind,
                account=account,
                reference=sale.reference,
                gateway_id=sale.gateway_id,
                status=sale.status,
                currency=sale.amount.currency,
                due=sale.amount.minor,
                paid=paid.minor if sale.status in {"paid", "refunded"} else None,
                attach=sale.attach,
            )
        )

    def notify(self, sale: Sale) -> Callback:
        return Callback("POST", FORM, b"", self.message(sale, "notify"))

    def returned(self, sale: Sale) -> Callback:
        return Callback("GET", {}, self.message(sale, "return"), b"", CallbackKind.RETURN)

    def asked(self, request: Request) -> tuple[str, Money] | None:
        return None
