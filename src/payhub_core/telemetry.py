"""Telemetry: an extension that traces every hook by OpenTelemetry. Extra: ``pip install 'payhub-core[otel]'``."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol, TypeAlias, TypeVar

from payhub_core.errors import ConfigError, PayhubError
from payhub_core.flow import Flow
from payhub_core.hookspecs import hookimpl
from payhub_core.models import Notification, Payment, Refund
from payhub_core.version import VERSION

try:
    from opentelemetry import trace
except ImportError as _missing:
    raise ConfigError(
        f"nothing can be traced: {_missing.name} is not installed", hint="pip install 'payhub-core[otel]'"
    ) from _missing

__all__ = ["Tracing", "hide_query", "hide_query_async"]

T = TypeVar("T")
Wrapper: TypeAlias = Generator[None, Flow[T], Flow[T]]


class Tracing:
    """An extension that makes a span of each call of a hook: ``Hub(accounts, extensions=[Tracing()])``.

    A span is named ``payhub VERB`` and has the attributes ``payhub.verb``, ``payhub.account``, ``payhub.provider``,
    ``payhub.outcome``, and ``error.type`` where the call failed. The outcome is the status that the call came to,
    "other" for a message about no payment, "error", or "abandoned" where the caller did not wait for the end.

    Of the order there is nothing in it: no number, unless ``references`` asks for ``payhub.reference``, no sum, no text
    of an error, no address. Without a ``tracer_provider`` it is OpenTelemetry's global one.
    """

    def __init__(self, *, references: bool = False, tracer_provider: trace.TracerProvider | None = None) -> None:
        self._references = references
        self._tracer = trace.get_tracer("payhub", VERSION, tracer_provider)

    @hookimpl(wrapper=True)
    def create_payment(self, account: str) -> Wrapper[Payment]:
        """Traces it."""
        return self._traced("create_payment", account, (yield))

    @hookimpl(wrapper=True)
    def parse_callback(self, account: str) -> Wrapper[Notification]:
        """Traces it."""
        return self._traced("parse_callback", account, (yield))

    @hookimpl(wrapper=True)
    def query(self, account: str) -> Wrapper[Payment]:
        """Traces each try of it."""
        return self._traced("query", account, (yield))

    @hookimpl(wrapper=True)
    def refund(self, account: str) -> Wrapper[Refund]:
        """Traces it."""
        return self._traced("refund", account, (yield))

    @hookimpl(wrapper=True)
    def close(self, account: str) -> Wrapper[Payment]:
        """Traces it."""
        return self._traced("close", account, (yield))

    def _traced(self, verb: str, account: str, flow: Flow[Any]) -> Flow[Any]:
        with self._tracer.start_as_current_span(
            f"payhub {verb}",
            attributes={"payhub.verb": verb, "payhub.account": account, "payhub.outcome": "abandoned"},
            # An error's text may name the order, and quote what the gateway said.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                result = yield from flow
            except Exception as error:
                span.set_status(trace.StatusCode.ERROR)
                span.set_attributes({"payhub.outcome": "error", "error.type": type(error).__name__})
                if isinstance(error, PayhubError):
                    self._about(span, error)
                raise
            about = result.payment or result.refund if isinstance(result, Notification) else result
            span.set_attribute("payhub.outcome", "other" if about is None else about.status.value)
            if about is not None:
                self._about(span, about)
            return result

    def _about(self, span: trace.Span, about: Payment | Refund | PayhubError) -> None:
        if about.provider:
            span.set_attribute("payhub.provider", about.provider)
        if self._references and about.reference:
            span.set_attribute("payhub.reference", about.reference)


class _Sent(Protocol):
    """What the instrumentation of httpx tells of a request."""

    @property
    def url(self) -> Any:
        """An `httpx.URL`."""
        ...


def hide_query(span: trace.Span, request: _Sent) -> None:
    """A ``request_hook`` for OpenTelemetry's instrumentation of httpx: leaves the query out of the span's address.

    A signed query is as good as the order's number and its signature.
    """
    address = str(request.url).partition("?")[0]
    attributes = getattr(span, "attributes", None) or {}
    for name in ("http.url", "url.full"):  # the old name and the new one, whichever is used
        if name in attributes:
            span.set_attribute(name, address)


async def hide_query_async(span: trace.Span, request: _Sent) -> None:
    """`hide_query` as the ``async_request_hook``."""
    hide_query(span, request)
