"""What the payer opens next came from the gateway, or from whoever altered its answer."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from payhub_core import FormPost, QrCode, Redirect

HOSTILE = [
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "https://pay.example/\r\nSet-Cookie: a=1",
    "https://pay.example/\x00",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_no_next_action_runs_what_it_holds(url: str) -> None:
    """No author can forget it: a provider that passes it on ends in an error of payhub's."""
    for make in (lambda: Redirect(url=url), lambda: QrCode(content=url), lambda: FormPost(url=url, fields={})):
        with pytest.raises(ValidationError):
            make()


@pytest.mark.parametrize(
    "url",
    [
        "https://pay.example/茶?a=1",
        "weixin://wxpay/bizpayurl?pr=1",
        "alipays://platformapi",
        "wxp://f2f0",
        "00020101021226",
    ],
)
def test_addresses_of_wallets_and_codes_pass(url: str) -> None:
    """Their schemes are an open set, and a code may hold any text."""
    assert Redirect(url=url).url == QrCode(content=url).content == FormPost(url=url, fields={}).url == url
