"""What a command shows of a callback that it has verified: what it says, or why it is refused."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from payhub_core.accounts import Accounts
from payhub_core.cli.options import print_json
from payhub_core.cli.words import named, say, tell
from payhub_core.errors import BadSignature, CallbackError, MalformedCallback, PayhubError, plain
from payhub_core.explanation import Explanation, explain
from payhub_core.hub import Hub
from payhub_core.models import Callback, Notification
from payhub_core.times import when

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a callback: a notification or an error, and the explanation of that where one was asked for."""

    account: str
    callback: Callback
    notification: Notification | None
    error: PayhubError | None
    explanation: Explanation | None = None

    @property
    def status(self) -> int:
        """The command's exit status."""
        return 0 if self.error is None else 1

    def show(self, file: str, recorded: dict[str, Any], *, as_json: bool) -> None:
        """Prints it, with the ``recorded`` circumstances."""
        result = {
            "file": file,
            "recorded_at": recorded.get("recorded_at"),
            "account": self.account,
            "address": self.callback.kind.value,
            "answered": recorded.get("reply"),
            "genuine": self.notification is not None,
            "kind": None if self.notification is None else self.notification.kind.value,
            "payment": _payment(self.notification),
            "refund": _refund(self.notification),
            "error": self._error(),
            "explanation": None if self.explanation is None else _explained(self.explanation),
        }
        if as_json:
            print_json(result)
        else:
            Console().print(_table(result, self._word, self.explanation))

    def _error(self) -> dict[str, str] | None:
        """The error, whose hint is to look for the cause: the explanation has looked."""
        if self.error is None:
            return None
        hint = "" if self.explanation else self.error.hint
        return {"type": type(self.error).__name__, "message": self.error.message, "hint": hint}

    @property
    def _word(self) -> Text:
        if self.error is None:
            return Text(say("genuine"), style="green")
        if isinstance(self.error, CallbackError):
            return Text(say("refused"), style="red")
        return Text(say("not verified"))


def judge(accounts: Accounts, account: str, callback: Callback, *, explained: bool) -> Verdict:
    """Verifies ``callback``, and looks for the cause where it is refused for its signature or its shape."""
    with Hub(accounts) as hub:
        try:
            return Verdict(account, callback, hub.parse_callback(account, callback), None)
        except PayhubError as error:
            explanation = None
            if explained and isinstance(error, BadSignature | MalformedCallback):
                explanation = explain(accounts, account, callback)
                # Of a message that is not whole the error says more than that nothing explains it.
                if explanation.account is None and (isinstance(error, MalformedCallback) or error.lacks):
                    explanation = None
            return Verdict(account, callback, None, error, explanation)


def _payment(notification: Notification | None) -> dict[str, Any] | None:
    if notification is None or notification.payment is None:
        return None
    payment = notification.payment
    sums = {"amount": payment.amount and str(payment.amount), "paid": payment.paid and str(payment.paid)}
    return payment.model_dump(mode="json", exclude={"next_action", *sums}) | sums


def _refund(notification: Notification | None) -> dict[str, Any] | None:
    if notification is None or notification.refund is None:
        return None
    refund = notification.refund
    return refund.model_dump(mode="json", exclude={"looked_up"}) | {"amount": refund.amount and str(refund.amount)}


def _explained(explanation: Explanation) -> dict[str, Any]:
    return asdict(explanation) | {"text": str(explanation), "hints": explanation.hints}


def _when(text: Any) -> Any:
    """A time for people; what is none stays as it is."""
    try:
        return when(datetime.fromisoformat(text).astimezone(UTC))
    except (TypeError, ValueError):
        return text


def _said(explanation: Explanation) -> str:
    """The explanation for people; of a deviation that the catalogue does not know, as its provider names it."""
    deviation = say(", and ").join(say(name) for name, _ in explanation.parts)
    return say(str(replace(explanation, deviation=deviation)))


def _table(result: dict[str, Any], verdict: Text, explanation: Explanation | None) -> Table:
    table = Table(show_header=False, title=Text(Path(result["file"]).name), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    answered = result["answered"] if isinstance(result["answered"], dict) else {}
    rows = {
        say("recorded"): _when(result["recorded_at"]),
        say("account"): result["account"],
        say("address"): named(result["address"]),
        say("answered then"): " ".join(str(answered.get(key, "")) for key in ("status_code", "content_type")).strip(),
        say("reason then"): tell(str(answered.get("reason") or "")),
        say("now"): verdict,
    }
    if payment := result["payment"]:
        shown = ("reference", "gateway_id", "status", "claimed_status", "amount", "paid", "attach", "paid_at")
        names = say("reference | gateway id | status | claimed status | amount | paid | attach | paid at").split(" | ")
        said = {key: named(payment[key]) for key in ("status", "claimed_status") if payment[key]}
        said["paid_at"] = _when(payment["paid_at"])
        rows |= {name: {**payment, **said}[key] for name, key in zip(names, shown, strict=True)}
    if refund := result["refund"]:
        told = (refund["refund_reference"], refund["refund_id"], refund["status"], refund["amount"])
        rows |= {say("order"): refund["reference"], say("refund"): ", ".join(filter(None, told))}
    if error := result["error"]:
        rows |= {say("error"): f"{error['type']}: {tell(error['message'])}", say("hint"): tell(error["hint"])}
    lines = [*rows.items()]
    if explanation is not None:
        lines += [(say("signature"), _said(explanation)), *((say("to do"), say(it)) for it in explanation.hints)]
    for label, value in lines:
        if value is not None and value != "":
            # Text, never markup, and nothing unprintable: what a message says is not to be interpreted.
            table.add_row(label, value if isinstance(value, Text) else Text(plain(value, 2000)))
    return table
