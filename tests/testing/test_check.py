"""``payhub check``: the same run without a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from payhub_core.cli.commands import payhub
from payhub_core.testing.cases import CASES

TEA = str(Path(__file__).with_name("tea.py"))
BROKEN = """
from tests.testing.broken import Polite
from tests.testing.tea import TeaContract

class Of(TeaContract):
    provider = Polite
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(payhub, ["check", *arguments])


def test_a_provider_that_keeps_its_contract_ends_with_zero() -> None:
    """And the table says what was shown."""
    result = run("tests.testing.tea:TeaContract")
    assert result.exit_code == 0, result.output
    assert f"ran {len(CASES) - 38} of {len(CASES)}, excused 0, failed 0\n" in result.output
    assert "not applicable  refund.looked_up: refund looks nothing up\n" in result.output
    assert "tea: CNY, JPY, KWD" in result.output


def test_a_failure_ends_with_one_and_teaches(tmp_path: Path) -> None:
    """As under pytest; a path is printed whole, however narrow the terminal is: cut in two it cannot be copied."""
    (tmp_path / "contract.py").write_text(BROKEN, "utf-8")
    result = run(f"{tmp_path / 'contract.py'}:Of")
    assert result.exit_code == 1
    assert "expected:  a reply of b'OK'" in result.output
    assert "failed 1" in result.output
    assert any(
        line.strip().startswith("read:") and line.endswith("hooks.md#parse_callback")
        for line in result.output.splitlines()
    )


def test_the_outcomes_are_chinese_where_the_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a case says is for the author, whose code is English."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    output = run("tests.testing.tea:TeaContract").output
    assert f"运行 {len(CASES) - 38} 项，共 {len(CASES)} 项；豁免 0 项，失败 0 项\n" in output
    assert "        不适用  fault.entities: no XML\n" in output
    assert "not applicable" not in output


def test_the_result_as_json_has_every_case(tmp_path: Path) -> None:
    """For a page, or a badge."""
    (tmp_path / "contract.py").write_text(BROKEN, "utf-8")
    result = run(f"{tmp_path / 'contract.py'}:Of", "--json")
    told: dict[str, Any] = json.loads(result.stdout)
    assert [case["id"] for case in told["cases"]] == [case.id for case in CASES]
    assert told["capabilities"]["refund"] == {"passed": 10, "not applicable": 6}
    assert told["provider"] == "tea"
    assert [case["id"] for case in told["cases"] if case["outcome"] == "failed"] == ["notify.acknowledged"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nothing", "expected MODULE:CLASS"),
        ("no_such_module:Of", "cannot be imported"),
        ("no_such_file.py:Of", "there is no file"),
        ("tests.testing.tea:TeaContrac", "did you mean 'TeaContract'"),
        ("tests.testing.tea:Tea", "has no contract 'Tea'"),
    ],
)
def test_what_is_named_wrongly_is_said(named: str, message: str) -> None:
    """In one line."""
    result = run(named)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())


def test_a_module_that_fails_says_where(tmp_path: Path) -> None:
    """In one line: the author's own, and not this command's."""
    (tmp_path / "contract.py").write_text("first = 1\nsecond = frist\n", "utf-8")
    result = run(f"{tmp_path / 'contract.py'}:Of")
    assert result.exit_code == 1
    assert "NameError: name 'frist' is not defined (line 2 of contract.py)" in " ".join(result.output.split())
