"""The errors in Chinese: each text has its own, and what is joined of several comes out whole."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, product
from pathlib import Path

import pytest
from tests.cli.test_mistakes import MISTAKES
from tests.cli.written import FUNCTION, calls, name_of, returned, texts, tree
from tests.core.test_file_mistakes import CONTENTS, PATHS
from tests.core.test_mistakes import HUBS, NAMES
from tests.core.test_variable_mistakes import SECRETS, VARIABLES

import payhub_core
from payhub_core import errors, mistakes
from payhub_core.cli import words

CORE = Path(payhub_core.__file__).parent
SANDBOX = CORE.parent / "payhub_sandbox"
#: All of the core but the conformance kit, whose reader is an author; the providers; the commands of the sandbox.
FILES = [
    *(path for path in sorted(CORE.rglob("*.py")) if "testing" not in path.parts),
    *(path for name in ("payhub_gpu", "payhub_dummy") for path in sorted((CORE.parent / name).glob("*.py"))),
    *(SANDBOX / name for name in ("command.py", "orders.py", "server.py")),
    *sorted((SANDBOX / "demo").glob("*.py")),
]
#: Errors of payhub's and click's, what is read of a setting or a field, and what makes one of a reason and a hint.
RAISED = {
    *errors.__all__,
    *("BrokenProvider", "_Stray", "ValueError", "ClickException", "Finding"),
    *("unfit", "lost", "invalid", "unknown", "_unknown", "_refuse", "_fault", "error", "grammar", "kind", "foreign"),
}
#: What an error is made of beside what stands in its call: by functions, and in constants.
MADE_BY = {"did_you_mean", "key_hint", "_hint", "_toml_hint", "_reason", "_supported"}
MADE_OF = {"_HINT_WRONG_ACCOUNT", "_HINT_ORDER", "_UNSIGNED", "_KINDS", "_WRITTEN"}
#: What stands in the gaps of `mistakes`, and what follows from it.
GAPS = {
    "quoted": ("", ", in quotes"),
    "but": ("", ", not an empty one", ", without white space around it"),
    "expected": ("'{}'", "'{}' or '{}'"),
}

#: Of which only what they come to has an entry: they would fit too much that others say.
GENERAL = {
    *("expected a {}", "write {}", "{} failed: {}", "{} failed: {}: {}", "the {} {} and {} set the same"),
    "no configuration file was read: run this in the folder of payhub.toml, or name the file. {}",
}
#: What the code only puts together: the sevens are what stands in gaps.
SEEN = {
    *("[account 7] is missing", "[order 7] is missing", "[account 7, order 7] is missing", "7 (from 7): is missing"),
    *(f"expected text, not {it}" for it in ("true or false", "an int", "a float", "a str", "a list", "a dict")),
    *(f"expected text, not {it}" for it in ("a date", "a datetime", "a time", "an empty text", "other text")),
    *("expected a POST", "expected a GET", "expected a POST or GET", "expected a GET or POST", "write 'CNY'"),
    "expected another kind of value, not 7",
    "expected a Checkout or an AsyncCheckout, 7 is of the type 7",
    *("save the configuration as UTF-8 in your editor", "save the secret file as UTF-8 in your editor"),
    *("the environment variable 7 names no setting", "the secret file 7 names no setting"),
    *("unset 7, or give the account another name", "remove 7, or give the account another name"),
    "did you mean 'shop'? To configure it by variables alone, set 7 too",
    (
        "no configuration file was read: run this in the folder of payhub.toml, or name the file. "
        "To configure it by variables alone, set 7 too"
    ),
    *(f"the {it} 7 and 7 set the same" for it in ("environment variables", "secret files")),
    *(f"the database{it} failed: 7" for it in ("", " 7", " at 7", " 7 at 7")),
    *(f"the database{it} has no ledger yet" for it in (" 7", " at 7", " 7 at 7")),
    "the only braces allowed are {account} and {reference}; along a route it needs {account}",
    *("the gateway refused: 7", "the gateway refused the account: 7"),
    "make the same call again, with the same refund_reference",
    "expected one of 7 or one of the gateway's own codes as text, not 7",
    "7 is no recorded callback: TypeError expected text",
}


def core(text: str) -> str:
    """A text without the names before it, as those of a file and a setting; two gaps side by side are one."""
    names = r"^((?!see:|run:)(\{\}|[a-z_]+(\.\w+)?): )*(\{\}(?=[a-z]))?"
    return re.sub(r"(\{\})+", "{}", re.sub(names, "", text)).strip()


@cache
def raised() -> set[str]:
    """All that errors say, collected from the code."""
    found = {text for words in mistakes._WORDS.values() for text in filled(words)}
    for path in FILES:
        for call, function in calls(path):
            if name_of(call) in RAISED and "logger" not in ast.dump(call.func):
                for argument in (*call.args, *(it.value for it in call.keywords if it.arg == "hint")):
                    found |= set(texts(argument, function, tree(path)))
        for it in ast.walk(tree(path)):
            if isinstance(it, FUNCTION) and it.name in MADE_BY:
                found |= set(returned(it, tree(path)))
            elif isinstance(it, ast.Assign | ast.AnnAssign):
                names = {getattr(to, "id", "") for to in getattr(it, "targets", [getattr(it, "target", None)])}
                found |= set(texts(it.value)) if names & MADE_OF and it.value else set()
    return {core(part) for text in found for part in text.split(". Hint: ") if " " in core(part)}


def filled(words: str) -> Iterator[str]:
    """The texts that words of `mistakes` come to."""
    names = re.findall(r"\{(\w+)[^}]*\}", words)
    for values in product(*[GAPS.get(name, ("{}",)) for name in names]):
        yield re.sub(r"\{\w+[^}]*\}", "{}", words).format(*values)


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The catalogue, in which the Chinese of each text is its number in brackets, before and behind each gap."""
    found = [*words.catalogue(words.ERRORS)]
    instead = {text: f"⟨{number}⟩" + f"{{}}⟨{number}⟩" * text.count("{}") for number, text in enumerate(found)}
    monkeypatch.setattr(words, "catalogue", lambda _file: instead)
    forget()
    yield found
    forget()


