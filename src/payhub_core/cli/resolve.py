"""``payhub payments resolve``: note that somebody has seen to the anomalies of an order, or to all of one kind."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import click
from sqlalchemy import Connection

from payhub_core.cli.anomalies import KINDS, print_anomalies
from payhub_core.cli.options import check_account, config_option, json_option, print_json, read_config, time
from payhub_core.cli.tables import anomaly_json, remark
from payhub_core.cli.words import say
from payhub_core.errors import PayhubError
from payhub_core.ledger import AnomalyKind, Ledger, StoredAnomaly
from payhub_core.ledger import anomalies as noted

__all__ = ["resolve"]

_ALL = 10**9


@click.command()
@config_option
@click.argument("account", required=False)
@click.argument("reference", required=False)
@click.argument("name", required=False)
@click.option("--kind", type=KINDS, help="In place of an order: all that are open of this kind.")
@click.option("--account", "of_account", help="With --kind: only those of this account.")
@click.option("--since", type=time, metavar="TIME", help="With --kind: only those found out since then.")
@click.option("--until", type=time, metavar="TIME", help="With --kind: only those found out before then.")
@click.option("--yes", is_flag=True, help="With --kind: do not ask first.")
@click.option("--by", default=getpass.getuser, help="Who has seen to it; the user of this shell if not given.")
@click.option("--why", "reason", required=True, help="What was done about it, or why nothing has to be.")
@json_option
def resolve(
    *,
    config: str | None,
    account: str | None,
    reference: str | None,
    name: str | None,
    kind: str | None,
    of_account: str | None,
    since: datetime | None,
    until: datetime | None,
    yes: bool,
    by: str,
    reason: str,
    as_json: bool,
) -> None:
    """Note that somebody has seen to the anomalies of an order, or to all of one kind.

    NAME is one of the order's, such as paid_again:2; without it, all that are open. Those of a kind are shown and
    counted, and noted after a yes, all or none. Nothing else changes.
    """
    if kind is None and any((of_account, since, until, yes)):
        raise click.UsageError("--account, --since, --until and --yes go with --kind")
    if account is not None if kind else reference is None:
        raise click.UsageError("expected ACCOUNT and REFERENCE, or --kind")
    if kind and as_json and not yes:
        raise click.UsageError("--kind with --json needs --yes, since nobody can be asked")
    settings = read_config(config)
    with Ledger(settings.ledger) as ledger:
        check_account(account or of_account, settings, ledger)
        if kind is None:
            count, now = _of_order(ledger, str(account), str(reference), name, by=by, reason=reason)
        else:
            wanted = AnomalyKind(kind)
            found = ledger.anomalies(account=of_account, kind=wanted, since=since, until=until, limit=_ALL)
            if not found or not (yes or _agreed(found, by, reason)):
                remark(say("There are no such anomalies.") if not found else say("Nothing was noted."))
                sys.exit(1)
            count, now = ledger.write(partial(_each, found=found, by=by, reason=reason))
    if as_json:
        print_json({"resolved": count, "anomalies": [anomaly_json(stored) for stored in now]})
    else:
        print_anomalies(now)


def _of_order(
    ledger: Ledger, account: str, reference: str, name: str | None, *, by: str, reason: str
) -> tuple[int, list[StoredAnomaly]]:
    count = ledger.resolve(account, reference, name, by=by, reason=reason)
    if not count:
        about = f"no open anomaly {name!r}" if name else "no open anomaly"
        names = [it.anomaly.name for it in ledger.anomalies_of(account, reference) if it.resolved_at is None]
        hint = f"open are: {', '.join(names)}" if names else f"see: payhub payments show {account} {reference}"
        raise PayhubError(f"there is {about} of this order", hint=hint, account=account, reference=reference)
    return count, ledger.anomalies_of(account, reference)


def _agreed(found: Sequence[StoredAnomaly], by: str, reason: str) -> bool:
    """Whether whoever sees them says yes."""
    print_anomalies(found)
    return click.confirm(say(f"Anomalies: {len(found)}. Note for each that {by} has seen to it: {reason}"))


def _each(
    connection: Connection, found: Sequence[StoredAnomaly], by: str, reason: str
) -> tuple[int, list[StoredAnomaly]]:
    """Notes it for each that is still open, in one transaction; returns for how many, and all as they are now."""
    count, now = 0, []
    for it in found:
        name = it.anomaly.name
        count += noted.resolve(connection, it.account, it.reference, name, by=by, reason=reason)
        of_order = noted.anomalies_of(connection, it.account, it.reference)
        now += [new for new in of_order if new.anomaly.name == name]
    return count, now
