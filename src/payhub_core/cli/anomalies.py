"""``payhub payments anomalies`` and ``resolve``: what is odd, and who has seen to it."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime

import click

from payhub_core.cli.options import (
    check_account,
    config_option,
    json_option,
    limit_option,
    print_json,
    read_config,
    time,
)
from payhub_core.cli.tables import anomaly_json, print_table, remark, when
from payhub_core.cli.words import named, say
from payhub_core.errors import PayhubError
from payhub_core.ledger import AnomalyKind, Ledger, StoredAnomaly

__all__ = ["anomalies", "print_anomalies", "resolve"]


@click.command()
@config_option
@click.option("--account", help="Only those of this account.")
@click.option("--kind", type=click.Choice([kind.value for kind in AnomalyKind]), help="Only those of this kind.")
@click.option("--since", type=time, metavar="TIME", help="Only those found out since then: 2026-01-31, or 12h.")
@click.option("--all", "resolved", is_flag=True, help="Those that are resolved, too.")
@limit_option
@json_option
def anomalies(
    *,
    config: str | None,
    account: str | None,
    kind: str | None,
    since: datetime | None,
    resolved: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List what is odd about payments, and open.

    Exit status 0: nothing is open; 1: something is.
    """
    settings = read_config(config)
    with Ledger(settings.ledger) as ledger:
        check_account(account, settings, ledger)
        wanted = AnomalyKind(kind) if kind else None
        found = ledger.anomalies(account=account, kind=wanted, since=since, resolved=resolved, limit=limit + 1)
    shown, cut = found[:limit], len(found) > limit
    if as_json:
        print_json({"anomalies": [anomaly_json(stored) for stored in shown], "cut": cut})
    elif shown:
        print_anomalies(shown)
    else:
        remark(say("There are no such anomalies."))
    if cut and not as_json:
        remark(say(f"There are more: these are the last {limit}; see --limit."))
    if any(stored.resolved_at is None for stored in shown):
        sys.exit(1)


@click.command()
@config_option
@click.argument("account")
@click.argument("reference")
@click.argument("name", required=False)
@click.option("--by", default=getpass.getuser, help="Who has seen to it; the user of this shell if not given.")
@click.option("--why", "reason", required=True, help="What was done about it, or why nothing has to be.")
@json_option
def resolve(
    *, config: str | None, account: str, reference: str, name: str | None, by: str, reason: str, as_json: bool
) -> None:
    """Note that somebody has seen to the anomalies of an order.

    NAME is one of them, such as paid_again:2; without it, all that are open. Nothing else changes.
    """
    settings = read_config(config)
    with Ledger(settings.ledger) as ledger:
        check_account(account, settings, ledger)
        count = ledger.resolve(account, reference, name, by=by, reason=reason)
        if not count:
            about = f"no open anomaly {name!r}" if name else "no open anomaly"
            names = [it.anomaly.name for it in ledger.anomalies_of(account, reference) if it.resolved_at is None]
            hint = f"open are: {', '.join(names)}" if names else f"see: payhub payments show {account} {reference}"
            raise PayhubError(f"there is {about} of this order", hint=hint, account=account, reference=reference)
        now = ledger.anomalies_of(account, reference)
    if as_json:
        print_json({"resolved": count, "anomalies": [anomaly_json(stored) for stored in now]})
    else:
        print_anomalies(now)


def print_anomalies(found: list[StoredAnomaly]) -> None:
    """A table of anomalies."""
    head = say("Found out | Account | Order | Anomaly | Received / due | Gateway ids | Resolved")
    print_table(head, map(_cells, found))


def _cells(stored: StoredAnomaly) -> tuple[str, ...]:
    anomaly = stored.anomaly
    return (
        when(stored.at),
        stored.account,
        stored.reference,
        named(anomaly.name),
        f"{anomaly.received.amount} / {anomaly.due}",
        ", ".join(anomaly.gateway_ids),
        say(f"{when(stored.resolved_at)} by {stored.resolved_by}: {stored.resolution}") if stored.resolved_at else "",
    )
