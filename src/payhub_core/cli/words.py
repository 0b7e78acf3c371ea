"""What the commands say to people, in English or, where the environment asks for it, in Chinese."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from itertools import chain, islice
from pathlib import Path

__all__ = ["ERRORS", "catalogue", "chinese", "in_chinese", "named", "say", "tell"]

#: What the commands print by themselves, and what errors and findings say: read only where there is one to show.
PRINTED, ERRORS = "zh.toml", "zh_errors.toml"
#: What stands between two texts that were joined.
_HINT = ". Hint: "
_JOINT = re.compile(r"\. Hint: |; |: ")
_JOINTS = {_HINT: "。处理办法：", "; ": "；"}
#: What an error is about, before its message.
_ABOUT = re.compile(r"(\[(?:account|order) [^]]*\]) ")
#: More joints than an entry has of its own.
_MOST = 8
#: So many letters of a text leave few entries to compare it with.
_BEGINNING = 4
#: Between a text and one that was put into it, both of Chinese characters, stands no space.
_SPACES = re.compile("(?<=[\u2e80-\uffef]) \0(?=[\u2e80-\uffef])|(?<=[\u2e80-\uffef])\0 (?=[\u2e80-\uffef])|\0")


def say(text: str) -> str:
    """``text`` in the language of the terminal; English where the catalogue has nothing for it.

    The catalogue has texts as they are written here, with ``{}`` for what an f-string puts in: so text that is
    finished by the time it is shown is found as well.
    """
    return (_entry(text, PRINTED) if chinese() else None) or text


def tell(text: str) -> str:
    """What an error or a finding says, in the language of the terminal, as `say`."""
    return in_chinese(text) if chinese() else text


def in_chinese(text: str) -> str:
    """What an error or a finding says, which may be joined of several texts, and hold others in its gaps."""
    told = ""
    while text:
        first, text = _first(text)
        told += first
    return told


def _first(text: str) -> tuple[str, str]:
    """The Chinese of what ``text`` begins with, and of the joint behind it; and what is left."""
    if about := _ABOUT.match(text):
        return f"{_entry(about[1], ERRORS)} ", text[about.end() :]
    joints = [*islice(_JOINT.finditer(text), _MOST)]
    ends = [(it.start(), it[0]) for it in joints] + [(len(text), "")] * (len(joints) < _MOST)
    for end, joint in reversed(ends):
        if told := _entry(text[:end], ERRORS, _put):
            return _SPACES.sub("", told) + _JOINTS.get(joint, joint), text[end + len(joint) :]
    # A name, as that of a setting, or the words of others.
    end, joint = ends[0]
    return text[:end] + (_JOINTS[joint] if joint == _HINT else joint), text[end + len(joint) :]


def _put(gaps: list[str]) -> list[str] | None:
    """What stands in the gaps, told and marked; None where one holds several texts, which are told each by itself."""
    if any(_JOINT.search(gap) for gap in gaps[:-1]) or any(joint in gaps[-1] for joint in _JOINTS):
        return None
    told = [in_chinese(gap) if " " in gap else gap for gap in gaps]
    return [gap if said == gap else f"\0{said}\0" for gap, said in zip(gaps, told, strict=True)]


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
def catalogue(file: str = PRINTED) -> dict[str, str]:
    """The Chinese for each English text; what payhub only quotes stands in a table of its own."""
    read = tomllib.loads(Path(__file__).with_name(file).read_text("utf-8"))
    return {**read.pop("quoted", {}), **read}


def _entry(text: str, file: str, put: Callable[[list[str]], list[str] | None] = list) -> str | None:
    """The Chinese of the entry that ``text`` fits, with what ``put`` makes of its gaps; None where there is none."""
    if text in catalogue(file):
        return catalogue(file)[text]
    for parts, between in _like(text[:_BEGINNING], file):
        gaps = _gaps(text, parts)
        if gaps is not None and (filled := put(gaps)) is not None:
            return "".join(chain(*zip(between, [*filled, ""], strict=True)))
    return None


@cache
def _like(beginning: str, file: str) -> list[tuple[list[str], list[str]]]:
    """Those of `_with_gaps` that a text of that ``beginning`` may be."""
    return [it for it in _with_gaps(file) if beginning.startswith(it[0][0][:_BEGINNING])]


@cache
def _with_gaps(file: str) -> list[tuple[list[str], list[str]]]:
    """The texts with gaps, each as what stands between them; the one that says most comes first."""
    found = [(it.split("{}"), said.split("{}")) for it, said in catalogue(file).items() if "{}" in it]
    return sorted(found, key=lambda it: sum(map(len, it[0])), reverse=True)


def _gaps(text: str, parts: list[str]) -> list[str] | None:
    """What stands in the gaps between ``parts``, as short as can be; compiled patterns would cost five times that."""
    first, *inner, last = parts
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return None
    gaps = []
    for part in inner:
        if (found := text.find(part, at, end)) < 0:
            return None
        gaps.append(text[at:found])
        at = found + len(part)
    return [*gaps, text[at:end]]
