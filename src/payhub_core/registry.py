"""The registry: from a provider's name to its class. Only what a configuration names is ever imported."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from pydantic import BaseModel

from payhub_core.declaration import ProviderInfo
from payhub_core.errors import ConfigError, did_you_mean, plain
from payhub_core.hookspecs import HOOKS, Provider, Specification

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "BrokenProvider", "check_hooks", "check_provider", "provider_class"]

GROUP = "payhub.providers"


class BrokenProvider(ConfigError):
    """A provider is installed, but cannot be used."""


def provider_class(account: str, provider: object) -> type[Provider]:
    """The class that ``provider`` names in the settings of ``account``.

    It is the name of an installed one, a class, or ``"module:Class"``. Raises ConfigError for one that is not there,
    BrokenProvider for one that cannot be used.
    """
    point = _named(account, provider)
    try:
        cls: type[Provider] = point if isinstance(point, type) else point.load()
        check_provider(cls)
        _check_name(cls, point)
    except Exception as error:
        reason = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__} while importing it"
        shown = provider.__name__ if isinstance(provider, type) else provider
        raise BrokenProvider(f"the provider {plain(shown)!r} is broken: {reason}", account=account) from error
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
    if name is not None and not isinstance(name, str):  # the text of an object may hold a secret
        kind = type(name).__name__
        raise ConfigError(f'provider: expected a name, a class or "module:Class", not {kind}', account=account)
    found = [point for point in _installed() if point.name == name]
    if not found:
        known = {point.name for point in _installed()}
        hint = did_you_mean(name or "", known)
        if name is None:
            hint = f"write the name of one that is installed: {', '.join(sorted(known))}"
        if not known:
            hint = 'no installed package says that it has providers; name the class, as in provider = "module:Class"'
        reason = "provider: is missing" if name is None else f"provider: none is installed under {plain(name)!r}"
        raise ConfigError(reason, hint=hint, account=account)
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
