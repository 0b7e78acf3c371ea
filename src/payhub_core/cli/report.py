"""``payhub report``: one page for people who would rather look."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG
from tempfile import NamedTemporaryFile

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
    type=click.Path(dir_okay=False, allow_dash=True),
    required=True,
    help="The file to write, a new one for its owner alone; - is standard output.",
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
    try:
        _write(Path(output), html)
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror}") from error


def _write(path: Path, html: str) -> None:
    """Writes it whole, in place of the last one and under its permissions: at first its owner's alone.

    A link stays: the file that it leads to is replaced. What is no file, such as a pipe, is written to.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not S_ISREG(mode):
        path.write_text(html, "utf-8")
        return
    path = Path(os.path.realpath(path))
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as part:
        written = Path(part.name)
        try:
            part.write(html)
            part.flush()
            if mode is not None:
                written.chmod(mode)
            written.replace(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise
