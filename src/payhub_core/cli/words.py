"""What the commands say to people, in English or, where the environment asks for it, in Chinese."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

__all__ = ["catalogue", "chinese", "named", "say"]


def say(text: str) -> str:
    """``text`` in the language of the terminal; English where the catalogue has nothing for it.

    The catalogue has texts as they are written here, with ``{}`` for what an f-string puts in: so a finding of the
    ledger, which is finished text by the time it is shown, is found as well.
    """
    if not chinese():
        return text
    if text in catalogue():
        return catalogue()[text]
    for pattern, translated in _patterns():
        if found := pattern.fullmatch(text):
            return translated.format(*found.groups())
    return text


def named(word: str) -> str:
    """A word that commands take and JSON has, such as a status: in Chinese the word itself stands behind it."""
    known = catalogue().get(f"({word.partition(':')[0]})") if chinese() else None
    return f"{known} ({word})" if known else word


def chinese() -> bool:
    """Whether the environment (POSIX, 8.2) asks for Chinese, and the output's encoding has it."""
    wanted = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    try:
        return wanted.startswith("zh") and bool("中文".encode(sys.stdout.encoding or "utf-8"))
    except (UnicodeEncodeError, LookupError):
        return False


@cache
def catalogue() -> dict[str, str]:
    """The Chinese for each English text."""
    return tomllib.loads(Path(__file__).with_name("zh.toml").read_text("utf-8"))


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The texts with gaps; the one that says most comes first."""
    gaps = sorted((it for it in catalogue() if "{}" in it), key=lambda it: len(it.replace("{}", "")), reverse=True)
    return [(re.compile(re.escape(it).replace(r"\{\}", "(.*?)"), re.DOTALL), catalogue()[it]) for it in gaps]
