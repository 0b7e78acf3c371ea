"""The commands speak Chinese where the environment asks for it, to people and never to programs."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len
from tests.cli.conftest import one_checkout
from tests.cli.written import FUNCTION, calls, name_of, texts
from tests.docs.test_mismatch import RULES, deviations

import payhub_core
from payhub_core import Refused
from payhub_core.cli.commands import payhub
from payhub_core.cli.help import with_help
from payhub_core.cli.report_words import CHINESE, ENGLISH
from payhub_core.cli.words import catalogue, say
from payhub_core.explanation import HINTS
from payhub_core.ledger import AnomalyKind, Creation
from payhub_core.models import CallbackKind, PaymentStatus

ROOT = Path(payhub_core.__file__).parent
COMMANDS = sorted((ROOT / "cli").glob("*.py"))
DEMO = sorted((ROOT.parent / "payhub_sandbox" / "demo").glob("*.py"))
SANDBOX = ROOT.parent / "payhub_sandbox" / "command.py"
#: What click writes by itself.
CLICKS = {
    "Usage:",
    "Options",
    "Commands",
    "Show this message and exit.",
    "Show the version and exit.",
    "required",
    "default: {}",
    "Error: {}",
    "Try '{} --help' for help.",
    *(
        f"No such {what} {{}}.{near}"
        for what in ("option", "command")
        for near in ("", " Did you mean {}?", " (Did you mean one of: {}?)")
    ),
    "Missing argument {}.",
    "Missing option {}.",
    "Got unexpected extra argument ({})",
    "Got unexpected extra arguments ({})",
    "Option {} requires an argument.",
    "Option {} does not take a value.",
    "Invalid value for {}: {}",
    "{} is not one of {}.",
    "{} is not a valid {}.",
    "{} is not in the range {}.",
    "File {} does not exist.",
    "File {} is a directory.",
}
#: What of a deviation's name is the message's own.
GAPS = {
    r", as \w+=": ", as {}=",
    r"'\w+'": "{}",
    r"the hash is (HMAC-)?[A-Z]+\d+": r"the hash is \1{}",
}
#: Words that commands take, and those of a payment's history.
WORDS = {*PaymentStatus, *Creation, *AnomalyKind, *CallbackKind, "create", "query", "refund", "close", "handler"}
PRINTS = {"echo", "remark", "print_table", "_complain", "print", "status", "add_task", "add_column"}


@cache
def said() -> set[str]:
    """All that the commands pass to `say`, and how one was called."""
    found = set[str]()
    for path in (*COMMANDS, *DEMO, SANDBOX):
        for call, function in calls(path):
            if name_of(call) == "say":
                found |= set(texts(call.args[0], function))
            elif name_of(call) in {"step", "check"} and path in DEMO:
                found |= {text for argument in call.args for text in texts(argument, function)}
            elif name_of(call) in {"BadParameter", "UsageError", "fail"} and path in (*COMMANDS, SANDBOX):
                found |= set(texts(call.args[0], function))
    return (found | explained() | {f"({word})" for word in WORDS}) - {"", "{}"}


def explained() -> set[str]:
    """What may be said of a signature: the answers, what it may deviate in, and what to do."""
    tree = [*ast.walk(ast.parse((ROOT / "explanation.py").read_text("utf-8")))]
    answers = [it for it in tree if isinstance(it, FUNCTION) and it.name in {"__str__", "hints"}]
    returned = [(it.value, f) for f in answers for it in ast.walk(f) if isinstance(it, ast.Return) and it.value]
    found = {text for value, function in returned for text in texts(value, function)}
    found |= {*HINTS.values(), 'set {} = "{}"'}
    named = {name for rule in RULES for digits in (32, 40) for name in deviations(rule, digits)}
    for pattern, gap in GAPS.items():
        named = {re.sub(pattern, gap, name) for name in named}
    return found | named


@cache
def helped(command: click.Command = payhub) -> set[str]:
    """The help of all commands: paragraphs, and each option's line."""
    written = (command.help or "", command.short_help or "", re.sub(r"(?<= )/\S+", "{}", command.epilog or ""))
    found = {" ".join(paragraph.split()) for text in written for paragraph in text.split("\n\n")}
    found |= {it.help for it in command.params if isinstance(it, click.Option) and it.help}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found |= helped(command.get_command(context, name))  # type: ignore[arg-type]
    return found - {""}


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")


