"""A process for tests.

``project <home> <slice rows>`` and ``maintain <home>`` work for ever, ``read <home>`` polls until stdin ends."""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import open_sqlite
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse


def main() -> None:
    job, home = sys.argv[1], Path(sys.argv[2])
    warehouse = Warehouse(home / "warehouse" / "catalog.sqlite", home / "warehouse" / "data")
    if job == "project":
        project(warehouse, home, int(sys.argv[3]))
    elif job == "maintain":
        keep_house(warehouse)
    else:
        read(warehouse)


def project(warehouse: Warehouse, home: Path, slice_rows: int) -> None:
    projector = Projector(open_sqlite(home / "ops.db"), warehouse, SystemClock(), slice_rows)
    print("ready", flush=True)
    while True:
        projector.project()


def keep_house(warehouse: Warehouse) -> None:
    print("ready", flush=True)
    while True:
        maintain(warehouse, keep=timedelta(0))


def read(warehouse: Warehouse) -> None:
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    errors: list[str] = []
    seen: list[int] = []
    slowest = 0.0
    with warehouse.connect_reader() as lake:
        print("ready", flush=True)
        while not stop.is_set():
            started = time.monotonic()
            try:
                rows = lake.execute("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM contacts)").fetchone()
                seen.append(rows[0])
                if rows[0] != rows[1]:
                    errors.append(f"a torn read: {rows}")
            except Exception as error:  # noqa: BLE001 - every error counts
                errors.append(repr(error))
            slowest = max(slowest, time.monotonic() - started)
    print(json.dumps({"errors": errors, "seen": seen, "slowest": slowest}), flush=True)


if __name__ == "__main__":
    main()
