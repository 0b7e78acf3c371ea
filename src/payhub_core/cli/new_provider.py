"""``payhub new-provider``: starts a provider's package, from the example package and by substitution alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

import click
from rich.console import Console

from payhub_core.cli.words import say
from payhub_core.errors import ConfigError, plain
from payhub_core.pages import page

__all__ = ["Names", "new_provider", "render"]

#: A block of the example that says what only its gateway does. The new package has the mark's own text in its place.
_MARK = re.compile(r"(?P<indent> *)(?:# |<!-- )new-provider: (?P<text>.*?)(?: -->)?")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Names:
    """What a provider of the ``name`` is called, in the places where the example is called something with Acme."""

    name: str

    @property
    def distribution(self) -> str:
        """On the package index."""
        return f"payhub-{self.name.replace('_', '-')}"

    @property
    def provider(self) -> str:
        """In a configuration."""
        return self.name.replace("-", "_")

    @property
    def package(self) -> str:
        """In an import."""
        return f"payhub_{self.provider}"

    @property
    def cls(self) -> str:
        """The provider's class."""
        return "".join(word.capitalize() for word in self.provider.split("_"))

    def put(self, text: str) -> str:
        """``text`` with the example's names replaced, the longer ones first."""
        for example, ours in (
            ("payhub-acme", self.distribution),
            ("payhub_acme", self.package),
            ("Acme", self.cls),
            ("acme", self.provider),
        ):
            text = text.replace(example, ours)
        return text


@click.command("new-provider")
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where to; payhub-NAME in the current folder if not given."
)
def new_provider(*, name: str, folder: Path | None) -> None:
    """Start a provider of your own, for the gateway NAME.

    It is the example package under another name, with its tests. They pass, but for the conformance kit: that says
    what to write next.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"expected a name such as 'bank' or 'my-bank', not {plain(name)!r}")
    names = Names(name)
    if find_spec(names.package) is not None:
        raise ConfigError(f"a package {names.package} is installed already", hint="choose another name")
    if names.cls in _imported(_example()) or iskeyword(names.cls) or names.cls.startswith("Test"):
        reason = f"the provider's class would be {names.cls}, a name that is taken"
        raise ConfigError(reason, hint="choose another name")
    folder = folder or Path(names.distribution)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", hint="name another one with --folder")
    count = render(_example(), folder, names)
    said = (
        f"{folder}: {count} files. Next:\n\n"
        f"  cd {folder}\n  pip install -e '.[dev]'\n  pytest -x\n\n"
        "pytest -x ends with the next thing to write. In this order it goes well:\n\n"
        "  1. tests/test_contract.py: how your gateway answers, notifies and is asked\n"
        f"  2. src/{names.package}/provider.py: the account's settings, what is taken, the gateway's words, the hooks\n"
        "  3. tests/test_samples.py: a sample of your gateway's manual\n\n"
        f"Each step is explained in {page('writing-a-provider.md')}"
    )
    Console().print(say(said), highlight=False, markup=False, soft_wrap=True)


def render(example: Path, folder: Path, names: Names) -> int:
    """Writes the files of ``example`` into ``folder`` under other ``names``; returns how many."""
    files = [path for path in sorted(example.rglob("*")) if path.is_file() and _kept(path.relative_to(example))]
    for path in files:
        target = folder / names.put(str(path.relative_to(example)))
        target.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(_without_marked(path.read_text("utf-8")))
        target.write_text(names.put(text), "utf-8", newline="\n")
    return len(files)


def _imported(example: Path) -> set[str]:
    """What the example's files import: a class of the same name would take its place."""
    trees = (ast.walk(ast.parse(path.read_text("utf-8"))) for path in example.rglob("*.py"))
    return {name.name for tree in trees for node in tree if isinstance(node, ast.ImportFrom) for name in node.names}


def _kept(path: Path) -> bool:
    """Whether a file is part of the package, and not what a tool has left in its folder."""
    return path.parts[0] in {"src", "tests", "README.md", "pyproject.toml"} and "__pycache__" not in path.parts


def _without_marked(text: str) -> Iterator[str]:
    """The lines, with each marked block replaced by the text of its mark."""
    inside = False
    for line in text.splitlines(keepends=True):
        mark = _MARK.fullmatch(line.rstrip("\n"))
        if mark is None:
            if not inside:
                yield line
        elif mark["text"] == "end":
            inside = False
        else:
            inside = True
            yield f"{mark['indent']}{mark['text']}\n"


def _example() -> Path:
    """The example package: beside this file in a wheel, and in a source tree where it is developed."""
    shipped = Path(__file__).parent / "template"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "examples" / "payhub-acme"
