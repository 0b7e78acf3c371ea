"""The registry: from configured names to providers. Only what the configuration names is ever imported."""

from __future__ import annotations

import inspect
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ValidationError

from payhub_core.config import Config
from payhub_core.declaration import ProviderInfo
from payhub_core.errors import ConfigError, PayhubError, did_you_mean, plain
from payhub_core.hookspecs import HOOKS, Provider, Specification

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "GROUP",
    "Accounts",
    "Merchant",
    "check_hooks",
    "check_merchants",
    "check_provider",
    "load_account",
    "load_accounts",
    "merchant",
    "route_faults",
    "same_merchant",
    "unknown_account",
]

GROUP = "payhub.providers"
#: What tells one merchant from another: the provider's name and the values of the settings in its ``identity``.
Merchant: TypeAlias = tuple[object, ...]
_ACCOUNT_NAME = re.compile(r"[a-z][a-z0-9_]*")

logger: logging.Logger = logging.getLogger("payhub.registry")


class Accounts(Mapping[str, Provider]):
    """The configured providers by account name; ``default`` is the name of the account to use where none is given.

    An account whose plugin is broken is listed, and raises its ConfigError when it is asked for: the others work on.
    """

    def __init__(self, accounts: Mapping[str, Provider | ConfigError], default: str | None = None) -> None:
        self._accounts = dict(accounts)
        self.default = default
        check_merchants(self._accounts)

    def __getitem__(self, name: str) -> Provider:
        account = self._accounts.get(name)
        if account is None:
            raise unknown_account(name, self._accounts)
        if isinstance(account, ConfigError):
            raise account.with_traceback(None)
        return account

    def __iter__(self) -> Iterator[str]:
        return iter(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)

    def __contains__(self, name: object) -> bool:
        return name in self._accounts

    def __repr__(self) -> str:
        return f"Accounts({', '.join(self._accounts)})"


def load_account(name: str, settings: Mapping[str, Any]) -> Provider:
    """One account out of its settings, ``provider`` among them, as a table of `load_config` has them.

    ``provider`` is the name of an installed one, a provider's class, or ``"module:Class"`` for one that is not
    installed yet. For accounts that the application keeps itself, such as tenants in a database. Raises ConfigError,
    naming account and key and never showing a value.
    """
    config = Config(accounts={name: settings})
    del settings  # the local variables of a traceback may be reported, and a Config shows no settings
    return _loaded(name, config)


def load_accounts(config: Config | Mapping[str, Any]) -> Accounts:
    """The accounts of ``config``, which is what `load_config` returned or a plain dict of the same shape.

    Raises ConfigError for wrong settings, all of them at once, naming account and key. A provider that is installed but
    broken stops only its own accounts.
    """
    if not isinstance(config, Config):
        config = _from_dict(config)
    accounts: dict[str, Provider | ConfigError] = {}
    faults: list[ConfigError] = []
    for name in config.accounts:
        try:
            accounts[name] = _loaded(name, config)
        except _BrokenPlugin as broken:
            logger.exception("account %s is out of order", name)
            accounts[name] = broken
        except ConfigError as error:
            faults.append(error)
    default = config.default
    if default is not None and default not in config.accounts:
        faults.append(unknown_account(default, config.accounts, "default: "))
    faults += _doubles(accounts)
    faults += route_faults(config.routes, config.accounts)
    if faults:
        where = f"{config.source}: " if config.source else ""
        raise ConfigError(where + "; ".join(map(str, faults)))
    return Accounts(accounts, default or (next(iter(accounts)) if len(accounts) == 1 else None))


def _loaded(name: str, config: Config) -> Provider:
    if not isinstance(name, str) or not _ACCOUNT_NAME.fullmatch(name):
        raise ConfigError(f"an account's name is like 'shop_1' (a-z, 0-9, _), not {plain(name)!r}")
    if not isinstance(config.accounts[name], Mapping):
        raise ConfigError("expected a table of settings", account=name)
    return _configured(_provider_class(name, config.accounts[name].get("provider")), name, config)


def unknown_account(name: object, known: Mapping[str, Any], where: str = "") -> ConfigError:
    """The error for an account that is not there; a mapping that cannot be walked at no cost is not walked."""
    names = set(known) if isinstance(known, dict | Accounts) else set[str]()
    return ConfigError(f"{where}there is no account {plain(name)!r}", hint=did_you_mean(str(name), names))


