"""Checked conditions as DuckDB SQL that says of a stored record what ``domain.evaluation`` says of a lead.

Columns have the fields' names; numbers are DOUBLE and finite. A condition is never NULL: what is missing makes it
false.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import singledispatch

from enrichment_dagster.domain.expression_names import ROUTE_NAMES, Type
from enrichment_dagster.domain.expressions import Expression
from enrichment_dagster.store.warehouse_extensions import quoted

_OPERATORS: Mapping[type[ast.AST], str] = {
    ast.Eq: "=",
    ast.NotEq: "<>",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.USub: "-",
    ast.UAdd: "+",
    ast.And: " AND ",
    ast.Or: " OR ",
}


def condition_sql(expression: Expression) -> str:
    """Return the condition in SQL, complete in itself."""
    return _sql(expression.tree)


@singledispatch
def _sql(node: ast.expr) -> str:
    raise TypeError(f"{type(node).__name__} is not in the language")  # ``parse`` lets none through


@_sql.register
def _(node: ast.Name) -> str:
    return f'"{node.id}"'


@_sql.register
def _(node: ast.Constant) -> str:
    if isinstance(node.value, bool):
        return "TRUE" if node.value else "FALSE"
    if isinstance(node.value, int | float):
        return f"CAST('{float(node.value)!r}' AS DOUBLE)"  # as text: a literal would be a DECIMAL first, and rounded
    return quoted(str(node.value))


@_sql.register
def _(node: ast.UnaryOp) -> str:
    operand = _sql(node.operand)
    return f"(NOT {operand})" if isinstance(node.op, ast.Not) else f"({_OPERATORS[type(node.op)]} {operand})"


@_sql.register
def _(node: ast.BinOp) -> str:
    left, right = _sql(node.left), _sql(node.right)
    divides = isinstance(node.op, ast.Div)
    result = f"{left} / nullif({right}, 0)" if divides else f"{left} {_OPERATORS[type(node.op)]} {right}"
    return f"nullif(nullif({result}, 'inf'::DOUBLE), '-inf'::DOUBLE)"  # too large to be a number: missing


@_sql.register
def _(node: ast.BoolOp) -> str:
    return f"({_OPERATORS[type(node.op)].join(_sql(value) for value in node.values)})"


@_sql.register
def _(node: ast.Compare) -> str:
    sides = [node.left, *node.comparators]
    pairs = zip(sides, node.ops, sides[1:], strict=False)
    return f"coalesce({' AND '.join(_pair(*pair) for pair in pairs)}, FALSE)"


def _pair(left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
    if isinstance(op, ast.In):
        return _membership(left, right)
    if isinstance(op, ast.NotIn):
        return f"NOT {_membership(left, right)}"
    return f"{_sql(left)} {_OPERATORS[type(op)]} {_sql(right)}"


def _membership(left: ast.expr, right: ast.expr) -> str:
    sought = _sql(left)
    if isinstance(right, ast.List | ast.Tuple):
        return f"({sought} IN ({', '.join(_sql(member) for member in right.elts)}))"
    listed = isinstance(right, ast.Name) and ROUTE_NAMES[right.id] is Type.TEXTS
    return f"{'list_contains' if listed else 'contains'}({_sql(right)}, {sought})"
