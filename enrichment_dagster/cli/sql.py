"""``enrichment sql``: read the warehouse."""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enrichment_dagster.cli.command import Failure, WrongUse, command
from enrichment_dagster.cli.output import add_row, make_console, make_table, plain, print_json
from enrichment_dagster.settings import HOME_VARIABLE, Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from enrichment_dagster.store.warehouse_query import QueryResult

_DUCKDB = "duckdb"
_READABLE = 12  # characters that a column needs


@command(
    "sql",
    not_met="nothing was projected yet, or the DuckDB prompt is not installed",
    wrong_use="wrong usage or a wrong query",
    examples=(
        'enrichment sql "SHOW TABLES"',
        'enrichment sql "SELECT outcome, count(*) FROM events GROUP BY 1" --csv',
    ),
)
@click.argument("query", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def sql(*, query: str | None, as_csv: bool, as_json: bool) -> None:
    """Run QUERY on the warehouse, or open a DuckDB prompt on it.

    Read-only; a prompt may stay open for days and disturbs no writer.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv or --json, not both")
    settings = load_settings()
    if settings.catalog_url is None and not settings.catalog_path.is_file():
        raise _nothing_projected(settings)
    if query is None:
        _open_prompt(settings, ["-csv"] if as_csv else ["-json"] if as_json else [])
        return
    result = _run(settings, query)
    if as_json:
        names = _distinct(result.columns)
        print_json([dict(zip(names, map(_for_json, row), strict=True)) for row in result.rows])
    elif as_csv:
        _print_csv(result)
    else:
        _print_table(result)


def _nothing_projected(settings: Settings) -> Failure:
    return Failure(
        "nothing_projected",
        f"nothing was projected yet: there is no warehouse at {settings.catalog_path}. The first finished run makes "
        f"it: send an event (`enrichment send --help`) with `enrichment up` running; if yours is elsewhere, set "
        f"{HOME_VARIABLE}",
    )


def _run(settings: Settings, query: str) -> QueryResult:
    from enrichment_dagster.composition import open_warehouse
    from enrichment_dagster.store.warehouse_query import QueryError, read_query

    try:
        return read_query(open_warehouse(settings), query)
    except QueryError as error:
        raise WrongUse("bad_query", f'{error}\n`enrichment sql "SHOW TABLES"` lists what there is') from error


def _distinct(columns: Sequence[str]) -> list[str]:
    """Return names of which an object can have all: a join's second ``subject_key`` is ``subject_key_1``."""
    names: list[str] = []
    for name in columns:
        tried = (f"{name}_{number}" if number else name for number in itertools.count())
        names.append(next(one for one in tried if one not in names))
    return names


def _for_json(value: Any) -> Any:
    """Return a value as JSON can tell it: NaN and the infinite numbers are null, keys of a map are texts."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _for_json(entry) for key, entry in value.items()}
    return [_for_json(entry) for entry in value] if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    """Return a value of a table or CSV: lists and what has fields as JSON, and its words for true and false."""
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(_for_json(value), ensure_ascii=False, default=plain)
    return "" if value is None else str(value)


def _print_table(result: QueryResult) -> None:
    console = make_console()
    table = make_table("", *result.columns)
    for row in result.rows:
        add_row(table, *map(_text, row))
    if console.width < _READABLE * len(result.columns) and console.measure(table).maximum >= console.width:
        _print_records(console, result)
    else:
        console.print(table)


def _print_records(console: Console, result: QueryResult) -> None:
    """Print one line per value: so many columns side by side would be a letter or two wide each."""
    for number, row in enumerate(result.rows, 1):
        table = make_table(f"row {number}", "column", "value")
        for name, value in zip(result.columns, row, strict=True):
            add_row(table, name, _text(value))
        console.print(table)


def _print_csv(result: QueryResult) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows(map(_text, row) for row in result.rows)


def _open_prompt(settings: Settings, options: Sequence[str]) -> None:
    """Become DuckDB's own prompt, with the warehouse attached read-only."""
    from enrichment_dagster.store.warehouse import reader_sql

    if settings.catalog_url is not None:
        raise Failure("no_prompt", "the prompt opens a catalog file, yours is in PostgreSQL: give a QUERY")
    binary = find_duckdb()
    if binary is None:
        raise Failure("no_prompt", "the DuckDB prompt is not installed: pip install duckdb-cli==1.5.5, or give a QUERY")
    statements = reader_sql(settings.catalog_path, settings.lake_path)
    opening = [part for statement in statements for part in ("-cmd", f"{statement};")]
    sys.stdout.flush()
    os.execv(binary, [binary, *options, *opening])  # noqa: S606 - no shell is wanted


def find_duckdb() -> str | None:
    """Return the prompt that belongs to this Python, or the one on the path."""
    beside = shutil.which(_DUCKDB, path=str(Path(sys.executable).parent))
    return beside or shutil.which(_DUCKDB)
