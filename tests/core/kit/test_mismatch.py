"""Why a signature does not match: a platform that signs with each deviation, and the name that it is given."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from hashlib import md5, sha1, sha256, sha512
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest

from payhub_core import Callback
from payhub_core.kit import Secret, SignedPairs

SECRET = "Throw-away-key-of-the-shop"
MD5_OF_IT = md5(SECRET.encode()).hexdigest()
FIELDS = {"trade_no": "a1001", "Zone": "0", "amount": "12.30", "empty": "", "name": 'A+b 茶&水 <i>"x"</i> \\ \'s '}
RULE = SignedPairs(named="secret", fields=(*FIELDS, "attach", "sign"), sums=("amount", "paid"))

Fields = Mapping[str, str]
Signer = Callable[[Fields], str]


def text(
    fields: Fields,
    write: Callable[[str], str] = str,
    *,
    secret: str | None = f"secret={SECRET}",
    keep: Callable[[str], object] = bool,
    joined: str = "&",
) -> str:
    """The gateway's own way, with one thing otherwise: sorted fields without the empty ones, the secret last."""
    pairs = [f"{name}={write(value)}" for name, value in sorted(fields.items()) if keep(value)]
    return joined.join([*pairs, *([secret] if secret is not None else [])])


def hashed(signed: str | bytes, make: Any = md5) -> str:
    return make(signed if isinstance(signed, bytes) else signed.encode()).hexdigest()


def sent(fields: Fields, signature: str, *, query: bytes = b"", encoding: str = "utf-8") -> Callback:
    body = urlencode({**fields, "sign": signature}, encoding=encoding).encode()
    return Callback("POST", {}, query, body)


def found(callback: Callback, rule: SignedPairs = RULE, secret: str = SECRET) -> str | None:
    """The name of the first way that matches."""
    return next((name for name, matches in rule.candidates(callback, [Secret(secret)]) if matches), None)


def php(value: str) -> str:
    return escape(value).replace("&#x27;", "&#039;")


def without(name: str) -> Signer:
    return lambda fields: text({key: value for key, value in fields.items() if key != name})


def instead(**values: str) -> Signer:
    return lambda fields: text({**fields, **values})


