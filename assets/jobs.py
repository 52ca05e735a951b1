"""Jobs: a batch's run, the upkeep of stores, and checks on demand."""

from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.lanes import LANES, ROUTED, Lane
from assets.retention import Retention, delete_old_reports, delete_old_runs
from enrichment_dagster.resources import EnrichmentResource

_MAX_RUNTIME_TAG = "dagster/max_runtime"
_RECORDS = ("contacts", "companies")

JOBS = (*(lane.job for lane in LANES), "writeback_job", "projection_job", "checks_job", "upkeep_job")
"""Jobs that sensors, schedules and people start again and again."""


def lane_job(lane: Lane) -> UnresolvedAssetJobDefinition:
    """Return the job that takes one batch from the inbox to the CRM and the warehouse."""
    assets = dg.AssetSelection.assets(lane.asset, "crm_writeback", *_RECORDS)
    return dg.define_asset_job(
        lane.job,
        selection=assets - dg.AssetSelection.all_asset_checks(),
        description=f"{lane.meaning}: enrich one batch, write it back, copy it into the warehouse.",
        tags={_MAX_RUNTIME_TAG: "900"},
    )


writeback_job = dg.define_asset_job(
    "writeback_job",
    selection=dg.AssetSelection.assets("crm_writeback") - dg.AssetSelection.all_asset_checks(),
    description="Deliver what is owed to CRMs, e.g. after one of them was down.",
    tags={_MAX_RUNTIME_TAG: "900"},
)

projection_job = dg.define_asset_job(
    "projection_job",
    selection=dg.AssetSelection.assets(*_RECORDS) - dg.AssetSelection.all_asset_checks(),
    description="Copy into the warehouse what no enrichment run has copied.",
    tags={_MAX_RUNTIME_TAG: "900"},
)

checks_job = dg.define_asset_job(
    "checks_job",
    selection=dg.AssetSelection.checks_for_assets(
        *(lane.asset for lane in LANES), *(lane.routing for lane in ROUTED), "crm_writeback"
    ),
    description="Evaluate the checks of all lanes and of the write-back now.",
    tags={_MAX_RUNTIME_TAG: "300"},
)


@dg.op(description="Merge the warehouse's small files and forget old snapshots.")
def tidy_warehouse(context: dg.OpExecutionContext, enrichment: EnrichmentResource) -> None:
    """Keep the warehouse's files few."""
    context.log.info("warehouse: %s", enrichment.maintain())


@dg.op(name="delete_old_runs", description="Delete runs that are 48 hours old: Dagster keeps them for ever otherwise.")
def forget_runs(context: dg.OpExecutionContext) -> None:
    """Keep Dagster's storage bounded; what the runs did stays in the operational store and the warehouse."""
    keep, now = Retention(), datetime.now(UTC)
    context.log.info("deleted %s runs", delete_old_runs(context.instance, JOBS, keep, now))
    context.log.info("deleted %s reports that had no run", delete_old_reports(context.instance, keep, now))


@dg.op(description="Delete notes of what was written to CRMs a week ago: no event comes of it any more.")
def forget_own_writes(context: dg.OpExecutionContext, enrichment: EnrichmentResource) -> None:
    """Keep the notes by which our own changes are known few."""
    context.log.info("deleted the notes of %s writes", enrichment.own_writes().forget_old())


@dg.job(
    description="Keep stores small: warehouse files, old runs, notes of old writes.", tags={_MAX_RUNTIME_TAG: "1800"}
)
def upkeep_job() -> None:
    """Tidy everything that grows."""
    tidy_warehouse()
    forget_runs()
    forget_own_writes()


upkeep_schedule = dg.ScheduleDefinition(
    name="upkeep",
    job=upkeep_job,
    cron_schedule="17 * * * *",
    description="Every hour: merge the warehouse's files, delete runs of 48 hours and notes of writes of a week ago.",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
