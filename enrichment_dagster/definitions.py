"""Dagster's entry: all assets, checks, jobs, sensors and schedules of the product."""

from __future__ import annotations

import dagster as dg

from assets.checks import lane_checks, routing_checks, writeback_checks
from assets.enrichment import crm_events, enrichment_asset, routing_asset
from assets.jobs import checks_job, lane_job, projection_job, upkeep_job, upkeep_schedule, writeback_job
from assets.lanes import LANES, ROUTED
from assets.records import records_asset
from assets.writeback import writeback_asset
from enrichment_dagster.resources import EnrichmentResource
from sensors.lane import lane_sensor
from sensors.upkeep import pending_writeback, unprojected_rows

_found = [*(lane.asset for lane in LANES), *(lane.routing for lane in ROUTED)]

defs = dg.Definitions(
    assets=[
        crm_events,
        *(routing_asset(lane) for lane in ROUTED),
        *(enrichment_asset(lane) for lane in LANES),
        writeback_asset(_found),
        records_asset(_found),
    ],
    asset_checks=[
        *(lane_checks(lane) for lane in LANES),
        *(routing_checks(lane) for lane in ROUTED),
        writeback_checks(),
    ],
    jobs=[*(lane_job(lane) for lane in LANES), writeback_job, projection_job, checks_job, upkeep_job],
    sensors=[*(lane_sensor(lane) for lane in LANES), pending_writeback, unprojected_rows],
    schedules=[upkeep_schedule],
    resources={"enrichment": EnrichmentResource()},
    executor=dg.in_process_executor,
)
