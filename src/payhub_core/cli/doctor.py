"""``payhub doctor``: what a person should look at, each with its hint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from operator import methodcaller
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len
from rich.console import Console

from payhub_core.accounts import unknown_account
from payhub_core.cli.configured import Configured, configured, sources
from payhub_core.cli.connection import connection, unusable_client
from payhub_core.cli.options import config_option, config_path, json_option, print_json, read_config
from payhub_core.cli.tables import print_table
from payhub_core.cli.words import say, tell
from payhub_core.config import Config
from payhub_core.errors import ConfigError, LedgerError, plain
from payhub_core.findings import Finding
from payhub_core.models import Payment
from payhub_core.times import when

if TYPE_CHECKING:
    from payhub_core.ledger import Health

__all__ = ["doctor"]

#: Writes, and changes nothing.
_NOTHING = methodcaller("exec_driver_sql", "DELETE FROM payhub_heartbeats WHERE 1 = 0")


@dataclass(slots=True)
class _Examined:
    read: dict[str, list[str]]
    settings: Config | None = None
    configured: Configured | None = None
    health: Health | None = None
    findings: list[Finding] = field(default_factory=list)


@click.command()
@config_option
@click.option("--account", help="Look at this account alone.")
@click.option("--connect", is_flag=True, help="Ask the gateways, too: DNS, TLS, clock, one signed query each.")
@json_option
def doctor(*, config: str | None, account: str | None, connect: bool, as_json: bool) -> None:
    """Find what is wrong with the configuration, the ledger and the payments.

    Shows no setting's value: of keys their length and the start of their SHA-256. Changes nothing. Exit status 0:
    nothing was found; 1: something was.
    """
    found = _Examined(sources(config_path(config)))
    try:
        settings = read_config(config)
    except ConfigError as error:
        found.findings.append(Finding("", error.message, error.hint or "mend the configuration"))
    else:
        _examine(found, settings, account, connect=connect)
    if account is not None:
        # One that cannot be used keeps every process from starting.
        unusable = found.configured.findings if found.configured else []
        found.findings = [it for it in found.findings if it.account in {"", account} or it in unusable]
    if as_json:
        print_json(_json(found, account))
    else:
        _print(found, account)
    if found.findings:
        sys.exit(1)


def _examine(found: _Examined, settings: Config, account: str | None, *, connect: bool) -> None:
    found.settings, found.configured = settings, configured(settings)
    found.findings += found.configured.findings
    newest: dict[str, Payment] = {}
    if settings.ledger is not None:
        newest = _examine_ledger(found, settings, connect=connect)
    if account is not None and (found.health is not None or settings.ledger is None):
        known = {*settings.accounts, *(it.account for it in (found.health.accounts if found.health else ()))}
        if account not in known:
            raise unknown_account(account, dict.fromkeys(known))
    if connect:
        unusable = [*unusable_client()]
        found.findings += unusable
        if unusable:
            return
        console = Console(stderr=True)
        for name, provider in found.configured.providers.items():
            if account in {None, name}:
                with console.status(say(f"asking {name}")):
                    found.findings += connection(name, provider, newest.get(name))


def _examine_ledger(found: _Examined, settings: Config, *, connect: bool) -> dict[str, Payment]:
    """Returns each account's newest payment, where the gateways are to be asked about one."""
    try:
        from payhub_core.ledger import Ledger  # noqa: PLC0415  without its extra all else is looked at

        with Ledger(settings.ledger) as ledger:
            found.health = ledger.health()
            found.findings += _strangers(settings, found.health)
            found.findings += (_usable(settings, it) for it in found.health.findings)
            # Or a disk or a server that only reads would look well, and no order could be started.
            ledger.write(_NOTHING)
            if connect:
                last = [it for name in ledger.accounts() for it in ledger.payments(account=name, limit=1)]
                return {it.payment.account: it.payment for it in last}
    except (ConfigError, LedgerError) as error:
        what = f"the ledger cannot be used: {error.message.removeprefix('the ledger cannot be used: ')}"
        found.findings.append(Finding("", what, error.hint or "mend the configuration"))
    return {}


