"""The HTTP client that a hub opens where it is given none, and what the environment can do to it."""

from __future__ import annotations

import functools
import os
import re
import ssl
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from payhub_core.errors import ConfigError
from payhub_core.version import VERSION

__all__ = ["USER_AGENT", "is_loopback", "own_client", "tls"]

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)

#: Firewalls drop what has none.
USER_AGENT = f"payhub/{VERSION}"

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
#: A sandbox or a sidecar on this machine is behind no proxy.
_PAST_PROXIES = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


@functools.cache
def tls() -> ssl.SSLContext:
    """The process's one TLS context: making one takes 20 ms. Raises ConfigError."""
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        names = _CERTIFICATES[:1] if os.environ.get(_CERTIFICATES[0]) else _CERTIFICATES[1:]
        _refuse(names, error, "it has to name a file or folder of certificates in PEM")


def is_loopback(url: str) -> bool:
    """Whether ``url`` is one of this machine's own."""
    return _LOOPBACK.fullmatch(urlsplit(url).hostname or "") is not None


def own_client(kind: type[ClientT]) -> ClientT:
    """A client with payhub's name, past any proxy to loopback; raises ConfigError, naming the variable at fault."""
    verify = tls()
    try:
        return kind(verify=verify, headers={"User-Agent": USER_AGENT}, mounts=_PAST_PROXIES if getproxies() else None)
    except ImportError as error:
        _refuse(_PROXIES, error, "a SOCKS proxy needs: pip install 'httpx[socks]'", "socks")
    except Exception as error:
        _refuse(_PROXIES, error, "a proxy is like http://proxy.example:3128; NO_PROXY takes IPv6 with no brackets")


def _refuse(names: tuple[str, ...], error: Exception, hint: str, scheme: str = "") -> NoReturn:
    """Raises ConfigError for those of the variables that are set; their values may hold a password."""
    found = [name for name, value in os.environ.items() if name.lower() in map(str.lower, names) and scheme in value]
    named = ", ".join(sorted(found)) or "the system's own settings"
    raise ConfigError(f"no HTTP client can be made with {named}: {type(error).__name__}", hint=hint) from None
