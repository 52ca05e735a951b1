"""A small strict reader of the SOQL that a client of leads, contacts, accounts and opportunities needs.

    SELECT f1, f2 FROM Lead
      [WHERE part [AND part ...]] [ORDER BY field [ASC|DESC]] [LIMIT n]
    part: cond | (cond [OR cond ...])
    cond: text = 'x' | text IN ('x', ...) | text LIKE 'x%' | (IsConverted|IsDeleted) = false
        | (SystemModstamp|CreatedDate|LastModifiedDate) <op> 2026-..Z
    text: Id, Email, Phone, MobilePhone, Website, AccountId

Everything else is refused, with the error codes of the Salesforce REST API. A LIKE pattern keeps its backslashes before
% and _, which there mean themselves.
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
_TEXTS = ("Id", "Email", "Phone", "MobilePhone", "Website", "AccountId")
_FLAGS = ("IsConverted", "IsDeleted")


class SoqlError(Exception):
    """The query cannot be answered; `code` is Salesforce's errorCode."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: texts for = and IN and LIKE, a flag for IS, a moment in epoch ms for the rest."""

    field: str
    sign: str
    texts: frozenset[str] = frozenset()
    moment_ms: float = 0.0
    flag: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: each of the conditions has to hold, of one with several parts any of these."""

    table: str
    fields: tuple[str, ...]
    conditions: tuple[tuple[Condition, ...], ...]
    order_by: str | None
    descending: bool
    limit: int | None


def parse(text: str, tables: Mapping[str, Mapping[str, CrmField]]) -> Query:
    """Read a query over one of the tables; raises SoqlError."""
    return _Reader(text, tables).query()


class _Reader:
    """Reads the tokens of one query from left to right."""

    def __init__(self, text: str, tables: Mapping[str, Mapping[str, CrmField]]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._tables = {name.lower(): name for name in tables}
        self._fields = tables
        self._table = ""
        self._known: dict[str, str] = {}

    def query(self) -> Query:
        self._keyword("SELECT")
        names = [self._word()]
        while self._skip(","):
            names.append(self._word())
        self._keyword("FROM")
        table = self._word()
        if table.lower() not in self._tables:
            raise SoqlError("INVALID_TYPE", f"sObject type '{table}' is not supported.")
        self._table = self._tables[table.lower()]
        self._known = {name.lower(): name for name in self._fields[self._table]}
        fields = tuple(self._field(name) for name in names)
        conditions = self._conditions()
        order_by, descending = self._order()
        limit = int(self._kind("number")) if self._skip("LIMIT") else None
        if self._at != len(self._tokens):
            self._fail()
        return Query(self._table, fields, conditions, order_by, descending, limit)

    def _conditions(self) -> tuple[tuple[Condition, ...], ...]:
        found: list[tuple[Condition, ...]] = []
        if self._skip("WHERE"):
            found.append(self._part())
            while self._skip("AND"):
                found.append(self._part())
        return tuple(found)

    def _part(self) -> tuple[Condition, ...]:
        if not self._skip("("):
            return (self._condition(),)
        one_of = [self._condition()]
        while self._skip("OR"):
            one_of.append(self._condition())
        self._keyword(")")
        return tuple(one_of)

    def _condition(self) -> Condition:
        name = self._field(self._word())
        if name in _TEXTS:
            if self._skip("LIKE"):
                return Condition(name, "LIKE", texts=frozenset((_unquoted(self._kind("string"), kept="%_"),)))
            return Condition(name, "IN", texts=self._text_set())
        if name in _FLAGS:
            self._keyword("=")
            return Condition(name, "IS", flag=self._flag())
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

    def _flag(self) -> bool:
        flag = self._skip("TRUE")
        if not flag:
            self._keyword("FALSE")
        return flag

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
                f"No such column '{name}' on entity '{self._table}'. If you are attempting to use a custom field, be "
                "sure to append the '__c' after the custom field name.",
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


def _unquoted(literal: str, kept: str = "") -> str:
    """The text of a literal; before the characters of `kept` a backslash stays."""
    return re.sub(r"\\(.)", lambda found: found[0] if found[1] in kept else found[1], literal[1:-1])
