"""How a hook is called: what it is passed, what it may end in, and how extensions wrap it. No I/O."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from types import ModuleType, SimpleNamespace
from typing import Any, Final, TypeAlias, TypeVar

import pluggy
from pydantic import ValidationError

from payhub_core.binding import believe_failed, bind_notification, bind_payment, bind_refund, check_new
from payhub_core.declaration import FAILED_AFTER, check_amount, check_order, check_reference, check_refund_reference
from payhub_core.errors import (
    ConfigError,
    GatewayError,
    InvalidOrder,
    MalformedCallback,
    NotSent,
    PayhubError,
    Unsupported,
    WrongAccount,
)
from payhub_core.flow import Flow, Request, is_harmless
from payhub_core.hookspecs import HOOKS, Provider, Specification, hookimpl
from payhub_core.mistakes import mistakes
from payhub_core.models import Callback, Notification, Order, Payment, Refund
from payhub_core.money import Money
from payhub_core.redaction import Redaction
from payhub_core.registry import check_hooks, check_provider

__all__ = ["Calls"]

logger: logging.Logger = logging.getLogger("payhub.calls")

_HINT_WRONG_ACCOUNT = (
    "compare the merchant's number with the gateway's console; each account has a notify address of its own"
)

T = TypeVar("T")
Arguments: TypeAlias = Mapping[str, Any]
#: Calls a hook with those of the arguments that it names.
Caller: TypeAlias = Callable[[Arguments], Any]


class Calls:
    """The hooks of one account: whatever provider and extensions do, each ends in its result or in payhub's errors.

    ``supported`` are the hooks that the provider has, with the names of the arguments that it takes.
    """

    def __init__(self, name: str, provider: Provider, extensions: Sequence[object] = ()) -> None:
        self.name: Final = name
        self.provider: Final = provider
        self._provider_name: str = provider.info.name
        self.supported: Final = check_provider(type(provider))
        self._own: dict[str, Caller] = {
            hook: _caller(getattr(provider, hook), names) for hook, names in self.supported.items()
        }
        self._declared: dict[str, Caller] = {hook: self._checked_first(hook) for hook in self.supported}
        self._hooks: dict[str, Caller] = self._with(extensions) if extensions else self._declared
        self._at_once: bool = not extensions
        self._redaction = Redaction(provider)

    def flow(self, hook: str, **arguments: Any) -> Flow[Any]:
        """The conversation of one call: it ends in the hook's result, bound to what was asked for.

        Raises Unsupported where the provider has no such hook, and when it is played what `HOOKS` says.
        """
        if hook not in self.supported:
            raise Unsupported(f"the provider {self.provider.info.name!r} has no {hook}", account=self.name)
        arguments["account"] = self.name
        return self._checked(hook, arguments, self._hooks[hook], new=self._at_once)

    def parse(self, callback: Callback, expect: Order | None) -> Notification | Flow[Notification]:
        """``flow("parse_callback")``, or at once its result where no request is needed and no extension wraps it."""
        if not isinstance(callback, Callback):
            raise MalformedCallback(f"expected a Callback, not {type(callback).__name__}", account=self.name)
        if expect is not None and not isinstance(expect, Order):
            raise InvalidOrder(f"expect: expected an Order, not {type(expect).__name__}", account=self.name)
        arguments = {"account": self.name, "callback": callback, "expect": expect}
        if not self._at_once:
            return self.flow("parse_callback", callback=callback, expect=expect)
        try:
            result = self._own["parse_callback"](arguments)
            if type(result) is Notification:
                made = result.payment or result.refund
                check_new(made)
                notification = bind_notification(result, self.name, self._provider_name, callback, expect, False)
                if made is not None:
                    self._redaction.fields(made.__dict__)
                if logger.isEnabledFor(logging.INFO):
                    self._log("parse_callback", notification)
                return notification
        except Exception as error:
            raise self._end("parse_callback", error, arguments, sent=False, new=True) from self._cause(error)
        return self._checked("parse_callback", arguments, lambda _: result)

    def _checked(self, hook: str, arguments: Arguments, call: Caller, *, new: bool = True) -> Flow[Any]:
        """The flow that ``call`` starts: its result is bound, and it ends in nothing but what `HOOKS` says.

        What extensions hand out is not ``new``: it was bound before they saw it. Watched is whether a request may have
        left, and whether one went over plain http. All of it is one generator, since each costs as much as the checks.
        """
        sent = looked_up = insecure = False
        try:
            result = call(arguments)
            if isinstance(result, Generator):
                talk: Flow[Any] = result
                step: Callable[[Any], Request] = talk.send
                value: object = None
                try:
                    while True:
                        try:
                            request = step(value)
                        except StopIteration as stop:
                            result = stop.value
                            break
                        insecure |= request.url.scheme != "https"
                        harmless = is_harmless(request)
                        try:
                            step, value = talk.send, (yield request)
                            sent, looked_up = sent or not harmless, looked_up or harmless
                        except GatewayError as error:
                            sent |= not harmless and not isinstance(error, NotSent)
                            step, value = talk.throw, error
                finally:
                    talk.close()
            result = self._bound(hook, result, arguments, insecure=insecure, new=new)
            if hook == "refund":
                result.__dict__["looked_up"] = looked_up and not sent
            if (made := _about(result)) is not None:
                self._redaction.fields(made.__dict__)
        except Exception as error:
            raise self._end(hook, error, arguments, sent=sent, new=new) from self._cause(error)
        if new and logger.isEnabledFor(logging.INFO):
            self._log(hook, result)
        return result

    def _checked_first(self, hook: str) -> Caller:
        """The provider's own hook, called with nothing but what the provider has declared."""

        def call(arguments: Arguments) -> Any:
            if hook == "create_payment":
                if not isinstance(arguments["order"], Order):
                    raise InvalidOrder(f"expected an Order, not {type(arguments['order']).__name__}")
                check_order(self.provider, arguments["order"])
            else:
                check_reference(self.provider, arguments["reference"])
                _check_expected(arguments["expect"], arguments["reference"])
                _check_number(arguments["gateway_id"])
            _check_aware(arguments["created_at"])
            if hook == "refund":
                _check_aware(arguments["refund_created_at"], "refund_created_at")
                check_amount(self.provider.info, arguments["amount"])
                _check_currency(arguments["amount"], arguments["expect"])
                check_refund_reference(self.provider.info, arguments["refund_reference"])
            return own(arguments)

        own = self._own[hook]
        return call if hook != "parse_callback" else own

    def _bound(self, hook: str, result: Any, arguments: Arguments, *, insecure: bool, new: bool) -> Any:
        """``result``, found to be what the hook ends in and about what was asked for."""
        expected: Any = HOOKS[hook].result
        if not isinstance(result, expected):
            raise TypeError(f"expected a {expected.__name__}, the provider returned {type(result).__name__}")
        if new:
            check_new(_about(result))
        provider = self._provider_name
        if hook == "parse_callback":
            return bind_notification(result, self.name, provider, arguments["callback"], arguments["expect"], insecure)
        if hook == "create_payment":
            order = arguments["order"]
            return bind_payment(result, self.name, provider, order.reference, order, insecure)
        # A hook that leaves the gateway's number out has looked up by the reference.
        gateway_id = arguments["gateway_id"] if "gateway_id" in self.supported[hook] else None
        if hook == "refund":
            return bind_refund(result, self.name, provider, arguments, gateway_id, insecure)
        expect = arguments.get("expect")
        payment = bind_payment(result, self.name, provider, arguments["reference"], expect, insecure, gateway_id)
        if hook == "query" and not insecure:
            believe_failed(payment, arguments["created_at"], getattr(self.provider, "failed_after", FAILED_AFTER))
        return payment

    def _end(self, hook: str, error: Exception, arguments: Arguments, *, sent: bool, new: bool) -> PayhubError:
        """The error that a failed call ends in: ``error`` itself, where the hook may end in it.

        A provider may raise one object again and again: what it says of a call that has ended is replaced.
        """
        rule = HOOKS[hook]
        end: PayhubError
        if isinstance(error, rule.always) or (not sent and isinstance(error, rule.before_sending)):
            end = error
        else:
            kind = rule.otherwise_after if sent else rule.otherwise_before
            end = kind(_reason(error), hint=error.hint if isinstance(error, PayhubError) else "")
        if isinstance(end, GatewayError) and (new or not sent):
            end.unsent = not sent
        if isinstance(end, WrongAccount):
            end.hint = end.hint or _HINT_WRONG_ACCOUNT
        end.account, end.provider = self.name, self._provider_name
        end.reference = _reference(arguments) or end.reference
        self._redaction.error(end)
        return end

    def _cause(self, error: Exception) -> Exception | None:
        """What to chain: a bug's traceback helps its author, but no error that quotes the gateway's message."""
        quotes = isinstance(error, ValidationError | PayhubError) or self._redaction.hides(error)
        return None if quotes else error

    def _with(self, extensions: Sequence[object]) -> dict[str, Caller]:
        """The hooks as ``extensions`` wrap them: pluggy puts them in order around what the core has checked."""
        manager = _Manager("payhub")
        manager.add_hookspecs(Specification)
        inner = {hook: self._implementation(hook) for hook in self.supported}
        try:
            manager.register(SimpleNamespace(**inner), self.provider.info.name)
            for extension in reversed(extensions):  # pluggy calls the last one registered first
                for hook in check_hooks(extension, extension=True):
                    if not getattr(extension, hook).payhub_impl["wrapper"]:
                        # It would answer for the provider.
                        raise ConfigError(f"an extension's {hook} must be @hookimpl(wrapper=True)", account=self.name)
                manager.register(extension)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise ConfigError(f"an extension does not fit the hooks: {error}", account=self.name) from None
        return {hook: _spread(getattr(manager.hook, hook)) for hook in self.supported}

    def _implementation(self, hook: str) -> Callable[..., Flow[Any]]:
        """The provider's hook as pluggy is shown it: a flow, bound, whatever the provider returned."""
        specified = getattr(Specification, hook)
        names = [name for name in inspect.signature(specified).parameters if name != "self"]

        def call(*values: object) -> Flow[Any]:
            return self._checked(hook, dict(zip(names, values, strict=True)), self._declared[hook])

        # Where pluggy reads the arguments' names.
        call.__wrapped__ = specified  # type: ignore[attr-defined]
        return hookimpl(call)

    def _log(self, hook: str, result: Any) -> None:
        if (about := _about(result)) is not None:
            extra = {"account": self.name, "reference": about.reference, "status": about.status.value}
            logger.info("%s: %s", hook, about.status.value, extra=extra)


