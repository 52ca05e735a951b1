"""What is wrong with a condition, in words that say what to change: types, names, what the language does not have."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Iterator, Mapping
from functools import singledispatchmethod

from enrichment_dagster.domain.expression_names import ROUTE_NAMES, Type

EXAMPLE = "a condition looks like employees >= 100 and seniority == 'vp'"

_LARGEST_NUMBER = 1e300
_SHOWN = 60  # characters of a faulty part
_NO_TEXT = frozenset({"Cc", "Cs"})  # Unicode's control characters, and halves of characters

_INSTEAD: Mapping[type[ast.AST], str] = {
    ast.Call: "nothing can be called; compare the field itself",
    ast.Attribute: "a field has no parts, so there are no dots",
    ast.Subscript: "nothing can be picked with [...]; ask with in, e.g. 'Python' in tech_stack",
    ast.IfExp: "there is no if; write two rules",
    ast.List: "a list belongs to the right of in",
    ast.Tuple: "a list belongs to the right of in",
    ast.Pow: "there are + - * / only",
    ast.BitAnd: "write and",
    ast.BitOr: "write or",
    ast.Invert: "write not",
    ast.Is: "write ==",
    ast.IsNot: "write !=",
}
_MEANT = {"true": "write True", "false": "write False", "null": "ask whether a field is known, e.g. title != ''"}


class Checker:
    """Finds the type of each part, and all that is wrong. None is the type of a part that is wrong itself."""

    def __init__(self, names: Mapping[str, Type]) -> None:
        self._names = names
        self.problems: list[str] = []

    def expect(self, node: ast.expr, wanted: Type) -> None:
        """Check the part and demand this type of it."""
        found = self.type_of(node)
        if found in {None, wanted}:
            return
        if wanted is Type.CONDITION:
            self._say(node, f"is a {found}, not a condition: compare it with something")
        else:
            self._say(node, f"is a {found}, where a {wanted} is needed")

    @singledispatchmethod
    def type_of(self, node: ast.expr) -> Type | None:
        """Return what the part stands for."""
        self._refuse(node, node)
        return None

    @type_of.register
    def _(self, node: ast.Name) -> Type | None:
        found = self._names.get(node.id)
        if found is Type.ENTRIES:
            self._say(node, "is a list of entries, which rules can't look into")
            return None
        if found is None:
            self.problems.append(self._unknown(node.id))
        return found

    @type_of.register
    def _(self, node: ast.Constant) -> Type | None:
        value = node.value
        if isinstance(value, bool):
            return Type.CONDITION
        if isinstance(value, int | float):
            if abs(value) <= _LARGEST_NUMBER:
                return Type.NUMBER
            self._say(node, "is too large a number")
        elif isinstance(value, str):
            if not any(unicodedata.category(character) in _NO_TEXT for character in value):
                return Type.TEXT
            self._say(node, "holds a control character, which no value has")
        elif value is None:
            self._say(
                node, "can't be compared: a missing field makes a comparison false; title != '' asks for a known one"
            )
        else:
            self._refuse(node, node)
        return None

    @type_of.register
    def _(self, node: ast.UnaryOp) -> Type | None:
        if isinstance(node.op, ast.Invert):
            self._refuse(node, node.op)
            return None
        wanted = Type.CONDITION if isinstance(node.op, ast.Not) else Type.NUMBER
        self.expect(node.operand, wanted)
        return wanted

    @type_of.register
    def _(self, node: ast.BinOp) -> Type | None:
        if not isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
            self._refuse(node, node.op)
            return None
        self.expect(node.left, Type.NUMBER)
        self.expect(node.right, Type.NUMBER)
        return Type.NUMBER

    @type_of.register
    def _(self, node: ast.BoolOp) -> Type | None:
        for value in node.values:
            self.expect(value, Type.CONDITION)
        return Type.CONDITION

    @type_of.register
    def _(self, node: ast.Compare) -> Type | None:
        memberships = [op for op in node.ops if isinstance(op, ast.In | ast.NotIn)]
        if memberships and len(node.ops) > 1:
            self._say(node, "chains in with another comparison: join two conditions with and")
            return Type.CONDITION
        if memberships:
            self._membership(node.left, node.comparators[0])
            return Type.CONDITION
        sides = [node.left, *node.comparators]
        types = [self.type_of(side) for side in sides]
        for index, op in enumerate(node.ops):
            self._comparison(node, op, (sides[index], types[index]), (sides[index + 1], types[index + 1]))
        return Type.CONDITION

    def _comparison(
        self, node: ast.Compare, op: ast.cmpop, left: tuple[ast.expr, Type | None], right: tuple[ast.expr, Type | None]
    ) -> None:
        if isinstance(op, ast.Is | ast.IsNot):
            self._refuse(node, op)
        elif left[1] is None or right[1] is None:
            return
        elif Type.TEXTS in {left[1], right[1]}:
            self._say(node, "compares a list: ask with in, e.g. 'Python' in tech_stack")
        elif left[1] is not right[1]:
            self._say(node, f"compares a {left[1]} with a {right[1]}, which never holds")
        elif left[1] is Type.CONDITION and not isinstance(op, ast.Eq | ast.NotEq):
            self._say(node, "puts conditions in an order: only == and != make sense of them")

    def _membership(self, left: ast.expr, right: ast.expr) -> None:
        sought = self.type_of(left)
        place: Type | None
        if isinstance(right, ast.List | ast.Tuple):
            place, wanted = self._members(right)
        else:
            place, wanted = self.type_of(right), Type.TEXT
        if sought is None or place is None:
            return
        if place not in {Type.TEXT, Type.TEXTS}:
            self._say(right, f"is a {place}: in needs a list or a text to its right")
        elif sought is not wanted:
            self._say(left, f"is a {sought}, and is sought among {wanted}s")

    def _members(self, node: ast.List | ast.Tuple) -> tuple[Type | None, Type]:
        """Return the list's type and that of its members; a list of numbers counts as a list all the same."""
        found = {self.type_of(member) for member in node.elts}
        if not all(_is_literal(member) for member in node.elts):
            self._say(node, "may hold texts and numbers only")
        elif len(found) != 1:
            self._say(node, "mixes texts and numbers" if found else "is empty, so nothing is in it")
        elif found <= {Type.TEXT, Type.NUMBER}:
            return Type.TEXTS, Type.NUMBER if Type.NUMBER in found else Type.TEXT
        return None, Type.TEXT

    def _refuse(self, node: ast.expr, fault: ast.AST) -> None:
        self._say(node, f"is not possible: {_INSTEAD.get(type(fault), EXAMPLE)}")

    def _say(self, node: ast.expr, what: str) -> None:
        shown = ast.unparse(node)
        self.problems.append(f"{shown if len(shown) <= _SHOWN else f'{shown[:_SHOWN]}...'} {what}")

    def _unknown(self, name: str) -> str:
        if name in ROUTE_NAMES:
            return f"{name} is known in routes only"
        hint = _MEANT.get(name.lower(), "a text needs quotes")
        return f"no field is called {name} ({hint}); known are {', '.join(self._usable())}"

    def _usable(self) -> Iterator[str]:
        return (name for name, kind in self._names.items() if kind is not Type.ENTRIES)


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and not isinstance(node.value, bool)
