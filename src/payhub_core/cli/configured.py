"""What is configured: the files and variables that were read, each account, its keys by their fingerprints."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from payhub_core.accounts import load_accounts, loaded
from payhub_core.config import Config
from payhub_core.errors import ConfigError
from payhub_core.findings import Finding
from payhub_core.hookspecs import Provider
from payhub_core.pages import page
from payhub_core.registry import GROUP
from payhub_core.transport.client import is_loopback
from payhub_core.variables import PREFIX, secret_files

__all__ = ["Configured", "configured", "plain_http", "sources"]


@dataclass(frozen=True, slots=True)
class Configured:
    """The accounts that can be used, what is told of each, which have their gateway on this machine, what is wrong."""

    installed: list[str]
    providers: dict[str, Provider] = field(default_factory=dict)
    keys: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    local: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def sources(config: str | None) -> dict[str, list[str]]:
    """By name alone, never by value: the file, the variables of the environment, the secret files."""
    folder = os.environ.get(f"{PREFIX}SECRETS_DIR")
    files = secret_files(Path(folder)) if folder else {}
    return {
        "files": [config] if config else [],
        "variables": sorted(name for name in os.environ if name.upper().startswith(PREFIX)),
        "secret_files": sorted(map(str, files.values())),
    }


def configured(config: Config) -> Configured:
    """Loads every account by itself, so that one which is wrong hides no other."""
    found = Configured(sorted({point.name for point in entry_points(group=GROUP)}))
    for name in config.accounts:
        try:
            provider = loaded(name, config)
        except ConfigError as error:
            hint = error.hint or f"mend its settings: {page('configuration.md')}"
            found.findings.append(Finding(name, f"cannot be used: {error.message}", hint))
            continue
        found.providers[name] = provider
        found.keys[name] = _keys(provider)
    if not config.accounts:
        found.findings.append(Finding("", "no account is configured", "write [accounts.NAME] into the configuration"))
    if not found.findings:
        try:  # what concerns several: one merchant twice, routes, the default
            load_accounts(config)
        except ConfigError as error:
            found.findings.append(Finding("", error.message, error.hint or "mend the configuration"))
    for name, addresses in plain_http(found.providers).items():
        if all(map(is_loopback, addresses)):
            found.local.append(name)
            continue
        what = "its gateway is asked over plain http: what it answers proves nothing, so nothing can settle by it"
        found.findings.append(Finding(name, what, "ask the gateway for an https address"))
    return found


def plain_http(accounts: Mapping[str, Provider]) -> dict[str, list[str]]:
    """The addresses of plain http among the settings of each account that has any."""
    found = {name: _insecure(accounts, name) for name in accounts}
    return {name: addresses for name, addresses in found.items() if addresses}


def _keys(provider: Provider) -> dict[str, list[str]]:
    """The secrets and keys among the settings of an account, by their length and fingerprint."""
    settings: Mapping[str, Any] = provider.__dict__ if isinstance(provider, BaseModel) else {}
    keys = {name: list(_shown(value)) for name, value in settings.items()}
    return {name: shown for name, shown in keys.items() if shown}


def _shown(value: object) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _shown(each)
    elif isinstance(value, SecretStr):
        secret = value.get_secret_value()
        yield f"{len(secret)} characters, sha256 {sha256(secret.encode()).hexdigest()[:8]}"
    elif isinstance(fingerprint := getattr(value, "fingerprint", None), str):
        yield fingerprint


def _insecure(accounts: Mapping[str, Provider], name: str) -> list[str]:
    try:
        provider = accounts[name]
    except ConfigError:  # one that is broken is named where it is asked
        return []
    values = provider.__dict__.values() if isinstance(provider, BaseModel) else ()
    return [value for value in values if isinstance(value, str) and value.lower().startswith("http://")]
