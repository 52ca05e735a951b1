"""What is kept of runs: Dagster keeps them for ever, some 200 kB each, unless they are deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_DELETED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Retention:
    """How long ended runs are kept. What they did stays in the operational store and the warehouse."""

    of_jobs: timedelta = timedelta(hours=48)
    newest_of_a_job: int = 2_000
    launched_by_people: timedelta = timedelta(days=30)  # materializations and backfills from the UI


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
