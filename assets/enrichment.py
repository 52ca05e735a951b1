"""One enrichment asset per event type, from one factory, and the external asset that they all read."""

from typing import Any

import dagster as dg
from pydantic import Field

from assets.lanes import OWNER, Lane
from assets.metadata import batch_metadata
from enrichment_dagster.resources import EnrichmentResource

DAY = dg.DailyPartitionsDefinition(start_date="2026-11-01", end_offset=1)
"""Days (UTC) of receipt; ``end_offset`` gives the running day a key."""

crm_events = dg.AssetSpec(
    "crm_events",
    group_name="intake",
    kinds={"webhook", "sqlite"},
    owners=[OWNER],
    description=(
        "Events received from CRMs, durable in the journal before their sender is answered. Written by the gateway; "
        "one row per fact, however often it is delivered."
    ),
)


def routing_asset(lane: Lane) -> dg.AssetSpec:
    """Return the asset of what the gateway answers within seconds.

    It has no freshness policy: a lane of three seconds needs a window of seconds, and Dagster's shortest is a minute.
    Its check ``routing_latency`` is evaluated every 20 seconds instead.
    """
    return dg.AssetSpec(
        lane.routing,
        deps=[crm_events],
        group_name="enrichment",
        kinds={"python", "http"},
        owners=[OWNER],
        tags={"event_type": lane.event_type},
        description=(
            f"{lane.meaning}: company, segment, score and route, found by the gateway within three seconds of the "
            "lead's receipt. There is no run: the gateway reports a materialization a minute, for all leads since the "
            "last one."
        ),
    )


class BatchConfig(dg.Config):
    """Which events a run takes: a batch that its sensor made, or all open events of the run's day."""

    batch_id: str = Field("", description="The batch to take. Empty: all open events of the run's day.")
    refresh: bool = Field(False, description="Without a batch: replay the day's finished events as well.")


def enrichment_asset(lane: Lane) -> dg.AssetsDefinition:
    """Return the asset of a lane."""

    @dg.asset(
        name=lane.asset,
        partitions_def=DAY,
        deps=[crm_events],
        group_name="enrichment",
        kinds={"python", "http", "pandera"},
        owners=[OWNER],
        tags={"event_type": lane.event_type},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=lane.freshness),
        description=(
            f"{lane.meaning}, enriched by the provider waterfall and validated field by field. A partition is a day "
            "(UTC) of receipt; a run takes one batch of its events."
        ),
    )
    def _asset(
        context: dg.AssetExecutionContext, config: BatchConfig, enrichment: EnrichmentResource
    ) -> dg.MaterializeResult[Any]:
        report = enrichment.enrich(
            lane.event_type,
            owner=context.run.run_id,
            batch_id=config.batch_id,
            day=context.partition_key,
            refresh=config.refresh,
        )
        if config.batch_id and not (report.outcomes or report.deferred):
            context.log.info("nothing to do: batch %s is finished, or another run has it in hand", config.batch_id)
        enrichment.dispatch().beat(f"fresh:{lane.event_type}")  # the idle heartbeat counts from here
        return dg.MaterializeResult(metadata=batch_metadata(report))

    return _asset
