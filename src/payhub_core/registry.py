"""The registry: from configured names to providers. Only what the configuration names is ever imported."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from payhub_core.config import Config, did_you_mean
from payhub_core.errors import ConfigError, PayhubError, plain
from payhub_core.hookspecs import API_VERSION, Provider, ProviderInfo
from payhub_core.routes import route_faults

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "HOOKS", "Accounts", "check_hooks", "check_provider", "load_accounts"]

GROUP = "payhub.providers"
HOOKS = {"create_payment", "parse_callback", "query"}
_ACCOUNT_NAME = re.compile(r"[a-z][a-z0-9_]*")

logger: logging.Logger = logging.getLogger("payhub.registry")


class Accounts(Mapping[str, Provider]):
    """The configured providers by account name; ``default`` is the name of the account to use where none is given.

    An account whose plugin is broken is listed, and raises its ConfigError when it is asked for: the others work on.
    """

    def __init__(self, accounts: Mapping[str, Provider | ConfigError], default: str | None = None) -> None:
        self._accounts = dict(accounts)
        self.default = default

    def __getitem__(self, name: str) -> Provider:
        account = self._accounts.get(name)
        if account is None:
            raise ConfigError(f"there is no account {plain(name)!r}", hint=did_you_mean(str(name), set(self._accounts)))
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


def load_accounts(config: Config | Mapping[str, Any]) -> Accounts:
    """The accounts of ``config``, which is what `load_config` returned or a plain dict of the same shape.

    Raises ConfigError for wrong settings, all of them at once, naming account and key. A provider that is installed but
    broken stops only its own accounts.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415  a twelfth of what importing payhub_core takes

    if not isinstance(config, Config):
        config = _from_dict(config)
    accounts: dict[str, Provider | ConfigError] = {}
    faults: list[ConfigError] = []
    installed = entry_points(group=GROUP)
    # No variable ever holds an account's settings: the local variables of a traceback may be reported.
    for name in config.accounts:
        try:
            cls = _provider_class(name, _provider_name(name, config), installed)
            accounts[name] = _configured(cls, name, config)
        except _BrokenPlugin as broken:
            logger.exception("account %s is out of order", name)
            accounts[name] = broken
        except ConfigError as error:
            faults.append(error)
    default = config.default
    if default is not None and default not in config.accounts:
        faults.append(ConfigError(f"default: no account {default!r}", hint=did_you_mean(default, set(config.accounts))))
    faults += _doubles(accounts)
    faults += route_faults(config.routes, config.accounts)
    if faults:
        where = f"{config.source}: " if config.source else ""
        raise ConfigError(where + "; ".join(map(str, faults)))
    return Accounts(accounts, default or (next(iter(accounts)) if len(accounts) == 1 else None))


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


def _provider_name(account: str, config: Config) -> object:
    if not isinstance(account, str) or not _ACCOUNT_NAME.fullmatch(account):
        raise ConfigError(f"an account's name is like 'shop_1' (a-z, 0-9, _), not {plain(account)!r}")
    if not isinstance(config.accounts[account], Mapping):
        raise ConfigError("expected a table of settings", account=account)
    return config.accounts[account].get("provider")


def _provider_class(account: str, name: object, installed: Iterable[EntryPoint]) -> type[Provider]:
    found = [point for point in installed if point.name == name]
    if not found:
        known = {point.name for point in installed}
        reason = "provider: missing" if name is None else f"provider: none is installed under {plain(name)!r}"
        raise ConfigError(reason, hint=did_you_mean(str(name), known), account=account)
    if len(found) > 1:
        claims = ", ".join(sorted(point.dist.name if point.dist else "?" for point in found))
        raise ConfigError(f"provider: {name!r} is claimed by several packages: {claims}", account=account)
    try:
        cls = found[0].load()
        check_provider(cls, str(name))
    except Exception as error:
        reason = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__} while importing it"
        raise _BrokenPlugin(f"the provider {name!r} is broken: {reason}", account=account) from error
    return cls  # type: ignore[no-any-return]


@cache
def check_provider(cls: type[Provider], name: str) -> None:
    """Raises ConfigError unless ``cls`` says of itself what the core needs and has every hook, fit to be called."""
    if not isinstance(cls, type):
        raise ConfigError(f"expected a class, the entry point names a {type(cls).__name__}")
    info = getattr(cls, "info", None)
    if not isinstance(info, ProviderInfo):
        raise ConfigError("expected a class attribute info = ProviderInfo(...)")
    if info.api_version != API_VERSION:
        raise ConfigError(f"it is written for hooks of version {info.api_version}, this is version {API_VERSION}")
    if info.name != name:
        raise ConfigError(f"its entry point is named {name!r}, its info {info.name!r}")
    if missing := HOOKS - set(check_hooks(cls)):
        raise ConfigError(f"the hooks {', '.join(sorted(missing))} are missing or lack @hookimpl")


def check_hooks(plugin: object) -> list[str]:
    """The hooks that ``plugin``, a provider's class or an extension, implements; raises ConfigError for a misfit."""
    marked = [key for key in dir(plugin) if getattr(getattr(plugin, key, None), "payhub_impl", None)]
    for hook in marked:
        _check_hook(plugin, hook)
    return marked


def _check_hook(plugin: object, hook: str) -> None:
    if hook not in HOOKS:
        raise ConfigError(f"there is no hook {hook}", hint=did_you_mean(hook, HOOKS))
    function = getattr(plugin, hook)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"the hook {hook} is async", hint="write a flow: yield requests, and both hubs can run it")
    allowed = set(inspect.signature(getattr(Provider, hook)).parameters)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in allowed or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise ConfigError(f"the hook {hook} is never passed {parameter.name!r} in that form")


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


def _doubles(accounts: Mapping[str, Provider | ConfigError]) -> Iterator[ConfigError]:
    """One merchant account under two names would let an order of the one be settled as the other's."""
    seen: dict[tuple[object, ...], str] = {}
    for name, provider in accounts.items():
        if isinstance(provider, ConfigError) or not provider.info.identity:
            continue
        keys = provider.info.identity
        first = seen.setdefault((provider.info.name, *(getattr(provider, key) for key in keys)), name)
        if first != name:
            yield ConfigError(f"accounts {first!r} and {name!r} have the same provider and {', '.join(keys)}")
