"""The command line: ``payhub``, whose commands are found by entry point, those of plugins too."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line; without the ``cli`` extra, says what to install."""
    try:
        from payhub_core.cli.commands import payhub  # noqa: PLC0415  click is an extra
    except ImportError as error:
        sys.exit(f"payhub: {error.name} is not installed. Hint: pip install 'payhub-core[cli]'")
    payhub()
