"""``payhub dry-run``: the request that would create a payment, signed, shown and not sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from payhub_core.accounts import load_accounts
from payhub_core.calls import Calls
from payhub_core.cli.curl import Redaction, curl
from payhub_core.cli.options import config_option, read_config
from payhub_core.cli.words import say
from payhub_core.declaration import ProviderInfo, sample_extra
from payhub_core.errors import InvalidOrder, PayhubError, plain
from payhub_core.flow import Request, is_harmless
from payhub_core.models import FormPost, Order, Payment, Redirect
from payhub_core.money import Money

__all__ = ["dry_run"]

_HINT = "an order is FIELD=VALUE for each field, or a JSON file"


@click.command("dry-run")
@click.argument("account")
@click.argument("order", nargs=-1)
@config_option
def dry_run(account: str, order: tuple[str, ...], config: str | None) -> None:
    """Show the request that would create ORDER at ACCOUNT, as a curl command. Nothing is sent.

    ORDER is FIELD=VALUE for each field that matters, such as amount="9.99 CNY" method=alipay_h5 extra.device=pc, or a
    JSON file with an order's fields; what is left out is made up. Keys and signatures show as ***, and so does any
    other text that is long enough for one and is not the order's nor a public setting.
    """
    provider = load_accounts(read_config(config))[account]
    asked = Order(**_made_up(account, provider.info, _fields(order)))
    flow = Calls(account, provider).flow("create_payment", order=asked, created_at=datetime.now(UTC))
    try:
        request: Request | None = next(flow)
    except StopIteration as stop:
        request = _first_of_payer(stop.value)
    finally:
        flow.close()
    if request is None:
        raise PayhubError("creating a payment sends no request at this account")
    click.echo(curl(request, Redaction(provider, asked)))
    click.echo(say("Nothing was sent. *** hides keys and signatures."), err=True)
    if is_harmless(request):
        click.echo(say("This request creates no payment yet: the next one depends on its answer."), err=True)


def _first_of_payer(payment: Payment) -> Request | None:
    """What the payer's browser sends first, where the create itself sends nothing."""
    action = payment.next_action
    if isinstance(action, FormPost):
        return Request("POST", action.url, data=action.fields)
    return Request("GET", action.url) if isinstance(action, Redirect) else None


def _made_up(account: str, info: ProviderInfo, fields: dict[str, Any]) -> dict[str, Any]:
    """The ``fields`` of an order, and what else this provider needs of one."""
    currency = "CNY" if "CNY" in info.currencies else min(info.currencies)
    methods = sorted(info.methods - info.payer_needed) or sorted(info.methods)
    made = {
        "reference": "DRYRUN1",
        "amount": Money(100, currency),
        "description": "Dry run",
        "method": methods[0] if info.method_needed and methods else None,
        "notify_url": f"https://shop.example/pay/{account}/notify",
        "return_url": f"https://shop.example/pay/{account}/return/{quote(str(fields.get('reference', 'DRYRUN1')))}",
        **fields,
        "extra": sample_extra(info) | fields.get("extra", {}),
    }
    return {"payer": "payer", **made} if made["method"] in info.payer_needed else made


def _fields(words: Iterable[str]) -> dict[str, Any]:
    """The order's fields as they were given on the command line."""
    fields: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            fields |= _read(word)
        elif name.startswith("extra."):
            fields["extra"] = {**fields.get("extra", {}), name.removeprefix("extra."): value}
        else:
            fields[name] = value
    if isinstance(fields.get("amount"), str):
        number, _, currency = fields["amount"].partition(" ")
        fields["amount"] = Money.of(number, currency)
    return fields


def _read(path: str) -> dict[str, Any]:
    try:
        fields = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise InvalidOrder(f"{plain(path)}: no such file", hint=_HINT) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidOrder(f"{plain(path)} cannot be read as JSON: {type(error).__name__}", hint=_HINT) from None
    if not isinstance(fields, dict):
        raise InvalidOrder(f"{plain(path)}: expected a JSON object with an order's fields")
    return fields
