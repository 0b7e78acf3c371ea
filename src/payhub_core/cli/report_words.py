"""What the report says, in English and in Chinese."""

from __future__ import annotations

from dataclasses import dataclass

from payhub_core.cli.words import catalogue, in_chinese

__all__ = ["CHINESE", "ENGLISH", "Words"]


@dataclass(frozen=True, slots=True)
class Words:
    """The report in one language; what stands in braces is filled in."""

    tag: str
    title: str
    made: str
    odd: str
    no_odd: str
    odd_cut: str
    odd_head: tuple[str, ...]
    silent: str
    no_silent: str
    silent_head: tuple[str, ...]
    findings: str
    changed: str
    changed_note: str
    no_change: str
    changed_head: tuple[str, ...]
    received: str
    received_note: str
    no_received: str
    received_head: tuple[str, ...]
    all_accounts: str
    most: str
    pending: str
    pending_note: str
    no_pending: str
    pending_head: tuple[str, ...]
    ages: tuple[str, ...]
    by_account: str
    more: str
    last_day: str
    names: dict[str, str]

    def name(self, word: str) -> str:
        """A status, an anomaly or a change, without the number that a further one has."""
        word = word.partition(":")[0]
        known = catalogue().get(f"({word})") if self.tag == CHINESE.tag else None
        return self.names.get(word) or known or word.replace("_", " ")

    def kind(self, name: str) -> str:
        """An anomaly by the name that `payhub payments resolve` takes, in Chinese behind its word."""
        return name if self.tag == "en" else f"{self.name(name)} ({name})"

    def told(self, reason: str) -> str:
        """What an error says."""
        return reason if self.tag == "en" else in_chinese(reason)


ENGLISH = Words(
    tag="en",
    title="Payments",
    made="Made {time}. All days and times are UTC.",
    odd="Anomalies open",
    no_odd="No anomaly is open.",
    odd_cut="The newest {shown} of {count}. See: payhub payments anomalies",
    odd_head=("What", "Account", "Order", "Received", "Due", "Found"),
    silent="Accounts without an answer",
    no_silent="Each account's gateway answered when it was last asked.",
    silent_head=("Account", "No answer at", "Last answer", "Reason", "What to do"),
    findings="Findings of payhub doctor, these among them: {count}",
    changed="Since yesterday",
    changed_note="The last 24 hours beside the 24 hours before.",
    no_change="Nothing came to be in 48 hours.",
    changed_head=("", "Last 24 hours", "24 hours before", "Difference"),
    received="Received by day and account",
    received_note=(
        "The day is that of the gateway's time of payment, or of payhub's news of it where the gateway gives none. "
        "What was paid back is not taken off. Today is not over."
    ),
    no_received="Nothing was received in these days.",
    received_head=("Day", "Orders", "Received", "Paid back by now"),
    all_accounts="All accounts",
    most="highest day: {sum}",
    pending="Pending by age",
    pending_note="What is older than a week is not asked about any more.",
    no_pending="Nothing is pending.",
    pending_head=("Age", "Orders", "Due"),
    ages=("under 1 hour", "1 to 24 hours", "1 to 7 days", "over 7 days"),
    by_account="By account",
    more="Further accounts that are not shown: {count}",
    last_day="Received in 24 hours",
    names={"odd": "found odd", "received": "sum received", "pending": "Pending"},
)

CHINESE = Words(
    tag="zh-CN",
    title="收款报表",
    made="生成于 {time}。日期和时间均为 UTC。",
    odd="未处理的异常单",
    no_odd="没有未处理的异常单。",
    odd_cut="仅显示最新 {shown} 条，共 {count} 条。查看：payhub payments anomalies",
    odd_head=("异常", "账户", "订单号", "实收", "应付", "发现时间"),
    silent="没有应答的账户",
    no_silent="各账户的网关在最近一次查询时均已应答。",
    silent_head=("账户", "未应答时间", "最近应答", "原因", "处理方法"),
    findings="payhub doctor 发现的问题（含以上）：{count}",
    changed="与昨日相比",
    changed_note="最近 24 小时与此前 24 小时对比。",
    no_change="48 小时内没有变化。",
    changed_head=("", "最近 24 小时", "此前 24 小时", "增减"),
    received="每日各账户入账",
    received_note=(
        "日期以网关给出的付款时间为准；网关未给出时，以 payhub 得知的时间为准。已退款项未扣除。今日尚未结束。"
    ),
    no_received="这些天没有入账。",
    received_head=("日期", "订单数", "实收", "至今已退"),
    all_accounts="全部账户",
    most="最高一日：{sum}",
    pending="待支付订单时长",
    pending_note="超过一周的订单不再查询。",
    no_pending="没有待支付订单。",
    pending_head=("时长", "订单数", "应付"),
    ages=("1 小时以内", "1 至 24 小时", "1 至 7 天", "7 天以上"),
    by_account="按账户",
    more="另有未显示的账户：{count}",
    last_day="24 小时入账",
    names={
        "received": "实收金额",
        "pending": "待支付订单",
        "started": "新订单",
        "odd": "新发现异常单",
    },
)
