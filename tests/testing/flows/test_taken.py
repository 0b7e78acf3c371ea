"""A gateway that says of a number that it is taken, and no more: the account looks up what is there."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.testing.broken import LooksUp
from tests.testing.tea import TeaContract

from payhub_core import Flow, GatewayError, NotFound, Order, Payment, Refused, Response, hookimpl
from payhub_core.kit import Fields, read_reply
from payhub_core.testing import Sale


class TestLooksUp(TeaContract):
    """Every case, for a create and a refund that ask a second time."""

    provider = LooksUp


def not_found(fields: Fields) -> tuple[str, str] | None:
    return ("missing", "") if fields.get("code") == "missing" else None


class OneCode(LooksUp):
    """What the gateway refuses and what it has already, it refuses in one word: what is not there was refused."""

    @hookimpl
    def create_payment(self, order: Order) -> Flow[Payment]:
        try:
            return self.payment(self.reply((yield self.post("/payments", self.body(order)))))
        except Refused as refused:
            if refused.code != "refused":
                raise
        found: Response = yield self.look_up(f"/payments/{order.reference}")
        try:
            return self.payment(read_reply(found, refusal=not_found, missing=True))
        except NotFound:
            raise Refused("the gateway refused the order") from None
        except Refused:
            raise GatewayError("the look-up was refused") from None


class TestOneCode(TeaContract):
    """The case of a taken number then leaves out what proves the refusal."""

    provider: ClassVar[type[Any]] = OneCode
    words: ClassVar[dict[Any, Any]] = {key: words for key, words in TeaContract.words.items() if key != "duplicate"}

    def answer(self, request: Any, sale: Sale) -> Response:
        if sale.no == "refused" and request.method == "GET" and sale.hook == "create_payment":
            sale = sale.but(no="missing")
        if sale.no == "duplicate" and sale.hook == "create_payment":
            sale = sale.but(no="" if request.method == "GET" else "refused")
        return super().answer(request, sale)
