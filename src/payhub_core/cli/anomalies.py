"""``payhub payments anomalies``: what is odd, since when, and who has seen to it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from functools import partial

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
from payhub_core.cli.tables import anomaly_json, print_table, remark
from payhub_core.cli.words import named, say
from payhub_core.ledger import AnomalyKind, Ledger, StoredAnomaly
from payhub_core.times import when

__all__ = ["KINDS", "anomalies", "print_anomalies"]


KINDS = click.Choice([kind.value for kind in AnomalyKind])


@click.command()
@config_option
@click.option("--account", help="Only those of this account.")
@click.option("--kind", type=KINDS, help="Only those of this kind.")
@click.option("--since", type=time, metavar="TIME", help="Only those found out since then: 2026-01-31, or 12h.")
@click.option("--until", type=time, metavar="TIME", help="Only those found out before then.")
@click.option("--all", "resolved", is_flag=True, help="Those that are resolved, too.")
@limit_option
@json_option
def anomalies(
    *,
    config: str | None,
    account: str | None,
    kind: str | None,
    since: datetime | None,
    until: datetime | None,
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
        asked = partial(ledger.anomalies, account=account, kind=wanted, since=since, until=until)
        found = asked(resolved=resolved, limit=limit + 1)
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


def print_anomalies(found: Iterable[StoredAnomaly]) -> None:
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
        _resolved(stored),
    )


def _resolved(stored: StoredAnomaly) -> str:
    if stored.resolved_at is None:
        return ""
    made_up = "the rest came in"  # payhub's own reason; a person's stays as it was written
    reason = say(made_up) if stored.resolution == made_up else stored.resolution
    return say(f"{when(stored.resolved_at)} by {stored.resolved_by}: {reason}")
