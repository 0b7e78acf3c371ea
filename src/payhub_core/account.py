"""One account: the provider's hooks, called so that they can only end in payhub's own words. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from operator import itemgetter
from types import GeneratorType, ModuleType
from typing import Any, NoReturn, TypeVar

import httpx
import pluggy
from pydantic import ValidationError

from payhub_core.binding import bind_payment
from payhub_core.errors import (
    CallbackError,
    ConfigError,
    GatewayError,
    InvalidOrder,
    MalformedCallback,
    NotSent,
    OutcomeUnknown,
    PayhubError,
    Refused,
)
from payhub_core.flow import Flow
from payhub_core.hookspecs import Provider, ProviderInfo, hookimpl
from payhub_core.models import Callback, CallbackKind, Notification, Order, Payment
from payhub_core.registry import HOOKS, check_hooks, check_provider

__all__ = ["Account"]

logger: logging.Logger = logging.getLogger("payhub.account")

T = TypeVar("T")


class Account:
    """An account's provider and extensions, in a plugin manager of their own, so that no other can answer for it."""

    def __init__(self, name: str, provider: Provider, extensions: Sequence[object] = ()) -> None:
        check_provider(type(provider), provider.info.name)
        for extension in extensions:
            for hook in check_hooks(extension):
                if not getattr(extension, hook).payhub_impl["wrapper"]:
                    # It would answer for the provider.
                    raise ConfigError(f"an extension's {hook} must be @hookimpl(wrapper=True)", account=name)
        self.name = name
        self.provider = provider
        self.info: ProviderInfo = provider.info
        manager = _Manager("payhub")
        manager.add_hookspecs(Provider)
        try:
            manager.register(provider)
            if extensions:
                manager.register(_Checked(self))
            for extension in reversed(extensions):  # pluggy calls the last one registered first
                manager.register(extension)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise ConfigError(f"an extension does not fit the hooks: {error}", account=name) from None
        self._create_payment = _caller(manager.hook.create_payment)
        self._parse_callback = _caller(manager.hook.parse_callback)
        self._query = _caller(manager.hook.query)

    def create_flow(self, order: Order) -> Flow[Payment]:
        """Ends in a payment, InvalidOrder, NotSent, Refused or OutcomeUnknown, and in nothing else."""
        if not isinstance(order, Order):
            raise InvalidOrder(f"expected an Order, not {type(order).__name__}", account=self.name)
        payment = yield from self.created(lambda: self._create_payment(account=self.name, order=order), order)
        self._log("created", payment)
        return payment

    def query_flow(self, reference: str, gateway_id: str | None, expect: Order | None) -> Flow[Payment]:
        """Ends in a payment, InvalidOrder, GatewayError, WrongOrder or WrongAmount."""
        payment = yield from self.queried(
            lambda: self._query(account=self.name, reference=reference, gateway_id=gateway_id, expect=expect),
            reference,
            expect,
        )
        self._log("queried", payment)
        return payment

    def parse(self, callback: Callback, expect: Order | None) -> Notification | Flow[Notification]:
        """The notification, or the flow that ends in it; either raises CallbackError or GatewayError."""
        try:
            result = self._parse_callback(account=self.name, callback=callback, expect=expect)
            if type(result) is not GeneratorType:
                return self._notified(result, callback, expect)
        except Exception as error:
            self._refuse(error, expect)
        return self.parsed(result, callback, expect)

    def created(self, call: Callable[[], Payment | Flow[Payment]], order: Order) -> Flow[Payment]:
        """The create flow that ``call`` starts, its result bound to ``order``."""
        watch = _Watch()
        try:
            payment = yield from watch.over(call())
            return self._bound(payment, order.reference, order, watch)
        except Exception as error:
            if isinstance(error, _CREATE_ENDS if watch.sent else _CREATE_ENDS_UNSENT):
                raise self._about(error, order.reference)  # noqa: B904  the same error, completed
            end = OutcomeUnknown if watch.sent else NotSent
            raise self._about(end(_reason(error)), order.reference) from _cause(error)

    def queried(
        self, call: Callable[[], Payment | Flow[Payment]], reference: str, expect: Order | None
    ) -> Flow[Payment]:
        """The query flow that ``call`` starts, its result bound to ``reference`` and ``expect``."""
        watch = _Watch()
        try:
            payment = yield from watch.over(call())
            return self._bound(payment, reference, expect, watch)
        except Exception as error:
            if isinstance(error, GatewayError | CallbackError | ConfigError) or (
                isinstance(error, InvalidOrder) and not watch.sent
            ):
                raise self._about(error, reference)  # noqa: B904
            raise self._about(GatewayError(_reason(error)), reference) from _cause(error)

    def parsed(self, result: Flow[Notification], callback: Callback, expect: Order | None) -> Flow[Notification]:
        """The callback's flow, its result bound to ``expect``."""
        try:
            return self._notified((yield from result), callback, expect)
        except Exception as error:
            self._refuse(error, expect)

    def _bound(self, payment: Payment, reference: str, expect: Order | None, watch: _Watch) -> Payment:
        if not isinstance(payment, Payment):
            raise TypeError(f"expected a Payment, the provider returned {type(payment).__name__}")
        return bind_payment(payment, self.name, self.info.name, reference=reference, expect=expect, hint=watch.insecure)

    def _notified(self, notification: Notification, callback: Callback, expect: Order | None) -> Notification:
        if not isinstance(notification, Notification):
            raise TypeError(f"expected a Notification, the provider returned {type(notification).__name__}")
        payment = notification.payment
        if payment is None and notification.kind is not CallbackKind.OTHER:
            raise MalformedCallback("the message names no payment")
        if payment is not None:
            kind = callback.kind
            reference = payment.reference if expect is None else expect.reference
            bind_payment(payment, self.name, self.info.name, reference, expect, kind is not CallbackKind.NOTIFY)
            # In place, as the payment: the provider made this object a moment ago and nobody else has it.
            object.__setattr__(notification, "kind", kind)
            object.__setattr__(notification, "bound", expect is not None)
            self._log("notified", payment)
        return notification

    def _refuse(self, error: Exception, expect: Order | None) -> NoReturn:
        reference = "" if expect is None else expect.reference
        if not isinstance(error, CallbackError | GatewayError | ConfigError):
            raise self._about(MalformedCallback(_reason(error)), reference) from _cause(error)
        logger.warning("refused a callback: %s", type(error).__name__, extra={"account": self.name})
        raise self._about(error, reference)

    def _about(self, error: T, reference: str) -> T:
        if isinstance(error, PayhubError):
            error.account = error.account or self.name
            error.reference = error.reference or reference
        return error

    def _log(self, event: str, payment: Payment) -> None:
        if logger.isEnabledFor(logging.INFO):
            extra = {"account": self.name, "reference": payment.reference, "status": payment.status.value}
            logger.info("%s a payment", event, extra=extra)


