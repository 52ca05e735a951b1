"""Killed projectors, two projectors at once, and readers beside a writer: with real processes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from projecting_process import keep_house, project, read, started
from warehouse_rows import Lead, change_event, contents, crm_write, event, insert_leads, lead, open_ops, value

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse


@contextmanager
def _process(work: Callable[..., None], home: Path, *more: object) -> Iterator[tuple[BaseProcess, Connection]]:
    process, connection = started(work, home, *more)
    try:
        yield process, connection
    finally:
        process.kill()
        process.join()
        process.close()
        connection.close()


def _killed_after(process: BaseProcess, seconds: float) -> None:
    process.join(seconds)
    assert process.is_alive(), "the projector ended by itself"
    process.kill()
    process.join()


def test_a_projector_killed_at_any_moment_leaves_nothing_out_and_nothing_twice(
    ops: Database, warehouse: Warehouse, projector: Projector, tmp_path: Path
) -> None:
    rng = random.Random(20)
    leads = [lead(number) for number in range(400)]
    reached = set()
    for batch in range(10):
        for start in range(batch * 40, batch * 40 + 40, 4):
            insert_leads(ops, leads[start : start + 4])
        with _process(project, tmp_path, 60) as (process, _):
            _killed_after(process, rng.uniform(0.05, 0.8))
        if warehouse.catalog_path.is_file():
            reached.add(batch)

    projector.project()

    assert reached  # some were killed after they had written something
    found = contents(warehouse)
    fresh = tmp_path / "fresh"
    other = Warehouse(fresh / "catalog.sqlite", fresh / "data")
    Projector(ops, other, SystemClock()).project()
    assert found == contents(other)
    assert len(found["events"]) == 400
    assert len({row[0] for row in found["field_values"]}) == len(found["field_values"]) == 5_600


def test_maintenance_killed_at_any_moment_changes_no_contents(
    ops: Database, warehouse: Warehouse, projector: Projector, tmp_path: Path
) -> None:
    rng = random.Random(21)
    for batch in range(5):
        insert_leads(ops, [lead(batch * 10 + k) for k in range(10)])
        projector.project()
        change_event(ops, "evt_0", tries=batch)
        change_event(ops, f"evt_{batch * 10}", outcome="enriched")
        projector.project()
        before = contents(warehouse)
        with _process(keep_house, tmp_path) as (process, _):
            _killed_after(process, rng.uniform(0.05, 0.5))
        assert contents(warehouse) == before
    maintain(warehouse, keep=timedelta(0))
    assert contents(warehouse) == before
    assert len(before["events"]) == 50


def test_of_two_projectors_one_leaves(
    ops: Database, projector: Projector, warehouse: Warehouse, tmp_path: Path
) -> None:
    insert_leads(ops, [lead(number) for number in range(300)])
    with _process(project, tmp_path, 20):
        reports = [projector.project() for _ in range(40)]
    assert any(report.skipped_because_locked for report in reports)
    assert projector.project().skipped_because_locked is False
    assert warehouse.query("SELECT count(*) AS n, count(DISTINCT work_id) AS d FROM events").row(0) == (300, 300)


def _small(number: int) -> Lead:
    return Lead(
        event(number), [value(number, f"email:p{number}@acme.example", "title", "CTO")], writes=[crm_write(number)]
    )


def test_an_open_reader_sees_new_rows_and_disturbs_nobody(ops: Database, projector: Projector, tmp_path: Path) -> None:
    insert_leads(ops, [_small(0)])
    projector.project()
    with _process(read, tmp_path) as (_, reader):
        times = []
        for number in range(1, 21):
            insert_leads(ops, [_small(number)])
            times.append(projector.project().seconds)
        reader.send("stop")
        seen = reader.recv()
    assert seen["errors"] == []
    assert seen["seen"] == sorted(seen["seen"])
    assert seen["seen"][-1] >= 20  # the last poll may have begun before the last commit
    assert len(set(seen["seen"])) > 10
    assert seen["slowest"] < 5
    assert max(times) < 10


def test_a_reader_inside_a_transaction_is_pinned(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [_small(0)])
    projector.project()
    count = "SELECT count(*) FROM events"
    with warehouse.connect_reader() as lake:
        lake.begin()
        assert lake.execute(count).fetchone() == (1,)
        for number in range(1, 6):
            insert_leads(ops, [_small(number)])
            projector.project()
        assert lake.execute(count).fetchone() == (1,)
        lake.commit()
        assert lake.execute(count).fetchone() == (6,)


def test_two_warehouses_in_one_process_do_not_mix(tmp_path: Path, ops: Database, projector: Projector) -> None:
    other_ops = open_ops(tmp_path / "other")
    other = Warehouse(tmp_path / "other" / "catalog.sqlite", tmp_path / "other" / "data")
    insert_leads(ops, [_small(1)])
    projector.project()
    insert_leads(other_ops, [_small(2), _small(3)])
    Projector(other_ops, other, SystemClock()).project()
    other_ops.dispose()
    assert other.query("SELECT count(*) AS n FROM events")["n"][0] == 2