def test_there_is_chinese_for_all_that_the_commands_say_and_for_nothing_else(few_sums: None) -> None:
    """Collected from the code, so that a new text is missed here first."""
    wanted = said() | helped() | CLICKS
    assert sorted(wanted - set(catalogue())) == []
    assert sorted(set(catalogue()) - wanted) == []


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_no_command_prints_a_text_that_is_not_said(path: Path) -> None:
    """Every text that is printed goes through `say`."""
    printed = [
        text
        for call, function in calls(path)
        if name_of(call) in PRINTS and call.args
        for text in texts(call.args[0], function)
    ]
    assert [text for text in printed if re.search(r"[A-Za-z]{2}", re.sub("payhub|UTC", "", text))] == []


@pytest.mark.parametrize("english", sorted(set(catalogue()) - helped()))
def test_each_text_is_found_with_anything_in_its_gaps(english: str, chinese: None) -> None:
    """And no other text is taken for it."""
    gaps = [f"gap{number} 100%" for number in range(english.count("{}"))]
    if english.endswith(": {}"):
        gaps[-1] = "KeyError: it ended so: badly"
    assert say(english.format(*gaps)) == catalogue()[english].format(*gaps) != english
    assert all(gap in catalogue()[english].format(*gaps) for gap in gaps)


@one_checkout
def test_the_doctor_speaks_chinese(command: Callable[..., Result], stored: None, chinese: None) -> None:
    """Its tables, and each finding with its hint."""
    output = command("doctor").output
    assert "! 账户 shop：未处理的异常单：1 条。处理办法：先 payhub payments anomalies --account shop，" in output
    assert "最近异步通知" in output
    assert re.search("secret [0-9]+ 个字符，sha256 ", output)
    assert "Hint" not in output


