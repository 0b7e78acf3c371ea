"""The page of a report: one file that runs no script and fetches nothing. All that others wrote is escaped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from html import escape

from payhub_core.cli.report_words import CHINESE, ENGLISH, Words
from payhub_core.errors import plain
from payhub_core.ledger.report import Received, Report
from payhub_core.money import Money
from payhub_core.times import when
from payhub_core.web.pages import COLOURS, digest

__all__ = ["STYLE", "page"]

#: So many accounts are shown one by one.
MOST = 50
_TALL, _WIDE = 100, 10

STYLE = (
    COLOURS + "*{box-sizing:border-box}"
    "body{margin:0;padding:1rem;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif}"
    "main{max-width:64rem;margin:0 auto}h1{font-size:1.6rem;margin:.5rem 0 0}h2{font-size:1.15rem;margin:0 0 .5rem}"
    "h3{font-size:1rem;margin:1rem 0 .25rem}p{margin:.25rem 0 .75rem}.soft{color:var(--soft)}"
    "section,.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1rem 1.25rem;"
    "margin:1rem 0;overflow-wrap:break-word}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(clamp(9.5rem,34vw,12.75rem),1fr));"
    "gap:1rem;margin:1rem 0}"
    ".card{margin:0;border-top:5px solid var(--blue);color:inherit;text-decoration:none}.card b{display:block;"
    "font-size:clamp(.8rem,3.2vw,1.15rem);line-height:1.4;white-space:nowrap}.good{border-top-color:var(--green)}.bad{border-top-color:var(--red)}"
    ".bad h2,.bad b{color:var(--red)}section.bad{border-top:5px solid var(--red)}"
    ".scroll{overflow-x:auto}table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th{color:var(--soft);font-weight:600;white-space:nowrap}"
    "th,td{padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line);"
    "text-align:left;vertical-align:top}.n{text-align:right;white-space:nowrap}td.t{white-space:nowrap}"
    "svg{display:block;width:100%;height:7rem;background:var(--page);border-radius:6px}"
    "summary svg,td svg{height:2rem}td svg{min-width:8rem;height:1.3rem}rect{fill:var(--blue)}.part{opacity:.55}"
    ".axis{display:flex;justify-content:space-between;color:var(--soft);font-size:.85rem}"
    "details{border-bottom:1px solid var(--line);padding:.4rem 0}"
    "summary{cursor:pointer;overflow-wrap:anywhere}"
    "summary span{display:inline-flex;width:calc(100% - 1.5rem);justify-content:space-between;"
    "gap:1rem}"
    "code{font-size:.9em;overflow-wrap:anywhere}.w{min-width:12rem}"
    "a:focus-visible,summary:focus-visible{outline:3px solid var(--blue);outline-offset:2px}"
    # On a phone each row stands by itself, each of its cells beside the name of its column.
    "@media(max-width:40rem){.scroll :is(table,tbody,tr){display:block}.scroll tr:first-child{display:none}"
    ".scroll tr{padding:.4rem 0;border-bottom:1px solid var(--line)}"
    ".scroll tr td{display:flex;justify-content:space-between;gap:1rem;padding:.15rem 0;border:0;text-align:right;"
    "white-space:normal;overflow-wrap:anywhere;min-width:0}"
    ".scroll td::before{content:attr(data-head);color:var(--soft);text-align:left;white-space:nowrap}}"
    "@media print{body{background:none}section{break-inside:avoid}}"
)
_POLICY = f"default-src 'none'; style-src {digest(STYLE)}; base-uri 'none'; form-action 'none'"


def page(found: Report, language: str) -> str:
    """The page, in English ("en") or Chinese ("zh")."""
    say = CHINESE if language == "zh" else ENGLISH
    made = say.made.format(time=when(found.health.at))
    return (
        f'<!doctype html><html lang="{say.tag}"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{say.title} {found.health.at:%Y-%m-%d}</title><style>{STYLE}</style><main>"
        f'<h1>{say.title}</h1><p class="soft">{made}</p>{_cards(found, say)}{_odd(found, say)}{_silent(found, say)}'
        f"{_changed(found, say)}{_received(found, say)}{_pending(found, say)}</main></html>\n"
    )


def _cards(found: Report, say: Words) -> str:
    odd = sum(it.open_anomalies for it in found.health.accounts)
    silent = sum(it.is_silent for it in found.health.accounts)
    taken = [_text(total) for _, total in sorted(_added(it.last for it in found.taken).items())] or ["0"]
    return (
        '<div class="cards">'
        + _card("odd", say.odd, [f"{odd:,}"], "bad" if odd else "good")
        + _card("silent", say.silent, [f"{silent:,}"], "bad" if silent else "good")
        + _card("received", say.last_day, taken, "")
        + _card("pending", say.names["pending"], [f"{sum(it.count for it in found.pending):,}"], "")
        + "</div>"
    )


def _card(section: str, title: str, figures: Iterable[str], tone: str) -> str:
    shown = "".join(f"<b>{figure}</b>" for figure in figures)
    return f'<a class="card {tone}" href="#{section}">{title}{shown}</a>'


def _odd(found: Report, say: Words) -> str:
    rows = [
        (
            _short(say.kind(it.anomaly.name)),
            _short(it.account),
            _short(it.reference),
            _number(_text(it.anomaly.received)),
            _number(_text(it.anomaly.due)),
            _short(_minute(it.at)),
        )
        for it in found.odd
    ]
    count = sum(it.open_anomalies for it in found.health.accounts)
    cut = say.odd_cut.format(shown=len(rows), count=count) if count > len(rows) else ""
    return _section("odd", say.odd, _table(say.odd_head, rows) + _soft(cut) if rows else _soft(say.no_odd), rows)


def _silent(found: Report, say: Words) -> str:
    rows = [
        (
            _short(it.account),
            _short(_minute(it.unanswered_at)),
            _short(_minute(it.answered_at)),
            f'<td class="w">{escape(say.told(plain(it.unanswered, 300)))}</td>',
            f"<td><code>payhub doctor --connect --account {escape(it.account)}</code></td>",
        )
        for it in found.health.accounts
        if it.is_silent
    ]
    inner = _table(say.silent_head, rows) if rows else _soft(say.no_silent)
    findings = say.findings.format(count=len(found.health.findings))
    return _section("silent", say.silent, inner + _soft(findings), rows)


def _changed(found: Report, say: Words) -> str:
    if not found.changed and not found.taken:
        return _section("changed", say.changed, _soft(say.no_change))

    def rows(account: str | None) -> Iterable[Sequence[str]]:
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for it in found.changed:
            if account in {None, it.account}:
                counts[it.what][0] += it.last
                counts[it.what][1] += it.before
        own = [it for it in found.taken if account in {None, it.account}]
        sums, earlier = _added(it.last for it in own), _added(it.before for it in own)
        first = sorted(counts.items(), key=lambda item: (item[0] != "started", item[0] != "paid", item[0]))
        return [
            (_short(say.name(what)), _number(f"{last:,}"), _number(f"{before:,}"), _number(f"{last - before:+,}"))
            for what, (last, before) in first
        ] + [
            (
                _short(say.names["received"]),
                _number(_text(last)),
                _number(_text(earlier[currency])),
                _number(_text(last - earlier[currency], "+")),
            )
            for currency, last in sorted(sums.items())
        ]

    busy: dict[str, int] = defaultdict(int)
    for it in found.changed:
        busy[it.account] += it.last + it.before
    parts = _each(
        busy, busy.get, lambda account: _details(escape(account), _table(say.changed_head, rows(account))), say
    )
    inner = _soft(say.changed_note) + _table(say.changed_head, rows(None))
    return _section("changed", say.changed, f"{inner}<h3>{say.by_account}</h3>{parts}")


def _received(found: Report, say: Words) -> str:
    by_currency: dict[str, list[Received]] = defaultdict(list)
    for it in found.received:
        by_currency[it.paid.currency].append(it)
    parts = []
    for currency, items in sorted(by_currency.items()):
        by_account: dict[str, list[Received]] = defaultdict(list)
        for it in items:
            by_account[it.account].append(it)
        counts = {account: sum(it.count for it in own) for account, own in by_account.items()}

        def one(account: str, by_account: Mapping[str, list[Received]] = by_account) -> str:
            own = by_account[account]
            head = f"<span>{escape(account)}<b>{_sums(it.paid for it in own)}</b></span>{_bars(own, found.days)}"
            return _details(head, _days(own, say))

        head = f"<span>{say.all_accounts}<b>{_sums(it.paid for it in items)}</b></span>"
        total = _details(head, _days(items, say))
        highest = max(paid for _, _, paid, _ in _by_day(items))
        parts.append(
            f"<h3>{currency}</h3>{_bars(items, found.days)}"
            f'<div class="axis"><span>{found.days[0]:%m-%d}</span><span>{say.most.format(sum=_text(highest))}</span>'
            f"<span>{found.days[-1]:%m-%d}</span></div>{total}{_each(counts, counts.get, one, say)}"
        )
    inner = _soft(say.received_note) + "".join(parts) if parts else _soft(say.no_received)
    return _section("received", say.received, inner)


def _by_day(items: Iterable[Received]) -> list[tuple[date, int, Money, Money]]:
    """Of one currency: each day that brought something, its orders, what came in and what went back."""
    days: dict[date, tuple[int, Money, Money]] = {}
    for it in items:
        count, paid, back = days.get(it.day, (0, Money(0, it.paid.currency), Money(0, it.paid.currency)))
        days[it.day] = (count + it.count, paid + it.paid, back + it.refunded)
    return [(day, *figures) for day, figures in sorted(days.items())]


def _days(items: Iterable[Received], say: Words) -> str:
    rows = [
        (_short(str(day)), _number(f"{count:,}"), _number(_text(paid)), _number(_text(back)))
        for day, count, paid, back in reversed(_by_day(items))
    ]
    return _table(say.received_head, rows)


def _bars(items: Iterable[Received], days: Sequence[date]) -> str:
    """A bar for each day, of whole units: the picture alone is rounded."""
    found = {day: (count, paid) for day, count, paid, _ in _by_day(items)}
    shown = [*days, *sorted(set(found) - set(days))]  # a gateway's clock may be ahead
    highest = max((paid.minor for _, paid in found.values()), default=0) or 1
    bars = []
    for place, day in enumerate(shown):
        if day not in found:
            continue
        count, paid = found[day]
        height = max(paid.minor * _TALL // highest, 1)
        part = ' class="part"' if day >= days[-1] else ""
        bars.append(
            f'<rect{part} x="{place * _WIDE + 1}" y="{_TALL - height}" width="{_WIDE - 2}" height="{height}">'
            f"<title>{day}: {_text(paid)} ({count:,})</title></rect>"
        )
    label = f"{shown[0]} – {shown[-1]}"
    return (
        f'<svg viewBox="0 0 {len(shown) * _WIDE} {_TALL}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{"".join(bars)}</svg>'
    )


def _pending(found: Report, say: Words) -> str:
    if not found.pending:
        return _section("pending", say.pending, _soft(say.no_pending))
    most = max(sum(it.count for it in found.pending if it.age == age) for age in range(len(say.ages)))

    def rows(account: str | None) -> Iterable[Sequence[str]]:
        for age, name in enumerate(say.ages):
            own = [it for it in found.pending if it.age == age and account in {None, it.account}]
            count = sum(it.count for it in own)
            bar = [f"<td>{_bar(count, most)}</td>"] if account is None else []
            yield (_short(name), *bar, _number(f"{count:,}"), _number(_sums(it.due for it in own)))

    counts: dict[str, int] = defaultdict(int)
    for it in found.pending:
        counts[it.account] += it.count
    age, *others = say.pending_head
    parts = _each(
        counts, counts.get, lambda account: _details(escape(account), _table((age, *others), rows(account))), say
    )
    inner = _soft(say.pending_note) + _table((age, "", *others), rows(None))
    return _section("pending", say.pending, f"{inner}<h3>{say.by_account}</h3>{parts}")


def _bar(count: int, most: int) -> str:
    width = count * _TALL // most
    return (
        f'<svg viewBox="0 0 {_TALL} 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{width}" height="1"></rect></svg>'
    )


def _each(names: Iterable[str], count: Callable[[str], int | None], one: Callable[[str], str], say: Words) -> str:
    """``one`` of each account, the busiest first; of very many the rest are counted."""
    ordered = sorted(names, key=lambda name: (-(count(name) or 0), name))
    rest = _soft(say.more.format(count=f"{len(ordered) - MOST:,}")) if len(ordered) > MOST else ""
    return "".join(map(one, ordered[:MOST])) + rest


def _section(name: str, title: str, inner: str, bad: object = None) -> str:
    return f'<section id="{name}"{" class=bad" if bad else ""}><h2>{title}</h2>{inner}</section>'


def _details(head: str, inner: str) -> str:
    return f"<details><summary>{head}</summary>{inner}</details>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """``head`` and cells; a column of numbers is known by its first row."""
    body = list(rows)
    classes = [' class="n"' if 'class="n"' in cell else "" for cell in body[0]]
    columns = "".join(f'<th scope="col"{it}>{name}</th>' for name, it in zip(head, classes, strict=True))
    lines = "".join(f"<tr>{''.join(map(_headed, row, head))}</tr>" for row in body)
    return f'<div class="scroll"><table><tr>{columns}</tr>{lines}</table></div>'


def _headed(cell: str, head: str) -> str:
    """The cell with the name of its column, which a phone shows beside it."""
    return cell.replace("<td", f'<td data-head="{escape(head)}"', 1)


def _short(text: str) -> str:
    return f'<td class="t">{escape(text)}</td>'


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _number(text: str) -> str:
    return f'<td class="n">{escape(text)}</td>'


def _soft(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>' if text else ""


def _text(sum_: Money, sign: str = "") -> str:
    return f"{sum_.amount:{sign},} {sum_.currency}"


def _sums(several: Iterable[Money]) -> str:
    """The sum in each currency: they are never added to each other."""
    return " · ".join(_text(total) for _, total in sorted(_added(several).items()))


def _added(several: Iterable[Money]) -> dict[str, Money]:
    sums: dict[str, Money] = {}
    for money in several:
        sums[money.currency] = sums[money.currency] + money if money.currency in sums else money
    return sums
