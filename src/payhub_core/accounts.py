"""Accounts: providers with their settings, under the names that the application chose."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from payhub_core.config import Config, revealed
from payhub_core.declaration import ProviderInfo
from payhub_core.errors import ConfigError, PayhubError, did_you_mean, plain
from payhub_core.hookspecs import Provider
from payhub_core.logs import HIDDEN
from payhub_core.mistakes import flags_for_numbers, missing, mistakes, named, unknown
from payhub_core.registry import BrokenProvider, provider_class
from payhub_core.variables import PREFIX, key_hint

__all__ = [
    "Accounts",
    "Merchant",
    "check_merchants",
    "load_account",
    "load_accounts",
    "loaded",
    "merchant",
    "route_faults",
    "same_merchant",
    "unknown_account",
]

#: What tells one merchant from another: the provider's name and the values of the settings in its ``identity``.
Merchant: TypeAlias = tuple[object, ...]
#: Two underscores are what a variable puts between names.
_ACCOUNT_NAME = re.compile(r"[a-z](?:_?[a-z0-9])*")
#: A shorter text is rather a word of the sentence than a value that it quotes.
_SHORTEST = 8

logger: logging.Logger = logging.getLogger("payhub.accounts")


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
    return loaded(name, config)


def load_accounts(config: Config | Mapping[str, Any]) -> Accounts:
    """The accounts of ``config``, which is what `load_config` returned or a plain dict of the same shape.

    Raises ConfigError for wrong settings, all of them at once, naming account and key. A provider that is installed but
    broken stops only its own accounts.
    """
    if not isinstance(config, Config):
        config = _from_dict(config)
    accounts: dict[str, Provider | ConfigError] = {}
    faults: list[ConfigError] = []
    strays: list[ConfigError] = []
    for name in config.accounts:
        try:
            accounts[name] = loaded(name, config)
        except BrokenProvider as broken:
            logger.exception("account %s is out of order", name)
            accounts[name] = broken
        except _Stray as stray:
            strays.append(stray)
        except ConfigError as error:
            faults.append(error)
    default = config.default
    if default in config.routes and default not in config.accounts:
        hint = "start orders at the route by its own name, and let default be an account"
        faults.append(ConfigError(f"{named('default', config.set_by)}: {default!r} is the name of a route", hint=hint))
    elif default is not None and default not in config.accounts:
        faults.append(unknown_account(default, config.accounts, f"{named('default', config.set_by)}: "))
    faults += _doubles(accounts)
    faults += route_faults(config.routes, config.accounts, config.set_by)
    if faults or strays:
        where = f"{config.source}: " if config.source and faults else ""
        raise ConfigError(where + "; ".join(map(str, faults + strays)))
    return Accounts(accounts, default)


class _Stray(ConfigError):
    """A variable or secret file is for an account that the file does not have."""


def loaded(name: str, config: Config) -> Provider:
    """The account ``name`` of ``config``; raises ConfigError."""
    if not isinstance(name, str) or not _ACCOUNT_NAME.fullmatch(name):
        raise ConfigError(f"an account's name is like 'shop_1' (a-z, 0-9, single _), not {plain(name)!r}")
    if not isinstance(config.accounts[name], Mapping):
        raise ConfigError("expected a table of settings", account=name)
    _check_stray(name, config)
    return _configured(provider_class(name, config.accounts[name].get("provider")), name, config)


def _check_stray(name: str, config: Config) -> None:
    table = config.accounts[name]
    origins = [config.set_by.get(f"accounts.{name}.{key}") for key in table]
    if "provider" not in table and table and all(origins):
        others = {other for other, it in config.accounts.items() if isinstance(it, Mapping) and "provider" in it}
        own = f"to configure it by variables alone, set {PREFIX}ACCOUNTS__{name.upper()}__PROVIDER too"
        near = did_you_mean(name, others, "")
        if not config.source:
            near = "no configuration file was read: run this in the folder of payhub.toml, or name the file."
        hint = f"{near} {own[0].upper()}{own[1:]}" if near else own
        raise _Stray(f"{origins[0]} is for the account {name!r}, which has no provider", hint=hint)


def unknown_account(
    name: object, known: Mapping[str, Any], where: str = "", routes: Mapping[str, Any] = {}
) -> ConfigError:
    """The error for an account that is not there; a mapping that cannot be walked at no cost is not walked.

    ``routes`` are meant as well, where a name may be one of theirs.
    """
    if not isinstance(name, str):
        hint = 'name one, or set default = "..." in the configuration' if name is None else ""
        return ConfigError(f"{where}expected the name of an account, not {type(name).__name__}", hint=hint)
    hint = ""
    if isinstance(known, dict | Accounts):
        hint = (
            did_you_mean(name, {*known, *routes}) or "no account is configured: write [accounts.shop] into payhub.toml"
        )
    return ConfigError(f"{where}there is no account{' or route' if routes else ''} {plain(name)!r}", hint=hint)


def _from_dict(config: Mapping[str, Any]) -> Config:
    if not isinstance(config, Mapping) or not isinstance(config.get("accounts", {}), Mapping):
        raise ConfigError("expected the result of load_config, or a dict such as {'accounts': {'shop': {...}}}")
    known = {key.name for key in fields(Config)} - {"source", "set_by"}
    if unknown := set(config) - known:
        word = min(map(str, unknown))
        raise ConfigError(f"unknown key {plain(word)!r}", hint=key_hint(word))
    routes: object = config.get("routes", {})
    if not isinstance(routes, Mapping) or not all(isinstance(names, list | tuple) for names in routes.values()):
        raise ConfigError("routes: expected a list of accounts for each, such as {'any': ['shop', 'outlet']}")
    return Config(**config)


def _configured(cls: type[Provider], account: str, config: Config) -> Provider:
    origins = {key.removeprefix(f"accounts.{account}."): origin for key, origin in config.set_by.items()}
    if flags := flags_for_numbers(cls, config.accounts[account]):
        said = "; ".join(f"{named(key, origins)}: expected a number, not true or false" for key in flags)
        raise ConfigError(said, account=account)
    try:
        provider = cls(**{key: revealed(it) for key, it in config.accounts[account].items() if key != "provider"})
    except ValidationError as error:
        said = _without_values(mistakes(error, origins=origins), config.accounts[account])
        raise ConfigError(said, hint=_hint(cls, error, account, origins), account=account) from None
    except PayhubError as error:
        said, hint = (_without_values(text, config.accounts[account]) for text in (error.message, error.hint))
        raise ConfigError(said, hint=hint, account=account) from None
    except Exception as error:
        raise ConfigError(f"{type(error).__name__} while reading its settings", account=account) from None
    timeout = getattr(provider, "timeout", None)
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise ConfigError("timeout: expected seconds above zero", account=account)
    merchant(provider, account)
    return provider


def _without_values(said: str, settings: Mapping[str, Any]) -> str:
    """What a provider's own check ``said``, with stars for each text of ``settings`` that may be a secret."""
    values = [revealed(value) for key, value in settings.items() if key != "provider"]
    for text in sorted(_texts(values), key=len, reverse=True):
        if len(text) >= _SHORTEST:
            said = said.replace(text, HIDDEN)
    return said


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def _hint(cls: type[Provider], error: ValidationError, account: str, origins: Mapping[str, str]) -> str:
    if strange := unknown(error):
        if strange[0] in {key.name for key in fields(Config)}:
            return f"{strange[0]} belongs above the first [table] of the file"
        known = set(cls.model_fields) if issubclass(cls, BaseModel) else set[str]()
        lacking = missing(error)
        if len(strange) == len(lacking) == 1:
            return f"did you mean {lacking[0]!r}?"
        origin, otherwise = origins.get(strange[0]), None
        if origin is not None:  # of another provider's account, which had this name
            drop = "unset" if origin.upper().startswith(PREFIX) else "remove"
            otherwise = f"{drop} {origin}, or give the account another name"
        return did_you_mean(strange[0], {*known, "provider"}, otherwise)
    if lacking := missing(error):
        variable = f"{PREFIX}accounts__{account}__{lacking[0]}"
        return (
            f"set {lacking[0]} in [accounts.{account}]; a secret belongs into {variable.upper()} in the environment, "
            f"or into a secret file named {variable.lower()}"
        )
    return ""


