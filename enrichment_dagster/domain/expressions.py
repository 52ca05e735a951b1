"""The language of routing rules: a small part of Python's expressions, checked when the configuration is read.

A condition is checked once, types included, so that nothing is left to go wrong when a lead waits. What is checked here
is evaluated by ``domain.evaluation`` and translated to SQL by ``store.expression_sql``; both say the same of a record.

A field that is missing makes each comparison with it false, ``!=`` and ``not in`` included. So ``title != ''`` asks
whether the title is known.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from enrichment_dagster.domain.expression_checks import EXAMPLE, Checker
from enrichment_dagster.domain.expression_names import Type

MAX_LENGTH = 500
"""Characters of an expression."""
MAX_DEPTH = 20
"""How deep the parts of an expression may be nested."""


class ExpressionError(ValueError):
    """The expression is not in the language. ``problems`` says everything that is to be changed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked condition."""

    text: str
    tree: ast.expr
    names: frozenset[str]


def parse(text: str, names: Mapping[str, Type]) -> Expression:
    """Return the condition that a text of the configuration means.

    Raises:
        ExpressionError: it is not in the language, or it is no condition.
    """
    tree = _tree(text)
    if _is_deeper(tree, MAX_DEPTH):
        raise ExpressionError([f"is nested more than {MAX_DEPTH} deep: split it into several rules"])
    checker = Checker(names)
    checker.expect(tree, Type.CONDITION)
    if checker.problems:
        raise ExpressionError(list(dict.fromkeys(checker.problems)))
    return Expression(text, tree, frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))


def compared_with(text: str, name: str) -> list[str]:
    """Return the texts that a condition expects this name to be equal to; none where it can't be read."""
    try:
        tree = _tree(text)
    except ExpressionError:
        return []
    return [
        found.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and _asks_for_equality(node, name)
        for found in ast.walk(node)
        if isinstance(found, ast.Constant) and isinstance(found.value, str)
    ]


def _asks_for_equality(node: ast.Compare, name: str) -> bool:
    sides = [node.left, *node.comparators]
    if not all(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
        sides = [node.left] if isinstance(node.comparators[0], ast.List | ast.Tuple) else []
    return any(isinstance(side, ast.Name) and side.id == name for side in sides)


def _tree(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise ExpressionError([f"has {len(text)} characters, {MAX_LENGTH} are possible: split it into several rules"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python only warns of, like a stray backslash, is a mistake here
            return ast.parse(text.replace("\n", " ").strip(), mode="eval").body
    except SyntaxError as error:
        place = f" at character {error.offset}" if error.offset else ""
        raise ExpressionError([f"can't be read{place}: {error.msg}; {EXAMPLE}"]) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError([f"can't be read: {error}; {EXAMPLE}"]) from error


def _is_deeper(node: ast.AST, depth: int) -> bool:
    return depth < 0 or any(
        _is_deeper(part, depth - 1) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)
    )
