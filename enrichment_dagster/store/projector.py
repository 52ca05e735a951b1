"""The projector: copies what is new in the operational store to the warehouse.

Each slice of rows and the watermark that says so are ONE DuckLake transaction: a projector may be killed at any moment,
and projecting the same rows again changes nothing. One projector writes at a time; a second one leaves at once, because
the next projection takes its rows.

A work item's values are committed under one rev by the operational store, and a rev is never cut in two: people and
companies of a piece of work always arrive together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from enrichment_dagster.clock import Clock
from enrichment_dagster.errors import StoreError
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.warehouse import Warehouse, roll_back
from enrichment_dagster.store.warehouse_lock import writer_lock
from enrichment_dagster.store.warehouse_schema import ensure_schema
from enrichment_dagster.store.warehouse_sources import SOURCES, current_rev, read_rows, slice_end, waiting_rows
from enrichment_dagster.store.warehouse_writes import Rows, SliceWriter

SLICE_ROWS = 20_000
"""About how many rows of a table one transaction takes: it bounds the memory that a backlog needs."""


@dataclass(frozen=True, slots=True)
class ProjectionReport:
    """What a projection did. ``lag_rows`` counts rows that came meanwhile; None where the lock was taken."""

    rows: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    lag_rows: int | None = None
    rejected: int = 0  # rows that failed their table's rules and went to quarantine
    skipped_because_locked: bool = False
    watermark: int = 0  # the revision that the warehouse has reached


class Projector:
    """Copies new operational rows to the warehouse."""

    def __init__(self, ops: Database, warehouse: Warehouse, clock: Clock, slice_rows: int = SLICE_ROWS) -> None:
        self._ops = ops
        self._warehouse = warehouse
        self._clock = clock
        self._slice_rows = slice_rows

    def project(self) -> ProjectionReport:
        """Copy everything that is there now.

        Raises:
            StoreError: the warehouse can't be written; what was not committed is copied next time.
        """
        started = self._clock.monotonic()
        with writer_lock(self._warehouse.lock_path) as held:
            if not held:
                return ProjectionReport(skipped_because_locked=True)
            with self._warehouse.connect_writer() as lake:
                try:
                    counts, rejected, watermark = self._copy(lake)
                except duckdb.Error as error:
                    raise StoreError(f"the warehouse can't be written: {error}") from error
        with self._ops.read() as connection:
            lag = waiting_rows(connection, watermark)
        return ProjectionReport(counts, self._clock.monotonic() - started, lag, rejected, watermark=watermark)

    def _copy(self, lake: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], int, int]:
        """Copy slice by slice up to the present rev; returns counts, rejected rows and the watermark reached."""
        ensure_schema(lake, self._warehouse.routing)
        sequence, watermark = _watermark(lake)
        with self._ops.read() as connection:
            target = current_rev(connection)
        counts: dict[str, int] = {}
        rejected = 0
        while watermark < target:
            end, rows = self._read(watermark, target)
            writer = SliceWriter(lake, self._clock.now())
            sequence += 1
            self._commit(writer, rows, sequence, end)
            for table, count in writer.counts.items():
                counts[table] = counts.get(table, 0) + count
            rejected += len(writer.rejects)
            watermark = end
        return counts, rejected, watermark

    def _read(self, after: int, target: int) -> tuple[int, dict[str, Rows]]:
        with self._ops.read() as connection:
            end = slice_end(connection, after, target, self._slice_rows)
            return end, {source.target: read_rows(connection, source, after, end) for source in SOURCES}

    def _commit(self, writer: SliceWriter, rows: Mapping[str, Rows], sequence: int, end: int) -> None:
        lake = writer.lake
        lake.begin()
        try:
            writer.write(rows)
            lake.execute("INSERT INTO projection_watermark VALUES (?, ?, ?)", [sequence, end, writer.now])
            lake.commit()
        except BaseException:
            roll_back(lake)
            raise


def _watermark(lake: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    row = lake.execute("SELECT seq, rev FROM projection_watermark ORDER BY seq DESC LIMIT 1").fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)
