"""The command line: ``payhub``, whose commands are found by entry point, those of plugins too."""

from __future__ import annotations

import sys
from io import TextIOWrapper

__all__ = ["main"]


def main() -> None:
    """Runs the command line; without the ``cli`` extra, says what to install."""
    try:
        from payhub_core.cli.commands import payhub  # noqa: PLC0415  click is an extra
    except ImportError as error:
        sys.exit(f"payhub: {error.name} is not installed. Hint: pip install 'payhub-core[cli]'")
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding cannot show is escaped: the words of gateways and payers are in any script.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    payhub()
