"""What other processes do with a warehouse: functions for forks of a process that has imported all they need.

A fork costs a fiftieth of a new interpreter that imports DuckDB and Polars; nothing is open when it is made.
"""

from __future__ import annotations

import multiprocessing
import time
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import open_sqlite
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse

_PAUSE_SECONDS = 0.01
_FORKS = multiprocessing.get_context("forkserver")
# Modules that are found without a test's path; polars is imported at the first projection only.
_FORKS.set_forkserver_preload(
    ["enrichment_dagster.store.projector", "enrichment_dagster.store.maintenance", "polars", "pyarrow"]
)


def started(work: Any, home: Path, *more: Any) -> tuple[BaseProcess, Connection]:
    """Start ``work(connection, home, *more)`` and wait until it says that it is ready."""
    ours, its = _FORKS.Pipe()
    process = _FORKS.Process(target=work, args=(its, home, *more))
    process.start()
    its.close()
    assert ours.recv() == "ready"
    return process, ours


def warehouse_of(home: Path) -> Warehouse:
    return Warehouse(home / "warehouse" / "catalog.sqlite", home / "warehouse" / "data")


def project(connection: Connection, home: Path, slice_rows: int) -> None:
    """Project for ever."""
    projector = Projector(open_sqlite(home / "ops.db"), warehouse_of(home), SystemClock(), slice_rows)
    connection.send("ready")
    while True:
        projector.project()


def keep_house(connection: Connection, home: Path) -> None:
    """Maintain for ever."""
    connection.send("ready")
    while True:
        maintain(warehouse_of(home), keep=timedelta(0))


def read(connection: Connection, home: Path) -> None:
    """Poll without much of a pause until told to stop, then say what was seen."""
    errors: list[str] = []
    seen: list[int] = []
    slowest = 0.0
    with warehouse_of(home).connect_reader() as lake:
        connection.send("ready")
        while not connection.poll(_PAUSE_SECONDS):
            begun = time.monotonic()
            try:
                rows = lake.execute("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM contacts)").fetchone()
                seen.append(rows[0])
                if rows[0] != rows[1]:
                    errors.append(f"a torn read: {rows}")
            except Exception as error:  # noqa: BLE001 - every error counts
                errors.append(repr(error))
            slowest = max(slowest, time.monotonic() - begun)
    connection.send({"errors": errors, "seen": seen, "slowest": slowest})