@one_checkout
@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["payments", "list"], "下单时间"),
        (["payments", "list"], "已付 (paid)"),
        (["payments", "list"], "多付 (overpaid)"),
        (["payments", "show", "shop", "A1001"], "网关单号"),
        (["payments", "show", "shop", "A1001"], "异步通知 (notify)"),
        (["payments", "show", "shop", "A1001"], "已下单 (created)"),
        (["payments", "anomalies"], "实收 / 应付"),
        (["payments", "anomalies"], "多付 (overpaid)"),
        (["outbox", "list"], "账户"),
        (["outbox", "list"], "已付 (paid)"),
    ],
    ids=str,
)
def test_a_list_is_chinese_for_people_alone(
    words: list[str], shown: str, command: Callable[..., Result], stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON is the same in every language."""
    monkeypatch.setenv("LC_ALL", "C")
    english, as_json = command(*words), command(*words, "--json")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert shown in command(*words).output
    assert shown not in english.output
    assert command(*words, "--json").output == as_json.output


def test_a_signature_is_explained_in_chinese(
    command: Callable[..., Result], config: Path, settings: dict[str, Any], chinese: None, monkeypatch: Any
) -> None:
    """Each deviation by itself, and what to do about it; JSON stays English."""
    fields = {"amount": "1.00", "appid": settings["appid"], "attach": "", "zone": "茶"}
    text = "&".join(f"{name}={value}" for name, value in fields.items() if value)
    signed = md5(f"{text}&secret={settings['secret']}".encode("gbk"), usedforsecurity=False).hexdigest()
    (config.parent / "notify.txt").write_text(urlencode({**fields, "sign": signed}))
    monkeypatch.setenv("COLUMNS", "300")
    shown = command("verify", "notify.txt").output
    assert "按以下差异可以对上：密钥作为参数放在最后，并且空值不参与签名，并且文本是 GBK 编码" in shown
    for hint in ('设置 secret_placement = "last"', '设置 callback_empties = "drop"', "请网关使用 UTF-8"):
        assert hint in shown
    assert "it would match, where the secret" in command("verify", "notify.txt", "--json").output


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "无"),
        ({"LANG": "zh"}, "无"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "无"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "C"}, "none"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "none"),
        ({"LANG": "C", "LC_ALL": ""}, "none"),
        ({}, "none"),
    ],
    ids=str,
)
def test_the_language_is_that_of_the_first_variable_that_is_set(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As POSIX has it: LC_ALL, then LC_MESSAGES, then LANG."""
    for name in ("LANG", "LC_MESSAGES", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert say("none") == expected


@one_checkout
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["payments", "show", "shop", "A9"],
            "payhub: [账户 shop，订单 A9] 这里没有下过这笔订单。处理办法：查看：payhub payments find A9\n",
        ),
        (["payments", "list", "--account", "shpo"], "payhub: 没有账户 'shpo'。处理办法：您是不是想写 'shop'？\n"),
        (["verify", "nofile"], "payhub: nofile 无法读取：没有这个文件或目录\n"),
        (["dry-run", "shop", "method=paypal"], "payhub: [账户 shop，订单 DRYRUN1] method: 应为其中之一：alipay_app, "),
        (["sandbox", "--host", "192.0.2.1"], "payhub: 192.0.2.1 不是本机地址；--allow-remote 允许别的机器访问\n"),
        (["report", "-o", "no/page.html"], "payhub: 无法写入 no/page.html：没有这个文件或目录\n"),
        (["new-provider", "oolong", "--folder", "payhub.toml/x"], "payhub: NotADirectoryError: [Errno 20] 不是目录"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, list) else "",
)
def test_an_error_is_told_in_chinese(
    words: list[str], told: str, command: Callable[..., Result], stored: None, chinese: None
) -> None:
    """With what to do, whichever command it ends."""
    result = command(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(told)


@one_checkout
def test_errors_among_results_are_told_in_chinese_and_json_is_not(
    command: Callable[..., Result], stored: None, config: Path, chinese: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that is refused, and a finding that holds an error."""
    (config.parent / "cut.txt").write_text(f"order_no=A1001&sign={'0' * 32}", "utf-8")
    assert (
        "BadSignature: 签名不是用本账户的密钥做的，并且缺少参与签名的 actual_amount, "
        in command("verify", "cut.txt").output
    )
    refused = command("verify", "cut.txt", "--json").stdout
    right = config.read_text("utf-8")
    config.write_text(right.replace("appid", "apid"), "utf-8")
    assert (
        "! 账户 shop：无法使用：appid: 缺少；apid: 没有这一项。处理办法：您是不是想写 'appid'？\n"
        in command("doctor").output
    )
    found = json.loads(command("doctor", "--json").stdout)["findings"]
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert json.loads(command("doctor", "--json").stdout)["findings"] == found
    config.write_text(right, "utf-8")
    assert command("verify", "cut.txt", "--json").stdout == refused


@one_checkout
def test_a_reason_that_was_kept_is_told_in_chinese(
    command: Callable[..., Result],
    open_checkout: Callable[..., Any],
    platform: Any,
    gateway: Any,
    order: Any,
    chinese: None,
) -> None:
    """In a payment's history, and in a report, whatever the language of the terminal."""
    checkout = open_checkout(gateway(platform.reply([], 0, "余额不足")))
    with pytest.raises(Refused):
        checkout.start("shop", order)
    assert "被拒绝 (refused): 网关拒绝：余额不足" in command("payments", "show", "shop", "A1001").output
    reason = "GatewayError: the gateway answered HTTP 503"
    assert [it.told(reason) for it in (ENGLISH, CHINESE)] == [reason, "GatewayError: 网关应答 HTTP 503"]


def every(command: click.Command = payhub, *words: str) -> Iterator[list[str]]:
    """The words of all commands."""
    yield list(words)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from every(command.get_command(context, name), *words, name)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", list(every()), ids=" ".join)
@pytest.mark.parametrize("columns", [60, 80])
def test_the_help_is_chinese_and_fits_the_terminal(
    words: list[str], columns: int, chinese: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Chinese character is two columns wide; no English is left but names."""
    monkeypatch.setenv("COLUMNS", str(columns))
    payhub.main([*words, "--help"], "payhub", standalone_mode=False)
    output = capsys.readouterr().out
    assert output.startswith("用法：payhub")
    assert "选项：" in output
    flat = " ".join(output.split())
    assert [text for text in helped() | CLICKS if f" {text[:25]}" in flat] == []
    assert [line for line in output.splitlines()[1:] if cell_len(line) > columns and not line.startswith("  --")] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["payments", "lst"], "没有命令 'lst'。您是不是想用 'list'？"),
        (["payments", "list", "--acount"], "没有选项 '--acount'。您是不是想用"),
        (["--foo"], "没有选项 '--foo'。"),
        (["verify"], "缺少参数 'FILE'。"),
        (["payments", "resolve", "shop", "A1"], "缺少选项 '--why'。"),
        (["doctor", "a", "b"], "多余的参数：a b"),
        (["doctor", "--account"], "选项 '--account' 后面要有值。"),
        (["payments", "list", "--since", "yesterday"], "'--since' 的值不对：应为时间，例如 2026-01-31"),
        (["payments", "list", "--limit", "x"], "'--limit' 的值不对：'x' 不是数字（integer range）。"),
        (["sandbox", "--certfile", "no.pem"], "'--certfile' 的值不对：没有文件 'no.pem'。"),
        (["report", "-o", "."], "'-o' / '--output' 的值不对：'.' 是目录。"),
        (["payments", "list", "--status", "odd"], "'--status' 的值不对：'odd' 不在可选值之内：'pending', "),
        (["outbox", "deliver"], "需要 --handler 或 --checkout，指明交给谁。"),
    ],
    ids=str,
)
def test_a_misspelt_command_is_answered_in_one_language(words: list[str], said: str, chinese: None) -> None:
    """Click's own words too, with exit status 2."""
    result = CliRunner().invoke(payhub, words)
    assert result.exit_code == 2
    assert f"错误：{said}" in result.output
    for english in ("Error", "Usage", "Try"):
        assert english not in result.output


def test_a_plugins_own_help_is_left_as_it_is(chinese: None) -> None:
    """Where a sentence only begins like one of payhub's, too."""

    @click.group()
    def plugin() -> None:
        """Show"""

    @plugin.command()
    @click.option("--much", default=1, show_default=True, help="How many")
    def counted() -> None:
        """Show one payment"""

    def shown(*words: str) -> str:
        return CliRunner().invoke(with_help(plugin), [*words, "--help"]).output

    assert "Show one payment\n" in shown()
    assert "How many  [默认：1]" in shown("counted")


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "未处理"), ("gbk", "未处理"), ("ascii", "open"), ("latin-1", "open")]
)
def test_a_terminal_that_cannot_write_chinese_has_english(encoding: str, shown: str, tmp_path: Path) -> None:
    """And one of any encoding is written to without a crash."""
    environment = os.environ | {"LANG": "zh_CN.UTF-8", "LC_ALL": "", "LC_MESSAGES": "", "PYTHONIOENCODING": encoding}
    program = [sys.executable, "-m", "payhub_core", "payments", "anomalies", "--help"]
    ended = subprocess.run(program, capture_output=True, env=environment, cwd=tmp_path, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert shown in ended.stdout.decode(encoding)