def _strangers(settings: Config, health: Health) -> Iterator[Finding]:
    """The accounts whose orders nobody can ask about: renamed, or gone from the configuration."""
    for it in health.accounts:
        if it.unsettled and it.account not in settings.accounts:
            yield Finding(
                it.account,
                f"orders that are not settled, of an account that is not configured: {it.unsettled}",
                f"give the account its name back; where it is gone for good: payhub ledger retire {it.account}",
            )


def _usable(settings: Config, finding: Finding) -> Finding:
    """``finding`` with a hint that works: no gateway is asked for an account that is not configured."""
    account, asks = finding.account, ("doctor --connect" in finding.hint or "payments refresh" in finding.hint)
    if account in settings.accounts or not asks:
        return finding
    hint = f"give the account its name back; where it is gone for good: payhub ledger retire {account}"
    return Finding(account, finding.what, hint)


def _print(found: _Examined, account: str | None) -> None:
    read = say("files | variables | secret files").split(" | ")  # as `sources` has them
    rows = [(name, ", ".join(names) or say("none")) for name, names in zip(read, found.read.values(), strict=True)]
    if found.configured is not None:
        rows.append((say("installed"), ", ".join(found.configured.installed) or say("none")))
        for name, provider in found.configured.providers.items():
            if account in {None, name}:
                rows.append((say(f"account {name}"), f"{provider.info.name}: {_keys(found.configured.keys[name])}"))
                if name in found.configured.local:
                    rows.append(("", say("for development: plain http on this machine, whose answers settle nothing")))
    if found.settings is not None and found.settings.ledger is None:
        # A hub needs none, so this is no finding; who keeps one in the code alone is told where to name it.
        rows.append((say("ledger"), say("none is configured: no payment is looked at; see ledger or PAYHUB_LEDGER")))
    if found.health is not None:
        rows.append((say("last pass"), when(found.health.passed_at) or say("none yet")))
    print_table("", rows)
    shown = [it for it in (found.health.accounts if found.health else ()) if account in {None, it.account}]
    if shown:
        head = say(
            "Account | Last notify | Last answer | Stuck | To ask | In outbox | Anomalies in a day | Anomalies open"
        )
        print_table(
            head,
            [
                (
                    it.account,
                    when(it.notified_at) or say("none"),
                    when(it.answered_at) or say("none"),
                    str(it.stuck),
                    str(it.due),
                    str(it.waiting),
                    str(it.anomalies),
                    str(it.open_anomalies),
                )
                for it in shown
            ],
        )
    for finding in found.findings:
        _print_finding(finding)
    click.echo(say(f"findings: {len(found.findings)}"))


def _print_finding(finding: Finding) -> None:
    """In a line; on a terminal that is too narrow for it in two, and no command is broken over them."""
    what, hint = plain(tell(finding.what), 2000), plain(tell(finding.hint), 2000)
    found = say(f"account {finding.account}: {what}") if finding.account else what
    line = f"! {say(f'{found}. Hint: {hint}')}"
    if sys.stdout.isatty() and cell_len(line) > get_terminal_size().columns:
        line = f"! {found}\n  {say(f'Hint: {hint}')}"
    click.echo(line)


def _keys(keys: dict[str, list[str]]) -> str:
    return "; ".join(f"{name} {'; '.join(map(_key, shown))}" for name, shown in keys.items()) or say("no keys")


def _key(shown: str) -> str:
    length, _, digest = shown.partition(" characters, sha256 ")
    return say(f"{length} characters, sha256 {digest}") if digest else shown


def _json(found: _Examined, account: str | None) -> dict[str, Any]:
    accounts = found.configured
    figures = asdict(found.health) if found.health else {}
    if account is not None and figures:
        figures["accounts"] = [it for it in figures["accounts"] if it["account"] == account]
    return {
        "read": found.read,
        "installed": accounts.installed if accounts else [],
        "accounts": {
            name: {"provider": provider.info.name, "keys": accounts.keys[name]}
            for name, provider in accounts.providers.items()
            if account in {None, name}
        }
        if accounts
        else {},
        "health": {key: _plain(value) for key, value in figures.items() if key != "findings"},
        "findings": [asdict(finding) for finding in found.findings],
    }


def _plain(value: Any) -> Any:
    """``value`` with its times as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
