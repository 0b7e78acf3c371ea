"""The texts that the code writes, read out of its source: what an expression may be, with {} for what is put in."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from pathlib import Path

__all__ = ["FUNCTION", "calls", "name_of", "returned", "texts", "tree"]

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def calls(path: Path) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Every call in a file, with the function that it stands in, or the file where it stands in none."""
    inside = set[ast.Call]()
    for function in ast.walk(tree(path)):
        if isinstance(function, FUNCTION):
            found = [it for it in ast.walk(function) if isinstance(it, ast.Call)]
            inside.update(found)
            yield from ((it, function) for it in found)
    yield from ((it, tree(path)) for it in ast.walk(tree(path)) if isinstance(it, ast.Call) and it not in inside)


def returned(function: ast.AST, *scopes: ast.AST) -> Iterator[str]:
    """The texts that a function may return."""
    for it in ast.walk(function):
        if isinstance(it, ast.Return) and it.value:
            yield from texts(it.value, function, *scopes)


def texts(node: ast.expr, *scopes: ast.AST, seen: frozenset[ast.expr] = frozenset()) -> Iterator[str]:
    """The texts that an expression may be; a name is what is assigned to it in the first of ``scopes`` that does so.

    What is made of itself, as in `said = f"{said}, ..."`, is made of the others: ``seen`` is what is being read.
    """
    inner = partial(texts, seen=seen | {node})
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield from map("".join, product(*[_part(part, inner, *scopes) for part in parts]))
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*inner(body, *scopes), *inner(orelse, *scopes))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            pairs = product(inner(left, *scopes), inner(right, *scopes))
            yield from (f"{one}{other}" for one, other in pairs)
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Dict(values=values):
            for value in values:
                yield from inner(value, *scopes)
        case ast.Name(id=name):
            values = next(filter(None, ([*_assigned(name, scope)] for scope in scopes)), [])
            for value in values:
                yield from inner(value, *scopes) if value not in seen else ()


def _part(part: ast.expr, inner: Callable[..., Iterator[str]], *scopes: ast.AST) -> list[str]:
    """What stands in one place of an f-string: its own words, else a gap."""
    if isinstance(part, ast.Constant):
        return [str(part.value)]
    assert isinstance(part, ast.FormattedValue)
    own = [*inner(part.value, *scopes)] if part.conversion == -1 else []
    return own if any(" " in it for it in own) else ["{}"]


def _assigned(name: str, scope: ast.AST) -> Iterator[ast.expr]:
    """What a name is assigned in a function, or in a file outside its functions."""
    for it in scope.body if isinstance(scope, ast.Module) else ast.walk(scope):
        if isinstance(it, ast.Assign | ast.AnnAssign | ast.NamedExpr) and it.value:
            for to in it.targets if isinstance(it, ast.Assign) else [it.target]:
                if isinstance(to, ast.Name) and to.id == name:
                    yield it.value
                elif isinstance(to, ast.Tuple) and isinstance(it.value, ast.Tuple):
                    pairs = zip(to.elts, it.value.elts, strict=True)
                    yield from (value for at, value in pairs if getattr(at, "id", "") == name)
