"""The clients of the bench: their other end is what a contract answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from payhub_core.flow import Request, Response, is_harmless
from payhub_core.models import CallbackKind, Notification, PaymentStatus
from payhub_core.testing.case import Mismatch, line_of
from payhub_core.testing.faults import Raw
from payhub_core.testing.outcome import Call, Outcome
from payhub_core.testing.sale import Sale
from payhub_core.testing.words import answered

if TYPE_CHECKING:
    from payhub_core.testing.contract import ProviderContract

__all__ = ["AsyncClient", "Client"]


#: As many requests as no flow needs: one that asks until it is answered otherwise would never end.
_MOST = 200


class Client:
    """A client whose other end is the contract."""

    def __init__(self, contract: ProviderContract) -> None:
        self.contract = contract
        self.call: Call
        self.outcome: Outcome
        self.broken: Exception | None = None

    def send(self, request: Request, **_: object) -> Response:
        return self.reply(request)

    def reply(self, request: Request) -> Response:
        call, tried = self.call, self.outcome.tried
        tried.append(request)
        place = len(tried) - 1
        if place >= _MOST:
            self.broken = Mismatch(f"a {call.hook} that ends", f"{place} requests, and one more")
            raise self.broken
        faulty = call.fault is not None and (call.at == place or (call.onward and call.at < place))
        try:
            response = call.fault(request, self.honest(request)) if faulty and call.fault else self.honest(request)()
        except httpx.ConnectError:
            raise
        except httpx.TransportError:
            self.outcome.requests.append(request)
            raise
        except Exception as error:
            self.broken = error
            raise
        self.outcome.requests.append(request)
        self.outcome.kept |= not faulty and self.contract.confirming and self.contract.confirms(request)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self.outcome.denied.append(request)
        stream: Any = response.stream
        if not isinstance(stream, Raw):  # one that was read already would pass by the hub's limits
            self.outcome.answers.append(response.content)
            stream = Raw(response.content)
        return Response(response.status_code, headers=response.headers, stream=stream)

    def honest(self, request: Request) -> Callable[..., Response]:
        sale = self.call.sale
        # A look-up before a close, which is marked, is about an order that is still open.
        before = all(is_harmless(tried) for tried in self.outcome.tried)
        if before and self.call.hook == "close" and sale.status is PaymentStatus.CANCELED:
            sale = sale.but(status=PaymentStatus.PENDING)
        sale = self.as_confirmed(sale, request)

        def honest(**changes: Any) -> Response:
            return answered(self.contract, request, sale.but(**changes), self.call.hook)

        return honest

    def as_confirmed(self, sale: Sale, request: Request) -> Sale:
        """Where a payment that has to be confirmed stands as ``request`` is answered: it waits, and then is paid."""
        if not self.contract.confirming or sale.word:
            return sale
        kept = self.contract.confirms(request) or self.outcome.kept
        if sale.status is PaymentStatus.AUTHORIZED and kept:
            return sale.but(status=PaymentStatus.PAID)
        if sale.status is PaymentStatus.PAID and self.call.hook == "parse_callback" and not kept:
            return sale.but(status=PaymentStatus.AUTHORIZED)
        return sale

    def asking(self, heard: object) -> dict[str, Any]:
        """The arguments of the query that `Checkout` makes where a notify only claims to be paid; else none."""
        call, payment = self.call, heard.payment if isinstance(heard, Notification) else None
        order = call.arguments.get("expect")
        if payment is None or order is None or call.arguments["callback"].kind is not CallbackKind.NOTIFY:
            return {}
        if payment.status is not PaymentStatus.PENDING or payment.claimed_status is not PaymentStatus.PAID:
            return {}
        waits = self.contract.confirming and call.sale.status is PaymentStatus.PAID
        sale = call.sale.but(status=PaymentStatus.AUTHORIZED) if waits else call.sale
        self.call = replace(call, hook="query", sale=sale)
        return {
            "reference": payment.reference,
            "gateway_id": payment.gateway_id,
            "expect": order,
            "created_at": call.sale.created_at,
        }

    def check(self) -> None:
        """Raises what the contract's own answer raised; the hub would take it for a broken connection."""
        if (error := self.broken) is not None:
            self.broken = None
            if isinstance(error, Mismatch):
                raise error
            if isinstance(error, AssertionError):
                said = str(error).partition("\n")[0] or "one that the contract refuses"
                raise Mismatch("a request that the contract's answer() takes", f"{said} {line_of(error)}") from error
            raise error


class AsyncClient(Client):
    async def send(self, request: Request, **_: object) -> Response:  # type: ignore[override]
        return self.reply(request)