class _Manager(pluggy.PluginManager):
    """Looks at the hooks' names alone: an extension may be an object of a hundred attributes."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        return super().parse_hookimpl_opts(plugin, name) if name in HOOKS else None

    def parse_hookspec_opts(self, module_or_class: ModuleType | type, name: str) -> pluggy.HookspecOpts | None:
        return super().parse_hookspec_opts(module_or_class, name) if name in HOOKS else None


def _caller(method: Callable[..., Any], names: tuple[str, ...]) -> Caller:
    """Calls ``method`` with those of the arguments that it ``names``."""
    if len(names) > 1:
        pick = itemgetter(*names)
        return lambda arguments: method(*pick(arguments))
    return lambda arguments: method(*[arguments[name] for name in names])


def _about(result: Payment | Notification | Refund) -> Payment | Refund | None:
    """What a hook's result is about."""
    return result.payment or result.refund if isinstance(result, Notification) else result


def _check_expected(expect: object, reference: str) -> None:
    """Raises InvalidOrder where the order at hand is not the one that is asked about."""
    if expect is None:
        return
    if not isinstance(expect, Order):
        raise InvalidOrder(f"expect: expected an Order, not {type(expect).__name__}")
    if expect.reference != reference:
        raise InvalidOrder(f"expect: expected the order {reference!r}, not {expect.reference!r}")


