"""Cases about next actions: where a payer is sent."""

from __future__ import annotations

from payhub_core.models import Payment
from payhub_core.testing.bench import Bench
from payhub_core.testing.case import NotApplicable, case
from payhub_core.testing.cases.creates import methods
from payhub_core.testing.outcome import expect

PAGE = "hooks.md#create_payment"
HOSTILE = (
    "javascript:alert(document.cookie)",
    "JavaScript:alert(1)//https://pay.example",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "https://pay.example/\r\nSet-Cookie: paid=1",
    "https://pay.example/\x00",
    "https://pay.example/\x1b[2J",
)


@case(
    "create.action",
    "the payer is sent where the gateway's answer says",
    "A page that is the same for every order is paid once, and everybody else waits for his goods.",
    PAGE,
)
def _action(bench: Bench) -> None:
    played = False
    for method in methods(bench):
        order = bench.order(method=method)
        for word in ("oolong1277", "sencha1277"):
            outcome = bench.create(order, bench.sale(order, url=f"https://pay.example/{word}"))
            if not any(word.encode() in answer for answer in outcome.answers):
                break
            played = True
            action = outcome.payment.next_action
            shown = str(action and action.model_dump())
            by = f" by {method}" if method else ""
            expect(word in shown, f"a next action{by} of {word!r}, which the answer says", shown)
    if not played:
        raise NotApplicable("the answer brings no address")


@case(
    "create.hostile",
    "a next action that would run a script, or that breaks a header, is refused",
    "Whoever can alter the gateway's answer must not run his script in the payer's session.",
    PAGE,
)
def _hostile(bench: Bench) -> None:
    if not _followed(bench, "https://pay.example/c1277"):
        raise NotApplicable("the answer brings no address")
    for url in HOSTILE:
        found = _followed(bench, url)
        expect(found is None, f"an error, or no next action, for {url!r}", f"the next action {found}")


def _followed(bench: Bench, url: str) -> str | None:
    """The next action, where it is made of ``url``."""
    outcome = bench.create(sale=bench.sale(url=url))
    if not isinstance(outcome.result, Payment) or outcome.result.next_action is None:
        return None
    action = outcome.result.next_action.model_dump()
    return str(action) if url.strip() in map(str.strip, map(str, action.values())) or _inside(url, action) else None


def _inside(url: str, action: dict[str, object]) -> bool:
    return any(url in str(value) for value in action.values())
