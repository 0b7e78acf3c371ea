"""Settings: where a configuration comes from. Imported only when one is read: pydantic-settings is slow to load."""

from __future__ import annotations

import tomllib
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
        secrets = NestedSecretsSettingsSource(file_secret_settings, secrets_prefix=PREFIX)
        return env_settings, secrets, init_settings


def read(file: Path | None, secrets_dir: str | None) -> Settings:
    """The settings of all sources; raises ConfigError."""
    where = "the configuration" if file is None else str(file)
    try:
        # No variable ever holds the content: the local variables of a traceback may be reported.
        return Settings(_secrets_dir=secrets_dir, **({} if file is None else _content(file)))  # type: ignore[call-arg]
    except ValidationError as error:
        raise ConfigError(f"{where}: {_faults(error)}", hint=_hint(error)) from None
    except (SettingsError, TypeError) as error:
        raise ConfigError(f"{where}: {type(error).__name__} while reading the environment or secret files") from None


def _content(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        # A TOML error quotes no line, but a decoding error carries the bytes.
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
        raise ConfigError(f"{file} cannot be read as TOML: {reason}") from None


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))


def _hint(error: ValidationError) -> str:
    unknown = [str(e["loc"][0]) for e in error.errors(include_input=False) if e["type"] == "extra_forbidden"]
    return did_you_mean(unknown[0], set(Settings.model_fields)) if unknown else ""
