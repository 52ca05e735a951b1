"""Maintenance: the same contents in fewer files."""

from __future__ import annotations

import os
import time
from datetime import timedelta

from warehouse_rows import change_event, contents, insert_leads, lead

from enrichment_dagster.store.database import Database
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_lock import writer_lock


def _files(warehouse: Warehouse) -> int:
    return sum(1 for _ in warehouse.lake_path.rglob("*.parquet"))


def _busy_hour(ops: Database, projector: Projector, first: int = 0) -> None:
    for number in range(first, first + 4):
        insert_leads(ops, [lead(number * 3 + k) for k in range(3)])
        projector.project()
        change_event(ops, f"evt_{number}", outcome="enriched")
        change_event(ops, "evt_0", tries=number)
        projector.project()


def test_maintenance_keeps_contents_and_leaves_fewer_files(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    _busy_hour(ops, projector)
    before, files = contents(warehouse), _files(warehouse)

    report = maintain(warehouse, keep=timedelta(0))

    assert contents(warehouse) == before
    assert report.flushed_rows >= 12 * 14
    assert report.merged_files > 0
    assert report.expired_snapshots > 10
    assert report.deleted_files > 0
    assert _files(warehouse) == report.data_files < 20 < files

    _busy_hour(ops, projector, first=4)
    before = contents(warehouse)
    assert len(before["events"]) == 24
    assert maintain(warehouse, keep=timedelta(0)).data_files < 20
    assert contents(warehouse) == before


def test_changes_before_and_after_maintenance_agree_with_a_fresh_projection(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    for round_number in range(3):
        insert_leads(ops, [lead(round_number * 3 + k) for k in range(3)])
        projector.project()
        for k in range(3):
            change_event(ops, f"evt_{k}", tries=round_number)
            projector.project()
        maintain(warehouse, keep=timedelta(0))
    found = contents(warehouse)
    assert len(found["events"]) == 9
    assert {row[0]: row[22] for row in found["events"] if row[0] in {f"evt_{k}" for k in range(3)}} == {
        f"evt_{k}": 2 for k in range(3)
    }


def test_young_snapshots_stay(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [lead(1)])
    projector.project()
    report = maintain(warehouse)
    assert (report.expired_snapshots, report.deleted_files) == (0, 0)


def test_what_a_killed_writer_left_is_deleted_a_day_later(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    _busy_hour(ops, projector)
    before = contents(warehouse)
    known = next(warehouse.lake_path.rglob("*.parquet"))
    left, writing = (known.with_name(f"ducklake-{name}.parquet") for name in ("left", "writing"))
    for path, hours in ((left, 25), (writing, 23)):
        path.write_bytes(b"half a file")
        os.utime(path, times=(time.time() - hours * 3600,) * 2)
    report = maintain(warehouse)
    assert (report.deleted_files, left.exists(), writing.exists(), known.exists()) == (1, False, True, True)
    assert contents(warehouse) == before


def test_maintenance_of_an_empty_warehouse(warehouse: Warehouse) -> None:
    report = maintain(warehouse)
    assert (report.merged_files, report.skipped_because_locked) == (0, False)
    assert maintain(warehouse).flushed_rows == 0  # the first one flushed the notes of its own set-up


def test_maintenance_leaves_a_busy_warehouse_alone(warehouse: Warehouse) -> None:
    with writer_lock(warehouse.lock_path):
        assert maintain(warehouse, wait_seconds=0).skipped_because_locked
