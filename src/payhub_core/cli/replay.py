"""``payhub replay``: verify a recorded callback again, and say what it says."""

from __future__ import annotations

from pathlib import Path

import click

from payhub_core.accounts import load_accounts
from payhub_core.cli.options import config_option, json_option, read_config
from payhub_core.cli.verdict import judge
from payhub_core.recorder import load, load_callback

__all__ = ["replay"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@click.option("--account", help="Verify as another account than the recorded one.")
@click.option("--explain", "explained", is_flag=True, help="Look for the usual causes of a signature that is refused.")
@json_option
@click.pass_context
def replay(
    ctx: click.Context, file: Path, config: str | None, account: str | None, explained: bool, as_json: bool
) -> None:
    """Verify the recorded callback FILE again, and show what it says.

    Nothing is stored, and no order is compared. Times inside the message are judged by when it was recorded. Exit
    status 0: genuine; 1: refused, or it could not be verified.
    """
    recorded = load(file)
    name, callback = load_callback(file)
    verdict = judge(load_accounts(read_config(config)), account or name, callback, explained=explained)
    verdict.show(str(file), recorded, as_json=as_json)
    ctx.exit(verdict.status)
