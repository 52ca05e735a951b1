"""Evaluating checked expressions over what is known of a lead, with ``simpleeval``.

The library walks the tree and refuses what it does not know. The operators are ours, because a missing field (None)
makes a comparison false and arithmetic missing. Numbers are 64-bit floats, as in the warehouse's view.
"""

from __future__ import annotations

import ast
import copy
import math
import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from threading import Lock
from typing import Any

from simpleeval import SimpleEval

from enrichment_dagster.domain.expression_names import Type
from enrichment_dagster.domain.expressions import Expression

_Operator = Callable[[Any, Any], Any]


class Evaluator:
    """Says which conditions hold. One for all expressions of a configuration; may be shared by threads."""

    def __init__(self, types: Mapping[str, Type], expressions: Iterable[Expression]) -> None:
        used = frozenset[str]().union(*(expression.names for expression in expressions))
        self._readers = [(name, _READERS[types[name]]) for name in types if name in used]
        self._library = SimpleEval(operators=_OPERATORS, functions={}, names={})
        self._lock = Lock()

    def known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the expressions name, as they need it; None for what is missing or has another type."""
        found = ((name, read, values.get(name)) for name, read in self._readers)
        return {name: None if value is None else read(value) for name, read, value in found}

    def first(self, conditions: Iterable[ast.expr], known: Mapping[str, Any]) -> int | None:
        """Return the place of the first condition that holds."""
        with self._lock:
            self._library.names = known
            return next((n for n, tree in enumerate(conditions) if self._library.eval("", tree)), None)

    def all(self, conditions: Iterable[ast.expr], known: Mapping[str, Any]) -> list[int]:
        """Return the places of all conditions that hold."""
        with self._lock:
            self._library.names = known
            return [n for n, tree in enumerate(conditions) if self._library.eval("", tree)]


def prepared(expression: Expression) -> ast.expr:
    """Return the expression's tree with its literals as they are compared: numbers as floats, lists for look-up."""
    tree: ast.expr = _Literals().visit(copy.deepcopy(expression.tree))
    return tree


class _Literals(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Constant(_float(node.value)) if _is_number(node.value) else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return ast.Constant(-_float(node.operand.value))
        return node

    def visit_List(self, node: ast.List) -> ast.expr:
        self.generic_visit(node)
        members: Any = _lookup(member.value for member in node.elts if isinstance(member, ast.Constant))
        return ast.Constant(members)

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        return self.visit_List(ast.List(node.elts))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _float(value: Any) -> float:
    return float(value)


def _lookup(members: Iterable[Any]) -> Collection[Any]:
    """Return a collection that is quick to look up; not a list or set, whose members the library checks each time."""
    return dict.fromkeys(members).keys()


def _read_number(value: object) -> float | None:
    if not _is_number(value):
        return None
    try:
        number = _float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _read_text(value: object) -> str | None:
    return str(value) if isinstance(value, str) else None


def _read_texts(value: object) -> Collection[str] | None:
    if not isinstance(value, list | tuple):
        return None
    try:
        return _lookup(value)
    except TypeError:  # a list of entries
        return None


_READERS: Mapping[Type, Callable[[object], Any]] = {
    Type.NUMBER: _read_number,
    Type.TEXT: _read_text,
    Type.TEXTS: _read_texts,
}


def _comparison(compare: _Operator) -> _Operator:
    def holds(left: Any, right: Any) -> bool:
        return left is not None and right is not None and bool(compare(left, right))

    return holds


def _arithmetic(compute: _Operator) -> _Operator:
    """Return the operator, missing where a side is, or where the result is no number."""

    def result(left: Any, right: Any) -> float | None:
        if left is None or right is None:
            return None
        number = _float(compute(left, right))
        return number if math.isfinite(number) else None

    return result


def _divided(left: float, right: float) -> float:
    return left / right if right else math.nan


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _unchanged(value: float | None) -> float | None:
    return value


_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Eq: _comparison(operator.eq),
    ast.NotEq: _comparison(operator.ne),
    ast.Lt: _comparison(operator.lt),
    ast.LtE: _comparison(operator.le),
    ast.Gt: _comparison(operator.gt),
    ast.GtE: _comparison(operator.ge),
    ast.In: _comparison(lambda left, right: left in right),
    ast.NotIn: _comparison(lambda left, right: left not in right),
    ast.Not: operator.not_,
    ast.Add: _arithmetic(operator.add),
    ast.Sub: _arithmetic(operator.sub),
    ast.Mult: _arithmetic(operator.mul),
    ast.Div: _arithmetic(_divided),
    ast.USub: _negative,
    ast.UAdd: _unchanged,
}
