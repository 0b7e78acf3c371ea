"""A signed message has one meaning: every way to cut a genuine signed string into other fields is refused.

The protocol joins values unescaped, so one string, and one signature, belongs to many sets of fields. Here the attacker
knows a genuine message with a text of his own in it, its signature, and everything but the secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import md5
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import pytest

from payhub_core import CallbackError, CallbackKind, Payment
from payhub_gpu import Gpu

NOTIFY, RETURN = CallbackKind.NOTIFY, CallbackKind.RETURN
KEY = "c1277-throw-away-key-of-the-shop"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
REQUIRED = ("actual_amount", "amount", "appid", "attach", "order_no", "pay_status", "pay_time")

#: What a payer may have typed where the shop, or another client of the same gateway, passes it on raw.
PAYLOADS = {
    "plain": "tea",
    "another order": "x&order_no=B2",
    "a whole tail": "x&order_no=B2&pay_status=1&pay_time=2019-08-18 00:00:00&platform_order_no=P9",
    "a tail with a field to swallow the rest": "x&order_no=B2&pay_status=1&pay_time=2019-08-18 00:00:00&q=1",
    "a tail with a name to swallow the rest": "x&order_no=B2&pay_status=1&pay_time=2019-08-18 00:00:00&q",
    "a swallower with an equals sign": "x&order_no=B2&pay_status=1&q==&r=",
    "sums": "x&actual_amount=1&amount=1",
    "unknown fields": "x&b=1&c=2&n=3",
    "blanks": "&&=&x=&=y&",
    "a secret of his own": "x&secret=mine&user_id=7",
    "capitals": "x&ORDER_NO=B2&Pay_Status=1&SECRET=y",
}

FIELDS = {
    "actual_amount": "100.00",
    "amount": "100.00",
    "appid": "gpu10000000",
    "order_no": "A1001",
    "pay_status": "0",
    "pay_time": "2019-08-18 00:13:41",
    "platform_order_no": "P1",
}

#: Genuine messages by name: what the gateway, or the shop, signed.
GENUINE: dict[str, tuple[str, dict[str, str]]] = {}
for _name, _text in PAYLOADS.items():
    GENUINE[f"notify: {_name}"] = ("notify", {**FIELDS, "attach": _text})
    GENUINE[f"return: {_name}"] = ("return", {"attach": _text, "order_no": "A1001", "pay_status": "0"})
for _name in ("a whole tail", "a tail with a field to swallow the rest", "a secret of his own"):
    _more = {"trade_type": "h5", "user_id": "7"}
    GENUINE[f"notify with fields behind the secret: {_name}"] = (
        "notify",
        {**FIELDS, "attach": PAYLOADS[_name], **_more},
    )
GENUINE["notify without a time"] = ("notify", {**FIELDS, "attach": "x&order_no=B2", "pay_time": ""})
GENUINE["return: the protocol's"] = ("return", {"order_no": "A1001", "pay_status": "0"})
GENUINE["return: no status"] = ("return", {"order_no": "A1001"})
GENUINE["query"] = ("query", {"appid": "gpu10000000", "order_no": "A1001"})
for _name, _text in PAYLOADS.items():
    GENUINE[f"create: {_name}"] = (
        "create",
        {
            "amount": "100",
            "appid": "gpu10000000",
            "attach": "tea",
            "bank_code": "901",
            "notify_url": "https://shop.example/n?shop=1&lang=zh",
            "order_no": "A1001",
            "product_name": _text,
            "return_url": "https://shop.example/r",
        },
    )

DIALECTS = [(placement, empties) for placement in ("sorted", "last") for empties in ("keep", "drop")]

Pairs = list[tuple[str, str]]


def signed_string(pairs: Pairs, placement: str, empties: str) -> str:
    """What is digested: a sender's own ``secret`` would stand in for ours, as in ``{"secret": key, **form}``."""
    kept = [pair for pair in pairs if pair[0] != "sign" and (pair[1] or empties == "keep")]
    secret = [pair for pair in kept if pair[0] == "secret"] or [("secret", KEY)]
    rest = [pair for pair in kept if pair[0] != "secret"]
    ordered = sorted(rest + secret) if placement == "sorted" else sorted(rest) + secret
    return "&".join(f"{name}={value}" for name, value in ordered)


def digest(text: str) -> str:
    return md5(text.encode()).hexdigest()


def cuts(text: str, least: str = "", *, ordered: bool = True) -> Iterator[Pairs]:
    """Every way to read ``text`` as fields: any ``&`` may separate, any ``=`` of a piece may end its name.

    ``ordered`` leaves out those whose names do not ascend, since they would be signed as another string; and of those
    with one and the same bad name or bad value in front it keeps one, since what follows cannot mend them.
    """
    if text == "":
        yield []
        return
    ends = [place for place, letter in enumerate(text) if letter == "&"] + [len(text)]
    for end in ends:
        piece, rest = text[:end], text[end + 1 :]
        if end < len(text) and not rest:
            continue  # a text that ends in "&" has no last piece
        for place, letter in enumerate(piece):
            if letter == "=" and (not ordered or piece[:place] >= least):
                name, value = piece[:place], piece[place + 1 :]
                tails = ([(name, value), *tail] for tail in cuts(rest, name, ordered=ordered))
                hopeless = not NAME.fullmatch(name) or ("&" in value and name != "attach")
                yield from islice(tails, 1) if ordered and hopeless else tails


