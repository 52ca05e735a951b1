"""Jobs: a batch's run, the upkeep of stores, and checks on demand."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.lanes import LANE_TAG, LANES, Lane
from enrichment_dagster.resources import EnrichmentResource

BATCH_RUNS_KEPT = timedelta(hours=48)
_DELETED_AT_ONCE = 200
_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_MAX_RUNTIME_TAG = "dagster/max_runtime"
_RECORDS = ("contacts", "companies")


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
    selection=dg.AssetSelection.checks_for_assets(*(lane.asset for lane in LANES)),
    description="Evaluate the checks of all lanes now.",
)


@dg.op(description="Merge the warehouse's small files and forget old snapshots.")
def tidy_warehouse(context: dg.OpExecutionContext, enrichment: EnrichmentResource) -> None:
    """Keep the warehouse's files few."""
    context.log.info("warehouse: %s", enrichment.maintain())


@dg.op(description="Delete batch runs older than 48 hours: Dagster keeps runs for ever otherwise.")
def delete_old_runs(context: dg.OpExecutionContext) -> None:
    """Keep Dagster's storage bounded; what the runs did stays in the operational store and the warehouse."""
    deleted = delete_batch_runs(context.instance, datetime.now(UTC) - BATCH_RUNS_KEPT)
    context.log.info("deleted %s batch runs", deleted)


def delete_batch_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete ended runs of lanes that were created before a moment; returns how many."""
    filters = RunsFilter(statuses=_ENDED, tags={LANE_TAG: [lane.event_type for lane in LANES]}, created_before=before)
    deleted = 0
    while run_ids := instance.get_run_ids(filters, limit=_DELETED_AT_ONCE):
        for run_id in run_ids:
            instance.delete_run(run_id)
        deleted += len(run_ids)
    return deleted


@dg.job(description="Keep stores small: warehouse files, old runs.", tags={_MAX_RUNTIME_TAG: "1800"})
def upkeep_job() -> None:
    """Tidy everything that grows."""
    tidy_warehouse()
    delete_old_runs()


upkeep_schedule = dg.ScheduleDefinition(
    name="upkeep",
    job=upkeep_job,
    cron_schedule="17 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