def _check_currency(amount: Money, expect: Order | None) -> None:
    """Raises InvalidOrder for a refund in another currency than the order's."""
    if expect is not None and amount.currency != expect.amount.currency:
        raise InvalidOrder(f"the order is in {expect.amount.currency}, the refund in {amount.currency}")


def _check_number(gateway_id: object) -> None:
    if gateway_id is not None and not isinstance(gateway_id, str):
        raise InvalidOrder(f"gateway_id: expected text, not {type(gateway_id).__name__}")


def _check_aware(time: object, name: str = "created_at") -> None:
    if time is not None and (not isinstance(time, datetime) or time.tzinfo is None):
        kind = "one without" if isinstance(time, datetime) else type(time).__name__
        raise InvalidOrder(f"{name}: expected a datetime with a time zone, not {kind}")


def _spread(hook: pluggy.HookCaller) -> Caller:
    return lambda arguments: hook(**arguments)


def _reference(arguments: Arguments) -> str:
    order = arguments.get("order") or arguments.get("expect")
    reference = arguments.get("reference") or (order.reference if isinstance(order, Order) else "")
    return reference if isinstance(reference, str) else ""


def _reason(error: Exception) -> str:
    """An error's words where they are payhub's own; else only its type, since its text may quote the message."""
    if isinstance(error, PayhubError):
        return error.message
    what = mistakes(error, error.title.lower()) if isinstance(error, ValidationError) else ""
    return f"the provider failed: {type(error).__name__}{': ' if what else ''}{what}"
