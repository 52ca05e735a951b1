"""Where a lead's seconds go: from the operational store's and Dagster's own time stamps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from benchmarks.crm import Lead
from benchmarks.journey import Arrivals
from benchmarks.load import Exchange
from benchmarks.stack import Installation
from enrichment_dagster.store.tables import work

MARKS = (
    "webhook due",
    "in the journal",
    "run requested",
    "run taken from the queue",
    "run started",
    "enrichment step started",
    "record read, providers asked",
    "enriched and committed",
    "enrichment step ended",
    "CRM written",
    "delivery step ended",
    "seen in the warehouse",
    "projection step ended",
    "run ended",
)


def hops_of(
    place: Installation, leads: Sequence[Lead], sent: Sequence[Exchange], arrivals: Arrivals
) -> dict[str, list[float]]:
    """Return the seconds between each mark and the one before it (in time), for leads that had a run of their own."""
    rows = _work_rows(place)
    found: dict[str, list[float]] = {}
    with _dagster(place) as instance:
        for lead, exchange in zip(leads, sent, strict=True):
            row = rows[lead.key]
            marks = {
                "webhook due": exchange.due_at,
                "in the journal": row["received_at_ms"] / 1_000,
                "record read, providers asked": row["started_at_ms"] / 1_000,
                "enriched and committed": row["finished_at_ms"] / 1_000,
                "CRM written": arrivals.in_crm[lead.key],
                "seen in the warehouse": arrivals.in_warehouse[lead.key],
                **_run_marks(instance, row["run_id"]),
            }
            for name, seconds in differences(marks).items():
                found.setdefault(name, []).append(seconds)
    return {name: found[name] for name in MARKS if name in found}


def differences(marks: dict[str, float]) -> dict[str, float]:
    """Return how long after the mark before it each mark came."""
    ordered = sorted(marks.items(), key=lambda item: item[1])
    return {name: moment - ordered[max(0, index - 1)][1] for index, (name, moment) in enumerate(ordered)}


def _work_rows(place: Installation) -> dict[str, Any]:
    with place.stores() as stores, stores.ops.read() as connection:
        rows = connection.execute(select(work).where(work.c.kind == "event")).mappings().all()
    return {f"{row['subject_system']}:{row['subject_id']}": row for row in rows}


def _dagster(place: Installation) -> Any:
    from dagster import DagsterInstance

    return DagsterInstance.from_config(str(place.home / "dagster"))


def _run_marks(instance: Any, run_id: str) -> dict[str, float]:
    names = {
        "PIPELINE_ENQUEUED": "run requested",
        "PIPELINE_STARTING": "run taken from the queue",
        "PIPELINE_START": "run started",
        "PIPELINE_SUCCESS": "run ended",
    }
    steps = {
        ("STEP_START", "lead_enrichment"): "enrichment step started",
        ("STEP_SUCCESS", "lead_enrichment"): "enrichment step ended",
        ("STEP_SUCCESS", "crm_writeback"): "delivery step ended",
        ("STEP_SUCCESS", "project_records"): "projection step ended",
    }
    marks = {}
    for entry in instance.all_logs(run_id):
        if entry.dagster_event is None:
            continue
        kind = entry.dagster_event.event_type_value
        name = names.get(kind) or steps.get((kind, entry.step_key or ""))
        if name:
            marks[name] = entry.timestamp
    return marks


def runs_since(place: Installation, moment: float) -> int:
    """Return how many runs Dagster has created since a moment, of whatever job."""
    from datetime import UTC, datetime

    from dagster import RunsFilter

    with _dagster(place) as instance:
        return int(instance.get_runs_count(RunsFilter(created_after=datetime.fromtimestamp(moment, UTC))))


def live_runs(place: Installation) -> int:
    """Return how many runs have not ended."""
    from dagster import DagsterRunStatus, RunsFilter

    ended = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
    with _dagster(place) as instance:
        return instance.get_runs_count(
            RunsFilter(statuses=[status for status in DagsterRunStatus if status not in ended])
        )
