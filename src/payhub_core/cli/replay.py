"""``payhub replay``: verify a recorded callback again, and say what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from payhub_core.accounts import load_accounts
from payhub_core.cli.options import config_option, json_option, print_json, read_config
from payhub_core.errors import CallbackError, PayhubError, plain
from payhub_core.hub import Hub
from payhub_core.models import Notification
from payhub_core.recorder import load, load_callback

__all__ = ["replay"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@click.option("--account", help="Verify as another account than the recorded one.")
@json_option
@click.pass_context
def replay(ctx: click.Context, file: Path, config: str | None, account: str | None, as_json: bool) -> None:
    """Verify the recorded callback FILE again, and show what it says.

    Nothing is stored, and no order is compared. Exit status 0: genuine; 1: refused, or it could not be verified.
    """
    recorded = load(file)
    name, callback = load_callback(file)
    name = account or name
    notification, error = None, None
    with Hub(load_accounts(read_config(config))) as hub:
        try:
            notification = hub.parse_callback(name, callback)
        except PayhubError as refusal:
            error = refusal
    verdict = "genuine" if error is None else "refused" if isinstance(error, CallbackError) else "not verified"
    result = {
        "file": str(file),
        "recorded_at": recorded.get("recorded_at"),
        "account": name,
        "address": callback.kind.value,
        "answered": recorded.get("reply"),
        "genuine": notification is not None,
        "kind": None if notification is None else notification.kind.value,
        "payment": _payment(notification),
        "error": _error(error),
    }
    if as_json:
        print_json(result)
    else:
        Console().print(_table(result, verdict))
    ctx.exit(0 if error is None else 1)


def _payment(notification: Notification | None) -> dict[str, Any] | None:
    if notification is None or notification.payment is None:
        return None
    payment = notification.payment
    sums = {"amount": payment.amount and str(payment.amount), "paid": payment.paid and str(payment.paid)}
    return payment.model_dump(mode="json", exclude={"next_action", *sums}) | sums


def _error(error: PayhubError | None) -> dict[str, str] | None:
    return None if error is None else {"type": type(error).__name__, "message": error.message, "hint": error.hint}


def _table(result: dict[str, Any], verdict: str) -> Table:
    table = Table(show_header=False, title=Text(Path(result["file"]).name), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    answered = result["answered"] if isinstance(result["answered"], dict) else {}
    rows = {
        "recorded": result["recorded_at"],
        "account": result["account"],
        "address": result["address"],
        "answered then": " ".join(str(answered.get(key, "")) for key in ("status_code", "content_type")).strip(),
        "now": verdict,
    }
    if payment := result["payment"]:
        shown = ("reference", "gateway_id", "status", "claimed_status", "amount", "paid", "attach", "paid_at")
        rows |= {key.replace("_", " "): payment[key] for key in shown}
    if error := result["error"]:
        rows |= {"error": f"{error['type']}: {error['message']}", "hint": error["hint"]}
    for label, value in rows.items():
        if value is not None and value != "":
            # Text, never markup, and nothing unprintable: what a message says is not to be interpreted.
            style = {"genuine": "green", "refused": "red"}.get(str(value), "")
            table.add_row(label, Text(plain(value, 2000), style=style))
    return table
