"""What Dagster keeps: it would be for ever, some 200 kB a run and 20 MB a day of what is reported without runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus, RunsFilter
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from sqlalchemy import delete, func, select

_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_DELETED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Retention:
    """How long ended runs are kept. What they did stays in the operational store and the warehouse."""

    of_jobs: timedelta = timedelta(hours=48)
    newest_of_a_job: int = 2_000
    launched_by_people: timedelta = timedelta(days=30)  # materializations and backfills from the UI
    reported_without_run: timedelta = timedelta(days=30)  # checks, signs of life and what was routed


def delete_old_runs(instance: dg.DagsterInstance, jobs: Sequence[str], keep: Retention, now: datetime) -> int:
    """Delete ended runs that are older than they are kept, or too many; returns how many."""
    deleted = 0
    for job in jobs:
        old = RunsFilter(job_name=job, statuses=_ENDED, created_before=now - keep.of_jobs)
        deleted += _delete(instance, old)
        deleted += _delete(instance, RunsFilter(job_name=job, statuses=_ENDED), spare=keep.newest_of_a_job)
    return deleted + _delete(instance, RunsFilter(statuses=_ENDED, created_before=now - keep.launched_by_people))


def _delete(instance: dg.DagsterInstance, filters: RunsFilter, spare: int = 0) -> int:
    deleted = 0
    for run_id in _matching(instance, filters, spare):
        _delete_run(instance, run_id)
        deleted += 1
    return deleted


def _matching(instance: dg.DagsterInstance, filters: RunsFilter, spare: int) -> Iterator[str]:
    """Yield the runs past the newest ``spare`` ones; each must be deleted before the next slice is read."""
    cursor = None
    if spare:
        spared = instance.get_run_ids(filters, limit=spare)
        if len(spared) < spare:
            return
        cursor = spared[-1]
    while run_ids := instance.get_run_ids(filters, cursor=cursor, limit=_DELETED_AT_ONCE):
        yield from run_ids


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run's rows, and what Dagster leaves behind: what it said of checks, its captured output, its log."""
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
    if isinstance(storage, SqliteEventLogStorage):
        shard = Path(storage.path_for_shard(run_id))
        for path in (shard, shard.with_name(f"{shard.name}-wal"), shard.with_name(f"{shard.name}-shm")):
            path.unlink(missing_ok=True)


def delete_old_reports(instance: dg.DagsterInstance, keep: Retention, now: datetime) -> int:
    """Delete what was reported without a run and is old; returns how many check results and materializations.

    The newest materialization of an asset or a partition stays: Dagster's pages say by it what has been there.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    until = (now - keep.reported_without_run).astimezone(UTC).replace(tzinfo=None)
    events, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
    old = (events.c.run_id == RUNLESS_RUN_ID) & (events.c.timestamp < until)
    made = events.c.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION.value
    newest = select(func.max(events.c.id)).where(made).group_by(events.c.asset_key, events.c.partition)
    outdated = select(events.c.id).where(old, made, events.c.id.not_in(newest))
    with storage.index_connection() as connection:
        connection.execute(delete(checks).where(checks.c.run_id == RUNLESS_RUN_ID, checks.c.create_timestamp < until))
        told = events.c.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION.value
        deleted = connection.execute(delete(events).where(old, told)).rowcount
        deleted += connection.execute(delete(events).where(events.c.id.in_(outdated))).rowcount
    if isinstance(storage, SqliteEventLogStorage):  # there, a second copy of them is kept like a run's log
        with storage.run_connection(RUNLESS_RUN_ID) as connection:
            connection.execute(delete(events).where(old))
    return int(deleted)
