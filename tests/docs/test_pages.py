"""The code on every page of the documentation runs as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from tests.docs.test_chinese import SAME
from tests.docs.test_first_order import PAGES as PROGRAMS

from payhub_sandbox import PUBLIC_MERCHANTS, SandboxProcess

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if "```python" in path.read_text("utf-8")
)
EVERY_PAGE = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")})
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")
WEB = ROOT / "docs" / "web.md"  # run by tests/web, on real servers
TWINS = {ROOT / "docs" / "zh" / name for name in SAME}  # their code is the English pages', which test_chinese sees to
RUN_ELSEWHERE = {WEB, *TWINS, *(ROOT / name for name in PROGRAMS)}


@pytest.fixture(scope="module")
def gateway() -> Iterator[SandboxProcess]:
    with SandboxProcess() as gateway:
        yield gateway


@pytest.fixture
def gateway_url(gateway: SandboxProcess) -> str:
    """The address of a gateway that has no orders."""
    gateway.reset()
    return gateway.url


@pytest.mark.parametrize("page", [page for page in PAGES if page not in RUN_ELSEWHERE], ids=lambda path: path.name)
def test_the_code_of_the_page_runs(
    page: Path,
    gateway_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every Python block, in order, in one namespace; payhub.toml is the README's own, pointed at a real gateway."""
    toml = re.search(r"```toml\n(default = .*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert toml is not None
    (tmp_path / "payhub.toml").write_text(toml[1].replace("http://127.0.0.1:8787", gateway_url), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYHUB_ACCOUNTS__SHOP__SECRET", PUBLIC_MERCHANTS["gpu10000000"].secret)
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)
    # A recipe, named in a comment above it, runs in what it is for: see the tests of those.
    examples = [example for example in document.examples() if not document.text[: example.start].endswith(".py -->\n")]
    assert examples
    for example in examples:
        example.evaluate()


def test_every_question_of_a_maintainer_is_answered_by_a_file_that_is_there() -> None:
    """Each row of the table in CONTRIBUTING names one."""
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Where to look")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "?" in line]
    assert len(rows) >= 10
    for row in rows:
        named = re.findall(r"`([^`]+)`", row)
        assert named, row
        assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_file_that_tests_share_is_named() -> None:
    """Whoever writes a test looks there first."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    shared = {path.name for path in (ROOT / "tests").glob("*.py")} - {"conftest.py"}
    assert [name for name in sorted(shared) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))), ids=lambda path: path.name)
def test_no_link_of_the_page_is_dead(page: Path) -> None:
    """Every relative link leads to a file of the project, and so does every test named as a proof."""
    text = page.read_text("utf-8")
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text) + re.findall(r"`(tests/[\w./]+)`", text)
    base = {link: ROOT / link if link.startswith("tests/") else page.parent / link for link in links}
    assert [link for link, target in base.items() if not target.exists()] == []


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda path: path.name)
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    """Addresses of the web apart."""
    for target in LINK.findall(page.read_text("utf-8")):
        assert "://" in target or (page.parent / target.partition("#")[0]).exists(), target


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda path: path.name)
def test_every_section_that_a_page_links_to_is_there(page: Path) -> None:
    """By its heading, of this page or another."""
    links = re.findall(r"\]\((?!https?://)([^)#\s]*\.md|)#([^)\s]+)\)", page.read_text("utf-8"))
    assert [link for link in links if link[1] not in anchors(page.parent / link[0] if link[0] else page)] == []


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_every_promise_links_to_its_proof(name: str) -> None:
    """Each of the ten names tests."""
    promises = re.findall(r"^\| \d+ \| .* \| (.*) \|$", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    assert len(promises) == 10
    for proofs in promises:
        tests = [ROOT / target for target in LINK.findall(proofs) if target.startswith("tests/")]
        assert tests, proofs
        assert all(path.name.startswith("test_") and "def test_" in path.read_text("utf-8") for path in tests), proofs
