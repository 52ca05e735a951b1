"""Sensors that catch what no batch run did: deliveries put off, rows not projected."""

from dataclasses import dataclass
from typing import Self

import dagster as dg
from dagster import RunsFilter

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.resources import EnrichmentResource
from sensors.runs import LIVE

PATIENCE_SECONDS = 60.0
"""Rows are copied by the run that made them; what waits for longer was forgotten."""


def _is_live(instance: dg.DagsterInstance, job: str) -> bool:
    return instance.get_runs_count(RunsFilter(job_name=job, statuses=list(LIVE))) > 0


@dg.sensor(
    name="pending_writeback",
    job_name="writeback_job",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the write-back when deliveries are due that no batch run has in hand (a CRM was down).",
)
def pending_writeback(
    context: dg.SensorEvaluationContext, enrichment: EnrichmentResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run when something has been owed for a while."""
    owed = enrichment.dispatch().forgotten_deliveries()
    if not owed:
        return dg.SkipReason("nothing is owed that a batch run will not deliver")
    if _is_live(context.instance, "writeback_job"):
        return dg.SkipReason("a write-back run is at work")
    return dg.RunRequest(tags={"enrichment/owed": str(owed)})


@dg.sensor(
    name="unprojected_rows",
    job_name="projection_job",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the projection when rows have waited for a minute (their run ended before it copied them).",
)
def unprojected_rows(
    context: dg.SensorEvaluationContext, enrichment: EnrichmentResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run when the warehouse stays behind.

    The cursor is a revision and when it was first seen; it moves on once the warehouse has reached that revision.
    """
    health, now = enrichment.health(), SystemClock().now()
    seen = _Seen.parse(context.cursor)
    if seen is None or health.projected_rev() >= seen.rev:
        context.update_cursor(_Seen(health.rev(), now.timestamp()).text())
        return dg.SkipReason("the warehouse is up to date, or a run is about to bring it there")
    if now.timestamp() - seen.at < PATIENCE_SECONDS:
        return dg.SkipReason("rows wait for the run that made them")
    if _is_live(context.instance, "projection_job"):
        return dg.SkipReason("a projection run is at work")
    return dg.RunRequest()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A revision and when (epoch seconds) it was first seen."""

    rev: int
    at: float

    @classmethod
    def parse(cls, cursor: str | None) -> Self | None:
        """Return what the cursor says, or None for no cursor."""
        if not cursor:
            return None
        rev, _, at = cursor.partition("@")
        return cls(int(rev), float(at))

    def text(self) -> str:
        """Return the cursor."""
        return f"{self.rev}@{self.at:.0f}"
