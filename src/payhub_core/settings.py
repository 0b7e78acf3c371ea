"""Settings: where a configuration comes from. Imported only when one is read: pydantic-settings is slow to load."""

from __future__ import annotations

import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
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

from payhub_core.errors import ConfigError
from payhub_core.mistakes import mistakes, unknown
from payhub_core.variables import PREFIX, key_hint, secret_files

__all__ = ["Settings", "read"]


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
        return {name: text_of(file, "the secret file").strip() for name, file in secret_files(path).items()}


def text_of(file: Path, what: str) -> str:
    """What ``file`` says in UTF-8, or by its byte order mark in UTF-16; raises ConfigError, which quotes none of it."""
    try:
        data = file.read_bytes()
        marked = len(data) > len(BOM_UTF16_LE) and data.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        if marked or b"\0" not in data:
            return data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        pass  # Not chained: the error carries the bytes.
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {type(error).__name__}", hint="let this user read it") from None
    del data
    raise ConfigError(f"{file} is not in UTF-8", hint=f"save {what} as UTF-8 in your editor")


def read(file: Path | None, secrets_dir: Path | None, origins: Mapping[str, str]) -> Settings:
    """The settings of all sources; raises ConfigError, which names what set a key by ``origins``."""
    where = "" if file is None else f"{file}: "
    try:
        # No variable ever holds the content: the local variables of a traceback may be reported.
        return Settings(_secrets_dir=secrets_dir, **({} if file is None else _content(file)))  # type: ignore[call-arg]
    except ValidationError as error:
        raise ConfigError(f"{where}{mistakes(error, origins=origins)}", hint=_hint(error)) from None
    except (SettingsError, TypeError, RecursionError) as error:
        raise ConfigError(f"{where}{type(error).__name__} while reading the environment or secret files") from None


def _content(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text_of(file, "the configuration"))
    except tomllib.TOMLDecodeError as error:
        said = str(error)  # which quotes no line; the error itself holds the file
    except RecursionError:
        said = "brackets or names are nested too deeply"
    raise ConfigError(f"{file} cannot be read as TOML: {said}", hint=_toml_hint(said))


def _toml_hint(said: str) -> str:
    if said.startswith(("Unescaped", "Invalid hex")):
        return "write a path of Windows in single quotes, as 'C:\\shop', or with /"
    if said.startswith("Cannot"):
        return "each table and each name stands once"
    if said.startswith("brackets"):
        return "no setting is nested deeper than a list"
    return 'a line is like appid = "gpu10000000", text in straight quotes'


def _hint(error: ValidationError) -> str:
    found = error.errors(include_url=False)
    if any(it["loc"][:1] == ("accounts",) and it["type"] == "dict_type" for it in found):
        return "an account is a table of its own, as [accounts.shop]"
    strange = unknown(error)
    return key_hint(strange[0]) if strange else ""
