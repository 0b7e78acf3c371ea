"""The command line: ``payhub``, whose commands are found by entry point, those of plugins too."""

from __future__ import annotations

import errno
import os
import sys
from io import RawIOBase, TextIOWrapper

from payhub_core.cli.words import tell

__all__ = ["main"]


class _Closed(RawIOBase):
    """A standard output that was closed, so that a command that prints fails, rather than ending in 0 unheard."""

    def writable(self) -> bool:
        return True

    def write(self, _data: object) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "<stdout>")


def main() -> None:
    """Runs the command line; without the ``cli`` extra, says what to install."""
    try:
        from payhub_core.cli.commands import payhub  # noqa: PLC0415  click is an extra
    except ImportError as error:
        sys.exit(tell(f"payhub: {error.name} is not installed. Hint: pip install 'payhub-core[cli]'"))
    if sys.stdout is None:
        sys.stdout = TextIOWrapper(_Closed(), write_through=True)
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding cannot show is escaped: the words of gateways and payers are in any script.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        payhub()
    except OSError as error:  # of help and version, which no command prints
        sys.exit(tell(f"payhub: {type(error).__name__}: {error}"))
