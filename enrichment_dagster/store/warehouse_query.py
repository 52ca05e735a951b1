"""One read-only query on the warehouse, and whether its engine works here at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from enrichment_dagster.errors import StoreError
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_extensions import load_sql


class QueryError(StoreError):
    """The query itself is wrong, or it tries to write."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows under their columns' names."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def read_query(warehouse: Warehouse, text: str) -> QueryResult:
    """Run a query.

    Raises:
        QueryError: it is empty, or DuckDB does not take it; the message is DuckDB's, with the place.
        StoreError: there is no warehouse, or it can't be opened.
    """
    with warehouse.connect_reader() as connection:
        try:
            if not duckdb.extract_statements(text):
                raise QueryError("there is no statement in the query")
            cursor = connection.execute(text)
            columns = [str(column[0]) for column in cursor.description or ()]
            return QueryResult(columns, cursor.fetchall() if columns else [])
        except duckdb.Error as error:
            raise QueryError(str(error)) from error


def check_engine() -> str:
    """Load DuckDB with what the warehouse needs and return its version.

    Raises:
        StoreError: an extension is missing, or it is for another DuckDB.
    """
    with duckdb.connect() as connection:
        try:
            for statement in load_sql("sqlite"):
                connection.execute(statement)
        except duckdb.Error as error:
            raise StoreError(f"DuckDB {duckdb.__version__} does not load its extensions: {error}") from error
    return duckdb.__version__