def forms(fields: Mapping[str, str], placement: str, empties: str) -> Iterator[Pairs]:
    """Every form that the signature of ``fields`` fits, for one who cannot touch the secret."""
    text = signed_string(list(fields.items()), placement, empties)
    before, _, after = text.partition(f"secret={KEY}")
    for left in cuts(before.removesuffix("&")):
        for right in cuts(after.removeprefix("&")):
            form = left + right
            yield form
            # Dropped empties are in no string, so anyone may add them.
            missing = [(name, "") for name in REQUIRED if name not in dict(form)]
            if empties == "drop" and missing:
                yield form + missing


def meaning(payment: Payment) -> tuple[object, ...]:
    return payment.reference, payment.status, payment.amount, payment.paid, payment.gateway_id, payment.paid_at


def read(account: Gpu, form: Pairs, signature: str, kind: CallbackKind, platform: Any) -> Payment | None:
    body = urlencode([*form, ("sign", signature)]).encode()
    try:
        return account.parse_callback(callback=platform.callback(body, kind=kind), expect=None).payment
    except CallbackError:
        return None


@pytest.fixture(scope="session")
def accounts(make_gpu: Any) -> dict[tuple[str, str], Gpu]:
    return {dialect: make_gpu(secret_placement=dialect[0], callback_empties=dialect[1]) for dialect in DIALECTS}


@pytest.mark.proof
@pytest.mark.parametrize("name", GENUINE)
def test_no_other_cut_of_a_genuine_string_is_accepted(name: str, accounts: Any, platform: Any) -> None:
    """As a notify or as a return, in every dialect: refused, or the very same payment; as the rule below has it."""
    kind, fields = GENUINE[name]
    for (placement, empties), account in accounts.items():
        request = kind in {"create", "query"}
        rule = (placement, "drop" if request else empties)
        text = signed_string(list(fields.items()), *rule)
        if placement == "last" and text == signed_string(list(fields.items()), "sorted", rule[1]):
            continue  # nothing stands behind the secret: the string, and so every cut, is the other dialect's
        signature = digest(text)
        form = list(fields.items())
        genuine = {
            NOTIFY: read(account, form, signature, NOTIFY, platform) if kind == "notify" else None,
            RETURN: None if request else read(account, form, signature, RETURN, platform),
        }
        count = 0
        for cut in forms(fields, *rule):
            count += 1
            for address in (NOTIFY, RETURN):
                payment = read(account, cut, signature, address, platform)
                rules = accepted([*cut, ("sign", signature)], address, (placement, empties))
                assert (None if payment is None else payment.raw) == rules, (address, cut)
                if payment is not None:
                    assert genuine[address] is not None, (address, cut)
                    assert meaning(payment) == meaning(genuine[address]), (address, cut)
                    assert fields.get("attach", "").startswith(payment.raw.get("attach", "")), cut
        assert count >= 1


@pytest.mark.proof
def test_no_cut_at_all_is_accepted_where_names_do_not_ascend(accounts: Any, platform: Any) -> None:
    """The cuts that the enumeration leaves out, of one string, every one of them: their signature does not fit."""
    fields = {**FIELDS, "attach": "x&order_no=B2&q=1"}
    account = accounts["sorted", "keep"]
    text = signed_string(list(fields.items()), "sorted", "keep")
    before = text.partition(f"&secret={KEY}")[0]
    ordered = [cut for cut in cuts(before) if signed_string(cut, "sorted", "keep") == text]
    everything = list(cuts(before, ordered=False))
    accepted = [cut for cut in everything if read(account, cut, digest(text), NOTIFY, platform)]
    assert len(everything) > 5_000
    assert all(cut in ordered for cut in accepted)
    assert [dict(cut)["order_no"] for cut in accepted] == ["A1001"]


# The ablation: the acceptance rule once more, in lines that can be left out


AMOUNT = re.compile(r"[0-9]{1,12}(\.0{1,2})?")
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
NOON = "2019-08-18 12:00:00"
REQUEST_FIELDS = {"notify_url", "return_url"}


