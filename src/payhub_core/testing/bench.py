"""The bench: plays a provider's hooks through both hubs against the gateway that a contract describes. No network."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import stamina

from payhub_core.accounts import load_account
from payhub_core.declaration import ProviderInfo
from payhub_core.errors import PayhubError
from payhub_core.flow import Request, Response
from payhub_core.hub import AsyncHub, Hub
from payhub_core.models import (
    Callback,
    CallbackKind,
    FormPost,
    Order,
    Payment,
    PaymentStatus,
    Redirect,
    RefundStatus,
)
from payhub_core.money import Money
from payhub_core.registry import check_provider
from payhub_core.testing.case import Mismatch, NotApplicable, line_of
from payhub_core.testing.clients import AsyncClient, Client
from payhub_core.testing.meaning import check_alike
from payhub_core.testing.messages import carried
from payhub_core.testing.outcome import Call, Listening, Outcome
from payhub_core.testing.sale import Sale
from payhub_core.testing.words import answered, made, said

if TYPE_CHECKING:
    from payhub_core.testing.contract import ProviderContract

__all__ = ["Bench", "Message"]

T = TypeVar("T")

ACCOUNT = "shop"
_ORDER: Any = object()
#: Of a token that opens something.
_TOKEN = 8
#: What libraries raise for a signature that is not right, by its name, since none of them has to be there.
_UNSIGNED = {"InvalidSignature", "BadSignature", "BadSignatureError", "SignatureError"}
#: What a contract says beside its methods.
_CLAIMS = {
    "provider": "the provider's class",
    "settings": "an account's settings, with keys that open nothing",
    "other": "another merchant's settings: another identity, every key another",
    "acknowledged": "the body that the gateway wants in answer to a notify, or the whole Reply",
}


@dataclass(frozen=True)
class Message:
    """One of the messages that a gateway sends: how the contract writes it, and the sale that it usually says.

    ``further`` are the sales that it may say beside that one.
    """

    write: Callable[[Sale], Callback]
    sale: Sale
    further: Sequence[Sale] = ()

    @property
    def genuine(self) -> Callback:
        return self.write(self.sale)


class Bench:
    """Plays the hooks of a contract's provider, each through both hubs, which have to end alike.

    ``without`` are the hooks that a case about every flow leaves out.
    """

    def __init__(self, contract: ProviderContract, without: Collection[str] = ()) -> None:
        for name, what in _CLAIMS.items():
            if not hasattr(contract, name):
                pytest.fail(f"next: write {name} = ... in the contract: {what}", pytrace=False)
        for name, value in contract.other.items():
            if contract.settings.get(name) == value:
                pytest.fail(
                    f"other: expected another {name!r} than settings has, it is the same. Two merchants share no key",
                    pytrace=False,
                )
        try:
            inspect.signature(contract.order).bind(reference="A1001")
        except TypeError:
            pytest.fail(
                "order(): expected order(**changes): it is the order that the gateway takes, asked for by the kit. "
                "Give a method of your own another name",
                pytrace=False,
            )
        tolerance: object = contract.tolerance
        if not isinstance(tolerance, timedelta | None):
            kind = type(tolerance).__name__
            pytest.fail(f"tolerance: expected a timedelta, as in timedelta(minutes=5), not {kind}", pytrace=False)
        self.contract = contract
        self.without = without
        # One for the whole case: where a second passes within it, the same message has to be the same bytes.
        self.at: datetime = datetime.now(UTC).replace(microsecond=0)
        self.created_at: datetime = self.at - timedelta(minutes=5)
        self.provider: Any = contract.provider
        self.hooks: Mapping[str, tuple[str, ...]] = check_provider(self.provider)  # type: ignore[arg-type]
        self.info: ProviderInfo = self.provider.info
        #: The call that was played last: where a case fails, it is about this one.
        self.played: Call | None = None
        self._accounts: tuple[Any, Any] | None = None
        #: What the gateway has handed out, and requests then carry: access tokens.
        self.tokens: set[str] = set()
        self.settings: dict[str, Any] = {**contract.settings}
        self.other: dict[str, Any] = {**contract.settings, **contract.other}

    # What is played

    def order(self, **changes: Any) -> Order:
        """The contract's order."""
        return made(self.contract.order, **changes)

    def another(self, **changes: Any) -> Order:
        """Another order, that differs in its number alone from the one with these ``changes``."""
        reference = self.order().reference
        return self.order(reference=reference[:-1] + ("2" if reference[-1] != "2" else "3"), **changes)

    def sale(self, order: Order | None = None, **changes: Any) -> Sale:
        """What the gateway has of ``order``, open unless it is ``changed``; of this account."""
        usual = {"settings": self.settings, "at": self.at, "created_at": self.created_at}
        return made(self.contract.sale, order, **{**usual, **changes})

    def paid(self, order: Order | None = None, **changes: Any) -> Sale:
        """`sale`, paid in full unless ``changes`` say otherwise."""
        order = order or self.order()
        return self.sale(order, **{"status": PaymentStatus.PAID, "paid": order.amount, **changes})

    def foreign(self, sale: Sale) -> Sale:
        """The sale as someone would write it who knows all of the account but its keys."""
        changed = {key: value for key, value in self.contract.other.items() if key not in self.info.identity}
        return sale.but(settings={**self.settings, **(changed or self.contract.other)})

    def misnamed(self, sale: Sale, *names: str) -> Sale:
        """The sale of another merchant, written with this account's keys: all of its identity, or what is named."""
        named = {key: value for key, value in self.contract.other.items() if key in (names or self.info.identity)}
        return sale.but(settings={**self.settings, **named})

    def notify(self, sale: Sale) -> Callback:
        """The contract's notify; raises NotApplicable where the gateway has no word for it."""
        return self._written(self.contract.notify, sale)

    def _written(self, write: Callable[[Sale], Callback], sale: Sale) -> Callback:
        callback = said(self.contract, write, sale, "parse_callback", Callback)
        if callback != write(sale):
            name = write.__name__
            raise ValueError(f"{name}() has to write the same bytes for the same sale: take nonces out of the sale")
        return callback

    def payment_told(self) -> Message:
        """The message that an order is paid in full."""
        others = [status for status in PaymentStatus if status is not PaymentStatus.PAID]
        return Message(self.notify, self.paid(), [self.paid(status=status, paid=None) for status in others])

    def refund_notify(self, sale: Sale) -> Callback:
        """The contract's refund_notify; raises NotApplicable where there is none, or no word for it."""
        if not self.contract.tells_refunds:
            raise NotApplicable("no message about a refund")
        return self._written(self.contract.refund_notify, sale)

    def refund_told(self, order: Order | None = None, **changes: Any) -> Message:
        """The message that all of ``order`` has gone back, unless ``changes`` say otherwise; or NotApplicable."""
        order = order or self.order()
        usual = self.paid(order, **{"refund": order.amount, "refund_status": RefundStatus.REFUNDED, **changes})
        further = [usual.but(refund_status=status, refund_word=word) for status, word in self.refund_statuses()]
        _ = self.refund_notify(usual)
        return Message(self.refund_notify, usual, further)

    def messages(self) -> list[Message]:
        """Every kind of message that the contract writes of the gateway's server."""
        return [self.payment_told(), *([self.refund_told()] if self.contract.tells_refunds else [])]

    def words(self, *of: str) -> list[str]:
        """The contract's words for a status, or for how the gateway says no: "" for the usual one, and its `words`."""
        return ["", *(word for one in of for word in self.contract.words.get(one, ()))]

    def statuses(self, *of: PaymentStatus) -> Iterator[tuple[PaymentStatus, str]]:
        """Each status with each of the contract's words for it."""
        return ((status, word) for status in of for word in self.words(status))

    def refund_statuses(self) -> Iterator[tuple[RefundStatus, str]]:
        """Each status of a refund with each of the contract's words for it."""
        return ((status, word) for status in RefundStatus for word in ("", *self.contract.refund_words.get(status, ())))

    def secrets(self) -> Iterator[tuple[str, str]]:
        """The secret settings with their values: what differs from another merchant's, but for what is public."""
        public = {*self.info.identity, *self.contract.public}
        differing = {key for key, value in self.contract.other.items() if value != self.settings.get(key)}
        for key in sorted((differing - public) or (differing - self.contract.public)):
            value = self.settings.get(key)
            for text in _texts(value):
                yield key, text

    def returned(self, sale: Sale) -> Callback:
        """The contract's return; raises NotApplicable where there is none."""
        if not self.contract.returns:
            raise NotApplicable("no return")
        callback = said(self.contract, self.contract.returned, sale, "parse_callback", Callback)
        return replace(callback, kind=CallbackKind.RETURN)

    def answer(self, request: Request, sale: Sale, hook: str) -> Response:
        """The contract's answer to a request of ``hook``."""
        return answered(self.contract, request, sale, hook)

    # Playing

    def create(self, order: Order | None = None, sale: Sale | None = None, **how: Any) -> Outcome:
        """Plays create_payment."""
        return self.play(self.create_call(order, sale, **how))[0]

    def create_call(self, order: Order | None = None, sale: Sale | None = None, **how: Any) -> Call:
        """A create of ``order``."""
        order = order or self.order()
        return Call("create_payment", {"order": order, "created_at": self.created_at}, sale or self.sale(order), **how)

    def query(self, sale: Sale | None = None, order: Order | None = None, **how: Any) -> Outcome:
        """Plays query; raises NotApplicable where it asks nobody."""
        order = order or self.order()
        outcome = self.play(self.query_call(sale or self.paid(order), order, **how))[0]
        if not outcome.tried:
            raise NotApplicable("query asks nobody")
        return outcome

    def query_call(self, sale: Sale, order: Order, **how: Any) -> Call:
        """A query for ``order``, with all that a shop may know of it."""
        arguments = {
            "reference": order.reference,
            "gateway_id": self.contract.gateway_ids[0],
            "expect": order,
            "created_at": self.created_at,
        }
        return Call("query", arguments, sale, **how)

    def hear(self, callback: Callback, sale: Sale | None = None, order: Order | None = None, **how: Any) -> Outcome:
        """Plays parse_callback."""
        return self.play(self.hear_call(callback, sale, order, **how))[0]

    def hear_call(
        self,
        callback: Callback,
        sale: Sale | None = None,
        order: Order | None = None,
        *,
        expected: Order | None = _ORDER,
        **how: Any,
    ) -> Call:
        """A callback, heard for ``order`` unless something else is ``expected``."""
        order = order or self.order()
        expected = order if expected is _ORDER else expected
        return Call("parse_callback", {"callback": callback, "expect": expected}, sale or self.paid(order), **how)

    def refund(self, sale: Sale | None = None, **how: Any) -> Outcome:
        """Plays refund; raises NotApplicable where there is none."""
        return self.play(self.refund_call(sale, **how))[0]

    def refund_call(self, sale: Sale | None = None, **how: Any) -> Call:
        """A refund of all of the contract's order."""
        self.need("refund")
        order = self.order()
        sale = sale or self.paid(order, refund=order.amount)
        arguments = {
            "reference": order.reference,
            "gateway_id": self.contract.gateway_ids[0],
            "amount": order.amount if sale.refund is None else sale.refund,
            "refund_reference": sale.refund_reference,
            "expect": order,
            "created_at": self.created_at,
            "refund_created_at": self.at,
        }
        return Call("refund", arguments, sale, **how)

    def close(self, sale: Sale | None = None, **how: Any) -> Outcome:
        """Plays close; raises NotApplicable where there is none."""
        return self.play(self.close_call(sale, **how))[0]

    def close_call(self, sale: Sale | None = None, **how: Any) -> Call:
        """A close of the contract's order."""
        self.need("close")
        order = self.order()
        arguments = {
            "reference": order.reference,
            "gateway_id": self.contract.gateway_ids[0],
            "expect": order,
            "created_at": self.created_at,
        }
        return Call("close", arguments, sale or self.sale(status=PaymentStatus.CANCELED), **how)

    def need(self, hook: str) -> None:
        """Raises NotApplicable where the provider lacks the hook."""
        if hook not in self.hooks:
            raise NotApplicable(f"no {hook}")

    def play(self, *calls: Call, settings: dict[str, Any] | None = None, fresh: bool = False) -> list[Outcome]:
        """Plays ``calls`` one after another on one account, through both hubs; raises Mismatch where they differ.

        A single call is played on the case's own account, since loading one may be slow, as it was loaded: a token that
        an earlier call has kept there would shift the requests. Unless it has to be ``fresh``, since it has a fault.
        """
        self.played = calls[-1]
        fresh = fresh or settings is not None or len(calls) > 1 or calls[0].fault is not None
        if not fresh:
            self._accounts = self._accounts or (self.account(), self.account())
            accounts = (_as_loaded(self._accounts[0]), _as_loaded(self._accounts[1]))
        else:
            accounts = (self.account(settings), self.account(settings))
        contract = self.contract
        if settings is not None:
            contract = copy(contract)
            vars(contract)["settings"] = self.sending(settings)
        with stamina.set_testing(True, attempts=1):
            sync = self._sync(calls, accounts[0], contract)
            awaited = asyncio.run(self._awaited(calls, accounts[1], contract))
        for one, two in zip(sync, awaited, strict=True):
            check_alike(one, two)
        return sync

    def account(self, settings: dict[str, Any] | None = None) -> Any:
        """A new account of the provider."""
        return load_account(ACCOUNT, {"provider": self.provider, **(self.settings if settings is None else settings)})

    def sending(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as a contract has them: of several keys, where it has one, the first, which signs what is sent."""
        return {
            name: value[0] if isinstance(value, list) and not isinstance(self.settings.get(name), list) else value
            for name, value in settings.items()
        }

    def _sync(self, calls: Sequence[Call], account: Any, contract: ProviderContract) -> list[Outcome]:
        client, outcomes = Client(contract), []
        with Hub({ACCOUNT: account}, client=client) as hub:
            for call in calls:
                outcome = client.outcome = Outcome(call.sale)
                client.call = call
                with Listening() as heard:
                    try:
                        outcome.result = _method(hub[ACCOUNT], call.hook)(**call.arguments)
                        if asking := client.asking(outcome.result):
                            payment = _method(hub[ACCOUNT], "query")(**asking)
                            outcome.result = replace(outcome.result, payment=payment)
                    except PayhubError as error:
                        outcome.error = error
                outcome.log, outcome.printed = heard.text, heard.printed.getvalue()
                client.check()
                outcomes.append(outcome)
        return outcomes

    async def _awaited(self, calls: Sequence[Call], account: Any, contract: ProviderContract) -> list[Outcome]:
        client, outcomes = AsyncClient(contract), []
        async with AsyncHub({ACCOUNT: account}, client=client) as hub:
            for call in calls:
                outcome = client.outcome = Outcome(call.sale)
                client.call = call
                with Listening() as heard:
                    try:
                        outcome.result = await _method(hub[ACCOUNT], call.hook)(**call.arguments)
                        if asking := client.asking(outcome.result):
                            payment = await _method(hub[ACCOUNT], "query")(**asking)
                            outcome.result = replace(outcome.result, payment=payment)
                    except PayhubError as error:
                        outcome.error = error
                outcome.log, outcome.printed = heard.text, heard.printed.getvalue()
                client.check()
                outcomes.append(outcome)
        return outcomes

    # Reading

    def asked(self, outcome: Outcome) -> list[tuple[str, Money]]:
        """The payments, or refunds, that the gateway was asked for: by requests, or by the payer's own browser.

        What was denied by HTTP 401, and asked for again behind it, did nothing.
        """
        last = outcome.requests[-1:]
        made = [it for it in outcome.requests if it in last or it not in outcome.denied]
        found = [self._asked(request, outcome.sale) for request in made]
        if not any(found) and (page := self.page(outcome)) is not None:
            found = [self._asked(page, outcome.sale)]
        return [asked for asked in found if asked is not None]

    def learn(self, outcome: Outcome) -> None:
        """Remembers the access tokens of a call."""
        for request in outcome.tried:
            token = carried(request)
            if len(token) >= _TOKEN and any(token.encode() in answer for answer in outcome.answers):
                self.tokens.add(token)

    def one_key(self, outcome: Outcome, after: str) -> None:
        """Raises Mismatch where it was asked under more than one number: each is a payment, or a refund, of its own."""
        asked = self.asked(replace(outcome, denied=[]))
        keys = list(dict.fromkeys(key for key, _ in asked))
        if len(keys) > 1:
            raise Mismatch(f"one number in all that is asked for, after {after}", ", then ".join(map(repr, keys)))

    def asks(self, request: Request, sale: Sale) -> bool:
        """Whether ``request`` asks for a payment or a refund."""
        return self._asked(request, sale) is not None

    def objects(self, request: Request, sale: Sale, *, answered: bool) -> bool:
        """Whether the contract's gateway takes ``request`` for none that this account made.

        Raises Mismatch where the contract cannot even read it: that may be what was altered, and not that it was.
        """
        readers: list[Callable[[], object]] = [lambda: self.contract.asked(request)]
        if answered:
            readers.append(lambda: self.contract.answer(request, sale.but(hook="create_payment")))
        unread: Exception | None = None
        for read in readers:
            try:
                said = read()
            except NotImplementedError:
                raise
            except (AssertionError, pytest.fail.Exception):
                return True
            except Exception as error:
                if type(error).__name__ in _UNSIGNED:
                    return True
                unread = error
            else:
                if isinstance(said, Response) and said.is_error:
                    return True
        if unread is not None:
            raise Mismatch(
                "an AssertionError for a request that was altered: check the signature before anything is read",
                f"{type(unread).__name__} {line_of(unread)}",
            ) from unread
        return False

    def _asked(self, request: Request, sale: Sale) -> tuple[str, Money] | None:
        try:
            if self.contract.confirms(request) or (asked := self.contract.asked(request)) is None:
                return None
            key, told = asked
            whole = sale.amount if told is None else told
            return key, whole if isinstance(whole, Money) else Money(whole, sale.amount.currency)
        except NotImplementedError:
            raise
        except Exception as error:
            about = f"{request.method} {request.url.path}"
            said = f"{type(error).__name__}: {error} {line_of(error)}"
            raise Mismatch(f"a request that asked() can read ({about})", said) from error

    def confirmed(self, outcome: Outcome) -> bool:
        """Whether the gateway was sent a confirmation."""
        return any(self.contract.confirms(request) for request in outcome.requests)

    def sent(self, outcome: Outcome) -> list[Request]:
        """What reached the gateway, the payer's browser included."""
        page = self.page(outcome)
        return outcome.requests + ([page] if page is not None and not outcome.requests else [])

    def page(self, outcome: Outcome) -> Request | None:
        """The request that the payer's browser makes of a next action."""
        action = outcome.result.next_action if isinstance(outcome.result, Payment) else None
        if isinstance(action, Redirect):
            return Request("GET", action.url)
        return Request("POST", action.url, data=action.fields) if isinstance(action, FormPost) else None


def _as_loaded(account: Any) -> Any:
    """The account with private attributes of its own, so that what a call keeps in them is for that call alone."""
    private = getattr(account, "__pydantic_private__", None)
    if not private:
        return account
    twin = copy(account)
    object.__setattr__(twin, "__dict__", account.__dict__)  # what was worked out once, such as a key that was read
    object.__setattr__(twin, "__pydantic_private__", {name: _copied(value) for name, value in private.items()})
    return twin


def _copied(value: T) -> T:
    try:
        return deepcopy(value)
    except Exception:  # such as a lock
        return value


def _texts(value: object) -> Iterator[str]:
    """The texts of a setting: of one key, of several, or of keys by their number."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)


def _method(bound: Any, hook: str) -> Callable[..., Any]:
    return getattr(bound, "close_payment" if hook == "close" else hook)  # type: ignore[no-any-return]
