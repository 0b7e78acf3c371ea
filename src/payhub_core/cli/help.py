"""The help of commands, and what is wrong with how one was called, in the language of the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import TracebackType
from typing import IO, Any

import click

from payhub_core.cli.words import catalogue, chinese, say

__all__ = ["with_help"]


def with_help(command: click.Command) -> click.Command:
    """``command`` and those inside it, whose help is written by `_Help`."""
    command.context_class = _Context
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        with_help(inner)
    return command


class _Help(click.HelpFormatter):
    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or (say("Usage:") if chinese() else "Usage: "))

    def write_heading(self, heading: str) -> None:
        if chinese():  # whose colon is as wide as a character
            self.write(f"{say(heading)}：\n")
        else:
            super().write_heading(heading)

    def write_text(self, text: str) -> None:
        paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
        super().write_text("\n\n".join(_wide(say(it)) for it in paragraphs) if chinese() else text)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        said = [(term, _wide(_described(text))) for term, text in rows] if chinese() else rows
        super().write_dl(said, col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_PADDING, "")


class _Mistake(click.UsageError):
    """A usage error in Chinese, click's own words and those of the commands."""

    def __init__(self, error: click.UsageError) -> None:
        if type(error) is click.BadParameter:
            error = click.BadParameter(say(error.message), error.ctx, error.param, error.param_hint)
        super().__init__(say(error.format_message()), error.ctx)

    def show(self, file: IO[Any] | None = None) -> None:
        if self.ctx is not None:
            hint = say(f"Try '{self.ctx.command_path} --help' for help.")
            click.echo(f"{self.ctx.get_usage()}\n{hint}\n", file=file, err=True)
        click.echo(say(f"Error: {self.message}"), file=file, err=True)


class _Context(click.Context):
    formatter_class = _Help

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        done = super().__exit__(kind, error, traceback)
        # One that shows itself otherwise is a help page, or was said before by an inner command.
        if isinstance(error, click.UsageError) and type(error).show is click.UsageError.show and chinese():
            raise _Mistake(error) from None
        return done


#: Stands behind each Chinese character until lines are broken, since it is two columns wide and click counts one.
_PADDING = "\0"


def _wide(text: str) -> str:
    return re.sub("([\u2e80-\uffef])", rf"\1{_PADDING}", text)


def _described(text: str) -> str:
    """An option's help with its default, or a command's first sentence, which click may have cut."""
    words, extra = re.fullmatch(r"(.*?)(?:  \[(.*)\])?", text, re.DOTALL).groups()  # type: ignore[union-attr]
    begun = words[:-3] if words.endswith("...") else f"{words}."
    known = words if words in catalogue() else next((it for it in catalogue() if begun and it.startswith(begun)), words)
    return say(known) + (f"  [{'; '.join(map(say, extra.split('; ')))}]" if extra else "")