_CREATE_ENDS = (Refused, OutcomeUnknown)
_CREATE_ENDS_UNSENT = (InvalidOrder, ConfigError, NotSent, Refused, OutcomeUnknown)


class _Watch:
    """Watches a provider's flow: whether a request may have left, and whether one went over plain http."""

    def __init__(self) -> None:
        self.sent = False
        self.insecure = False

    def over(self, result: T | Flow[T]) -> Flow[T]:
        if not isinstance(result, Generator):
            return result
        step: Callable[[Any], httpx.Request] = result.send
        value: object = None
        try:
            while True:
                try:
                    request = step(value)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
                self.insecure |= request.url.scheme != "https"
                try:
                    step, value = result.send, (yield request)
                    self.sent = True
                except GatewayError as error:
                    self.sent |= not isinstance(error, NotSent)
                    step, value = result.throw, error
        finally:
            result.close()


class _Manager(pluggy.PluginManager):
    """Looks at the hooks' names alone: to walk a settings object's hundred attributes takes 2 ms an account."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        return super().parse_hookimpl_opts(plugin, name) if name in HOOKS else None

    def parse_hookspec_opts(self, module_or_class: ModuleType | type, name: str) -> pluggy.HookspecOpts | None:
        return super().parse_hookspec_opts(module_or_class, name) if name in HOOKS else None


def _caller(hook: pluggy.HookCaller) -> Callable[..., Any]:
    """Calls ``hook``: through pluggy where extensions wrap it, else the provider's method with what that names."""
    provider, *wrappers = hook.get_hookimpls()
    if wrappers or provider.kwargnames:  # what becomes of arguments with defaults is pluggy's affair
        return hook
    method, names = provider.function, provider.argnames
    # Of one name, itemgetter makes no tuple.
    pick = itemgetter(*names) if len(names) > 1 else lambda arguments: [arguments[name] for name in names]
    return lambda **arguments: method(*pick(arguments))


class _Checked:
    """The innermost wrapper: extensions see flows, whatever the provider returned, of what the core has checked."""

    def __init__(self, account: Account) -> None:
        self._account = account

    @hookimpl(wrapper=True, trylast=True)
    def create_payment(self, order: Order) -> Generator[None, Any, Flow[Payment]]:
        result = yield from _outcome()
        return self._account.created(lambda: result, order)

    @hookimpl(wrapper=True, trylast=True)
    def query(self, reference: str, expect: Order | None) -> Generator[None, Any, Flow[Payment]]:
        result = yield from _outcome()
        return self._account.queried(lambda: result, reference, expect)

    @hookimpl(wrapper=True, trylast=True)
    def parse_callback(self, callback: Callback, expect: Order | None) -> Generator[None, Any, Flow[Notification]]:
        result = yield from _outcome()
        return self._account.parsed(_returned(result), callback, expect)


def _outcome() -> Generator[None, Any, Any]:
    """What the hook returned, or a flow that fails as the hook did, so that an extension hears of that as well."""
    try:
        return (yield)
    except Exception as error:
        return _failing(error)


def _failing(error: Exception) -> Flow[Any]:
    yield from ()  # which makes it a flow
    raise error


def _returned(result: T | Flow[T]) -> Flow[T]:
    """A flow that ends in ``result``, or in what ``result`` ends in."""
    return (yield from result) if isinstance(result, Generator) else result


def _reason(error: Exception) -> str:
    """An error's words where they are payhub's own; else only its type, since its text may quote the message."""
    return error.message if isinstance(error, PayhubError) else f"the provider failed: {type(error).__name__}"


def _cause(error: Exception) -> Exception | None:
    """What to chain: a bug's traceback helps its author, but a validation error quotes the gateway's message."""
    return None if isinstance(error, ValidationError | PayhubError) else error
