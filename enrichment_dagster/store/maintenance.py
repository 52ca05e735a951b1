"""Upkeep of the warehouse: fewer and larger files, no snapshots that nobody needs. Contents never change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb

from enrichment_dagster.errors import StoreError
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_lock import writer_lock
from enrichment_dagster.store.warehouse_schema import ensure_schema
from enrichment_dagster.store.warehouse_sql import sql

LOCK_WAIT_SECONDS = 30.0  # a projection takes about a second


@dataclass(frozen=True, slots=True)
class MaintenanceReport:
    """What a maintenance did."""

    flushed_rows: int = 0  # moved from the catalog to Parquet
    merged_files: int = 0
    rewritten_files: int = 0  # freed of deleted rows
    expired_snapshots: int = 0
    deleted_files: int = 0
    data_files: int = 0  # that the tables have now
    skipped_because_locked: bool = False


def maintain(
    warehouse: Warehouse, keep: timedelta = timedelta(days=1), wait_seconds: float = LOCK_WAIT_SECONDS
) -> MaintenanceReport:
    """Flush inlined rows, merge small files, expire snapshots older than ``keep`` and delete files that are unused.

    A reader's open transaction that is older than ``keep`` loses its files.

    Raises:
        StoreError: the warehouse can't be written.
    """
    with writer_lock(warehouse.lock_path, wait_seconds) as held:
        if not held:
            return MaintenanceReport(skipped_because_locked=True)
        with warehouse.connect_writer() as lake:
            try:
                ensure_schema(lake, warehouse.routing)
                return _maintain(lake, keep)
            except duckdb.Error as error:
                raise StoreError(f"the warehouse can't be maintained: {error}") from error


def _maintain(lake: duckdb.DuckDBPyConnection, keep: timedelta) -> MaintenanceReport:
    older = {"keep": keep}
    return MaintenanceReport(
        flushed_rows=_run(lake, "flush"),
        rewritten_files=_run(lake, "rewrite"),
        merged_files=_run(lake, "merge"),
        expired_snapshots=_run(lake, "expire", older),
        deleted_files=_run(lake, "clean_up", older) + _run(lake, "lost", older),
        data_files=_run(lake, "count_files"),
    )


def _run(lake: duckdb.DuckDBPyConnection, step: str, parameters: dict[str, timedelta] | None = None) -> int:
    """Run one step to its end: fetching one row only would leave its transaction open and undo it."""
    rows = lake.execute(sql(f"maintain_{step}"), parameters or {}).fetchall()
    return int(rows[0][0])
