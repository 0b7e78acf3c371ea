"""An account's settings: frozen, checked at start, and their secrets shown nowhere."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, NoReturn, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from payhub_core.declaration import FAILED_AFTER
from payhub_core.transport.client import is_loopback

__all__ = ["AccountSettings", "Address", "Secret", "Secrets"]

_SHORTEST = 16
#: The path of a page, such as submit.php: a provider appends the paths of its gateway by itself.
_PAGE = re.compile(r"/[^/]*\.[A-Za-z]{2,5}/*$")
#: The sandbox's keys, which everyone knows.
_PUBLISHED = re.compile(r"sandbox-secret-[0-9]+-not-for-money")
_WRAPPED = re.compile(r"""(["']).*\1|[“‘「].*[”’」]|\[.*\]|\(.*\)|\$\{\w*\}""", re.DOTALL)
#: A line that was copied whole, with the name of the secret before it. What only ends like a name is base64, padded.
_NAMED = re.compile(r"[\w -]{0,20}(secret|key|token|密[钥匙])\s*[=:：]\s*\S{8}", re.IGNORECASE)


class AccountSettings(BaseModel):
    """What a provider derives from: its fields are an account's settings, beside these three.

    ``timeout`` is the seconds to wait for the gateway's next byte, 15 by default and 120 at most. ``failed_after`` is
    how old in seconds an order is, a day by default, when a query's mere claim that it failed is believed.
    ``allow_http`` permits plain http where an `Address` would have to be https. An unknown key, and a default that its
    own type would refuse, are errors; errors never print a value. Pickling raises TypeError.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    timeout: float = Field(default=15.0, gt=0, le=120)
    failed_after: float = Field(default=FAILED_AFTER, ge=0)
    allow_http: bool = False

    @field_validator("*")
    @classmethod
    def _no_secret_is_empty(cls, value: object) -> object:
        if isinstance(value, Secret) and not value.text.strip():
            raise ValueError("expected a secret, not an empty one")
        return value

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an account holds secrets and is not pickled: pass its name and load it where it is needed")


class Secret(SecretStr):
    """A secret that shows as stars: ``bytes(secret)`` is the key, in UTF-8, and ``secret.text`` the same as text.

    Pickling raises TypeError.
    """

    @property
    def text(self) -> str:
        """The secret itself, for the one place that signs or sends it."""
        return self.get_secret_value()

    def __bytes__(self) -> bytes:
        return self.get_secret_value().encode()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled: load its account where it is needed")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def listed(value: object) -> object:
    """One of a kind, or several, as a configuration writes them."""
    several = value if isinstance(value, list | tuple) else (value,)
    if not several:
        raise ValueError("expected one or several, not an empty list")
    return tuple(Secret(one.get_secret_value()) if isinstance(one, SecretStr) else one for one in several)


def _fit(secret: Secret, info: ValidationInfo) -> Secret:
    stripped = Secret(secret.text.strip())
    if len(stripped) < _SHORTEST or not stripped.text.isprintable():
        came = "a shorter one" if stripped.text else "an empty one"
        if not stripped.text.isprintable():
            came = "one with line breaks or other control characters"
        raise ValueError(f"expected a secret of at least {_SHORTEST} printable characters, or several, not {came}")
    addresses = [value for value in info.data.values() if isinstance(value, str) and value.startswith("http")]
    if _PUBLISHED.fullmatch(stripped.text) and any(not is_loopback(address) for address in addresses):
        raise ValueError("the sandbox's own key is published: a gateway that is not on this machine has another")
    if _WRAPPED.fullmatch(stripped.text):
        raise ValueError(
            "expected the secret itself, not one in quotes or brackets; several are a list, in a variable as JSON: "
            '["new", "old"]'
        )
    if _NAMED.match(stripped.text):
        raise ValueError("expected the secret itself, not a line that names it: leave out what stands before it")
    return stripped


def _address(url: str, info: ValidationInfo) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        fine = False
    if fine and _PAGE.search(parts.path):
        raise ValueError("expected the address of the gateway, not of one of its pages: leave out the page's path")
    if not fine or not re.fullmatch(r"[!-~]+", url) or any(mark in url for mark in "?#\\"):
        raise ValueError("expected an address such as https://gateway.example, without white space, user or query")
    # allow_http is in `AccountSettings`, so it was read before any field of a provider.
    if parts.scheme == "http" and not info.data.get("allow_http") and not is_loopback(url):
        raise ValueError("expected https; allow_http = true permits http, whose queries prove nothing")
    return url.rstrip("/")


#: The absolute address of a gateway (RFC 3986, 4.3): http or https, without user, query or fragment, and not that of a
#: page (``/submit.php``); its final slash is dropped. It is https unless the host is loopback or the account has
#: ``allow_http``, since an answer over http is anyone's.
Address: TypeAlias = Annotated[str, AfterValidator(_address)]

#: One secret, or several while they rotate: the first signs, any verifies. Each is at least 16 printable characters,
#: since with an empty one anyone signs (CVE-2026-41432, CVE-2026-87974); white space around it is a slip of the editor.
Secrets: TypeAlias = Annotated[tuple[Annotated[Secret, AfterValidator(_fit)], ...], BeforeValidator(listed)]
