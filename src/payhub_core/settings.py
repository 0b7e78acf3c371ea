"""Settings: where a configuration comes from. Imported only when one is read: pydantic-settings is slow to load."""

from __future__ import annotations

import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from payhub_core.errors import ConfigError, did_you_mean
from payhub_core.mistakes import mistakes, unknown

__all__ = ["PREFIX", "Settings", "read"]

PREFIX = "PAYHUB_"


class Settings(BaseSettings):
    """The whole configuration, its accounts not looked into: that is for their providers."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        hide_input_in_errors=True,
    )

    default: str | None = None
    ledger: str | None = None
    routes: dict[str, list[str]] = {}
    recorder: str | None = None
    # The list makes pydantic-settings read JSON where it stands; any other text stays text, "123456" too.
    accounts: dict[str, dict[str, Any | list[str]]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  as dotenv_settings
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic-settings passes it
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment, then secret files, then the TOML file, which comes in as the initial values."""
        secrets = _Secrets(file_secret_settings, secrets_prefix=PREFIX, secrets_dir_max_size=2**40)
        return env_settings, secrets, init_settings


class _Secrets(NestedSecretsSettingsSource):
    """The secret files whose names are payhub's; other programs' may lie beside them, of any size and content."""

    @classmethod
    def load_secrets(cls, path: Path) -> dict[str, str]:
        """The content of each file by its path inside the folder."""
        files = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
        own = {name: file for name, file in files.items() if name.lower().startswith(PREFIX.lower())}
        return {name: text_of(file, "a secret file").strip() for name, file in own.items()}


def text_of(file: Path, what: str) -> str:
    """What ``file`` says in UTF-8, or by its byte order mark in UTF-16; raises ConfigError, which quotes none of it."""
    try:
        data = file.read_bytes()
        marked = len(data) > len(BOM_UTF16_LE) and data.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        return data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        # Not chained: the error carries the bytes.
        raise ConfigError(f"{file} is not in UTF-8", hint=f"save {what} as UTF-8 in your editor") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {type(error).__name__}", hint="see who may read it") from None


def read(file: Path | None, secrets_dir: str | None) -> Settings:
    """The settings of all sources; raises ConfigError."""
    where = "the configuration" if file is None else str(file)
    try:
        # No variable ever holds the content: the local variables of a traceback may be reported.
        return Settings(_secrets_dir=secrets_dir, **({} if file is None else _content(file)))  # type: ignore[call-arg]
    except ValidationError as error:
        raise ConfigError(f"{where}: {mistakes(error)}", hint=_hint(error)) from None
    except (SettingsError, TypeError) as error:
        raise ConfigError(f"{where}: {type(error).__name__} while reading the environment or secret files") from None


def _content(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text_of(file, "the configuration"))
    except tomllib.TOMLDecodeError as error:  # which quotes no line
        raise ConfigError(f"{file} cannot be read as TOML: {error}") from None


def _hint(error: ValidationError) -> str:
    strange = unknown(error)
    return did_you_mean(strange[0], set(Settings.model_fields)) if strange else ""
