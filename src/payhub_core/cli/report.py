"""``payhub report``: one page for people who would rather look."""

from __future__ import annotations

from typing import IO

import click

from payhub_core.cli.options import config_option, read_config
from payhub_core.cli.report_page import page
from payhub_core.cli.words import chinese
from payhub_core.ledger import Ledger
from payhub_core.ledger.report import report as figures

__all__ = ["report"]


@click.command()
@config_option
@click.option(
    "-o",
    "--output",
    type=click.File("w", encoding="utf-8", atomic=True),
    required=True,
    help="The file to write; - is standard output.",
)
@click.option("--lang", type=click.Choice(["en", "zh"]), help="The language; else that of LANG.")
def report(*, config: str | None, output: IO[str], lang: str | None) -> None:
    """Write one page to look at: anomalies, accounts without an answer, what changed, received, pending.

    It opens without a network and runs no script. It holds order numbers and sums: keep it as you keep the ledger.
    """
    with Ledger(read_config(config).ledger) as ledger:
        found = ledger.read(figures)
    output.write(page(found, lang or ("zh" if chinese() else "en")))