#: What the platform signs of ``FIELDS``, by the name of the deviation.
TEXTS: dict[str, Signer] = {
    "": text,
    "the secret stands sorted among the fields": lambda fields: text({**fields, "secret": SECRET}, secret=None),
    "the secret stands first": lambda fields: f"secret={SECRET}&{text(fields, secret=None)}",
    "the secret stands last, as key=": lambda fields: text(fields, secret=f"key={SECRET}"),
    "the secret stands sorted among the fields, as app_secret=": lambda fields: text(
        {**fields, "app_secret": SECRET}, secret=None
    ),
    "the secret stands first, as token=": lambda fields: f"token={SECRET}&{text(fields, secret=None)}",
    "the bare secret stands last": lambda fields: f"{text(fields, secret=None)}{SECRET}",
    "the bare secret stands last, behind an '&'": lambda fields: text(fields, secret=SECRET),
    "the bare secret stands first": lambda fields: f"{SECRET}{text(fields, secret=None)}",
    "the bare secret stands first and last": lambda fields: f"{SECRET}{text(fields, secret=None)}{SECRET}",
    "empty values are signed": lambda fields: text(fields, keep=lambda value: True),
    "empty values and zeros are left out": lambda fields: text(fields, keep=lambda value: value not in {"", "0"}),
    "values are url-encoded, a space as +": lambda fields: text(fields, quote_plus),
    "values are url-encoded, a space as %20": lambda fields: text(fields, lambda value: quote(value, safe="")),
    "values are url-encoded in lower case": lambda fields: text(
        fields, lambda value: re.sub("%..", lambda it: it[0].lower(), quote_plus(value))
    ),
    "values are HTML-escaped": lambda fields: text(fields, php),
    "values are HTML-escaped, but for the single quote": lambda fields: text(
        fields, lambda value: php(value).replace("&#039;", "'")
    ),
    "values are HTML-escaped, but for quotes": lambda fields: text(fields, lambda value: escape(value, quote=False)),
    "quotes in values have a backslash": lambda fields: text(
        fields, lambda value: value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    ),
    "values have no backslashes": lambda fields: text(fields, lambda value: value.replace("\\", "")),
    "white space around values is dropped": lambda fields: text(fields, str.strip),
    "white space in values is dropped": lambda fields: text(fields, lambda value: value.replace(" ", "")),
    "values are in lower case": lambda fields: text(fields, str.lower),
    "values are in upper case": lambda fields: text(fields, str.upper),
    "fields stand in the order in which they came": lambda fields: "&".join(
        [*(f"{name}={value}" for name, value in fields.items() if value), f"secret={SECRET}"]
    ),
    "fields are sorted without regard to case": lambda fields: "&".join(
        f"{name}={value}"
        for name, value in [
            *sorted(fields.items(), key=lambda pair: pair[0].lower()),
            ("secret", SECRET),
        ]
        if value
    ),
    "no '&' stands between fields": lambda fields: text(fields, joined=""),
    "neither '&' nor '=' is written": lambda fields: "".join(
        f"{name}{value}" for name, value in [*sorted(fields.items()), ("secret", SECRET)] if value
    ),
    "the values alone are signed": lambda fields: "".join([*(fields[name] for name in sorted(fields)), SECRET]),
    "the values alone are signed, joined by '&'": lambda fields: "&".join(
        [*(fields[name] for name in sorted(fields) if fields[name]), SECRET]
    ),
    "values stand in quotes": lambda fields: "&".join(
        f'{name}="{value}"' for name, value in [*sorted(fields.items()), ("secret", SECRET)] if value
    ),
    "names are in lower case": lambda fields: text({name.lower(): value for name, value in fields.items()}),
    "names are in upper case": lambda fields: text({name.upper(): value for name, value in fields.items()}),
    "the whole text is in lower case": lambda fields: text(fields).lower(),
    "the whole text is in upper case": lambda fields: text(fields).upper(),
    "the secret has a line end behind it": lambda fields: f"{text(fields)}\n",
    "the secret has a space behind it": lambda fields: f"{text(fields)} ",
    "the secret is in lower case": lambda fields: text(fields, secret=f"secret={SECRET.lower()}"),
    "the secret is in upper case": lambda fields: text(fields, secret=f"secret={SECRET.upper()}"),
    "the MD5 of the secret stands for it": lambda fields: text(fields, secret=f"secret={MD5_OF_IT}"),
    "the MD5 of the secret stands for it, in upper case": lambda fields: text(
        fields, secret=f"secret={MD5_OF_IT.upper()}"
    ),
    "the field 'trade_no' is not signed": without("trade_no"),
    "the sum in 'amount' was written otherwise": instead(amount="1230"),
    "the sum in 'amount' was changed": instead(amount="999.99"),
    # Two and three at once, in the order of the groups.
    "the bare secret stands last, and values are url-encoded, a space as +": lambda fields: (
        f"{text(fields, quote_plus, secret=None)}{SECRET}"
    ),
    "the bare secret stands last, and empty values are signed, and values are HTML-escaped": lambda fields: (
        f"{text(fields, php, secret=None, keep=lambda value: True)}{SECRET}"
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_deviation_is_named(name: str) -> None:
    """By what the platform did otherwise; "" where it did nothing."""
    assert found(sent(FIELDS, hashed(TEXTS[name](FIELDS)))) == name


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_gbk_is_named_in_whichever_encoding_the_message_travels(encoding: str) -> None:
    """And the signature over UTF-8 of a message that travels in GBK is the expected one."""
    assert found(sent(FIELDS, hashed(text(FIELDS).encode("gbk")), encoding=encoding)) == "the text is in GBK"
    assert found(sent(FIELDS, hashed(text(FIELDS)), encoding=encoding)) == ""


def test_a_text_that_is_encoded_twice_is_named() -> None:
    """As a platform does whose database believes in Latin-1."""
    twice = text(FIELDS).encode().decode("latin-1")
    assert found(sent(FIELDS, hashed(twice))) == "the text is UTF-8 encoded twice"


@pytest.mark.parametrize(
    ("travels", "signed", "name"),
    [
        ("%e8%8c%b6%20a", "%e8%8c%b6%20a", "values are signed as they travel, url-encoded"),
        ("%25E8%258C%25B6", "茶", "values are decoded twice"),
        ("茶 a", "%E8%8C%B6 a", "values are url-encoded beyond ASCII"),
        ("a+b%20c", "a+b c", "a plus sign stays a plus sign"),
        ("%26lt%3B%26amp%3B", "<&", "values are HTML-unescaped"),
    ],
)
def test_what_became_of_a_value_on_its_way_is_named(travels: str, signed: str, name: str) -> None:
    """By how it travels and what was signed of it."""
    body = f"name={travels}&trade_no=A1&sign={hashed(text({'name': signed, 'trade_no': 'A1'}))}".encode()
    assert found(Callback("POST", {}, b"", body)) == name


@pytest.mark.parametrize("make", [sha1, sha256, sha512])
def test_another_hash_is_named(make: Any) -> None:
    """As far as its length tells."""
    name = make().name.upper()
    key, bare = SECRET.encode(), text(FIELDS, secret=None).encode()
    assert found(sent(FIELDS, hashed(text(FIELDS), make))) == f"the hash is {name}"
    assert found(sent(FIELDS, hmac.digest(key, bare, make).hex())) == f"the hash is HMAC-{name}"
    both = hmac.digest(key, text(FIELDS).encode(), make).hex()
    assert found(sent(FIELDS, both)) == f"the hash is HMAC-{name}, the secret in the text too"


def test_a_hash_of_the_hash_is_named() -> None:
    """In either case of its hex."""
    inner = hashed(text(FIELDS))
    assert found(sent(FIELDS, hashed(inner))) == "the hash is MD5 of the hash in hex"
    assert found(sent(FIELDS, hashed(inner.upper()))) == "the hash is MD5 of the hash in upper-case hex"
    mac = hmac.digest(SECRET.encode(), text(FIELDS, secret=None).encode(), "md5").hex()
    assert found(sent(FIELDS, mac)) == "the hash is HMAC-MD5"


def test_a_query_string_that_was_merged_in_is_named() -> None:
    """What a framework's one dict for both does."""
    callback = sent(FIELDS, hashed(text({**FIELDS, "shop": "1"})), query=b"shop=1")
    assert found(callback) == "the query string of the address is signed too"


def test_a_get_is_read_by_its_query() -> None:
    """As some gateways notify."""
    signed = sent(FIELDS, hashed(text(FIELDS)))
    assert found(Callback("GET", {}, signed.body, b"")) == ""


def test_a_field_that_is_missing_is_named_where_it_was_empty() -> None:
    """A parser on the way may have dropped it."""
    rule = SignedPairs(named="secret", empties="keep", fields=("attach", "name"))
    signed = text({"attach": "", "trade_no": "A1"}, keep=lambda value: True)
    assert found(sent({"trade_no": "A1"}, hashed(signed)), rule) == "the missing field 'attach' was signed empty"


def test_a_field_that_is_signed_though_it_should_not_be_is_named() -> None:
    """Such as the name of the hash."""
    fields = {**FIELDS, "sign_type": "MD5"}
    rule = SignedPairs(named="secret", unsigned=("sign_type",))
    assert found(sent(fields, hashed(text(FIELDS))), rule) == ""
    assert found(sent(fields, hashed(text(fields))), rule) == "the field 'sign_type' is signed too"


@pytest.mark.parametrize(
    ("came", "signed", "name"),
    [
        (("12.30", "12.30"), ("12.3", "12.3"), "the sums in 'amount' and 'paid' were written otherwise"),
        (("12.00", "12.00"), ("1200", "1200"), "the sums in 'amount' and 'paid' were written otherwise"),
        (("1200", "12.00"), ("12.00", "12.00"), "the sum in 'amount' was written otherwise"),
        (("1.00", "1.00"), ("900.00", "900.00"), "the sums in 'amount' and 'paid' were changed"),
        (("1.00", "9.00"), ("9.00", "9.00"), "the sum in 'amount' was changed"),
        (("1", "2"), ("1", "3"), "the sum in 'paid' was changed"),
        (("x", "2"), ("x", "3"), "the sum in 'paid' was changed"),
        (("1.00", "1.00"), ("9999.00", "5.00"), None),
    ],
)
def test_a_sum_is_named_that_was_changed_or_written_otherwise(
    came: tuple[str, str], signed: tuple[str, str], name: str | None
) -> None:
    """One of them, or both alike; which sum was signed is not told."""
    amount, paid = signed
    signature = hashed(text({**FIELDS, "amount": amount, "paid": paid}))
    assert found(sent({**FIELDS, "amount": came[0], "paid": came[1]}, signature)) == name


def test_any_of_several_keys_counts() -> None:
    """While they rotate."""
    callback = sent(FIELDS, hashed(text(FIELDS, quote_plus)))
    keys = [Secret("another-key-of-the-shop"), Secret(SECRET)]
    named = next(name for name, matches in RULE.candidates(callback, keys) if matches)
    assert named == "values are url-encoded, a space as +"


def test_what_nothing_explains_is_not_explained_and_shows_neither_key_nor_signature() -> None:
    """Another key, another text: all is tried, and none of it is shown."""
    changed = {**FIELDS, "trade_no": "A1002"}
    candidates = list(RULE.candidates(sent(changed, hashed(text(FIELDS))), [Secret(SECRET)]))
    assert len(candidates) > 5000
    assert not any(matches for _, matches in candidates)
    shown = " ".join(name for name, _ in candidates)
    for hidden in (SECRET, SECRET.lower(), MD5_OF_IT, hashed(text(changed)), hashed(text(FIELDS))):
        assert hidden not in shown
    assert found(sent(FIELDS, hashed(text(FIELDS))), secret="another-key-of-the-shop") is None


def test_the_deviation_comes_with_what_to_set() -> None:
    """Where the provider has a setting for it."""
    rule = SignedPairs(named="secret", hints={"the secret stands first": "set first = true"})
    signed = TEXTS["the secret stands first"](FIELDS)
    assert found(sent(FIELDS, hashed(signed)), rule) == "the secret stands first: set first = true"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"trade_no=A1",
        b"trade_no=A1&sign=",
        b"trade_no=A1&sign=xyz",
        b"sign=00",
        b"\xff\xfe",
        b"sign",
        b"a=1&" * 70,
        b"a" * 20_000,
    ],
)
def test_what_holds_no_signature_has_no_candidates(body: bytes) -> None:
    """Whatever came."""
    assert list(RULE.candidates(Callback("POST", {}, b"", body), [Secret(SECRET)])) == []


def test_odd_values_are_no_obstacle() -> None:
    """They are read as leniently as need be."""
    values = ["%ff%fe", "%00", "\udcff", "{0}", "1e999999999", "NaN", "-0", "%C0%80", "", "%", "%%25", "=", "\x1b[2J"]
    fields = [
        *(f"n{i}={value}" for i, value in enumerate(values)),
        "amount=1e999999999",
        "paid=NaN",
        "paid=1",
        "\x1b=2",
    ]
    body = "&".join([*fields, f"sign={'0' * 32}"]).encode("utf-8", "surrogatepass")
    names = [name for name, _ in RULE.candidates(Callback("POST", {}, b"shop", body), [Secret(SECRET)])]
    assert "\x1b" not in "".join(names)
