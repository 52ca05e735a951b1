"""Dagster's storage stays bounded: what upkeep deletes, and what a week of work leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.runs.schema import RunsTable
from sqlalchemy import Connection, Table, func, select
from support.dagster_lane import LANE, LaneRig, Status

from assets.jobs import JOBS
from assets.retention import Retention, delete_old_reports, delete_old_runs
from enrichment_dagster.definitions import defs

NOW = datetime.now(UTC)


def age(instance: dg.DagsterInstance, run: dg.DagsterRun, created: datetime) -> None:
    statement = RunsTable.update().where(RunsTable.c.run_id == run.run_id)
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        connection.execute(statement.values(create_timestamp=created.replace(tzinfo=None)))


@pytest.fixture
def make_run(rig: LaneRig):
    def make(job: str = LANE.job, status: Status = Status.SUCCESS, hours_ago: float = 0.0) -> dg.DagsterRun:
        run = rig.submit(dg.RunRequest(run_key="x", tags={}), status, job=job)
        age(rig.instance, run, NOW - timedelta(hours=hours_ago))
        return run

    return make


def kept(rig: LaneRig, runs: list[dg.DagsterRun]) -> list[bool]:
    return [rig.instance.has_run(run.run_id) for run in runs]


def test_only_ended_runs_that_are_old_are_deleted(rig: LaneRig, make_run) -> None:
    """A run that is queued or at work is never deleted, however old it is."""
    ended = [make_run(status=status, hours_ago=49) for status in (Status.SUCCESS, Status.FAILURE, Status.CANCELED)]
    alive = [make_run(status=status, hours_ago=49) for status in (Status.QUEUED, Status.STARTING, Status.STARTED)]
    young = [make_run(hours_ago=47)]
    assert delete_old_runs(rig.instance, JOBS, Retention(), NOW) == 3
    assert kept(rig, [*ended, *alive, *young]) == [False] * 3 + [True] * 4


def test_runs_of_every_job_that_starts_by_itself_are_deleted(rig: LaneRig, make_run) -> None:
    """Upkeep alone makes 24 runs a day."""
    jobs = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert set(JOBS) == jobs
    for job in jobs:
        make_run(job, hours_ago=49)
    assert delete_old_runs(rig.instance, JOBS, Retention(), NOW) == len(jobs)


def test_what_people_launched_is_kept_for_a_month(rig: LaneRig, make_run) -> None:
    """Materializations and backfills from the UI are Dagster's implicit job."""
    runs = [make_run("__ASSET_JOB", hours_ago=24 * days) for days in (3, 29, 31)]
    delete_old_runs(rig.instance, JOBS, Retention(), NOW)
    assert kept(rig, runs) == [True, True, False]


def test_no_more_than_so_many_runs_of_a_job_are_kept(rig: LaneRig, make_run) -> None:
    """A busy lane makes thousands of runs in 48 hours: the newest are kept."""
    runs = [make_run(hours_ago=5 - number) for number in range(5)]
    assert delete_old_runs(rig.instance, JOBS, Retention(newest_of_a_job=2), NOW) == 3
    assert kept(rig, runs) == [False, False, False, True, True]


def test_a_deleted_run_leaves_no_files_behind(rig: LaneRig, make_run) -> None:
    """Dagster itself would leave the event log (130 kB) and the captured output of each run for ever."""
    run = make_run(hours_ago=49)
    rig.instance.report_engine_event("worked", run)
    output = Path(rig.instance.storage_directory()) / run.run_id / "compute_logs" / "abc.err"
    output.parent.mkdir(parents=True)
    output.write_text("a line")
    home = Path(rig.instance.root_directory)
    assert [path for path in home.rglob("*") if run.run_id in str(path)]
    delete_old_runs(rig.instance, JOBS, Retention(), NOW)
    assert not [path for path in home.rglob("*") if run.run_id in str(path)]


