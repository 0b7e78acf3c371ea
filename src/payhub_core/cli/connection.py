"""The connection to a gateway: its name, its certificate, its clock, and one signed query."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from pydantic import BaseModel

from payhub_core.declaration import check_reference
from payhub_core.errors import ConfigError, GatewayError, InvalidOrder, NotFound, PayhubError, plain
from payhub_core.findings import Finding
from payhub_core.hookspecs import Provider
from payhub_core.hub import Hub
from payhub_core.models import Payment
from payhub_core.transport.client import own_client

__all__ = ["connection", "unusable_client"]

_SECONDS = 10.0
#: How far the clocks may be apart: gateways that sign times refuse more than a few minutes.
_SKEW = 60
_FEW_DAYS = 14
#: Order numbers that no shop has used, of the shapes that gateways take.
_NUMBERS = ("payhubdoctor", "PAYHUBDOCTOR", "9900000000001", "00009900000000000001")


def connection(account: str, provider: Provider, known: Payment | None) -> Iterator[Finding]:
    """What is wrong on the way to the gateway of ``account``; asks about a payment that is ``known``, or nobody's."""
    reached = True
    for address in sorted(_addresses(provider)):
        reached = (yield from _on_the_way(account, address)) and reached
    if reached:
        yield from _query(account, provider, known)


def _addresses(provider: Provider) -> set[str]:
    settings = provider.__dict__ if isinstance(provider, BaseModel) else {}
    return {v for v in settings.values() if isinstance(v, str) and v.lower().startswith(("http://", "https://"))}


def unusable_client() -> Iterator[Finding]:
    """What keeps this machine from asking any gateway: certificates or proxies of the environment."""
    try:
        own_client(httpx.Client).close()
    except ConfigError as error:
        yield Finding("", f"no gateway can be asked: {error.message}", error.hint)


def _on_the_way(account: str, address: str) -> Generator[Finding, None, bool]:
    """What is wrong on the way to ``address``; returns whether it is reached all the same."""
    url = urlsplit(address)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    if url.scheme not in getproxies() or proxy_bypass(host):  # else the proxy looks the name up
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            reason = f"the name {plain(host)} cannot be looked up: {plain(error.strerror or error)}"
            yield Finding(account, reason, "see the address in the configuration, and this machine's DNS")
            return False
    try:
        with own_client(httpx.Client) as client, client.stream("HEAD", address, timeout=_SECONDS) as response:
            date, stream = response.headers.get("date", ""), response.extensions.get("network_stream")
            tls = stream.get_extra_info("ssl_object") if stream is not None else None
            certificate = tls.getpeercert() if tls is not None else None
    except httpx.HTTPError as error:
        certified = "CERTIFICATE" not in str(error).upper()
        hint = (
            "see the firewall, the proxy, the port"
            if certified
            else "see its certificate; SSL_CERT_FILE names an issuer that this machine does not know"
        )
        # Behind what OpenSSL says of every certificate stands what is wrong with this one.
        reason = f"{plain(host)}:{port} cannot be reached: {type(error).__name__}: {plain(error, 300)}"
        yield Finding(account, reason, hint)
        return False
    if certificate and "notAfter" in certificate:
        left = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - datetime.now(UTC).timestamp()) / 86400
        if left < _FEW_DAYS:
            yield Finding(account, f"the gateway's certificate ends in {left:.0f} days", "tell the gateway")
    yield from _clock(account, date)
    return True


def _clock(account: str, date: str) -> Iterator[Finding]:
    try:
        skew = (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # a server need not say what time it has
        return
    if abs(skew) > _SKEW:
        what = f"this machine's clock and the gateway's are {abs(skew):.0f} seconds apart"
        yield Finding(account, what, "let this machine's clock be set by NTP")


def _query(account: str, provider: Provider, known: Payment | None) -> Iterator[Finding]:
    """One signed query: an order that the gateway does not know is an answer as well."""
    nobodys = next((number for number in _NUMBERS if _fits(provider, number)), None)
    asked, gateway_id, created_at = nobodys, None, datetime.now(UTC)
    if known is not None:
        asked, gateway_id, created_at = known.reference, known.gateway_id, known.created_at or created_at
    if asked is None:
        return
    try:
        with Hub({account: provider}) as hub:
            hub.query(account, asked, gateway_id=gateway_id, created_at=created_at)
    except NotFound as error:
        if error.unsent and _addresses(provider):  # the dummy has none, and answers by itself
            what = "no signed query was made: the gateway is asked by its own number of an order, and none is known"
            yield Finding(account, what, "start an order, then ask again")
    except PayhubError as error:
        if isinstance(error, GatewayError) and error.unreadable:
            yield Finding(
                account,
                f"what answered a signed query is not the gateway: {error.message}",
                error.hint
                or "see the address in the configuration, the proxy, and whether the gateway is being maintained",
            )
            return
        hint = "see its key, its merchant number and its dialect settings"
        if isinstance(error, GatewayError) and error.unanswered:
            hint = "ask the gateway whether it is in order"
        yield Finding(account, f"a signed query came to nothing: {error.message}", error.hint or hint)


def _fits(provider: Provider, number: str) -> bool:
    try:
        check_reference(provider, number)
    except InvalidOrder:
        return False
    return True
