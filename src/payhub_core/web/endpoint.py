"""The endpoint without its I/O: which address it is, how much is read, what the checkout is asked, what is answered."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeAlias

from payhub_core.declaration import REFUSED, RETRY
from payhub_core.errors import CallbackError, ConfigError, PayhubError, plain, reason_of
from payhub_core.models import Callback, CallbackKind, Payment, Reply
from payhub_core.web.answers import Answer, acknowledgement, plain_text, redirect
from payhub_core.web.pages import AGAIN, Pages

__all__ = ["LIMIT", "AsyncReceiver", "Endpoint", "IncompleteBody", "OnReturn", "Receiver", "RequestHead", "Steps"]

#: The most bytes of a body, or of a query, that are taken. Gateways send a few hundred.
LIMIT = 64 * 1024

OnReturn: TypeAlias = Callable[[Payment], str]

#: Yields what is to be called outside, is sent the result (or has the error thrown in) and ends in the answer.
Steps: TypeAlias = Generator[Callable[[], Any], Any, Answer]

_ADDRESS = re.compile(r"(?:.*/)?([a-z][a-z0-9_]*)/(?:(notify)|(return)(?:/(.+?))?)/?", re.DOTALL)
_METHODS: Mapping[CallbackKind, tuple[str, ...]] = {
    # Some gateways notify by GET; which of the two its own gateway uses, a provider knows.
    CallbackKind.NOTIFY: ("GET", "POST"),
    CallbackKind.RETURN: ("GET", "HEAD", "POST"),
}

_NOT_FOUND = 404

logger: logging.Logger = logging.getLogger("payhub.web")


class Receiver(Protocol):
    """What the endpoint asks: `payhub_core.checkout.Checkout` is one, and anything with these two methods."""

    def receive(self, account: str, callback: Callback, /) -> Reply:
        """Settles a notify; returns what to answer, and the gateway's acknowledgement only after the commit.

        Raising CallbackError refuses the callback; anything else raised makes the gateway send it again.
        """
        ...

    def view(self, account: str, callback: Callback, /, *, reference: str | None = None) -> Payment:
        """What there is to tell the payer whose browser came back; changes nothing. Raises CallbackError.

        ``reference`` is that of the address, which anyone may have guessed; where the return proves nothing,
        ``claimed_status`` is None, and the page shows no more than the status.
        """
        ...


class AsyncReceiver(Protocol):
    """`Receiver`, awaited."""

    async def receive(self, account: str, callback: Callback, /) -> Reply:
        """As `Receiver.receive`."""
        ...

    async def view(self, account: str, callback: Callback, /, *, reference: str | None = None) -> Payment:
        """As `Receiver.view`."""
        ...


class IncompleteBody(Exception):
    """The client left before its request was complete: nothing is processed."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request before its body is read; ``headers`` has lower-case names, ``query`` is raw."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: bytes

    @property
    def length(self) -> int | None:
        """The declared length of the body in bytes; None where there is no number."""
        text = self.headers.get("content-length", "")
        return int(text.lstrip("0")[:18] or 0) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The two addresses of every account; ``receive``, ``view`` and ``record`` are called, or awaited, outside."""

    receive: Callable[..., Any]
    view: Callable[..., Any]
    record: Callable[..., Any] | None
    on_return: OnReturn | None
    pages: Pages
    limit: int

    def answer(self, head: RequestHead, read: Callable[[int], Any]) -> Steps:
        """The whole request; ``read`` gives the body, and at most a little more than so many bytes of it."""
        # Only the end of the path counts. Frameworks, servers and prefix-stripping proxies disagree on what root_path
        # and path hold, one adds a slash, and the one that mounted this has already matched the prefix.
        found = _ADDRESS.fullmatch(head.path)
        if found is None:
            return self._missing(head.headers)
        account, kind, reference = found[1], CallbackKind(found[2] or found[3]), found[4]
        if head.method not in _METHODS[kind]:
            return self._not_allowed(head.headers, _METHODS[kind])
        if len(head.query) > self.limit:
            return plain_text(414, "too long")
        body = b"" if (head.length or 0) > self.limit else (yield partial(read, self.limit))
        if (head.length or 0) > self.limit or len(body) > self.limit:
            return plain_text(413, "too large")
        if not body and "transfer-encoding" in head.headers:
            return plain_text(411, "length required")  # a server that cannot read chunks shows none of them
        # The payer's session is no business of a plugin's, nor of a log's.
        headers = {name: value for name, value in head.headers.items() if name != "cookie"}
        method = "GET" if head.method == "HEAD" else head.method
        callback = Callback(method, headers, head.query, body, kind)
        reason = ""
        if kind is CallbackKind.NOTIFY:
            answer, reason = yield from self._notified(account, callback)
        else:
            answer = yield from self._returned(account, callback, reference)
        yield from self._recorded(account, callback, answer, reason)
        return answer if head.method != "HEAD" else replace(answer, body=b"")

    def _notified(self, account: str, callback: Callback) -> Generator[Callable[[], Any], Any, tuple[Answer, str]]:
        """The answer, and why it is no success."""
        try:
            reply = yield partial(self.receive, account, callback)
            return acknowledgement(reply), reply.reason
        except Exception as error:
            status_code = _status(error, account)
            if status_code == _NOT_FOUND:
                return self._missing(callback.headers), reason_of(error)
            reply = REFUSED if status_code == REFUSED.status_code else RETRY
            return plain_text(status_code, reply.body.decode()), reason_of(error)

    def _returned(self, account: str, callback: Callback, reference: str | None) -> Steps:
        """The payer's page. Whatever fails, a payer has done nothing wrong: it is 200, and says what is known."""
        accepted = callback.headers.get("accept-language", "")
        try:
            payment = yield partial(self.view, account, callback, reference=reference)
        except Exception as error:
            is_missing = _status(error, account) == _NOT_FOUND
            return self._missing(callback.headers) if is_missing else self.pages.payment(None, accepted)
        if self.on_return is not None and payment is not None:
            try:
                return redirect(self.on_return(payment))
            except Exception:
                logger.exception("on_return failed; the payer sees the plain page", extra={"account": account})
        return self.pages.payment(payment, accepted, callback.body)

    def _missing(self, headers: Mapping[str, str]) -> Answer:
        """404: a page for a browser, a line for a machine."""
        if _is_browser(headers):
            return self.pages.missing(headers.get("accept-language", ""))
        return plain_text(_NOT_FOUND, "not found")

    def _not_allowed(self, headers: Mapping[str, str], methods: tuple[str, ...]) -> Answer:
        if _is_browser(headers):
            return self.pages.not_allowed(headers.get("accept-language", ""), methods)
        return plain_text(405, "method not allowed", allow=", ".join(methods))

    def _recorded(
        self, account: str, callback: Callback, answer: Answer, reason: str
    ) -> Generator[Callable[[], Any], Any, None]:
        is_again = callback.kind is CallbackKind.RETURN and AGAIN in callback.headers
        if self.record is not None and not is_again:
            reply = Reply(answer.body, answer.headers["content-type"], answer.status_code, reason)
            try:
                yield partial(self.record, account, callback, reply)
            except Exception:  # a full disk never stands between a commit and its acknowledgement
                logger.exception("a callback could not be recorded", extra={"account": account})


def _is_browser(headers: Mapping[str, str]) -> bool:
    return "text/html" in headers.get("accept", "").lower()


def _status(error: Exception, account: str) -> int:
    """404 for an account that is not configured, 400 for a message not believed, 503 for what may work later."""
    extra = {"account": account}
    if isinstance(error, CallbackError):
        logger.warning("refused: %s", error, extra=extra)
        return REFUSED.status_code
    # An account that is configured, but broken, is named by its error.
    if isinstance(error, ConfigError) and not error.account:
        logger.warning("a callback came for account %s, which is not configured", plain(account), extra=extra)
        return _NOT_FOUND
    reason = error if isinstance(error, PayhubError) else type(error).__name__  # whose words may hold anything
    logger.error("a callback could not be processed: %s", reason, exc_info=error, extra=extra)
    return RETRY.status_code
