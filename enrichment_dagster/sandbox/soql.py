"""A small strict reader of the SOQL that a client of Lead records needs.

    SELECT f1, f2 FROM Lead
      [WHERE cond [AND cond ...]] [ORDER BY field [ASC|DESC]] [LIMIT n]
    cond: (Id|Email) = 'x' | (Id|Email) IN ('x', ...) | (SystemModstamp|CreatedDate|LastModifiedDate) <op> 2026-..Z

Everything else is refused, with the error codes of the Salesforce REST API.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from enrichment_dagster.sandbox.catalogue import CrmField

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<moment>\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:?\d\d))"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)|(?P<number>\d+)|(?P<sign><=|>=|[<>=(),]))"
)
_MOMENTS = ("SystemModstamp", "CreatedDate", "LastModifiedDate")
_TEXTS = ("Id", "Email")


class SoqlError(Exception):
    """The query cannot be answered; `code` is Salesforce's errorCode."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: texts for = and IN, a moment in epoch ms for the rest."""

    field: str
    sign: str
    texts: frozenset[str] = frozenset()
    moment_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query."""

    fields: tuple[str, ...]
    conditions: tuple[Condition, ...]
    order_by: str | None
    descending: bool
    limit: int | None


def parse(text: str, catalogue: Mapping[str, CrmField]) -> Query:
    """Read a query over Lead; raises SoqlError."""
    return _Reader(text, {name.lower(): name for name in catalogue}).query()


class _Reader:
    """Reads the tokens of one query from left to right."""

    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._known = known

    def query(self) -> Query:
        self._keyword("SELECT")
        names = [self._word()]
        while self._skip(","):
            names.append(self._word())
        self._keyword("FROM")
        table = self._word()
        if table.lower() != "lead":
            raise SoqlError("INVALID_TYPE", f"sObject type '{table}' is not supported.")
        fields = tuple(self._field(name) for name in names)
        conditions = self._conditions()
        order_by, descending = self._order()
        limit = int(self._kind("number")) if self._skip("LIMIT") else None
        if self._at != len(self._tokens):
            self._fail()
        return Query(fields, conditions, order_by, descending, limit)

    def _conditions(self) -> tuple[Condition, ...]:
        found: list[Condition] = []
        if self._skip("WHERE"):
            found.append(self._condition())
            while self._skip("AND"):
                found.append(self._condition())
        return tuple(found)

    def _condition(self) -> Condition:
        name = self._field(self._word())
        if name in _TEXTS:
            return Condition(name, "IN", texts=self._text_set())
        if name not in _MOMENTS:
            raise SoqlError("MALFORMED_QUERY", f"the sandbox cannot filter by {name}")
        sign = self._kind("sign")
        if sign not in ("<", "<=", ">", ">=", "="):
            self._fail()
        literal = self._kind("moment")
        try:
            moment = datetime.fromisoformat(literal)
        except ValueError as error:
            raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{literal}'") from error
        return Condition(name, sign, moment_ms=moment.timestamp() * 1000)

    def _text_set(self) -> frozenset[str]:
        if self._skip("="):
            return frozenset((_unquoted(self._kind("string")),))
        self._keyword("IN")
        self._keyword("(")
        texts = [_unquoted(self._kind("string"))]
        while self._skip(","):
            texts.append(_unquoted(self._kind("string")))
        self._keyword(")")
        return frozenset(texts)

    def _order(self) -> tuple[str | None, bool]:
        if not self._skip("ORDER"):
            return None, False
        self._keyword("BY")
        name = self._field(self._word())
        descending = self._skip("DESC")
        if not descending:
            self._skip("ASC")
        return name, descending

    def _field(self, name: str) -> str:
        known = self._known.get(name.lower())
        if known is None:
            raise SoqlError(
                "INVALID_FIELD",
                f"No such column '{name}' on entity 'Lead'. If you are attempting to use a custom field, be sure to "
                "append the '__c' after the custom field name.",
            )
        return known

    def _word(self) -> str:
        return self._kind("word")

    def _kind(self, kind: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == kind:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return self._fail()

    def _skip(self, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][1].upper() == text:
            self._at += 1
            return True
        return False

    def _keyword(self, text: str) -> None:
        if not self._skip(text):
            self._fail()

    def _fail(self) -> NoReturn:
        near = self._tokens[self._at][1] if self._at < len(self._tokens) else "<EOF>"
        raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{near}'")


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{text[position : position + 10].strip()}'")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


def _unquoted(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1])
