"""``payhub verify``: verify a message that somebody has at hand, and say why its signature does not match."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPException, parse_headers
from io import BytesIO

import click

from payhub_core.accounts import Accounts, load_accounts
from payhub_core.cli.options import config_option, json_option, read_config
from payhub_core.cli.verdict import Verdict, judge
from payhub_core.errors import ConfigError, MalformedCallback, PayhubError, plain
from payhub_core.models import Callback, CallbackKind

__all__ = ["verify"]

_LONGEST = 1024 * 1024
#: A request line, an address alone, or a path with its query: what servers and their logs write down.
_REQUEST = re.compile(rb"(?:(GET|POST) )?((?:https?:/)?/\S*)(?: HTTP/[0-9.]+)?\r?(?:\n|\Z)")
#: The same within a line of an access log, which has the client before it and the status behind it.
_LOGGED = re.compile(rb'[^\n]*"((?:GET|POST) \S+ HTTP/[0-9.]+)"[^\n]*\s*\Z')
_ADDRESS = re.compile(r"/([a-z][a-z0-9_]*)/(notify|return)(?:/|\Z)")
_TYPES = {b"{": "application/json", b"<": "text/xml"}


@click.command()
@click.argument("file")
@config_option
@click.option("--account", help="The account to verify as, where the address of the request does not say it.")
@json_option
@click.pass_context
def verify(ctx: click.Context, file: str, config: str | None, account: str | None, as_json: bool) -> None:
    """Verify the message in FILE, or "-" for what is typed or piped in.

    FILE holds a raw HTTP request, an address with its query, or a body alone. Where the signature does not match, the
    usual causes are tried, with the keys of all accounts; no key is shown, nor the signature that would be right.
    Nothing is stored, and no order is compared. Exit status 0: genuine; 1: refused, or it could not be verified.
    """
    accounts = load_accounts(read_config(config))
    data = _read(file)
    if data.startswith(b"{") and b'"recorded_at"' in data:
        raise PayhubError("this is a recorded callback", hint="payhub replay FILE --explain")
    if logged := _LOGGED.match(data):
        data = logged[1]
    found = _REQUEST.match(data)
    address = _ADDRESS.search(found[2].decode("latin-1").partition("?")[0]) if found else None
    if account is None and address is not None and address[1] in accounts:
        account = address[1]
    account = account or accounts.default
    if account is None:
        raise ConfigError("expected an account", hint='name it with --account, or set default = "NAME"')
    kind = CallbackKind(address[2]) if address else CallbackKind.NOTIFY
    callbacks = [_request(found, data, kind)] if found else list(_bodies(data, kind))
    verdict = _first(accounts, account, callbacks)
    verdict.show(file, {}, as_json=as_json)
    ctx.exit(verdict.status)


def _read(file: str) -> bytes:
    try:
        with click.open_file(file, "rb") as opened:
            return bytes(opened.read(_LONGEST))
    except OSError as error:
        raise PayhubError(f"{plain(file)} cannot be read: {error.strerror}") from None
    except RuntimeError:  # which click raises for a stream that is closed
        raise PayhubError("there is no standard input", hint="name a file, or pipe the message in") from None


def _first(accounts: Accounts, account: str, callbacks: list[Callback]) -> Verdict:
    """What becomes of the first reading that is a message of this provider; else of the first."""
    for callback in callbacks:
        verdict = judge(accounts, account, callback, explained=False)
        if not isinstance(verdict.error, MalformedCallback):
            break
    else:
        callback = callbacks[0]
    return judge(accounts, account, callback, explained=True)


def _request(found: re.Match[bytes], data: bytes, kind: CallbackKind) -> Callback:
    """The request as it is written; whatever an editor has put behind its body is left out."""
    rest = BytesIO(data[found.end() :])
    try:
        message = parse_headers(rest)
    except HTTPException as error:
        raise PayhubError(f"the headers cannot be read: {type(error).__name__}") from None
    headers: dict[str, str] = {}
    for name, value in message.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    body, length = rest.read(), message.get("Content-Length", "")
    body = body[: int(length)] if re.fullmatch("[0-9]{1,9}", length) else body.rstrip(b"\r\n")
    if body and "Content-Type" not in message:
        headers["Content-Type"] = _type(body)
    return Callback((found[1] or b"GET").decode(), headers, found[2].partition(b"?")[2], body, kind)


def _bodies(data: bytes, kind: CallbackKind) -> Iterator[Callback]:
    """A body alone: posted, or else the query of a GET."""
    body = data.strip(b"\r\n")
    yield Callback("POST", {"Content-Type": _type(body)}, b"", body, kind)
    yield Callback("GET", {}, body.removeprefix(b"?"), b"", kind)


def _type(body: bytes) -> str:
    return _TYPES.get(body[:1], "application/x-www-form-urlencoded")
