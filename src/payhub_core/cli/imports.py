"""What a command is given by name, such as shop:fulfil, imported."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from payhub_core.errors import ConfigError, plain

__all__ = ["explained", "imported"]


def imported(option: str, name: str, of: tuple[type, ...] = ()) -> Any:
    """The function that ``option`` names, or the object ``of`` one of these classes; raises ConfigError."""
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ConfigError(f"{option}: expected MODULE:NAME, such as shop:fulfil, not {plain(name)!r}")
    sys.path.insert(0, str(Path.cwd()))  # a console script's path begins at the folder it lies in
    with explained(f"{option}: {name!r}"), redirect_stdout(sys.stderr):  # stdout is the command's
        found = getattr(importlib.import_module(module), attribute)
    if of and not isinstance(found, of):
        expected = " or an ".join(cls.__name__ for cls in of)
        raise ConfigError(f"{option}: expected a {expected}, {name!r} is of the type {type(found).__name__}")
    if not of and not callable(found):
        raise ConfigError(f"{option}: {name!r} is no function")
    return found


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raises ConfigError where ``what`` cannot be imported, for whatever its module does meanwhile."""
    try:
        yield
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{what} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"line {at.lineno} of {Path(at.filename).name}"
        ends = "it ends the program" if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"{what} cannot be imported: {ends} ({where})") from error