def forget() -> None:
    words._with_gaps.cache_clear()
    words._like.cache_clear()


def english(told: str) -> Iterator[str]:
    """What has no number; a name is one word, what was written is in quotes or brackets, and a command is typed."""
    for part in re.split(r"⟨\d+⟩|；|。处理办法：|: ", told):
        if " " in part.strip() and re.search("[a-z]{2}", part) and not re.match(r"payhub |['\"([{]|\w+(, \w+)*$", part):
            yield part


def test_there_is_chinese_for_all_that_errors_say_and_for_nothing_else(numbered: list[str]) -> None:
    """Collected from the code, so that a new text is missed here first."""
    told = {text: words.in_chinese(text) for text in (raised() - GENERAL) | SEEN}
    assert {text: left for text, it in told.items() if (left := [*english(it)])} == {}
    used = {numbered[int(number)] for it in told.values() for number in re.findall(r"⟨(\d+)⟩", it)}
    quoted = tomllib.loads((CORE / "cli" / words.ERRORS).read_text("utf-8"))["quoted"]
    assert sorted(set(numbered) - used - set(quoted)) == []


@pytest.mark.parametrize(
    "text",
    [
        *(text for _, text in NAMES.values()),
        *(text for _, text in HUBS.values()),
        *(text for _, text in PATHS.values()),
        *(f"payhub.toml{'' if text.startswith(':') else ' '}{text}" for _, text in CONTENTS.values()),
        *(text for _, _, text in VARIABLES.values()),
        *(text for _, _, text in SECRETS.values()),
        *(text for status, text in MISTAKES.values() if status == 1),
    ],
)
def test_no_mistake_of_the_tables_is_told_half_in_english(numbered: list[str], text: str) -> None:
    """Those of the configuration and of the command line, with what is really put into them."""
    assert [*english(words.in_chinese(text))] == []


@pytest.mark.parametrize("text", sorted(words.catalogue(words.ERRORS)))
def test_each_text_is_told_by_its_own_chinese(text: str) -> None:
    """Whatever stands in its gaps; what begins with a gap does so in both, so that names before it stay there."""
    chinese = words.catalogue(words.ERRORS)[text]
    gaps = [f"gap{number}100%" for number in range(text.count("{}"))]
    told = words.in_chinese(filled_in(text, gaps))
    assert told == filled_in(chinese, gaps)
    assert re.search("[\u2e80-\uffef]", chinese) or chinese == text
    assert text.startswith("{}") == chinese.startswith("{}") or not text.startswith("{}")
    assert len(re.findall(r"\. Hint: |; |: ", text)) < words._MOST


def filled_in(text: str, gaps: Sequence[str]) -> str:
    """``text`` with its gaps filled, whatever other braces it has."""
    return "".join(chain(*zip(text.split("{}"), [*gaps, ""], strict=True)))


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (
            "[account a] b: is missing; c: expected UTF-8. Hint: known are: d; [account e] f (from G): is missing",
            "[账户 a] b: 缺少；c: 应为 UTF-8 编码。处理办法：已知的有：d；[账户 e] f（来自 G）: 缺少",
        ),
        ("appid: expected text, in quotes, not an int", "appid: 应为加引号的文本，而不是整数"),
        (
            "the last pass learnt nothing, at 2026-03-01: [account shop, order A1] the gateway refused: 余额",
            "上一轮查单没有得到结果，在 2026-03-01：[账户 shop，订单 A1] 网关拒绝：余额",
        ),
        (
            "the handler raised ConfigError: there is no account 'x'. Hint: known are: shop",
            "处理函数抛出 ConfigError: 没有账户 'x'。处理办法：已知的有：shop",
        ),
        ("the words of a plugin: is missing here; and more", "the words of a plugin: is missing here; and more"),
        ("a; b is not in UTF-8", "a; b 不是 UTF-8 编码"),
    ],
)
def test_what_is_joined_is_told_part_by_part(english: str, chinese: str) -> None:
    """A part that no entry fits stays as it is, and so does what stands beside it."""
    assert words.in_chinese(english) == chinese


def test_many_errors_at_once_are_told_at_once() -> None:
    """A configuration of a thousand accounts, each of them wrong."""
    text = "; ".join(f"[account shop{number}] secret: is missing" for number in range(1000))
    assert words.in_chinese(text).count("缺少") == 1000
