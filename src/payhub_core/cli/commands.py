"""The group of all commands, each imported only when it is asked for."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoints, entry_points

import click
from rich.console import Console
from rich.text import Text

from payhub_core.cli.help import with_help
from payhub_core.cli.words import tell
from payhub_core.errors import ConfigError, PayhubError
from payhub_core.version import VERSION

__all__ = ["payhub"]

GROUP = "payhub.commands"
#: Of a command that is not there, nobody can tell which words it would take.
_WHATEVER = {"ignore_unknown_options": True, "allow_extra_args": True}


class _Installed(click.Group):
    """A group of the entry points in ``payhub.commands``; one that cannot be loaded stops only itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_installed().names | set(super().list_commands(ctx)))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for point in _installed().select(name=cmd_name):
            try:
                command = point.load()
            except ImportError as error:
                hint = f"pip install 'payhub-core[{point.extras[0]}]'" if point.extras else ""
                return _unusable(cmd_name, ConfigError(f"{error.name} is not installed", hint=hint))
            except PayhubError as error:
                return _unusable(cmd_name, error)
            return with_help(command) if isinstance(command, click.Command) else None
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (PayhubError, click.ClickException) as error:
            if isinstance(error, click.UsageError):
                raise
            Console(stderr=True).print(Text(f"payhub: {tell(str(error))}", style="red"), soft_wrap=True)
            ctx.exit(1)
        except (OSError, OverflowError, UnicodeError) as error:
            # A full disk, a number out of all bounds, an argument that is no text: nothing that payhub could mend.
            if isinstance(error, BrokenPipeError):
                raise
            said = tell(f"payhub: {type(error).__name__}: {error}")
            Console(stderr=True).print(Text(said, style="red"), soft_wrap=True)
            ctx.exit(1)


@cache
def _installed() -> EntryPoints:
    """Those of the group: reading the metadata of all that is installed takes longer than most commands do."""
    return entry_points(group=GROUP)


def _unusable(name: str, error: PayhubError) -> click.Command:
    def explain() -> None:
        raise error

    return click.Command(name, callback=explain, short_help=f"({tell(error.message)})", context_settings=_WHATEVER)


@click.group(cls=_Installed, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="payhub")
def payhub() -> None:
    """Payments through any gateway."""


with_help(payhub)
