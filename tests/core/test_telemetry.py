"""Telemetry: one span a hook, with nothing in it that only the shop may know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.hubs import EitherHub

from payhub_core import Hub, Money, OutcomeUnknown, WrongOrder, hookimpl, load_accounts
from payhub_core.hookspecs import HOOKS
from payhub_core.telemetry import Tracing, hide_query, hide_query_async

#: What may stand in no span, of the order and the account that the tests use.
KNOWN_TO_THE_SHOP = ("A1001", "10000", "100.00", "Tea", "shop.example", "c1277", "P2019", "sign")


class Spans:
    """The spans that have ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def ended(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def only(self) -> dict[str, Any]:
        (span,) = self.ended()
        return {"name": span.name, "status": span.status.status_code.name, **(span.attributes or {})}

    def text(self) -> str:
        """All that would be exported."""
        return "".join(span.to_json() for span in self.ended())


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    yield spans
    spans.provider.shutdown()


@pytest.fixture
def open_traced(open_hub: Callable[..., EitherHub], spans: Spans) -> Callable[..., EitherHub]:
    """Opens a traced hub over scripted answers."""

    def start(answers: Any, **options: Any) -> EitherHub:
        return open_hub(answers, extensions=[Tracing(tracer_provider=spans.provider, **options)])

    return start


def test_a_hook_is_a_span_with_what_it_came_to(
    open_traced: Any, gateway: Any, platform: Any, order: Any, spans: Spans
) -> None:
    """Verb, account, provider, outcome: of the order nothing at all."""
    open_traced(gateway(platform.create_reply())).create_payment("shop", order)
    assert spans.only() == {
        "name": "payhub create_payment",
        "status": "UNSET",
        "payhub.verb": "create_payment",
        "payhub.account": "shop",
        "payhub.provider": "gpu",
        "payhub.outcome": "pending",
    }
    assert [word for word in KNOWN_TO_THE_SHOP if word in spans.text()] == []


def test_a_failure_is_told_by_its_type_alone(open_traced: Any, gateway: Any, order: Any, spans: Spans) -> None:
    """Its text would name the order."""
    with pytest.raises(OutcomeUnknown):
        open_traced(gateway(httpx.ReadTimeout("about A1001"))).create_payment("shop", order)
    told = spans.only()
    assert (told["status"], told["payhub.outcome"], told["error.type"]) == ("ERROR", "error", "OutcomeUnknown")
    assert told["payhub.provider"] == "gpu"
    assert spans.ended()[0].events == ()
    assert [word for word in KNOWN_TO_THE_SHOP if word in spans.text()] == []


def test_callbacks_and_queries_are_traced(
    open_traced: Any, gateway: Any, platform: Any, order: Any, spans: Spans
) -> None:
    """A callback that is refused, one that is believed, and a query."""
    hub = open_traced(gateway(platform.query_reply()))
    with pytest.raises(WrongOrder):
        hub.parse_callback("shop", platform.callback(platform.notify(order_no="B2")), expect=order)
    hub.parse_callback("shop", platform.callback(platform.notify()), expect=order)
    hub.query("shop", "A1001", expect=order)
    told = [(span.name, span.attributes["payhub.outcome"]) for span in spans.ended() if span.attributes]
    assert told == [("payhub parse_callback", "error"), ("payhub parse_callback", "paid"), ("payhub query", "paid")]
    assert [word for word in KNOWN_TO_THE_SHOP if word in spans.text()] == []


def test_each_try_of_a_query_is_a_span(open_traced: Any, gateway: Any, platform: Any, order: Any, spans: Spans) -> None:
    """So that a trace shows which of them failed."""
    hub = open_traced(gateway(httpx.ReadTimeout("x"), platform.query_reply()))
    hub.query("shop", "A1001", expect=order)
    assert [span.attributes["payhub.outcome"] for span in spans.ended() if span.attributes] == ["error", "paid"]


def test_refunds_and_closing_are_traced(spans: Spans, make_order: Any) -> None:
    """By the provider that can do both."""
    accounts = load_accounts({"accounts": {"shop": {"provider": "dummy", "development": True}}})
    with Hub(accounts, extensions=[Tracing(tracer_provider=spans.provider)]) as hub:
        paid, failed = make_order(), make_order(reference="A1002", amount=Money.of("1.02", "CNY"))
        created = [hub.create_payment("shop", order) for order in (paid, failed)]
        hub.refund("shop", "A1001", created[0].gateway_id, Money.of("1.00", "CNY"), "R1")
        hub.close_payment("shop", "A1002", created[1].gateway_id)
    told = [(span.name, span.attributes["payhub.outcome"]) for span in spans.ended()[2:] if span.attributes]
    assert told == [("payhub refund", "refunded"), ("payhub close", "canceled")]


@pytest.mark.parametrize("fails", [False, True])
def test_the_order_number_is_there_where_the_application_asks(
    open_traced: Any, gateway: Any, platform: Any, order: Any, spans: Spans, fails: bool
) -> None:
    """Nothing else of the order is."""
    hub = open_traced(gateway(httpx.ReadTimeout("x") if fails else platform.create_reply()), references=True)
    try:
        hub.create_payment("shop", order)
    except OutcomeUnknown:
        assert fails
    assert spans.only()["payhub.reference"] == "A1001"
    assert [word for word in KNOWN_TO_THE_SHOP if word in spans.text()] == ["A1001"]


def test_a_message_about_no_payment_has_an_outcome(
    open_hub: Any, gateway: Any, tiny: Any, tiny_callback: Any, spans: Spans
) -> None:
    """A ping."""
    account = tiny(secret="secret-of-the-tiny-account")
    extensions = [Tracing(tracer_provider=spans.provider)]
    hub = open_hub(gateway(), accounts={"tiny": account}, extensions=extensions)
    hub.parse_callback("tiny", tiny_callback(account, {"ping": 1}))
    assert spans.only()["payhub.outcome"] == "other"


def test_what_nobody_waits_for_ends_its_span(spans: Spans) -> None:
    """As when a task is cancelled: the conversation is closed where it stands."""

    def talk() -> Any:
        yield httpx.Request("GET", "https://gateway.example")

    flow = Tracing(tracer_provider=spans.provider)._traced("query", "shop", talk())
    next(flow)
    assert spans.ended() == ()
    flow.close()
    assert spans.only()["payhub.outcome"] == "abandoned"
    assert not trace.get_current_span().get_span_context().is_valid


class Mine:
    """An extension of the application's, which makes a span of its own."""

    def __init__(self, spans: Spans) -> None:
        self.tracer = spans.provider.get_tracer("mine")

    @hookimpl(wrapper=True)
    def create_payment(self) -> Any:
        return self.around((yield))

    def around(self, flow: Any) -> Any:
        with self.tracer.start_as_current_span("mine"):
            return (yield from flow)


def test_what_happens_inside_a_hook_is_below_its_span(
    open_hub: Any, gateway: Any, platform: Any, order: Any, spans: Spans
) -> None:
    """In threads and in event loops."""
    extensions = [Tracing(tracer_provider=spans.provider), Mine(spans)]
    open_hub(gateway(platform.create_reply()), extensions=extensions).create_payment("shop", order)
    inner, outer = spans.ended()
    assert (inner.name, outer.name) == ("mine", "payhub create_payment")
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


@pytest.fixture
def query_over_http(
    open_hub: Callable[..., EitherHub], settings: dict[str, Any], spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Sends a signed query over a socket where nobody answers, with httpx instrumented."""
    instrumentor = HTTPXClientInstrumentor()

    def query(*, excluded: str = "", **hooks: Any) -> None:
        monkeypatch.setenv("OTEL_PYTHON_HTTPX_EXCLUDED_URLS", excluded)
        instrumentor.instrument(tracer_provider=spans.provider, **hooks)
        accounts = load_accounts({"accounts": {"shop": {**settings, "base_url": "http://127.0.0.1:9"}}})
        hub = open_hub(accounts=accounts, extensions=[Tracing(tracer_provider=spans.provider)])
        with pytest.raises(Exception, match="could not reach the gateway"):
            hub.query("shop", "A1001")

    yield query
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def addresses(spans: Spans) -> set[Any]:
    """Those of the requests, all of which are below a span of payhub's."""
    requests = [span for span in spans.ended() if not span.name.startswith("payhub")]
    hooks = {span.context.span_id for span in spans.ended() if span.name == "payhub query" and span.context}
    assert {span.parent.span_id for span in requests if span.parent} <= hooks
    return {(span.attributes or {})["http.url"] for span in requests}


def test_the_instrumentation_of_httpx_shows_signatures_unless_it_is_told_not_to(
    query_over_http: Callable[..., None], spans: Spans
) -> None:
    """Which is why there is something to tell it."""
    query_over_http()
    assert "sign=" in spans.text()
    assert "A1001" in spans.text()


def test_with_the_hook_no_query_is_in_a_span(query_over_http: Callable[..., None], spans: Spans) -> None:
    """The host and the path stay."""
    query_over_http(request_hook=hide_query, async_request_hook=hide_query_async)
    (address,) = addresses(spans)
    assert address.startswith("http://127.0.0.1:9/")
    assert [word for word in ("?", "sign=", "A1001") if word in spans.text()] == []


def test_a_gateway_that_is_excluded_has_no_spans_but_payhubs(
    query_over_http: Callable[..., None], spans: Spans
) -> None:
    """The list of OpenTelemetry's own."""
    query_over_http(excluded="127.0.0.1")
    assert {span.name for span in spans.ended()} == {"payhub query"}


def test_without_the_extra_it_says_what_to_install() -> None:
    """And nothing else of payhub needs it."""
    code = "import sys\nsys.modules['opentelemetry'] = None\nimport payhub_core\nimport payhub_core.telemetry"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "pip install 'payhub-core[otel]'" in done.stderr.splitlines()[-1]


def test_every_hook_is_traced() -> None:
    """One that is added to the table is not left out here."""
    assert set(HOOKS) <= set(vars(Tracing))