def merchant(provider: Provider, account: str) -> Merchant | None:
    """What tells the merchant of an account from others; None where its provider declares no identity.

    Raises ConfigError for what is no provider, and for settings in its identity that cannot be compared.
    """
    info = getattr(provider, "info", None)
    if not isinstance(info, ProviderInfo) or isinstance(provider, type):
        kind = provider if isinstance(provider, type) else type(provider)
        hint = "load_accounts makes accounts of settings"
        raise ConfigError(f"expected a provider, not {plain(kind.__name__)}", hint=hint, account=account)
    try:
        found = (info.name, *[getattr(provider, key) for key in info.identity])
        hash(found)
    except (AttributeError, TypeError):
        named = ", ".join(info.identity)
        hint = "the provider has to have each, as text, a number or a tuple"
        raise ConfigError(f"info.identity: {named} cannot tell merchants apart", hint=hint, account=account) from None
    return found if info.identity else None


def same_merchant(first: str, second: str, provider: Provider) -> ConfigError:
    """The error for one merchant under two names."""
    identity = ", ".join(provider.info.identity)
    hint = f"drop one of them, or mend its {identity}: an order of the one could be settled as the other's"
    return ConfigError(f"accounts {first!r} and {second!r} have the same provider and {identity}", hint=hint)


def check_merchants(accounts: Mapping[str, Provider | ConfigError]) -> None:
    """Raises ConfigError for one merchant under two names."""
    for fault in _doubles(accounts):
        raise fault


def _doubles(accounts: Mapping[str, Provider | ConfigError]) -> Iterator[ConfigError]:
    """One merchant under two names would let an order of the one be settled as the other's."""
    seen: dict[Merchant, str] = {}
    for name, provider in accounts.items():
        given: object = name
        if not isinstance(given, str):
            yield ConfigError(f"expected the name of an account, not {type(given).__name__}")
        if not isinstance(provider, ConfigError) and (key := merchant(provider, name)) is not None:
            first = seen.setdefault(key, name)
            if first != name:
                yield same_merchant(first, name, provider)


def route_faults(
    routes: Mapping[str, Sequence[str]], accounts: Mapping[str, Any], set_by: Mapping[str, str] = {}
) -> Iterator[ConfigError]:
    """What is wrong with ``routes`` that are to lead along ``accounts``; ``set_by`` names what set them."""
    for route, names in routes.items():
        where = named(f"routes.{route}", set_by)
        if route in accounts:
            yield ConfigError(f"{where}: {route!r} is the name of an account", hint="rename the route")
        if not names or len(set(names)) != len(names):
            yield ConfigError(f'{where}: expected names of accounts, each once, as ["shop", "outlet"]')
        for name in names:
            if name not in accounts:
                yield unknown_account(name, accounts, f"{where}: ")
