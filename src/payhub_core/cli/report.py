"""``payhub report``: one page for people who would rather look."""

from __future__ import annotations

from pathlib import Path

import click

from payhub_core.cli.options import config_option, read_config
from payhub_core.cli.report_page import page
from payhub_core.cli.words import chinese, say
from payhub_core.ledger import Ledger
from payhub_core.ledger.report import report as figures

__all__ = ["report"]


@click.command()
@config_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    required=True,
    help="The file to write, for its owner alone; - is standard output.",
)
@click.option("--lang", type=click.Choice(["en", "zh"]), help="The language; else that of LANG.")
def report(*, config: str | None, output: str, lang: str | None) -> None:
    """Write one page to look at: anomalies, accounts without an answer, what changed, received, pending.

    It opens without a network and runs no script. It holds order numbers and sums: keep it as you keep the ledger.
    """
    with Ledger(read_config(config).ledger) as ledger:
        found = ledger.read(figures)
    html = page(found, lang or ("zh" if chinese() else "en"))
    if output == "-":
        click.echo(html, nl=False)
        return
    whole = Path(output)
    part = whole.with_name(f".{whole.name}.part")
    try:
        # It holds what the ledger holds. The last one stays in place until this one is whole.
        part.touch(0o600)
        part.write_text(html, "utf-8")
        part.replace(whole)
    except OSError as error:
        raise click.ClickException(say(f"cannot write {output}: {error.strerror}")) from error
