"""Logs: what payhub says, and what its filter takes out of httpx's lines."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from typing import Any

import pytest

from payhub_core import BadSignature, RedactSignatures, Refused
from payhub_core.logs import redact
from payhub_core.redaction import Redaction


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET https://x.example/?a=1&sign=abc&b=2", "GET https://x.example/?a=1&sign=***&b=2"),
        ("?sign=abc", "?sign=***"),
        ("SIGN=ABC", "SIGN=***"),
        ("https://x.example/api.php?act=order&key=abc&a=1", "https://x.example/api.php?act=order&key=***&a=1"),
        ("signature=abc secret=def", "signature=*** secret=***"),
        ('"https://x.example/?sign=abc" "HTTP/1.1 200 OK"', '"https://x.example/?sign=***" "HTTP/1.1 200 OK"'),
        ("design=abc&monkey=abc", "design=abc&monkey=abc"),
        ("sign=", "sign="),
        ("/a?b%3D1%26sign%3Dabc%26c%3D2", "/a?b%3D1%26sign%3D***%26c%3D2"),
        ('{"sign":"abc/+=","a": "b"}', '{"sign":"***","a": "b"}'),
        (r"{\"key\": \"abc\", \"a\": 1}", r"{\"key\": \"***\", \"a\": 1}"),
        ("array ('sign' => 'abc', 'a' => 'b')", "array ('sign' => '***', 'a' => 'b')"),
        ("[sign] => abc [a] => b", "[sign] => *** [a] => b"),
        ("<a>b</a><sign><![CDATA[abc]]></sign>", "<a>b</a><sign><![CDATA[***]]></sign>"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
        ("compare the key: sign: and secret, key -> x", "compare the key: sign: and secret, key -> x"),
    ],
)
def test_signatures_are_redacted(text: str, clean: str) -> None:
    """Their values, and nothing else; in errors, of which most are only glanced at, as well."""
    assert redact(text) == clean
    error = Refused("the gateway refused", reason=text)
    Redaction(object()).error(error)
    assert error.reason == clean


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("httpx", logging.INFO, "", 0, message, args, None)


def test_the_filter_rewrites_and_never_drops() -> None:
    """With arguments or without."""
    one, two = record("%s %s", "GET", "https://x.example/?sign=abc"), record("plain %s", "text")
    assert RedactSignatures().filter(one)
    assert one.getMessage() == "GET https://x.example/?sign=***"
    assert RedactSignatures().filter(two)
    assert (two.msg, two.args) == ("plain %s", ("text",))


def test_the_filter_rewrites_a_traceback_too() -> None:
    """Any formatter shows the text; a traceback without a signature keeps its error."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactSignatures())
    kept = []
    for text in ("GET /?sign=abc&a=1", "plain"):
        line = logging.LogRecord("shop", logging.ERROR, "", 0, "failed", (), (ValueError, ValueError(text), None))
        handler.handle(line)
        kept.append(line.exc_info is not None)
    assert "ValueError: GET /?sign=***&a=1" in out.getvalue()
    assert "abc" not in out.getvalue()
    assert kept == [False, True]


def test_a_log_line_that_is_itself_broken_is_left_to_logging() -> None:
    """Logging reports it; a filter that raised would break the program that logs."""
    assert RedactSignatures().filter(record("%d %d", "one"))


def test_httpx_lines_pass_the_filter_without_a_signature(
    open_hub: Any, gateway: Any, platform: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The recipe: the filter on the handler."""
    caplog.handler.addFilter(RedactSignatures())
    with caplog.at_level(logging.DEBUG):
        open_hub(gateway(platform.query_reply())).query("shop", "A1001")
    lines = [line.getMessage() for line in caplog.records if line.name == "httpx"]
    assert len(lines) == 1
    assert "order_no=A1001&sign=*** " in lines[0].replace('"', " ")


def test_events_have_fields_for_machines(
    open_hub: Any, gateway: Any, platform: Any, order: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Under payhub.*, with account, reference and status beside the text."""
    hub = open_hub(gateway(platform.create_reply(), platform.query_reply()))
    with caplog.at_level(logging.INFO, "payhub"):
        hub.create_payment("shop", order)
        hub.query("shop", "A1001")
        hub.parse_callback("shop", platform.callback(platform.notify()))
    records: list[Any] = [line for line in caplog.records if line.name.startswith("payhub.")]
    assert [line.account for line in records] == ["shop"] * 3
    assert [line.reference for line in records] == ["A1001"] * 3
    assert [line.status for line in records] == ["pending", "paid", "paid"]


def test_a_hub_raises_a_refusal_and_leaves_the_log_to_its_caller(
    open_hub: Any, platform: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A checkout logs it; a record costs half a callback, and anyone can send one that is refused."""
    with caplog.at_level(logging.DEBUG, "payhub"), pytest.raises(BadSignature):
        open_hub().parse_callback("shop", platform.callback(b"a=1"))
    assert not caplog.records


def test_a_retry_prints_nothing_where_logging_is_not_configured() -> None:
    """Bare lines on the error output are no use to the program that retries."""
    program = (
        "import httpx; from payhub_core import *\n"
        "def down(_): raise httpx.ConnectError('down')\n"
        "settings = {'base_url': 'https://gateway.example', 'appid': 'gpu10000000', 'secret': 'c1277-throw-away-key'}\n"
        "accounts = load_accounts({'accounts': {'shop': {'provider': 'gpu', **settings}}})\n"
        "hub = Hub(accounts, client=httpx.Client(transport=httpx.MockTransport(down)))\n"
        "try: hub.query('shop', 'A1')\n"
        "except NotSent: print('not sent')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("not sent\n", "")
