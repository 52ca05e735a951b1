"""The lanes: one event type, its sensor, its asset and its job. A new event type is one entry here and in the YAML."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

BATCH_TAG = "enrichment/batch"
ATTEMPT_TAG = "enrichment/attempt"
LANE_TAG = "enrichment/lane"
OWNER = "team:revops"

DAY = dg.DailyPartitionsDefinition(start_date="2026-11-01", end_offset=1)
"""Days (UTC) of receipt; ``end_offset`` gives the running day a key."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one event type is called in Dagster."""

    event_type: str
    asset: str
    sensor: str
    meaning: str
    freshness: timedelta  # the lane has stood still when it neither worked nor was idle for so long
    routing: str = ""  # the asset of what the gateway answers at once; empty: this type is never routed

    @property
    def job(self) -> str:
        """Return the name of the job that enriches a batch."""
        return f"{self.asset}_job"


LANES = (
    Lane(
        event_type="lead_created",
        asset="lead_enrichment",
        sensor="new_lead",
        meaning="Leads that came in by form, list import or API",
        freshness=timedelta(minutes=5),
        routing="lead_routing",
    ),
)

ROUTED = tuple(lane for lane in LANES if lane.routing)
"""The lanes whose events the gateway routes."""