class _BrokenPlugin(ConfigError):
    """A provider is installed, but cannot be used."""


def _from_dict(config: Mapping[str, Any]) -> Config:
    if not isinstance(config, Mapping) or not isinstance(config.get("accounts", {}), Mapping):
        raise ConfigError("expected the result of load_config, or a dict such as {'accounts': {'shop': {...}}}")
    known = {key.name for key in fields(Config)} - {"source"}
    if unknown := set(config) - known:
        word = min(map(str, unknown))
        raise ConfigError(f"unknown key {plain(word)!r}", hint=did_you_mean(word, known))
    return Config(**config)


def _provider_class(account: str, provider: object) -> type[Provider]:
    point = _named(account, provider)
    try:
        cls: type[Provider] = point if isinstance(point, type) else point.load()
        check_provider(cls)
        _check_name(cls, point)
    except Exception as error:
        reason = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__} while importing it"
        shown = provider.__name__ if isinstance(provider, type) else provider
        raise _BrokenPlugin(f"the provider {plain(shown)!r} is broken: {reason}", account=account) from error
    return cls


def _named(account: str, provider: object) -> EntryPoint | type[Provider]:
    """What a configuration names: a class, ``"module:Class"``, or the entry point of an installed provider."""
    if isinstance(provider, type):
        return provider
    if isinstance(provider, str) and ":" in provider:
        from importlib.metadata import EntryPoint  # noqa: PLC0415  as in `_installed_on`

        return EntryPoint("", provider, GROUP)
    return _entry_point(account, provider)


def _check_name(cls: type[Provider], point: EntryPoint | type[Provider]) -> None:
    if not isinstance(point, type) and point.name and point.name != cls.info.name:
        raise ConfigError(f"its entry point is named {point.name!r}, its info {cls.info.name!r}")


def _entry_point(account: str, name: object) -> EntryPoint:
    found = [point for point in _installed() if point.name == name]
    if not found:
        known = {point.name for point in _installed()}
        reason = "provider: missing" if name is None else f"provider: none is installed under {plain(name)!r}"
        raise ConfigError(reason, hint=did_you_mean(str(name), known), account=account)
    if len(found) > 1:
        claims = ", ".join(sorted(point.dist.name if point.dist else "?" for point in found))
        raise ConfigError(f"provider: {name!r} is claimed by several packages: {claims}", account=account)
    return found[0]


def _installed() -> tuple[EntryPoint, ...]:
    """The installed providers, not imported: looked up once for a search path, since that reads every distribution."""
    return _installed_on(tuple(sys.path))


@cache
def _installed_on(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415  a twelfth of what importing payhub_core takes

    return tuple(entry_points(group=GROUP))


@cache
def check_provider(cls: type[Provider]) -> Mapping[str, tuple[str, ...]]:
    """The hooks that ``cls`` has, with the names of the arguments that each takes.

    Raises ConfigError unless ``cls`` declares what the core needs and its hooks are fit to be called.
    """
    if not isinstance(cls, type):
        raise ConfigError(f"expected a class, this is a {type(cls).__name__}")
    info = getattr(cls, "info", None)
    if not isinstance(info, ProviderInfo):
        raise ConfigError("expected a class attribute info = ProviderInfo(...)")
    hooks = check_hooks(cls)
    if missing := [name for name, hook in HOOKS.items() if hook.required and name not in hooks]:
        raise ConfigError(f"the hooks {', '.join(missing)} are missing or lack @hookimpl")
    named = [*info.identity, *([info.reference_length] if isinstance(info.reference_length, str) else [])]
    settings = cls.model_fields if issubclass(cls, BaseModel) else None
    for setting in named:
        if settings is not None and setting not in settings:
            raise ConfigError(f"info names the setting {setting!r}", hint=did_you_mean(setting, set(settings)))
    if unknown := set(info.time_limits) - set(hooks):
        raise ConfigError(f"info.time_limits: there is no hook {min(unknown)!r}")
    return hooks


def check_hooks(plugin: object, *, extension: bool = False) -> dict[str, tuple[str, ...]]:
    """The hooks of ``plugin``, a provider's class or an extension, with the arguments of each; raises ConfigError."""
    marked = [key for key in dir(plugin) if getattr(getattr(plugin, key, None), "payhub_impl", None)]
    return {hook: _check_hook(plugin, hook, extension=extension) for hook in marked}


def _check_hook(plugin: object, hook: str, *, extension: bool) -> tuple[str, ...]:
    if hook not in HOOKS:
        raise ConfigError(f"there is no hook {hook}", hint=did_you_mean(hook, set(HOOKS)))
    function = getattr(plugin, hook)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"the hook {hook} is async", hint="write a flow: yield requests, and both hubs can run it")
    allowed = set(inspect.signature(getattr(Specification, hook)).parameters)
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        spare = parameter.default is not parameter.empty
        known = parameter.name in allowed and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if extension and spare:
            reason = "is never passed to a wrapper, since it has a default: leave the default out"
            raise ConfigError(f"the hook {hook}: {parameter.name!r} {reason}")
        if not known and not (spare and parameter.kind is parameter.POSITIONAL_OR_KEYWORD):
            raise ConfigError(f"the hook {hook} is never passed {parameter.name!r} in that form")
    return tuple(parameter.name for parameter in parameters if parameter.name in allowed - {"self"})


