"""What is copied from the operational store to the warehouse, and how its rows become typed frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    Select,
    Table,
    Text,
    cast,
    func,
    select,
)

from enrichment_dagster.store import tables
from enrichment_dagster.store.warehouse_rejects import Reject, raw_row

_INT64 = range(-(2**63), 2**63)
_TIME = pl.Datetime("ms", "UTC")


@dataclass(frozen=True, slots=True)
class Source:
    """One copied table. Columns have the warehouse's names; ``renamed`` gives operational ones that differ."""

    target: str
    table: Table
    key: str
    columns: Sequence[str]
    renamed: Mapping[str, str] = field(default_factory=dict)
    only: ColumnElement[bool] | None = None

    def column(self, name: str) -> Column[Any]:
        """Return the operational column behind a warehouse column; times are milliseconds there."""
        theirs = self.renamed.get(name, name)
        return self.table.c[theirs] if theirs in self.table.c else self.table.c[f"{theirs}_ms"]


IN_FLIGHT = ("sent", "pending")
"""States of a paid call that has not ended: its row is copied once it has, under the rev of its end."""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SOURCES: tuple[Source, ...] = (
    Source(
        "events",
        tables.work,
        "work_id",
        _names(
            "work_id event_id kind event_type source lane subject_system subject_type subject_id sender_event_id "
            "occurred_at received_at started_at finished_at delivered_at "
            "state outcome reason missing steps cost_micros run_id batch_id tries day caused_by depth"
        ),
    ),
    # Before the values: a person's company follows from their edges.
    Source(
        "contact_company",
        tables.contact_company,
        "contact_key",
        _names(
            "contact_key company_key kind system contact_record company_record "
            "since last_seen_at ended_at last_event_id"
        ),
        renamed={"since": "since_at", "last_event_id": "event_id"},
    ),
    Source(
        "field_values",
        tables.field_values,
        "value_id",
        _names(
            "value_id work_id event_id subject_key field value provider confidence "
            "fetched_at verified_at expires_at cost_micros request_id precedence chosen stale"
        ),
    ),
    Source(
        "provider_attempts",
        tables.attempts,
        "attempt_id",
        _names(
            "attempt_id provider purpose subject_key event_id outcome reason http_status request_id "
            "cost_micros latency_ms sent_at settled_at role units"
        ),
        renamed={"outcome": "state"},
        only=tables.attempts.c.state.not_in(IN_FLIGHT),
    ),
    Source(
        "crm_writes",
        tables.crm_writes,
        "outbox_id",
        _names("outbox_id work_id event_id system object_type record_id status written kept reason written_at"),
    ),
    Source(
        "quarantine",
        tables.quarantine,
        "quarantine_id",
        _names("quarantine_id work_id event_id field raw provider reason created_at"),
    ),
    Source(
        "dead_letters",
        tables.dead_letters,
        "work_id",
        _names("work_id event_id event_type component reason detail created_at"),
    ),
)


def current_rev(connection: Connection) -> int:
    """Return the operational store's newest rev."""
    counters = tables.counters
    return connection.execute(select(counters.c.n).where(counters.c.name == "rev")).scalar() or 0


def slice_end(connection: Connection, after: int, until: int, limit: int) -> int:
    """Return a rev up to which no table has many more than ``limit`` new rows. A rev is never cut in two."""
    ends = [until]
    for source in SOURCES:
        rev = source.table.c.rev
        query = select(rev).where(rev > after, rev <= until).order_by(rev).offset(limit - 1).limit(1)
        ends += [found for found in [connection.execute(query).scalar()] if found is not None]
    return min(ends)


def waiting_rows(connection: Connection, after: int) -> int:
    """Return how many rows are newer than this rev."""
    return sum(
        connection.execute(_restricted(source, select(func.count()), after, None)).scalar_one() for source in SOURCES
    )


def read_rows(connection: Connection, source: Source, after: int, until: int) -> list[tuple[Any, ...]]:
    """Return the rows of a slice, JSON as text."""
    columns = [_selected(source.column(name), name) for name in source.columns]
    rows = connection.execute(_restricted(source, select(*columns), after, until))
    return [tuple(row) for row in rows]


def _restricted(source: Source, query: Select[Any], after: int, until: int | None) -> Select[Any]:
    query = query.select_from(source.table).where(source.table.c.rev > after)
    if until is not None:
        query = query.where(source.table.c.rev <= until)
    return query if source.only is None else query.where(source.only)


def _selected(column: Column[Any], name: str) -> ColumnElement[Any]:
    return (cast(column, Text) if isinstance(column.type, JSON) else column).label(name)


def to_frame(source: Source, rows: Sequence[tuple[Any, ...]]) -> tuple[pl.DataFrame, list[Reject]]:
    """Return the rows as a typed frame, times in milliseconds, without those that hold a value of a wrong type."""
    types = {name: _storage_type(source.column(name)) for name in source.columns}
    rejects: list[Reject] = []
    try:
        frame = pl.DataFrame(rows, schema=types, orient="row", strict=True)
    except (TypeError, OverflowError, UnicodeError, pl.exceptions.PolarsError):
        good = []
        for row in rows:
            wrong = [name for name, value in zip(types, row, strict=True) if not _fits(value, types[name])]
            if wrong:
                rejects.append(_reject(source, row, wrong))
            else:
                good.append(row)
        frame = pl.DataFrame(good, schema=types, orient="row", strict=True)
    return _with_day(source, frame), rejects


def _with_day(source: Source, frame: pl.DataFrame) -> pl.DataFrame:
    if "day" not in source.columns:
        return frame
    return frame.with_columns(pl.col("day").str.to_date("%Y-%m-%d", strict=False))


def with_times(source: Source, frame: pl.DataFrame) -> pl.DataFrame:
    """Turn a checked frame's milliseconds into moments."""
    times = [name for name in source.columns if source.column(name).name.endswith("_at_ms")]
    return frame.with_columns(pl.col(times).cast(_TIME))


def _storage_type(column: Column[Any]) -> type[pl.DataType]:
    if isinstance(column.type, Float):
        return pl.Float64
    if isinstance(column.type, Boolean):
        return pl.Boolean
    return pl.Int64 if isinstance(column.type, Integer) else pl.String


def _fits(value: Any, kind: type[pl.DataType]) -> bool:
    if value is None:
        return True
    if kind is pl.String:
        return isinstance(value, str)
    if kind is pl.Float64:
        return isinstance(value, float)
    if kind is pl.Boolean:
        return isinstance(value, bool)
    return isinstance(value, int) and value in _INT64


def _reject(source: Source, row: tuple[Any, ...], wrong: Sequence[str]) -> Reject:
    values = dict(zip(source.columns, row, strict=True))
    return Reject(source.target, str(values[source.key]), f"wrong type: {', '.join(wrong)}", raw_row(values))
