"""Statements of the hot paths: compiled once for each dialect, and run by the database's own driver.

A paid call takes some twenty statements, and to bring one of them to SQLite takes SQLAlchemy ten times as long as it
takes SQLite to run it. So the few that every call needs are run here. They are still written in SQLAlchemy's terms, and
what is written and read has its columns' types: the same statement holds for SQLite and Postgres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from sqlalchemy import Boolean, Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

from enrichment_dagster.store.database import run_driver

_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

_Process = Callable[[Any], Any]
_NO_LISTS: Mapping[str, list[Any]] = MappingProxyType({})


class Query:
    """A SELECT, or a change that returns something. Its parameters are those of ``bindparam``.

    One that is ``expanding`` takes a list, not an empty one. Lists share a text of SQL with those up to the next power
    of two, in which the last value is repeated: drivers keep prepared what they know by its text.
    """

    def __init__(self, statement: Any) -> None:
        """``statement`` may be a function that makes it for a dialect's name."""
        self._statement = statement
        self._prepared: dict[tuple[Any, ...], _Prepared] = {}

    def rows(self, connection: Connection, **parameters: Any) -> Sequence[tuple[Any, ...]]:
        """Return all rows."""
        lists = {name: _padded(value) for name, value in parameters.items() if isinstance(value, list)}
        shape = (connection.dialect.name, *(len(value) for value in lists.values()))
        prepared = self._prepared.get(shape)
        if prepared is None:
            statement = _made(self._statement, connection.dialect)
            prepared = self._prepared[shape] = _prepare(statement, connection.dialect, lists=lists)
        for name, values in lists.items():
            parameters.update(zip(prepared.lists[name], values, strict=True))
        return prepared.read(run_driver(connection, prepared.text, prepared.cells(parameters)).fetchall())


class Change:
    """An INSERT or UPDATE of many rows, each given by its columns or by its parameters; all have the same ones."""

    def __init__(self, statement: Any) -> None:
        """``statement`` may be a function that makes it for a dialect's name."""
        self._statement = statement
        self._prepared: dict[tuple[str, ...], _Prepared] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Do it for each row; columns that an INSERT's rows leave out have their defaults."""
        if not rows:
            return
        shape = (connection.dialect.name, *rows[0])
        prepared = self._prepared.get(shape)
        if prepared is None:
            statement = _made(self._statement, connection.dialect)
            given = tuple(rows[0]) if statement.is_insert else None
            prepared = self._prepared[shape] = _prepare(statement, connection.dialect, given)
        run_driver(connection, prepared.text, [prepared.cells(row) for row in rows], many=True)


def _made(statement: Any, dialect: Dialect) -> Any:
    return statement(dialect.name) if callable(statement) else statement


@cache
def insert_of(dialect: str, table: Table) -> Any:
    """Return the INSERT of a dialect, always the same one.

    It knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``, and reads back nothing that the database adds to
    a row.
    """
    return _INSERT[dialect](table).inline()


@cache
def insertion(table: Table) -> Change:
    """Return the INSERT of rows."""
    return Change(lambda dialect: insert_of(dialect, table))


@cache
def insertion_of_new(table: Table) -> Change:
    """Return the INSERT that passes over rows which are there already."""
    return Change(lambda dialect: insert_of(dialect, table).on_conflict_do_nothing())


@cache
def replacement(table: Table, key: tuple[str, ...], changed: tuple[str, ...]) -> Change:
    """Return the INSERT that writes the ``changed`` columns of rows which are there already."""

    def statement(dialect: str) -> Any:
        make = insert_of(dialect, table)
        return make.on_conflict_do_update(index_elements=key, set_={name: make.excluded[name] for name in changed})

    return Change(statement)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement in its dialect."""

    text: str
    names: Sequence[str]  # of its parameters, in order
    positional: bool
    constants: Mapping[str, Any]
    lists: Mapping[str, Sequence[str]]  # names of a list's values, by the list's
    from_ours: Sequence[tuple[int, _Process]]  # what has to be done to parameters, by their places
    to_ours: Sequence[tuple[int, _Process]]  # and to results
    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]

    def cells(self, given: Mapping[str, Any]) -> Any:
        """Return the parameters as the driver takes them."""
        cells: Any = self.pick({**self.constants, **given} if self.constants else given)
        if self.from_ours:
            cells = list(cells)
            for place, process in self.from_ours:
                cells[place] = process(cells[place])
        return cells if self.positional else dict(zip(self.names, cells, strict=True))

    def read(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
        """Return rows with our values."""
        return [self._read(row) for row in rows] if self.to_ours else rows

    def _read(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        cells = list(row)
        for place, process in self.to_ours:
            if cells[place] is not None:
                cells[place] = process(cells[place])
        return tuple(cells)


def _prepare(
    statement: Any, dialect: Dialect, given: Sequence[str] | None = None, lists: Mapping[str, list[Any]] = _NO_LISTS
) -> _Prepared:
    """Compile a statement. ``given`` are the columns that an INSERT sets; its table's defaults come on top of them."""
    defaults = {} if given is None else _defaults(statement.table, given)
    columns = None if given is None else [*given, *defaults]
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    required = {name: None for name, bind in compiled.binds.items() if bind.required}
    state = compiled.construct_expanded_state({**required, **lists})
    names = state.positiontup if compiled.positional else [n for n in state.parameters if n not in lists]
    binds = {name: compiled.binds[base] for base in lists for name in state.parameter_expansion[base]}
    binds |= compiled.binds
    returned = getattr(statement, "exported_columns", ())
    return _Prepared(
        text=state.statement,
        names=names,
        positional=compiled.positional,
        constants={n: value for n, value in state.parameters.items() if n not in required} | defaults,
        lists={name: state.parameter_expansion[name] for name in lists},
        from_ours=_processes([binds.get(name) for name in names], dialect, "bind_processor"),
        to_ours=_processes(returned, dialect, "result_processor", None),
        pick=_picker(names),
    )


def _defaults(table: Table, given: Sequence[str]) -> dict[str, Any]:
    """Return what columns hold that are not given, where the table says so."""
    missing = [column for column in table.columns if column.name not in given and column.default is not None]
    return {column.name: _default(column.default) for column in missing}


def _default(default: Any) -> Any:
    return default.arg(None) if default.is_callable else default.arg


def _processes(typed: Iterable[Any], dialect: Dialect, kind: str, *more: Any) -> Sequence[tuple[int, _Process]]:
    """Return what has to be done to parameters or columns, by their places; None among them is a constant of ours."""
    impls = ((n, one.type.dialect_impl(dialect)) for n, one in enumerate(typed) if one is not None)
    found = ((n, getattr(impl, kind)(dialect, *more)) for n, impl in impls if not _is_given_as_it_is(impl, kind))
    return [(n, process) for n, process in found if process is not None]


def _is_given_as_it_is(impl: Any, kind: str) -> bool:
    """Say whether drivers take a value unchanged: to SQLite a truth value is a number, as it is to Python."""
    return kind == "bind_processor" and isinstance(impl, Boolean)


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda given: tuple(given[name] for name in names)


def _padded(values: list[Any]) -> list[Any]:
    length = 1 << (len(values) - 1).bit_length()
    return values + values[-1:] * (length - len(values))
