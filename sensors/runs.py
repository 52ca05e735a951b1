"""What Dagster knows of batch runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from assets.lanes import ATTEMPT_TAG, BATCH_TAG, LANE_TAG
from enrichment_dagster.domain.dispatch import LEASE, BatchState, RunState

LIVE = (
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)
_MINUTE = timedelta(minutes=1)
_STATES = {
    DagsterRunStatus.QUEUED: RunState.QUEUED,
    DagsterRunStatus.NOT_STARTED: RunState.QUEUED,
    DagsterRunStatus.STARTING: RunState.STARTING,
    DagsterRunStatus.STARTED: RunState.RUNNING,
    DagsterRunStatus.CANCELING: RunState.RUNNING,
}


def live_runs(instance: DagsterInstance, lanes: Sequence[str]) -> int:
    """Return how many batch runs of these lanes are queued, starting or running."""
    filters = RunsFilter(statuses=list(LIVE), tags={LANE_TAG: list(lanes)})
    return instance.get_runs_count(filters)


def runs_of_last_minute(instance: DagsterInstance, lanes: Sequence[str], now: datetime) -> int:
    """Return how many batch runs of these lanes were created in the last minute; a day's own run makes none.

    A clock that was put back leaves runs of the future behind: they must not keep the lanes waiting until it is there.
    """
    tags = {LANE_TAG: list(lanes)}
    return instance.get_runs_count(RunsFilter(tags=tags, created_after=now - _MINUTE, created_before=now + _MINUTE))


def with_runs(instance: DagsterInstance, batches: Sequence[BatchState]) -> list[BatchState]:
    """Look up the run of each batch's present attempt."""
    return [_with_run(instance, batch) for batch in batches]


def _with_run(instance: DagsterInstance, batch: BatchState) -> BatchState:
    record = _run_record(instance, batch.batch_id, batch.attempt)
    if record is None:
        return batch
    since = record.update_timestamp
    aware = since if since.tzinfo else since.replace(tzinfo=UTC)
    state = _STATES.get(record.dagster_run.status, RunState.ENDED)
    return replace(batch, run=state, run_since=aware, run_id=record.dagster_run.run_id)


def _run_record(instance: DagsterInstance, batch_id: str, attempt: int) -> dg.RunRecord | None:
    filters = RunsFilter(tags={BATCH_TAG: batch_id, ATTEMPT_TAG: str(attempt)})
    records = instance.get_run_records(filters, limit=1)
    return records[0] if records else None


def fail_runs(instance: DagsterInstance, batches: Sequence[BatchState], now: datetime) -> None:
    """Tell Dagster that these batches' runs are dead, so that they hold no slot."""
    for batch in batches:
        record = _run_record(instance, batch.batch_id, batch.attempt)
        if record is not None and not record.dagster_run.is_finished:
            instance.report_run_failed(record.dagster_run, message=_obituary(batch, now))


def _obituary(batch: BatchState, now: datetime) -> str:
    last_sign = batch.lease_until - LEASE if batch.started else batch.emitted_at
    seconds = round((now - last_sign).total_seconds())
    return f"The run's process has given no sign of life for {seconds} s; its batch is freed for another run."