def accepted(form: Pairs, kind: CallbackKind, dialect: tuple[str, str], without: str = "") -> dict[str, str] | None:
    """The acceptance rule as it is written down, less the line ``without``: the fields, or None for a refusal."""
    names = [name for name, _ in form]
    fields = dict(form)
    signature = fields.pop("sign", "")
    signed = signed_string(form, *dialect)
    required = REQUIRED if kind is NOTIFY else ("order_no",)
    status = fields.get("pay_status", "" if kind is NOTIFY else "-1")
    rules = {
        "names": all(NAME.fullmatch(name) for name in names),
        "duplicates": len(set(names)) == len(names),
        "secret": not any(name.lower() == "secret" for name in names),
        "signature": digest(signed) == signature,
        "ampersand": not any("&" in value for name, value in form if name != "attach"),
        "required": all(name in fields for name in required),
        "appid": fields.get("appid", "gpu10000000") == "gpu10000000",
        "status of a return": kind is NOTIFY or "pay_status" in fields or fields.keys() == {"order_no"},
        "request fields": kind is NOTIFY or not fields.keys() & REQUEST_FIELDS,
        "grammar": bool(
            status in {"-1", "0", "1"}
            and TOKEN.fullmatch(fields.get("order_no", "A1"))
            and TOKEN.fullmatch(fields.get("platform_order_no") or "P1")
            and (
                kind is RETURN
                or (
                    all(AMOUNT.fullmatch(fields.get(name, "1")) for name in ("amount", "actual_amount"))
                    and (MOMENT.fullmatch(fields.get("pay_time", NOON)) or (status, fields["pay_time"]) == ("0", ""))
                )
            )
        ),
    }
    rules.pop(without, None)
    return fields if all(rules.values()) else None


TAIL = "order_no=B2&pay_status=1&pay_time=2019-08-18 00:00:00"
BEFORE = [("actual_amount", "100.00"), ("amount", "100.00"), ("appid", "gpu10000000"), ("attach", "x")]
PAID = [("order_no", "B2"), ("pay_status", "1"), ("pay_time", "2019-08-18 00:00:00")]
REST = "order_no=A1001&pay_status=0&pay_time=2019-08-18 00:13:41&platform_order_no"

#: The line that is left out, the genuine message, the form made of it, the address, and the dialect.
FORGERIES: dict[str, tuple[dict[str, str], Pairs, CallbackKind, tuple[str, str]]] = {
    "signature": ({}, [*BEFORE, *PAID], NOTIFY, ("sorted", "keep")),
    "ampersand": (
        {**FIELDS, "attach": f"x&{TAIL}&q=1"},
        [*BEFORE, *PAID, ("q", f"1&{REST}=P1")],
        NOTIFY,
        ("sorted", "keep"),
    ),
    "names": (
        {**FIELDS, "attach": f"x&{TAIL}&q"},
        [*BEFORE, *PAID, (f"q&{REST}", "P1")],
        NOTIFY,
        ("sorted", "keep"),
    ),
    "duplicates": (
        # Of two order numbers the lesser is signed first, and the one that came last is believed.
        {**FIELDS, "attach": "x&order_no=A0001"},
        [*BEFORE, ("order_no", "A1001"), ("order_no", "A0001"), *list(FIELDS.items())[4:]],
        NOTIFY,
        ("sorted", "keep"),
    ),
    "secret": ({}, [*BEFORE, *PAID, ("secret", "mine")], NOTIFY, ("sorted", "keep")),
    "required": (
        {"order_no": "B2", "pay_status": "1"},
        [("order_no", "B2"), ("pay_status", "1")],
        NOTIFY,
        ("sorted", "keep"),
    ),
    "appid": (
        {**dict(BEFORE), **dict(PAID), "appid": "gpu20000000"},
        [*{**dict(BEFORE), **dict(PAID), "appid": "gpu20000000"}.items()],
        NOTIFY,
        ("sorted", "keep"),
    ),
    "grammar": (
        # Where empties are dropped anyone adds them, and a return has all the fields of a notify.
        {"appid": "gpu10000000", "order_no": "B2", "pay_status": "1"},
        [
            *(("actual_amount", ""), ("amount", ""), ("appid", "gpu10000000"), ("attach", "")),
            *(("order_no", "B2"), ("pay_status", "1"), ("pay_time", "")),
        ],
        NOTIFY,
        ("sorted", "drop"),
    ),
    "status of a return": (
        {"appid": "gpu10000000", "order_no": "A1001"},
        [("appid", "gpu10000000"), ("order_no", "A1001")],
        RETURN,
        ("sorted", "drop"),
    ),
    "request fields": (
        {**GENUINE["create: plain"][1], "product_name": "x&order_no=B2&pay_status=1"},
        [
            *(("amount", "100"), ("appid", "gpu10000000")),
            (
                "attach",
                "tea&bank_code=901&notify_url=https://shop.example/n?shop=1&lang=zh&order_no=A1001&product_name=x",
            ),
            *(("order_no", "B2"), ("pay_status", "1"), ("return_url", "https://shop.example/r")),
        ],
        RETURN,
        ("sorted", "drop"),
    ),
}


@pytest.mark.parametrize("line", FORGERIES)
def test_without_any_one_line_of_the_rule_a_forgery_comes_back(line: str, accounts: Any, platform: Any) -> None:
    """The forgery passes every other line; with all lines it is refused, by the rule and by the plugin."""
    genuine, form, kind, dialect = FORGERIES[line]
    if line == "signature":
        signature = "0" * 32
    elif line == "secret":
        signature = digest("&".join(f"{name}={value}" for name, value in form))  # made without knowing any key
    else:
        signature = digest(signed_string(list(genuine.items()), *dialect))
    posted = [*form, ("sign", signature)]
    assert accepted(posted, kind, dialect, without=line) is not None
    assert accepted(posted, kind, dialect) is None
    assert read(accounts[dialect], form, signature, kind, platform) is None
