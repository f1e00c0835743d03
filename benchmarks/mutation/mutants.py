"""Changes to a module's source, one at a time, by the operators of Cosmic Ray."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

SWAPPED = {
    "Add": ("Sub",),
    "Sub": ("Add",),
    "Mul": ("Div",),
    "Div": ("Mul", "FloorDiv"),
    "FloorDiv": ("Div", "Mul"),
    "Mod": ("FloorDiv",),
    "Pow": ("Mul",),
    "BitOr": ("BitAnd",),
    "BitAnd": ("BitOr",),
    "Lt": ("LtE", "Gt"),
    "LtE": ("Lt", "Gt"),
    "Gt": ("GtE", "Lt"),
    "GtE": ("Gt", "Lt"),
    "Eq": ("NotEq",),
    "NotEq": ("Eq",),
    "Is": ("IsNot",),
    "IsNot": ("Is",),
    "USub": ("UAdd",),
    "Not": ("Nothing",),
}
"""What takes the place of an operator: those that are easiest to confuse with it. Cosmic Ray has
every other operator too; tests that notice these notice nearly all of those."""

LEFT_OUT = frozenset(["core/NoOp", "core/StringReplacer"])
"""Operators that change nothing, or words that people read."""


class Mutant(NamedTuple):
    """A module with one change.

    Attributes:
        line: Where it begins.
        was: The lines that are changed, without indentation.
        becomes: What stands there instead.
        source: All of it.
    """

    line: int
    was: str
    becomes: str
    source: str


def mutants_of(source: str) -> Iterator[Mutant]:
    """Yields all changes that matter to whoever runs the module.

    Changes to annotations alone do not, since nothing evaluates them, and one that another operator
    makes too is yielded once.

    Args:
        source: Of the module.
    """
    seen = {_meaning(source)}
    for name in plugins.operator_names():
        operator_class = plugins.get_operator(name)
        if operator_class.arguments() or not _wanted(name):
            continue
        operator = operator_class()
        places = sum(
            1 for node in ast_nodes(get_ast(source)) for _ in operator.mutation_positions(node)
        )
        for occurrence in range(places):
            changed = mutate_code(source, operator, occurrence)
            meaning = None if changed is None else _meaning(changed)
            if meaning is not None and meaning not in seen:
                seen.add(meaning)
                yield _described(source, changed)


def _wanted(operator: str) -> bool:
    """Tells whether an operator of Cosmic Ray makes changes that are worth a try."""
    kind, _, change = operator.removeprefix("core/").partition("Operator_")
    if not change:
        return operator not in LEFT_OUT
    was, _, becomes = change.partition("_")
    return kind.startswith("Replace") and becomes in SWAPPED.get(was, ())


def _meaning(source: str) -> str | None:
    """Returns what a source says, without annotations; ``None`` if it is no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    return ast.dump(_Bare().visit(tree))


class _Bare(ast.NodeTransformer):
    """Takes annotations off."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _described(before: str, after: str) -> Mutant:
    """Finds the lines that differ."""
    old, new = before.splitlines(), after.splitlines()
    shortest = min(len(old), len(new))
    first = next((n for n in range(shortest) if old[n] != new[n]), shortest)
    last = next(n for n in count(1) if n > shortest - first or old[-n] != new[-n]) - 1
    was, becomes = (
        "\n".join(line.strip() for line in lines[first : len(lines) - last]).strip()
        for lines in (old, new)
    )
    return Mutant(first + 1, was, becomes, after)
