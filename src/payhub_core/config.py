"""Configuration: which accounts there are, from a TOML file, secret files and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

from payhub_core.errors import ConfigError
from payhub_core.mistakes import named
from payhub_core.variables import PREFIX, set_by

__all__ = ["Config", "load_config", "revealed"]


@dataclass(frozen=True)
class Config:
    """The loaded configuration: settings by account name, and the name of the default account, which an only one is.

    ``accounts`` still holds the settings as text, secrets among them: that text shows as stars wherever it is repeated,
    by `dataclasses.asdict` and a failed assert too, and pickling raises TypeError. ``ledger`` is the database's URL; a
    route names accounts in the order in which they are tried; ``recorder`` is the folder for recorded callbacks.
    For error messages, ``source`` is the file's name, and ``set_by`` has the variable or secret file that set a key.
    """

    accounts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    default: str | None = None
    ledger: str | None = field(default=None, repr=False)
    routes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    recorder: str | None = None
    source: str = ""
    set_by: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "accounts", _hidden(self.accounts))
        except RecursionError:
            too_deep = True  # Not chained: the frames of the error hold the settings.
        else:
            too_deep = False
        if too_deep:
            where = f"{self.source}: " if self.source else ""
            raise ConfigError(f"{where}accounts: the settings are nested too deeply")
        object.__setattr__(self, "ledger", _hidden(self.ledger))
        if isinstance(self.ledger, _Hidden):
            file = f"{self.source}: ledger" if self.source else "ledger"
            self.ledger.place = named("ledger", self.set_by) if "ledger" in self.set_by else file
        if self.default is None and len(self.accounts) == 1:
            object.__setattr__(self, "default", *self.accounts)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a configuration holds secrets and is not pickled: load it where it is needed")


class _Hidden(str):
    """Text whose repr shows nothing of it; ``place`` is where a ledger's was written, for errors."""

    __slots__ = ("place",)

    place: str

    def __repr__(self) -> str:
        return "'**********'"


def revealed(value: Any) -> Any:
    """``value`` of a `Config`, every text in it as it was written."""
    if isinstance(value, Mapping):
        return {name: revealed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(revealed, value))
    return str(value) if type(value) is _Hidden else value


def _hidden(value: Any) -> Any:
    """``value``, every text in it hidden."""
    if isinstance(value, Mapping):
        return {name: _hidden(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_hidden, value))
    return _Hidden(value) if type(value) is str else value


def load_config(path: str | os.PathLike[str] | None = None, *, secrets_dir: str | None = None) -> Config:
    """Reads the configuration; the environment wins over secret files, and those win over the TOML file at ``path``.

    A variable is spelt ``PAYHUB_ACCOUNTS__SHOP__SECRET``; a list is written as JSON. A secret file has the same name in
    lower case and lies in ``secrets_dir`` (or ``PAYHUB_SECRETS_DIR``); white space around its content is dropped.
    Raises ConfigError, which names the file and the key and never shows a value.
    """
    from payhub_core.settings import read  # noqa: PLC0415  pydantic-settings takes 0.3 s to import

    file = None if path is None else _file(path)
    secrets_dir = secrets_dir or os.environ.get(f"{PREFIX}SECRETS_DIR") or None
    folder = None if secrets_dir is None else Path(secrets_dir)
    if folder is not None and not folder.is_dir():
        hint = f"name it in secrets_dir= or {PREFIX}SECRETS_DIR, or see that it is mounted"
        raise ConfigError(f"there is no folder of secret files {folder.absolute()}", hint=hint)
    origins = set_by(list(os.environ), folder)  # the names alone: a traceback shows no value
    settings = read(file, folder, origins)
    return Config(
        accounts=settings.accounts,
        default=settings.default,
        ledger=settings.ledger,
        routes=settings.routes,
        recorder=settings.recorder,
        source="" if path is None else os.fspath(path),
        set_by=origins,
    )


def _file(path: str | os.PathLike[str]) -> Path:
    if isinstance(path, Mapping):
        raise ConfigError("expected the path of a file, not a dict", hint="load_accounts takes a dict as it is")
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(f"expected the path of a file, not {type(path).__name__}")
    file = Path(path)
    if file.is_dir():
        raise ConfigError(
            f"expected a configuration file, {file.absolute()} is a folder", hint="name the payhub.toml in it"
        )
    if not file.is_file():
        hint = "name your payhub.toml by its whole path, or start where it lies"
        raise ConfigError(f"there is no configuration file {file.absolute()}", hint=hint)
    return file
