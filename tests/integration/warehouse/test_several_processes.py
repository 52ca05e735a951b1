"""Killed projectors, two projectors at once, and readers beside a writer: with real processes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from warehouse_rows import Lead, change_event, contents, crm_write, event, insert_leads, lead, open_ops, value

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse

_SCRIPT = Path(__file__).with_name("projecting_process.py")


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(_SCRIPT), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def _killed_after(process: subprocess.Popen[str], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    else:
        raise AssertionError("the projector ended by itself")


def test_a_projector_killed_at_any_moment_leaves_nothing_out_and_nothing_twice(
    ops: Database, warehouse: Warehouse, projector: Projector, tmp_path: Path
) -> None:
    rng = random.Random(20)
    leads = [lead(number) for number in range(400)]
    reached = set()
    for batch in range(10):
        for start in range(batch * 40, batch * 40 + 40, 4):
            insert_leads(ops, leads[start : start + 4])
        with _process("project", str(tmp_path), "60") as process:
            _killed_after(process, rng.uniform(0.15, 1.2))
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
    for batch in range(6):
        insert_leads(ops, [lead(batch * 10 + k) for k in range(10)])
        projector.project()
        change_event(ops, "evt_0", tries=batch)
        change_event(ops, f"evt_{batch * 10}", outcome="enriched")
        projector.project()
        before = contents(warehouse)
        with _process("maintain", str(tmp_path)) as process:
            _killed_after(process, rng.uniform(0.2, 0.9))
        assert contents(warehouse) == before
    maintain(warehouse, keep=timedelta(0))
    assert contents(warehouse) == before
    assert len(before["events"]) == 60


def test_of_two_projectors_one_leaves(
    ops: Database, projector: Projector, warehouse: Warehouse, tmp_path: Path
) -> None:
    insert_leads(ops, [lead(number) for number in range(300)])
    with _process("project", str(tmp_path), "20") as other:
        reports = [projector.project() for _ in range(40)]
        other.kill()
        other.wait()
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
    with _process("read", str(tmp_path)) as reader:
        times = []
        for number in range(1, 51):
            insert_leads(ops, [_small(number)])
            times.append(projector.project().seconds)
        output, _ = reader.communicate("")
    seen = json.loads(output)
    assert seen["errors"] == []
    assert seen["seen"] == sorted(seen["seen"])
    assert seen["seen"][-1] >= 50  # the last poll may have begun before the last commit
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