def test_the_newest_materialization_survives_the_deletion_of_its_run(rig: LaneRig, make_run) -> None:
    """The asset page and the freshness policy still know when the lane last worked."""
    run = make_run(hours_ago=49)
    _work(rig.instance, run)
    delete_old_runs(rig.instance, JOBS, Retention(), NOW)
    assert rig.instance.get_asset_keys() == [dg.AssetKey(LANE.asset)]


# --- what is reported without a run ----------------------------------------------------------------------------------


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _rows(instance: dg.DagsterInstance) -> tuple[int, int, int]:
    storage = instance.event_log_storage
    with storage.run_connection("") as connection:  # type: ignore[attr-defined]
        second_copy = _count(connection, SqlEventLogStorageTable)
    with storage.index_connection() as connection:  # type: ignore[attr-defined]
        events = _count(connection, SqlEventLogStorageTable)
        return events, second_copy, _count(connection, AssetCheckExecutionsTable)


def test_reports_without_a_run_are_deleted_after_a_month_but_for_the_newest(rig: LaneRig, make_run) -> None:
    """A day's partition stays materialized; what runs reported goes with the runs and is not touched here."""
    _work(rig.instance, make_run())
    told = dg.AssetCheckEvaluation(asset_key=dg.AssetKey(LANE.asset), check_name="latency_target", passed=True)
    for day in ("2026-09-20", "2026-09-21"):
        for _ in range(3):
            beat = dg.AssetMaterialization(LANE.asset, partition=day, metadata={"heartbeat": True})
            rig.instance.report_runless_asset_event(beat)
            rig.instance.report_runless_asset_event(told)
    before = _rows(rig.instance)
    now = datetime.now(UTC)
    assert delete_old_reports(rig.instance, Retention(), now + timedelta(days=29)) == 0
    assert _rows(rig.instance) == before
    assert delete_old_reports(rig.instance, Retention(), now + timedelta(days=31)) == 6 + 4
    assert _rows(rig.instance) == (before[0] - 10, 0, 0)
    key = dg.AssetKey(LANE.asset)
    assert rig.instance.get_materialized_partitions(key) == {"2026-09-20", "2026-09-21"}
    assert rig.instance.get_latest_materialization_event(key) is not None


# --- a week ----------------------------------------------------------------------------------------------------------


def _work(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    made = dg.AssetMaterialization(LANE.asset, partition="2026-09-21", metadata={"events": 5})
    event = dg.DagsterEvent(
        event_type_value="ASSET_MATERIALIZATION",
        job_name=run.job_name,
        event_specific_data=StepMaterializationData(made),
    )
    instance.report_dagster_event(event, run.run_id)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_week_of_work_does_not_grow_without_bound(rig: LaneRig, make_run) -> None:
    """Scaled down: 2 runs and 6 asset events a day. Runs cost nothing once the first are deleted; asset events add up.

    Dagster has no retention for asset events; at full size there are some 1,000 a day and lane.
    """
    home, sizes, files = Path(rig.instance.root_directory), [], []
    evaluation = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(LANE.asset), check_name="latency_target", passed=True, metadata={"samples": 5}
    )
    beat = dg.AssetMaterialization(LANE.asset, partition="2026-09-21", metadata={"heartbeat": True})
    for days_ago in range(7, 0, -1):
        for number in range(2):
            _work(rig.instance, make_run(hours_ago=24 * days_ago - number))
        for event in (beat, evaluation) * 3:
            rig.instance.report_runless_asset_event(event)
        delete_old_runs(rig.instance, JOBS, Retention(), NOW - timedelta(hours=24 * (days_ago - 1)))
        sizes.append(_bytes(home))
        files.append(sum(1 for _ in home.rglob("*")))
    assert rig.instance.get_runs_count() <= 2 * 2
    assert files[-1] <= files[2]
    per_event = (sizes[-1] - sizes[2]) / (4 * 6)
    assert per_event < 6_000, f"{per_event:.0f} bytes for each asset event; 3,072 when this was written"
