"""Bytes made from genuine messages: flipped, spliced, repeated, encoded once more, huge, deep."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

#: What parsers have stumbled over.
TOKENS = (
    *(b"&", b";", b"=", b"%", b"%00", b"%26", b"%2526", b"%C0%80", b"%ED%A0%80", b"%ZZ", b"+", b"\x00", b"\xff", b"\n"),
    *(
        b"\xef\xbb\xbf",
        "。".encode(),
        "１".encode(),
        b"\\u0000",
        b"\\ud800",
        b"\\",
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b"{}",
    ),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"0", b"-1", b"9" * 30, b"1.005", b"0x10", b"1_0", b" "),
    *(
        b"secret=",
        b"sign=",
        b"sign=&",
        b"key=1&",
        b"attach=",
        b"order_no=B2&",
        b"pay_status=1&",
        b"amount=1&",
        b"[]=1&",
    ),
    *(b"<!DOCTYPE a>", b"<!--", b"<![CDATA[", b"]]>", b"&amp;", b"&#0;", b"&x;", b"<", b"/>", b"xmlns:a='b'"),
    *(b"2019-02-30 00:00:00", b"0000-00-00 00:00:00", b"9999-12-31 23:59:59", b"javascript:alert(1)", b"https://x/"),
)
_HUGE, _DEEP = 400, 300


def mutated(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """``data`` with one change, seldom up to four; ``others`` are what it may be spliced with."""
    draw = random.random
    while True:
        at = int(draw() * (len(data) + 1))
        data = _CHANGES[int(draw() * len(_CHANGES))](data, at, others, random)
        if draw() < 0.7:
            return data


def huge(data: bytes, random: Random) -> bytes:
    """One piece of ``data`` again and again, or brackets in brackets."""
    if random.random() < 0.5:
        opened, closed = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"<a>", b"</a>")))
        deep = random.randrange(1, _DEEP)
        return data[: random.randrange(len(data) + 1)] + opened * deep + closed * random.choice((deep, 0))
    start = random.randrange(len(data) + 1)
    piece = data[start : start + random.randrange(1, 80)] or b"a=1&"
    return data[:start] + piece * random.randrange(1, _HUGE) + data[start:]


def _flip(data: bytes, at: int, _: Sequence[bytes], random: Random) -> bytes:
    return (
        data[: max(at - 1, 0)] + bytes([data[max(at - 1, 0)] ^ 1 << int(random.random() * 8)]) + data[at:]
        if data
        else b"a"
    )


def _byte(data: bytes, at: int, _: Sequence[bytes], random: Random) -> bytes:
    return data[:at] + bytes([int(random.random() * 256)]) + data[at + 1 :]


def _cut(data: bytes, at: int, _: Sequence[bytes], random: Random) -> bytes:
    return data[:at] + data[at + int(random.random() * 20) :]


def _end(data: bytes, at: int, _: Sequence[bytes], __: Random) -> bytes:
    return data[:at]


def _insert(data: bytes, at: int, _: Sequence[bytes], random: Random) -> bytes:
    return data[:at] + TOKENS[int(random.random() * len(TOKENS))] + data[at:]


def _replace(data: bytes, at: int, _: Sequence[bytes], random: Random) -> bytes:
    return data[:at] + TOKENS[int(random.random() * len(TOKENS))] + data[at + int(random.random() * 12) :]


def _repeat(data: bytes, at: int, _: Sequence[bytes], random: Random) -> bytes:
    return data[:at] + data[max(at - int(random.random() * 40), 0) :]


def _splice(data: bytes, at: int, others: Sequence[bytes], random: Random) -> bytes:
    other = others[int(random.random() * len(others))]
    return data[:at] + other[int(random.random() * (len(other) + 1)) :]


def _fields(data: bytes, _: int, others: Sequence[bytes], random: Random) -> bytes:
    """The fields of two forms, shuffled."""
    parts = data.split(b"&") + others[int(random.random() * len(others))].split(b"&")
    random.shuffle(parts)
    return b"&".join(parts[: 1 + int(random.random() * len(parts))])


def _encode(data: bytes, at: int, _: Sequence[bytes], random: Random) -> bytes:
    """Some bytes percent-encoded; of what is encoded, once more."""
    end = at + 1 + int(random.random() * 6)
    return data[:at] + b"".join(b"%%%02x" % byte for byte in data[at:end]) + data[end:]


def _case(data: bytes, at: int, _: Sequence[bytes], random: Random) -> bytes:
    end = at + int(random.random() * 12)
    return data[:at] + data[at:end].swapcase() + data[end:]


_CHANGES = (_flip, _flip, _byte, _cut, _end, _insert, _insert, _replace, _repeat, _splice, _fields, _encode, _case)
