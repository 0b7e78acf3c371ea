"""The payer's pages: each stands by itself; its script tells the language, and looks again until all is settled."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from urllib.parse import urlsplit

from payhub_core.errors import ConfigError
from payhub_core.models import Payment
from payhub_core.web.answers import PRIVATE, Answer, make_answer
from payhub_core.web.words import Language, State, labels, language, payment_state, words

__all__ = ["AGAIN", "COLOURS", "Pages", "digest"]

#: The header of a request that only looks again: such a one is not recorded.
AGAIN = "x-payhub-again"

_MARKS: Mapping[State, str] = {"paid": "✓", "refunded": "↩", "short": "!", "failed": "✕", "404": "?", "405": "?"}
_OPEN: frozenset[State] = frozenset({"claimed", "failed", "checking"})
_TAGS: Mapping[Language, str] = {"en": "en", "zh": "zh-CN"}

#: The colours of every page, light and dark: what is written in them can be read on a card.
COLOURS = (
    ":root{color-scheme:light dark;--ink:#1c2330;--soft:#5b6472;--page:#f3f5f9;--card:#fff;--line:#dfe3eb;"
    "--green:#067647;--amber:#93500a;--red:#b42318;--blue:#1763d6}"
    "@media(prefers-color-scheme:dark){:root{--ink:#eef1f6;--soft:#a6b0c0;--page:#12161d;--card:#1b212b;"
    "--line:#323b4a;--green:#5fd39a;--amber:#f2b04c;--red:#ff8a80;--blue:#7db0ff}}"
)
STYLE = (
    COLOURS + "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:var(--page);"
    "color:var(--ink);font:17px/1.6 system-ui,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif}"
    "main{--tone:var(--blue);width:100%;max-width:27rem;padding:2rem 1.5rem;text-align:center;overflow-wrap:anywhere;"
    "background:var(--card);border:1px solid var(--line);border-top:6px solid var(--tone);border-radius:14px}"
    ".paid{--tone:var(--green)}.short{--tone:var(--amber)}.failed{--tone:var(--red)}"
    ".shop{margin:0 0 1.25rem;font-weight:600}"
    ".mark{display:grid;place-items:center;width:4rem;height:4rem;margin:0 auto 1rem;border-radius:50%;"
    "background:var(--tone);color:var(--card);font-size:2rem;font-weight:700;line-height:1}"
    "h1{font-size:1.5rem;line-height:1.3;margin:0 0 .75rem;color:var(--tone)}p{margin:.5rem 0}"
    "dl{display:grid;grid-template-columns:auto 1fr;gap:.35rem 1rem;margin:1.25rem 0;padding:1rem 0;text-align:left;"
    "border:1px solid var(--line);border-width:1px 0}dt{color:var(--soft)}dd{margin:0;text-align:right;font-weight:600}"
    "a{color:var(--blue)}a:focus-visible{outline:3px solid var(--blue);outline-offset:3px}"
    ".home{display:block;margin:1.5rem 0 .75rem;padding:.7rem 1rem;border:1px solid var(--tone);border-radius:10px;"
    "color:var(--tone);font-weight:600;text-decoration:none}"
    ".other{display:none}.other:target{display:block}.other:target~.first{display:none}"
)
#: The tab and a screen reader have the language that is shown, also once the link to the other was followed.
SPEAK = (
    "function speak(){const said=document.querySelector('.other:target')||document.querySelector('.first'),"
    "shop=said.querySelector('.shop');document.documentElement.lang=said.lang;"
    "document.title=said.querySelector('h1').textContent+(shop?' · '+shop.textContent:'')}"
    "addEventListener('hashchange',speak);speak();"
)
#: What a browser posted is posted again with each look, since it is the proof of what the page says; at most so much.
_LONGEST_POSTED = 4096
# Too long a one is looked up without. So a claim is only replaced by what is settled.
LOOK = (
    "let n=0;const main=document.querySelector('main'),posted=main.dataset.posted;function later(){"
    "setTimeout(look,Math.min(2000*1.2**n++,60000))}"
    "async function look(){if(!document.hidden)try{"
    f"const headers={{'{AGAIN}':'1'}};if(posted)headers['content-type']='application/x-www-form-urlencoded';"
    "const answer=await fetch(location.href,"
    "{cache:'no-store',method:posted?'POST':'GET',body:posted||undefined,headers});"
    "const page=new DOMParser().parseFromString(await answer.text(),'text/html');"
    "const fresh=page.querySelector('main[data-state]');"
    "if(answer.ok&&fresh&&(!fresh.dataset.open||main.dataset.state=='checking')){"
    "for(const part of main.children)part.replaceChildren(...page.getElementById(part.id).childNodes);"
    "main.className=main.dataset.state=fresh.dataset.state;speak();"
    "if(!fresh.dataset.open)return}"
    "}catch{}later()}later()"
)


def digest(text: str) -> str:
    """What a content security policy allows ``text`` by."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY = f"default-src 'none'; style-src {digest(STYLE)}; script-src {digest(SPEAK)}; "