def _configured(cls: type[Provider], account: str, config: Config) -> Provider:
    try:
        provider = cls(**{key: value for key, value in config.accounts[account].items() if key != "provider"})
    except ValidationError as error:
        raise ConfigError(_faults(error), hint=_hint(cls, error), account=account) from None
    except PayhubError as error:
        raise ConfigError(error.message, hint=error.hint, account=account) from None
    except Exception as error:
        raise ConfigError(f"{type(error).__name__} while reading its settings", account=account) from None
    timeout = getattr(provider, "timeout", None)
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise ConfigError("timeout: expected seconds above zero", account=account)
    return provider


def _faults(error: ValidationError) -> str:
    """What is wrong with which key; pydantic's own messages are kept, the values they are about are not."""
    faults = {f"{e['loc'][0] if e['loc'] else 'settings'}: {e['msg']}": None for e in error.errors(include_input=False)}
    return "; ".join(faults)


def _hint(cls: type[Provider], error: ValidationError) -> str:
    unknown = [str(e["loc"][0]) for e in error.errors(include_input=False) if e["type"] == "extra_forbidden"]
    fields = set(cls.model_fields) if issubclass(cls, BaseModel) else set()
    return did_you_mean(unknown[0], {*fields, "provider"}) if unknown else ""


def merchant(provider: Provider) -> Merchant | None:
    """What tells the merchant of an account from others; None where its provider declares no identity."""
    info = provider.info
    return (info.name, *[getattr(provider, key) for key in info.identity]) if info.identity else None


def same_merchant(first: str, second: str, provider: Provider) -> ConfigError:
    """The error for one merchant under two names."""
    identity = ", ".join(provider.info.identity)
    return ConfigError(f"accounts {first!r} and {second!r} have the same provider and {identity}")


def check_merchants(accounts: Mapping[str, Provider | ConfigError]) -> None:
    """Raises ConfigError for one merchant under two names."""
    for fault in _doubles(accounts):
        raise fault


def _doubles(accounts: Mapping[str, Provider | ConfigError]) -> Iterator[ConfigError]:
    """One merchant under two names would let an order of the one be settled as the other's."""
    seen: dict[Merchant, str] = {}
    for name, provider in accounts.items():
        if not isinstance(provider, ConfigError) and (key := merchant(provider)) is not None:
            first = seen.setdefault(key, name)
            if first != name:
                yield same_merchant(first, name, provider)


def route_faults(routes: Mapping[str, Sequence[str]], accounts: Mapping[str, Any]) -> Iterator[ConfigError]:
    """What is wrong with ``routes`` that are to lead along ``accounts``."""
    for route, names in routes.items():
        if route in accounts:
            yield ConfigError(f"routes.{route}: {route!r} is the name of an account")
        if not names or len(set(names)) != len(names):
            yield ConfigError(f"routes.{route}: expected the names of accounts, each once")
        for name in names:
            if name not in accounts:
                yield unknown_account(name, accounts, f"routes.{route}: ")
