"""The Chinese pages keep up with the English ones. Their Python runs as that of every page does, or is the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from payhub_core.cli.words import ERRORS, catalogue

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "zh").glob("*.md"))
#: Those whose Python is the English page's, and is run there alone.
SAME = ("configuration.md", "ledger.md", "production.md", "sandbox.md", "signature-mismatch.md", "web.md")
#: Those with a section for each of their English page's, and whatever that page writes as code.
WHOLE = ("gateway.md", "operating.md", *SAME)

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def followed(page: Path) -> Path:
    """The English page that ``page`` says it follows."""
    (link,) = re.findall(r"^对应英文页：\[[^\]]+\]\(([^)]+)\)", page.read_text("utf-8"), re.MULTILINE)
    return (page.parent / link).resolve()


def commands(page: Path) -> list[str]:
    """The blocks that no test runs, without their comments."""
    blocks = BLOCK.findall(page.read_text("utf-8"))
    return [re.sub(r" *# .*", "", block) for language, block in blocks if language != "python"]


def programs(page: Path) -> list[str]:
    """The blocks of Python, without their comments and docstrings, which are in the page's language."""
    blocks = [block for language, block in BLOCK.findall(page.read_text("utf-8")) if language == "python"]
    return [re.sub(r" *# .*|\"\"\".*\"\"\"", "", block) for block in blocks]


def code(page: Path) -> set[str]:
    """What stands as code in the text: settings, commands, fields, words."""
    return set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text("utf-8"))))


def headings(page: Path) -> int:
    return BLOCK.sub("", page.read_text("utf-8")).count("\n## ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_that_is_not_run_stands_in_the_english_page(page: Path) -> None:
    """So a command or a setting that is renamed there is renamed here."""
    english = "\n".join(commands(followed(page)))
    assert [block for block in commands(page) if block not in english] == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_page_has_the_sections_and_the_code_of_its_english_page(name: str) -> None:
    """Neither lacks a setting, a command or a field that the other names."""
    page = ROOT / "docs" / "zh" / name
    assert headings(page) == headings(followed(page))
    assert code(page) ^ code(followed(page)) == set()


@pytest.mark.parametrize("name", SAME)
def test_the_code_that_is_not_run_twice_is_that_of_the_english_page(name: str) -> None:
    """Nor is it lost where one of the two is changed."""
    page = ROOT / "docs" / "zh" / name
    assert programs(page) == programs(followed(page)) != []


@pytest.mark.parametrize("name", WHOLE)
def test_the_two_pages_lead_to_each_other(name: str) -> None:
    """At the top, below the title."""
    page = ROOT / "docs" / "zh" / name
    assert page.read_text("utf-8").splitlines()[2] == f"对应英文页：[{name}](../{name})。"
    assert followed(page).read_text("utf-8").splitlines()[2] == f"[中文](zh/{name})"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.zh.md"], ids=lambda page: page.name)
def test_the_comments_of_a_chinese_page_are_chinese(page: Path) -> None:
    """In every block, but for what is a value or a name."""
    code = "\n".join(block for _, block in BLOCK.findall(page.read_text("utf-8")))
    said = re.findall(r"(?: # |\"\"\"(?=\w))(.*)", code)
    assert [it for it in said if not re.search("[\u4e00-\u9fff]", it)] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.zh.md"], ids=lambda page: page.name)
def test_a_chinese_paragraph_is_one_line(page: Path) -> None:
    """A line break inside a sentence is shown as a space."""
    text = BLOCK.sub("\n", page.read_text("utf-8"))
    assert re.findall(r"^[^\n|#<!-].*\n(?![-|#<!\n]|\d+\. ).+", text, re.MULTILINE) == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.zh.md"], ids=lambda page: page.name)
def test_one_thing_has_one_word(page: Path) -> None:
    """The reader is 您, a provider 支付服务商, and a transition 变更事件."""
    assert re.findall("你|支付商|变化|方言", page.read_text("utf-8")) == []


def test_the_list_of_pages_links_to_all_that_the_english_list_does() -> None:
    """To the Chinese page, where there is one."""
    links = re.compile(r"^\| .*\]\(([^)#]+)", re.MULTILINE)
    english, chinese = ROOT / "docs", ROOT / "docs" / "zh"
    told = {(english / link).resolve() for link in links.findall((english / "README.md").read_text("utf-8"))}
    here = {(chinese / link).resolve() for link in links.findall((chinese / "README.md").read_text("utf-8"))}
    twin = {followed(page): page for page in PAGES}
    assert {twin.get(page, page) for page in told} == here


def test_the_operators_page_names_the_findings_as_the_commands_do() -> None:
    """So what is read on a terminal is found on the page."""
    text = (ROOT / "docs" / "zh" / "operating.md").read_text("utf-8")
    table = text.partition("| 结果 | 含义 | 处理办法 |\n|---|---|---|\n")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines() for name in row.split(" | ")[0].strip("| ").split("、")]
    assert len(named) > 10
    assert [name for name in named if not any(name in said for said in catalogue(ERRORS).values())] == []