_POLICY_OPEN = f"default-src 'none'; style-src {digest(STYLE)}; script-src {digest(SPEAK + LOOK)}; connect-src 'self'; "
_POLICY_END = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one shop; ``shop`` is its name and ``home`` the address of the way back, each empty for none.

    Raises ConfigError for a ``home`` that is neither an http(s) URL nor a path that begins with one slash.
    """

    shop: str = ""
    home: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.home, str) or not isinstance(self.shop, str):
            raise ConfigError("shop and home: expected text, empty for none")
        parts = urlsplit(self.home)
        is_path = self.home.startswith("/") and not self.home.startswith(("//", "/\\"))
        if self.home and not is_path and not (parts.scheme in {"http", "https"} and parts.hostname):
            raise ConfigError("home: expected the shop's address, such as https://shop.example/ or /")

    def payment(self, payment: Payment | None, accepted: str, posted: bytes = b"") -> Answer:
        """What is known of ``payment``, or that it is being checked; ``accepted`` is the Accept-Language header.

        Without a claim that was proved, whoever looks may have guessed the reference: neither it nor a sum is shown.
        ``posted`` is the form that the browser brought.
        """
        return self._page(200, payment_state(payment), accepted, payment, posted)

    def missing(self, accepted: str) -> Answer:
        """404, the same for an account that is not configured and for an address that is none."""
        return self._page(404, "404", accepted)

    def not_allowed(self, accepted: str, methods: tuple[str, ...]) -> Answer:
        """405, with the methods that are served."""
        return self._page(405, "405", accepted, allow=", ".join(methods))

    def _page(
        self,
        status_code: int,
        state: State,
        accepted: str,
        payment: Payment | None = None,
        posted: bytes = b"",
        **headers: str,
    ) -> Answer:
        first = language(accepted)
        other: Language = "en" if first == "zh" else "zh"
        is_open = state in _OPEN
        attributes = ""
        if is_open:
            proof = escape(posted.decode("latin-1")) if posted.isascii() and len(posted) <= _LONGEST_POSTED else ""
            attributes = f' data-open=1 data-posted="{proof}"'
        title = words(state, first).heading + (f" · {self.shop}" if self.shop else "")
        html = (
            f'<!doctype html><html lang="{_TAGS[first]}"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
            f"<title>{escape(title)}</title><style>{STYLE}</style>"
            f'<main class="{state}" data-state="{state}"{attributes} aria-live="polite">'
            f'<section id="{other}" class="other" lang="{_TAGS[other]}">{self._said(state, other, payment)}</section>'
            f'<section id="{first}" class="first" lang="{_TAGS[first]}">{self._said(state, first, payment)}</section>'
            f"</main><script>{SPEAK}{LOOK if is_open else ''}</script></html>"
        )
        policy = (_POLICY_OPEN if is_open else _POLICY) + _POLICY_END
        headers = {**PRIVATE, "content-security-policy": policy, **headers}
        return make_answer(status_code, "text/html; charset=utf-8", html.encode(), headers)

    def _said(self, state: State, spoken: Language, payment: Payment | None) -> str:
        said = words(state, spoken)
        *_, home, home_of_shop, again = labels(spoken)
        name = f'<p class="shop">{escape(self.shop)}</p>' if self.shop else ""
        home = home_of_shop.format(shop=self.shop) if self.shop else home
        way_home = f'<a class="home" href="{escape(self.home)}">{escape(home)}</a>' if self.home else ""
        look_again = f'<noscript><p><a href="">{again}</a></p></noscript>' if state in _OPEN else ""
        link = '<a href="#zh" lang="zh-CN">中文</a>' if spoken == "en" else '<a href="#en" lang="en">English</a>'
        return (
            f'{name}<div class="mark" aria-hidden="true">{_MARKS.get(state, "…")}</div>'
            f"<h1>{said.heading}</h1><p>{said.sentence}</p>{_sums(payment, spoken)}{look_again}{way_home}<p>{link}</p>"
        )


def _sums(payment: Payment | None, spoken: Language) -> str:
    if payment is None or payment.claimed_status is None:
        return ""
    order, received, due, paid_back, *_ = labels(spoken)
    shown = (
        (order, payment.reference),
        (received, payment.paid),
        (due, payment.amount if payment.amount != payment.paid else None),
        (paid_back, payment.refunded),
    )
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{escape(str(what))}</dd>' for name, what in shown if what)}</dl>"
