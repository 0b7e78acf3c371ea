"""What can be wrong in a line: each small change of a module's source, and where it is."""

from __future__ import annotations

import ast
import copy
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MOST_OPERANDS = 2

_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, in words that outlive a moved line."""

    module: str
    name: str
    #: Its place among all changes of the module; -1 is none.
    number: int
    #: The outermost function that the change is in; "" where it takes an import to see it.
    function: str

    def tree(self) -> ast.Module:
        """The module, with the change made."""
        tree = ast.parse(path(self.module).read_text("utf-8"))
        if self.number >= 0:
            place, mutated = next(itertools.islice(_changes(tree), self.number, None))
            place.put(mutated)
        return ast.fix_missing_locations(tree)


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of ``module``, in the order of its source."""
    names: Counter[str] = Counter()
    for number, (place, mutated) in enumerate(_changes(ast.parse(path(module).read_text("utf-8")))):
        name = f"{module}: {place.scope or 'module'}: {_text(place.node)} -> {_text(mutated)}"
        names[name] += 1
        repeated = f" #{names[name]}" if names[name] > 1 else ""
        yield Mutant(module, name + repeated, number, place.function)


def _changes(tree: ast.Module) -> Iterator[tuple[Place, ast.AST]]:
    """Each place, with what could stand there."""
    return ((place, mutated) for place in _places(tree, "", "") for mutated in _alternatives(place.node))


@dataclass(frozen=True)
class Place:
    """Where a node hangs in the tree."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    scope: str
    function: str

    def put(self, mutated: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, mutated)
        else:
            getattr(self.parent, self.field)[self.index] = mutated


def _places(parent: ast.AST, scope: str, function: str) -> Iterator[Place]:
    """Every node that may be mutated; left out is what no behaviour depends on."""
    for field, value in ast.iter_fields(parent):
        if field in {"annotation", "returns", "decorator_list", "exc", "cause"}:
            continue  # types, and the words of errors
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or isinstance(node, ast.Import | ast.ImportFrom) or _said(node):
                continue
            inner, within = scope, function
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                inner = f"{scope}.{node.name}".removeprefix(".")
            if isinstance(parent, ast.FunctionDef) and field == "body":
                within = function or scope
            yield Place(node, parent, field, index, inner, within)
            yield from _places(node, inner, within)


def _said(node: ast.AST) -> bool:
    """Docstrings, type variables, aliases of types, and what a module exports."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.annotation) == "TypeAlias"
    if isinstance(node, ast.Assign):
        made = ast.unparse(node.value)
        return ast.unparse(node.targets[0]) == "__all__" or made.startswith(("TypeVar(", "logging."))
    return isinstance(node, ast.keyword) and node.arg in {"hint", "maxsize"}


def _alternatives(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901  a table, with patterns
    """What could stand in the place of ``node``."""
    match node:
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Return(value=ast.AST()) if ast.unparse(node) != "return None":
            yield ast.Return(ast.Constant(None))
        case ast.If() | ast.IfExp() | ast.While():
            yield from (_with(node, test=ast.Constant(truth)) for truth in (True, False))
        case ast.comprehension(ifs=[_, *_]):
            yield _with(node, ifs=[])
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                yield _with(node, ops=[*node.ops[:index], _SWAPPED[type(operator)](), *node.ops[index + 1 :]])
        case ast.BoolOp():
            yield _with(node, op=_SWAPPED[type(node.op)]())
            if len(node.values) > MOST_OPERANDS:
                for index in range(len(node.values)):
                    yield _with(node, values=node.values[:index] + node.values[index + 1 :])
        case ast.BinOp(op=operator) if type(operator) in _SWAPPED:
            yield _with(node, op=_SWAPPED[type(operator)]())
        case ast.UnaryOp():
            yield node.operand
        case ast.Constant():
            yield from _other_constant(node.value)


def _other_constant(value: object) -> Iterator[ast.Constant]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str) and " " not in value:  # with a blank, they are words for people
        yield ast.Constant(f"{value}x")
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"x")


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    mutated = copy.copy(node)
    for name, value in fields.items():
        setattr(mutated, name, value)
    return mutated


def _text(node: ast.AST) -> str:
    """One line of the source: of a compound statement, the first."""
    return ast.unparse(node).partition("\n")[0].strip()


def path(module: str) -> Path:
    return ROOT / "src" / f"{module.replace('.', '/')}.py"
